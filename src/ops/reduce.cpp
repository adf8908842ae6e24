// SPDX-License-Identifier: Apache-2.0
#include "ops/reduce.h"

#include "ops/expand.h"
#include "ops/move.h"
#include "ops/reshape.h"
#include "ops/unary.h"

namespace tern {

tern_status reduced_axes(const IntList& axes, int rank, uint32_t* mask) {
  uint32_t m = axes.count == 0 ? (1u << rank) - 1 : 0;
  for (int64_t entry : axes) {
    int axis = 0;
    TERN_TRY(normalize_axis(entry, rank, &axis));
    if (m >> axis & 1) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "axis %d is named twice", axis);
    m |= 1u << axis;
  }
  *mask = m;
  return TERN_OK;
}

Shape reduced_shape(const Shape& x, uint32_t mask, bool keep_dims) {
  Shape s;
  for (int i = 0; i < x.rank; ++i) {
    if (!(mask >> i & 1)) s.push(x[i]);
    else if (keep_dims) s.push(1);
  }
  return s;
}

tern_status infer_reduce_or_bool(InferArgs& a) {
  const ReduceAttrs& p = a.attrs<ReduceAttrs>();
  uint32_t mask = 0;
  TERN_TRY(reduced_axes(p.axes, a.in(0).shape.rank, &mask));
  a.set(0, a.in(0).dtype, reduced_shape(a.in(0).shape, mask, p.keep_dims != 0));
  return TERN_OK;
}

tern_status infer_reduce(InferArgs& a) {
  TERN_TRY(require_number(a, 0));
  return infer_reduce_or_bool(a);
}

tern_status infer_arg_reduce(InferArgs& a) {
  const ArgReduceAttrs& p = a.attrs<ArgReduceAttrs>();
  const Shape& x = a.in(0).shape;
  int axis = 0;
  TERN_TRY(require_number(a, 0));
  TERN_TRY(require_axis(a, p.axis, x.rank, &axis));
  if (x[axis] == 0)
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: axis %d of %s has no elements", a.node.op->name, axis, to_string(x).c_str());
  a.set(0, TERN_DTYPE_I64, reduced_shape(x, 1u << axis, p.keep_dims != 0));
  return TERN_OK;
}

tern_status infer_softmax(InferArgs& a) {
  int axis = 0;
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_axis(a, a.attrs<SoftmaxAttrs>().axis, a.in(0).shape.rank, &axis));
  return infer_unary(a);
}

ValueId expand_reduced(Graph& g, const Node& n, ValueId x, ValueId reduced) {
  if (g.status != TERN_OK) return kNoValue;
  const ReduceAttrs& p = n.attrs<ReduceAttrs>();
  const Shape shape = g.value(x).shape;
  uint32_t mask = 0;
  if ((g.status = reduced_axes(p.axes, shape.rank, &mask)) != TERN_OK) return kNoValue;
  if (!p.keep_dims && mask != 0) reduced = reshape(g, reduced, reduced_shape(shape, mask, true));
  return emit(g, "expand", {reduced, emit(g, "shape", {x})});
}

ValueId reduce_axis(Graph& g, const char* op, ValueId x, int64_t axis) {
  return emit(g, op, {x}, ReduceAttrs{.axes = {axis}, .keep_dims = 1});
}

ValueId one_over_terms(Graph& g, ValueId x, ValueId y) {
  const ValueId terms = emit(g, "reduce_prod", {emit(g, "shape", {x})}),
                results = emit(g, "reduce_prod", {emit(g, "shape", {y})});
  const ValueId count = cast(g, div(g, terms, results), TERN_DTYPE_F64);
  return g.status == TERN_OK ? cast(g, emit(g, "reciprocal", {count}), g.value(y).dtype) : kNoValue;
}

void softmax_vjp(VjpArgs& a, bool log) {
  a.set(0, emit(a.g, "softmax_grad", {a.out(0), a.dout(0)}, SoftmaxGradAttrs{a.attrs<SoftmaxAttrs>().axis, log}));
}

void vjp_reduce_extreme(VjpArgs& a) {
  Graph& g = a.g;
  const ValueId x = a.in(0);
  const ValueId hit = emit(g, "equal", {x, expand_reduced(g, a.node, x, a.out(0))});
  const ValueId share = masked(g, hit, scalar_like(g, x, 1));
  ReduceAttrs p = a.attrs<ReduceAttrs>();
  p.keep_dims = 1;
  const ValueId count = emit(g, "reduce_sum", {share}, p);
  a.set(0, mul(g, div(g, share, count), expand_reduced(g, a.node, x, a.dout(0))));
}

int64_t lowest_integer(DType dtype) {
  switch (dtype) {
    case TERN_DTYPE_I8: return INT8_MIN;
    case TERN_DTYPE_I16: return INT16_MIN;
    case TERN_DTYPE_I32: return INT32_MIN;
    case TERN_DTYPE_I64: return INT64_MIN;
    default: return 0;
  }
}

int64_t highest_integer(DType dtype) {
  switch (dtype) {
    case TERN_DTYPE_I8: return INT8_MAX;
    case TERN_DTYPE_U8: return UINT8_MAX;
    case TERN_DTYPE_I16: return INT16_MAX;
    case TERN_DTYPE_U16: return UINT16_MAX;
    case TERN_DTYPE_I32: return INT32_MAX;
    case TERN_DTYPE_U32: return UINT32_MAX;
    case TERN_DTYPE_I64: return INT64_MAX;
    case TERN_DTYPE_U64: return -1;
    default: return 1;  // bool
  }
}

}  // namespace tern
