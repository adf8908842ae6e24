// SPDX-License-Identifier: Apache-2.0
// Vectors of the instruction set that this source is being compiled for.
//
//   Vec    kLanes floats: xsimd::batch<float, Arch>, or four plain floats on processors that xsimd does not know
//   VecI   kLanes int32
//   Mask   one truth value per lane (what `a < b` gives)
//
// Operators (+ - * / and comparisons) and the functions min, max, abs, sqrt, floor, ceil, trunc, nearbyint, select, fma
// (a*b+c) and fnma (c-a*b) work on Vec. Only the sets with a fused instruction round fma once.
// `max(a, b)` gives b when a lane is NaN on x86: write max(bound, x) to let a NaN in x pass.
//
// Included only by sources that are built once per set (see kernel.h). Everything here has internal linkage: a function
// with a common name that was compiled for AVX-512 must never be the one that the linker keeps for everybody.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/float16.h"
#include "kernels/cpu/kernel.h"

#if (defined(__x86_64__) || defined(__aarch64__)) && !defined(TERN_PLAIN_VECTORS)  // tests build the plain ones too
#define TERN_SIMD_XSIMD 1
#include <xsimd/xsimd.hpp>
#else
#define TERN_SIMD_XSIMD 0
#include <cmath>
#endif

#if defined(__aarch64__) && TERN_SIMD_XSIMD
#include "kernels/cpu/simd_neon.h"
#endif

#ifndef TERN_ISA
#error "TERN_ISA must name the instruction set under compilation"
#endif

// Small functions of the inner loops: a call would cost more than they do, and would leave a weak symbol in debug
// builds.
#define TERN_INLINE [[maybe_unused]] static inline __attribute__((always_inline))

namespace tern::cpu::TERN_ISA {

#if TERN_SIMD_XSIMD
#if defined(__AVX512BW__) && defined(__AVX512VL__)
using Arch = xsimd::avx512bw;
#elif defined(__AVX2__) && defined(__FMA__)
using Arch = xsimd::fma3<xsimd::avx2>;
#elif defined(__x86_64__) && TERN_SIMD_XSIMD
using Arch = xsimd::sse2;
#else
using Arch = xsimd::neon64;
#endif
using Vec = xsimd::batch<float, Arch>;
using VecI = xsimd::batch<int32_t, Arch>;
using Mask = xsimd::batch_bool<float, Arch>;
constexpr int kLanes = (int)Vec::size;

using xsimd::abs;
using xsimd::ceil;
using xsimd::floor;
using xsimd::max;
using xsimd::min;
using xsimd::nearbyint;
using xsimd::select;
using xsimd::sqrt;
using xsimd::trunc;

TERN_INLINE Vec splat(float x) { return Vec(x); }
TERN_INLINE Vec load(const float* p) { return Vec::load_unaligned(p); }
TERN_INLINE void store(float* p, Vec v) { v.store_unaligned(p); }
#if defined(__AVX512BW__)  // xsimd 8.1 multiplies and adds here
TERN_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
TERN_INLINE Vec fnma(Vec a, Vec b, Vec c) { return _mm512_fnmadd_ps(a, b, c); }
#elif defined(__aarch64__)
TERN_INLINE Vec fma(Vec a, Vec b, Vec c) { return vfmaq_f32(c, a, b); }
TERN_INLINE Vec fnma(Vec a, Vec b, Vec c) { return vfmsq_f32(c, a, b); }
#else
TERN_INLINE Vec fma(Vec a, Vec b, Vec c) { return xsimd::fma(a, b, c); }
TERN_INLINE Vec fnma(Vec a, Vec b, Vec c) { return xsimd::fnma(a, b, c); }
#endif
TERN_INLINE VecI bits(Vec v) { return xsimd::bitwise_cast<VecI>(v); }
TERN_INLINE Vec from_bits(VecI v) { return xsimd::bitwise_cast<Vec>(v); }
TERN_INLINE VecI to_int(Vec v) { return xsimd::to_int(v); }  // towards zero; outside int32: unspecified value
TERN_INLINE Vec to_float(VecI v) { return xsimd::to_float(v); }

#else  // no xsimd: four floats, which compilers turn into whatever the processor has

constexpr int kLanes = 4;
template <class T>
struct Four {
  T v[4];
};
struct Mask : Four<bool> {};
struct VecI : Four<int32_t> {
  VecI() = default;
  explicit VecI(int32_t x) : Four{{x, x, x, x}} {}
};
struct Vec : Four<float> {
  Vec() = default;
  explicit Vec(float x) : Four{{x, x, x, x}} {}
};

template <class R, class A, class F>
TERN_INLINE R map(A a, F f) {
  R r;
  for (int i = 0; i < 4; ++i) r.v[i] = f(a.v[i]);
  return r;
}
template <class R, class A, class F>
TERN_INLINE R map(A a, A b, F f) {
  R r;
  for (int i = 0; i < 4; ++i) r.v[i] = f(a.v[i], b.v[i]);
  return r;
}
#define TERN_OPERATOR(R, A, op)                                 \
  TERN_INLINE R operator op(A a, A b) {                         \
    return map<R>(a, b, [](auto x, auto y) { return x op y; }); \
  }
TERN_OPERATOR(Vec, Vec, +)
TERN_OPERATOR(Vec, Vec, -)
TERN_OPERATOR(Vec, Vec, *)
TERN_OPERATOR(Vec, Vec, /)
TERN_OPERATOR(Mask, Vec, <)
TERN_OPERATOR(Mask, Vec, <=)
TERN_OPERATOR(Mask, Vec, >)
TERN_OPERATOR(Mask, Vec, >=)
TERN_OPERATOR(Mask, Vec, ==)
TERN_OPERATOR(Mask, Vec, !=)
TERN_OPERATOR(VecI, VecI, &)
TERN_OPERATOR(VecI, VecI, |)
TERN_OPERATOR(VecI, VecI, ^)
TERN_OPERATOR(Mask, Mask, &)
TERN_OPERATOR(Mask, Mask, |)
#undef TERN_OPERATOR
TERN_INLINE VecI operator+(VecI a, VecI b) {
  return map<VecI>(a, b, [](int32_t x, int32_t y) { return (int32_t)((uint32_t)x + (uint32_t)y); });
}
TERN_INLINE VecI operator-(VecI a, VecI b) {
  return map<VecI>(a, b, [](int32_t x, int32_t y) { return (int32_t)((uint32_t)x - (uint32_t)y); });
}
TERN_INLINE VecI operator<<(VecI a, int n) {
  return map<VecI>(a, [n](int32_t x) { return (int32_t)((uint32_t)x << n); });
}
TERN_INLINE VecI operator>>(VecI a, int n) {
  return map<VecI>(a, [n](int32_t x) { return x >> n; });
}
TERN_INLINE Mask operator!(Mask a) {
  return map<Mask>(a, [](bool x) { return !x; });
}
TERN_INLINE Vec operator-(Vec a) {
  return map<Vec>(a, [](float x) { return -x; });
}
TERN_INLINE Vec& operator+=(Vec& a, Vec b) { return a = a + b; }
TERN_INLINE Vec& operator-=(Vec& a, Vec b) { return a = a - b; }
TERN_INLINE Vec& operator*=(Vec& a, Vec b) { return a = a * b; }
TERN_INLINE Vec min(Vec a, Vec b) {
  return map<Vec>(a, b, [](float x, float y) { return x < y ? x : y; });
}
TERN_INLINE Vec max(Vec a, Vec b) {
  return map<Vec>(a, b, [](float x, float y) { return x > y ? x : y; });
}
TERN_INLINE Vec abs(Vec a) {
  return map<Vec>(a, [](float x) { return __builtin_fabsf(x); });
}
TERN_INLINE Vec sqrt(Vec a) {
  return map<Vec>(a, [](float x) { return __builtin_sqrtf(x); });
}
TERN_INLINE Vec floor(Vec a) {
  return map<Vec>(a, [](float x) { return __builtin_floorf(x); });
}
TERN_INLINE Vec ceil(Vec a) {
  return map<Vec>(a, [](float x) { return __builtin_ceilf(x); });
}
TERN_INLINE Vec trunc(Vec a) {
  return map<Vec>(a, [](float x) { return __builtin_truncf(x); });
}
TERN_INLINE Vec nearbyint(Vec a) {
  return map<Vec>(a, [](float x) { return __builtin_nearbyintf(x); });
}
TERN_INLINE Vec fma(Vec a, Vec b, Vec c) { return a * b + c; }
TERN_INLINE Vec fnma(Vec a, Vec b, Vec c) { return c - a * b; }
TERN_INLINE Vec select(Mask m, Vec a, Vec b) {
  Vec r;
  for (int i = 0; i < 4; ++i) r.v[i] = m.v[i] ? a.v[i] : b.v[i];
  return r;
}
TERN_INLINE Vec splat(float x) { return Vec(x); }
TERN_INLINE Vec load(const float* p) {
  Vec r;
  for (int i = 0; i < 4; ++i) r.v[i] = p[i];
  return r;
}
TERN_INLINE void store(float* p, Vec v) {
  for (int i = 0; i < 4; ++i) p[i] = v.v[i];
}
TERN_INLINE VecI bits(Vec v) { return std::bit_cast<VecI>(v); }
TERN_INLINE Vec from_bits(VecI v) { return std::bit_cast<Vec>(v); }
TERN_INLINE VecI to_int(Vec v) {
  return map<VecI>(v, [](float x) { return x >= -0x1p31f && x < 0x1p31f ? (int32_t)x : INT32_MIN; });
}
TERN_INLINE Vec to_float(VecI v) {
  return map<Vec>(v, [](int32_t x) { return (float)x; });
}
#endif

// The first n lanes, 0 <= n <= kLanes. Memory past them is neither read nor written; load gives zero there.
TERN_INLINE Vec load_part(const float* p, int n) {
#if defined(__AVX512BW__)
  return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#elif defined(__AVX2__)
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane));
#else
  alignas(16) float t[4] = {0, 0, 0, 0};
  if (n >= 4) return load(p);
  if (n > 0) t[0] = p[0];
  if (n > 1) t[1] = p[1];
  if (n > 2) t[2] = p[2];
  return load(t);
#endif
}

// Lane i of the result is lane lanes[i] of v, 0 <= lanes[i] < kLanes.
TERN_INLINE Vec permute(Vec v, VecI lanes) {
#if defined(__AVX512BW__)
  return _mm512_permutexvar_ps(lanes, v);
#elif defined(__AVX2__)
  return _mm256_permutevar8x32_ps(v, lanes);
#elif defined(__aarch64__) && TERN_SIMD_XSIMD
  const int32x4_t bytes = vmlaq_n_s32(vdupq_n_s32(0x03020100), lanes, 0x04040404);
  return vreinterpretq_f32_u8(vqtbl1q_u8(vreinterpretq_u8_f32(v), vreinterpretq_u8_s32(bytes)));
#else
  alignas(16) float t[4], r[4], at[4];
  store(t, v);
  store(at, to_float(lanes));
  for (int i = 0; i < 4; ++i) r[i] = t[(int)at[i]];
  return load(r);
#endif
}

TERN_INLINE void store_part(float* p, Vec v, int n) {
#if defined(__AVX512BW__)
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), v);
#elif defined(__AVX2__)
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  _mm256_maskstore_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane), v);
#else
  if (n >= 4) return store(p, v);
  alignas(16) float t[4];
  store(t, v);
  if (n > 0) p[0] = t[0];
  if (n > 1) p[1] = t[1];
  if (n > 2) p[2] = t[2];
#endif
}

// kLanes half-precision numbers, widened exactly (store: rounded to nearest even).
TERN_INLINE Vec load_f16(const uint16_t* p) {
#if defined(__AVX512BW__)
  return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p));
#elif defined(__F16C__)
  return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p));
#elif defined(__x86_64__) && TERN_SIMD_XSIMD
  const __m128i h = _mm_unpacklo_epi16(_mm_loadl_epi64((const __m128i*)p), _mm_setzero_si128());
  const __m128i magnitude = _mm_and_si128(h, _mm_set1_epi32(0x7fff)),
                sign = _mm_slli_epi32(_mm_xor_si128(h, magnitude), 16);
  const __m128i special = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7bff));  // infinity and NaN keep a full exponent
  const __m128i full = _mm_and_si128(special, _mm_set1_epi32(0x7f800000));
  const __m128i normal = _mm_add_epi32(_mm_slli_epi32(magnitude, 13), _mm_set1_epi32(112 << 23));
  // Not by way of an f32 denormal, which the thread may take for zero (base/float_mode.h).
  const __m128 small = _mm_mul_ps(_mm_cvtepi32_ps(magnitude), _mm_set1_ps(0x1p-24f));
  const __m128 is_small = _mm_castsi128_ps(_mm_cmplt_epi32(magnitude, _mm_set1_epi32(0x400)));
  const __m128 rest = _mm_castsi128_ps(_mm_or_si128(normal, full));
  return _mm_or_ps(_mm_or_ps(_mm_and_ps(is_small, small), _mm_andnot_ps(is_small, rest)), _mm_castsi128_ps(sign));
#elif defined(__aarch64__) && TERN_SIMD_XSIMD
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
#else
  Vec r;
  for (int i = 0; i < 4; ++i) r.v[i] = f16_to_f32(p[i]);
  return r;
#endif
}

TERN_INLINE void store_f16(uint16_t* p, Vec v) {
#if defined(__AVX512BW__)
  _mm256_storeu_si256((__m256i*)p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__F16C__)
  _mm_storeu_si128((__m128i*)p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__aarch64__) && TERN_SIMD_XSIMD
  vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v)));
#else
  float t[4];
  store(t, v);
  for (int i = 0; i < 4; ++i) p[i] = f32_to_f16(t[i]);
#endif
}

TERN_INLINE Vec load_f16_part(const uint16_t* p, int n) {
  alignas(32) uint16_t t[kLanes] = {};
  for (int i = 0; i < n; ++i) t[i] = p[i];
  return load_f16(t);
}

TERN_INLINE void store_f16_part(uint16_t* p, Vec v, int n) {
  alignas(32) uint16_t t[kLanes];
  store_f16(t, v);
  for (int i = 0; i < n; ++i) p[i] = t[i];
}

// Element pointers that may be f32, f16 (uint16_t) or bf16 (storage types of weights).
struct Bf16 {
  uint16_t bits;
};
TERN_INLINE Vec load_as_f32(const float* p) { return load(p); }
TERN_INLINE Vec load_as_f32(const uint16_t* p) { return load_f16(p); }
TERN_INLINE Vec load_as_f32(const Bf16* p) {
#if defined(__AVX512BW__)
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p)), 16));
#elif defined(__AVX2__)
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)p)), 16));
#elif defined(__x86_64__) && TERN_SIMD_XSIMD
  return _mm_castsi128_ps(_mm_unpacklo_epi16(_mm_setzero_si128(), _mm_loadl_epi64((const __m128i*)p)));
#elif defined(__aarch64__) && TERN_SIMD_XSIMD
  return vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(vld1_u16((const uint16_t*)p)), 16));
#else
  Vec r;
  for (int i = 0; i < 4; ++i) r.v[i] = bf16_to_f32(p[i].bits);
  return r;
#endif
}
TERN_INLINE Vec load_codes(const int8_t* p);
TERN_INLINE Vec load_as_f32(const int8_t* p) { return load_codes(p); }
TERN_INLINE Vec load_part_as_f32(const int8_t* p, int n) {
  alignas(64) float t[kLanes] = {};
  for (int i = 0; i < n; ++i) t[i] = (float)p[i];
  return load(t);
}
TERN_INLINE Vec load_part_as_f32(const float* p, int n) { return load_part(p, n); }
TERN_INLINE Vec load_part_as_f32(const uint16_t* p, int n) { return load_f16_part(p, n); }
TERN_INLINE Vec load_part_as_f32(const Bf16* p, int n) {
  Bf16 t[kLanes] = {};
  for (int i = 0; i < n; ++i) t[i] = p[i];
  return load_as_f32(t);
}

// Weight `at` of weights in 16 bits (kF16, kBf16) or in f32 (0).
TERN_INLINE float weight_at(int32_t half, const void* w, int64_t at) {
  if (half == kF16) return f16_to_f32(((const uint16_t*)w)[at]);
  return half == kBf16 ? bf16_to_f32(((const uint16_t*)w)[at]) : ((const float*)w)[at];
}

// kLanes codes of 8 bits as floats.
TERN_INLINE Vec load_codes(const int8_t* p) {
#if defined(__AVX512F__)
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i*)p)));
#elif defined(__AVX2__)
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i*)p)));
#else
  float t[kLanes];
  for (int i = 0; i < kLanes; ++i) t[i] = (float)p[i];
  return load(t);
#endif
}

// Sum of the lanes, pairwise in a fixed order: halves are added until one number is left.
TERN_INLINE float sum_lanes(Vec v) {
  alignas(64) float t[kLanes];
  store(t, v);
  for (int n = kLanes / 2; n > 0; n /= 2)
    for (int i = 0; i < n; ++i) t[i] += t[i + n];
  return t[0];
}

#if defined(__AVX512BW__)
TERN_INLINE __m256 sum_each_of_8(const __m256* v) {
  const __m256 a = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
  const __m256 b = _mm256_hadd_ps(_mm256_hadd_ps(v[4], v[5]), _mm256_hadd_ps(v[6], v[7]));
  return _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
}
#endif

// Lane i of the result is the sum of the lanes of v[i], for kLanes vectors; a fixed order, not that of sum_lanes.
TERN_INLINE Vec sum_each(const Vec* v) {
#if defined(__AVX512BW__)  // xsimd 8.1 gives the lanes in a wrong order here
  __m256 half[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) half[i] = _mm256_add_ps(_mm512_castps512_ps256(v[i]), _mm512_extractf32x8_ps(v[i], 1));
  return _mm512_insertf32x8(_mm512_castps256_ps512(sum_each_of_8(half)), sum_each_of_8(half + 8), 1);
#elif TERN_SIMD_XSIMD
  return xsimd::haddp(v);
#else
  Vec r;
  for (int i = 0; i < 4; ++i) r.v[i] = (v[i].v[0] + v[i].v[1]) + (v[i].v[2] + v[i].v[3]);
  return r;
#endif
}

TERN_INLINE float max_lane(Vec v) {
  alignas(64) float t[kLanes];
  store(t, v);
  for (int n = kLanes / 2; n > 0; n /= 2)
    for (int i = 0; i < n; ++i) t[i] = t[i + n] > t[i] ? t[i + n] : t[i];
  return t[0];
}

TERN_INLINE void prefetch(const void* p) { __builtin_prefetch(p, 0, 3); }
TERN_INLINE void prefetch_write(void* p) { __builtin_prefetch(p, 1, 3); }

}  // namespace tern::cpu::TERN_ISA
