// SPDX-License-Identifier: Apache-2.0
// Quantising, dequantising, and products with the block-quantised matrix of base/encodings/block_int8.h.
// All results are equal on every instruction set, except the f32 sums of the block_int8 products.
#pragma once
#include <tern/types.h>

#include "base/encodings/block_int8.h"
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/strides.h"

namespace tern::cpu {

// f32 <-> integers, x and y as [outer, channels, inner], one scale and zero point per channel (channels = 1: per
// tensor).
//   quantise:   q = clamp(round half to even(x / scale[c]) + zero[c]) to the range of the type; NaN gives zero[c]
//   dequantise: x = (q - zero[c]) * scale[c]
// type of q: I8, U8, I16, U16, I32 (I32 only dequantises). zero: NULL = 0. Units: blocks of kQuantBlock elements when
// channels == 1, else outer * blocks of channels (inner == 1), or outer * channels. Call units(). No scratch.
constexpr int64_t kQuantBlock = 4096;
struct QuantArgs {
  int32_t dtype = TERN_DTYPE_I8;  // of q
  const float* scale = nullptr;   // [channels]
  const int32_t* zero = nullptr;  // [channels] or NULL
  float* x = nullptr;             // written by dequantise
  void* q = nullptr;              // written by quantise
  int64_t outer = 1, channels = 1, inner = 0;
};
inline int64_t units(const QuantArgs& a) {
  if (a.channels == 1) return ceil_div(a.outer * a.inner, kQuantBlock);
  return a.inner == 1 ? a.outer * ceil_div(a.channels, kQuantBlock) : a.inner == 0 ? 0 : a.outer * a.channels;
}

// Each row of x [rows, cols] to its own scale. Symmetric (dtype I8): scale = max|x| / 127, zero 0, codes [-127, 127].
// Asymmetric (dtype U8): the range [min(x, 0), max(x, 0)] onto [0, 255]. A row of zeros gets scale 0 and codes = zero.
// Non-finite input gives some codes and a non-finite scale. Units: rows. No scratch.
struct QuantRowsArgs {
  int32_t dtype = TERN_DTYPE_I8;
  const float* x = nullptr;
  void* q = nullptr;                         // [rows, q_stride]
  float* scale = nullptr;                    // [rows]
  int32_t* zero = nullptr;                   // [rows]; may be NULL for I8
  int64_t rows = 0, cols = 0, q_stride = 0;  // q_stride in bytes, >= cols; the bytes between stay as they are
};
inline int64_t units(const QuantRowsArgs& a) { return a.rows; }

// y[m, n] = sum over k of x[m, k] * W[n, k]: W is `rows` x `cols` in the layout of base/encodings/block_int8.h.
// Per block of 32: f32 products of code and activation, their sum times the scale, added in the order of blocks; a row
// of y does not depend on the others. x: f32 [m, cols], rows x_stride apart; y: f32 [m, rows], rows y_stride apart
// (floats).
// Units: blocks of kBlockInt8Rows rows of W. No scratch. Cost per unit: reads the unit's rows of W once for every 4
// rows of x.
constexpr int64_t kBlockInt8Rows = 16;
struct BlockInt8Args {
  BlockInt8 w;
  const float* x = nullptr;
  float* y = nullptr;
  int64_t m = 0, x_stride = 0, y_stride = 0;
  const float* bias = nullptr;  // [rows] or NULL (matmul only)
};
inline int64_t units(const BlockInt8Args& a) { return ceil_div(a.w.rows, kBlockInt8Rows); }

// y[m, k] = sum over n of x[m, n] * W[n, k], in the order of n. x: f32 [m, rows], y: f32 [m, cols].
// Units: block_int8_transposed_units, blocks of kBlockInt8Cols columns of W. No scratch.
constexpr int64_t kBlockInt8Cols = 64;
inline int64_t block_int8_transposed_units(const BlockInt8Args& a) { return ceil_div(a.w.cols, kBlockInt8Cols); }

// y[i, :] = W[index[i], :], f32, exactly code * scale. Indices as in gather.h (i32 or i64, negative wraps once, out of
// range gives zeros and sets *error to 1). Units: indices. No scratch.
struct BlockInt8GatherArgs {
  BlockInt8 w;
  const void* index = nullptr;
  float* y = nullptr;
  int32_t* error = nullptr;
  int32_t index_dtype = TERN_DTYPE_I64;
  int64_t count = 0, y_stride = 0;
};
inline int64_t units(const BlockInt8GatherArgs& a) { return a.count; }

struct QuantKernels {
  KernelFn quantise;             // QuantArgs
  KernelFn dequantise;           // QuantArgs
  KernelFn quantise_rows;        // QuantRowsArgs
  KernelFn block_int8_matmul;    // BlockInt8Args
  KernelFn block_int8_matmul_t;  // BlockInt8Args
  KernelFn block_int8_gather;    // BlockInt8GatherArgs
};

}  // namespace tern::cpu
