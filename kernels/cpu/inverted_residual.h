// SPDX-License-Identifier: Apache-2.0
// A row-streamed group: 1x1 convolution (expand) -> depthwise convolution -> 1x1 convolution (project). The tensors
// between exist only as a few rows in scratch, so they stay in the cache. The results have the same bits as the three
// kernels one by one. Without expand or project (w NULL) it is a group of two.
//   x [batch, in_h, in_w, in_c]     pixel p (over batch, rows and columns) at x + p * x_pixel
//   y [batch, out_h, out_w, out_c]  pixel p at y + p * y_pixel
// y must not overlap x (halo rows of x are read again) or weights. A residual add is the project's epilogue (or, in a
// group that ends in the depthwise convolution, its epilogue): pixel p at residual + p * residual_stride.
// It pays while the expanded tensor exceeds the L2 cache. Unit: kInvertedResidualRows output rows of one picture; a
// call recomputes the expanded halo rows at its begin only, so give each thread one contiguous range.
#pragma once
#include "kernels/cpu/depthwise.h"
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/matmul.h"

namespace tern::cpu {

struct PointwiseLayer {
  const void* w = nullptr;  // panel order of [outputs][inputs], NULL: the layer is absent
  int32_t w_half = 0;
  Epilogue epilogue;
};

struct InvertedResidualArgs {
  const float* x = nullptr;
  float* y = nullptr;
  int64_t in_c = 0;                  // inputs of expand; without expand: depthwise.channels
  int64_t out_c = 0;                 // outputs of project; without project: outputs of depthwise
  int64_t x_pixel = 0, y_pixel = 0;  // floats
  PointwiseLayer expand;             // in_c -> depthwise.channels; its epilogue has no residual
  DepthwiseArgs depthwise;           // shapes, filters and epilogue; x, y, x_pixel and y_pixel are not used
  PointwiseLayer project;            // outputs of depthwise -> out_c
};

constexpr int64_t kInvertedResidualRows = 4;

static inline int64_t inverted_residual_units(const InvertedResidualArgs& a) {
  return a.depthwise.batch * ((a.depthwise.out_h + kInvertedResidualRows - 1) / kInvertedResidualRows);
}
static inline double inverted_residual_unit_flops(const InvertedResidualArgs& a) {
  const DepthwiseArgs& d = a.depthwise;
  const int64_t units = inverted_residual_units(a), middle = depthwise_outputs(d);
  if (units == 0) return 0;
  double flops = (double)d.batch * (double)(d.out_h * d.out_w) * (double)middle * (8.0 * (double)depthwise_taps(d));
  if (a.expand.w) flops += 2.0 * (double)d.batch * (double)(d.in_h * d.in_w) * (double)a.in_c * (double)d.channels;
  if (a.project.w) flops += 2.0 * (double)d.batch * (double)(d.out_h * d.out_w) * (double)middle * (double)a.out_c;
  return flops / (double)units;
}
// Rows of the expanded tensor that are kept: what a step of output rows reads.
static inline int64_t inverted_residual_ring_rows(const InvertedResidualArgs& a) {
  const DepthwiseArgs& d = a.depthwise;
  return (kInvertedResidualRows - 1) * d.stride_h + (int64_t)(d.kernel_h - 1) * d.dilation_h + 1;
}
static inline size_t inverted_residual_scratch_bytes(const InvertedResidualArgs& a) {
  const DepthwiseArgs& d = a.depthwise;
  const int64_t x_pixel = a.expand.w ? d.channels : a.x_pixel;
  int64_t floats = (d.in_w * x_pixel + 15) / 16 * 16;  // a row of zeros
  if (a.expand.w) floats += (inverted_residual_ring_rows(a) * d.in_w * d.channels + 15) / 16 * 16;
  if (a.project.w) floats += (kInvertedResidualRows * d.out_w * depthwise_outputs(d) + 15) / 16 * 16;
  const size_t widest = panel_scratch_bytes(a.in_c, a.expand.w_half),
               last = panel_scratch_bytes(depthwise_outputs(d), a.project.w_half);
  return (size_t)floats * sizeof(float) + depthwise_filter_bytes(d) + depthwise_block_bytes(d) +
         (widest > last ? widest : last) + ((size_t)depthwise_input_rows(d) * sizeof(void*) + 63) / 64 * 64;
}

struct InvertedResidualKernels {
  KernelFn inverted_residual;
};

}  // namespace tern::cpu
