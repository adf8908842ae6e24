// SPDX-License-Identifier: Apache-2.0
// Integer matrix products and convolutions: u8 or s8 activations times s8 weights, summed in s32, which wraps. Equal
// bits on every instruction set.
#pragma once
#include <tern/types.h>

#include "kernels/cpu/kernel.h"
#include "kernels/cpu/strides.h"

namespace tern::cpu {

// Packed weights: panels of 32 outputs, each [ceil(k / 4)][32][4] int8 (four consecutive k of one output together; what
// lies beyond k or n is 0), then as int32 the sums over k of each output [panels * 32] and for each panel [panels]
// whether the products of two k side by side with any u8 stay within 16 bits. 64-byte aligned.
constexpr int64_t kInt8Panel = 32;
constexpr int64_t int8_panel_bytes(int64_t k) { return ceil_div(k, 4) * 4 * kInt8Panel; }
inline int64_t packed_int8_bytes(int64_t n, int64_t k) {
  return ceil_div(n, kInt8Panel) * (int8_panel_bytes(k) + (kInt8Panel + 1) * (int64_t)sizeof(int32_t));
}

// Packs W(n, k) = w[n * n_stride + k * k_stride] ^ flip (strides in bytes, so both orders of a matrix work; flip 0x80:
// u8 weights, less 128). Plan time.
inline void pack_int8(const void* w, uint8_t flip, int64_t n, int64_t k, int64_t n_stride, int64_t k_stride,
                      void* packed) {
  const int64_t panels = ceil_div(n, kInt8Panel), k4 = ceil_div(k, 4);
  int8_t* out = (int8_t*)packed;
  int32_t *sums = (int32_t*)(out + panels * int8_panel_bytes(k)), *pairs = sums + panels * kInt8Panel;
  for (int64_t p = 0; p < panels; ++p) {
    int32_t most = 0;  // of two weights side by side, those of one sign
    for (int64_t i = 0; i < kInt8Panel; ++i) {
      const int64_t row = p * kInt8Panel + i;
      int8_t* to = out + p * int8_panel_bytes(k) + 4 * i;
      int32_t sum = 0;
      for (int64_t g = 0; g < k4; ++g, to += 4 * kInt8Panel) {
        for (int64_t j = 0; j < 4; ++j) {
          const int64_t col = g * 4 + j;
          const bool given = row < n && col < k;
          to[j] = given ? (int8_t)(((const uint8_t*)w)[row * n_stride + col * k_stride] ^ flip) : (int8_t)0;
          sum += to[j];
        }
        for (int64_t j = 0; j < 4; j += 2)
          for (const int32_t sign : {-1, 1}) {
            const int32_t a = sign * to[j], b = sign * to[j + 1], both = (a > 0 ? a : 0) + (b > 0 ? b : 0);
            most = both > most ? both : most;
          }
      }
      sums[row] = sum;
    }
    pairs[p] = most <= 128;
  }
}

// A convolution, NHWC: the rows of a product are its pixels, in order, and the terms the taps of the kernel, each with
// its channels.
struct Int8Window {
  int64_t batch = 1, in_h = 0, in_w = 0, in_c = 0, out_h = 0, out_w = 0;
  int64_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0;  // >= 0; bottom and right follow from out_h and out_w. Cells are x_zero
};

// What becomes of the sums: with s = (float)(sum + bias[n]) * scale[n] + shift[n],
//   y s32:     sum + bias[n]
//   y f32:     s
//   y s8, u8:  clamp(round half to even(s) + points[0]) to [points[1], points[2]]
// without a fused multiply-add; scales and shifts of s8 and u8 are finite.
struct Int8Ending {
  int32_t y_dtype = TERN_DTYPE_I32;  // I32, F32, I8, U8
  int32_t scale_step = 1;            // 0: one scale for all
  const int32_t* bias = nullptr;     // or NULL
  const float* scale = nullptr;
  const float* shift = nullptr;  // or NULL
  const int32_t* points = nullptr;
};
// The bytes of an element of y.
constexpr int64_t int8_result_bytes(int32_t y_dtype) {
  return y_dtype == TERN_DTYPE_I32 || y_dtype == TERN_DTYPE_F32 ? 4 : 1;
}

// sum[m, n] = sum over k of (x[m, k] - x_zero) * (W[n, k] - w_zero[n])
// x: [m, k] u8 or s8, rows x_stride bytes apart; of a convolution its picture. y rows are y_stride elements apart.
// groups: of a convolution; each has n outputs of its own weights, packed one group after another.
// Units: blocks of kInt8Rows rows * groups * panels, panels inner. Cost per unit: kInt8Rows * 32 * k multiply-adds.
constexpr int64_t kInt8Rows = 96, kInt8MoreRows = 4;  // the last block takes so many rows more before there is another
struct MatmulInt8Args {
  int32_t x_dtype = TERN_DTYPE_U8;
  int32_t x_zero_step = 0;  // 1: a zero point for each row
  const void* x = nullptr;
  const void* w = nullptr;  // packed_int8_bytes
  void* y = nullptr;
  int64_t m = 0, n = 0, k = 0, x_stride = 0, y_stride = 0, groups = 1;
  const int32_t* x_zero = nullptr;  // or NULL = 0
  const int32_t* w_zero = nullptr;  // or NULL = 0
  int32_t is_conv = 0;
  Int8Window window;
  Int8Ending ending;
};
inline int64_t int8_row_blocks(int64_t m) { return m <= kInt8Rows ? m > 0 : ceil_div(m - kInt8MoreRows, kInt8Rows); }
inline int64_t units(const MatmulInt8Args& a) { return int8_row_blocks(a.m) * a.groups * ceil_div(a.n, kInt8Panel); }
// Rows that are copied: those of windows, and where the length or the sign is not that of the dot products.
inline size_t matmul_int8_scratch_bytes(const MatmulInt8Args& a) {
  constexpr int64_t kMost = kInt8Rows + kInt8MoreRows, kFill = 64;  // bytes that one row ends or begins with
  return (size_t)((a.m < kMost ? a.m : kMost) * (ceil_div(a.k, kFill) + 1) * kFill);
}

struct MatmulInt8Kernels {
  KernelFn matmul;  // MatmulInt8Args
};

}  // namespace tern::cpu
