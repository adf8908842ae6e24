// SPDX-License-Identifier: Apache-2.0
// Convolution in groups of few channels, NHWC f32, zero padding: depthwise where a group has one. Each group has
// `group_in` inputs and `multiplier` filters of its own. Transposed: y[oy][ox] = sum over the taps and inputs with
// oy = iy * stride_h - pad_top + ky * dilation_h, and so for ox.
//   x [batch, in_h, in_w, channels]                  pixel p (over batch, rows and columns) at x + p * x_pixel
//   w [kernel_h][kernel_w][group_in][outputs]        row-major, f32 or 16 bits; output = group * multiplier + filter
//   y [batch, out_h, out_w, outputs]                 pixel p at y + p * y_pixel
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
  int32_t group_in = 1, multiplier = 1;
  int32_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int32_t pad_top = 0, pad_left = 0;  // >= 0; bottom and right follow from out_h and out_w
  int32_t transposed = 0;
  int32_t w_half = 0;
  Epilogue epilogue;
};

static inline int64_t depthwise_outputs(const DepthwiseArgs& a) { return a.channels / a.group_in * a.multiplier; }
static inline int64_t depthwise_taps(const DepthwiseArgs& a) { return (int64_t)a.kernel_h * a.kernel_w * a.group_in; }
static inline int64_t depthwise_units(const DepthwiseArgs& a) { return a.batch * ((a.out_h + 1) / 2); }
static inline double depthwise_unit_flops(const DepthwiseArgs& a) {
  const int64_t rows = a.out_h < 2 ? a.out_h : 2;  // counted four times: loads, not arithmetic, set the pace
  const double met = a.transposed ? 1.0 / a.stride_h / a.stride_w : 1;  // taps that meet an input
  return met * 4 * 2.0 * (double)(rows * a.out_w) * (double)(depthwise_outputs(a) * depthwise_taps(a));
}

// Input rows (columns) that `count` outputs side by side read: all between the first and the last, or where they lie
// far apart those of each output for itself, `windows`.
static inline int64_t depthwise_span(int64_t count, int64_t kernel, int64_t stride, int64_t dilation, bool transposed) {
  return transposed ? (count - 1 + (kernel - 1) * dilation) / stride + 2
                    : (count - 1) * stride + (kernel - 1) * dilation + 1;
}
static inline bool depthwise_windows(int64_t count, int64_t kernel, int64_t stride, int64_t dilation, bool transposed) {
  return count * kernel < depthwise_span(count, kernel, stride, dilation, transposed);
}
static inline int64_t depthwise_lines(int64_t count, int64_t kernel, int64_t stride, int64_t dilation,
                                      bool transposed) {
  const int64_t span = depthwise_span(count, kernel, stride, dilation, transposed);
  return count * kernel < span ? count * kernel : span;
}

// A block of outputs whose inputs are copied, one vector of outputs at a time, so that they stay in the level 1 cache.
constexpr int64_t kDepthwiseLanes = 16, kDepthwiseBlockFloats = 1 << 14;
struct DepthwiseBlock {
  int64_t rows = 8, columns = 64;
  int64_t floats = 0;  // copied
};
static inline DepthwiseBlock depthwise_block(const DepthwiseArgs& a) {
  DepthwiseBlock b;
  for (;; b.rows > 4 && b.columns <= 32 ? b.rows /= 2 : b.columns /= 2) {
    const int64_t rows = a.out_h < b.rows ? a.out_h : b.rows, columns = a.out_w < b.columns ? a.out_w : b.columns;
    b.floats = depthwise_lines(rows, a.kernel_h, a.stride_h, a.dilation_h, a.transposed) *
               depthwise_lines(columns, a.kernel_w, a.stride_w, a.dilation_w, a.transposed) * a.group_in *
               kDepthwiseLanes;
    if (b.floats <= kDepthwiseBlockFloats || b.columns <= 16) return b;
  }
}
// Inputs, filters and sums of a vector of outputs; where each tap's inputs and filters begin.
static inline size_t depthwise_block_bytes(const DepthwiseArgs& a) {
  const DepthwiseBlock b = depthwise_block(a);
  return (size_t)(b.floats + (depthwise_taps(a) + b.columns) * kDepthwiseLanes) * sizeof(float) +
         ((size_t)a.kernel_h * a.kernel_w * 2 * sizeof(void*) + 63) / 64 * 64;
}

// Shapes that read the picture itself, by row pointers.
static inline bool depthwise_plain(const DepthwiseArgs& a) {
  return a.group_in == 1 && a.multiplier == 1 && !a.transposed;
}
static inline bool depthwise_few_pixels(const DepthwiseArgs& a) { return depthwise_plain(a) && a.out_w < 4; }
constexpr int32_t kDepthwiseTiledDilation = 16;  // rows lie no further apart
static inline bool depthwise_tiled(const DepthwiseArgs& a) {
  return depthwise_plain(a) && (a.kernel_h == 3 || a.kernel_h == 5) && a.kernel_w == a.kernel_h && a.stride_h <= 2 &&
         (a.stride_w == 1 || a.stride_w == a.stride_h) && a.out_w / 4 >= a.dilation_w &&
         ((a.dilation_h == 1 && a.dilation_w == 1) || (a.stride_h == 1 && a.dilation_h <= kDepthwiseTiledDilation));
}
static inline bool depthwise_listed(const DepthwiseArgs& a) { return depthwise_few_pixels(a) || depthwise_tiled(a); }
// Of these: filters widened to f32, one row of zeros, pointers to rows.
static inline size_t depthwise_filter_bytes(const DepthwiseArgs& a) {
  return a.w_half ? ((size_t)(depthwise_taps(a) * depthwise_outputs(a)) * sizeof(float) + 63) / 64 * 64 : 0;
}
static inline int64_t depthwise_input_rows(const DepthwiseArgs& a) {  // that two output rows read
  return (int64_t)(a.kernel_h - 1) * a.dilation_h + 1 + a.stride_h;
}
static inline size_t depthwise_scratch_bytes(const DepthwiseArgs& a) {
  if (!depthwise_listed(a)) return depthwise_block_bytes(a);
  return depthwise_block_bytes(a) + depthwise_filter_bytes(a) +
         ((size_t)a.in_w * a.x_pixel * sizeof(float) + 63) / 64 * 64 + (size_t)depthwise_input_rows(a) * sizeof(void*);
}

// One or two output rows from row pointers, for kernels that keep rows in a ring.
struct DepthwiseRows {
  // depthwise_input_rows pointers (fewer for one row); a row outside the picture: zeros
  const float* const* x = nullptr;
  const float* w = nullptr;  // f32
  float* y = nullptr;        // rows follow one another
  int32_t rows = 1;
  int64_t residual_offset = 0;  // of y within epilogue.residual, floats
  // in_w, out_w, channels, group_in, multiplier, kernel, strides, pad_left, pixels, epilogue
  const DepthwiseArgs* shape = nullptr;
  float* scratch = nullptr;  // depthwise_block_bytes
};

struct DepthwiseKernels {
  KernelFn depthwise;
  void (*rows)(const DepthwiseRows&);
};

}  // namespace tern::cpu
