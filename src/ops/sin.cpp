// SPDX-License-Identifier: Apache-2.0
// sin: y = sin(x), x in radians
//   x  float     y  same type and shape
//   dx = dy * cos(x)
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(a, [](double x) { return std::sin(x); });
}

void vjp(VjpArgs& a) { a.set(0, mul(a.g, a.dout(0), emit(a.g, "cos", {a.in(0)}))); }

constexpr Case kCases[] = {
    {"small", "f32[4,7]"},       {"odd", "f32[131]"},
    {"rank5", "f32[2,1,3,2,2]"}, {"scalar", "f32[]"},
    {"empty", "f32[0,3]"},       {"half", "f16[33]", "", 2e-3},
    {"far", "f32[5]:-100..100"}, {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_sin = checked_op({.name = "sin",
                                               .flags = kElementwise | kInPlace,
                                               .elementwise = Elementwise::sin,
                                               .infer = infer_unary_float,
                                               .reference = reference,
                                               .vjp = vjp,
                                               .cases = TERN_CASES(kCases)});

}  // namespace tern
