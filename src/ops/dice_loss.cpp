// SPDX-License-Identifier: Apache-2.0
// dice_loss: terms 1 - (2 sum p t + smooth) / (sum p + sum t + smooth), sums over all dims but the first
//   p = sigmoid(x)
//   x, t  float [n, ..], same type and shape
//   loss  type of x, [] or with reduction=none [n]
#include "ops/loss.h"
#include "ops/normalize.h"
#include "ops/unary.h"

namespace tern {
namespace {

struct Attrs {
  int64_t reduction = kLossMean;
  double smooth = 1;
};

tern_status infer(InferArgs& a) {
  TERN_TRY(require_pair(a, 2));
  return infer_loss(a, Shape{a.in(0).shape[0]}, a.attrs<Attrs>().reduction);
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const Attrs& p = a.attrs<Attrs>();
  const IntList axes = axis_range(1, g.value(a.in(0)).shape.rank);
  const ValueId s = emit(g, "sigmoid", {widened(g, a.in(0))}), t = widened(g, a.in(1));
  const auto sum = [&](ValueId v) { return reduce_sum(g, v, {axes.items, (size_t)axes.count}, false); };
  const ValueId common = plus(g, scaled(g, sum(mul(g, s, t)), 2), p.smooth), all = plus(g, sum(add(g, s, t)), p.smooth);
  set_loss(a, minus_from(g, 1, div(g, common, all)), p.reduction);
}

constexpr AttrField kFields[] = {TERN_ATTR(Attrs, reduction, choice, 0, 2, kLossReductions),
                                 TERN_ATTR(Attrs, smooth, number, 1e-9, 1e6)};

constexpr Case kCases[] = {
    {"mean", "f32[4,7] f32[4,7]{1,0,0}"},
    {"picture", "f32[2,5,9,1] f32[2,5,9,1]{0,1,1,0}", "reduction=sum smooth=0.5"},
    {"none", "f32[3,131] f32[3,131]:0..1", "reduction=none"},
    {"nothing", "f32[2,3]{-200} f32[2,3]{0}", "smooth=1e-6"},
    {"half", "f16[3,33] f16[3,33]{0,1,1}", "", 5e-3},
    {"empty", "f32[0,3] f32[0,3]"},
    {"no_elements", "f32[2,0] f32[2,0]"},
    {"rank", "f32[3] f32[3]", "", 0, TERN_ERR_SHAPE},
    {"shape", "f32[2,3] f32[2,4]", "", 0, TERN_ERR_SHAPE},
    {"type", "f32[2,3] f16[2,3]", "", 0, TERN_ERR_TYPE},
    {"smooth_range", "f32[2,3] f32[2,3]", "smooth=0", 0, TERN_ERR_INVALID_ARGUMENT},
};

}  // namespace

extern constinit const Op op_dice_loss = checked_op({.name = "dice_loss",
                                                     .min_in = 2,
                                                     .max_in = 2,
                                                     .capability = Capability::training,
                                                     .attributes = attr_schema<Attrs>(kFields),
                                                     .infer = infer,
                                                     .decompose = decompose,
                                                     .cases = TERN_CASES(kCases)});

}  // namespace tern
