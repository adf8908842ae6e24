// SPDX-License-Identifier: Apache-2.0
// erf: y = 2 / sqrt(pi) * integral of e^(-t^2) from 0 to x
//   x  float     y  same type and shape
//   dx = dy * 2 / sqrt(pi) * e^(-x^2)
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(a, [](double x) { return std::erf(x); });
}

void vjp(VjpArgs& a) {
  const ValueId bell = emit(a.g, "exp", {neg(a.g, square(a.g, a.in(0)))});
  a.set(0, mul(a.g, a.dout(0), scaled(a.g, bell, 1.1283791670955126)));
}

constexpr Case kCases[] = {
    {"small", "f32[4,7]"},          {"odd", "f32[131]"},
    {"rank5", "f32[2,1,3,2,2]"},    {"scalar", "f32[]"},
    {"empty", "f32[0,3]"},          {"half", "f16[33]", "", 2e-3},
    {"far", "f32[4]{-10,-4,4,10}"}, {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_erf = checked_op({.name = "erf",
                                               .flags = kElementwise | kInPlace,
                                               .elementwise = Elementwise::erf,
                                               .infer = infer_unary_float,
                                               .reference = reference,
                                               .vjp = vjp,
                                               .cases = TERN_CASES(kCases)});

}  // namespace tern
