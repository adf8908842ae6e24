// SPDX-License-Identifier: Apache-2.0
// Products with ternary matrices (base/encodings/ternary2.h) of rows that are rounded to 8 bits, as the operator
// bit_linear says. Sums are exact integers; what follows is the same chain of f32 operations for any number of rows, so
// results have the same bits alone and in a batch, and on every instruction set:
//   y[m, n] = epilogue((float)sum * scale[n] * (a[m] / 127))
// A row with a number that is not finite gives NaN.
#pragma once
#include <tern/types.h>

#include "base/encodings/ternary2.h"
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/matmul_int8.h"
#include "kernels/cpu/strides.h"

namespace tern::cpu {

struct FinishRows;

struct TernaryArgs {
  const void* w = nullptr;  // [n, k]
  int64_t m = 0, n = 0, k = 0;
  const float* x = nullptr;  // [m, k], row after row
  float* y = nullptr;        // [m, n], rows y_stride floats apart; may be the residual
  int64_t y_stride = 0;
  Epilogue epilogue;
  // For more than kTernaryFew rows: what `quantize` writes, rows of ternary_stride(k) bytes, and from factor_offset on
  // a factor (f32) each.
  uint8_t* codes = nullptr;
  int64_t factor_offset = 0;
  KernelFn product = nullptr;                   // MatmulInt8Kernels::matmul
  void (*finish)(const FinishRows&) = nullptr;  // MatmulKernels::finish_rows
};

// Up to so many rows meet the codes as they lie, and every call rounds them for itself; more of them meet panels that
// are unpacked for the product of 8-bit integers.
constexpr int64_t kTernaryFew = 4;
constexpr int64_t kTernaryMostDepth = 1 << 18;  // k: sums stay within 32 bits
// Bytes of a row of codes: what is behind k counts as 0. Rows a power of two apart push each other out of the cache.
constexpr int64_t ternary_stride(int64_t k) {
  const int64_t bytes = ceil_div(k, 64) * 64;
  return bytes % 512 == 0 ? bytes + 64 : bytes;
}

// A unit is a panel of 32 rows of W times a block of kTernaryBlock rows of x, blocks varying fastest. Of `quantize`: a
// row of x.
constexpr int64_t kTernaryPanel = kInt8Panel, kTernaryBlock = 2 * kInt8Rows;
inline int64_t units(const TernaryArgs& a) { return ceil_div(a.n, kTernaryPanel) * ceil_div(a.m, kTernaryBlock); }
inline MatmulInt8Args ternary_block(const TernaryArgs& a) {
  MatmulInt8Args p;
  p.m = a.m < kTernaryBlock ? a.m : kTernaryBlock;
  p.n = kTernaryPanel, p.k = ceil_div(a.k, 64) * 64, p.x_stride = ternary_stride(a.k);
  p.y_stride = kTernaryPanel;
  return p;
}
inline size_t ternary_scratch_bytes(const TernaryArgs& a) {
  if (a.m <= kTernaryFew) return (size_t)(kTernaryFew * ternary_stride(a.k));
  const MatmulInt8Args p = ternary_block(a);
  return (size_t)(packed_int8_bytes(kTernaryPanel, p.k) + kTernaryBlock * kTernaryPanel * (int64_t)sizeof(float)) + 64 +
         matmul_int8_scratch_bytes(p);
}

struct TernaryInt8Kernels {
  KernelFn quantize, matmul;  // TernaryArgs
};

}  // namespace tern::cpu
