// SPDX-License-Identifier: Apache-2.0
// Attributes of the reductions and what these share.
#pragma once
#include <cstddef>
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
// softmax_grad: log: the gradient of log_softmax
struct SoftmaxGradAttrs {
  int64_t axis = -1, log = 0;
};

inline constexpr AttrField kReduceFields[] = {TERN_ATTR(ReduceAttrs, axes, integers, -kMaxRank, kMaxRank - 1),
                                              TERN_ATTR(ReduceAttrs, keep_dims, integer, 0, 1)};
inline constexpr AttrField kArgReduceFields[] = {TERN_ATTR(ArgReduceAttrs, axis, integer, -kMaxRank, kMaxRank - 1),
                                                 TERN_ATTR(ArgReduceAttrs, keep_dims, integer, 0, 1),
                                                 TERN_ATTR(ArgReduceAttrs, last_index, integer, 0, 1)};
inline constexpr AttrField kSoftmaxFields[] = {TERN_ATTR(SoftmaxAttrs, axis, integer, -kMaxRank, kMaxRank - 1)};

// ---- shape rules ----

// Axes as a set of bits: bit i of *mask is set if axis i is reduced. Fails for an axis outside the rank or named twice.
tern_status reduced_axes(const IntList& axes, int rank, uint32_t* mask);
Shape reduced_shape(const Shape& x, uint32_t mask, bool keep_dims);

// output 0 = type of input 0 (a number; the second: or bool), reduced shape
tern_status infer_reduce(InferArgs& a);
tern_status infer_reduce_or_bool(InferArgs& a);
// output 0 = i64, shape of input 0 (a number) without the axis, which must not be empty
tern_status infer_arg_reduce(InferArgs& a);
// output 0 = type and shape of input 0, a float that has the axis of SoftmaxAttrs
tern_status infer_softmax(InferArgs& a);

// ---- gradients ----

// A result of the reduction `n` (or its gradient) stretched to the shape of the node's input x.
ValueId expand_reduced(Graph& g, const Node& n, ValueId x, ValueId reduced);
// `op` is reduce_sum or one of its like, over one axis, which stays as a dim of 1.
ValueId reduce_axis(Graph& g, const char* op, ValueId x, int64_t axis);
// 1 / the number of terms of a mean y over x, in the type of y. It is computed from the shapes when a plan is made, so
// that it holds for other sizes of x too.
ValueId one_over_terms(Graph& g, ValueId x, ValueId y);
// The gradients of softmax and log_softmax: softmax_grad.
void softmax_vjp(VjpArgs& a, bool log);
// The gradient of reduce_max and reduce_min: equals share it.
void vjp_reduce_extreme(VjpArgs& a);

// ---- references ----

// acc = f(acc, load(i)) over the elements i of each reduced set, then store(output, acc).
template <class T, class Load, class Store, class F>
void reduce_loop(RefArgs& a, T init, Load load, Store store, F f) {
  const Shape& x = a.in(0).shape;
  uint32_t mask = 0;
  if (reduced_axes(a.attrs<ReduceAttrs>().axes, x.rank, &mask) != TERN_OK) return;
  const Shape kept = reduced_shape(x, mask, true);
  std::vector<T> acc((size_t)kept.elements(), init);
  for (int64_t i = 0, n = x.elements(); i < n; ++i) {
    T& t = acc[(size_t)broadcast_offset(x, kept, i)];
    t = f(t, load(i));
  }
  for (size_t i = 0; i < acc.size(); ++i) store((int64_t)i, acc[i]);
}

// f and finish take double, int64_t or uint64_t. Floats are reduced in double from `init`, integers and bool exactly in
// 64 bits from `init_integer`.
template <class F, class Finish>
tern_status reference_reduce(RefArgs& a, double init, int64_t init_integer, F f, Finish finish) {
  const RefTensor &x = a.in(0), &y = a.out(0);
  const auto store_int = [&](int64_t i, auto v) { y.store_int(i, (int64_t)finish(v)); };
  if (x.dtype == TERN_DTYPE_U64)
    reduce_loop(
        a, (uint64_t)init_integer, [&](int64_t i) { return (uint64_t)x.load_int(i); }, store_int, f);
  else if (!is_float(x.dtype))
    reduce_loop(
        a, init_integer, [&](int64_t i) { return x.load_int(i); }, store_int, f);
  else
    reduce_loop(
        a, init, [&](int64_t i) { return x.load(i); }, [&](int64_t i, double v) { y.store(i, finish(v)); }, f);
  return TERN_OK;
}
template <class F>
tern_status reference_reduce(RefArgs& a, double init, int64_t init_integer, F f) {
  return reference_reduce(a, init, init_integer, f, [](auto v) { return v; });
}

// The least and the greatest value of an integer type or bool (u64: as an int64_t of the same bits).
int64_t lowest_integer(DType dtype);
int64_t highest_integer(DType dtype);

// Signed overflow is not defined in C++; here integers wrap.
inline double wrapping_add(double x, double z) { return x + z; }
inline uint64_t wrapping_add(uint64_t x, uint64_t z) { return x + z; }
inline int64_t wrapping_add(int64_t x, int64_t z) { return (int64_t)((uint64_t)x + (uint64_t)z); }
inline double wrapping_mul(double x, double z) { return x * z; }
inline uint64_t wrapping_mul(uint64_t x, uint64_t z) { return x * z; }
inline int64_t wrapping_mul(int64_t x, int64_t z) { return (int64_t)((uint64_t)x * (uint64_t)z); }

// Calls f(offset of the first element, stride, count, number of the row) for each row along an axis.
template <class F>
void for_each_row(const Shape& shape, int axis, F f) {
  if (shape.elements() == 0) return;
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) outer *= shape[i];
  for (int i = axis + 1; i < shape.rank; ++i) inner *= shape[i];
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i) f(o * shape[axis] * inner + i, inner, shape[axis], o * inner + i);
}

// y = index of the best element of each row; better(x, best) takes two double, int64_t or uint64_t.
template <class F>
tern_status reference_arg_reduce(RefArgs& a, F better) {
  const RefTensor &x = a.in(0), &y = a.out(0);
  const ArgReduceAttrs& p = a.attrs<ArgReduceAttrs>();
  int axis = 0;
  TERN_TRY(normalize_axis(p.axis, x.shape.rank, &axis));
  const auto better_at = [&](int64_t i, int64_t j) {
    if (is_float(x.dtype)) return better(x.load(i), x.load(j));
    if (x.dtype == TERN_DTYPE_U64) return better((uint64_t)x.load_int(i), (uint64_t)x.load_int(j));
    return better(x.load_int(i), x.load_int(j));
  };
  for_each_row(x.shape, axis, [&](int64_t first, int64_t stride, int64_t count, int64_t row) {
    int64_t best = 0;
    for (int64_t k = 1; k < count; ++k) {
      const int64_t i = first + k * stride, j = first + best * stride;
      if (better_at(i, j) || (p.last_index && !better_at(j, i))) best = k;
    }
    y.store_int(row, best);
  });
  return TERN_OK;
}

}  // namespace tern
