// SPDX-License-Identifier: Apache-2.0
// Element-wise kernels: one operand, two operands with broadcasting, selection by a mask, and conversion of types.
// Every element is computed by the same vector code wherever it lies, so a result does not depend on its position.
#pragma once
#include <tern/types.h>

#include "kernels/cpu/kernel.h"
#include "kernels/cpu/strides.h"

namespace tern::cpu {

// f32 unless noted. p0 and p1 are UnaryArgs::p0 and p1. NaN gives NaN, except for threshold, shrink and step.
enum class Unary : int32_t {
  identity,
  neg,
  abs,
  sign,
  square,
  relu,        // these and clip, bitwise_not: i32 and i64 too
  clip,        // min(max(x, p0), p1); integers: bounds in i0, i1
  leaky_relu,  // x < 0 ? p0 * x : x
  elu,         // x < 0 ? p0 * (exp(x) - 1) : x
  selu,        // p1 * elu with p0
  celu,        // max(0, x) + min(0, p0 * (exp(x / p0) - 1))
  exp,
  expm1,
  log,
  log1p,
  sqrt,
  rsqrt,
  reciprocal,
  floor,
  ceil,
  trunc,
  round,  // round: half to even
  sin,
  cos,
  tan,
  asin,
  acos,
  atan,
  sinh,
  cosh,
  asinh,
  acosh,
  atanh,
  tanh,
  sigmoid,
  erf,
  hard_sigmoid,  // clip(p0 * x + p1, 0, 1)
  hard_swish,    // x * clip(x + 3, 0, 6) / 6
  silu,          // x * sigmoid(x)
  gelu_erf,      // x * (1 + erf(x / sqrt 2)) / 2
  gelu_tanh,     // x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2
  softplus,      // log(1 + exp(x))
  softsign,      // x / (1 + |x|)
  mish,          // x * tanh(softplus(x))
  threshold,     // x > p0 ? x : p1 (thresholded relu with p1 = 0)
  shrink,        // x < -p0 ? x + p1 : x > p0 ? x - p1 : 0
  step,          // x > p0 ? 1 : 0 (for gradients of relu and clip)
  bitwise_not,   // i32, i64 and u8
  logical_not,   // bool only
  is_nan,
  is_inf,  // f32 -> bool; is_inf: p0 != 0 accepts -inf, p1 != 0 accepts +inf
  count_
};

// y[i] = op(x[i]); dense, x == y allowed when the types have one size. Units: blocks of kUnaryBlock elements; the plan
// calls `units`. No scratch. Cost per unit: about 1 us for arithmetic, up to 10 us for tan, asin and their like.
constexpr int64_t kUnaryBlock = 4096;
struct UnaryArgs {
  Unary op = Unary::identity;
  int32_t dtype = TERN_DTYPE_F32;  // of x: F32, I32, I64; BOOL and U8 for the two nots
  float p0 = 0, p1 = 0;
  int64_t i0 = INT64_MIN, i1 = INT64_MAX;
  const void* x = nullptr;
  void* y = nullptr;  // type of x; bool for is_nan and is_inf
  int64_t count = 0;
};
inline int64_t units(const UnaryArgs& a) { return ceil_div(a.count, kUnaryBlock); }

// The compare ops and the logical ops write bool (one byte, 0 or 1).
enum class Binary : int32_t {
  add,
  sub,
  mul,
  div,  // integers: towards zero; x / 0 = 0, INT_MIN / -1 = INT_MIN
  min,
  max,                 // NaN wins
  pow,                 // integers: x^y wraps; a negative y gives 0 unless |x| = 1
  mod,                 // sign of the divisor (x - y * floor(x / y)); integers: x mod 0 = 0
  fmod,                // sign of the dividend, truncating
  prelu,               // a < 0 ? a * b : a
  squared_difference,  // (a - b)^2
  atan2,               // f32 only
  bit_and,
  bit_or,
  bit_xor,
  shift_left,
  shift_right,  // integers only (u8, i32, i64); shifts of >= width give 0
  eq,
  ne,
  lt,
  le,
  gt,
  ge,
  logical_and,
  logical_or,
  logical_xor,  // bool only
  count_
};

// y = op(a, b) with broadcasting: y is dense row-major over `dims`; the operands have a stride per dim, in elements
// (0 = broadcast; anything else allowed, negative too). y may be the same memory as an operand of the same dense shape
// and type. f32 results of arithmetic ops are then clipped to [lo, hi] if `clip` is set.
// Fill in op, dtype, pointers, rank, dims and strides, then call plan(). No scratch.
// Fast: both dense; one scalar (per row or in all); one [channels] vector against [rows, channels].
constexpr int64_t kBinaryBlock = 4096;
struct BinaryArgs {
  Binary op = Binary::add;
  int32_t dtype = TERN_DTYPE_F32;  // of a and b: F32, I32, I64, U8, BOOL (U8: arithmetic wraps)
  const void* a = nullptr;
  const void* b = nullptr;
  void* y = nullptr;
  int32_t rank = 0;
  int32_t clip = 0;
  float lo = 0, hi = 0;
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
using UnaryRowFn = void (*)(Unary op, float p0, float p1, const float* x, float* y, int64_t n);
using BinaryRowFn = void (*)(Binary op, const float* a, int a_scalar, const float* b, int b_scalar, float* y,
                             int64_t n);

struct ElementwiseKernels {
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
