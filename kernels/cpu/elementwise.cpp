// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/elementwise.h"

#include <math.h>
#include <string.h>

#include "kernels/cpu/math.h"

namespace tern::cpu::TERN_ISA {
namespace {

// ---- rows of f32 ----

template <class F>
void map_row(const float* x, float* y, int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, f(load(x + i)));
  if (i < n) store_part(y + i, f(load_part(x + i, (int)(n - i))), (int)(n - i));
}

// For long formulas: the tail goes through the same loop, so that the code is there once.
template <class F>
void map_row_long(const float* x, float* y, int64_t n, F f) {
  for (int64_t i = 0; i < n; i += kLanes) {
    const bool whole = i + kLanes <= n;
    const Vec v = f(whole ? load(x + i) : load_part(x + i, (int)(n - i)));
    if (whole) store(y + i, v);
    else store_part(y + i, v, (int)(n - i));
  }
}

template <class F>
void map_scalars(const float* x, float* y, int64_t n, F f) {
  for (int64_t i = 0; i < n; ++i) y[i] = f(x[i]);
}

void unary_row(Unary op, float p0, float p1, const float* x, float* y, int64_t n) {
  const Vec zero = splat(0.0f), one = splat(1.0f), a = splat(p0), b = splat(p1);
  switch (op) {
    case Unary::identity:
      if (x != y) memmove(y, x, (size_t)n * 4);
      return;
    case Unary::neg: return map_row(x, y, n, [](Vec v) { return -v; });
    case Unary::abs: return map_row(x, y, n, [](Vec v) { return abs(v); });
    case Unary::sign:
      return map_row(x, y, n, [=](Vec v) { return select(v > zero, one, select(v < zero, splat(-1.0f), v)); });
    case Unary::square: return map_row(x, y, n, [](Vec v) { return v * v; });
    case Unary::relu: return map_row(x, y, n, [=](Vec v) { return max(zero, v); });
    case Unary::clip: return map_row(x, y, n, [=](Vec v) { return min(b, max(a, v)); });
    case Unary::leaky_relu: return map_row(x, y, n, [=](Vec v) { return select(v < zero, a * v, v); });
    case Unary::elu: return map_row_long(x, y, n, [=](Vec v) { return select(v < zero, a * vexpm1(v), v); });
    case Unary::selu: return map_row_long(x, y, n, [=](Vec v) { return b * select(v < zero, a * vexpm1(v), v); });
    case Unary::celu: return map_row_long(x, y, n, [=](Vec v) { return select(v < zero, a * vexpm1(v / a), v); });
    case Unary::exp: return map_row_long(x, y, n, [](Vec v) { return vexp(v); });
    case Unary::expm1: return map_row_long(x, y, n, [](Vec v) { return vexpm1(v); });
    case Unary::log: return map_row_long(x, y, n, [](Vec v) { return vlog(v); });
    case Unary::log1p: return map_row_long(x, y, n, [](Vec v) { return vlog1p(v); });
    case Unary::sqrt: return map_row(x, y, n, [](Vec v) { return sqrt(v); });
    case Unary::rsqrt: return map_row(x, y, n, [=](Vec v) { return one / sqrt(v); });
    case Unary::reciprocal: return map_row(x, y, n, [=](Vec v) { return one / v; });
    case Unary::floor: return map_row(x, y, n, [](Vec v) { return floor(v); });
    case Unary::ceil: return map_row(x, y, n, [](Vec v) { return ceil(v); });
    case Unary::trunc: return map_row(x, y, n, [](Vec v) { return trunc(v); });
    case Unary::round: return map_row(x, y, n, [](Vec v) { return with_sign_of(nearbyint(v), v); });
    case Unary::sin: return map_scalars(x, y, n, [](float v) { return sinf(v); });
    case Unary::cos: return map_scalars(x, y, n, [](float v) { return cosf(v); });
    case Unary::tan: return map_scalars(x, y, n, [](float v) { return tanf(v); });
    case Unary::asin: return map_scalars(x, y, n, [](float v) { return asinf(v); });
    case Unary::acos: return map_scalars(x, y, n, [](float v) { return acosf(v); });
    case Unary::atan: return map_scalars(x, y, n, [](float v) { return atanf(v); });
    case Unary::sinh: return map_scalars(x, y, n, [](float v) { return sinhf(v); });
    case Unary::cosh: return map_scalars(x, y, n, [](float v) { return coshf(v); });
    case Unary::asinh: return map_scalars(x, y, n, [](float v) { return asinhf(v); });
    case Unary::acosh: return map_scalars(x, y, n, [](float v) { return acoshf(v); });
    case Unary::atanh: return map_scalars(x, y, n, [](float v) { return atanhf(v); });
    case Unary::tanh: return map_row_long(x, y, n, [](Vec v) { return vtanh(v); });
    case Unary::sigmoid: return map_row_long(x, y, n, [](Vec v) { return vsigmoid(v); });
    case Unary::erf: return map_row_long(x, y, n, [](Vec v) { return verf(v); });
    case Unary::hard_sigmoid: return map_row(x, y, n, [=](Vec v) { return min(one, max(zero, a * v + b)); });
    case Unary::hard_swish:
      return map_row(x, y, n,
                     [=](Vec v) { return v * (min(splat(6.0f), max(zero, v + splat(3.0f))) * splat(1.0f / 6)); });
    case Unary::silu: return map_row_long(x, y, n, [](Vec v) { return v * vsigmoid(v); });
    case Unary::gelu_erf:
      return map_row_long(x, y, n, [=](Vec v) { return splat(0.5f) * v * (one + verf(v * splat(0.707106781f))); });
    case Unary::gelu_tanh:
      return map_row_long(x, y, n, [=](Vec v) {
        const Vec inner = splat(0.797884561f) * (v + splat(0.044715f) * v * v * v);
        return splat(0.5f) * v * (one + vtanh(inner));
      });
    case Unary::softplus:
      return map_row_long(x, y, n, [=](Vec v) { return max(zero, v) + vlog1p(vexp_negative(zero - abs(v))); });
    case Unary::softsign: return map_row(x, y, n, [=](Vec v) { return v / (one + abs(v)); });
    case Unary::mish:
      return map_row_long(x, y, n, [=](Vec v) {  // tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2)
        const Vec e = vexp(min(splat(20.0f), v)), t = e * (e + splat(2.0f));
        return v * (t / (t + splat(2.0f)));
      });
    case Unary::threshold: return map_row(x, y, n, [=](Vec v) { return select(v > a, v, b); });
    case Unary::shrink:
      return map_row(x, y, n, [=](Vec v) { return select(v < -a, v + b, select(v > a, v - b, zero)); });
    case Unary::step: return map_row(x, y, n, [=](Vec v) { return select(v > a, one, zero); });
    case Unary::bitwise_not:
    case Unary::logical_not:
    case Unary::is_nan:
    case Unary::is_inf:
    case Unary::count_: return;
  }
}

// At most one of a and b is a scalar.
template <class F>
void map_rows(const float* a, int a_scalar, const float* b, int b_scalar, float* y, int64_t n, F f) {
  int64_t i = 0;
  const int tail = (int)(n % kLanes);
  if (a_scalar) {
    const Vec s = splat(*a);
    for (; i + kLanes <= n; i += kLanes) store(y + i, f(s, load(b + i)));
    if (tail) store_part(y + i, f(s, load_part(b + i, tail)), tail);
  } else if (b_scalar) {
    const Vec s = splat(*b);
    for (; i + kLanes <= n; i += kLanes) store(y + i, f(load(a + i), s));
    if (tail) store_part(y + i, f(load_part(a + i, tail), s), tail);
  } else {
    for (; i + kLanes <= n; i += kLanes) store(y + i, f(load(a + i), load(b + i)));
    if (tail) store_part(y + i, f(load_part(a + i, tail), load_part(b + i, tail)), tail);
  }
}

template <class F>
void map_scalar_pairs(const float* a, int a_scalar, const float* b, int b_scalar, float* y, int64_t n, F f) {
  const float a0 = n > 0 ? *a : 0, b0 = n > 0 ? *b : 0;  // y may be a or b
  for (int64_t i = 0; i < n; ++i) y[i] = f(a_scalar ? a0 : a[i], b_scalar ? b0 : b[i]);
}

float floor_mod(float a, float b) {
  const float r = fmodf(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

void binary_row(Binary op, const float* a, int a_scalar, const float* b, int b_scalar, float* y, int64_t n) {
  float both;
  if (a_scalar && b_scalar) {  // one value: compute it, then spread it
    if (n <= 0) return;
    binary_row(op, a, 0, b, 0, &both, 1);
    for (int64_t i = 0; i < n; ++i) y[i] = both;
    return;
  }
  switch (op) {
    case Binary::add: return map_rows(a, a_scalar, b, b_scalar, y, n, [](Vec p, Vec q) { return p + q; });
    case Binary::sub: return map_rows(a, a_scalar, b, b_scalar, y, n, [](Vec p, Vec q) { return p - q; });
    case Binary::mul: return map_rows(a, a_scalar, b, b_scalar, y, n, [](Vec p, Vec q) { return p * q; });
    case Binary::div: return map_rows(a, a_scalar, b, b_scalar, y, n, [](Vec p, Vec q) { return p / q; });
    case Binary::min:
      return map_rows(a, a_scalar, b, b_scalar, y, n, [](Vec p, Vec q) { return select(p == p, min(p, q), p); });
    case Binary::max:
      return map_rows(a, a_scalar, b, b_scalar, y, n, [](Vec p, Vec q) { return select(p == p, max(p, q), p); });
    case Binary::prelu:
      return map_rows(a, a_scalar, b, b_scalar, y, n, [](Vec p, Vec q) { return select(p < splat(0.0f), p * q, p); });
    case Binary::squared_difference:
      return map_rows(a, a_scalar, b, b_scalar, y, n, [](Vec p, Vec q) {
        const Vec d = p - q;
        return d * d;
      });
    case Binary::pow:
      if (b_scalar && *b == 2.0f) return unary_row(Unary::square, 0, 0, a, y, n);
      if (b_scalar && *b == 1.0f) return unary_row(Unary::identity, 0, 0, a, y, n);
      return map_scalar_pairs(a, a_scalar, b, b_scalar, y, n, [](float p, float q) { return powf(p, q); });
    case Binary::mod: return map_scalar_pairs(a, a_scalar, b, b_scalar, y, n, floor_mod);
    case Binary::fmod:
      return map_scalar_pairs(a, a_scalar, b, b_scalar, y, n, [](float p, float q) { return fmodf(p, q); });
    case Binary::atan2:
      return map_scalar_pairs(a, a_scalar, b, b_scalar, y, n, [](float p, float q) { return atan2f(p, q); });
    default: return;
  }
}

// ---- rows of other types ----
// Integers are rare and small (shapes, masks, indices): plain loops, a tenth of the code that vectors would take.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("no-tree-vectorize")
#endif

template <class T>
struct Unsigned {
  using type = uint64_t;
};
template <>
struct Unsigned<int32_t> {
  using type = uint32_t;
};
template <>
struct Unsigned<uint8_t> {
  using type = uint32_t;  // arithmetic in 32 bits, then cut
};

template <class T, class F>
void map_pairs(const T* a, const T* b, T* y, int64_t n, F f) {
  for (int64_t i = 0; i < n; ++i) y[i] = f(a[i], b[i]);
}
template <class T, class F>
void compare_pairs(const T* a, const T* b, uint8_t* y, int64_t n, F f) {
  for (int64_t i = 0; i < n; ++i) y[i] = f(a[i], b[i]) ? 1 : 0;
}

template <class T>
void compare_row(Binary op, const T* a, const T* b, uint8_t* y, int64_t n) {
  switch (op) {
    case Binary::eq: return compare_pairs(a, b, y, n, [](T p, T q) { return p == q; });
    case Binary::ne: return compare_pairs(a, b, y, n, [](T p, T q) { return p != q; });
    case Binary::lt: return compare_pairs(a, b, y, n, [](T p, T q) { return p < q; });
    case Binary::le: return compare_pairs(a, b, y, n, [](T p, T q) { return p <= q; });
    case Binary::gt: return compare_pairs(b, a, y, n, [](T p, T q) { return p < q; });
    case Binary::ge: return compare_pairs(b, a, y, n, [](T p, T q) { return p <= q; });
    default: return;
  }
}

template <class T>
T divide(T p, T q) {  // towards zero
  if (q == 0) return 0;
  if constexpr ((T)-1 < (T)0)
    if (q == -1) return (T)(0 - (typename Unsigned<T>::type)p);
  return (T)(p / q);
}
template <class T>
T remainder(T p, T q) {  // sign of p
  if (q == 0) return 0;
  if constexpr ((T)-1 < (T)0)
    if (q == -1) return 0;
  return (T)(p % q);
}
template <class T>
T power(T p, T q) {
  using U = typename Unsigned<T>::type;
  if constexpr ((T)-1 < (T)0)
    if (q < 0) return p == 1 ? 1 : p == -1 ? (T)((q & 1) ? -1 : 1) : 0;
  U result = 1, factor = (U)p;
  for (; q != 0; q = (T)(q >> 1), factor *= factor)
    if (q & 1) result *= factor;
  return (T)result;
}

template <class T>
void integer_row(Binary op, const T* a, const T* b, T* y, int64_t n) {
  using U = typename Unsigned<T>::type;
  constexpr T bits = (T)(sizeof(T) * 8);
  switch (op) {
    case Binary::add: return map_pairs(a, b, y, n, [](T p, T q) { return (T)((U)p + (U)q); });
    case Binary::sub: return map_pairs(a, b, y, n, [](T p, T q) { return (T)((U)p - (U)q); });
    case Binary::mul: return map_pairs(a, b, y, n, [](T p, T q) { return (T)((U)p * (U)q); });
    case Binary::div: return map_pairs(a, b, y, n, divide<T>);
    case Binary::min: return map_pairs(a, b, y, n, [](T p, T q) { return p < q ? p : q; });
    case Binary::max: return map_pairs(a, b, y, n, [](T p, T q) { return p > q ? p : q; });
    case Binary::pow: return map_pairs(a, b, y, n, power<T>);
    case Binary::fmod: return map_pairs(a, b, y, n, remainder<T>);
    case Binary::mod:
      return map_pairs(a, b, y, n, [](T p, T q) {
        const T r = remainder(p, q);
        return r != 0 && (r < 0) != (q < 0) ? (T)(r + q) : r;
      });
    case Binary::prelu: return map_pairs(a, b, y, n, [](T p, T q) { return p < 0 ? (T)((U)p * (U)q) : p; });
    case Binary::squared_difference:
      return map_pairs(a, b, y, n, [](T p, T q) { return (T)(((U)p - (U)q) * ((U)p - (U)q)); });
    case Binary::bit_and: return map_pairs(a, b, y, n, [](T p, T q) { return (T)(p & q); });
    case Binary::bit_or: return map_pairs(a, b, y, n, [](T p, T q) { return (T)(p | q); });
    case Binary::bit_xor: return map_pairs(a, b, y, n, [](T p, T q) { return (T)(p ^ q); });
    case Binary::shift_left:
      return map_pairs(a, b, y, n, [](T p, T q) { return q >= 0 && q < bits ? (T)((U)p << (U)q) : (T)0; });
    case Binary::shift_right:
      return map_pairs(a, b, y, n, [](T p, T q) { return q >= 0 && q < bits ? (T)(p >> q) : (T)0; });
    default: return compare_row(op, a, b, (uint8_t*)y, n);
  }
}

void bool_row(Binary op, const uint8_t* a, const uint8_t* b, uint8_t* y, int64_t n) {
  switch (op) {
    case Binary::logical_and:
      return map_pairs(a, b, y, n, [](uint8_t p, uint8_t q) { return (uint8_t)((p != 0) & (q != 0)); });
    case Binary::logical_or:
      return map_pairs(a, b, y, n, [](uint8_t p, uint8_t q) { return (uint8_t)((p != 0) | (q != 0)); });
    case Binary::logical_xor:
      return map_pairs(a, b, y, n, [](uint8_t p, uint8_t q) { return (uint8_t)((p != 0) ^ (q != 0)); });
    default: return integer_row(op, a, b, y, n);
  }
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif

// ---- blocks of broadcast operands ----

constexpr int64_t kChunk = 512;  // elements of an operand that is copied into order first
constexpr int kMaxOperands = 3;

struct Walk;
using RowFn = void (*)(const Walk& walk, const char* const* operand, const int* scalar, char* y, int64_t n);

// Takes units (see plan_blocks) apart into rows of which every operand is contiguous or one scalar.
struct Walk {
  const void* args;
  RowFn row;
  int operands, rank;
  int scalars;  // the row function takes scalars
  int y_size;
  int size[kMaxOperands];
  const char* base[kMaxOperands];
  const int64_t* strides[kMaxOperands];
  const int64_t* dims;
  char* y;
  int64_t block_rows, block_cols;
};

template <class T>
void pick(const T* x, int64_t rows, int64_t cols, int64_t row_stride, int64_t col_stride, T* y) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; ++c) *y++ = x[r * row_stride + c * col_stride];
}
void pick(const char* x, int size, int64_t rows, int64_t cols, int64_t row_stride, int64_t col_stride, char* y) {
  switch (size) {
    case 1: return pick((const uint8_t*)x, rows, cols, row_stride, col_stride, (uint8_t*)y);
    case 2: return pick((const uint16_t*)x, rows, cols, row_stride, col_stride, (uint16_t*)y);
    case 4: return pick((const uint32_t*)x, rows, cols, row_stride, col_stride, (uint32_t*)y);
    default: return pick((const uint64_t*)x, rows, cols, row_stride, col_stride, (uint64_t*)y);
  }
}

void walk_units(const Walk& w, int64_t begin, int64_t end) {
  alignas(64) char buffer[kMaxOperands][kChunk * 8];
  const int last = w.rank - 1;
  const int64_t inner = w.dims[last], all_rows = last > 0 ? w.dims[last - 1] : 1;
  const int64_t col_blocks = (inner + w.block_cols - 1) / w.block_cols,
                row_blocks = (all_rows + w.block_rows - 1) / w.block_rows;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t col = unit % col_blocks * w.block_cols, row = unit / col_blocks % row_blocks * w.block_rows;
    const int64_t outer = unit / col_blocks / row_blocks;
    const int64_t rows = all_rows - row < w.block_rows ? all_rows - row : w.block_rows;
    const int64_t cols = inner - col < w.block_cols ? inner - col : w.block_cols;
    const char* p[kMaxOperands];
    int64_t sr[kMaxOperands], sc[kMaxOperands];
    for (int k = 0; k < w.operands; ++k) {
      sr[k] = last > 0 ? w.strides[k][last - 1] : 0;
      sc[k] = w.strides[k][last];
      int64_t offset = row * sr[k] + col * sc[k], rest = outer;
      for (int d = last - 2; d >= 0; --d) {
        offset += rest % w.dims[d] * w.strides[k][d];
        rest /= w.dims[d];
      }
      p[k] = w.base[k] + offset * w.size[k];
    }
    char* y = w.y + ((outer * all_rows + row) * inner + col) * w.y_size;

    // Short rows are taken several at a time; a row vector that repeats is laid out once per unit.
    const bool flat = cols <= kChunk / 2 && cols == inner;
    const int64_t line = flat ? rows * cols : cols, lines = flat ? 1 : rows;
    bool direct[kMaxOperands], repeats[kMaxOperands], buffered = false;
    int scalar[kMaxOperands];
    for (int k = 0; k < w.operands; ++k) {
      const bool still = sc[k] == 0 || cols == 1, constant = flat ? still && (sr[k] == 0 || rows == 1) : still;
      scalar[k] = constant && w.scalars;
      direct[k] = scalar[k] || (flat ? (sc[k] == 1 || cols == 1) && (sr[k] == cols || rows == 1) : sc[k] == 1);
      if (constant && !w.scalars) direct[k] = false;
      repeats[k] = !direct[k] && (flat ? sr[k] == 0 : sc[k] == 0);
      buffered |= !direct[k];
    }
    const int64_t step = !buffered ? line : flat ? kChunk / cols * cols : kChunk;
    for (int64_t r = 0; r < lines; ++r) {
      for (int64_t i = 0; i < line; i += step) {
        const int64_t n = line - i < step ? line - i : step;
        const char* q[kMaxOperands];
        for (int k = 0; k < w.operands; ++k) {
          const char* at = p[k] + r * sr[k] * w.size[k];
          if (scalar[k]) {
            q[k] = at;
          } else if (direct[k]) {
            q[k] = at + i * w.size[k];
          } else {
            q[k] = buffer[k];
            if (repeats[k] && i > 0) continue;
            if (flat) pick(at + i / cols * sr[k] * w.size[k], w.size[k], n / cols, cols, sr[k], sc[k], buffer[k]);
            else pick(at + i * sc[k] * w.size[k], w.size[k], 1, n, 0, sc[k], buffer[k]);
          }
        }
        w.row(w, q, scalar, y + (r * line + i) * w.y_size, n);
      }
      if (!flat) y += (inner - cols) * w.y_size;
    }
  }
}

// ---- kernels ----

void float_row(const Walk& w, const char* const* p, const int* scalar, char* y, int64_t n) {
  const BinaryArgs& a = *(const BinaryArgs*)w.args;
  binary_row(a.op, (const float*)p[0], scalar[0], (const float*)p[1], scalar[1], (float*)y, n);
  if (a.clip) unary_row(Unary::clip, a.lo, a.hi, (const float*)y, (float*)y, n);
}

void other_row(const Walk& w, const char* const* p, const int*, char* y, int64_t n) {
  const BinaryArgs& a = *(const BinaryArgs*)w.args;
  switch (a.dtype) {
    case TERN_DTYPE_F32: return compare_row(a.op, (const float*)p[0], (const float*)p[1], (uint8_t*)y, n);
    case TERN_DTYPE_I32: return integer_row(a.op, (const int32_t*)p[0], (const int32_t*)p[1], (int32_t*)y, n);
    case TERN_DTYPE_I64: return integer_row(a.op, (const int64_t*)p[0], (const int64_t*)p[1], (int64_t*)y, n);
    default: return bool_row(a.op, (const uint8_t*)p[0], (const uint8_t*)p[1], (uint8_t*)y, n);
  }
}

int size_of(int32_t dtype) {
  switch (dtype) {
    case TERN_DTYPE_I64: return 8;
    case TERN_DTYPE_U8:
    case TERN_DTYPE_BOOL: return 1;
    default: return 4;
  }
}

void binary(const void* args, int64_t begin, int64_t end, void*) {
  const BinaryArgs& a = *(const BinaryArgs*)args;
  const bool compares = a.op >= Binary::eq, floats = a.dtype == TERN_DTYPE_F32 && !compares;
  const int size = size_of(a.dtype);
  const Walk w = {args,
                  floats ? float_row : other_row,
                  2,
                  a.rank,
                  floats,
                  compares ? 1 : size,
                  {size, size, 0},
                  {(const char*)a.a, (const char*)a.b, nullptr},
                  {a.a_strides, a.b_strides, nullptr},
                  a.dims,
                  (char*)a.y,
                  a.block_rows,
                  a.block_cols};
  walk_units(w, begin, end);
}

template <class T>
void select_row(const uint8_t* c, const T* a, const T* b, T* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = c[i] ? a[i] : b[i];
}

void select_row(const Walk& w, const char* const* p, const int*, char* y, int64_t n) {
  const uint8_t* c = (const uint8_t*)p[0];
  switch (w.y_size) {
    case 1: return select_row(c, (const uint8_t*)p[1], (const uint8_t*)p[2], (uint8_t*)y, n);
    case 2: return select_row(c, (const uint16_t*)p[1], (const uint16_t*)p[2], (uint16_t*)y, n);
    case 4: return select_row(c, (const uint32_t*)p[1], (const uint32_t*)p[2], (uint32_t*)y, n);
    default: return select_row(c, (const uint64_t*)p[1], (const uint64_t*)p[2], (uint64_t*)y, n);
  }
}

void select_kernel(const void* args, int64_t begin, int64_t end, void*) {
  const SelectArgs& a = *(const SelectArgs*)args;
  const Walk w = {args,
                  select_row,
                  3,
                  a.rank,
                  0,
                  a.elem_size,
                  {1, a.elem_size, a.elem_size},
                  {(const char*)a.condition, (const char*)a.a, (const char*)a.b},
                  {a.condition_strides, a.a_strides, a.b_strides},
                  a.dims,
                  (char*)a.y,
                  a.block_rows,
                  a.block_cols};
  walk_units(w, begin, end);
}

template <class T, class R, class F>
void map_integers(const void* x, void* y, int64_t n, F f) {
  for (int64_t i = 0; i < n; ++i) ((R*)y)[i] = f(((const T*)x)[i]);
}

template <class T>
void unary_integers(const UnaryArgs& a, const void* x, void* y, int64_t n) {
  using U = typename Unsigned<T>::type;
  switch (a.op) {
    case Unary::neg: return map_integers<T, T>(x, y, n, [](T v) { return (T)(0 - (U)v); });
    case Unary::abs: return map_integers<T, T>(x, y, n, [](T v) { return v < 0 ? (T)(0 - (U)v) : v; });
    case Unary::sign: return map_integers<T, T>(x, y, n, [](T v) { return (T)((v > 0) - (v < 0)); });
    case Unary::square: return map_integers<T, T>(x, y, n, [](T v) { return (T)((U)v * (U)v); });
    case Unary::relu: return map_integers<T, T>(x, y, n, [](T v) { return v > 0 ? v : (T)0; });
    case Unary::clip:
      return map_integers<T, T>(x, y, n, [&a](T v) {
        const int64_t low = v > a.i0 ? v : a.i0, clipped = low < a.i1 ? low : a.i1;
        return (T)clipped;
      });
    case Unary::bitwise_not: return map_integers<T, T>(x, y, n, [](T v) { return (T)~v; });
    case Unary::logical_not: return map_integers<T, T>(x, y, n, [](T v) { return (T)(v == 0); });
    default:
      if (x != y) memmove(y, x, (size_t)n * sizeof(T));
  }
}

void unary(const void* args, int64_t begin, int64_t end, void*) {
  const UnaryArgs& a = *(const UnaryArgs*)args;
  const int64_t first = begin * kUnaryBlock, stop = end * kUnaryBlock < a.count ? end * kUnaryBlock : a.count;
  const int64_t n = stop - first;
  const int size = size_of(a.dtype);
  const char* x = (const char*)a.x + first * size;
  char* y = (char*)a.y + first * (a.op == Unary::is_nan || a.op == Unary::is_inf ? 1 : size);
  if (n <= 0) return;
  switch (a.dtype) {
    case TERN_DTYPE_I32: return unary_integers<int32_t>(a, x, y, n);
    case TERN_DTYPE_I64: return unary_integers<int64_t>(a, x, y, n);
    case TERN_DTYPE_U8:
    case TERN_DTYPE_BOOL: return unary_integers<uint8_t>(a, x, y, n);
    default: break;
  }
  if (a.op == Unary::is_nan) return map_integers<float, uint8_t>(x, y, n, [](float v) { return (uint8_t)(v != v); });
  if (a.op == Unary::is_inf)
    return map_integers<float, uint8_t>(x, y, n, [&a](float v) {
      return (uint8_t)((v == __builtin_inff() && a.p1 != 0) || (v == -__builtin_inff() && a.p0 != 0));
    });
  unary_row(a.op, a.p0, a.p1, (const float*)x, (float*)y, n);
}

}  // namespace

extern const ElementwiseKernels elementwise_kernels;
const ElementwiseKernels elementwise_kernels = {unary, binary, select_kernel, unary_row, binary_row};

}  // namespace tern::cpu::TERN_ISA
