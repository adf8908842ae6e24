// SPDX-License-Identifier: Apache-2.0
// Transposed convolution, NHWC f32: y[oy][ox] = sum over the taps (ky, kx) and inputs (iy, ix) with
// oy = iy * stride_h - pad_top + ky * dilation_h and ox = ix * stride_w - pad_left + kx * dilation_w of w[ky][kx] *
// x[iy][ix].
//   x [batch, in_h, in_w, in_c]    pixel p (over batch, rows and columns) at x + p * x_pixel
//   w panel order of [out_c / groups][kernel_h][kernel_w][in_c / groups], the groups one after another; f32 or f16
//   y [batch, out_h, out_w, out_c] pixel p at y + p * y_pixel
//   residual of the epilogue: pixel p at residual + p * residual_stride
// y may be the residual, but must not overlap x or w. Unit: an output row.
#pragma once
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/matmul.h"

namespace tern::cpu {

struct ConvTransposeArgs {
  const float* x = nullptr;
  const void* w = nullptr;
  float* y = nullptr;
  int64_t batch = 1, in_h = 0, in_w = 0, in_c = 0, out_h = 0, out_w = 0, out_c = 0;
  int64_t x_pixel = 0, y_pixel = 0;  // floats
  int32_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int32_t pad_top = 0, pad_left = 0;  // >= 0: rows and columns cut off the full result
  int32_t groups = 1;
  int32_t w_half = 0;
  Epilogue epilogue;
};

static inline int64_t conv_transpose_units(const ConvTransposeArgs& a) { return a.batch * a.out_h; }
static inline double conv_transpose_unit_flops(const ConvTransposeArgs& a) {
  return 2.0 * (double)a.out_w * (double)a.out_c * (double)(a.in_c / a.groups) * a.kernel_h * a.kernel_w / a.stride_h /
         a.stride_w;
}
// f16 weights are widened once per call when they fit into so many floats, otherwise panel by panel.
constexpr int64_t kConvTransposeWidenFloats = 1 << 18;
static inline int64_t conv_transpose_weights(const ConvTransposeArgs& a) {
  return a.groups * panel_elements(a.out_c / a.groups, (int64_t)a.kernel_h * a.kernel_w * (a.in_c / a.groups));
}
// Few outputs and taps that never meet (kernel = stride, no padding): all outputs of an input pixel at once, `side by
// side`.
static inline bool conv_transpose_side_by_side(const ConvTransposeArgs& a) {
  return a.groups == 1 && a.out_c < 8 && a.out_c * a.kernel_w <= kPanelWidth && a.kernel_h == a.stride_h &&
         a.kernel_w == a.stride_w && a.dilation_h == 1 && a.dilation_w == 1 && a.pad_top == 0 && a.pad_left == 0 &&
         a.out_h <= a.in_h * a.stride_h && a.out_w <= a.in_w * a.stride_w;
}

// Widened weights, and for each tap a pointer and the position of its weights.
static inline size_t conv_transpose_scratch_bytes(const ConvTransposeArgs& a) {
  const int64_t taps = (int64_t)a.kernel_h * a.kernel_w, weights = conv_transpose_weights(a);
  if (conv_transpose_side_by_side(a)) {  // weights and sums of one row of the kernel
    const int64_t columns = (a.out_c * a.kernel_w + 7) / 8 * 8;
    return (size_t)(columns * a.in_c + columns * a.in_w) * sizeof(float);
  }
  size_t widened = 0;
  if (a.w_half)
    widened = weights <= kConvTransposeWidenFloats ? (size_t)(weights + 15) / 16 * 64
                                                   : panel_scratch_bytes(taps * (a.in_c / a.groups), 1);
  return widened + (size_t)taps * (sizeof(void*) + sizeof(int64_t));
}

struct ConvTransposeKernels {
  KernelFn conv_transpose;
};

}  // namespace tern::cpu
