// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/quant.h"

#include <string.h>

#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {
namespace {

// ---- one scale per tensor, channel or row ----

struct Limits {
  float low, high;
};
Limits limits(int32_t dtype) {
  switch (dtype) {
    case TERN_DTYPE_U8: return {0, 255};
    case TERN_DTYPE_I16: return {-32768, 32767};
    case TERN_DTYPE_U16: return {0, 65535};
    default: return {-128, 127};
  }
}
int size_of(int32_t dtype) {
  return dtype == TERN_DTYPE_I32 ? 4 : dtype == TERN_DTYPE_I16 || dtype == TERN_DTYPE_U16 ? 2 : 1;
}

// The lowest bytes of each number.
TERN_INLINE void store_codes(int size, VecI codes, char* q, int n) {
#if defined(__AVX512BW__)
  const __mmask16 mask = (__mmask16)((1u << n) - 1);
  if (size == 1) {
    if (n == kLanes) _mm_storeu_si128((__m128i*)q, _mm512_cvtepi32_epi8(codes));
    else _mm512_mask_cvtepi32_storeu_epi8(q, mask, codes);
  } else {
    _mm512_mask_cvtepi32_storeu_epi16(q, mask, codes);
  }
#else
  int32_t t[kLanes];
  memcpy(t, &codes, sizeof t);
#if defined(__AVX2__)
  if (size == 1 && n == kLanes) {  // bytes 0, 4, 8, 12 of both halves
    const __m256i first = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8, 12, -1,
                                           -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m256i halves = _mm256_shuffle_epi8(codes, first);
    return _mm_storel_epi64((__m128i*)q,
                            _mm_unpacklo_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1)));
  }
#endif
  for (int i = 0; i < n; ++i) {
    if (size == 1) ((uint8_t*)q)[i] = (uint8_t)t[i];
    else ((uint16_t*)q)[i] = (uint16_t)t[i];
  }
#endif
}

// step 0: one scale and zero point for all; 1: one each.
void quantise_row(int32_t dtype, Limits limit, const float* x, const float* scale, const int32_t* zero, int step,
                  char* q, int64_t n) {
  const Vec low = splat(limit.low), high = splat(limit.high);
  const int size = size_of(dtype);
  const Vec one_scale = splat(*scale), one_zero = splat(zero ? (float)*zero : 0);
  for (int64_t i = 0; i < n; i += kLanes) {
    const int left = n - i < kLanes ? (int)(n - i) : kLanes;
    const auto read = [left](const float* p) { return left == kLanes ? load(p) : load_part(p, left); };
    Vec zeros = one_zero;
    if (step && zero) {
      alignas(64) float t[kLanes] = {};
      for (int k = 0; k < left; ++k) t[k] = (float)zero[i + k];
      zeros = load(t);
    }
    Vec v = nearbyint(read(x + i) / (step ? read(scale + i) : one_scale));
    v = select(v == v, v, splat(0.0f));
    store_codes(size, to_int(min(high, max(low, v + zeros))), q + i * size, left);
  }
}

template <class T>
void dequantise_row(const T* q, const float* scale, const int32_t* zero, int step, float* x, int64_t n) {
  if (step) {
    for (int64_t i = 0; i < n; ++i) x[i] = (float)((int64_t)q[i] - (zero ? zero[i] : 0)) * scale[i];
  } else if (sizeof(T) < 4) {
    const float s = *scale;
    const int32_t z = zero ? *zero : 0;
    for (int64_t i = 0; i < n; ++i) x[i] = (float)((int32_t)q[i] - z) * s;
  } else {
    const float s = *scale;
    const int64_t z = zero ? *zero : 0;
    for (int64_t i = 0; i < n; ++i) x[i] = (float)((int64_t)q[i] - z) * s;
  }
}

void dequantise_row(int32_t dtype, const char* q, const float* scale, const int32_t* zero, int step, float* x,
                    int64_t n) {
  switch (dtype) {
    case TERN_DTYPE_I8: return dequantise_row((const int8_t*)q, scale, zero, step, x, n);
    case TERN_DTYPE_U8: return dequantise_row((const uint8_t*)q, scale, zero, step, x, n);
    case TERN_DTYPE_I16: return dequantise_row((const int16_t*)q, scale, zero, step, x, n);
    case TERN_DTYPE_U16: return dequantise_row((const uint16_t*)q, scale, zero, step, x, n);
    default: return dequantise_row((const int32_t*)q, scale, zero, step, x, n);
  }
}

template <bool to_codes>
void quant(const void* args, int64_t begin, int64_t end, void*) {
  const QuantArgs& a = *(const QuantArgs*)args;
  const int size = size_of(a.dtype);
  const Limits limit = limits(a.dtype);
  const int64_t col_blocks = (a.channels + kQuantBlock - 1) / kQuantBlock, total = a.outer * a.channels * a.inner;
  for (int64_t u = begin; u < end; ++u) {
    int64_t first, n, channel = 0;
    int step = 0;
    if (a.channels == 1) {
      first = u * kQuantBlock;
      n = total - first < kQuantBlock ? total - first : kQuantBlock;
    } else if (a.inner == 1) {
      channel = u % col_blocks * kQuantBlock;
      first = u / col_blocks * a.channels + channel;
      n = a.channels - channel < kQuantBlock ? a.channels - channel : kQuantBlock;
      step = 1;
    } else {
      channel = u % a.channels;
      first = u * a.inner;
      n = a.inner;
    }
    const int32_t* zero = a.zero ? a.zero + channel : nullptr;
    char* q = (char*)a.q + first * size;
    if constexpr (to_codes) quantise_row(a.dtype, limit, a.x + first, a.scale + channel, zero, step, q, n);
    else dequantise_row(a.dtype, q, a.scale + channel, zero, step, a.x + first, n);
  }
}

}  // namespace

extern const QuantKernels quant_kernels;
const QuantKernels quant_kernels = {quant<true>, quant<false>};

}  // namespace tern::cpu::TERN_ISA
