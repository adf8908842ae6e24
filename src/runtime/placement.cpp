// SPDX-License-Identifier: Apache-2.0
#include "runtime/placement.h"

#include <algorithm>

#include "passes/eliminate.h"

namespace tern {
namespace {

struct Placer {
  Graph& g;
  std::span<const Backend* const> backends;
  bool exact;
  std::vector<NodePlacement>& placements;  // one per node of g
  std::vector<ValueId>& same;              // values of g that stand for others

  tern_status place(Node node, bool decomposed, int depth) {
    for (ValueId& v : node.in)
      while (v != kNoValue && same[(size_t)v] != v) v = same[(size_t)v];
    if (node.op->flags & kControl) return append(std::move(node), {-1, PlacedAs::control, ""});
    NodePlacement where{-1, decomposed ? PlacedAs::decomposed : PlacedAs::kernel, ""};
    int32_t loops = -1;
    for (size_t b = 0; b < backends.size(); ++b) {
      const Support s = support(*backends[b], node);
      if (s.kind == SupportKind::kernel) {
        where.backend = (int32_t)b;
        return append(std::move(node), where);
      }
      if (b == 0) where.reason = s.reason;
      if (s.kind == SupportKind::reference && loops < 0) loops = (int32_t)b;
      if (is_composite(*node.op) && (b + 1 == backends.size() || !backends[b]->limits.host_memory)) {
        // A composite is better split in the preferred backend's memory than moved to another.
        if (depth > 16) return TERN_FAIL(TERN_ERR_INTERNAL, "%s: its decomposition does not end", node.op->name);
        return split(node, depth);
      }
    }
    if (loops < 0) return TERN_FAIL(TERN_ERR_UNSUPPORTED, "%s: no backend runs it (%s)", node.op->name, where.reason);
    where.backend = loops;
    where.as = PlacedAs::reference;
    return append(std::move(node), where);
  }

  Support support(const Backend& backend, const Node& node) const {
    if (exact && backend.limits.varies) return {SupportKind::no, "off where the same bits are wanted every time"};
    return backend.api->supports(backend.self, g, node);
  }

  tern_status append(Node node, NodePlacement where) {
    for (const ValueId v : node.out) g.value(v).producer = (int32_t)g.nodes.size();
    g.nodes.push_back(std::move(node));
    placements.push_back(where);
    return TERN_OK;
  }

  tern_status split(const Node& node, int depth) {
    const size_t first = g.nodes.size();
    std::vector<ValueId> outs(node.out.size(), kNoValue);
    const Node copy = node;
    DecomposeArgs args{g, copy, outs.data()};
    copy.op->decompose(args);
    TERN_TRY(g.status);
    std::vector<Node> steps(std::make_move_iterator(g.nodes.begin() + (ptrdiff_t)first),
                            std::make_move_iterator(g.nodes.end()));
    g.nodes.resize(first);
    while (same.size() < g.values.size()) same.push_back((ValueId)same.size());
    for (size_t i = 0; i < outs.size(); ++i) {
      if (outs[i] == kNoValue)
        return TERN_FAIL(TERN_ERR_INTERNAL, "%s: its decomposition lacks output %zu", copy.op->name, i);
      same[(size_t)copy.out[i]] = outs[i];
      if (g.value(outs[i]).name.empty()) g.value(outs[i]).name = g.value(copy.out[i]).name;
    }
    const char* origin = *copy.origin ? copy.origin : copy.op->name;
    for (Node& step : steps) {
      step.origin = origin;
      if (step.name.empty()) step.name = copy.name;
      TERN_TRY(place(std::move(step), true, depth + 1));
    }
    return TERN_OK;
  }
};

}  // namespace

tern_status place_nodes(Graph& g, std::span<const Backend* const> backends, bool exact,
                        std::vector<NodePlacement>* placements) {
  std::vector<Node> nodes = std::move(g.nodes);
  g.nodes.clear();
  placements->clear();
  std::vector<ValueId> same(g.values.size());
  for (size_t i = 0; i < same.size(); ++i) same[i] = (ValueId)i;
  Placer placer{g, backends, exact, *placements, same};
  for (Node& n : nodes) TERN_TRY(placer.place(std::move(n), *n.origin != 0, 0));
  for (ValueId& v : g.outputs)
    while (same[(size_t)v] != v) v = same[(size_t)v];
  // Decompositions may compute small constants; those values need no node.
  for (Value& v : g.values)
    if (v.kind == ValueKind::node && v.data) {
      v.kind = ValueKind::constant;
      v.producer = -1;
    }
  std::vector<Node> kept;
  std::vector<NodePlacement> kept_placements;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    bool known = !g.nodes[i].out.empty();
    for (const ValueId v : g.nodes[i].out) known = known && g.value(v).kind == ValueKind::constant;
    if (known) continue;
    for (const ValueId v : g.nodes[i].out) g.value(v).producer = (int32_t)kept.size();
    kept.push_back(std::move(g.nodes[i]));
    kept_placements.push_back((*placements)[i]);
  }
  g.nodes = std::move(kept);
  *placements = std::move(kept_placements);
  return TERN_OK;
}

}  // namespace tern
