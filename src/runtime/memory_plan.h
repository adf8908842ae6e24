// SPDX-License-Identifier: Apache-2.0
// Where values lie in an arena: a pure function of their sizes and lifetimes.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"

namespace tern {

struct Lifetime {
  uint64_t bytes;
  int32_t first, last;  // steps at which it is alive, both included; first <= last
};

struct MemoryPlan {
  std::vector<uint64_t> offsets;  // per item; multiples of the alignment
  uint64_t bytes = 0;             // of the arena
  uint64_t bound = 0;             // most (aligned) bytes alive at one step: no placement can need less
};

// Greedy by size: the largest item first, each into the smallest gap that fits among those alive at the same time;
// equal sizes in order of `first`. Items whose lifetimes meet in a step never overlap. Items of 0 bytes get offset 0.
// Errors: TERN_ERR_LIMIT if the arena would pass `limit` or sizes overflow; TERN_ERR_INVALID_ARGUMENT for a bad
// lifetime.
tern_status plan_memory(std::span<const Lifetime> items, uint64_t alignment, uint64_t limit, MemoryPlan* plan);

}  // namespace tern
