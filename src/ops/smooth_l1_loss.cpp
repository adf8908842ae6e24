// SPDX-License-Identifier: Apache-2.0
// smooth_l1_loss: terms d^2 / (2 beta) where d < beta, else d - beta / 2; d = |x - target|. beta = 0: d
//   x, target  float, same type and shape
//   loss       type of x, [] or with reduction=none the shape of x
//   The Huber loss with delta = beta is beta times this one.
#include "ops/loss.h"
#include "ops/unary.h"

namespace tern {
namespace {

struct Attrs {
  int64_t reduction = kLossMean;
  double beta = 1;
};

tern_status infer(InferArgs& a) {
  TERN_TRY(require_pair(a, 0));
  return infer_loss(a, a.in(0).shape, a.attrs<Attrs>().reduction);
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const Attrs& p = a.attrs<Attrs>();
  const ValueId d = emit(g, "abs", {sub(g, widened(g, a.in(0)), widened(g, a.in(1)))});
  ValueId terms = d;
  if (p.beta > 0) {  // with m = min(d, beta) both branches are m (d - m / 2) / beta
    const ValueId m = emit(g, "min", {d, scalar_like(g, d, p.beta)});
    terms = mul(g, scaled(g, m, 1 / p.beta), sub(g, d, scaled(g, m, 0.5)));
  }
  set_loss(a, terms, p.reduction);
}

constexpr AttrField kFields[] = {TERN_ATTR(Attrs, reduction, choice, 0, 2, kLossReductions),
                                 TERN_ATTR(Attrs, beta, number, 0, 1e6)};

constexpr Case kCases[] = {
    {"mean", "f32[4,7] f32[4,7]"},
    {"beta", "f32[4,7] f32[4,7]", "beta=0.25"},
    {"absolute", "f32[4,7] f32[4,7]", "beta=0 reduction=sum", 1e-4},
    {"none", "f32[131] f32[131]", "reduction=none beta=2"},
    {"equal", "f32[3]{1,2,3} f32[3]{1,2,3}"},
    {"far", "f32[3]{1e30,-1e30,0} f32[3]{0,1e-30,1e-30}", "reduction=none"},
    {"half", "f16[33] f16[33]", "", 5e-3},
    {"empty", "f32[0,3] f32[0,3]"},
    {"shape", "f32[2,3] f32[3]", "", 0, TERN_ERR_SHAPE},
    {"type", "f32[3] f16[3]", "", 0, TERN_ERR_TYPE},
    {"beta_range", "f32[3] f32[3]", "beta=-1", 0, TERN_ERR_INVALID_ARGUMENT},
};

}  // namespace

extern constinit const Op op_smooth_l1_loss = checked_op({.name = "smooth_l1_loss",
                                                          .min_in = 2,
                                                          .max_in = 2,
                                                          .capability = Capability::training,
                                                          .attributes = attr_schema<Attrs>(kFields),
                                                          .infer = infer,
                                                          .decompose = decompose,
                                                          .cases = TERN_CASES(kCases)});

}  // namespace tern
