// SPDX-License-Identifier: Apache-2.0
// sigmoid: y = 1 / (1 + e^-x)
//   x  float     y  same type and shape
//   dx = dy * y * (1 - y)
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(a, [](double x) { return 1 / (1 + std::exp(-x)); });
}

void vjp(VjpArgs& a) { a.set(0, mul(a.g, a.dout(0), mul(a.g, a.out(0), minus_from(a.g, 1, a.out(0))))); }

constexpr Case kCases[] = {
    {"small", "f32[4,7]:-6..6"},
    {"odd", "f32[131]:-6..6"},
    {"rank5", "f32[2,1,3,2,2]:-6..6"},
    {"scalar", "f32[]:-6..6"},
    {"empty", "f32[0,3]"},
    {"half", "f16[33]:-6..6", "", 2e-3},
    {"far", "f32[4]{-100,-30,30,100}"},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_sigmoid = checked_op({.name = "sigmoid",
                                                   .flags = kElementwise | kInPlace,
                                                   .elementwise = Elementwise::sigmoid,
                                                   .infer = infer_unary_float,
                                                   .reference = reference,
                                                   .vjp = vjp,
                                                   .cases = TERN_CASES(kCases)});

}  // namespace tern
