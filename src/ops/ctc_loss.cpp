// SPDX-License-Identifier: Apache-2.0
// ctc_loss: terms of ctc_alignment for log_softmax(logits)
//   logits  float [time, batch, classes]; logarithms of probabilities stay as they are under log_softmax
//   labels, input_lengths, label_lengths  as there
//   loss    type of the logits, [] or with reduction=none [batch]; mean (PyTorch): of the terms over their label
//           lengths, at least 1
#include "ops/loss.h"
#include "ops/shape.h"
#include "ops/unary.h"

namespace tern {
namespace {

struct Attrs {
  int64_t reduction = kLossMean, blank = 0, zero_infinity = 0;
};

tern_status infer(InferArgs& a) {
  TERN_TRY(require_ctc(a, a.attrs<Attrs>().blank));
  return infer_loss(a, Shape{a.in(0).shape[1]}, a.attrs<Attrs>().reduction);
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const Attrs& p = a.attrs<Attrs>();
  const auto lengths = [&](int i) { return a.has(i) ? a.in(i) : kNoValue; };
  ValueId terms =
      emit(g, "ctc_alignment", {emit(g, "log_softmax", {widened(g, a.in(0))}), a.in(1), lengths(2), lengths(3)},
           CtcAttrs{p.blank, p.zero_infinity});
  if (p.reduction == kLossMean && g.status == TERN_OK) {
    const ValueId n = a.has(3) ? a.in(3) : emit(g, "shape", {a.in(1)}, ShapeAttrs{1, 2});
    terms = div(g, terms, cast(g, emit(g, "max", {n, scalar_like(g, n, 1)}), g.value(terms).dtype));
  }
  set_loss(a, terms, p.reduction);
}

constexpr AttrField kFields[] = {TERN_ATTR(Attrs, reduction, choice, 0, 2, kLossReductions),
                                 TERN_ATTR(Attrs, blank, integer, 0, 1e9),
                                 TERN_ATTR(Attrs, zero_infinity, integer, 0, 1)};

constexpr Case kCases[] = {
    {"mean", "f32[6,2,5] i64[2,2]{1,2,3,3}", "", 1e-4},
    {"lengths", "f32[7,3,5] i64[3,3]{1,1,4,2,-1,-1,3,4,9} i64[3]{7,5,6} i32[3]{3,1,2}", "", 1e-4},
    {"sum", "f32[5,2,4] i32[2,2]{0,1,2,2}", "blank=3 reduction=sum", 1e-4},
    {"none", "f32[5,2,4] i32[2,2]{1,2,2,2} - i64[2]{2,0}", "reduction=none", 1e-4},
    {"zero_infinity", "f32[2,2,4] i64[2,2]{1,1,1,2}", "zero_infinity=1", 1e-4},
    {"half", "f16[6,2,5] i64[2,2]{1,2,3,3}", "", 5e-3},
    {"no_batch", "f32[3,0,4] i64[0,2]"},
    {"no_length", "f32[3,1,4] i64[1,0]"},
    {"over", "f32[3,1,4] i64[1,1]{4}", "", 0, TERN_ERR_INDEX},
    {"a_blank", "f32[3,1,4] i64[1,1]{0}", "", 0, TERN_ERR_INDEX},
    {"frames", "f32[3,1,4] i64[1,1]{1} i64[1]{4}", "", 0, TERN_ERR_INDEX},
    {"blank_over", "f32[3,1,4] i64[1,1]", "blank=4", 0, TERN_ERR_INVALID_ARGUMENT},
    {"batch", "f32[3,2,4] i64[1,1]", "", 0, TERN_ERR_SHAPE},
    {"rank", "f32[3,4] i64[1,1]", "", 0, TERN_ERR_SHAPE},
    {"type", "f32[3,1,4] f32[1,1]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_ctc_loss = checked_op({.name = "ctc_loss",
                                                    .min_in = 2,
                                                    .max_in = 4,
                                                    .capability = Capability::training,
                                                    .attributes = attr_schema<Attrs>(kFields),
                                                    .infer = infer,
                                                    .decompose = decompose,
                                                    .cases = TERN_CASES(kCases)});

}  // namespace tern
