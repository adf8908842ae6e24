// SPDX-License-Identifier: Apache-2.0
// Removes what is not needed.
#pragma once
#include <functional>

#include "graph/model_def.h"
#include "ops/op.h"

namespace tern {

// Drops nodes whose outputs nobody reads (except writers of states and parameters), then unused values. Keeps the order
// of nodes; ids of values change, `inputs` stay complete. kept (may be NULL): for each node left, its index before.
void eliminate_dead(Graph& g, std::vector<int32_t>* kept = nullptr);

// Nodes that compute the same thing from the same inputs become one. kept: as above.
void merge_common(Graph& g, std::vector<int32_t>* kept = nullptr);

// Nodes that change nothing: reshapes to the same shape, casts to the same type, transposes that keep the order of
// bytes, slices of everything, sums with one term; two transposes or reshapes in a row become one.
void remove_identities(Graph& g);

// Calls f for every value of a parameter, in sub-graphs too.
void for_each_parameter(ModelDef& model, const std::function<void(Value&)>& f);
// Drops parameters that no signature reads.
void eliminate_parameters(ModelDef& model);

// How many times each value is read by nodes (sub-graphs read through their node's inputs) or is an output.
std::vector<int32_t> count_readers(const Graph& g);

// Points every reader of `from` (and outputs) at `to`.
void replace_value(Graph& g, ValueId from, ValueId to);

}  // namespace tern
