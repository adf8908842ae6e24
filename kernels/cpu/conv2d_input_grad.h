// SPDX-License-Identifier: Apache-2.0
// Gradient of a depthwise convolution's input, NHWC f32; that of other convolutions is a transposed convolution.
//   dx[iy][ix][c] = sum over the taps (ky, kx) and outputs (oy, ox) with iy = oy * stride_h - pad_top + ky * dilation_h
//   and ix = ox * stride_w - pad_left + kx * dilation_w of w[ky][kx][c] * dy[oy][ox][c]
//   dy [batch, out_h, out_w, channels], dx [batch, in_h, in_w, channels], dense
//   w  [kernel_h][kernel_w][channels], f32, f16 or bf16
// Unit: a row of dx.
#pragma once
#include "kernels/cpu/kernel.h"

namespace tern::cpu {

struct DepthwiseInputGradArgs {
  const float* dy = nullptr;
  const void* w = nullptr;
  float* dx = nullptr;
  int64_t batch = 1, in_h = 0, in_w = 0, channels = 0, out_h = 0, out_w = 0;
  int32_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int32_t pad_top = 0, pad_left = 0;
  int32_t w_half = 0;
};

static inline int64_t depthwise_input_grad_units(const DepthwiseInputGradArgs& a) { return a.batch * a.in_h; }
static inline double depthwise_input_grad_unit_flops(const DepthwiseInputGradArgs& a) {
  return 4 * 2.0 * (double)a.in_w * (double)a.channels * a.kernel_h * a.kernel_w / a.stride_h / a.stride_w;
}
// For each tap that reaches a pixel: where its gradient and its weights are.
static inline size_t depthwise_input_grad_scratch_bytes(const DepthwiseInputGradArgs& a) {
  return (size_t)a.kernel_h * (size_t)a.kernel_w * 2 * sizeof(int64_t);
}

struct Conv2dInputGradKernels {
  KernelFn depthwise;
};

}  // namespace tern::cpu
