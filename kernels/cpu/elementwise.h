// SPDX-License-Identifier: Apache-2.0
// Element-wise kernels: one operand, two operands with broadcasting, selection by a mask, and conversion of types.
// Every element is computed by the same vector code wherever it lies, so a result does not depend on its position.
#pragma once
#include <tern/types.h>

#include "base/elementwise.h"
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/strides.h"

namespace tern::cpu {

// y[i] = op(x[i]); dense, x == y allowed when the types have one size. NaN gives NaN, except for thresholded_relu.
// Units: blocks of kUnaryBlock elements; the plan calls `units`. No scratch. Cost per unit: about 1 us for arithmetic,
// up to 10 us for tan, asin and their like.
constexpr int64_t kUnaryBlock = 4096;
struct UnaryArgs {
  ElementwiseStep op;
  int32_t dtype = TERN_DTYPE_F32;  // of x
  const void* x = nullptr;
  void* y = nullptr;  // type of x; bool for is_nan and is_inf
  int64_t count = 0;
};
inline int64_t units(const UnaryArgs& a) { return ceil_div(a.count, kUnaryBlock); }

// y = op(a, b) with broadcasting: y is dense row-major over `dims`; the operands have a stride per dim, in elements
// (0 = broadcast; anything else allowed, negative too). y may be the same memory as an operand of the same dense shape
// and type.
// Fill in op, dtype, pointers, rank, dims and strides, then call plan(). No scratch.
// Fast: both dense; one scalar (per row or in all); one [channels] vector against [rows, channels].
constexpr int64_t kBinaryBlock = 4096;
struct BinaryArgs {
  Elementwise op = Elementwise::none;
  int32_t dtype = TERN_DTYPE_F32;  // of a and b
  const void* a = nullptr;
  const void* b = nullptr;
  void* y = nullptr;
  int32_t rank = 0;
  int64_t dims[kMaxRank] = {};
  int64_t a_strides[kMaxRank] = {}, b_strides[kMaxRank] = {};
  // Filled by plan(): the last two dims (after collapsing) are cut into blocks of block_rows x block_cols.
  int64_t block_rows = 0, block_cols = 0, units = 0;
};

// Selection: y = condition ? a : b, strides as for BinaryArgs; condition is bool. elem_size 1, 2, 4 or 8 bytes.
struct SelectArgs {
  const uint8_t* condition = nullptr;
  const void* a = nullptr;
  const void* b = nullptr;
  void* y = nullptr;
  int32_t elem_size = 4;
  int32_t rank = 0;
  int64_t dims[kMaxRank] = {};
  int64_t condition_strides[kMaxRank] = {}, a_strides[kMaxRank] = {}, b_strides[kMaxRank] = {};
  int64_t block_rows = 0, block_cols = 0, units = 0;
};

// y[i] = (to)x[i]; dense, no overlap unless x == y and the sizes are equal. Any pair of the types of tern_dtype.
// To a float: nearest even. Float to integer: towards zero, saturating, NaN gives 0. Integer to narrower integer:
// wraps.
// To bool: x != 0. f64 to f16 or bf16 goes through f32. Units: blocks of kConvertBlock elements. No scratch.
constexpr int64_t kConvertBlock = 4096;
struct ConvertArgs {
  int32_t from = TERN_DTYPE_F32, to = TERN_DTYPE_F32;
  const void* x = nullptr;
  void* y = nullptr;
  int64_t count = 0;
};
inline int64_t units(const ConvertArgs& a) { return ceil_div(a.count, kConvertBlock); }

// The f32 -> f32 ops on one row of n elements, for other kernels. y may be x, a or b. *_scalar: the operand is one
// number.
using UnaryRowFn = void (*)(const ElementwiseStep& op, const float* x, float* y, int64_t n);
using BinaryRowFn = void (*)(Elementwise op, const float* a, int a_scalar, const float* b, int b_scalar, float* y,
                             int64_t n);

struct ElementwiseKernels {
  // Is there a kernel for this kind with so many operands of this type (F32, F64, I32, I64, BOOL)?
  bool (*takes)(Elementwise kind, int operands, int32_t dtype);
  KernelFn unary;   // UnaryArgs
  KernelFn binary;  // BinaryArgs
  KernelFn select;  // SelectArgs
  UnaryRowFn unary_row;
  BinaryRowFn binary_row;
};
struct ConvertKernels {
  KernelFn convert;  // ConvertArgs
};

// Cuts the last two dims into blocks of about `block` elements.
inline void plan_blocks(int rank, const int64_t* dims, int64_t block, int64_t* rows, int64_t* cols, int64_t* units) {
  const int64_t inner = dims[rank - 1], outer_rows = rank > 1 ? dims[rank - 2] : 1;
  *cols = inner > block ? block : inner;
  *rows = inner >= block || inner == 0 ? 1 : block / inner < outer_rows ? block / inner : outer_rows;
  if (*rows < 1) *rows = 1;
  *units = inner == 0
               ? 0
               : ceil_div(inner, *cols) * ceil_div(outer_rows, *rows) * num_elements(rank > 1 ? rank - 2 : 0, dims);
}
inline void plan(BinaryArgs& a) {
  int64_t strides[2][kMaxRank];
  for (int i = 0; i < kMaxRank; ++i) strides[0][i] = a.a_strides[i], strides[1][i] = a.b_strides[i];
  a.rank = collapse_dims(a.rank, a.dims, 2, strides);
  for (int i = 0; i < kMaxRank; ++i) a.a_strides[i] = strides[0][i], a.b_strides[i] = strides[1][i];
  plan_blocks(a.rank, a.dims, kBinaryBlock, &a.block_rows, &a.block_cols, &a.units);
}
inline void plan(SelectArgs& a) {
  int64_t strides[3][kMaxRank];
  for (int i = 0; i < kMaxRank; ++i)
    strides[0][i] = a.condition_strides[i], strides[1][i] = a.a_strides[i], strides[2][i] = a.b_strides[i];
  a.rank = collapse_dims(a.rank, a.dims, 3, strides);
  for (int i = 0; i < kMaxRank; ++i)
    a.condition_strides[i] = strides[0][i], a.a_strides[i] = strides[1][i], a.b_strides[i] = strides[2][i];
  plan_blocks(a.rank, a.dims, kBinaryBlock, &a.block_rows, &a.block_cols, &a.units);
}

}  // namespace tern::cpu
