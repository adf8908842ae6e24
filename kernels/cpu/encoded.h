// SPDX-License-Identifier: Apache-2.0
// Products with a matrix W [rows, cols] in any encoding (base/encoding.h), read as it lies in the model file.
//   matmul     y[m, n] = epilogue(sum over k of x[m, k] * W[n, k])
//   matmul_t   y[m, k] = sum over n of x[m, n] * W[n, k]
// Activations are f32. Tiles of W are unpacked to f32 and meet x in the product of kernels/cpu/matmul.h: each output is
// one chain of fused multiply-adds in ascending order. A row of y depends on its row of x alone, and not on the split
// into units.
//
// kernels/cpu/enc_<name>.cpp defines `extern const EncodedKernels enc_<name>_kernels` for the encoding of that name; an
// encoding without such a file is unpacked by the plain loops of its description.
#pragma once
#include <tern/types.h>

#include "base/encodings_generated.h"
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/strides.h"

namespace tern {
struct PanelCodes;  // base/encodings/panel_codes.h
}

namespace tern::cpu {

struct EncodedMatrix {
  const void* data = nullptr;
  int64_t rows = 0, cols = 0;
  int32_t dtype = TERN_DTYPE_F32;  // of the value
  Encoding encoding = Encoding::plain;
};

struct EncodedKernels {
  // out[i * stride + j] = W[row + i, col + j], exactly, for i < rows and j < cols. col is a multiple of 32.
  void (*unpack)(const EncodedMatrix& w, int64_t row, int64_t rows, int64_t col, int64_t cols, float* out,
                 int64_t stride) = nullptr;
  // The bytes are panels (base/panel.h) of the value's dtype: MatmulKernels::panel_matmul reads them as they lie.
  bool panels = false;
  // The bytes are lines (base/encodings/ternary2.h), which TernaryInt8Kernels multiply with rows of 8 bits.
  bool ternary = false;
  // The bytes are panels of codes, which RoundedInt8Kernels multiply with rows of 16 bits. NULL: they are not.
  const PanelCodes* codes = nullptr;
};

struct EncodedArgs {
  const EncodedKernels* kernels = nullptr;
  EncodedMatrix w;
  const float* x = nullptr;  // [m, cols]; matmul_t: [m, rows]. Rows x_stride apart
  float* y = nullptr;        // [m, rows]; matmul_t: [m, cols]. Rows y_stride apart; may be the residual, not x
  int64_t m = 0, x_stride = 0, y_stride = 0;
  Epilogue epilogue;  // matmul only
};

// A unit is kEncodedTile rows (matmul_t: kEncodedColumns columns) of W times a block of kEncodedRows rows of x, blocks
// varying fastest.
constexpr int64_t kEncodedTile = 32, kEncodedColumns = 128, kEncodedRows = 256;
inline int64_t encoded_units(const EncodedArgs& a) {
  return ceil_div(a.w.rows, kEncodedTile) * ceil_div(a.m, kEncodedRows);
}
inline int64_t encoded_units_t(const EncodedArgs& a) {
  return ceil_div(a.w.cols, kEncodedColumns) * ceil_div(a.m, kEncodedRows);
}
inline double encoded_unit_flops(const EncodedArgs& a, int64_t units) {
  return units ? 2.0 * (double)a.m * (double)a.w.rows * (double)a.w.cols / (double)units : 0;
}
// An unpacked tile of all columns and a block of it by rows. matmul_t: some tiles.
constexpr int64_t kEncodedDepth = 256;
inline size_t encoded_scratch_bytes(const EncodedArgs& a) {
  return (size_t)((a.w.cols + kEncodedDepth) * kEncodedTile) * sizeof(float);
}
constexpr size_t kEncodedScratchBytesT = (size_t)(kEncodedDepth * kEncodedColumns) * sizeof(float);

struct EncodedProducts {
  KernelFn matmul, matmul_t;  // EncodedArgs
  EncodedKernels by_loops;    // of encodings that have none
};

}  // namespace tern::cpu
