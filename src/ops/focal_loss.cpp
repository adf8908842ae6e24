// SPDX-License-Identifier: Apache-2.0
// focal_loss (sigmoid): terms a b q^gamma, b the binary cross-entropy of logits x and targets t (bce_with_logits)
//   p = sigmoid(x), q = 1 - (p t + (1 - p)(1 - t)), a = alpha t + (1 - alpha)(1 - t); a = 1 for alpha = -1
//   x, t  float, same type and shape
//   loss  type of x, [] or with reduction=none the shape of x
#include "ops/loss.h"
#include "ops/unary.h"

namespace tern {
namespace {

struct Attrs {
  int64_t reduction = kLossMean;
  double alpha = 0.25, gamma = 2;
};

tern_status infer(InferArgs& a) {
  TERN_TRY(require_pair(a, 0));
  const double alpha = a.attrs<Attrs>().alpha;
  if (alpha < 0 && alpha != -1)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "focal_loss: attribute 'alpha' is %g, 0 to 1 or -1 is needed", alpha);
  return infer_loss(a, a.in(0).shape, a.attrs<Attrs>().reduction);
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const Attrs& p = a.attrs<Attrs>();
  const ValueId x = widened(g, a.in(0)), t = widened(g, a.in(1));
  ValueId terms = binary_cross_entropy(g, x, t, kNoValue);
  if (p.gamma > 0) {
    const ValueId s = emit(g, "sigmoid", {x}), q = add(g, s, mul(g, t, minus_from(g, 1, scaled(g, s, 2))));
    // The bound keeps the slope of the power finite where q is 0.
    const ValueId bounded = emit(g, "max", {q, scalar_like(g, q, 1e-30)});
    terms = mul(g, terms, emit(g, "pow", {bounded, scalar_like(g, q, p.gamma)}));
  }
  if (p.alpha >= 0) terms = mul(g, terms, plus(g, scaled(g, t, 2 * p.alpha - 1), 1 - p.alpha));
  set_loss(a, terms, p.reduction);
}

constexpr AttrField kFields[] = {TERN_ATTR(Attrs, reduction, choice, 0, 2, kLossReductions),
                                 TERN_ATTR(Attrs, alpha, number, -1, 1), TERN_ATTR(Attrs, gamma, number, 0, 100)};

constexpr Case kCases[] = {
    {"mean", "f32[4,7] f32[4,7]{1,0,0}"},
    {"soft", "f32[4,7] f32[4,7]:0..1", "gamma=1.5 alpha=0.5"},
    {"no_alpha", "f32[131] f32[131]{0,1,1,0}", "alpha=-1 reduction=sum", 1e-4},
    {"no_gamma", "f32[2,3] f32[2,3]{0,1}", "gamma=0 reduction=none"},
    {"flat", "f32[3]{-200,200,0} f32[3]{0,1,1}", "gamma=0.5 reduction=none"},
    {"half", "f16[33] f16[33]{0,1,1}", "", 5e-3},
    {"empty", "f32[0,3] f32[0,3]"},
    {"shape", "f32[2,3] f32[3]", "", 0, TERN_ERR_SHAPE},
    {"type", "f32[3] f16[3]", "", 0, TERN_ERR_TYPE},
    {"gamma", "f32[3] f32[3]", "gamma=-1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"alpha", "f32[3] f32[3]", "alpha=-0.5", 0, TERN_ERR_INVALID_ARGUMENT},
};

}  // namespace

extern constinit const Op op_focal_loss = checked_op({.name = "focal_loss",
                                                      .min_in = 2,
                                                      .max_in = 2,
                                                      .capability = Capability::training,
                                                      .attributes = attr_schema<Attrs>(kFields),
                                                      .infer = infer,
                                                      .decompose = decompose,
                                                      .cases = TERN_CASES(kCases)});

}  // namespace tern
