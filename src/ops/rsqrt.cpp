// SPDX-License-Identifier: Apache-2.0
// rsqrt: y = 1 / sqrt(x) (0 gives inf)
//   x  float     y  same type and shape
//   dx = -dy * y^3 / 2
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(a, [](double x) { return 1 / std::sqrt(x); });
}

void vjp(VjpArgs& a) {
  const ValueId cube = mul(a.g, square(a.g, a.out(0)), a.out(0));
  a.set(0, mul(a.g, a.dout(0), scaled(a.g, cube, -0.5)));
}

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

extern constinit const Op op_rsqrt = checked_op({.name = "rsqrt",
                                                 .flags = kElementwise | kInPlace,
                                                 .elementwise = Elementwise::rsqrt,
                                                 .infer = infer_unary_float,
                                                 .reference = reference,
                                                 .vjp = vjp,
                                                 .cases = TERN_CASES(kCases)});

}  // namespace tern
