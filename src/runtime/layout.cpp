// SPDX-License-Identifier: Apache-2.0
// The fourth step of a plan: a slot and an offset for every value in every memory that needs it.
#include "runtime/plan.h"

namespace tern {
namespace {

int32_t index_of(const std::vector<ValueId>& list, ValueId v) {
  const auto at = std::find(list.begin(), list.end(), v);
  return at == list.end() ? -1 : (int32_t)(at - list.begin());
}

// The slot of a value that lives outside of the host's arena; -1 for others.
int32_t external_slot(const Graph& g, ValueId id, MemoryLayout& memory) {
  const Value& v = g.value(id);
  switch (v.kind) {
    case ValueKind::constant: return memory.slot_of(SlotKind::constant, id);
    case ValueKind::parameter: return memory.slot_of(SlotKind::parameter, v.index);
    case ValueKind::state: return memory.slot_of(SlotKind::state, v.index);
    case ValueKind::input: return memory.slot_of(SlotKind::input, index_of(g.inputs, id));
    case ValueKind::scalar:
    case ValueKind::node: return -1;
  }
  return -1;
}

// The state whose pages a paged value is.
int32_t paged_state(const Graph& g, ValueId v) {
  while (g.value(v).kind == ValueKind::node) {
    const Node& n = g.nodes[(size_t)g.value(v).producer];
    v = n.in[(size_t)(std::find(n.out.begin(), n.out.end(), v) - n.out.begin())];
  }
  return g.value(v).index;
}

tern_status lay_out_memory(const Lowered& lowered, const Storage& s, bool host, uint64_t alignment,
                           const PageLayout& pages, uint64_t limit, MemoryLayout* out) {
  const Graph& g = lowered.graph;
  const int32_t end = std::max(0, (int32_t)g.nodes.size() - 1);
  std::vector<Lifetime> items;
  std::vector<ValueId> item_values;
  for (size_t i = 0; i < g.values.size(); ++i) {
    if (s.life[i].last < 0 || s.parent[i] != (ValueId)i) continue;
    const Value& v = g.values[i];
    Location& loc = out->locations[i];
    loc.bytes = value_bytes(v);
    // Inputs of a device are copies in its arena; what the host makes goes straight to the caller's memory.
    if (v.paged) {
      loc.slot = out->slot_of(SlotKind::pages, 0);
      loc.offset = pages.offsets[(size_t)paged_state(g, (ValueId)i)];
      continue;
    }
    if (host || v.kind != ValueKind::input) loc.slot = external_slot(g, (ValueId)i, *out);
    const int32_t output = host && v.kind == ValueKind::node ? index_of(g.outputs, (ValueId)i) : -1;
    if (output >= 0) loc.slot = out->slot_of(SlotKind::output, output);
    if (loc.slot >= 0) continue;
    loc.slot = 0;
    const bool scalar = v.kind == ValueKind::scalar;
    items.push_back({loc.bytes, scalar ? 0 : s.life[i].first, scalar ? end : s.life[i].last});
    item_values.push_back((ValueId)i);
  }
  TERN_TRY(plan_memory(items, alignment, limit, &out->arena));
  for (size_t i = 0; i < items.size(); ++i) out->locations[(size_t)item_values[i]].offset = out->arena.offsets[i];
  for (size_t i = 0; i < g.values.size(); ++i) {
    const ValueId r = s.root((ValueId)i);
    if (r == (ValueId)i || s.life[i].last < 0) continue;
    const Location& whole = out->locations[(size_t)r];
    out->locations[i] = {whole.slot, whole.offset + s.offset_in_root((ValueId)i), value_bytes(g.values[i]), s.pitch[i]};
  }
  return TERN_OK;
}

}  // namespace

int32_t MemoryLayout::slot_of(SlotKind kind, int32_t index) {
  for (size_t i = 0; i < slots.size(); ++i)
    if (slots[i].kind == kind && slots[i].index == index) return (int32_t)i;
  slots.push_back({kind, index});
  return (int32_t)slots.size() - 1;
}

tern_status lay_out(const Lowered& lowered, std::span<const Part> parts, const Stored& stored, const Targets& targets,
                    const PageLayout& pages, uint64_t limit, Layout* out) {
  const Graph& g = lowered.graph;
  const size_t host = (size_t)targets.host();
  out->memories.resize(targets.backends.size());
  out->memories[host].used = true;
  for (const Part& p : parts) out->memories[(size_t)targets.memory_of(p.backend)].used = true;
  for (size_t m = 0; m < out->memories.size(); ++m) {
    MemoryLayout& memory = out->memories[m];
    memory.locations.resize(g.values.size());
    memory.slots.push_back({SlotKind::arena, 0});
    TERN_TRY(lay_out_memory(lowered, stored.memories[m], m == host, targets.alignment((int32_t)m), pages,
                            limit - out->bytes, &memory));
    out->bytes += memory.arena.bytes;
  }
  MemoryLayout& memory = out->memories[host];
  for (size_t k = 0; k < g.outputs.size(); ++k) {
    const ValueId v = g.outputs[k];
    Location& loc = memory.locations[(size_t)v];
    const Slot* slot = loc.slot >= 0 ? &memory.slots[(size_t)loc.slot] : nullptr;
    if (slot && slot->kind == SlotKind::output && slot->index == (int32_t)k && loc.offset == 0 &&
        stored.memories[host].parent[(size_t)v] == v)
      continue;
    out->copied_outputs.push_back({(int32_t)k, v});
    if (slot) continue;
    // An input that is an output, say, needs a place to be copied from.
    loc.bytes = value_bytes(g.value(v));
    loc.slot = external_slot(g, v, memory);
  }
  return TERN_OK;
}

}  // namespace tern
