// SPDX-License-Identifier: Apache-2.0
// Softmax and log-softmax over one axis, and their gradients.
#pragma once
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/strides.h"

namespace tern::cpu {

// x, y: f32 [outer, axis, inner], dense; x == y allowed. y = exp(x - max) / sum, or x - max - log(sum) if `log`.
// Relative error about 3e-7 + 6e-8 * (max - x). Units: rows if inner == 1, else outer * blocks of kSoftmaxCols of
// inner. Scratch: none. Cost: about 1.5 ns an element / lane.
constexpr int64_t kSoftmaxCols = 64;
struct SoftmaxArgs {
  const float* x = nullptr;
  float* y = nullptr;
  int64_t outer = 0, axis = 0, inner = 0;
  int32_t log = 0;
};
inline int64_t units(const SoftmaxArgs& a) { return a.outer * (a.inner == 1 ? 1 : ceil_div(a.inner, kSoftmaxCols)); }

// dx = y * (dy - the sum of dy * y along the axis), or dy - exp(y) * the sum of dy if `log`; dx may be y or dy. Units:
// outer * blocks of kSoftmaxCols of inner. Scratch: none.
struct SoftmaxGradArgs {
  const float *y = nullptr, *dy = nullptr;
  float* dx = nullptr;
  int64_t outer = 0, axis = 0, inner = 0;
  int32_t log = 0;
};
inline int64_t units(const SoftmaxGradArgs& a) { return a.outer * ceil_div(a.inner, kSoftmaxCols); }

struct SoftmaxKernels {
  KernelFn softmax;   // SoftmaxArgs
  KernelFn gradient;  // SoftmaxGradArgs
};

}  // namespace tern::cpu
