// SPDX-License-Identifier: Apache-2.0
// Reading and writing at indices held in a tensor, one-hot, and running sums.
//
// The rule for indices: i32 or i64; a negative index counts from the end, once; one that is out of range then reads as
// zero bits (gather) or is skipped (scatter), and sets *error to 1. *error is never cleared; the caller owns it
// and may share it between calls. No bad index reads or writes outside a tensor.
#pragma once
#include <tern/types.h>

#include "kernels/cpu/kernel.h"
#include "kernels/cpu/strides.h"

namespace tern::cpu {

// y[outer, i, :] = x[outer, index[i], :]. x [outer, rows, row_bytes], y [outer, count, row_bytes].
// Units: outer * blocks of kGatherRows indices. No scratch.
constexpr int64_t kGatherRows = 16;
struct GatherArgs {
  const void* x = nullptr;
  const void* index = nullptr;
  void* y = nullptr;
  int32_t* error = nullptr;
  int32_t index_dtype = TERN_DTYPE_I64;
  int64_t outer = 1, rows = 0, row_bytes = 0, count = 0;
};
inline int64_t units(const GatherArgs& a) { return a.outer * ceil_div(a.count, kGatherRows); }

// y[b, i, :] = x[b, index[b, i, 0], ..., index[b, i, depth - 1], :]. x [batch, dims[0..depth), slice_bytes], index
// [batch, count, depth], y [batch, count, slice_bytes]. Units: batch * blocks of kGatherRows index tuples. No scratch.
struct GatherNdArgs {
  const void* x = nullptr;
  const void* index = nullptr;
  void* y = nullptr;
  int32_t* error = nullptr;
  int32_t index_dtype = TERN_DTYPE_I64;
  int32_t depth = 0;
  int64_t dims[kMaxRank] = {};
  int64_t batch = 1, count = 0, slice_bytes = 0;
};
inline int64_t units(const GatherNdArgs& a) { return a.batch * ceil_div(a.count, kGatherRows); }

// y[i] = x[i with i[axis] replaced by index[i]]; index and y dense over index_dims, x dense over dims; index_dims <=
// dims but for `axis`. Units: rows (all dims of index but the last). No scratch. elem_size 1, 2, 4, 8.
struct GatherElementsArgs {
  const void* x = nullptr;
  const void* index = nullptr;
  void* y = nullptr;
  int32_t* error = nullptr;
  int32_t index_dtype = TERN_DTYPE_I64, elem_size = 4, rank = 0, axis = 0;
  int64_t dims[kMaxRank] = {}, index_dims[kMaxRank] = {};
};
inline int64_t units(const GatherElementsArgs& a) {
  return a.index_dims[a.rank - 1] == 0 ? 0 : num_elements(a.rank - 1, a.index_dims);
}

enum class Scatter : int32_t { assign, add, mul, min, max };

// y[i with i[axis] replaced by index[i]] op= updates[i], in the order of index (the last assignment wins, sums are
// added in order). y holds the data already (copy it first). Shapes as GatherElementsArgs, updates as index. dtype: any
// for assign, else F32, I32, I64. Units: lines along `axis`, so that no two units meet. No scratch.
struct ScatterElementsArgs {
  Scatter op = Scatter::assign;
  int32_t dtype = TERN_DTYPE_F32;
  const void* updates = nullptr;
  const void* index = nullptr;
  void* y = nullptr;
  int32_t* error = nullptr;
  int32_t index_dtype = TERN_DTYPE_I64, elem_size = 4, rank = 0, axis = 0;
  int64_t dims[kMaxRank] = {}, index_dims[kMaxRank] = {};
};
inline int64_t units(const ScatterElementsArgs& a) {
  int64_t n = a.index_dims[a.axis] == 0 ? 0 : 1;
  for (int i = 0; i < a.rank; ++i)
    if (i != a.axis) n *= a.index_dims[i];
  return n;
}

// y[o, index[i, 0], ..., index[i, depth - 1], :] op= updates[o, i, :], in the order of i. y holds the data already.
// y [outer, dims[0..depth), slice], updates [outer, count, slice]; slice in elements. With depth 1 this is the gradient
// of gather. Units: outer * blocks of kScatterCols columns of the slice, so sums have one order. No scratch.
constexpr int64_t kScatterCols = 256;
struct ScatterNdArgs {
  Scatter op = Scatter::assign;
  int32_t dtype = TERN_DTYPE_F32;
  const void* updates = nullptr;
  const void* index = nullptr;
  void* y = nullptr;
  int32_t* error = nullptr;
  int32_t index_dtype = TERN_DTYPE_I64, elem_size = 4, depth = 0;
  int64_t dims[kMaxRank] = {};
  int64_t outer = 1, count = 0, slice = 0;
};
inline int64_t units(const ScatterNdArgs& a) { return a.outer * ceil_div(a.slice, kScatterCols); }

// y[outer, d, inner] = index[outer, inner] == d ? on : off; y [outer, depth, inner], index [outer, inner] (i32 or i64).
// on, off: bits of one element. Here an index out of range is no error: all off. Units: outer. No scratch.
struct OneHotArgs {
  const void* index = nullptr;
  void* y = nullptr;
  int32_t index_dtype = TERN_DTYPE_I64, elem_size = 4;
  uint64_t on = 1, off = 0;
  int64_t outer = 0, depth = 0, inner = 1;
};
inline int64_t units(const OneHotArgs& a) { return a.depth == 0 ? 0 : a.outer; }

// Running sum along the middle of [outer, axis, inner], in order; exclusive: without the element itself; reverse: from
// the end. dtype F32, I32, I64. x == y allowed. Units: outer * blocks of kScatterCols of inner. No scratch.
struct CumsumArgs {
  int32_t dtype = TERN_DTYPE_F32, exclusive = 0, reverse = 0;
  const void* x = nullptr;
  void* y = nullptr;
  int64_t outer = 0, axis = 0, inner = 1;
};
inline int64_t units(const CumsumArgs& a) { return a.outer * ceil_div(a.inner, kScatterCols); }

struct GatherKernels {
  KernelFn gather;            // GatherArgs
  KernelFn gather_nd;         // GatherNdArgs
  KernelFn gather_elements;   // GatherElementsArgs
  KernelFn scatter_elements;  // ScatterElementsArgs
  KernelFn scatter_nd;        // ScatterNdArgs
  KernelFn one_hot;           // OneHotArgs
  KernelFn cumsum;            // CumsumArgs
};

}  // namespace tern::cpu
