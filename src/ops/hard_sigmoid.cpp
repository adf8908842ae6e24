// SPDX-License-Identifier: Apache-2.0
// hard_sigmoid: y = min(max(alpha * x + beta, 0), 1)
//   x  float     y  same type and shape
//   dx = alpha * dy where 0 < y < 1, else 0
#include <cstddef>

#include "ops/elementwise.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  const HardSigmoidAttrs& p = a.attrs<HardSigmoidAttrs>();
  return reference_unary(a, [&](double x) { return between(p.alpha * x + p.beta, 0, 1); });
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  const HardSigmoidAttrs& p = a.attrs<HardSigmoidAttrs>();
  const ValueId dy = a.dout(0);
  const ValueId y = a.out(0), inside = emit(g, "logical_and", {above(g, y, 0), below(g, y, 1)});
  a.set(0, masked(g, inside, scaled(g, dy, p.alpha)));
}

ElementwiseStep step(const Node& n) {
  const HardSigmoidAttrs& a = n.attrs<HardSigmoidAttrs>();
  return {Elementwise::hard_sigmoid, a.alpha, a.beta};
}

constexpr AttrField kFields[] = {TERN_ATTR(HardSigmoidAttrs, alpha, number, -1e6, 1e6),
                                 TERN_ATTR(HardSigmoidAttrs, beta, number, -1e6, 1e6)};

constexpr Case kCases[] = {
    {"small", "f32[4,7]:-4..4"},
    {"odd", "f32[131]:-4..4"},
    {"rank5", "f32[2,1,3,2,2]:-4..4"},
    {"scalar", "f32[]:-4..4"},
    {"empty", "f32[0,3]"},
    {"half", "f16[33]:-4..4", "", 2e-3},
    {"sixth", "f32[9]", "alpha=0.16666667 beta=0.5"},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_hard_sigmoid = checked_op({.name = "hard_sigmoid",
                                                        .flags = kElementwise | kInPlace,
                                                        .attributes = attr_schema<HardSigmoidAttrs>(kFields),
                                                        .elementwise = Elementwise::hard_sigmoid,
                                                        .step = step,
                                                        .infer = infer_unary_float,
                                                        .reference = reference,
                                                        .vjp = vjp,
                                                        .cases = TERN_CASES(kCases)});

}  // namespace tern
