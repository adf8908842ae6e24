// SPDX-License-Identifier: Apache-2.0
// Cross-entropy of softmax over rows, f32, and its gradient. Rows are labelled by an index (i32 or i64; a negative one
// counts from the end; one out of range sets *error to 1 and its row to 0) or by probabilities.
//   loss[row] = -log softmax(x)[label], or -sum of p * log softmax(x)
//   dx = dloss[row] * (softmax(x) - 1 at the label), or dloss[row] * (softmax(x) * sum of p - p)
// x, p, dx [rows, classes], dense. Unit: a row. No scratch.
#pragma once
#include <tern/types.h>

#include "kernels/cpu/kernel.h"

namespace tern::cpu {

struct CrossEntropyArgs {
  const float* x = nullptr;
  const void* labels = nullptr;  // NULL: p
  const float* p = nullptr;
  const float* dloss = nullptr;
  float* y = nullptr;  // loss or dx
  int32_t* error = nullptr;
  int32_t label_dtype = TERN_DTYPE_I64;
  int64_t rows = 0, classes = 0;
};

struct CrossEntropyKernels {
  static constexpr Capability capability = Capability::training;
  KernelFn loss, gradient;
};

}  // namespace tern::cpu
