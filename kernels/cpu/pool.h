// SPDX-License-Identifier: Apache-2.0
// Max and average pooling over up to three spatial axes, channels last.
#pragma once
#include "kernels/cpu/kernel.h"

namespace tern::cpu {

enum class Pool : int32_t {
  max,
  average,              // divided by the elements of the window that lie in the picture
  average_include_pad,  // divided by the elements that lie in the padded picture [-pad, size + pad_end)
  lp2,                  // sqrt of the sum of squares
};

// x: f32 [batch, in[0], in[1], in[2], channels], y: f32 [batch, out[0], out[1], out[2], channels]; depth, height, width
// (unused axes first, of size 1 with kernel 1). The output size is given, so ceil mode is the caller's choice. A window
// without any element in the picture gives -inf (max) or 0.
// Units: output rows, batch * out[0] * out[1]. No scratch. Cost per unit: out[2] * window * channels loads.
struct PoolArgs {
  Pool kind = Pool::max;
  const float* x = nullptr;
  float* y = nullptr;
  int64_t batch = 0, channels = 0;
  int64_t in[3] = {1, 1, 1}, out[3] = {1, 1, 1};
  int64_t kernel[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1};
  int64_t pad[3] = {}, pad_end[3] = {};
};
inline int64_t units(const PoolArgs& a) { return a.batch * a.out[0] * a.out[1]; }

struct PoolKernels {
  KernelFn pool;  // PoolArgs
};

}  // namespace tern::cpu
