// SPDX-License-Identifier: Apache-2.0
// Keys and values that lie in pages of 64 positions (base/pages.h): written row by row, and attention over them.
// A row is one token of one sequence. What it gives depends on its own sequence up to its own position alone, in every
// bit: neither on the other rows of the call, nor on how many there are.
#pragma once
#include "base/pages.h"
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/strides.h"

namespace tern::cpu {

// The keys or the values of all sequences: elements of `dim` numbers for each position and head. In pages, or (table
// NULL) from `base` on. Offsets and steps in bytes. Elements of int8 have an f32 scale each.
struct Positions {
  const PageTable* table = nullptr;
  char* base = nullptr;
  uint64_t offset = 0;                  // from a page's begin
  int64_t sequences = 0, capacity = 0;  // those of `base`; positions of a sequence, pages or not
  int64_t sequence_step = 0;            // of `base`
  int64_t position_step = 0, head_step = 0;
  int64_t scale_offset = 0;  // from the first element of a page to its scale
  int64_t scale_position_step = 0, scale_head_step = 0;
};

enum PagedError : int32_t { kNoSequence = 1, kNoPosition = 2, kNoPage = 3 };

// Rows with a negative position are skipped. *error is set to a PagedError if a row's sequence or position is not
// there, or its page not to be written; such rows write nothing.
struct PageWriteArgs {
  Positions to;
  const float* update = nullptr;  // [rows, heads, dim]
  const int32_t* sequence = nullptr;
  const int64_t* position = nullptr;
  int32_t* error = nullptr;
  int64_t rows = 0, heads = 0, dim = 0;
  int64_t row_bytes = 0;  // move only: of one head, update and state alike
};

// y[r, h, :] = sum over j of softmax_j(cap(q[r, h, :] . k[s, j, g, :] * scale)) * v[s, j, g, :] with s = sequence[r],
// g = h / (heads / kv_heads), over the positions max(0, p - window + 1) <= j <= p = position[r] (window 0: from 0 on);
// cap(x) = softcap * tanh(x / softcap), or x where softcap is 0. Zeros where p < 0.
//
// The pages of a row are taken in up to kPagedParts parts, as many as the row's own number of pages gives, which are
// joined in order. Two ways that give the same bits:
//   part, then join   units: rows * kv_heads * kPagedParts, then rows * kv_heads; `parts` holds paged_parts_bytes.
//                     For few rows. Scratch: paged_part_scratch; none for join
//   blocks            units: ceil(rows / kPagedRows) * kv_heads. Scratch: paged_block_scratch. Rows of one sequence
//                     that stand side by side share what is read
// Each key and value is read once for all heads of a group.
constexpr int64_t kPagedParts = 8, kPagedRows = 8;
struct PagedAttentionArgs {
  const float* q = nullptr;  // [rows, heads, dim]
  Positions k, v;
  float* y = nullptr;  // [rows, heads, v_dim]
  const int32_t* sequence = nullptr;
  const int64_t* position = nullptr;
  int32_t* error = nullptr;
  float* parts = nullptr;
  int64_t rows = 0, heads = 0, kv_heads = 1, dim = 0, v_dim = 0, window = 0;
  float scale = 1, softcap = 0;
};
namespace paged {
constexpr int64_t padded(int64_t dim) { return (dim + 15) / 16 * 16; }
// Of one head of one row, in floats: maximum, sum of weights, weighted sum.
constexpr int64_t sums_floats(int64_t v_dim) { return 16 + padded(v_dim); }
static inline size_t scratch(const PagedAttentionArgs& a, int64_t lines, int64_t sums) {
  return (size_t)(lines * (padded(a.dim) + 2 * kPagePositions + sums * sums_floats(a.v_dim))) * sizeof(float);
}
}  // namespace paged
static inline size_t paged_parts_bytes(const PagedAttentionArgs& a) {
  return (size_t)(a.rows * a.heads * kPagedParts * paged::sums_floats(a.v_dim)) * sizeof(float);
}
static inline size_t paged_part_scratch(const PagedAttentionArgs& a) {
  return paged::scratch(a, a.heads / a.kv_heads, 0);
}
static inline size_t paged_block_scratch(const PagedAttentionArgs& a) {
  return paged::scratch(a, kPagedRows * (a.heads / a.kv_heads), 2);
}
// A group has at most so many heads.
constexpr int64_t kPagedGroup = 128;

// How the elements are stored. Keys and values of one call are stored alike.
enum class PagedType : int32_t { f32, f16, i8 };
constexpr int kPagedTypes = 3;

struct PagedAttentionKernels {
  static constexpr Capability capability = Capability::text;
  // PageWriteArgs. Units: rows. No scratch. move: from an update that is stored as the state is
  KernelFn move, write[kPagedTypes];
  KernelFn part[kPagedTypes], blocks[kPagedTypes], join;  // PagedAttentionArgs
};

}  // namespace tern::cpu
