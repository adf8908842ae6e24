// SPDX-License-Identifier: Apache-2.0
// mish: y = x * t, t = tanh(softplus(x))
//   x  float     y  same type and shape
//   dx = dy * (t + x * sigmoid(x) * (1 - t^2))
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(
      a, [](double x) { return x * std::tanh(std::fmax(x, 0.0) + std::log1p(std::exp(-std::fabs(x)))); });
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  const ValueId x = a.in(0), t = emit(g, "tanh", {emit(g, "softplus", {x})});
  const ValueId slope = mul(g, emit(g, "sigmoid", {x}), minus_from(g, 1, square(g, t)));
  a.set(0, mul(g, a.dout(0), add(g, t, mul(g, x, slope))));
}

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

extern constinit const Op op_mish = checked_op({.name = "mish",
                                                .flags = kElementwise | kInPlace,
                                                .elementwise = Elementwise::mish,
                                                .infer = infer_unary_float,
                                                .reference = reference,
                                                .vjp = vjp,
                                                .cases = TERN_CASES(kCases)});

}  // namespace tern
