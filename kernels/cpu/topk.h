// SPDX-License-Identifier: Apache-2.0
// The k greatest or least elements along an axis, in order.
#pragma once
#include <tern/types.h>

#include "kernels/cpu/kernel.h"

namespace tern::cpu {

// x [outer, axis, inner] -> values, indices [outer, k, inner], best first; equal values in the order of their indices.
// NaN counts as greater than all. 0 <= k <= axis. dtype F32, I32, I64. values or indices may be NULL.
// Units: lines, outer * inner. Scratch: topk_scratch bytes. Cost per unit: axis compares, and k log k moves for each
// winner.
struct TopkArgs {
  int32_t dtype = TERN_DTYPE_F32;
  int32_t least = 0;
  const void* x = nullptr;
  void* values = nullptr;
  int64_t* indices = nullptr;
  int64_t outer = 0, axis = 0, inner = 1, k = 0;
};
inline int64_t units(const TopkArgs& a) { return a.outer * a.inner; }
inline size_t topk_scratch(const TopkArgs& a) { return (size_t)a.k * 16; }

struct TopkKernels {
  KernelFn topk;  // TopkArgs
};

}  // namespace tern::cpu
