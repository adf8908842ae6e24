// SPDX-License-Identifier: Apache-2.0
// What there is for rows of f64, beside products (matmul_f64.h).
#pragma once
#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/normalize.h"
#include "kernels/cpu/reduce.h"

namespace tern::cpu {

// As SoftmaxArgs (softmax.h). Units: rows if inner == 1, else outer * blocks of kSoftmaxF64Cols of inner. No scratch.
constexpr int64_t kSoftmaxF64Cols = 64;
struct SoftmaxF64Args {
  const double* x = nullptr;
  double* y = nullptr;
  int64_t outer = 0, axis = 0, inner = 0;
  int32_t log = 0;
};
inline int64_t units(const SoftmaxF64Args& a) { return a.outer * ceil_div(a.inner, kSoftmaxF64Cols); }

// As RowNormArgs (normalize.h). Units: rows. No scratch.
struct RowNormF64Args {
  RowNorm kind = RowNorm::layer;
  double epsilon = 0;
  const double *x = nullptr, *gamma = nullptr, *beta = nullptr;
  double* y = nullptr;
  int64_t rows = 0, channels = 0;
};
inline int64_t units(const RowNormF64Args& a) { return a.rows; }

struct RowsF64Kernels {
  KernelFn softmax;   // SoftmaxF64Args
  KernelFn row_norm;  // RowNormF64Args
  // For the kernels of all types:
  KernelFn reduce;  // ReduceArgs
  void (*unary_row)(const ElementwiseStep& op, const double* x, double* y, int64_t n);
  void (*binary_row)(Elementwise op, const double* a, int a_scalar, const double* b, int b_scalar, double* y,
                     int64_t n);
};

}  // namespace tern::cpu
