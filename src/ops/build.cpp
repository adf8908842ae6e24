// SPDX-License-Identifier: Apache-2.0
// Short forms of emit.
#include "ops/elementwise.h"
#include "ops/reduce.h"
#include "ops/reshape.h"
#include "ops/transpose.h"

namespace tern {

ValueId add(Graph& g, ValueId a, ValueId b) { return emit(g, "add", {a, b}); }
ValueId sub(Graph& g, ValueId a, ValueId b) { return emit(g, "sub", {a, b}); }
ValueId mul(Graph& g, ValueId a, ValueId b) { return emit(g, "mul", {a, b}); }
ValueId div(Graph& g, ValueId a, ValueId b) { return emit(g, "div", {a, b}); }
ValueId neg(Graph& g, ValueId a) { return emit(g, "neg", {a}); }

ValueId scalar_like(Graph& g, ValueId like, double value) {
  if (g.status != TERN_OK) return kNoValue;
  unsigned char bytes[8] = {};
  const DType dtype = g.value(like).dtype;
  store_element(dtype, bytes, 0, value);
  return add_constant(g, dtype, Shape{}, bytes);
}

namespace {

IntList to_list(std::span<const int64_t> values) {
  IntList list;
  for (int64_t v : values)
    if (list.count < kMaxRank) list[list.count++] = v;
  return list;
}

}  // namespace

ValueId reshape(Graph& g, ValueId x, const Shape& shape) {
  return emit(g, "reshape", {x}, ReshapeAttrs{.shape = to_list({shape.begin(), shape.end()}), .allow_zero = 1});
}

ValueId transpose(Graph& g, ValueId x, std::span<const int64_t> permutation) {
  return emit(g, "transpose", {x}, TransposeAttrs{.permutation = to_list(permutation)});
}

ValueId cast(Graph& g, ValueId x, DType dtype) { return emit(g, "cast", {x}, CastAttrs{.to = dtype}); }

ValueId reduce_sum(Graph& g, ValueId x, std::span<const int64_t> axes, bool keep_dims) {
  return emit(g, "reduce_sum", {x}, ReduceAttrs{.axes = to_list(axes), .keep_dims = keep_dims});
}

}  // namespace tern
