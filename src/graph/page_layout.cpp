// SPDX-License-Identifier: Apache-2.0
#include "graph/page_layout.h"

#include <cinttypes>

#include "base/checked.h"

namespace tern {

tern_status lay_out_pages(const ModelDef& model, PageLayout* out) {
  *out = {};
  out->offsets.assign(model.states.size(), 0);
  uint64_t end = 0;
  bool any = false;
  for (size_t i = 0; i < model.states.size(); ++i) {
    const StateDecl& s = model.states[i];
    if (!s.paged) continue;
    if (s.shape.rank != 3 || (any && s.shape[0] != out->capacity))
      return TERN_FAIL(TERN_ERR_SHAPE,
                       "state '%s' of shape %s: states in pages are [positions, heads, dim], all of as many positions",
                       s.name.c_str(), to_string(s.shape).c_str());
    out->capacity = s.shape[0];
    any = true;
    const bool countable = s.shape[1] <= INT64_MAX / kPagePositions;
    uint64_t bytes = 0;
    if (countable) TERN_TRY(encoded_bytes(s.encoding, s.dtype, page_matrix(s.shape), &bytes));
    out->offsets[i] = end;
    if (!countable || !checked_add(end, bytes, &end) || !checked_align(end, 64, &end))
      return TERN_FAIL(TERN_ERR_LIMIT, "a page of the states up to '%s' has too many bytes", s.name.c_str());
  }
  out->bytes = any && end == 0 ? 64 : end;
  return TERN_OK;
}

}  // namespace tern
