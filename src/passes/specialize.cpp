// SPDX-License-Identifier: Apache-2.0
#include "passes/specialize.h"

#include "passes/eliminate.h"

namespace tern {

tern_status specialize(const Graph& canonical, std::span<const Shape> input_shapes, Graph* out) {
  if (input_shapes.size() != canonical.inputs.size())
    return TERN_FAIL(TERN_ERR_INTERNAL, "specialize: %zu shapes for %zu inputs", input_shapes.size(), canonical.inputs.size());
  Graph g;
  g.values.reserve(canonical.values.size());
  g.nodes.reserve(canonical.nodes.size());
  g.budget = out->budget;
  std::vector<ValueId> map(canonical.values.size(), kNoValue);
  for (size_t i = 0; i < canonical.values.size(); ++i) {
    const Value& v = canonical.values[i];
    if (v.kind == ValueKind::node) continue;
    map[i] = add_value(g, v);
  }
  for (size_t i = 0; i < canonical.inputs.size(); ++i) {
    const ValueId v = map[(size_t)canonical.inputs[i]];
    if (g.value(v).kind == ValueKind::input) {
      TERN_TRY(check_shape(input_shapes[i], g.value(v).name.c_str()));
      g.value(v).shape = input_shapes[i];
    }
    g.inputs.push_back(v);
  }
  for (const Node& node : canonical.nodes) {
    Node n = node;
    for (ValueId& v : n.in)
      if (v != kNoValue) v = map[(size_t)v];
    std::vector<ValueId> outs;
    emit_node(g, std::move(n), (int)node.out.size(), &outs);
    TERN_TRY(g.status);
    for (size_t i = 0; i < outs.size(); ++i) {
      map[(size_t)node.out[i]] = outs[i];
      g.value(outs[i]).name = canonical.value(node.out[i]).name;
    }
  }
  for (const ValueId v : canonical.outputs) g.outputs.push_back(map[(size_t)v]);
  for (Value& v : g.values)
    if (v.kind == ValueKind::node && v.data) {
      v.kind = ValueKind::constant;
      v.producer = -1;
    }
  eliminate_dead(g);
  *out = std::move(g);
  return TERN_OK;
}

}  // namespace tern
