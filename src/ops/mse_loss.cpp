// SPDX-License-Identifier: Apache-2.0
// mse_loss: terms (x - target)^2
//   x, target  float, same type and shape
//   loss       type of x, [] or with reduction=none the shape of x
#include "ops/loss.h"
#include "ops/unary.h"

namespace tern {
namespace {

struct Attrs {
  int64_t reduction = kLossMean;
};

tern_status infer(InferArgs& a) {
  TERN_TRY(require_pair(a, 0));
  return infer_loss(a, a.in(0).shape, a.attrs<Attrs>().reduction);
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  set_loss(a, square(g, sub(g, widened(g, a.in(0)), widened(g, a.in(1)))), a.attrs<Attrs>().reduction);
}

constexpr AttrField kFields[] = {TERN_ATTR(Attrs, reduction, choice, 0, 2, kLossReductions)};

constexpr Case kCases[] = {
    {"mean", "f32[4,7] f32[4,7]"},
    {"sum", "f32[131] f32[131]", "reduction=sum", 1e-4},
    {"none", "f32[2,1,3] f32[2,1,3]", "reduction=none"},
    {"scalar", "f32[] f32[]"},
    {"half", "f16[33] f16[33]", "", 5e-3},
    {"empty", "f32[0,3] f32[0,3]"},
    {"empty_none", "f32[0,3] f32[0,3]", "reduction=none"},
    {"shape", "f32[2,3] f32[3]", "", 0, TERN_ERR_SHAPE},
    {"type", "f32[3] f16[3]", "", 0, TERN_ERR_TYPE},
    {"integer", "i32[3] i32[3]", "", 0, TERN_ERR_TYPE},
    {"reduction", "f32[3] f32[3]", "reduction=batchmean", 0, TERN_ERR_INVALID_ARGUMENT},
};

}  // namespace

extern constinit const Op op_mse_loss = checked_op({.name = "mse_loss",
                                                    .min_in = 2,
                                                    .max_in = 2,
                                                    .capability = Capability::training,
                                                    .attributes = attr_schema<Attrs>(kFields),
                                                    .infer = infer,
                                                    .decompose = decompose,
                                                    .cases = TERN_CASES(kCases)});

}  // namespace tern
