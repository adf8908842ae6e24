// SPDX-License-Identifier: Apache-2.0
// Where the paged states of a model lie within their pages (base/pages.h).
#pragma once
#include "base/pages.h"
#include "graph/model_def.h"

namespace tern {

struct PageLayout {
  uint64_t bytes = 0;             // of a page; 0: no state is paged
  std::vector<uint64_t> offsets;  // per state of the model; those of paged ones are multiples of 64
  int64_t capacity = 0;           // positions of one sequence
};
// What a page holds of a paged state, as the state's encoding sees it: [heads * 64, dim].
inline Shape page_matrix(const Shape& state) { return {state[state.rank - 2] * kPagePositions, state[state.rank - 1]}; }
// Errors: TERN_ERR_SHAPE where a paged state is no [positions, heads, dim], or two differ in positions; TERN_ERR_LIMIT.
tern_status lay_out_pages(const ModelDef& model, PageLayout* out);

inline size_t num_pages(int64_t positions) {
  return (size_t)(positions / kPagePositions + (positions % kPagePositions != 0));
}

}  // namespace tern
