// SPDX-License-Identifier: Apache-2.0
// Attributes of the reductions and what these share.
#pragma once
#include <vector>

#include "ops/op.h"

namespace tern {

// reduce_sum, reduce_mean, reduce_max, reduce_min, reduce_prod
struct ReduceAttrs {
  IntList axes;           // empty = all; each once; negative ones count from the end
  int64_t keep_dims = 0;  // reduced dims stay as 1
};
// arg_max, arg_min
struct ArgReduceAttrs {
  int64_t axis = 0, keep_dims = 0;
  int64_t last_index = 0;  // which among equals: 0 the first, 1 the last
};
struct CumsumAttrs {
  int64_t axis = 0, exclusive = 0, reverse = 0;
};
// softmax, log_softmax
struct SoftmaxAttrs {
  int64_t axis = -1;
};

// Axes as a set of bits: bit i of *mask is set if axis i is reduced. Fails for an axis outside the rank or named twice.
tern_status reduced_axes(const IntList& axes, int rank, uint32_t* mask);
Shape reduced_shape(const Shape& x, uint32_t mask, bool keep_dims);

// output 0 = type of input 0 (a number; bool too for reduce_max and reduce_min), reduced shape
tern_status infer_reduce(InferArgs& a);
tern_status infer_reduce_or_bool(InferArgs& a);
tern_status infer_arg_reduce(InferArgs& a);
// A float input 0 and an axis of it in SoftmaxAttrs.
tern_status infer_softmax(InferArgs& a);

// A reduction's result (or its gradient) stretched to the shape of x, the input of node `n`.
ValueId expand_reduced(Graph& g, const Node& n, ValueId x, ValueId reduced);
// emit of "reduce_sum" and its like over one axis, which stays as a dim of 1
ValueId reduce_axis(Graph& g, const char* op, ValueId x, int64_t axis);
// The gradient of reduce_max and reduce_min: equals share it.
void vjp_reduce_extreme(VjpArgs& a);

// The loop of the references in one type: acc = f(acc, x) over each reduced set, then y = finish(acc, count).
template <class T, class Load, class Store, class F>
void reduce_loop(RefArgs& a, T init, Load load, Store store, F f) {
  const RefTensor &x = a.in(0), &y = a.out(0);
  const ReduceAttrs& p = a.attrs<ReduceAttrs>();
  uint32_t mask = 0;
  if (reduced_axes(p.axes, x.shape.rank, &mask) != TERN_OK) return;
  const Shape kept = reduced_shape(x.shape, mask, true);
  std::vector<T> acc((size_t)y.elements(), init);
  for (int64_t i = 0, n = x.elements(); i < n; ++i) {
    T& t = acc[(size_t)broadcast_offset(x.shape, kept, i)];
    t = f(t, load(i));
  }
  for (size_t i = 0; i < acc.size(); ++i) store((int64_t)i, acc[i]);
}

// `f` takes two double, int64_t or uint64_t. Floats are reduced in double from `init`, integers and bool exactly in 64 bits
// from `init_integer`.
template <class F>
tern_status reference_reduce(RefArgs& a, double init, int64_t init_integer, F f) {
  const RefTensor &x = a.in(0), &y = a.out(0);
  const auto store_int = [&](int64_t i, auto v) { y.store_int(i, (int64_t)v); };
  if (x.dtype == TERN_DTYPE_U64) reduce_loop(a, (uint64_t)init_integer, [&](int64_t i) { return (uint64_t)x.load_int(i); }, store_int, f);
  else if (!is_float(x.dtype)) reduce_loop(a, init_integer, [&](int64_t i) { return x.load_int(i); }, store_int, f);
  else reduce_loop(a, init, [&](int64_t i) { return x.load(i); }, [&](int64_t i, double v) { y.store(i, v); }, f);
  return TERN_OK;
}

// The least and the greatest value of an integer type or bool (u64: as an int64_t of the same bits).
int64_t lowest_integer(DType dtype);
int64_t highest_integer(DType dtype);

}  // namespace tern
