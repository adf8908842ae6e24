// SPDX-License-Identifier: Apache-2.0
#include "passes/updates_last.h"

namespace tern {

std::vector<int32_t> updates_last(const Graph& g, int32_t* first) {
  const size_t count = g.nodes.size();
  std::vector<char> late(count, 0), needed(g.values.size(), 0);  // needed: by what is not late
  for (const ValueId v : g.outputs) needed[(size_t)v] = 1;
  // What follows from an update.
  std::vector<char> follows(g.values.size(), 0);
  for (size_t i = 0; i < count; ++i) {
    const Node& n = g.nodes[i];
    bool any = (n.op->flags & kWritesState) != 0;
    for (const ValueId v : n.in) any = any || (v != kNoValue && follows[(size_t)v]);
    late[i] = any;
    for (const ValueId v : n.out) follows[(size_t)v] = any;
  }
  for (size_t i = count; i-- > 0;) {
    const Node& n = g.nodes[i];
    for (const ValueId v : n.out) late[i] = late[i] && !needed[(size_t)v];
    if (late[i]) continue;
    for (const ValueId v : n.in)
      if (v != kNoValue) needed[(size_t)v] = 1;
  }
  std::vector<int32_t> order;
  for (size_t i = 0; i < count; ++i)
    if (!late[i]) order.push_back((int32_t)i);
  *first = (int32_t)order.size();
  for (size_t i = 0; i < count; ++i)
    if (late[i]) order.push_back((int32_t)i);
  return order;
}

void order_nodes(Graph& g, std::span<const int32_t> order) {
  std::vector<Node> nodes;
  nodes.reserve(order.size());
  for (const int32_t i : order) {
    for (const ValueId v : g.nodes[(size_t)i].out)
      if (g.value(v).kind == ValueKind::node) g.value(v).producer = (int32_t)nodes.size();
    nodes.push_back(std::move(g.nodes[(size_t)i]));
  }
  g.nodes = std::move(nodes);
}

}  // namespace tern
