// SPDX-License-Identifier: Apache-2.0
// Vectors of channels that regions are mixed from, f32: one sample lies between four pixels (which may be the same).
#pragma once
#include "kernels/cpu/kernel.h"

namespace tern::cpu {

struct RoiSample {
  int64_t at[4] = {};  // floats from the first channel of the tensor to that of each pixel
  float weight[4] = {};
};

struct RoiAlignKernels {
  // sum[c] += the four weight * x[at + c], in order
  void (*mix)(const RoiSample& s, const float* x, float* sum, int64_t channels);
  // Keeps the largest weight * x[at + c] in best[c], and weight * values[at + c] of the same pixel in sum[c]; first:
  // nothing is kept yet.
  void (*largest)(const RoiSample& s, const float* x, const float* values, float* best, float* sum, int64_t channels,
                  bool first);
  // dx[at + c] += weight * d[c], pixel after pixel
  void (*spread)(const RoiSample& s, const float* d, float* dx, int64_t channels);
};

}  // namespace tern::cpu
