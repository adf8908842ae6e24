// SPDX-License-Identifier: Apache-2.0
// The second phase of a step: what it writes, and what follows from that.
#pragma once
#include "ops/op.h"

namespace tern {

// Order of the nodes of g in which all that write states or parameters come last, with those that read what these give;
// not those on which an output depends. *first: position of the first of them; the number of nodes if there is none.
std::vector<int32_t> updates_last(const Graph& g, int32_t* first);

// Puts the nodes in that order.
void order_nodes(Graph& g, std::span<const int32_t> order);

}  // namespace tern
