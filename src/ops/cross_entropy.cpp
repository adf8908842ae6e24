// SPDX-License-Identifier: Apache-2.0
// cross_entropy: terms w[label] (1 - s) n[label] + s / classes * sum over c of w[c] n[c]
//   n = -log softmax(logits), s the label_smoothing
//   logits  float [.., classes]; labels  integer [..]
//   w       weights of the classes, type of the logits, [classes] (absent: 1)
//   loss    type of the logits, [] or with reduction=none [..]
//   mean divides by the sum of w[label]. The term of a label that is ignore_index is 0 and does not count; where none
//   counts the mean is 0 (PyTorch: NaN).
//   Any other label outside [-classes, classes) is TERN_ERR_INDEX; a negative one counts from the end.
#include "ops/gather.h"
#include "ops/loss.h"
#include "ops/reshape.h"
#include "ops/unary.h"

namespace tern {
namespace {

struct Attrs {
  int64_t reduction = kLossMean, ignore_index = -100;
  double label_smoothing = 0;
};

tern_status infer(InferArgs& a) {
  const Shape& x = a.in(0).shape;
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_integer(a, 1));
  if (x.rank < 1 || x[x.rank - 1] == 0)
    return TERN_FAIL(TERN_ERR_SHAPE, "cross_entropy: logits of shape %s have no classes", to_string(x).c_str());
  const Shape rows(std::span<const int64_t>(x.begin(), x.end() - 1));
  TERN_TRY(require_shape(a, 1, rows));
  if (a.has(2)) {
    TERN_TRY(require_same_dtype(a, 0, 2));
    TERN_TRY(require_shape(a, 2, Shape{x[x.rank - 1]}));
  }
  return infer_loss(a, rows, a.attrs<Attrs>().reduction);
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const Attrs& p = a.attrs<Attrs>();
  const Shape x = g.value(a.in(0)).shape;
  const int64_t classes = x[x.rank - 1];
  const ValueId logits = widened(g, emit(g, "reshape", {a.in(0)}, ReshapeAttrs{.shape = {-1, classes}}));
  const Labels labels = loss_labels(g, a.in(1), p.ignore_index);
  const ValueId weights = a.has(2) ? widened(g, a.in(2)) : kNoValue;
  ValueId terms = emit(g, "softmax_cross_entropy", {logits, labels.safe}), one = scalar_like(g, terms, 1);
  if (weights != kNoValue) {
    one = emit(g, "gather", {weights, labels.safe}, GatherAttrs{0});
    terms = mul(g, terms, one);
  }
  if (p.label_smoothing > 0) {
    ValueId all = emit(g, "log_softmax", {logits});
    if (weights != kNoValue) all = mul(g, all, weights);
    const ValueId spread = scaled(g, sum_last(g, all), -p.label_smoothing / (double)classes);
    terms = add(g, scaled(g, terms, 1 - p.label_smoothing), spread);
  }
  const ValueId zero = scalar_like(g, terms, 0);
  terms = emit(g, "where", {labels.ignored, zero, terms});
  if (p.reduction == kLossNone)
    terms = emit(g, "reshape", {terms, emit(g, "shape", {a.in(1)})}, ReshapeAttrs{.shape = {}, .allow_zero = 1});
  set_loss(a, terms, p.reduction, emit(g, "where", {labels.ignored, zero, one}));
}

constexpr AttrField kFields[] = {TERN_ATTR(Attrs, reduction, choice, 0, 2, kLossReductions),
                                 TERN_ATTR(Attrs, ignore_index, integer, -kLargestIndex, kLargestIndex),
                                 TERN_ATTR(Attrs, label_smoothing, number, 0, 1)};

constexpr Case kCases[] = {
    {"mean", "f32[4,7] i64[4]{0,6,3,3}"},
    {"ignored", "f32[4,7] i32[4]{0,-100,3,-100}"},
    {"all_ignored", "f32[2,7] i64[2]{-100,-100}"},
    {"ignore_zero", "f32[4,7] i64[4]{0,1,0,2}", "ignore_index=0 reduction=sum"},
    {"unsigned", "f32[3,5] u8[3]{0,4,156}", "ignore_index=156"},
    {"weights", "f32[5,3] i64[5]{0,1,2,2,-100} f32[3]:0.5..3"},
    {"no_weight", "f32[2,3] i64[2]{1,1} f32[3]{1,0,1}"},
    {"smooth", "f32[4,7] i64[4]{0,6,-100,3}", "label_smoothing=0.1"},
    {"smooth_weights", "f32[4,7] i64[4]{0,6,-100,3} f32[7]:0.5..3", "label_smoothing=0.25 reduction=none"},
    {"tokens", "f32[2,3,5] i64[2,3]{0,4,-100,1}", "reduction=none"},
    {"odd", "f32[3,131] i64[3]{130,0,64}"},
    {"vector", "f32[5] i64[]{3}"},
    {"from_end", "f32[2,3] i64[2]{-1,-3}"},
    {"half", "f16[3,33] i64[3]{1,2,-100} f16[33]:0.5..2", "label_smoothing=0.1", 1e-2},
    {"empty", "f32[0,3] i64[0]"},
    {"empty_none", "f32[2,0,3] i64[2,0]", "reduction=none"},
    {"over", "f32[2,3] i64[2]{0,3}", "", 0, TERN_ERR_INDEX},
    {"under", "f32[2,3] i64[2]{0,-4}", "", 0, TERN_ERR_INDEX},
    {"not_ignored", "f32[2,3] i64[2]{0,-100}", "ignore_index=-1", 0, TERN_ERR_INDEX},
    {"huge", "f32[1,3] i64[1]{9223372036854775807}", "", 0, TERN_ERR_INDEX},
    {"no_classes", "f32[2,0] i64[2]", "", 0, TERN_ERR_SHAPE},
    {"scalar", "f32[] i64[]", "", 0, TERN_ERR_SHAPE},
    {"batch", "f32[2,3] i64[3]", "", 0, TERN_ERR_SHAPE},
    {"weights_shape", "f32[2,3] i64[2] f32[2]", "", 0, TERN_ERR_SHAPE},
    {"labels_type", "f32[2,3] f32[2]", "", 0, TERN_ERR_TYPE},
    {"weights_type", "f32[2,3] i64[2] f16[3]", "", 0, TERN_ERR_TYPE},
    {"smoothing", "f32[2,3] i64[2]", "label_smoothing=1.5", 0, TERN_ERR_INVALID_ARGUMENT},
};

}  // namespace

extern constinit const Op op_cross_entropy = checked_op({.name = "cross_entropy",
                                                         .min_in = 2,
                                                         .max_in = 3,
                                                         .capability = Capability::training,
                                                         .attributes = attr_schema<Attrs>(kFields),
                                                         .infer = infer,
                                                         .decompose = decompose,
                                                         .cases = TERN_CASES(kCases)});

}  // namespace tern
