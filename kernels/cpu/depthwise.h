// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution, NHWC f32, zero padding: each input channel has `multiplier` filters of its own.
//   x [batch, in_h, in_w, channels]                  pixel p (over batch, rows and columns) at x + p * x_pixel
//   w [kernel_h][kernel_w][channels * multiplier]    row-major, f32 or f16; output channel = channel * multiplier +
//                                                    filter
//   y [batch, out_h, out_w, channels * multiplier]   pixel p at y + p * y_pixel
//   residual of the epilogue: pixel p at residual + p * residual_stride
// y may be the residual, but must not overlap x or w. Unit: two output rows of one picture.
#pragma once
#include "kernels/cpu/kernel.h"

namespace tern::cpu {

struct DepthwiseArgs {
  const float* x = nullptr;
  const void* w = nullptr;
  float* y = nullptr;
  int64_t batch = 1, in_h = 0, in_w = 0, channels = 0, out_h = 0, out_w = 0;
  int64_t x_pixel = 0, y_pixel = 0;  // floats
  int32_t multiplier = 1;
  int32_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int32_t pad_top = 0, pad_left = 0;  // >= 0; bottom and right follow from out_h and out_w
  int32_t w_half = 0;
  Epilogue epilogue;
};

static inline int64_t depthwise_units(const DepthwiseArgs& a) { return a.batch * ((a.out_h + 1) / 2); }
static inline double depthwise_unit_flops(const DepthwiseArgs& a) {
  const int64_t rows = a.out_h < 2 ? a.out_h : 2;  // counted four times: loads, not arithmetic, set the pace
  return 4 * 2.0 * (double)(rows * a.out_w) * (double)(a.channels * a.multiplier) * a.kernel_h * a.kernel_w;
}
// Filters widened to f32, one row of zeros, pointers to rows.
static inline size_t depthwise_filter_bytes(const DepthwiseArgs& a) {
  return a.w_half ? ((size_t)a.kernel_h * a.kernel_w * a.channels * a.multiplier * sizeof(float) + 63) / 64 * 64 : 0;
}
static inline int64_t depthwise_input_rows(const DepthwiseArgs& a) {  // that two output rows read
  return (int64_t)(a.kernel_h - 1) * a.dilation_h + 1 + a.stride_h;
}
static inline size_t depthwise_scratch_bytes(const DepthwiseArgs& a) {
  return depthwise_filter_bytes(a) + ((size_t)a.in_w * a.x_pixel * sizeof(float) + 63) / 64 * 64 +
         (size_t)depthwise_input_rows(a) * sizeof(void*);
}

// One or two output rows from row pointers, for kernels that keep rows in a ring.
struct DepthwiseRows {
  // depthwise_input_rows pointers (fewer for one row); a row outside the picture: zeros
  const float* const* x = nullptr;
  const float* w = nullptr;  // f32 [kernel_h][kernel_w][channels * multiplier]
  float* y[2] = {};          // output rows; y[1] is not used when rows is 1
  int32_t rows = 1;
  int64_t residual_offset[2] = {};  // of each output row within epilogue.residual, floats
  // in_w, out_w, channels, multiplier, kernel, strides, pad_left, pixels, epilogue
  const DepthwiseArgs* shape = nullptr;
};

struct DepthwiseKernels {
  KernelFn depthwise;
  void (*rows)(const DepthwiseRows&);
};

}  // namespace tern::cpu
