// SPDX-License-Identifier: Apache-2.0
// The third step of a plan: which values are alive where and when, and which share their bytes.
#include "ops/concat.h"
#include "ops/fused.h"
#include "passes/eliminate.h"
#include "runtime/plan.h"

namespace tern {
namespace {

bool is_external(const Value& v) { return v.kind != ValueKind::node && v.kind != ValueKind::scalar; }

// May output 0 take the memory of input k, a value of the same shape?
bool works_in_place(const Node& n, size_t k) {
  return is_fused(n, FusedPattern::chain) || ((n.op->flags & kInPlace) && (k == 0 || (n.op->flags & kElementwise)));
}

void put(Storage& s, ValueId v, ValueId into, uint64_t at, uint64_t pitch) {
  s.parent[(size_t)v] = into, s.offset[(size_t)v] = at, s.pitch[(size_t)v] = pitch;
  s.life[(size_t)into].join(s.life[(size_t)v]);
}

// The inputs of a concatenation that can be written where they belong in its output need no memory of their own.
// takes(v): may v's producer write rows with gaps, and does nobody else read v?
template <class Takes>
void join_parts(Storage& s, const Graph& g, const Node& concat, const std::vector<char>& is_output, uint64_t alignment,
                Takes takes) {
  const ValueId y = concat.out[0];
  const Shape& shape = g.value(y).shape;
  const int64_t attribute = concat.attrs<ConcatAttrs>().axis, axis = attribute < 0 ? attribute + shape.rank : attribute;
  int64_t outer = 1;
  for (int k = 0; k < axis; ++k) outer *= shape[k];
  if (outer == 0) return;
  uint64_t at = 0;
  for (const ValueId v : concat.in) {
    const uint64_t bytes = value_bytes(g.value(v)), begin = at;
    const ValueId x = s.root(v);
    at += bytes / (uint64_t)outer;
    if (bytes == 0 || x == y || g.value(x).kind != ValueKind::node || is_output[(size_t)x] || is_output[(size_t)v] ||
        value_bytes(g.value(x)) != bytes)
      continue;
    if (outer == 1 && begin % alignment == 0) put(s, x, y, begin, 0);
    else if (outer > 1 && axis + 1 == shape.rank && x == v && takes(v))
      put(s, v, y, begin, value_bytes(g.value(y)) / (uint64_t)outer);
  }
}

struct Sharing {
  const Lowered& lowered;
  const Graph& g;
  const Targets& targets;
  std::vector<int32_t> part_of;  // per node
  std::span<const Part> parts;
  std::vector<char> is_output;
  std::vector<int32_t> readers;

  int32_t where(int32_t node) const { return targets.memory_of(lowered.placements[(size_t)node].backend); }
  int32_t begin_of(int32_t node) const { return parts[(size_t)part_of[(size_t)node]].begin; }
  int32_t last_of(int32_t node) const { return parts[(size_t)part_of[(size_t)node]].end - 1; }

  // Which memories need each value, and from when to when it is alive there. What crosses passes the host's.
  void find_uses(Stored* out) const {
    const size_t host = (size_t)targets.host();
    const auto use = [&](int32_t memory, ValueId v) -> Use& { return out->memories[(size_t)memory].life[(size_t)v]; };
    for (int32_t i = 0; i < (int32_t)g.nodes.size(); ++i) {
      const int32_t m = where(i);
      for (const ValueId v : g.nodes[(size_t)i].out) use(m, v).at(i);
      for (const ValueId v : g.nodes[(size_t)i].in) {
        if (v == kNoValue) continue;
        const Value& value = g.value(v);
        use(m, v).at(i);
        if (value.kind == ValueKind::input && m != (int32_t)host) use(m, v).at(begin_of(i));
        if (value.producer < 0 || where(value.producer) == m) continue;
        if (m != (int32_t)host) use(m, v).at(begin_of(i));  // copied there before the part
        if (where(value.producer) != (int32_t)host) out->crosses[(size_t)v] = 1;
        use((int32_t)host, v).at(last_of(value.producer));
        use((int32_t)host, v).at(begin_of(i));
      }
    }
    for (const ValueId v : g.outputs) {
      const int32_t producer = g.value(v).producer;
      if (g.value(v).kind == ValueKind::scalar) use((int32_t)host, v).at(0);
      if (producer < 0 || where(producer) == (int32_t)host) continue;
      out->crosses[(size_t)v] = 1;
      use((int32_t)host, v).at(last_of(producer));
    }
    // It is read behind the last node of its part, which must not work in its place.
    for (size_t v = 0; v < g.values.size(); ++v)
      if (out->crosses[v]) use(where(g.values[v].producer), (ValueId)v).at(last_of(g.values[v].producer) + 1);
  }

  bool takes_gaps(int32_t memory, ValueId v) const {
    const int32_t producer = g.value(v).producer;
    if (readers[(size_t)v] != 1 || producer < 0 || where(producer) != memory) return false;
    const int32_t backend = lowered.placements[(size_t)producer].backend;
    if (backend < 0 || g.nodes[(size_t)producer].out[0] != v) return false;
    const Backend& writer = *targets.backends[(size_t)backend];
    return writer.api->writes_pitch && writer.api->writes_pitch(writer.self, g, g.nodes[(size_t)producer]);
  }

  // A result in the place of an operand that ends here.
  void work_in_place(Storage& s, int32_t i) const {
    const Node& n = g.nodes[(size_t)i];
    const ValueId y = n.out[0];
    for (size_t k = 0; k < n.in.size() && s.parent[(size_t)y] == y && !is_output[(size_t)y]; ++k) {
      if (n.in[k] == kNoValue || !works_in_place(n, k)) continue;
      const ValueId from = s.root(n.in[k]);
      const Value& whole = g.value(from);
      if (whole.kind != ValueKind::node || is_output[(size_t)from] || s.life[(size_t)from].last != i ||
          s.pitch[(size_t)n.in[k]])
        continue;
      if (!(g.value(n.in[k]).shape == g.value(y).shape) || value_bytes(whole) != value_bytes(g.value(y))) continue;
      // Another operand in the same memory would be overwritten while it is read.
      const auto same = [&](ValueId v) { return v != kNoValue && s.root(v) == from; };
      if (std::count_if(n.in.begin(), n.in.end(), same) == 1) put(s, y, from, 0, 0);
    }
  }

  void share(Storage& s, int32_t memory) const {
    const uint64_t alignment = targets.alignment(memory);
    for (int32_t i = 0; i < (int32_t)g.nodes.size(); ++i) {
      if (where(i) != memory || lowered.placements[(size_t)i].backend < 0) continue;
      const Node& n = g.nodes[(size_t)i];
      if (n.in.empty() || n.in[0] == kNoValue || n.out.empty()) continue;
      if (n.op->flags & kWritesState) {
        for (size_t k = 0; k < n.out.size(); ++k) s.parent[(size_t)n.out[k]] = s.root(n.in[k]);
        continue;
      }
      const ValueId x = s.root(n.in[0]), y = n.out[0];
      if (n.op == &op_concat)
        join_parts(s, g, n, is_output, alignment, [&](ValueId v) { return takes_gaps(memory, v); });
      const Value &source = g.value(x), &from = g.value(n.in[0]);
      if ((n.op->flags & kView) && is_plain(from.encoding) && value_bytes(from) == value_bytes(g.value(y))) {
        // A view of what lives outside the arena needs no memory of its own either.
        s.parent[(size_t)y] = n.in[0];
        // (Inputs of a device are copies in its arena.)
        if (!is_external(source) || source.kind == ValueKind::input) s.life[(size_t)x].join(s.life[(size_t)y]);
        if (is_output[(size_t)y]) s.life[(size_t)x].last = (int32_t)g.nodes.size();  // copied at the end of the run
        continue;
      }
      work_in_place(s, i);
    }
  }
};

}  // namespace

Stored share_storage(const Lowered& lowered, std::span<const Part> parts, const Targets& targets) {
  const Graph& g = lowered.graph;
  const size_t count = g.values.size();
  Stored out;
  out.crosses.assign(count, 0);
  Storage alone;
  alone.parent.resize(count);
  for (size_t v = 0; v < count; ++v) alone.parent[v] = (ValueId)v;
  alone.offset.assign(count, 0), alone.pitch.assign(count, 0);
  alone.life.resize(count);
  out.memories.assign(targets.backends.size(), alone);
  Sharing sharing{lowered, g, targets, {}, parts, std::vector<char>(count, 0), count_readers(g)};
  for (size_t p = 0; p < parts.size(); ++p)
    sharing.part_of.insert(sharing.part_of.end(), (size_t)(parts[p].end - parts[p].begin), (int32_t)p);
  for (const ValueId v : g.outputs) sharing.is_output[(size_t)v] = 1;
  sharing.find_uses(&out);
  for (size_t m = 0; m < out.memories.size(); ++m) sharing.share(out.memories[m], (int32_t)m);
  return out;
}

}  // namespace tern
