// SPDX-License-Identifier: Apache-2.0
// Joins the nodes of a plan's graph that the CPU's kernels compute in one pass.
#pragma once
#include "graph/graph.h"

namespace tern::cpu {

tern_status fuse(Graph& g);

}  // namespace tern::cpu
