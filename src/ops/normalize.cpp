// SPDX-License-Identifier: Apache-2.0
#include "ops/normalize.h"

#include "ops/move.h"
#include "ops/reduce.h"
#include "ops/unary.h"

namespace tern {

tern_status infer_layer_norm(InferArgs& a) {
  const Shape& x = a.in(0).shape;
  int axis = 0;
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_axis(a, a.attrs<LayerNormAttrs>().axis, x.rank, &axis));
  const Shape rows(std::span<const int64_t>(x.begin() + axis, x.end()));
  for (int i = 1; i < a.num_in(); ++i) {
    if (!a.has(i)) continue;
    Shape s;
    TERN_TRY(require_same_dtype(a, 0, i));
    if (broadcast_shapes(rows, a.in(i).shape, &s) != TERN_OK || !(s == rows))
      return TERN_FAIL(TERN_ERR_SHAPE, "%s: input %d has shape %s, which does not broadcast to %s", a.node.op->name, i,
                       to_string(a.in(i).shape).c_str(), to_string(rows).c_str());
  }
  return infer_unary(a);
}

tern_status infer_channel_norm(InferArgs& a, int min_rank) {
  const Shape& x = a.in(0).shape;
  TERN_TRY(require_float(a, 0));
  if (x.rank < min_rank)
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: input 0 has shape %s, at least %d dims are needed", a.node.op->name,
                     to_string(x).c_str(), min_rank);
  const Shape channels = {x[x.rank - 1]};
  for (int i = 1; i < a.num_in(); ++i) {
    TERN_TRY(require_same_dtype(a, 0, i));
    if (!(a.in(i).shape == channels))
      return TERN_FAIL(TERN_ERR_SHAPE, "%s: input %d has shape %s, %s is needed", a.node.op->name, i,
                       to_string(a.in(i).shape).c_str(), to_string(channels).c_str());
  }
  return infer_unary(a);
}

void layer_norm_vjp(VjpArgs& a, bool center) {
  const LayerNormAttrs& p = a.attrs<LayerNormAttrs>();
  Node n;
  n.op = find_op("layer_norm_grad");
  n.in = {a.in(0), a.dout(0), a.has(1) ? a.in(1) : kNoValue};
  n.attrs<LayerNormGradAttrs>() = {p.axis, p.epsilon, center};
  std::vector<ValueId> outs;
  emit_node(a.g, std::move(n), 3, &outs);
  for (int i = 0; i < 3 && a.g.status == TERN_OK; ++i)
    if (a.wanted(i)) a.set(i, outs[(size_t)i]);
}

IntList axis_range(int first, int end) {
  IntList axes;
  for (int i = first; i < end; ++i) axes[axes.count++] = i;
  return axes;
}

Moments moments(Graph& g, ValueId x, const IntList& axes) {
  const ReduceAttrs p{.axes = axes, .keep_dims = 1};
  const ValueId mean = emit(g, "reduce_mean", {x}, p), centered = sub(g, x, mean);
  return {centered, mean, emit(g, "reduce_mean", {square(g, centered)}, p)};
}

ValueId divide_by_root(Graph& g, ValueId x, ValueId square, double epsilon) {
  return mul(g, x, emit(g, "rsqrt", {plus(g, square, epsilon)}));
}

ValueId scale_and_bias(DecomposeArgs& a, ValueId x, int scale, int bias) {
  if (a.has(scale)) x = mul(a.g, x, widened(a.g, a.in(scale)));
  if (a.has(bias)) x = add(a.g, x, widened(a.g, a.in(bias)));
  return x;
}

}  // namespace tern
