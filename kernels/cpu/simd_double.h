// SPDX-License-Identifier: Apache-2.0
// Vectors of f64, beside those of f32 (simd.h): VecD has kLanesD numbers and the same operators and functions.
//
// like(v, x) is x in all lanes of a vector of v's type, for formulas of both.
#pragma once
#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {

#if TERN_SIMD_XSIMD
using VecD = xsimd::batch<double, Arch>;
constexpr int kLanesD = (int)VecD::size;

TERN_INLINE VecD load(const double* p) { return VecD::load_unaligned(p); }
TERN_INLINE void store(double* p, VecD v) { v.store_unaligned(p); }
#if defined(__AVX512BW__)  // xsimd 8.1 multiplies and adds here
TERN_INLINE VecD fma(VecD a, VecD b, VecD c) { return _mm512_fmadd_pd(a, b, c); }
#elif defined(__aarch64__)
TERN_INLINE VecD fma(VecD a, VecD b, VecD c) { return vfmaq_f64(c, a, b); }
#else
TERN_INLINE VecD fma(VecD a, VecD b, VecD c) { return xsimd::fma(a, b, c); }
#endif

#else  // no xsimd: four doubles
struct VecD : Four<double> {
  VecD() = default;
  explicit VecD(double x) : Four{{x, x, x, x}} {}
};
constexpr int kLanesD = 4;

#define TERN_OPERATOR(R, op)                                    \
  TERN_INLINE R operator op(VecD a, VecD b) {                   \
    return map<R>(a, b, [](auto x, auto y) { return x op y; }); \
  }
TERN_OPERATOR(VecD, +)
TERN_OPERATOR(VecD, -)
TERN_OPERATOR(VecD, *)
TERN_OPERATOR(VecD, /)
TERN_OPERATOR(Mask, <)
TERN_OPERATOR(Mask, <=)
TERN_OPERATOR(Mask, >)
TERN_OPERATOR(Mask, >=)
TERN_OPERATOR(Mask, ==)
TERN_OPERATOR(Mask, !=)
#undef TERN_OPERATOR
TERN_INLINE VecD operator-(VecD a) {
  return map<VecD>(a, [](double x) { return -x; });
}
TERN_INLINE VecD min(VecD a, VecD b) {
  return map<VecD>(a, b, [](double x, double y) { return x < y ? x : y; });
}
TERN_INLINE VecD max(VecD a, VecD b) {
  return map<VecD>(a, b, [](double x, double y) { return x > y ? x : y; });
}
TERN_INLINE VecD abs(VecD a) {
  return map<VecD>(a, [](double x) { return __builtin_fabs(x); });
}
TERN_INLINE VecD sqrt(VecD a) {
  return map<VecD>(a, [](double x) { return __builtin_sqrt(x); });
}
TERN_INLINE VecD floor(VecD a) {
  return map<VecD>(a, [](double x) { return __builtin_floor(x); });
}
TERN_INLINE VecD ceil(VecD a) {
  return map<VecD>(a, [](double x) { return __builtin_ceil(x); });
}
TERN_INLINE VecD fma(VecD a, VecD b, VecD c) { return a * b + c; }
TERN_INLINE VecD select(Mask m, VecD a, VecD b) {
  VecD r;
  for (int i = 0; i < kLanesD; ++i) r.v[i] = m.v[i] ? a.v[i] : b.v[i];
  return r;
}
TERN_INLINE VecD load(const double* p) {
  VecD r;
  for (int i = 0; i < kLanesD; ++i) r.v[i] = p[i];
  return r;
}
TERN_INLINE void store(double* p, VecD v) {
  for (int i = 0; i < kLanesD; ++i) p[i] = v.v[i];
}
#endif

TERN_INLINE Vec like(Vec, double x) { return splat((float)x); }
TERN_INLINE VecD like(VecD, double x) { return VecD(x); }

// The first n lanes, 0 <= n <= kLanesD. Memory past them is neither read nor written; load gives zero there.
TERN_INLINE VecD load_part(const double* p, int n) {
#if defined(__AVX512BW__)
  return _mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
#elif defined(__AVX2__)
  return _mm256_maskload_pd(p, _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3)));
#else
  alignas(32) double t[kLanesD] = {};
  for (int i = 0; i < n; ++i) t[i] = p[i];
  return load(t);
#endif
}
TERN_INLINE void store_part(double* p, VecD v, int n) {
#if defined(__AVX512BW__)
  _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), v);
#elif defined(__AVX2__)
  _mm256_maskstore_pd(p, _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3)), v);
#else
  alignas(32) double t[kLanesD];
  store(t, v);
  for (int i = 0; i < n; ++i) p[i] = t[i];
#endif
}

// Sum of the lanes, pairwise in a fixed order.
TERN_INLINE double sum_lanes(VecD v) {
  alignas(64) double t[kLanesD];
  store(t, v);
  for (int n = kLanesD / 2; n > 0; n /= 2)
    for (int i = 0; i < n; ++i) t[i] += t[i + n];
  return t[0];
}

}  // namespace tern::cpu::TERN_ISA
