// SPDX-License-Identifier: Apache-2.0
// atanh: y = inverse of tanh at x (NaN outside [-1, 1])
//   x  float     y  same type and shape
//   dx = dy / (1 - x^2)
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(a, [](double x) { return std::atanh(x); });
}

void vjp(VjpArgs& a) { a.set(0, div(a.g, a.dout(0), minus_from(a.g, 1, square(a.g, a.in(0))))); }

constexpr Case kCases[] = {
    {"small", "f32[4,7]:-0.9..0.9"},
    {"odd", "f32[131]:-0.9..0.9"},
    {"rank5", "f32[2,1,3,2,2]:-0.9..0.9"},
    {"scalar", "f32[]:-0.9..0.9"},
    {"empty", "f32[0,3]"},
    {"half", "f16[33]:-0.9..0.9", "", 2e-3},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_atanh = checked_op({.name = "atanh",
                                                 .flags = kElementwise | kInPlace,
                                                 .elementwise = Elementwise::atanh,
                                                 .infer = infer_unary_float,
                                                 .reference = reference,
                                                 .vjp = vjp,
                                                 .cases = TERN_CASES(kCases)});

}  // namespace tern
