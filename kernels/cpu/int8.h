// SPDX-License-Identifier: Apache-2.0
// Dot products of four bytes, as kernels of 8-bit integers take them: activations u8 (on Arm s8), weights s8. Included
// only by sources that are built once per set.
#pragma once
#include <string.h>

#include "kernels/cpu/simd.h"
#if defined(__x86_64__)
#include <immintrin.h>  // all vectors' types
#endif

namespace tern::cpu::TERN_ISA {

// Activations are taken as u8 on x86 and as s8 on Arm: the other sign is the same bits with the top one flipped and the
// zero point moved by 128.
#if defined(__aarch64__)
constexpr bool kUnsigned = false;
#else
constexpr bool kUnsigned = true;
#endif
struct Sign {
  uint8_t flip;   // bits that turn a code into what the dot products take
  int32_t moved;  // what that adds to its value
};
TERN_INLINE Sign sign_of(int32_t dtype) {
  if ((dtype == TERN_DTYPE_U8) == kUnsigned) return {0, 0};
  return {0x80, kUnsigned ? 128 : -128};
}

TERN_INLINE int32_t wrap_mul(int32_t a, int32_t b) { return (int32_t)((uint32_t)a * (uint32_t)b); }
TERN_INLINE int32_t wrap_sub(int32_t a, int32_t b) { return (int32_t)((uint32_t)a - (uint32_t)b); }
TERN_INLINE int32_t wrap_add(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }

// Half to even, whatever the rounding mode of the thread is; within int32.
TERN_INLINE VecI to_nearest_int(Vec v) {
#if defined(__AVX512BW__)
  return _mm512_cvt_roundps_epi32(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  return to_int(nearbyint(v));
#endif
}
TERN_INLINE VecI load_ints(const int32_t* p) {
  VecI v;
  memcpy(&v, p, sizeof v);
  return v;
}
TERN_INLINE void store_ints(int32_t* p, VecI v) { memcpy(p, &v, sizeof v); }

#if TERN_SIMD_XSIMD && defined(__x86_64__)
// A vector of N bytes.
template <int N>
struct BytesOf {
  using type = __m128i;
};
template <>
struct BytesOf<32> {
  using type = __m256i;
};
template <>
struct BytesOf<64> {
  using type = __m512i;
};
template <int N>
using Bytes = typename BytesOf<N>::type;

#if defined(__AVX512BW__)
constexpr int kBytes = 64;
#elif defined(__AVX2__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif

template <int N>
TERN_INLINE Bytes<N> load_bytes(const void* p) {
  Bytes<N> v;
  memcpy(&v, p, N);
  return v;
}
template <class V>
TERN_INLINE void store_bytes(void* p, V v) {
  memcpy(p, &v, sizeof v);
}
template <int N>
TERN_INLINE Bytes<N> splat_four(const void* p) {
  int32_t four;
  memcpy(&four, p, 4);
  if constexpr (N == 64) return _mm512_set1_epi32(four);
  else if constexpr (N == 32) return _mm256_set1_epi32(four);
  else return _mm_set1_epi32(four);
}

// Even and odd bytes as 16 bits, with or without sign.
template <class V>
struct Halves {
  V even, odd;
};
template <class V>
TERN_INLINE Halves<V> widen_unsigned(V v) {
  constexpr int N = sizeof(V);
  if constexpr (N == 64) return {_mm512_and_si512(v, _mm512_set1_epi16(255)), _mm512_srli_epi16(v, 8)};
  else if constexpr (N == 32) return {_mm256_and_si256(v, _mm256_set1_epi16(255)), _mm256_srli_epi16(v, 8)};
  else return {_mm_and_si128(v, _mm_set1_epi16(255)), _mm_srli_epi16(v, 8)};
}
template <class V>
TERN_INLINE Halves<V> widen_signed(V v) {
  constexpr int N = sizeof(V);
  if constexpr (N == 64) return {_mm512_srai_epi16(_mm512_slli_epi16(v, 8), 8), _mm512_srai_epi16(v, 8)};
  else if constexpr (N == 32) return {_mm256_srai_epi16(_mm256_slli_epi16(v, 8), 8), _mm256_srai_epi16(v, 8)};
  else return {_mm_srai_epi16(_mm_slli_epi16(v, 8), 8), _mm_srai_epi16(v, 8)};
}

// How the products of four bytes side by side are added to a sum of 32 bits. As assembly: from intrinsics g++ 12 spills
// the sums.
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
struct Dot {
  template <class V>
  TERN_INLINE V activations(V v) {
    return v;
  }
  template <class V>
  TERN_INLINE V weights(V v) {
    return v;
  }
  template <class V>
  TERN_INLINE void add(V& sum, V x, V w) {
#if defined(__AVX512VNNI__)
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "vm"(w));
#else
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(x), "xm"(w));
#endif
  }
};
#else
// 16-bit products of even and of odd bytes.
struct Dot {
  template <class V>
  TERN_INLINE Halves<V> activations(V v) {
    return widen_unsigned(v);
  }
  template <class V>
  TERN_INLINE Halves<V> weights(V v) {
    return widen_signed(v);
  }
  template <class V>
  TERN_INLINE void add(V& sum, Halves<V> x, Halves<V> w) {
#if defined(__AVX2__)
    V even, odd;
    __asm__("vpmaddwd %4, %3, %1\n\tvpmaddwd %6, %5, %2\n\tvpaddd %1, %0, %0\n\tvpaddd %2, %0, %0"
            : "+v"(sum), "=&v"(even), "=&v"(odd)
            : "v"(x.even), "v"(w.even), "v"(x.odd), "v"(w.odd));
#else
    sum = _mm_add_epi32(sum, _mm_add_epi32(_mm_madd_epi16(x.even, w.even), _mm_madd_epi16(x.odd, w.odd)));
#endif
  }
};
#endif

#if defined(__AVX2__) && !defined(__AVX512VNNI__) && !defined(__AVXVNNI__)
#define TERN_INT8_PAIRS 1
// u8 times s8, two products in 16 bits, which saturate; sums of 16 and of 32 bits; two of 16 bits in 32.
template <class V>
TERN_INLINE V mul_pairs(V a, V b) {
  if constexpr (sizeof(V) == 64) return _mm512_maddubs_epi16(a, b);
  else return _mm256_maddubs_epi16(a, b);
}
template <class V>
TERN_INLINE V add_words(V a, V b) {
  if constexpr (sizeof(V) == 64) return _mm512_add_epi16(a, b);
  else return _mm256_add_epi16(a, b);
}
template <class V>
TERN_INLINE V add_ints(V a, V b) {
  if constexpr (sizeof(V) == 64) return _mm512_add_epi32(a, b);
  else return _mm256_add_epi32(a, b);
}
template <class V>
TERN_INLINE V fours(V words) {
  if constexpr (sizeof(V) == 64) return _mm512_madd_epi16(words, _mm512_set1_epi16(1));
  else return _mm256_madd_epi16(words, _mm256_set1_epi16(1));
}

// For weights of which no two side by side exceed 16 bits with their products (pack_int8 tells).
struct PairsDot {
  template <class V>
  TERN_INLINE V activations(V v) {
    return v;
  }
  template <class V>
  TERN_INLINE V weights(V v) {
    return v;
  }
  template <class V>
  TERN_INLINE void add(V& sum, V x, V w) {
    V products, ones;
    if constexpr (sizeof(V) == 64) ones = _mm512_set1_epi16(1);
    else ones = _mm256_set1_epi16(1);
    __asm__("vpmaddubsw %3, %2, %1\n\tvpmaddwd %4, %1, %1\n\tvpaddd %1, %0, %0"
            : "+v"(sum), "=&v"(products)
            : "v"(x), "vm"(w), "v"(ones));
  }
};
#endif
#elif TERN_SIMD_XSIMD && defined(__aarch64__)
TERN_INLINE int8x16_t splat_four(const void* p) {
  int32_t four;
  memcpy(&four, p, 4);
  return vreinterpretq_s8_s32(vdupq_n_s32(four));
}
// The products of four bytes side by side, added to a sum of 32 bits.
TERN_INLINE int32x4_t add_fours(int32x4_t sum, int8x16_t w, int8x16_t x) {
#if defined(__ARM_FEATURE_DOTPROD)
  return vdotq_s32(sum, w, x);
#else
  const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(x)), high = vmull_high_s8(w, x);
  return vaddq_s32(sum, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
#endif
}
#endif

}  // namespace tern::cpu::TERN_ISA
