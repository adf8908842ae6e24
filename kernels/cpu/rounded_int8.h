// SPDX-License-Identifier: Apache-2.0
// Products with matrices of 8-bit and 4-bit codes (base/encodings/panel_codes.h) of rows that are rounded to 16 bits,
// as the operator rounded_linear says. With q the integers of a block of 32 columns of x and a / 32385 their step:
//   y[m, n] = epilogue(sum over blocks of sum(q * code[n]) * (scale[n] * step) + least[n] * (step * sum(q)))
// Integers of x are 254 * high + low, both of 8 bits, so that products of bytes take them. The sums of high and of low
// within a block are exact; blocks are added in ascending order as f32, with fused multiply-adds where the set has
// them. That is the same for any number of rows: results have the same bits alone and in a batch. A row with a number
// that is not finite gives NaN.
#pragma once
#include <tern/types.h>

#include "base/encodings/panel_codes.h"
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/strides.h"

namespace tern::cpu {

struct FinishRows;

// 32 columns of a row of x.
struct RoundedBlock {
  int8_t codes[2][kCodedBlock];  // high, low
  float step;
  union {
    int32_t start[2];  // what the sums begin with, for codes that lie a constant above what they stand for
    float total;       // step * sum of integers, for codes with a least value
  };
};
constexpr int64_t rounded_row_bytes(int64_t k) { return ceil_div(k, kCodedBlock) * (int64_t)sizeof(RoundedBlock); }

struct RoundedArgs {
  PanelCodes codes;
  const void* w = nullptr;  // [n, k]
  int64_t m = 0, n = 0, k = 0;
  const float* x = nullptr;  // [m, k], row after row
  float* y = nullptr;        // [m, n], rows y_stride floats apart; may be the residual
  int64_t y_stride = 0;
  Epilogue epilogue;
  void* rows = nullptr;                         // for more than kRoundedFew rows: what `quantize` writes
  void (*finish)(const FinishRows&) = nullptr;  // MatmulKernels::finish_rows
};

// Every call rounds up to so many rows for itself.
constexpr int64_t kRoundedFew = 4;

// A unit is a panel of W times a block of kRoundedRows rows of x, blocks varying fastest. Of `quantize`: a row of x.
constexpr int64_t kRoundedRows = 96;
inline int64_t units(const RoundedArgs& a) { return ceil_div(a.n, kCodedPanel) * ceil_div(a.m, kRoundedRows); }
inline size_t rounded_scratch_bytes(const RoundedArgs& a) {
  const int64_t rows = a.m < kRoundedRows ? a.m : kRoundedRows;
  return (size_t)(rows * kCodedPanel * (int64_t)sizeof(float) +
                  (a.m <= kRoundedFew ? a.m * rounded_row_bytes(a.k) : 0));
}

struct RoundedInt8Kernels {
  KernelFn quantize, matmul;  // RoundedArgs
};

}  // namespace tern::cpu
