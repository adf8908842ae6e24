// SPDX-License-Identifier: Apache-2.0
// What the element-wise operators share: checks, the loops of their references, and pieces of gradients.
#pragma once
#include <cmath>

#include "ops/op.h"

namespace tern {

// ---- shape rules ----

// Input i is a float or an integer / is bool.
tern_status require_number(const InferArgs& a, int i);
tern_status require_bool(const InferArgs& a, int i);
// Input i is absent or has this shape.
tern_status require_shape(const InferArgs& a, int i, const Shape& shape);
// output 0 = type and shape of input 0, which is a number / an integer / bool
tern_status infer_unary_number(InferArgs& a);
tern_status infer_unary_integer(InferArgs& a);
tern_status infer_unary_bool(InferArgs& a);
// output 0 = bool, shape of input 0, which is a float
tern_status infer_predicate(InferArgs& a);
// output 0 = type of inputs 0 and 1 (one type: number, integer, bool), their broadcast shape
tern_status infer_binary_number(InferArgs& a);
tern_status infer_binary_integer(InferArgs& a);
tern_status infer_binary_bool(InferArgs& a);
// output 0 = bool, broadcast shape of inputs 0 and 1 (one type: number)
tern_status infer_compare(InferArgs& a);

// ---- references ----

// y[i] = f(x[i]) in double.
template <class F>
tern_status reference_unary(RefArgs& a, F f) {
  const RefTensor &x = a.in(0), &y = a.out(0);
  if (x.is_doubles() && y.is_doubles()) {  // on the CPU this is the kernel for most functions of f64
    for (int64_t i = 0, n = y.elements(); i < n; ++i) ((double*)y.data)[i] = f(((const double*)x.data)[i]);
    return TERN_OK;
  }
  for (int64_t i = 0, n = y.elements(); i < n; ++i) y.store(i, f(x.load(i)));
  return TERN_OK;
}

// The same with `exact` for integer types, so that 64-bit values survive. u64 comes as an int64_t of the same bits.
template <class F, class I>
tern_status reference_unary(RefArgs& a, F f, I exact) {
  const RefTensor &x = a.in(0), &y = a.out(0);
  if (!is_integer(x.dtype)) return reference_unary(a, f);
  for (int64_t i = 0, n = y.elements(); i < n; ++i) y.store_int(i, exact(x.load_int(i)));
  return TERN_OK;
}

// y[i] = f(a[i], b[i]) with broadcasting; `exact` is used for integer types (64-bit values survive), `f` for the
// others.
template <class F, class I>
tern_status reference_binary(RefArgs& a, F f, I exact) {
  const RefTensor &x = a.in(0), &z = a.in(1), &y = a.out(0);
  const bool integer = is_integer(x.dtype);
  for (int64_t i = 0, n = y.elements(); i < n; ++i) {
    const int64_t ix = broadcast_offset(y.shape, x.shape, i), iz = broadcast_offset(y.shape, z.shape, i);
    if (integer) y.store_int(i, exact(x.load_int(ix), z.load_int(iz)));
    else y.store(i, f(x.load(ix), z.load(iz)));
  }
  return TERN_OK;
}

// The same for an f that takes two double, int64_t or uint64_t: for operators where the sign bit matters.
template <class F>
tern_status reference_binary(RefArgs& a, F f) {
  if (a.in(0).dtype == TERN_DTYPE_U64)
    return reference_binary(a, f, [&](int64_t x, int64_t z) { return (int64_t)f((uint64_t)x, (uint64_t)z); });
  return reference_binary(
      a, [&](double x, double z) { return (double)f(x, z); }, [&](int64_t x, int64_t z) { return (int64_t)f(x, z); });
}

// x cut to [low, high]; NaN stays.
inline double between(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

// Half to even, whatever rounding mode the thread has.
inline double round_half_even(double x) {
  const double low = std::floor(x), rest = x - low;
  if (rest != 0.5) return rest < 0.5 ? low : rest > 0.5 ? std::copysign(low + 1, x) : x;  // the last: infinity and NaN
  return std::fmod(low, 2) == 0 ? std::copysign(low, x) : std::copysign(low + 1, x);
}

// ---- pieces of gradients ----

inline ValueId scaled(Graph& g, ValueId x, double factor) { return mul(g, x, scalar_like(g, x, factor)); }
inline ValueId plus(Graph& g, ValueId x, double term) { return add(g, x, scalar_like(g, x, term)); }
inline ValueId minus_from(Graph& g, double from, ValueId x) { return sub(g, scalar_like(g, x, from), x); }
inline ValueId square(Graph& g, ValueId x) { return mul(g, x, x); }
inline ValueId above(Graph& g, ValueId x, double bound) { return emit(g, "greater", {x, scalar_like(g, x, bound)}); }
inline ValueId below(Graph& g, ValueId x, double bound) { return emit(g, "less", {x, scalar_like(g, x, bound)}); }
// x where the condition holds, else 0
inline ValueId masked(Graph& g, ValueId condition, ValueId x) {
  return emit(g, "where", {condition, x, scalar_like(g, x, 0)});
}
// A gradient that is zero almost everywhere.
inline void vjp_zero(VjpArgs&) {}

// ---- pieces of decompositions ----

// f16 and bf16 become f32, so that sums and squares keep their accuracy; other types stay. narrowed: back to `dtype`.
ValueId widened(Graph& g, ValueId x);
ValueId narrowed(Graph& g, ValueId x, DType dtype);

}  // namespace tern
