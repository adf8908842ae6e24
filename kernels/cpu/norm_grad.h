// SPDX-License-Identifier: Apache-2.0
// Gradients of layer norm and of RMS norm over rows, f32:
//   n = (x - mean) * r, r = 1 / sqrt(variance + epsilon), s = dy * gamma
//   dx = r * (s - mean(s) - n * mean(s * n)), dgamma = the sum of dy * n over rows, dbeta = the sum of dy over rows
// without `center` (RMS norm) mean and mean(s) are 0. x, dy, dx [rows, channels]; gamma, dgamma, dbeta [channels],
// gamma may be NULL (1). Rows are cut into `segments`, as many as the shape says; sums over rows are taken in order
// within a segment, then the segments are summed.
#pragma once
#include "kernels/cpu/kernel.h"

namespace tern::cpu {

struct NormGradArgs {
  const float *x = nullptr, *dy = nullptr, *gamma = nullptr;
  float *dx = nullptr, *dgamma = nullptr, *dbeta = nullptr;
  float* partial = nullptr;  // [segments][2][channels]
  int64_t rows = 0, channels = 0;
  float epsilon = 0;
  int32_t center = 1;
};
static inline int64_t norm_grad_segments(const NormGradArgs& a) {
  const int64_t n = a.rows / 16;
  return n < 1 ? 1 : n > 16 ? 16 : n;
}
// Channels that a unit of `join` sums.
constexpr int64_t kNormGradJoin = 1024;
static inline int64_t norm_grad_join_units(const NormGradArgs& a) {
  return (a.channels + kNormGradJoin - 1) / kNormGradJoin;
}

struct NormGradKernels {
  static constexpr Capability capability = Capability::training;
  KernelFn rows;  // NormGradArgs: dx and partial. Units: segments. No scratch
  KernelFn join;  // dgamma and dbeta from partial
};

}  // namespace tern::cpu
