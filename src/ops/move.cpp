// SPDX-License-Identifier: Apache-2.0
#include "ops/move.h"

#include "ops/fill.h"

namespace tern {

tern_status require_known(const InferArgs& a, int i, int64_t most, std::vector<int64_t>* out) {
  const Value& v = a.in(i);
  if (!v.data)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "%s: input %d ('%s') must follow from constants and dims, but depends on data", a.node.op->name, i,
                     v.name.c_str());
  if (v.shape.rank > 1 || v.shape.elements() > most || !is_integer(v.dtype))
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: input %d has type %s%s; up to %" PRId64 " integers are needed",
                     a.node.op->name, i, dtype_name(v.dtype), to_string(v.shape).c_str(), most);
  out->resize((size_t)v.shape.elements());
  for (size_t k = 0; k < out->size(); ++k) (*out)[k] = load_integer(v.dtype, v.data.bytes, (int64_t)k);
  return TERN_OK;
}

tern_status require_axis(const InferArgs& a, int64_t axis, int rank, int* out) {
  if (normalize_axis(axis, rank, out) == TERN_OK) return TERN_OK;
  return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s: axis %" PRId64 " is outside a tensor of rank %d", a.node.op->name,
                   axis, rank);
}

tern_status append_dims(const InferArgs& a, const Shape& b, int from, int to, Shape* shape) {
  if (to > from && shape->rank + (to - from) > kMaxRank)
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: the result would have more than %d dims", a.node.op->name, kMaxRank);
  for (int i = from; i < to; ++i) shape->push(b[i]);
  return TERN_OK;
}

ValueId filled(Graph& g, DType dtype, const Shape& shape, double value) {
  FillAttrs p;
  p.value = value;
  p.dtype = dtype;
  p.shape.count = shape.rank;
  for (int i = 0; i < shape.rank; ++i) p.shape[i] = shape[i];
  return emit(g, "fill", {}, p);
}

tern_status bad_index(const RefArgs& a, int i, int64_t index, int64_t n) {
  return TERN_FAIL(TERN_ERR_INDEX, "%s: input %d holds the index %" PRId64 ", the axis has %" PRId64 " entries",
                   a.node.op->name, i, index, n);
}

}  // namespace tern
