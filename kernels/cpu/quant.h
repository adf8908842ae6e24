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

struct QuantKernels {
  KernelFn quantise;    // QuantArgs
  KernelFn dequantise;  // QuantArgs
};

}  // namespace tern::cpu
