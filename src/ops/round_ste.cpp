// SPDX-License-Identifier: Apache-2.0
// round_ste: y = x rounded half to even, with the gradient of y = x (straight-through estimator)
//   x  float     y  same type and shape
//   dx = dy
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(a, [](double x) { return round_half_even(x); });
}

void vjp(VjpArgs& a) { a.set(0, a.dout(0)); }

constexpr Case kCases[] = {
    {"small", "f32[4,7]:-5..5"},
    {"odd", "f32[131]:-5..5"},
    {"rank5", "f32[2,1,3,2,2]:-5..5"},
    {"scalar", "f32[]:-5..5"},
    {"empty", "f32[0,3]"},
    {"half", "f16[33]:-5..5", "", 2e-3},
    {"ties", "f32[6]{-2.5,-1.5,-0.5,0.5,1.5,2.5}"},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_round_ste = checked_op({.name = "round_ste",
                                                     .flags = kElementwise | kInPlace,
                                                     .elementwise = Elementwise::round,
                                                     .infer = infer_unary_float,
                                                     .reference = reference,
                                                     .vjp = vjp,
                                                     .cases = TERN_CASES(kCases)});

}  // namespace tern
