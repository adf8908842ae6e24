// SPDX-License-Identifier: Apache-2.0
// Values that wait for the way back are computed again there, from few that are kept: fewer bytes, more time, the same
// bits, since the same node makes them.
//
// The way forward ends where most bytes are alive. It is cut where few bytes pass; what is alive at a cut is kept. Of
// the segments between cuts those at the begin are given up first: their values wait the longest.
#include <algorithm>

#include "runtime/plan.h"

namespace tern {
namespace {

struct Lives {
  std::vector<Use> use;         // per value, by nodes alone
  std::vector<uint64_t> bytes;  // of values in the arena, else 0
};

Lives find_lives(const Graph& g) {
  Lives l;
  l.use.resize(g.values.size());
  l.bytes.assign(g.values.size(), 0);
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& n = g.nodes[i];
    for (const ValueId v : n.in)
      if (v != kNoValue) l.use[(size_t)v].at((int32_t)i);
    for (const ValueId v : n.out) l.use[(size_t)v].at((int32_t)i);
  }
  for (const ValueId v : g.outputs) l.use[(size_t)v].at((int32_t)g.nodes.size());
  for (size_t v = 0; v < g.values.size(); ++v)
    if (g.values[v].kind == ValueKind::node) l.bytes[v] = value_bytes(g.values[v]);
  return l;
}

// Bytes alive behind each node.
std::vector<uint64_t> alive_behind(const Graph& g, const Lives& l, int32_t end) {
  std::vector<int64_t> change((size_t)end + 1, 0);
  for (size_t v = 0; v < g.values.size(); ++v) {
    const Use& u = l.use[v];
    if (!l.bytes[v] || u.last < 0 || u.first >= end) continue;
    change[(size_t)u.first] += (int64_t)l.bytes[v];
    if (u.last < end) change[(size_t)u.last] -= (int64_t)l.bytes[v];
  }
  std::vector<uint64_t> alive;
  int64_t sum = 0;
  for (int32_t i = 0; i < end; ++i) alive.push_back((uint64_t)(sum += change[(size_t)i]));
  return alive;
}

bool may_repeat(const Node& n) { return !(n.op->flags & (kWritesState | kControl | kChecks)); }

}  // namespace

Segments find_segments(const Lowered& lowered) {
  const Graph& g = lowered.graph;
  Segments s;
  const Lives lives = find_lives(g);
  const std::vector<uint64_t> alive = alive_behind(g, lives, lowered.first_update);
  if (alive.empty()) return s;
  s.turn = (int32_t)(std::max_element(alive.begin(), alive.end()) - alive.begin()) + 1;
  // What passes behind a node on the way forward alone.
  Lives forward = lives;
  for (Use& u : forward.use) u.last = -1, u.first = INT32_MAX;
  for (int32_t i = 0; i < s.turn; ++i) {
    for (const ValueId v : g.nodes[(size_t)i].in)
      if (v != kNoValue) forward.use[(size_t)v].at(i);
    for (const ValueId v : g.nodes[(size_t)i].out) forward.use[(size_t)v].at(i);
  }
  const std::vector<uint64_t> passing = alive_behind(g, forward, s.turn);
  uint64_t waiting = 0;  // since the last cut, for the way back
  for (size_t v = 0; v < g.values.size(); ++v)
    if (lives.use[v].first < s.turn && lives.use[v].last >= s.turn) waiting += lives.bytes[v];
  const uint64_t least = waiting / 64;  // of a segment
  uint64_t since = 0;
  for (int32_t i = 0; i + 1 < s.turn; ++i) {
    for (const ValueId v : g.nodes[(size_t)i].out)
      if (lives.use[(size_t)v].last >= s.turn) since += lives.bytes[(size_t)v];
    const uint64_t here = passing[(size_t)i];
    const bool low = (i == 0 || here <= passing[(size_t)i - 1]) && here <= passing[(size_t)i + 1];
    if (!low || since < least || here > since / 2) continue;  // else a segment would give up little
    s.cuts.push_back(i + 1);
    since = 0;
  }
  return s;
}

Lowered rematerialize(const Lowered& from, const Segments& segments, int32_t count) {
  Lowered out = from;
  const Graph& g = from.graph;
  Graph& to = out.graph;
  const int32_t end = segments.cuts[(size_t)count - 1];
  // What is kept of the way forward: what is alive at a cut, and what cannot be made again.
  std::vector<char> kept(g.values.size(), 1);
  for (int32_t i = 0; i < end; ++i)
    for (const ValueId v : g.nodes[(size_t)i].out) kept[(size_t)v] = !may_repeat(g.nodes[(size_t)i]);
  std::vector<int32_t> last(g.values.size(), -1);  // use on the way forward
  for (int32_t i = 0; i < segments.turn; ++i)
    for (const ValueId v : g.nodes[(size_t)i].in)
      if (v != kNoValue) last[(size_t)v] = i;
  for (const int32_t cut : std::span(segments.cuts).first((size_t)count))
    for (int32_t i = 0; i < cut; ++i)
      for (const ValueId v : g.nodes[(size_t)i].out)
        if (last[(size_t)v] >= cut) kept[(size_t)v] = 1;
  for (const ValueId v : g.outputs) kept[(size_t)v] = 1;

  to.nodes.clear();
  out.placements.clear();
  std::vector<ValueId> again(g.values.size(), kNoValue);
  const auto append = [&](Node n, size_t place) {
    for (const ValueId v : n.out) to.value(v).producer = (int32_t)to.nodes.size();
    to.nodes.push_back(std::move(n));
    out.placements.push_back(from.placements[place]);
  };
  // Makes v again, with what it needs; the order is that of the way forward.
  const auto make_again = [&](ValueId wanted) {
    std::vector<ValueId> open = {wanted};
    std::vector<int32_t> nodes;
    std::vector<char> seen((size_t)end, 0);
    while (!open.empty()) {
      const ValueId v = open.back();
      open.pop_back();
      if (kept[(size_t)v] || again[(size_t)v] != kNoValue) continue;
      const int32_t producer = g.value(v).producer;
      if (seen[(size_t)producer]) continue;
      seen[(size_t)producer] = 1;
      nodes.push_back(producer);
      for (const ValueId x : g.nodes[(size_t)producer].in)
        if (x != kNoValue) open.push_back(x);
    }
    std::sort(nodes.begin(), nodes.end());
    for (const int32_t i : nodes) {
      Node n = g.nodes[(size_t)i];
      for (ValueId& x : n.in)
        if (x != kNoValue && again[(size_t)x] != kNoValue) x = again[(size_t)x];
      for (ValueId& y : n.out) {
        Value copy = g.value(y);
        y = again[(size_t)y] = add_value(to, std::move(copy));
      }
      append(std::move(n), (size_t)i);
    }
  };
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if ((int32_t)i == from.first_update) out.first_update = (int32_t)to.nodes.size();
    Node n = g.nodes[i];
    if ((int32_t)i >= segments.turn)
      for (ValueId& v : n.in) {
        if (v == kNoValue || kept[(size_t)v]) continue;
        make_again(v);
        v = again[(size_t)v];
      }
    append(std::move(n), i);
  }
  if (from.first_update == (int32_t)g.nodes.size()) out.first_update = (int32_t)to.nodes.size();
  return out;
}

}  // namespace tern
