// SPDX-License-Identifier: Apache-2.0
// Plan-time helpers for strided operands, shared by the kernels that walk tensors of up to rank 8.
// Only plan code calls these functions; a source that is built per instruction set must not (see kernel.h).
#pragma once
#include <cstdint>

namespace tern::cpu {

constexpr int kMaxRank = 8;

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

inline int64_t num_elements(int rank, const int64_t* dims) {
  int64_t n = 1;
  for (int i = 0; i < rank; ++i) n *= dims[i];
  return n;
}

// Strides of a dense row-major tensor, in elements.
inline void dense_strides(int rank, const int64_t* dims, int64_t* strides) {
  int64_t step = 1;
  for (int i = rank - 1; i >= 0; --i) {
    strides[i] = step;
    step *= dims[i];
  }
}

// Strides of a dense operand of shape `dims` that is broadcast (NumPy rules, aligned at the last dim) to `out_dims`:
// 0 where the operand has size 1. The caller has checked that the shapes match.
inline void broadcast_strides(int rank, const int64_t* dims, int out_rank, const int64_t* out_dims, int64_t* strides) {
  int64_t step = 1;
  for (int i = out_rank - 1; i >= 0; --i) {
    const int j = i - (out_rank - rank);
    const int64_t size = j >= 0 ? dims[j] : 1;
    strides[i] = size == 1 && out_dims[i] != 1 ? 0 : step;
    step *= size;
  }
}

// Drops dims of size 1 and joins neighbours over which every operand runs linearly. Works in place; returns the new
// rank, at least 1.
inline int collapse_dims(int rank, int64_t* dims, int operands, int64_t (*strides)[kMaxRank]) {
  int n = 0;
  for (int i = 0; i < rank; ++i) {
    if (dims[i] == 1) continue;
    bool joins = n > 0;
    for (int k = 0; joins && k < operands; ++k) joins = strides[k][n - 1] == strides[k][i] * dims[i];
    if (joins) {
      dims[n - 1] *= dims[i];
      for (int k = 0; k < operands; ++k) strides[k][n - 1] = strides[k][i];
    } else {
      dims[n] = dims[i];
      for (int k = 0; k < operands; ++k) strides[k][n] = strides[k][i];
      ++n;
    }
  }
  if (n == 0) {
    dims[0] = 1;
    for (int k = 0; k < operands; ++k) strides[k][0] = 0;
    n = 1;
  }
  return n;
}

}  // namespace tern::cpu
