// SPDX-License-Identifier: Apache-2.0
// The second step of a plan: maximal runs of nodes of one backend, cut at control flow and before the updates only.
#include "runtime/plan.h"

namespace tern {

std::vector<Part> partition(const Lowered& lowered) {
  const auto backend = [&](int32_t i) { return lowered.placements[(size_t)i].backend; };
  const int32_t count = (int32_t)lowered.placements.size();
  std::vector<Part> parts;
  for (int32_t begin = 0; begin < count;) {
    int32_t end = begin + 1;
    while (backend(begin) >= 0 && end < count && backend(end) == backend(begin) && end != lowered.first_update) ++end;
    parts.push_back({backend(begin), begin, end, begin >= lowered.first_update});
    begin = end;
  }
  return parts;
}

}  // namespace tern
