// SPDX-License-Identifier: Apache-2.0
// What follows the windows of two-dimensional pooling, NHWC f32: gradients, and the winners of max pooling. The winner
// is the first largest element of a window, row by row; NaN is larger than all.
//   max      out = dx: zero, and for each window dy added to its winner
//   average  out = dx: zero, and for each window dy / (its elements) added to all of them
//   pick     out[window] = dy[winner]; here dy has the shape of x. 0 for a window without elements
//   index    winners[window] = row * in_w + column of the winner; 0 for a window without elements
// x [batch, in_h, in_w, channels] (not read for average), per window: [batch, out_h, out_w, channels]
// Windows are added row by row. Units of max and average: a picture's block of kPoolGradChannels channels; of the
// others: a row of windows. No scratch. in_h * in_w at most kPoolGradPixels.
#pragma once
#include "kernels/cpu/kernel.h"

namespace tern::cpu {

enum class PoolGrad : int32_t { max, average, average_include_pad, pick, index };

constexpr int64_t kPoolGradChannels = 32, kPoolGradPixels = 1 << 24;

struct PoolGradArgs {
  PoolGrad kind = PoolGrad::max;
  const float *x = nullptr, *dy = nullptr;
  float* out = nullptr;
  int64_t* winners = nullptr;
  int64_t batch = 0, channels = 0;
  int64_t in[2] = {1, 1}, windows[2] = {1, 1};  // rows, columns
  int64_t kernel[2] = {1, 1}, stride[2] = {1, 1}, dilation[2] = {1, 1}, pad[2] = {}, pad_end[2] = {};
};
static inline bool pool_grad_adds(const PoolGradArgs& a) {
  return a.kind != PoolGrad::pick && a.kind != PoolGrad::index;
}
static inline int64_t pool_grad_units(const PoolGradArgs& a) {
  return a.batch * (pool_grad_adds(a) ? (a.channels + kPoolGradChannels - 1) / kPoolGradChannels : a.windows[0]);
}

struct PoolGradKernels {
  KernelFn pool_grad;
};

}  // namespace tern::cpu
