// SPDX-License-Identifier: Apache-2.0
// kl_divergence: terms sum over c of P[c] (log P[c] - log Q[c])
//   P = softmax(teacher / temperature), Q that of the student; times temperature^2 with temperature_squared
//   teacher, student  float [.., classes], same type and shape; rows  bool [..], which rows count (absent: all)
//   loss  type of the teacher, [] or with reduction=none [..]; mean is over the rows that count, batchmean (PyTorch)
//         the sum over the first dim
//   accuracy: a term is the small rest of large numbers: about 1e-7 in f32, before the factor of temperature^2
//   A class that has P = 0 (a logit of -inf) adds nothing.
#include "ops/loss.h"
#include "ops/unary.h"

namespace tern {
namespace {

using Attrs = KlAttrs;

tern_status infer(InferArgs& a) {
  TERN_TRY(require_pair(a, 1));
  const Shape& x = a.in(0).shape;
  const Shape rows(std::span<const int64_t>(x.begin(), x.end() - 1));
  if (a.has(2)) {
    TERN_TRY(require_bool(a, 2));
    TERN_TRY(require_shape(a, 2, rows));
  }
  return infer_loss(a, rows, a.attrs<Attrs>().reduction);
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const Attrs& p = a.attrs<Attrs>();
  const auto log_softmax = [&](ValueId v) {
    const ValueId x = widened(g, v);
    return emit(g, "log_softmax", {p.temperature == 1 ? x : scaled(g, x, 1 / p.temperature)});
  };
  const ValueId log_p = log_softmax(a.in(0)), log_q = log_softmax(a.in(1)), prob = emit(g, "exp", {log_p});
  ValueId terms = sum_last(g, masked(g, above(g, prob, 0), mul(g, prob, sub(g, log_p, log_q)))), counted = kNoValue;
  if (p.temperature_squared) terms = scaled(g, terms, p.temperature * p.temperature);
  if (a.has(2)) {
    terms = masked(g, a.in(2), terms);
    counted = emit(g, "where", {a.in(2), scalar_like(g, terms, 1), scalar_like(g, terms, 0)});
  }
  set_loss(a, terms, p.reduction, counted);
}

constexpr AttrField kFields[] = {TERN_ATTR(Attrs, reduction, choice, 0, 3, kLossReductions),
                                 TERN_ATTR(Attrs, temperature, number, 1e-3, 1e2),
                                 TERN_ATTR(Attrs, temperature_squared, integer, 0, 1)};

constexpr Case kCases[] = {
    {"mean", "f32[4,7] f32[4,7]"},
    {"temperature", "f32[4,7] f32[4,7]", "temperature=5"},
    {"squared", "f32[4,7] f32[4,7]", "temperature=2.5 temperature_squared=1 reduction=sum", 1e-3},
    {"batchmean", "f32[2,3,5] f32[2,3,5]", "reduction=batchmean"},
    {"none", "f32[2,3,131] f32[2,3,131]", "reduction=none"},
    {"rows", "f32[2,3,5] f32[2,3,5] bool[2,3]{1,0,1,1,0,0}"},
    {"no_rows", "f32[2,5] f32[2,5] bool[2]{0,0}"},
    {"far", "f32[1,3]{0,-1000,-2000} f32[1,3]{0,-1000,1000}"},
    {"vector", "f32[5] f32[5]", "reduction=batchmean"},
    {"half", "f16[3,33] f16[3,33]", "temperature=2", 5e-3},
    {"empty", "f32[0,3] f32[0,3]"},
    {"scalar", "f32[] f32[]", "", 0, TERN_ERR_SHAPE},
    {"shape", "f32[2,3] f32[2,4]", "", 0, TERN_ERR_SHAPE},
    {"rows_shape", "f32[2,3] f32[2,3] bool[3]", "", 0, TERN_ERR_SHAPE},
    {"rows_type", "f32[2,3] f32[2,3] i64[2]", "", 0, TERN_ERR_TYPE},
    {"type", "f32[2,3] f16[2,3]", "", 0, TERN_ERR_TYPE},
    {"temperature_range", "f32[2,3] f32[2,3]", "temperature=0", 0, TERN_ERR_INVALID_ARGUMENT},
};

}  // namespace

extern constinit const Op op_kl_divergence = checked_op({.name = "kl_divergence",
                                                         .min_in = 2,
                                                         .max_in = 3,
                                                         .capability = Capability::training,
                                                         .attributes = attr_schema<Attrs>(kFields),
                                                         .infer = infer,
                                                         .decompose = decompose,
                                                         .cases = TERN_CASES(kCases)});

}  // namespace tern
