// SPDX-License-Identifier: Apache-2.0
// From sums of 8-bit products to results. Included only by sources that are built once per set.
#pragma once
#include "kernels/cpu/int8.h"
#include "kernels/cpu/matmul_int8.h"

namespace tern::cpu::TERN_ISA {

// Half to even, after taking at most `high`; what lies below int32 stays below.
TERN_INLINE VecI rounded_below(Vec v, Vec high) { return to_nearest_int(min(v, high)); }

// The ending of up to 32 outputs side by side.
struct Finish {
  alignas(64) int32_t bias[kInt8Panel] = {};
  alignas(64) float scale[kInt8Panel] = {}, shift[kInt8Panel] = {};
  int32_t y_dtype = 0, n = 0, zero = 0;
  float low = 0, high = 0;
  bool shifts = false;

  bool gives_codes() const { return y_dtype == TERN_DTYPE_U8 || y_dtype == TERN_DTYPE_I8; }

  // Outputs [first, first + count).
  void set(const Int8Ending& e, int64_t first, int count) {
    y_dtype = e.y_dtype, n = count, shifts = e.shift != nullptr;
    if (e.bias) memcpy(bias, e.bias + first, (size_t)n * sizeof *bias);
    if (y_dtype == TERN_DTYPE_I32) return;
    for (int i = 0; i < n; ++i) scale[i] = e.scale[e.scale_step ? first + i : 0];
    if (shifts) memcpy(shift, e.shift + first, (size_t)n * sizeof *shift);
    if (y_dtype == TERN_DTYPE_F32) return;
    zero = e.points[0];
    low = (float)(e.points[1] - zero), high = (float)(e.points[2] - zero);
  }

  __attribute__((always_inline)) Vec result(const int32_t* sums, int i) const {
    const Vec v = to_float(load_ints(sums + i)) * load(scale + i);
    return shifts ? v + load(shift + i) : v;
  }

  // sums: a whole panel, with the bias. at: element of y.
  __attribute__((always_inline)) void store(const int32_t* sums, void* y, int64_t at) const {
    if (y_dtype == TERN_DTYPE_I32) {
      memcpy((int32_t*)y + at, sums, (size_t)n * sizeof *sums);
    } else if (y_dtype == TERN_DTYPE_F32) {
      float* to = (float*)y + at;
      for (int i = 0; i < n; i += kLanes) {
        const int left = n - i;
        left >= kLanes ? tern::cpu::TERN_ISA::store(to + i, result(sums, i))
                       : store_part(to + i, result(sums, i), left);
      }
    } else {
      uint8_t* to = (uint8_t*)y + at;
      const Vec lows = splat(low), highs = splat(high);
      const VecI zeros(zero);
      const auto codes = [&](int i) __attribute__((always_inline)) {
        return rounded_below(max(result(sums, i), lows), highs) + zeros;
      };
#if defined(__AVX2__) && !defined(__AVX512BW__)
      if (n == kInt8Panel) {
        const __m256i a = _mm256_packs_epi32(codes(0), codes(8)), b = _mm256_packs_epi32(codes(16), codes(24));
        const __m256i bytes = y_dtype == TERN_DTYPE_I8 ? _mm256_packs_epi16(a, b) : _mm256_packus_epi16(a, b);
        return store_bytes(to, _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
      }
#endif
      for (int i = 0; i < n; i += kLanes) {
        const VecI c = codes(i);
        const int left = n - i < kLanes ? n - i : kLanes;
#if defined(__AVX512BW__)
        _mm512_mask_cvtepi32_storeu_epi8(to + i, (__mmask16)((1u << left) - 1), c);
#else
        int32_t t[kLanes];
        store_ints(t, c);
        for (int j = 0; j < left; ++j) to[i + j] = (uint8_t)t[j];
#endif
      }
    }
  }
};

}  // namespace tern::cpu::TERN_ISA
