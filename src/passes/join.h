// SPDX-License-Identifier: Apache-2.0
// Joins nodes that one kernel computes: they become the sub-graph of a `fused` node, whose decomposition gives them
// back.
#pragma once
#include <span>

#include "ops/fused.h"

namespace tern {

// Replaces the nodes `members` (indices, ascending; only the last one's output is read outside) by one fused node,
// which is returned. Nodes are renumbered only by the caller's eliminate_dead: the members but the last become empty.
Node& join(Graph& g, std::span<const int32_t> members, FusedPattern pattern);

}  // namespace tern
