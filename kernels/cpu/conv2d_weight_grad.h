// SPDX-License-Identifier: Apache-2.0
// Gradient of a convolution's weights, NHWC f32:
//   dw[o][ky][kx][c] = sum over pictures and output pixels p of dy[p][o] * the x that the tap (ky, kx) of p meets
//   x  [batch, in_h, in_w, in_c], dy [batch, out_h, out_w, out_c], dense
//   dw [out_c][kernel_h][kernel_w][in_c / groups], row-major, or in panel order (base/panel.h)
// Output pixels are cut into `segments`, as many as the shape says; each is summed in order, then the segments are: no
// result depends on the number of threads.
#pragma once
#include "base/panel.h"
#include "kernels/cpu/kernel.h"

namespace tern::cpu {

struct ConvWeightGradArgs {
  const float *x = nullptr, *dy = nullptr;
  float* dw = nullptr;
  float* partial = nullptr;  // [segments][conv_weight_grad_elements]; not used with one segment
  int64_t batch = 1, in_h = 0, in_w = 0, in_c = 0, out_h = 0, out_w = 0, out_c = 0;
  int32_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int32_t pad_top = 0, pad_left = 0;
  int32_t groups = 1;
  int32_t panels = 0;  // with groups 1 only
};

// Of dw as it lies in memory.
static inline int64_t conv_weight_grad_elements(const ConvWeightGradArgs& a) {
  const int64_t k = (int64_t)a.kernel_h * a.kernel_w * (a.in_c / a.groups);
  return a.panels ? panel_elements(a.out_c, k) : a.out_c * k;
}

// One filter for each channel: sums over pixels for vectors of channels. Else products.
constexpr int64_t kDepthwiseGradChannels = 64, kDepthwiseGradTaps = 1024;
static inline bool conv_weight_grad_depthwise(const ConvWeightGradArgs& a) {
  return a.groups > 1 && a.groups == a.in_c && a.groups == a.out_c &&
         (int64_t)a.kernel_h * a.kernel_w <= kDepthwiseGradTaps;
}

// A product multiplies blocks of so many outputs and inputs, over so many pixels at a time.
constexpr int64_t kWeightGradRows = 112, kWeightGradColumns = 256, kWeightGradPixels = 128;
static inline int64_t conv_weight_grad_blocks(const ConvWeightGradArgs& a) {
  if (conv_weight_grad_depthwise(a)) return (a.in_c + kDepthwiseGradChannels - 1) / kDepthwiseGradChannels;
  const int64_t n = a.out_c / a.groups, k = (int64_t)a.kernel_h * a.kernel_w * (a.in_c / a.groups);
  return a.groups * ((n + kWeightGradRows - 1) / kWeightGradRows) * ((k + kWeightGradColumns - 1) / kWeightGradColumns);
}
static inline int64_t conv_weight_grad_segments(const ConvWeightGradArgs& a) {
  constexpr int64_t kUnits = 16, kLeast = 1024;  // units that are enough; pixels that a segment should have
  const int64_t blocks = conv_weight_grad_blocks(a), pixels = a.batch * a.out_h * a.out_w;
  int64_t most = pixels / kLeast;
  if (conv_weight_grad_depthwise(a) && most > a.batch * a.out_h) most = a.batch * a.out_h;
  const int64_t wanted = blocks > 0 ? kUnits / blocks : 1;
  return wanted < 2 || most < 2 ? 1 : wanted < most ? wanted : most;
}
static inline int64_t conv_weight_grad_units(const ConvWeightGradArgs& a) {
  return conv_weight_grad_blocks(a) * conv_weight_grad_segments(a);
}
static inline double conv_weight_grad_unit_flops(const ConvWeightGradArgs& a) {
  const int64_t units = conv_weight_grad_units(a);
  if (units == 0) return 0;
  return 2.0 * (double)(a.batch * a.out_h * a.out_w) * (double)a.out_c * (double)(a.in_c / a.groups) * a.kernel_h *
         a.kernel_w / (double)units;
}
static inline size_t conv_weight_grad_scratch_bytes(const ConvWeightGradArgs& a) {
  if (conv_weight_grad_depthwise(a))
    return (size_t)a.kernel_h * (size_t)a.kernel_w * kDepthwiseGradChannels * sizeof(float);
  return (size_t)(kWeightGradRows * (kWeightGradPixels + kWeightGradColumns) + kWeightGradPixels * kWeightGradColumns) *
         sizeof(float);
}

// Elements of dw that a unit of `join` sums.
constexpr int64_t kWeightGradJoin = 4096;
static inline int64_t conv_weight_grad_join_units(const ConvWeightGradArgs& a) {
  return (conv_weight_grad_elements(a) + kWeightGradJoin - 1) / kWeightGradJoin;
}

struct Conv2dWeightGradKernels {
  static constexpr Capability capability = Capability::training;
  KernelFn sums;  // ConvWeightGradArgs: to dw, or with several segments to partial
  KernelFn join;  // dw = the sum of the segments; no scratch
};

}  // namespace tern::cpu
