// SPDX-License-Identifier: Apache-2.0
// sqrt: y = square root of x (negative numbers give NaN)
//   x  float     y  same type and shape
//   dx = dy / (2 y)
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(a, [](double x) { return std::sqrt(x); });
}

void vjp(VjpArgs& a) { a.set(0, div(a.g, a.dout(0), scaled(a.g, a.out(0), 2))); }

constexpr Case kCases[] = {
    {"small", "f32[4,7]:0.1..4"},
    {"odd", "f32[131]:0.1..4"},
    {"rank5", "f32[2,1,3,2,2]:0.1..4"},
    {"scalar", "f32[]:0.1..4"},
    {"empty", "f32[0,3]"},
    {"half", "f16[33]:0.1..4", "", 2e-3},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_sqrt = checked_op({.name = "sqrt",
                                                .flags = kElementwise | kInPlace,
                                                .elementwise = Elementwise::sqrt,
                                                .infer = infer_unary_float,
                                                .reference = reference,
                                                .vjp = vjp,
                                                .cases = TERN_CASES(kCases)});

}  // namespace tern
