// SPDX-License-Identifier: Apache-2.0
// thresholded_relu: y = x where x > alpha, else 0 (NaN too)
//   x  float     y  same type and shape
//   dx = dy where x > alpha, else 0
#include <cstddef>

#include "ops/elementwise.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  const ThresholdedReluAttrs& p = a.attrs<ThresholdedReluAttrs>();
  return reference_unary(a, [&](double x) { return x > p.alpha ? x : 0.0; });
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  const ThresholdedReluAttrs& p = a.attrs<ThresholdedReluAttrs>();
  const ValueId x = a.in(0), dy = a.dout(0);
  a.set(0, masked(g, above(g, x, p.alpha), dy));
}

ElementwiseStep step(const Node& n) { return {Elementwise::thresholded_relu, n.attrs<ThresholdedReluAttrs>().alpha}; }

constexpr AttrField kFields[] = {TERN_ATTR(ThresholdedReluAttrs, alpha, number, -1e6, 1e6)};

constexpr Case kCases[] = {
    {"small", "f32[4,7]:-4..4"},
    {"odd", "f32[131]:-4..4"},
    {"rank5", "f32[2,1,3,2,2]:-4..4"},
    {"scalar", "f32[]:-4..4"},
    {"empty", "f32[0,3]"},
    {"half", "f16[33]:-4..4", "", 2e-3},
    {"alpha", "f32[9]", "alpha=-1"},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_thresholded_relu = checked_op({.name = "thresholded_relu",
                                                            .flags = kElementwise | kInPlace,
                                                            .attributes = attr_schema<ThresholdedReluAttrs>(kFields),
                                                            .elementwise = Elementwise::thresholded_relu,
                                                            .step = step,
                                                            .infer = infer_unary_float,
                                                            .reference = reference,
                                                            .vjp = vjp,
                                                            .cases = TERN_CASES(kCases)});

}  // namespace tern
