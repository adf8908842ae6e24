// SPDX-License-Identifier: Apache-2.0
// The passes over the graph of a plan, in their order.
#pragma once
#include "ops/op.h"

namespace tern {

// Makes a specialised graph smaller and faster; what it computes stays the same up to the rounding of sums. Parameters
// are not folded: they may change between runs.
tern_status optimize(Graph& g);

}  // namespace tern
