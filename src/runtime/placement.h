// SPDX-License-Identifier: Apache-2.0
// Chooses a backend for every node of a plan's graph.
#pragma once
#include "ops/op.h"
#include "runtime/backend.h"

namespace tern {

enum class PlacedAs : uint8_t { kernel, decomposed, reference, copy, control };  // kernel..copy: tern_placement_kind

struct NodePlacement {
  int32_t backend = -1;  // index into the backends given; -1: the executor itself (control flow)
  PlacedAs as = PlacedAs::kernel;
  const char* reason = "";  // why not on the first backend; static storage
};

// Rewrites `g` so that every node has a backend that runs it, and tells which (one entry per node of the new graph).
// For each node, in order: the first backend with a kernel among those in the memory of the first; else, for a
// composite, its decomposition (whose nodes are placed in turn); else the next backends; at last plain loops. backends:
// in order of preference, the last is the CPU. exact: without those whose bits vary.
tern_status place_nodes(Graph& g, std::span<const Backend* const> backends, bool exact,
                        std::vector<NodePlacement>* placements);

}  // namespace tern
