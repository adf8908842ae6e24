// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/reduce.h"

#include <math.h>

#include "kernels/cpu/math.h"
#include "kernels/cpu/rows_f64.h"

namespace tern::cpu::TERN_ISA_F64 {
extern const RowsF64Kernels rows_f64_kernels;
}
namespace tern::cpu::TERN_ISA {

namespace {

// Sums are kept in three levels: up to 64 terms, up to 64 sums of the first level, and the rest.
constexpr int kLevel = 64;

bool is_sum(Reduce op) { return op != Reduce::max && op != Reduce::min; }

TERN_INLINE Vec greater(Vec m, Vec v) { return select(v > m, v, select(v == v, m, v)); }  // NaN wins and stays
TERN_INLINE Vec lesser(Vec m, Vec v) { return select(v < m, v, select(v == v, m, v)); }

// The element as it enters a sum. `shift` is the maximum, for log_sum_exp, and one of the elements, for a mean.
template <Reduce op>
TERN_INLINE Vec term(Vec v, Vec shift) {
  if constexpr (op == Reduce::sum_squares) return v * v;
  else if constexpr (op == Reduce::l1) return abs(v);
  else if constexpr (op == Reduce::log_sum_exp) return vexp_negative(v - shift);
  else if constexpr (op == Reduce::mean) return v - shift;
  else return v;
}

template <Reduce op>
TERN_INLINE Vec join(Vec m, Vec v, Vec shift) {
  if constexpr (op == Reduce::max) return greater(m, v);
  else if constexpr (op == Reduce::min) return lesser(m, v);
  else return m + term<op>(v, shift);
}

float start(Reduce op) { return op == Reduce::max ? -__builtin_inff() : op == Reduce::min ? __builtin_inff() : 0.0f; }

float join_scalars(Reduce op, float a, float b) {
  if (op == Reduce::max) return b > a || b != b ? b : a;
  if (op == Reduce::min) return b < a || b != b ? b : a;
  return a + b;
}

// One contiguous run of n floats.
template <Reduce op>
[[gnu::noinline]] float run(const float* x, int64_t n, float first, float shift_value) {
  const Vec shift = splat(shift_value), begin = splat(first);
  Vec low[4] = {begin, begin, begin, begin}, middle = begin, high = begin;
  int in_low = 0, in_middle = 0;
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    for (int k = 0; k < 4; ++k) low[k] = join<op>(low[k], load(x + i + k * kLanes), shift);
    if constexpr (op != Reduce::max && op != Reduce::min) {
      if (++in_low == kLevel) {
        middle += (low[0] + low[1]) + (low[2] + low[3]);
        low[0] = low[1] = low[2] = low[3] = begin;
        in_low = 0;
        if (++in_middle == kLevel) high += middle, middle = begin, in_middle = 0;
      }
    }
  }
  for (; i + kLanes <= n; i += kLanes) low[0] = join<op>(low[0], load(x + i), shift);
  float total;
  alignas(64) float lanes[kLanes];
  if constexpr (op == Reduce::max || op == Reduce::min) {
    store(lanes, join<op>(join<op>(low[0], low[1], shift), join<op>(low[2], low[3], shift), shift));
    total = lanes[0];
    for (int k = 1; k < kLanes; ++k) total = join_scalars(op, total, lanes[k]);
    for (; i < n; ++i) total = join_scalars(op, total, x[i]);
  } else {
    if (i < n) {  // lanes past the end must add zero
      Vec v = term<op>(load_part(x + i, (int)(n - i)), shift);
      store(lanes, v);
      for (int k = (int)(n - i); k < kLanes; ++k) lanes[k] = 0;
      low[1] += load(lanes);
    }
    total = sum_lanes((((low[0] + low[1]) + (low[2] + low[3])) + middle) + high);
  }
  return total;
}

float run(Reduce op, const float* x, int64_t n, float first, float shift) {
  switch (op) {
    case Reduce::max: return run<Reduce::max>(x, n, first, 0);
    case Reduce::min: return run<Reduce::min>(x, n, first, 0);
    case Reduce::sum_squares:
    case Reduce::l2: return run<Reduce::sum_squares>(x, n, first, 0);
    case Reduce::l1: return run<Reduce::l1>(x, n, first, 0);
    case Reduce::log_sum_exp: return run<Reduce::log_sum_exp>(x, n, first, shift);
    case Reduce::mean: return run<Reduce::mean>(x, n, first, shift);
    default: return run<Reduce::sum>(x, n, first, 0);
  }
}

float finish(Reduce op, float v, float shift, int64_t count) {
  switch (op) {
    case Reduce::mean: return v / (float)count + shift;
    case Reduce::l2: return sqrtf(v);
    case Reduce::log_sum: return logf(v);
    case Reduce::log_sum_exp: return logf(v) + shift;
    default: return v;
  }
}

float finite_or_zero(float m) { return m - m == 0 ? m : 0; }

// What a mean is measured from, so that its error follows the spread of the elements and not their size.
float origin_of(float x) { return x > -1e30f && x < 1e30f ? x : 0; }

[[gnu::noinline]] float reduce_rows(const ReduceArgs& a, Reduce op, const float* x, float shift) {
  const float first = start(op);
  ReducedIndices at = {a};
  float low = first, middle = first, high = first;
  int in_low = 0, in_middle = 0;
  for (int64_t r = 0; r < a.reduced_count; ++r, at.next()) {
    low = join_scalars(op, low, run(op, x + at.offset, a.inner, first, shift));
    if (is_sum(op) && ++in_low == kLevel) {
      middle += low, low = 0, in_low = 0;
      if (++in_middle == kLevel) high += middle, middle = 0, in_middle = 0;
    }
  }
  return is_sum(op) ? (low + middle) + high : low;
}

// Columns col .. col + n of the kept inner dim, n <= kReduceCols, over all reduced rows.
template <Reduce op>
[[gnu::noinline]] void columns(const ReduceArgs& a, const float* x, int n, const float* shift, float* y) {
  constexpr int kVecs = (int)(kReduceCols / kLanes);
  const Vec begin = splat(start(op));
  Vec low[kVecs], middle[kVecs], high[kVecs];
  for (int k = 0; k < kVecs; ++k) low[k] = middle[k] = high[k] = begin;
  ReducedIndices at = {a};
  int in_low = 0, in_middle = 0;
  const int whole = n / kLanes, tail = n % kLanes;
  for (int64_t r = 0; r < a.reduced_count; ++r, at.next()) {
    const float* row = x + at.offset;
    if (n == kReduceCols) {
      for (int k = 0; k < kVecs; ++k) low[k] = join<op>(low[k], load(row + k * kLanes), load(shift + k * kLanes));
    } else {
      for (int k = 0; k < whole; ++k) low[k] = join<op>(low[k], load(row + k * kLanes), load(shift + k * kLanes));
      if (tail) low[whole] = join<op>(low[whole], load_part(row + whole * kLanes, tail), load(shift + whole * kLanes));
    }
    if constexpr (op != Reduce::max && op != Reduce::min) {
      if (++in_low == kLevel) {
        for (int k = 0; k < kVecs; ++k) middle[k] += low[k], low[k] = begin;
        in_low = 0;
        if (++in_middle == kLevel) {
          for (int k = 0; k < kVecs; ++k) high[k] += middle[k], middle[k] = begin;
          in_middle = 0;
        }
      }
    }
  }
  for (int k = 0; k < kVecs; ++k) {
    if constexpr (op != Reduce::max && op != Reduce::min) low[k] = (low[k] + middle[k]) + high[k];
    store(y + k * kLanes, low[k]);
  }
}

void columns(Reduce op, const ReduceArgs& a, const float* x, int n, const float* shift, float* y) {
  switch (op) {
    case Reduce::max: return columns<Reduce::max>(a, x, n, shift, y);
    case Reduce::min: return columns<Reduce::min>(a, x, n, shift, y);
    case Reduce::sum_squares:
    case Reduce::l2: return columns<Reduce::sum_squares>(a, x, n, shift, y);
    case Reduce::l1: return columns<Reduce::l1>(a, x, n, shift, y);
    case Reduce::log_sum_exp: return columns<Reduce::log_sum_exp>(a, x, n, shift, y);
    case Reduce::mean: return columns<Reduce::mean>(a, x, n, shift, y);
    default: return columns<Reduce::sum>(a, x, n, shift, y);
  }
}

// Products, kept in f64: those in f32 may pass infinity or zero on the way to a result that is neither. With the inner
// dim reduced y is one number, else n columns.
[[gnu::noinline]] void products(const ReduceArgs& a, const float* x, int n, float* y) {
  constexpr int kParts = 8;
  double product[kReduceCols];
  for (double& p : product) p = 1;
  ReducedIndices at = {a};
  for (int64_t r = 0; r < a.reduced_count; ++r, at.next()) {
    const float* row = x + at.offset;
    if (!a.inner_reduced) {
      for (int i = 0; i < n; ++i) product[i] *= row[i];
      continue;
    }
    int64_t i = 0;
    for (; i + kParts <= a.inner; i += kParts)
      for (int k = 0; k < kParts; ++k) product[k] *= row[i + k];
    for (; i < a.inner; ++i) product[i % kParts] *= row[i];
  }
  if (a.inner_reduced) {
    for (int k = 1; k < kParts; ++k) product[0] *= product[k];
    n = 1;
  }
  for (int i = 0; i < n; ++i) y[i] = (float)product[i];
}

void reduce_f32(const ReduceArgs& a, int64_t begin, int64_t end) {
  const float* x = (const float*)a.x;
  float* y = (float*)a.y;
  const int64_t count = a.reduced_count * (a.inner_reduced ? a.inner : 1);
  if (a.inner_reduced) {
    for (int64_t u = begin; u < end; ++u) {
      const float* row = x + kept_offset(a, u);
      if (a.op == Reduce::prod) {
        products(a, row, 1, y + u);
        continue;
      }
      float shift = a.op == Reduce::mean && count > 0 ? origin_of(*row) : 0;
      if (a.op == Reduce::log_sum_exp) {
        const float m = reduce_rows(a, Reduce::max, row, 0);
        shift = finite_or_zero(m);
        if (shift != m) {  // infinite or NaN, or nothing to reduce
          y[u] = m;
          continue;
        }
      }
      y[u] = finish(a.op, reduce_rows(a, a.op, row, shift), shift, count);
    }
    return;
  }
  const int64_t blocks = (a.inner + kReduceCols - 1) / kReduceCols;
  alignas(64) float shift[kReduceCols] = {}, greatest[kReduceCols], result[kReduceCols];
  for (int64_t u = begin; u < end; ++u) {
    const int64_t kept = u / blocks, col = u % blocks * kReduceCols;
    const int n = (int)(a.inner - col < kReduceCols ? a.inner - col : kReduceCols);
    const float* from = x + kept_offset(a, kept) + col;
    float* to = y + kept * a.inner + col;
    if (a.op == Reduce::prod) {
      products(a, from, n, to);
      continue;
    }
    if (a.op == Reduce::log_sum_exp) {
      columns(Reduce::max, a, from, n, shift, greatest);
      for (int i = 0; i < n; ++i) shift[i] = finite_or_zero(greatest[i]);
    } else if (a.op == Reduce::mean && count > 0) {
      for (int i = 0; i < n; ++i) shift[i] = origin_of(from[i]);
    }
    columns(a.op, a, from, n, shift, result);
    for (int i = 0; i < n; ++i)
      to[i] = a.op == Reduce::log_sum_exp && shift[i] != greatest[i] ? greatest[i]
                                                                     : finish(a.op, result[i], shift[i], count);
  }
}

// Rare and small: not worth vector code.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("no-tree-vectorize")
#endif
template <class T, class U>
void reduce_integers(const ReduceArgs& a, int64_t begin, int64_t end, T least, T greatest) {
  const int64_t blocks = (a.inner + kReduceCols - 1) / kReduceCols;
  const int64_t count = a.reduced_count * (a.inner_reduced ? a.inner : 1);
  for (int64_t u = begin; u < end; ++u) {
    const int64_t kept = a.inner_reduced ? u : u / blocks, col = a.inner_reduced ? 0 : u % blocks * kReduceCols;
    const int64_t outputs = a.inner_reduced ? 1 : a.inner - col < kReduceCols ? a.inner - col : kReduceCols;
    const int64_t length = a.inner_reduced ? a.inner : 1;
    for (int64_t o = 0; o < outputs; ++o) {
      const T* x = (const T*)a.x + kept_offset(a, kept) + col + o;
      T m = a.op == Reduce::max ? least : a.op == Reduce::min ? greatest : a.op == Reduce::prod ? (T)1 : (T)0;
      ReducedIndices at = {a};
      for (int64_t r = 0; r < a.reduced_count; ++r, at.next())
        for (int64_t i = 0; i < length; ++i) {
          const T v = x[at.offset + i];
          switch (a.op) {
            case Reduce::max: m = v > m ? v : m; break;
            case Reduce::min: m = v < m ? v : m; break;
            case Reduce::prod: m = (T)((U)m * (U)v); break;
            case Reduce::sum_squares: m = (T)((U)m + (U)v * (U)v); break;
            case Reduce::l1: m = (T)((U)m + (v < 0 ? 0 - (U)v : (U)v)); break;
            default: m = (T)((U)m + (U)v);
          }
        }
      if (a.op == Reduce::mean) m = count > 0 ? (T)(m / (T)count) : (T)0;
      ((T*)a.y)[a.inner_reduced ? kept : kept * a.inner + col + o] = m;
    }
  }
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif

void reduce(const void* args, int64_t begin, int64_t end, void*) {
  const ReduceArgs& a = *(const ReduceArgs*)args;
  switch (a.dtype) {
    case TERN_DTYPE_I32: return reduce_integers<int32_t, uint32_t>(a, begin, end, INT32_MIN, INT32_MAX);
    case TERN_DTYPE_I64: return reduce_integers<int64_t, uint64_t>(a, begin, end, INT64_MIN, INT64_MAX);
    case TERN_DTYPE_BOOL: return reduce_integers<uint8_t, uint32_t>(a, begin, end, 0, 1);
    case TERN_DTYPE_F64: return TERN_ISA_F64::rows_f64_kernels.reduce(args, begin, end, nullptr);
    default: return reduce_f32(a, begin, end);
  }
}

template <class T>
bool is_better(const ArgReduceArgs& a, T v, T m) {
  const bool nan = v != v, held = m != m;
  const bool better = nan ? !held : !held && (a.least ? v < m : v > m);
  const bool equal = nan ? held : v == m;
  return better || (a.last && equal);
}

constexpr int64_t kArgBlock = 64;
// Does a block hold what may be better than m? NaN may. Rare types and wishes have no block that is passed over.
template <class T>
[[gnu::noinline]] bool may_be_better(const ArgReduceArgs& a, const T* x, T m) {
  if constexpr ((T)0.5f == 0) return true;
  if (a.last) return true;
  int any = 0;
  if (a.least) {
#pragma GCC unroll 1
    for (int i = 0; i < kArgBlock; ++i) any |= !(x[i] >= m);
  } else {
#pragma GCC unroll 1
    for (int i = 0; i < kArgBlock; ++i) any |= !(x[i] <= m);
  }
  return any != 0;
}

template <class T>
int64_t arg_of_row(const ArgReduceArgs& a, const T* x) {
  int64_t at = 0;
  for (int64_t k = 0; k < a.axis; k += kArgBlock) {
    const int64_t end = a.axis - k < kArgBlock ? a.axis : k + kArgBlock;
    if (end - k == kArgBlock && !may_be_better(a, x + k, x[at])) continue;
    for (int64_t i = k; i < end; ++i)
      if (i > 0 && is_better(a, x[i], x[at])) at = i;
  }
  return at;
}

template <class T>
void arg_reduce(const ArgReduceArgs& a, int64_t begin, int64_t end) {
  const int64_t width = a.inner == 1 ? 1 : kReduceCols, blocks = (a.inner + width - 1) / width;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t outer = u / blocks, col = u % blocks * width, n = a.inner - col < width ? a.inner - col : width;
    const T* x = (const T*)a.x + outer * a.axis * a.inner + col;
    T best[kReduceCols];
    int64_t* y = a.y + outer * a.inner + col;
    if (a.inner == 1) {
      *y = arg_of_row(a, x);
      continue;
    }
    for (int64_t i = 0; i < n; ++i) best[i] = x[i], y[i] = 0;
    for (int64_t k = 1; k < a.axis; ++k) {
      const T* row = x + k * a.inner;
      for (int64_t i = 0; i < n; ++i) {
        if (is_better(a, row[i], best[i])) best[i] = row[i], y[i] = k;
      }
    }
  }
}

void arg_reduce(const void* args, int64_t begin, int64_t end, void*) {
  const ArgReduceArgs& a = *(const ArgReduceArgs*)args;
  switch (a.dtype) {
    case TERN_DTYPE_I32: return arg_reduce<int32_t>(a, begin, end);
    case TERN_DTYPE_I64: return arg_reduce<int64_t>(a, begin, end);
    case TERN_DTYPE_U8: return arg_reduce<uint8_t>(a, begin, end);
    case TERN_DTYPE_I8: return arg_reduce<int8_t>(a, begin, end);
    case TERN_DTYPE_F64: return arg_reduce<double>(a, begin, end);
    default: return arg_reduce<float>(a, begin, end);
  }
}

}  // namespace

extern const ReduceKernels reduce_kernels;
const ReduceKernels reduce_kernels = {reduce, arg_reduce};

}  // namespace tern::cpu::TERN_ISA
