// SPDX-License-Identifier: Apache-2.0
// Quantising and dequantising. All results are equal on every instruction set.
#pragma once
#include <tern/types.h>

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

struct QuantKernels {
  KernelFn quantise;       // QuantArgs
  KernelFn dequantise;     // QuantArgs
  KernelFn quantise_rows;  // QuantRowsArgs
};

}  // namespace tern::cpu
