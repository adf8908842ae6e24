// SPDX-License-Identifier: Apache-2.0
// The first step of a plan: nodes that backends run, updates at the end.
#include "ops/ops_generated.h"
#include "ops/state_write.h"
#include "passes/eliminate.h"
#include "runtime/plan.h"

namespace tern {
namespace {

// Who reads a state as it is after it was replaced as a whole can read the new content where it comes from: then nobody
// reads the write's result, and it may wait for the end.
void read_around_writes(Graph& g) {
  std::vector<ValueId> same(g.values.size(), kNoValue);
  const auto source = [&](ValueId v) { return v != kNoValue && same[(size_t)v] != kNoValue ? same[(size_t)v] : v; };
  for (Node& n : g.nodes) {
    for (ValueId& v : n.in) v = source(v);
    if (n.op != &op_state_write || (n.in.size() > 2 && n.in[2] != kNoValue)) continue;
    const Value &update = g.value(n.in[1]), &result = g.value(n.out[0]);
    if (update.kind == ValueKind::node && update.shape == result.shape && update.dtype == result.dtype &&
        update.encoding == result.encoding)
      same[(size_t)n.out[0]] = n.in[1];
  }
  for (ValueId& v : g.outputs) v = source(v);
}

// Gradients decompose composite operators that the forward pass decomposed before.
void merge_duplicates(Graph& g, std::vector<NodePlacement>& placements) {
  std::vector<int32_t> kept;
  merge_common(g, &kept);
  for (size_t i = 0; i < kept.size(); ++i) placements[i] = placements[(size_t)kept[i]];
  placements.resize(kept.size());
}

int32_t updates_last(Graph& g, std::vector<NodePlacement>& placements) {
  std::vector<char> read(g.values.size(), 0);
  for (const Node& n : g.nodes)
    for (const ValueId v : n.in)
      if (v != kNoValue) read[(size_t)v] = 1;
  for (const ValueId v : g.outputs) read[(size_t)v] = 1;
  std::vector<size_t> order, late;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& n = g.nodes[i];
    const auto is_read = [&](ValueId v) { return read[(size_t)v] != 0; };
    const bool waits = (n.op->flags & kWritesState) && std::none_of(n.out.begin(), n.out.end(), is_read);
    (waits ? late : order).push_back(i);
  }
  const int32_t first = (int32_t)order.size();
  if (late.empty()) return first;
  order.insert(order.end(), late.begin(), late.end());
  std::vector<Node> nodes;
  std::vector<NodePlacement> where;
  for (const size_t i : order) {
    for (const ValueId v : g.nodes[i].out) g.value(v).producer = (int32_t)nodes.size();
    nodes.push_back(std::move(g.nodes[i]));
    where.push_back(placements[i]);
  }
  g.nodes = std::move(nodes);
  placements = std::move(where);
  return first;
}

// Integers of rank 0 that follow from run-time scalars and constants become scalars themselves.
void compute_on_host(Lowered& l) {
  Graph& g = l.graph;
  const auto whole = [&](ValueId v) { return g.value(v).shape.rank == 0 && !is_float(g.value(v).dtype); };
  const auto known = [&](ValueId v) {
    return v != kNoValue && whole(v) &&
           (g.value(v).kind == ValueKind::scalar || g.value(v).kind == ValueKind::constant);
  };
  std::vector<Node> nodes;
  std::vector<NodePlacement> placements;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    Node& n = g.nodes[i];
    if (n.op->reference && !(n.op->flags & (kWritesState | kControl)) && n.subgraphs.empty() && n.out.size() == 1 &&
        whole(n.out[0]) && !n.in.empty() && std::all_of(n.in.begin(), n.in.end(), known)) {
      g.value(n.out[0]).kind = ValueKind::scalar;
      g.value(n.out[0]).producer = -1;
      l.scalars.push_back(n.out[0]);
      l.host_nodes.push_back(std::move(n));
      continue;
    }
    for (const ValueId v : n.out) g.value(v).producer = (int32_t)nodes.size();
    nodes.push_back(std::move(n));
    placements.push_back(l.placements[i]);
  }
  g.nodes = std::move(nodes);
  l.placements = std::move(placements);
}

}  // namespace

uint64_t Targets::alignment(int32_t memory) const {
  uint64_t most = 64;
  for (size_t b = 0; b < backends.size(); ++b)
    if (memory_of((int32_t)b) == memory) most = std::max(most, backends[b]->limits.buffer_alignment);
  return most;
}

tern_status lower(Graph graph, const Targets& targets, Lowered* out) {
  out->graph = std::move(graph);
  TERN_TRY(place_nodes(out->graph, targets.backends, targets.exact, &out->placements));
  if (!targets.backends[0]->limits.as_written) merge_duplicates(out->graph, out->placements);
  for (const ValueId v : out->graph.inputs)
    if (out->graph.value(v).kind == ValueKind::scalar) out->scalars.push_back(v);
  const auto apart = [](const Backend* b) { return !b->limits.host_memory; };
  if (std::any_of(targets.backends.begin(), targets.backends.end(), apart)) compute_on_host(*out);
  read_around_writes(out->graph);
  out->first_update = updates_last(out->graph, out->placements);
  return TERN_OK;
}

}  // namespace tern
