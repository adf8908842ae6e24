// SPDX-License-Identifier: Apache-2.0
// The common pairs have loops of their own; the others go through double or int64 in small blocks.
#include "kernels/cpu/elementwise.h"

#include <string.h>

#include "base/round_to_odd.h"
#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {
namespace {

constexpr int kBlock = 256;

int size_of(int32_t dtype) {
  switch (dtype) {
    case TERN_DTYPE_I8:
    case TERN_DTYPE_U8:
    case TERN_DTYPE_BOOL: return 1;
    case TERN_DTYPE_F16:
    case TERN_DTYPE_BF16:
    case TERN_DTYPE_I16:
    case TERN_DTYPE_U16: return 2;
    case TERN_DTYPE_F64:
    case TERN_DTYPE_I64:
    case TERN_DTYPE_U64: return 8;
    default: return 4;
  }
}

bool is_float(int32_t dtype) { return dtype >= TERN_DTYPE_F32 && dtype <= TERN_DTYPE_F64; }

void f16_to_f32_row(const uint16_t* x, float* y, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, load_f16(x + i));
  if (i < n) store_part(y + i, load_f16_part(x + i, (int)(n - i)), (int)(n - i));
}
void f32_to_f16_row(const float* x, uint16_t* y, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store_f16(y + i, load(x + i));
  if (i < n) store_f16_part(y + i, load_part(x + i, (int)(n - i)), (int)(n - i));
}
void bf16_to_f32_row(const uint16_t* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = __builtin_bit_cast(float, (uint32_t)x[i] << 16);
}
void f32_to_bf16_row(const float* x, uint16_t* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t v = __builtin_bit_cast(uint32_t, x[i]);
    const uint32_t rounded = (v + 0x7fffu + (v >> 16 & 1u)) >> 16, nan = v >> 16 | 0x40u;
    y[i] = (uint16_t)((v & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
  }
}

template <class T>
void int_to_f32_row(const T* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = (float)x[i];
}

// Towards zero, saturating, NaN gives 0. least and end: the range [least, end) as floating numbers.
template <class T, class F>
T saturate(F v, F least, F end, T lowest, T greatest) {
  if (!(v > least)) return v == v ? lowest : (T)0;
  return v < end ? (T)v : greatest;
}
template <class T, class F>
void float_to_int_row(const F* x, T* y, int64_t n) {
  constexpr bool is_signed = (T)-1 < (T)0;
  constexpr T greatest = is_signed ? (T)(((uint64_t)1 << (sizeof(T) * 8 - 1)) - 1) : (T) ~(T)0;
  constexpr T lowest = is_signed ? (T)(-greatest - 1) : (T)0;
  const F end = (F)((uint64_t)greatest / 2 + 1) * 2, least = is_signed ? -end - (sizeof(T) < sizeof(F) ? 1 : 0) : (F)-1;
  for (int64_t i = 0; i < n; ++i) y[i] = saturate<T, F>(x[i], least, end, lowest, greatest);
}

// Rarely used pairs: plain code.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("no-tree-vectorize")
#endif
template <class T, class M>
void widen(const void* x, M* m, int64_t n) {
  for (int64_t i = 0; i < n; ++i) m[i] = (M)((const T*)x)[i];
}
template <class T>
void narrow(const int64_t* m, void* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) ((T*)y)[i] = (T)m[i];
}

void to_double(int32_t from, const void* x, double* m, int64_t n) {
  float t[kBlock];
  switch (from) {
    case TERN_DTYPE_F32: return widen<float>(x, m, n);
    case TERN_DTYPE_F64: return widen<double>(x, m, n);
    case TERN_DTYPE_I8: return widen<int8_t>(x, m, n);
    case TERN_DTYPE_I16: return widen<int16_t>(x, m, n);
    case TERN_DTYPE_U16: return widen<uint16_t>(x, m, n);
    case TERN_DTYPE_I32: return widen<int32_t>(x, m, n);
    case TERN_DTYPE_U32: return widen<uint32_t>(x, m, n);
    case TERN_DTYPE_I64: return widen<int64_t>(x, m, n);
    case TERN_DTYPE_U64: return widen<uint64_t>(x, m, n);
    case TERN_DTYPE_F16: f16_to_f32_row((const uint16_t*)x, t, n); return widen<float>(t, m, n);
    case TERN_DTYPE_BF16: bf16_to_f32_row((const uint16_t*)x, t, n); return widen<float>(t, m, n);
    default: return widen<uint8_t>(x, m, n);
  }
}

void from_double(int32_t to, const double* m, void* y, int64_t n) {
  float t[kBlock];
  switch (to) {
    case TERN_DTYPE_F64: memcpy(y, m, (size_t)n * 8); return;
    case TERN_DTYPE_I8: return float_to_int_row(m, (int8_t*)y, n);
    case TERN_DTYPE_U8: return float_to_int_row(m, (uint8_t*)y, n);
    case TERN_DTYPE_I16: return float_to_int_row(m, (int16_t*)y, n);
    case TERN_DTYPE_U16: return float_to_int_row(m, (uint16_t*)y, n);
    case TERN_DTYPE_I32: return float_to_int_row(m, (int32_t*)y, n);
    case TERN_DTYPE_U32: return float_to_int_row(m, (uint32_t*)y, n);
    case TERN_DTYPE_I64: return float_to_int_row(m, (int64_t*)y, n);
    case TERN_DTYPE_U64: return float_to_int_row(m, (uint64_t*)y, n);
    case TERN_DTYPE_BOOL:
      for (int64_t i = 0; i < n; ++i) ((uint8_t*)y)[i] = m[i] != 0;
      return;
    default: break;
  }
  if (to == TERN_DTYPE_F32) {
    for (int64_t i = 0; i < n; ++i) ((float*)y)[i] = (float)m[i];
    return;
  }
  for (int64_t i = 0; i < n; ++i) t[i] = round_to_odd_f32(m[i]);
  if (to == TERN_DTYPE_F16) f32_to_f16_row(t, (uint16_t*)y, n);
  if (to == TERN_DTYPE_BF16) f32_to_bf16_row(t, (uint16_t*)y, n);
}

void to_int64(int32_t from, const void* x, int64_t* m, int64_t n) {
  switch (from) {
    case TERN_DTYPE_I8: return widen<int8_t>(x, m, n);
    case TERN_DTYPE_I16: return widen<int16_t>(x, m, n);
    case TERN_DTYPE_U16: return widen<uint16_t>(x, m, n);
    case TERN_DTYPE_I32: return widen<int32_t>(x, m, n);
    case TERN_DTYPE_U32: return widen<uint32_t>(x, m, n);
    case TERN_DTYPE_I64:
    case TERN_DTYPE_U64: return widen<int64_t>(x, m, n);
    default: return widen<uint8_t>(x, m, n);
  }
}

void from_int64(int32_t to, const int64_t* m, void* y, int64_t n) {
  switch (size_of(to)) {
    case 1:
      if (to == TERN_DTYPE_BOOL) {
        for (int64_t i = 0; i < n; ++i) ((uint8_t*)y)[i] = m[i] != 0;
        return;
      }
      return narrow<uint8_t>(m, y, n);
    case 2: return narrow<uint16_t>(m, y, n);
    case 4: return narrow<uint32_t>(m, y, n);
    default: return narrow<uint64_t>(m, y, n);
  }
}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif

bool convert_directly(int32_t from, int32_t to, const void* x, void* y, int64_t n) {
  if (from == to) {
    if (x != y) memmove(y, x, (size_t)(n * size_of(from)));
    return true;
  }
  if (to == TERN_DTYPE_F32) {
    switch (from) {
      case TERN_DTYPE_F16: f16_to_f32_row((const uint16_t*)x, (float*)y, n); return true;
      case TERN_DTYPE_BF16: bf16_to_f32_row((const uint16_t*)x, (float*)y, n); return true;
      case TERN_DTYPE_I8: int_to_f32_row((const int8_t*)x, (float*)y, n); return true;
      case TERN_DTYPE_U8:
      case TERN_DTYPE_BOOL: int_to_f32_row((const uint8_t*)x, (float*)y, n); return true;
      case TERN_DTYPE_I32: int_to_f32_row((const int32_t*)x, (float*)y, n); return true;
      // rounded once, not by way of double
      case TERN_DTYPE_I64: int_to_f32_row((const int64_t*)x, (float*)y, n); return true;
      case TERN_DTYPE_U64: int_to_f32_row((const uint64_t*)x, (float*)y, n); return true;
      default: return false;
    }
  }
  if (from == TERN_DTYPE_F32) {
    switch (to) {
      case TERN_DTYPE_F16: f32_to_f16_row((const float*)x, (uint16_t*)y, n); return true;
      case TERN_DTYPE_BF16: f32_to_bf16_row((const float*)x, (uint16_t*)y, n); return true;
      case TERN_DTYPE_U8: float_to_int_row((const float*)x, (uint8_t*)y, n); return true;
      case TERN_DTYPE_I32: float_to_int_row((const float*)x, (int32_t*)y, n); return true;
      default: return false;
    }
  }
  return false;
}

void convert(const void* args, int64_t begin, int64_t end, void*) {
  const ConvertArgs& a = *(const ConvertArgs*)args;
  const int64_t first = begin * kConvertBlock, stop = end * kConvertBlock < a.count ? end * kConvertBlock : a.count;
  if (first >= stop) return;
  const int from = size_of(a.from), to = size_of(a.to);
  const char* x = (const char*)a.x;
  char* y = (char*)a.y;
  if (convert_directly(a.from, a.to, x + first * from, y + first * to, stop - first)) return;
  const bool floats = is_float(a.from) || is_float(a.to);
  for (int64_t i = first; i < stop; i += kBlock) {
    const int64_t n = stop - i < kBlock ? stop - i : kBlock;
    union {
      double d[kBlock];
      int64_t i64[kBlock];
    } middle;
    if (floats) {
      to_double(a.from, x + i * from, middle.d, n);
      from_double(a.to, middle.d, y + i * to, n);
    } else {
      to_int64(a.from, x + i * from, middle.i64, n);
      from_int64(a.to, middle.i64, y + i * to, n);
    }
  }
}

}  // namespace

extern const ConvertKernels convert_kernels;
const ConvertKernels convert_kernels = {convert};

}  // namespace tern::cpu::TERN_ISA
