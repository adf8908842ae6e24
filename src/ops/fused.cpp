// SPDX-License-Identifier: Apache-2.0
// fused: nodes that a plan joined, so that a backend may run them as one kernel
//   The inputs are those of the sub-graph, the outputs too; FusedAttrs says what it is. Exists in plans only, not in
//   files.
//   The decomposition is the sub-graph.
#include <cstddef>

#include "ops/fused.h"
#include "ops/subgraph.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const Graph& g = a.node.subgraphs[0];
  TERN_TRY(check_subgraph(a, g));
  if (g.inputs.size() != a.node.in.size() || g.outputs.size() != a.node.out.size())
    return TERN_FAIL(TERN_ERR_SHAPE, "fused: a sub-graph of %zu inputs and %zu outputs for a node of %zu and %zu",
                     g.inputs.size(), g.outputs.size(), a.node.in.size(), a.node.out.size());
  for (size_t i = 0; i < g.inputs.size(); ++i) TERN_TRY(require_same_value(a, (int)i, g.value(g.inputs[i])));
  for (size_t i = 0; i < g.outputs.size(); ++i) a.set((int)i, g.value(g.outputs[i]).dtype, g.value(g.outputs[i]).shape);
  return TERN_OK;
}

void decompose(DecomposeArgs& a) {
  const Graph& sub = a.node.subgraphs[0];
  std::vector<ValueId> outer(sub.values.size(), kNoValue);  // the value here for each value there
  for (size_t i = 0; i < sub.inputs.size(); ++i) outer[(size_t)sub.inputs[i]] = a.in((int)i);
  for (size_t v = 0; v < sub.values.size(); ++v)
    if (sub.values[v].kind == ValueKind::constant && outer[v] == kNoValue) outer[v] = add_value(a.g, sub.values[v]);
  for (const Node& node : sub.nodes) {
    Node n = node;
    for (ValueId& v : n.in) v = v == kNoValue ? kNoValue : outer[(size_t)v];
    std::vector<ValueId> outs;
    emit_node(a.g, std::move(n), (int)node.out.size(), &outs);
    if (a.g.status != TERN_OK) return;
    for (size_t i = 0; i < outs.size(); ++i) outer[(size_t)node.out[i]] = outs[i];
  }
  for (size_t i = 0; i < sub.outputs.size(); ++i) a.set((int)i, outer[(size_t)sub.outputs[i]]);
}

constexpr AttrField kFields[] = {TERN_ATTR(FusedAttrs, pattern, choice, 0, 3, kFusedPatterns)};

}  // namespace

extern constinit const Op op_fused = checked_op({.name = "fused",
                                                 .min_in = 0,
                                                 .max_in = -1,
                                                 .num_out = -1,
                                                 .num_subgraphs = 1,
                                                 .encoded_in = ~0u,
                                                 .attributes = attr_schema<FusedAttrs>(kFields),
                                                 .infer = infer,
                                                 .decompose = decompose});

}  // namespace tern
