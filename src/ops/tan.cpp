// SPDX-License-Identifier: Apache-2.0
// tan: y = tan(x), x in radians
//   x  float     y  same type and shape
//   dx = dy * (1 + y^2)
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(a, [](double x) { return std::tan(x); });
}

void vjp(VjpArgs& a) { a.set(0, mul(a.g, a.dout(0), plus(a.g, square(a.g, a.out(0)), 1))); }

constexpr Case kCases[] = {
    {"small", "f32[4,7]:-1.3..1.3"},
    {"odd", "f32[131]:-1.3..1.3"},
    {"rank5", "f32[2,1,3,2,2]:-1.3..1.3"},
    {"scalar", "f32[]:-1.3..1.3"},
    {"empty", "f32[0,3]"},
    {"half", "f16[33]:-1.3..1.3", "", 2e-3},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_tan = checked_op({.name = "tan",
                                               .flags = kElementwise | kInPlace,
                                               .elementwise = Elementwise::tan,
                                               .infer = infer_unary_float,
                                               .reference = reference,
                                               .vjp = vjp,
                                               .cases = TERN_CASES(kCases)});

}  // namespace tern
