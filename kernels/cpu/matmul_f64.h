// SPDX-License-Identifier: Apache-2.0
// Matrix products in f64: y[m][n] = bias[n] + op(a) * op(b) per batch, laid out as in MatmulArgs (matmul.h).
// Each output is a chain of multiply-adds over k in ascending order, in pieces of kMatmulF64Depth that are added up.
#pragma once
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/strides.h"

namespace tern::cpu {

struct MatmulF64Args {
  const double *a = nullptr, *b = nullptr, *bias = nullptr;  // bias: [n] or NULL
  double* y = nullptr;
  int64_t m = 0, n = 0, k = 0;
  int64_t a_stride = 0, b_stride = 0, y_stride = 0;                       // elements from one stored row to the next
  int64_t batch[2] = {1, 1};                                              // outer, inner
  int64_t a_batch[2] = {0, 0}, b_batch[2] = {0, 0}, y_batch[2] = {0, 0};  // elements from one matrix to the next
  int32_t a_transposed = 0, b_transposed = 0;
};

// A unit is a block of rows and columns of one matrix. Scratch: a panel of b.
constexpr int64_t kMatmulF64Rows = 192, kMatmulF64Columns = 128, kMatmulF64Depth = 256, kMatmulF64Panel = 32;
static inline int64_t units(const MatmulF64Args& a) {
  return a.batch[0] * a.batch[1] * ceil_div(a.m, kMatmulF64Rows) * ceil_div(a.n, kMatmulF64Columns);
}
static inline size_t matmul_f64_scratch_bytes() { return (size_t)(kMatmulF64Panel * kMatmulF64Depth) * sizeof(double); }

struct MatmulF64Kernels {
  KernelFn matmul;  // MatmulF64Args
};

}  // namespace tern::cpu
