// SPDX-License-Identifier: Apache-2.0
#include "runtime/memory_plan.h"

#include <algorithm>
#include <numeric>

#include "base/checked.h"

namespace tern {

tern_status plan_memory(std::span<const Lifetime> items, uint64_t alignment, uint64_t limit, MemoryPlan* plan) {
  MemoryPlan result;
  result.offsets.assign(items.size(), 0);
  std::vector<uint64_t> sizes(items.size());
  int32_t steps = 0;
  uint64_t total = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    if (items[i].first < 0 || items[i].last < items[i].first || items[i].last == INT32_MAX)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "memory plan: item %zu lives from %d to %d", i, items[i].first,
                       items[i].last);
    if (!checked_align(items[i].bytes, alignment, &sizes[i]) || !checked_add(total, sizes[i], &total))
      return TERN_FAIL(TERN_ERR_LIMIT, "memory plan: the sizes overflow");
    steps = std::max(steps, items[i].last + 1);
  }

  // The bound by a sweep over births and deaths.
  // (Changes wrap around; sums do not, as `total` fits.)
  std::vector<uint64_t> change((size_t)steps + 1, 0);
  for (size_t i = 0; i < items.size(); ++i) {
    change[(size_t)items[i].first] += sizes[i];
    change[(size_t)items[i].last + 1] -= sizes[i];
  }
  uint64_t alive = 0;
  for (const uint64_t c : change) {
    alive += c;
    result.bound = std::max(result.bound, alive);
  }

  std::vector<size_t> order(items.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (sizes[a] != sizes[b]) return sizes[a] > sizes[b];
    if (items[a].first != items[b].first) return items[a].first < items[b].first;
    return a < b;
  });

  std::vector<size_t> placed;  // by offset
  placed.reserve(items.size());
  for (const size_t i : order) {
    if (sizes[i] == 0) continue;
    uint64_t end = 0, best = 0, best_gap = UINT64_MAX;
    for (const size_t j : placed) {
      if (items[j].last < items[i].first || items[i].last < items[j].first) continue;
      const uint64_t begin = result.offsets[j];
      if (begin > end && begin - end >= sizes[i] && begin - end < best_gap) {
        best = end;
        best_gap = begin - end;
      }
      end = std::max(end, begin + sizes[j]);
    }
    result.offsets[i] = best_gap == UINT64_MAX ? end : best;
    result.bytes = std::max(result.bytes, result.offsets[i] + sizes[i]);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), i,
                                   [&](size_t a, size_t b) { return result.offsets[a] < result.offsets[b]; }),
                  i);
  }
  if (result.bytes > limit)
    return TERN_FAIL(TERN_ERR_LIMIT, "the plan needs %" PRIu64 " bytes of memory, the limit is %" PRIu64, result.bytes,
                     limit);
  *plan = std::move(result);
  return TERN_OK;
}

}  // namespace tern
