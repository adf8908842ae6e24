// SPDX-License-Identifier: Apache-2.0
// Integer matrix products: u8 or s8 activations times s8 weights, summed in s32. Equal bits on every instruction set.
#pragma once
#include <tern/types.h>

#include "kernels/cpu/kernel.h"
#include "kernels/cpu/strides.h"

namespace tern::cpu {

// Packed weights: panels of 32 outputs, each [ceil(k / 4)][32][4] int8 (four consecutive k of one output together; what
// lies beyond k or n is 0), then the sums over k of each output as int32 [panels * 32]. 64-byte aligned.
constexpr int64_t kInt8Panel = 32;
constexpr int64_t int8_panel_bytes(int64_t k) { return ceil_div(k, 4) * 4 * kInt8Panel; }
inline int64_t packed_int8_bytes(int64_t n, int64_t k) {
  return ceil_div(n, kInt8Panel) * (int8_panel_bytes(k) + kInt8Panel * (int64_t)sizeof(int32_t));
}

// Packs W(n, k) = w[n * n_stride + k * k_stride] (strides in bytes, so both orders of a matrix work). Plan time.
inline void pack_int8(const int8_t* w, int64_t n, int64_t k, int64_t n_stride, int64_t k_stride, void* packed) {
  const int64_t panels = ceil_div(n, kInt8Panel), k4 = ceil_div(k, 4);
  int8_t* out = (int8_t*)packed;
  int32_t* sums = (int32_t*)(out + panels * int8_panel_bytes(k));
  for (int64_t i = 0; i < panels * kInt8Panel; ++i) sums[i] = 0;
  for (int64_t p = 0; p < panels; ++p)
    for (int64_t g = 0; g < k4; ++g)
      for (int64_t i = 0; i < kInt8Panel; ++i)
        for (int64_t j = 0; j < 4; ++j) {
          const int64_t row = p * kInt8Panel + i, col = g * 4 + j;
          const int8_t v = row < n && col < k ? w[row * n_stride + col * k_stride] : (int8_t)0;
          *out++ = v;
          sums[row] += v;
        }
}

// acc[m, n] = sum over k of (x[m, k] - x_zero) * (W[n, k] - w_zero[n]), exact in s32 (k <= 2^15 cannot overflow), then
//   y s32:  acc + bias_s32[n]
//   y f32:  (float)(acc + bias_s32[n]) * (x_scale * w_scale[n]) + bias[n], without a fused multiply-add
//   y s8, u8: clamp(round half to even((float)(acc + bias_s32[n]) * multiplier[n]) + y_zero) to [y_min, y_max]
// x: [m, k] u8 or s8, rows x_stride bytes apart. y rows are y_stride elements apart.
// Units: (blocks of kInt8Rows rows) * panels, panels inner. No scratch. Cost per unit: 16 * 32 * k multiply-adds.
constexpr int64_t kInt8Rows = 16;
struct MatmulInt8Args {
  int32_t x_dtype = TERN_DTYPE_U8, y_dtype = TERN_DTYPE_I32;  // y: I32, F32, I8, U8
  const void* x = nullptr;
  const void* w = nullptr;  // packed_int8_bytes
  void* y = nullptr;
  int64_t m = 0, n = 0, k = 0, x_stride = 0, y_stride = 0;
  int32_t x_zero = 0;
  const int32_t* x_zeros = nullptr;   // [m]: one zero point per row instead of x_zero, or NULL
  const int32_t* w_zero = nullptr;    // [n] or NULL = 0
  const int32_t* bias_s32 = nullptr;  // [n] or NULL
  float x_scale = 1;
  const float* x_scales = nullptr;    // [m]: one scale per row instead of x_scale, or NULL
  const float* w_scale = nullptr;     // [n]; f32 output only; NULL = 1
  const float* bias = nullptr;        // [n] or NULL; f32 output only
  const float* multiplier = nullptr;  // [n]; s8, u8 output only
  int32_t y_zero = 0, y_min = -128, y_max = 127;
};
inline int64_t units(const MatmulInt8Args& a) { return ceil_div(a.m, kInt8Rows) * ceil_div(a.n, kInt8Panel); }

struct MatmulInt8Kernels {
  KernelFn matmul;  // MatmulInt8Args
};

}  // namespace tern::cpu
