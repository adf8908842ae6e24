// SPDX-License-Identifier: Apache-2.0
// Reductions over any set of axes, and arg max / arg min over one axis.
#pragma once
#include <tern/types.h>

#include "kernels/cpu/kernel.h"
#include "kernels/cpu/strides.h"

namespace tern::cpu {

enum class Reduce : int32_t { sum, mean, max, min, prod, sum_squares, l1, l2, log_sum, log_sum_exp, count_ };

// y = reduction of dense x over the axes of `mask`; y is dense over the kept dims. f32: all ops. F64: sum, mean,
// max, min, prod. I32 and I64: sum, mean
// (towards zero), max, min, prod, sum_squares, l1; these wrap. BOOL: max (any), min (all).
// Order of a sum: fixed, in blocks of 64 terms whose sums are added up in blocks of 64 again, so the error grows with
// about 64 + n / 4096 roundings. max and min: NaN wins. An empty reduction gives 0 (sum, sum_squares, l1, l2), 1
// (prod), NaN (mean), -inf (max, log_sum, log_sum_exp), +inf (min); integers: the least or greatest value.
// Fast: last axes (each output one contiguous row) and leading or middle axes (global average pool: channels
// contiguous).
// Fill in op, dtype, x, y and call plan_reduce. Units: output rows, or blocks of kReduceCols outputs. No scratch.
constexpr int64_t kReduceCols = 64;
struct ReduceArgs {
  Reduce op = Reduce::sum;
  int32_t dtype = TERN_DTYPE_F32;
  const void* x = nullptr;
  void* y = nullptr;
  // Filled by plan_reduce. Kept and reduced dims with their strides in x (elements); the innermost dim of x is apart:
  // it has `inner` elements and is reduced (inner_reduced = 1) or kept.
  int32_t kept_rank = 0, reduced_rank = 0, inner_reduced = 0;
  int64_t inner = 1, kept_count = 1, reduced_count = 1;
  int64_t kept_dims[kMaxRank] = {}, kept_strides[kMaxRank] = {};
  int64_t reduced_dims[kMaxRank] = {}, reduced_strides[kMaxRank] = {};
  int64_t units = 0;
};

// Bit i of `mask` set: axis i is reduced.
inline void plan_reduce(ReduceArgs& a, int rank, const int64_t* dims, uint32_t mask) {
  int64_t size[kMaxRank];
  bool reduced[kMaxRank];
  int n = 0;
  for (int i = 0; i < rank; ++i) {
    const bool r = mask >> i & 1;
    if (dims[i] == 1) continue;
    if (n > 0 && reduced[n - 1] == r) size[n - 1] *= dims[i];
    else size[n] = dims[i], reduced[n++] = r;
  }
  if (n == 0) size[0] = 1, reduced[0] = true, n = 1;
  a.inner = size[n - 1];
  a.inner_reduced = reduced[n - 1];
  a.kept_rank = a.reduced_rank = 0;
  a.kept_count = a.reduced_count = 1;
  int64_t step = a.inner;
  int64_t strides[kMaxRank];
  for (int i = n - 2; i >= 0; --i) {
    strides[i] = step;
    step *= size[i];
  }
  for (int i = 0; i < n - 1; ++i) {
    if (reduced[i]) {
      a.reduced_dims[a.reduced_rank] = size[i], a.reduced_strides[a.reduced_rank++] = strides[i];
      a.reduced_count *= size[i];
    } else {
      a.kept_dims[a.kept_rank] = size[i], a.kept_strides[a.kept_rank++] = strides[i];
      a.kept_count *= size[i];
    }
  }
  a.units = a.inner_reduced ? a.kept_count : a.kept_count * ceil_div(a.inner, kReduceCols);
}

// Walks over the reduced dims in order; next() gives the offset of each index combination.
struct ReducedIndices {
  const ReduceArgs& a;
  int64_t index[kMaxRank] = {};
  int64_t offset = 0;
  void next() {
    for (int d = a.reduced_rank - 1; d >= 0; --d) {
      offset += a.reduced_strides[d];
      if (++index[d] < a.reduced_dims[d]) return;
      offset -= a.reduced_strides[d] * a.reduced_dims[d];
      index[d] = 0;
    }
  }
};

// Offset in x of kept index combination `kept`.
inline int64_t kept_offset(const ReduceArgs& a, int64_t kept) {
  int64_t offset = 0;
  for (int d = a.kept_rank - 1; d >= 0; --d) {
    offset += kept % a.kept_dims[d] * a.kept_strides[d];
    kept /= a.kept_dims[d];
  }
  return offset;
}

// y[outer, inner] = index (i64) of the greatest or least element of x[outer, axis, inner] along axis; the first among
// equals (the last if `last`); NaN counts as greatest for arg max and least for arg min. axis >= 1. dtype: F32, F64,
// I32, I64, U8, I8. Units: outer rows if inner == 1, else outer * blocks of kReduceCols of inner. No scratch.
struct ArgReduceArgs {
  int32_t dtype = TERN_DTYPE_F32;
  int32_t least = 0, last = 0;
  const void* x = nullptr;
  int64_t* y = nullptr;
  int64_t outer = 0, axis = 0, inner = 0;
};
inline int64_t units(const ArgReduceArgs& a) { return a.outer * ceil_div(a.inner, a.inner == 1 ? 1 : kReduceCols); }

struct ReduceKernels {
  KernelFn reduce;      // ReduceArgs
  KernelFn arg_reduce;  // ArgReduceArgs
};

}  // namespace tern::cpu
