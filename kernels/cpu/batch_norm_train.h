// SPDX-License-Identifier: Apache-2.0
// Normalisation by the batch's own moments and its gradient, f32:
//   n = (x - mean) * r, r = 1 / sqrt(variance + epsilon), per channel over all rows
//   y = n * gamma + beta, or where dy is there, with dgamma = the sum of dy * n and dbeta = the sum of dy over rows,
//   y = gamma * r * (dy - (dbeta + n * dgamma) / rows)
// x, dy, y [rows, channels]; everything else [channels]. Rows are cut into `segments`, as many as the shape says, and
// summed in blocks of 32 in order; so are the blocks of a segment, and the segments.
#pragma once
#include "kernels/cpu/kernel.h"

namespace tern::cpu {

struct BatchNormTrainArgs {
  const float *x = nullptr, *dy = nullptr, *gamma = nullptr, *beta = nullptr;  // dy: NULL forward; beta: forward
  float* y = nullptr;
  float* out[2] = {};        // mean and variance, or dgamma and dbeta
  float* partial = nullptr;  // [segments][kBatchNormSums][channels]
  int64_t rows = 0, channels = 0;
  float epsilon = 0;
};
constexpr int64_t kBatchNormSums = 4;  // of x, of (x - mean)^2, of dy * (x - mean), of dy
static inline int64_t batch_norm_segments(const BatchNormTrainArgs& a) {
  const int64_t n = a.rows / 32;
  return n < 1 ? 1 : n > 16 ? 16 : n;
}
static inline size_t batch_norm_scratch(const BatchNormTrainArgs& a) {
  return (size_t)(kBatchNormSums * a.channels) * sizeof(float);
}

// To be called in this order. Units: segments. Scratch: batch_norm_scratch.
struct BatchNormTrainKernels {
  static constexpr Capability capability = Capability::training;
  KernelFn sums;      // BatchNormTrainArgs: of x
  KernelFn products;  // what else is summed
  KernelFn apply;     // y and out
};

}  // namespace tern::cpu
