// SPDX-License-Identifier: Apache-2.0
// gelu: y = x * P(x), P the distribution function of the normal distribution
//   approximate=none: P = (1 + erf(x / sqrt(2))) / 2;  tanh: P = (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2
//   x  float     y  same type and shape
//   dx = dy * (P(x) + x * P'(x))
#include <cstddef>

#include "ops/elementwise.h"
#include "ops/unary.h"

namespace tern {
namespace {

constexpr double kSqrtHalf = 0.70710678118654752, kNormalPeak = 0.39894228040143268;  // 1 / sqrt(2), 1 / sqrt(2 pi)
constexpr double kTanhScale = 0.79788456080286536, kTanhCube = 0.044715;              // sqrt(2 / pi)
constexpr const char* kApproximations[] = {"none", "tanh"};

tern_status reference(RefArgs& a) {
  if (a.attrs<GeluAttrs>().approximate == kGeluTanh)
    return reference_unary(
        a, [](double x) { return 0.5 * x * (1 + std::tanh(kTanhScale * (x + kTanhCube * x * x * x))); });
  return reference_unary(a, [](double x) { return 0.5 * x * (1 + std::erf(x * kSqrtHalf)); });
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  const ValueId x = a.in(0), x2 = square(g, x);
  ValueId p, slope;
  if (a.attrs<GeluAttrs>().approximate == kGeluTanh) {
    const ValueId t = emit(g, "tanh", {scaled(g, mul(g, x, plus(g, scaled(g, x2, kTanhCube), 1)), kTanhScale)});
    p = scaled(g, plus(g, t, 1), 0.5);
    slope =
        mul(g, minus_from(g, 1, square(g, t)), scaled(g, plus(g, scaled(g, x2, 3 * kTanhCube), 1), 0.5 * kTanhScale));
  } else {
    p = scaled(g, plus(g, emit(g, "erf", {scaled(g, x, kSqrtHalf)}), 1), 0.5);
    slope = scaled(g, emit(g, "exp", {scaled(g, x2, -0.5)}), kNormalPeak);
  }
  a.set(0, mul(g, a.dout(0), add(g, p, mul(g, x, slope))));
}

ElementwiseStep step(const Node& n) {
  return {n.attrs<GeluAttrs>().approximate == kGeluTanh ? Elementwise::gelu_tanh : Elementwise::gelu_erf};
}

constexpr AttrField kFields[] = {TERN_ATTR(GeluAttrs, approximate, choice, 0, 1, kApproximations)};

constexpr Case kCases[] = {
    {"small", "f32[4,7]:-4..4"},
    {"odd", "f32[131]:-4..4"},
    {"rank5", "f32[2,1,3,2,2]:-4..4"},
    {"scalar", "f32[]:-4..4"},
    {"empty", "f32[0,3]"},
    {"half", "f16[33]:-4..4", "", 2e-3},
    {"tanh", "f32[4,7]:-4..4", "approximate=tanh"},
    {"tanh_half", "f16[33]", "approximate=tanh", 2e-3},
    {"far", "f32[4]{-30,-8,8,30}"},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_gelu = checked_op({.name = "gelu",
                                                .flags = kElementwise | kInPlace,
                                                .attributes = attr_schema<GeluAttrs>(kFields),
                                                .elementwise = Elementwise::gelu_erf,
                                                .step = step,
                                                .infer = infer_unary_float,
                                                .reference = reference,
                                                .vjp = vjp,
                                                .cases = TERN_CASES(kCases)});

}  // namespace tern
