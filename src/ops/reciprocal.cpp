// SPDX-License-Identifier: Apache-2.0
// reciprocal: y = 1 / x (0 gives inf of its sign)
//   x  float     y  same type and shape
//   dx = -dy * y^2
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(a, [](double x) { return 1 / x; });
}

void vjp(VjpArgs& a) { a.set(0, neg(a.g, mul(a.g, a.dout(0), square(a.g, a.out(0))))); }

constexpr Case kCases[] = {
    {"small", "f32[4,7]:0.2..3"},
    {"odd", "f32[131]:0.2..3"},
    {"rank5", "f32[2,1,3,2,2]:0.2..3"},
    {"scalar", "f32[]:0.2..3"},
    {"empty", "f32[0,3]"},
    {"half", "f16[33]:0.2..3", "", 2e-3},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_reciprocal = checked_op({.name = "reciprocal",
                                                      .flags = kElementwise | kInPlace,
                                                      .elementwise = Elementwise::reciprocal,
                                                      .infer = infer_unary_float,
                                                      .reference = reference,
                                                      .vjp = vjp,
                                                      .cases = TERN_CASES(kCases)});

}  // namespace tern
