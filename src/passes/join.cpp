// SPDX-License-Identifier: Apache-2.0
#include "passes/join.h"

#include <algorithm>

namespace tern {

Node& join(Graph& g, std::span<const int32_t> members, FusedPattern pattern) {
  Node fused;
  fused.op = &op_fused;
  set_default_attributes(*fused.op, &fused.attributes);
  fused.attrs<FusedAttrs>().pattern = (int64_t)pattern;
  Graph sub;
  sub.nodes.reserve(members.size());
  sub.values.reserve(4 * members.size());
  std::vector<ValueId> outside;  // per value of the sub-graph
  for (const int32_t i : members) {
    Node n = std::move(g.nodes[(size_t)i]);
    for (ValueId& v : n.in) {
      if (v == kNoValue) continue;
      const auto known = std::find(outside.begin(), outside.end(), v);
      if (known != outside.end()) {
        v = (ValueId)(known - outside.begin());
        continue;
      }
      Value input;  // nameless: its name stands in the graph
      input.kind = ValueKind::input;
      input.dtype = g.value(v).dtype, input.encoding = g.value(v).encoding, input.shape = g.value(v).shape;
      outside.push_back(v);
      fused.in.push_back(v);
      v = add_value(sub, std::move(input));
      sub.inputs.push_back(v);
    }
    for (ValueId& v : n.out) {
      Value out = g.value(v);
      out.producer = (int32_t)sub.nodes.size();
      outside.push_back(v);
      if (i == members.back()) fused.out.push_back(v);
      v = add_value(sub, std::move(out));
      if (i == members.back()) sub.outputs.push_back(v);
    }
    if (fused.name.empty()) fused.name = n.name;
    sub.nodes.push_back(std::move(n));
  }
  fused.subgraphs.push_back(std::move(sub));
  // What was moved away must stay a valid node until the graph is compacted: a reshape of nothing, with no outputs.
  for (const int32_t i : members) {
    Node& n = g.nodes[(size_t)i];
    n = Node{};
    n.op = fused.op;
  }
  for (const ValueId v : fused.out) g.value(v).producer = members.back();
  return g.nodes[(size_t)members.back()] = std::move(fused);
}

}  // namespace tern
