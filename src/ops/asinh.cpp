// SPDX-License-Identifier: Apache-2.0
// asinh: y = inverse of sinh at x
//   x  float     y  same type and shape
//   dx = dy / sqrt(x^2 + 1)
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(a, [](double x) { return std::asinh(x); });
}

void vjp(VjpArgs& a) { a.set(0, mul(a.g, a.dout(0), emit(a.g, "rsqrt", {plus(a.g, square(a.g, a.in(0)), 1)}))); }

constexpr Case kCases[] = {
    {"small", "f32[4,7]:-5..5"},
    {"odd", "f32[131]:-5..5"},
    {"rank5", "f32[2,1,3,2,2]:-5..5"},
    {"scalar", "f32[]:-5..5"},
    {"empty", "f32[0,3]"},
    {"half", "f16[33]:-5..5", "", 2e-3},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_asinh = checked_op({.name = "asinh",
                                                 .flags = kElementwise | kInPlace,
                                                 .elementwise = Elementwise::asinh,
                                                 .infer = infer_unary_float,
                                                 .reference = reference,
                                                 .vjp = vjp,
                                                 .cases = TERN_CASES(kCases)});

}  // namespace tern
