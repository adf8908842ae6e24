// SPDX-License-Identifier: Apache-2.0
// Gradients as graph nodes.
#pragma once
#include <span>
#include <vector>

#include "ops/op.h"

namespace tern {

// Appends to `g` the nodes that compute d loss / d wrt[i], and gives one value of wrt[i]'s type and shape for each.
//
// loss       one float element (rank 0, or dims of 1)
// wrt        float values of the graph: inputs, parameters, states or results of nodes
// gradients  zeros where the loss does not depend on wrt[i]
// Works on the canonical graph. A composite operator is differentiated through its decomposition, whose nodes are
// appended too. Gradients stop at integer values and at operators that have none. Gradients of `if` and `loop` compute
// their sub-graphs again; a loop that they pass through keeps its carried values of each iteration, as outputs of its
// node.
// Errors     TERN_ERR_TYPE         loss or a wrt is not a float
//            TERN_ERR_SHAPE        loss has more than one element
//            TERN_ERR_UNSUPPORTED  the loss depends on a wrt through a sub-graph that writes states, or through a loop
//                                  whose largest number of iterations does not follow from constants and dims
// On an error the graph is as it was.
tern_status differentiate(Graph& g, ValueId loss, std::span<const ValueId> wrt, std::vector<ValueId>* gradients);

}  // namespace tern
