// SPDX-License-Identifier: Apache-2.0
#include "ops/loss.h"

#include "ops/reduce.h"
#include "ops/reshape.h"
#include "ops/shape.h"
#include "ops/unary.h"

namespace tern {

tern_status infer_loss(const InferArgs& a, const Shape& terms, int64_t reduction) {
  a.set(0, a.in(0).dtype, reduction == kLossNone ? terms : Shape{});
  return TERN_OK;
}

tern_status require_pair(const InferArgs& a, int min_rank) {
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_same_dtype(a, 0, 1));
  if (a.in(0).shape.rank < min_rank)
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: input 0 has shape %s, at least %d dims are needed", a.node.op->name,
                     to_string(a.in(0).shape).c_str(), min_rank);
  return require_shape(a, 1, a.in(0).shape);
}

bool refuse_second_gradient(VjpArgs& a, int first) {
  for (size_t i = (size_t)first; i < a.node.out.size(); ++i)
    if (a.douts[i] != kNoValue && a.g.status == TERN_OK)
      a.g.status = TERN_FAIL(TERN_ERR_UNSUPPORTED, "%s: its gradient (output %d) cannot be differentiated again",
                             a.node.op->name, (int)i);
  return a.g.status != TERN_OK;
}

void set_loss(DecomposeArgs& a, ValueId terms, int64_t reduction, ValueId counted) {
  Graph& g = a.g;
  const DType dtype = g.value(a.in(0)).dtype;
  ValueId y = terms;
  if (reduction != kLossNone) y = reduce_sum(g, terms, {}, false);
  if (reduction == kLossMean && counted != kNoValue) {
    const ValueId sum = reduce_sum(g, counted, {}, false), one = scalar_like(g, sum, 1);
    y = div(g, y, emit(g, "where", {emit(g, "equal", {sum, scalar_like(g, sum, 0)}), one, sum}));
  } else if (reduction == kLossMean || reduction == kLossBatchMean) {
    const int64_t end = reduction == kLossMean ? kMaxRank : 1;
    const ValueId n = emit(g, "reduce_prod", {emit(g, "shape", {terms}, ShapeAttrs{.end = end})});
    const ValueId count = emit(g, "max", {n, scalar_like(g, n, 1)});
    if (g.status == TERN_OK) y = div(g, y, cast(g, count, g.value(y).dtype));
  }
  a.set(0, narrowed(g, y, dtype));
}

Labels loss_labels(Graph& g, ValueId labels, int64_t ignore_index) {
  const ValueId rows = cast(g, emit(g, "reshape", {labels}, ReshapeAttrs{.shape = {-1}}), TERN_DTYPE_I64);
  const ValueId ignored = emit(g, "equal", {rows, constant_i64(g, ignore_index)});
  return {emit(g, "where", {ignored, constant_i64(g, 0), rows}), ignored};
}

ValueId binary_cross_entropy(Graph& g, ValueId x, ValueId t, ValueId positive_weight) {
  ValueId rest = emit(g, "softplus", {neg(g, x)});
  if (positive_weight != kNoValue) rest = mul(g, rest, plus(g, mul(g, t, plus(g, positive_weight, -1)), 1));
  return add(g, mul(g, minus_from(g, 1, t), x), rest);
}

ValueId sum_last(Graph& g, ValueId x) {
  const int64_t last = -1;
  return reduce_sum(g, x, {&last, 1}, false);
}

ValueId constant_i64(Graph& g, int64_t value) { return add_constant(g, TERN_DTYPE_I64, Shape{}, &value); }

}  // namespace tern
