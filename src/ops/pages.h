// SPDX-License-Identifier: Apache-2.0
// What the operators on positions share. A state of positions is [positions, heads, dim] of one sequence, or
// [sequences, positions, heads, dim]; in pages (base/pages.h) it has as many sequences as the run brings and is always
// of rank 3.
#pragma once
#include "graph/page_layout.h"
#include "ops/op.h"

namespace tern {

struct PagedAttentionAttrs {
  double scale = 0;    // of the products q.k; 0 = 1 / sqrt(dim)
  int64_t window = 0;  // positions that a row sees, its own among them; 0 = all
  double softcap = 0;  // scores become softcap * tanh(score / softcap); 0 = none
};

// The dims of a state of positions, wherever it lies.
struct PositionsShape {
  int64_t sequences = 1, capacity = 0, heads = 0, dim = 0;
  explicit PositionsShape(const Shape& s)
      : sequences(s.rank == 4 ? s[0] : 1), capacity(s[s.rank - 3]), heads(s[s.rank - 2]), dim(s[s.rank - 1]) {}
};
// Input i is a state of positions; inputs `sequence` and `position` have one integer for each of `rows` rows.
tern_status require_positions(const InferArgs& a, int i);
tern_status require_rows(const InferArgs& a, int sequence, int position, int64_t rows);

// Elements of a state of positions in a reference kernel.
struct RefPositions {
  const RefTensor& tensor;
  PositionsShape shape;
  explicit RefPositions(const RefTensor& t) : tensor(t), shape(t.shape) {
    if (t.paged) shape.sequences = ((const PageTable*)t.data)->sequences;
  }
  // Is this position there, to be read or also written? `op` is named in the error.
  tern_status check(const char* op, int64_t sequence, int64_t position, bool write = false) const;
  // The matrix that holds the numbers of a head of a position that is there, and the index of the first.
  RefTensor at(int64_t sequence, int64_t position, int64_t head, int64_t* index) const;
  double load(int64_t sequence, int64_t position, int64_t head, int64_t d) const;
};

}  // namespace tern
