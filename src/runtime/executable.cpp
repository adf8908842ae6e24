// SPDX-License-Identifier: Apache-2.0
#include "runtime/executable.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "ops/concat.h"
#include "ops/control.h"
#include "passes/eliminate.h"

namespace tern {
namespace {

bool is_external(const Value& v) { return v.kind != ValueKind::node && v.kind != ValueKind::scalar; }

// Values that live outside the plan are as large as their owners say, and what goes to a caller is plain.
tern_status check_owners(const Graph& g, const ModelDef& def) {
  for (const Value& v : g.values) {
    uint64_t owned = value_bytes(v);
    if (v.kind == ValueKind::parameter) owned = def.parameters[(size_t)v.index].bytes;
    if (v.kind == ValueKind::state)
      TERN_TRY(
          encoded_bytes(Encoding::plain, def.states[(size_t)v.index].dtype, def.states[(size_t)v.index].shape, &owned));
    if (owned != value_bytes(v))
      return TERN_FAIL(TERN_ERR_INTERNAL,
                       "value '%s' takes %" PRIu64 " bytes in the plan, but %" PRIu64 " in the model", v.name.c_str(),
                       value_bytes(v), owned);
  }
  for (const ValueId v : g.outputs)
    if (!is_plain(g.value(v).encoding))
      return TERN_FAIL(TERN_ERR_UNSUPPORTED, "output '%s' is encoded as %s; outputs are plain tensors",
                       g.value(v).name.c_str(), encoding_name(g.value(v).encoding));
  return TERN_OK;
}

bool writes_states(const Graph& graph) {
  bool writes = false;
  for_each_graph(graph, [&](const Graph& g) {
    for (const Node& n : g.nodes) writes = writes || (n.op->flags & kWritesState);
  });
  return writes;
}

// May output 0 take the memory of input k, a value of the same shape?
bool works_in_place(const Node& n, size_t k) {
  return is_fused(n, FusedPattern::chain) || ((n.op->flags & kInPlace) && (k == 0 || (n.op->flags & kElementwise)));
}

// From when to when a value is alive.
struct Use {
  int32_t first = INT32_MAX, last = -1;
  void at(int32_t t) {
    first = std::min(first, t);
    last = std::max(last, t);
  }
  void join(const Use& o) {
    first = std::min(first, o.first);
    last = std::max(last, o.last);
  }
};

// Which values of a graph share memory on one backend: each lies in its parent (itself: it has memory of its own) from
// an offset on, perhaps as a slice of the parent's rows.
struct Storage {
  std::vector<ValueId> parent;
  std::vector<uint64_t> offset, pitch;
  std::vector<Use> life;

  Storage(size_t num_values, std::vector<Use> uses)
      : parent(num_values), offset(num_values, 0), pitch(num_values, 0), life(std::move(uses)) {
    for (size_t v = 0; v < num_values; ++v) parent[v] = (ValueId)v;
  }
  ValueId root(ValueId v) const {
    while (parent[(size_t)v] != v) v = parent[(size_t)v];
    return v;
  }
  uint64_t offset_in_root(ValueId v) const {
    uint64_t sum = 0;
    for (; parent[(size_t)v] != v; v = parent[(size_t)v]) sum += offset[(size_t)v];
    return sum;
  }
  void put(ValueId v, ValueId into, uint64_t at, uint64_t row_pitch) {
    parent[(size_t)v] = into, offset[(size_t)v] = at, pitch[(size_t)v] = row_pitch;
    life[(size_t)into].join(life[(size_t)v]);
  }
  // The inputs of a concatenation that can be written where they belong in its output need no memory of their own.
  // takes(v): may v's producer write rows with gaps, and does nobody else read v?
  template <class Takes>
  void join_parts(const Graph& g, const Node& concat, const std::vector<char>& is_output, uint64_t alignment,
                  Takes takes) {
    const ValueId y = concat.out[0];
    const Shape& shape = g.value(y).shape;
    const int64_t attribute = concat.attrs<ConcatAttrs>().axis,
                  axis = attribute < 0 ? attribute + shape.rank : attribute;
    int64_t outer = 1;
    for (int k = 0; k < axis; ++k) outer *= shape[k];
    if (outer == 0) return;
    uint64_t at = 0;
    for (const ValueId v : concat.in) {
      const uint64_t bytes = value_bytes(g.value(v)), begin = at;
      const ValueId x = root(v);
      at += bytes / (uint64_t)outer;
      if (bytes == 0 || x == y || g.value(x).kind != ValueKind::node || is_output[(size_t)x] || is_output[(size_t)v] ||
          value_bytes(g.value(x)) != bytes)
        continue;
      if (outer == 1 && begin % alignment == 0) put(x, y, begin, 0);
      else if (outer > 1 && axis + 1 == shape.rank && x == v && takes(v))
        put(v, y, begin, value_bytes(g.value(y)) / (uint64_t)outer);
    }
  }
};

}  // namespace

tern_status Executable::create(Graph graph, const Model& model, const Parameters& parameters, const Options& options,
                               std::unique_ptr<Executable>* out) {
  std::unique_ptr<Executable> e(new Executable());
  TERN_TRY(e->build(std::move(graph), model, parameters, options));
  *out = std::move(e);
  return TERN_OK;
}

Executable::~Executable() {
  for (PartitionPlan& p : partitions_)
    if (p.plan) backends_[(size_t)p.backend]->api->plan_release(backends_[(size_t)p.backend]->self, p.plan);
  for (BackendPart& part : parts_)
    for (Buffer& b : part.owned) part.backend->api->free(part.backend->self, &b);
}

tern_status Executable::build(Graph graph, const Model& model, const Parameters& parameters, Options options) {
  graph_ = std::move(graph);
  TERN_TRY(check_owners(graph_, model.def()));
  options.deterministic = options.deterministic || writes_states(graph_);  // sub-graphs follow
  model_ = Ref<const Model>::share(&model);
  backends_.assign(options.backends.begin(), options.backends.end());
  host_ = (int32_t)backends_.size() - 1;
  profiling_ = options.profile;
  TERN_TRY(place_nodes(graph_, backends_, options.deterministic, &placements_));
  TERN_TRY(check_control(options.control));
  order_updates();
  profile_.resize(graph_.nodes.size());
  trace_.reserve(options.profile ? graph_.nodes.size() : 0);
  for (size_t i = 0; i < graph_.inputs.size(); ++i)
    if (graph_.value(graph_.inputs[i]).kind == ValueKind::scalar) {
      scalar_inputs_.push_back((int32_t)i);
      scalar_values_.push_back(graph_.inputs[i]);
    }
  scalars_.resize(scalar_values_.size());
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    const Node& n = graph_.nodes[i];
    if ((n.op->flags & kWritesState) && graph_.value(n.in[0]).kind == ValueKind::parameter)
      written_parameters_.push_back({graph_.value(n.in[0]).index, part_of(placements_[i].backend)});
  }
  TERN_TRY(lay_out(options));
  int32_t users = controls_.empty() ? 0 : 1;
  for (const BackendPart& part : parts_)
    users += std::any_of(part.slots.begin(), part.slots.end(), [](const Slot& s) { return s.kind == SlotKind::state; });
  states_move_ = users > 1;
  TERN_TRY(check_control(options.control));
  return compile(parameters, options);
}

// Writers whose result nobody reads go to the end: everything before them can still be cancelled, and all readers of
// the old content have run.
void Executable::order_updates() {
  std::vector<char> read(graph_.values.size(), 0);
  for (const Node& n : graph_.nodes)
    for (const ValueId v : n.in)
      if (v != kNoValue) read[(size_t)v] = 1;
  std::vector<size_t> order;
  std::vector<size_t> late;
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    const Node& n = graph_.nodes[i];
    ((n.op->flags & kWritesState) && !read[(size_t)n.out[0]] ? late : order).push_back(i);
  }
  if (late.empty()) return;
  order.insert(order.end(), late.begin(), late.end());
  std::vector<Node> nodes;
  std::vector<NodePlacement> placements;
  for (const size_t i : order) {
    for (const ValueId v : graph_.nodes[i].out) graph_.value(v).producer = (int32_t)nodes.size();
    nodes.push_back(std::move(graph_.nodes[i]));
    placements.push_back(placements_[i]);
  }
  graph_.nodes = std::move(nodes);
  placements_ = std::move(placements);
}

// Whose memory a node of this backend works in. Control nodes (-1) read and write the host's.
int32_t Executable::part_of(int32_t backend) const {
  return backend < 0 || backends_[(size_t)backend]->limits.host_memory ? host_ : backend;
}

int32_t Executable::slot_of(BackendPart& part, SlotKind kind, int32_t index) {
  for (size_t i = 0; i < part.slots.size(); ++i)
    if (part.slots[i].kind == kind && part.slots[i].index == index) return (int32_t)i;
  part.slots.push_back({kind, index});
  return (int32_t)part.slots.size() - 1;
}

tern_status Executable::lay_out(const Options& options) {
  const size_t num_values = graph_.values.size();
  const int32_t num_nodes = (int32_t)graph_.nodes.size();
  parts_.resize(backends_.size());
  for (size_t b = 0; b < backends_.size(); ++b) {
    parts_[b].backend = backends_[b];
    parts_[b].locations.resize(num_values);
    parts_[b].slots.push_back({SlotKind::arena, 0});
  }
  parts_[(size_t)host_].used = true;

  const auto where = [&](int32_t node) { return part_of(placements_[(size_t)node].backend); };

  // Partitions and their limits: a node's partition begins at first_of[node] and ends at last_of[node].
  std::vector<int32_t> first_of((size_t)num_nodes), last_of((size_t)num_nodes);
  const auto updates = [&](int32_t i) { return (graph_.nodes[(size_t)i].op->flags & kWritesState) != 0 && i >= 0; };
  for (int32_t i = 0; i < num_nodes;) {
    int32_t end = i + 1;
    const bool control = placements_[(size_t)i].backend < 0;
    // The update phase is a partition of its own, so that a cancel before it leaves everything as it was.
    while (!control && end < num_nodes && placements_[(size_t)end].backend == placements_[(size_t)i].backend &&
           updates(end) == updates(i))
      ++end;
    for (int32_t k = i; k < end; ++k) {
      first_of[(size_t)k] = i;
      last_of[(size_t)k] = end - 1;
    }
    if (!control) {
      PartitionPlan p;
      p.backend = placements_[(size_t)i].backend;
      for (int32_t k = i; k < end; ++k) p.nodes.push_back(k);
      parts_[(size_t)where(i)].used = true;
      partitions_.push_back(std::move(p));
    }
    i = end;
  }

  // Which memories need each value, and from when to when it is alive there.
  std::vector<std::vector<Use>> uses(backends_.size(), std::vector<Use>(num_values));
  std::vector<char> crosses(num_values, 0);  // produced on a device and needed elsewhere
  for (int32_t i = 0; i < num_nodes; ++i) {
    const int32_t b = where(i);
    for (const ValueId v : graph_.nodes[(size_t)i].out) uses[(size_t)b][(size_t)v].at(i);
    for (const ValueId v : graph_.nodes[(size_t)i].in) {
      if (v == kNoValue) continue;
      const Value& value = graph_.value(v);
      uses[(size_t)b][(size_t)v].at(i);
      if (value.kind == ValueKind::input && b != host_) uses[(size_t)b][(size_t)v].at(first_of[(size_t)i]);
      if (value.producer < 0) continue;
      const int32_t from = where(value.producer);
      if (from == b) continue;
      if (b != host_) uses[(size_t)b][(size_t)v].at(first_of[(size_t)i]);  // copied there before the partition
      if (from != host_) crosses[(size_t)v] = 1;
      uses[(size_t)host_][(size_t)v].at(last_of[(size_t)value.producer]);  // every crossing passes the host
      uses[(size_t)host_][(size_t)v].at(first_of[(size_t)i]);
    }
  }
  std::vector<int32_t> output_of(num_values, -1);
  std::vector<char> is_output(num_values, 0);
  for (size_t k = 0; k < graph_.outputs.size(); ++k) {
    const ValueId v = graph_.outputs[k];
    is_output[(size_t)v] = 1;
    const Value& value = graph_.value(v);
    if (value.producer >= 0 && where(value.producer) != host_) {
      crosses[(size_t)v] = 1;
      uses[(size_t)host_][(size_t)v].at(last_of[(size_t)value.producer]);
      uses[(size_t)where(value.producer)][(size_t)v].at(last_of[(size_t)value.producer]);
    }
  }
  for (size_t v = 0; v < num_values; ++v)
    if (crosses[v] && graph_.values[v].producer >= 0)
      uses[(size_t)where(graph_.values[v].producer)][v].at(last_of[(size_t)graph_.values[v].producer]);

  // Storage: values that share memory have one root.
  const std::vector<int32_t> readers = count_readers(graph_);
  const Op* const concat = find_op("concat");
  for (size_t b = 0; b < backends_.size(); ++b) {
    BackendPart& part = parts_[b];
    Storage storage(num_values, uses[b]);
    std::vector<Use>& life = storage.life;
    uint64_t alignment = 64;
    for (size_t k = 0; k < backends_.size(); ++k)
      if (part_of((int32_t)k) == (int32_t)b) alignment = std::max(alignment, backends_[k]->limits.buffer_alignment);
    const auto takes_gaps = [&](ValueId v) {
      const int32_t producer = graph_.value(v).producer;
      if (readers[(size_t)v] != 1 || producer < 0 || placements_[(size_t)producer].backend < 0 ||
          where(producer) != (int32_t)b)
        return false;
      const Backend& writer = *backends_[(size_t)placements_[(size_t)producer].backend];
      return graph_.nodes[(size_t)producer].out[0] == v && writer.api->writes_pitch &&
             writer.api->writes_pitch(writer.self, graph_, graph_.nodes[(size_t)producer]);
    };
    for (int32_t i = 0; i < num_nodes; ++i) {
      if (where(i) != (int32_t)b || placements_[(size_t)i].backend < 0) continue;
      const Node& n = graph_.nodes[(size_t)i];
      if (n.in.empty() || n.in[0] == kNoValue || n.out.empty()) continue;
      const ValueId x = storage.root(n.in[0]), y = n.out[0];
      const Value& source = graph_.value(x);
      if (n.op->flags & kWritesState) {
        storage.parent[(size_t)y] = x;
        continue;
      }
      if (n.op == concat) storage.join_parts(graph_, n, is_output, alignment, takes_gaps);
      const bool view = (n.op->flags & kView) != 0;
      if (view && is_plain(graph_.value(n.in[0]).encoding) &&
          value_bytes(graph_.value(n.in[0])) == value_bytes(graph_.value(y))) {
        // A view of what lives outside the arena needs no memory of its own either.
        storage.parent[(size_t)y] = n.in[0];
        // (Inputs of a device are copies in its arena.)
        if (!is_external(source) || source.kind == ValueKind::input) life[(size_t)x].join(life[(size_t)y]);
        if (is_output[(size_t)y]) life[(size_t)x].last = num_nodes;  // copied out at the end of the run
        continue;
      }
      for (size_t k = 0; k < n.in.size() && storage.parent[(size_t)y] == y && !is_output[(size_t)y]; ++k) {
        if (n.in[k] == kNoValue || !works_in_place(n, k)) continue;
        const ValueId from = storage.root(n.in[k]);
        const Value& whole = graph_.value(from);
        if (whole.kind != ValueKind::node || is_output[(size_t)from] || life[(size_t)from].last != i ||
            storage.pitch[(size_t)n.in[k]])
          continue;
        if (!(graph_.value(n.in[k]).shape == graph_.value(y).shape) ||
            value_bytes(whole) != value_bytes(graph_.value(y)))
          continue;
        // Another operand in the same memory would be overwritten while it is read.
        const auto same = [&](ValueId v) { return v != kNoValue && storage.root(v) == from; };
        if (std::count_if(n.in.begin(), n.in.end(), same) == 1) storage.put(y, from, 0, 0);
      }
    }

    // Slots for what lives outside the arena; lifetimes for the rest.
    std::vector<Lifetime> items;
    std::vector<ValueId> item_values;
    for (size_t i = 0; i < num_values; ++i) {
      if (life[i].last < 0 || storage.parent[i] != (ValueId)i) continue;
      const Value& v = graph_.values[i];
      const uint64_t bytes = value_bytes(v);
      Location loc{-1, 0, bytes};
      const bool host = (int32_t)b == host_;
      switch (v.kind) {
        case ValueKind::constant: loc.slot = slot_of(part, SlotKind::constant, (int32_t)i); break;
        case ValueKind::parameter: loc.slot = slot_of(part, SlotKind::parameter, v.index); break;
        case ValueKind::state: loc.slot = slot_of(part, SlotKind::state, v.index); break;
        case ValueKind::input:
          if (host) {
            for (size_t k = 0; k < graph_.inputs.size(); ++k)
              if (graph_.inputs[k] == (ValueId)i) loc.slot = slot_of(part, SlotKind::input, (int32_t)k);
            break;
          }
          [[fallthrough]];
        default:
          if (host && is_output[i] && v.kind == ValueKind::node && output_of[i] < 0) {
            // Written straight to the caller's memory.
            for (size_t k = 0; k < graph_.outputs.size() && output_of[i] < 0; ++k)
              if (graph_.outputs[k] == (ValueId)i) output_of[i] = (int32_t)k;
            loc.slot = slot_of(part, SlotKind::output, output_of[i]);
            break;
          }
          loc.slot = 0;
          items.push_back(
              {bytes, life[i].first, v.kind == ValueKind::scalar ? std::max(0, num_nodes - 1) : life[i].last});
          if (v.kind == ValueKind::scalar) items.back().first = 0;
          item_values.push_back((ValueId)i);
      }
      part.locations[i] = loc;
    }
    TERN_TRY(plan_memory(items, alignment, options.max_bytes - planned_, &part.arena));
    planned_ += part.arena.bytes;
    for (size_t i = 0; i < items.size(); ++i) part.locations[(size_t)item_values[i]].offset = part.arena.offsets[i];
    for (size_t i = 0; i < num_values; ++i) {
      const ValueId r = storage.root((ValueId)i);
      if (r == (ValueId)i || uses[b][i].last < 0) continue;
      const Location& whole = part.locations[(size_t)r];
      part.locations[i] = {whole.slot, whole.offset + storage.offset_in_root((ValueId)i), value_bytes(graph_.values[i]),
                           storage.pitch[i]};
    }
  }

  for (size_t k = 0; k < graph_.outputs.size(); ++k) {
    const ValueId v = graph_.outputs[k];
    if (output_of[(size_t)v] != (int32_t)k) {
      copied_outputs_.push_back({(int32_t)k, v});
      // An input that is an output, say, needs a place to be copied from.
      Location& loc = parts_[(size_t)host_].locations[(size_t)v];
      const Value& value = graph_.value(v);
      if (loc.slot >= 0) continue;
      loc.bytes = value_bytes(value);
      BackendPart& host = parts_[(size_t)host_];
      if (value.kind == ValueKind::constant) loc.slot = slot_of(host, SlotKind::constant, v);
      else if (value.kind == ValueKind::parameter) loc.slot = slot_of(host, SlotKind::parameter, value.index);
      else if (value.kind == ValueKind::state) loc.slot = slot_of(host, SlotKind::state, value.index);
      else
        for (size_t i = 0; i < graph_.inputs.size(); ++i)
          if (graph_.inputs[i] == v) loc.slot = slot_of(host, SlotKind::input, (int32_t)i);
    }
  }

  // The order of events.
  std::vector<std::vector<char>> present(backends_.size(), std::vector<char>(num_values, 0));
  size_t p = 0;
  for (int32_t i = 0; i < num_nodes;) {
    const int32_t end = last_of[(size_t)i] + 1, b = where(i);
    if (b != host_)
      for (int32_t k = i; k < end; ++k)
        for (const ValueId v : graph_.nodes[(size_t)k].in) {
          if (v == kNoValue || present[(size_t)b][(size_t)v]) continue;
          const Value& value = graph_.value(v);
          const bool elsewhere = value.kind == ValueKind::input || (value.producer >= 0 && where(value.producer) != b);
          if (!elsewhere) continue;
          steps_.push_back({StepKind::to_device, -1, b, v, i});
          present[(size_t)b][(size_t)v] = 1;
        }
    if (placements_[(size_t)i].backend < 0)
      steps_.push_back({StepKind::control, (int32_t)controls_.size(), -1, kNoValue, i}),
          controls_.push_back({i, 0, {}, {}, {}});
    else steps_.push_back({StepKind::submit, (int32_t)p++, -1, kNoValue, i, updates(i)});
    if (b != host_)
      for (int32_t k = i; k < end; ++k)
        for (const ValueId v : graph_.nodes[(size_t)k].out)
          if (crosses[(size_t)v]) steps_.push_back({StepKind::to_host, -1, b, v, i});
    i = end;
  }
  update_phase_ = steps_.size();
  for (size_t s = steps_.size(); s-- > 0 && (steps_[s].updates || steps_[s].part >= 0);)
    if (steps_[s].updates) update_phase_ = s;
  for (size_t s = update_phase_; s < steps_.size(); ++s) {
    if (!steps_[s].updates) continue;
    for (const int32_t i : partitions_[(size_t)steps_[s].index].nodes) {
      const Node& n = graph_.nodes[(size_t)i];
      // beyond what is valid
      const bool from_position = n.in.size() > 2 && graph_.value(n.in[0]).kind == ValueKind::state;
      replaces_states_ |= graph_.value(n.in[0]).kind == ValueKind::state && !from_position;
    }
  }
  return TERN_OK;
}

tern_status Executable::compile(const Parameters& parameters, const Options& options) {
  // Arenas and constants.
  for (BackendPart& part : parts_) {
    if (!part.used) continue;
    const Backend& b = *part.backend;
    part.buffers.resize(part.slots.size());
    part.versions.assign(part.slots.size(), 0);
    part.owned.reserve(part.slots.size());
    TERN_TRY(b.api->alloc(b.self, part.arena.bytes, &part.arena_buffer));
    part.owned.push_back(part.arena_buffer);
    for (size_t s = 0; s < part.slots.size(); ++s) {
      if (part.slots[s].kind == SlotKind::arena) part.buffers[s] = part.arena_buffer;
      if (part.slots[s].kind != SlotKind::constant) continue;
      const Value& v = graph_.value(part.slots[s].index);
      const uint64_t bytes = value_bytes(v);
      if (b.limits.host_memory) {
        part.buffers[s] = {const_cast<void*>(v.data.bytes), bytes};
        continue;
      }
      TERN_TRY(b.api->alloc(b.self, bytes, &part.buffers[s]));
      part.owned.push_back(part.buffers[s]);
      TERN_TRY(
          b.api->copy(b.self, {Copy::to_device, part.buffers[s], 0, {}, 0, const_cast<void*>(v.data.bytes), bytes}));
    }
  }

  std::vector<const void*> fixed(graph_.values.size(), nullptr);
  const bool training = !written_parameters_.empty();
  for (size_t i = 0; i < graph_.values.size(); ++i) {
    const Value& v = graph_.values[i];
    if (v.kind == ValueKind::constant) fixed[i] = v.data.bytes;
    if (v.kind == ValueKind::parameter && !training) fixed[i] = parameters.bytes(v.index);
  }
  if (!training) prepared_version_ = parameters.version();
  for (PartitionPlan& p : partitions_) {
    const BackendPart& part = parts_[(size_t)part_of(p.backend)];
    const Backend& backend = *backends_[(size_t)p.backend];
    const Partition partition{&graph_,         p.nodes,        part.locations,
                              fixed,           scalar_values_, (int32_t)part.slots.size(),
                              options.profile, options.control};
    TERN_TRY(backend.api->compile(backend.self, partition, &p.plan));
    const PlanStats stats = backend.api->plan_stats(backend.self, p.plan);
    if (!checked_add(planned_, stats.prepared_bytes, &planned_) ||
        !checked_add(planned_, stats.scratch_bytes, &planned_) || planned_ > options.max_bytes)
      return TERN_FAIL(TERN_ERR_LIMIT,
                       "the plan needs %" PRIu64 " bytes of memory with its copies of weights, the limit is %" PRIu64,
                       planned_, options.max_bytes);
  }
  for (Control& c : controls_) {
    c.first_child = (int32_t)children_.size();
    TERN_TRY(build_control(c.node, *model_, parameters, options));
  }
  return TERN_OK;
}

void* Executable::host_pointer(ValueId v) const {
  const BackendPart& host = parts_[(size_t)host_];
  const Location& loc = host.locations[(size_t)v];
  return (char*)host.buffers[(size_t)loc.slot].handle + loc.offset;
}

tern_status Executable::bind(std::span<const void* const> inputs, std::span<void* const> outputs,
                             Parameters& parameters, State& state) {
  TERN_TRY(parameters.intact());
  TERN_TRY(state.intact());
  for (const auto& [i, backend] : written_parameters_) TERN_TRY(parameters.make_writable(i));
  for (BackendPart& part : parts_) {
    if (!part.used) continue;
    const Backend& b = *part.backend;
    for (size_t s = 0; s < part.slots.size(); ++s) {
      const Slot slot = part.slots[s];
      Buffer& buffer = part.buffers[s];
      switch (slot.kind) {
        case SlotKind::arena:
        case SlotKind::constant: break;
        case SlotKind::input: buffer.handle = const_cast<void*>(inputs[(size_t)slot.index]); break;
        case SlotKind::output: buffer.handle = outputs[(size_t)slot.index]; break;
        case SlotKind::state:
          if (!states_move_) TERN_TRY(state.acquire(slot.index, b, &buffer));
          break;
        case SlotKind::parameter: {
          void* bytes = const_cast<void*>(parameters.bytes(slot.index));
          if (b.limits.host_memory) {
            buffer = {bytes, model_->def().parameters[(size_t)slot.index].bytes};
            break;
          }
          const uint64_t size = model_->def().parameters[(size_t)slot.index].bytes;
          if (!buffer.handle) {
            TERN_TRY(b.api->alloc(b.self, size, &buffer));
            part.owned.push_back(buffer);
          }
          if (part.versions[s] != parameters.version()) {
            TERN_TRY(b.api->copy(b.self, {Copy::to_device, buffer, 0, {}, 0, bytes, size}));
            part.versions[s] = parameters.version();
          }
          break;
        }
      }
    }
  }
  return TERN_OK;
}

// Where several backends (or sub-graphs) use states, each gets them when its turn comes.
tern_status Executable::take_states(BackendPart& part, State& state) {
  if (!states_move_) return TERN_OK;
  for (size_t s = 0; s < part.slots.size(); ++s)
    if (part.slots[s].kind == SlotKind::state)
      TERN_TRY(state.acquire(part.slots[s].index, *part.backend, &part.buffers[s]));
  return TERN_OK;
}

tern_status Executable::copy_value(const Step& step, std::span<const void* const> inputs, State& state) {
  BackendPart& part = parts_[(size_t)step.part];
  // The host's or the device's place of the value may be a state.
  TERN_TRY(take_states(step.kind == StepKind::to_device ? parts_[(size_t)host_] : part, state));
  const Location& loc = part.locations[(size_t)step.value];
  const Value& v = graph_.value(step.value);
  void* host = nullptr;
  if (v.kind == ValueKind::input) {
    for (size_t i = 0; i < graph_.inputs.size(); ++i)
      if (graph_.inputs[i] == step.value) host = const_cast<void*>(inputs[i]);
  } else {
    host = host_pointer(step.value);
  }
  if (loc.bytes != value_bytes(v) || !range_within(loc.offset, loc.bytes, part.buffers[(size_t)loc.slot].bytes))
    return TERN_FAIL(TERN_ERR_INTERNAL, "value '%s' of %" PRIu64 " bytes has a place of %" PRIu64 " on %s",
                     v.name.c_str(), value_bytes(v), loc.bytes, part.backend->api->name);
  return part.backend->api->copy(part.backend->self,
                                 {step.kind == StepKind::to_device ? Copy::to_device : Copy::to_host,
                                  part.buffers[(size_t)loc.slot],
                                  loc.offset,
                                  {},
                                  0,
                                  host,
                                  loc.bytes});
}

tern_status Executable::run(std::span<const void* const> inputs, std::span<void* const> outputs, Parameters& parameters,
                            State& state, const RunControl& control) {
  TERN_TRY(bind(inputs, outputs, parameters, state));
  for (size_t i = 0; i < scalar_inputs_.size(); ++i) {
    std::memcpy(&scalars_[i], inputs[(size_t)scalar_inputs_[i]], 8);
    if (parts_[(size_t)host_].locations[(size_t)scalar_values_[i]].slot >= 0)
      std::memcpy(host_pointer(scalar_values_[i]), &scalars_[i], 8);
  }
  if (profiling_) trace_.clear();
  constexpr RunControl kUnstoppable{};
  struct Updates {
    Executable& self;
    Parameters& parameters;
    State& state;
    bool begun = false, brought_back = false;
    ~Updates() {
      if (begun) self.abandon_updates(parameters, state, brought_back);
    }
  } updates{*this, parameters, state};
  for (size_t k = 0; k < steps_.size(); ++k) {
    const Step& step = steps_[k];
    if (k == update_phase_) TERN_TRY(check_control(control));  // the last moment: updates are not ended
    updates.begun = k >= update_phase_;
    if (step.kind == StepKind::submit) {
      PartitionPlan& p = partitions_[(size_t)step.index];
      BackendPart& part = parts_[(size_t)part_of(p.backend)];
      const Backend& backend = *backends_[(size_t)p.backend];
      if (!step.updates) TERN_TRY(check_control(control));
      TERN_TRY(take_states(part, state));
      Fence done = 0;
      TERN_TRY(backend.api->submit(backend.self, p.plan, part.buffers, scalars_, step.updates ? kUnstoppable : control,
                                   {}, &done));
      if (done) TERN_TRY(backend.api->wait(backend.self, done, UINT64_MAX));
      if (profiling_)
        for (const NodeTime& t : backend.api->plan_times(backend.self, p.plan)) {
          profile_[(size_t)t.node].total_ns += t.end_ns - t.begin_ns;
          if (trace_.size() < trace_.capacity()) trace_.push_back({t.node, t.begin_ns, t.end_ns});
        }
    } else if (step.kind == StepKind::control) {
      TERN_TRY(take_states(parts_[(size_t)host_], state));
      TERN_TRY(run_control(controls_[(size_t)step.index], parameters, state, control));
    } else {
      TERN_TRY(copy_value(step, inputs, state));
    }
  }
  if (!copied_outputs_.empty()) TERN_TRY(take_states(parts_[(size_t)host_], state));
  for (const auto& [k, v] : copied_outputs_)
    std::memcpy(outputs[(size_t)k], host_pointer(v), parts_[(size_t)host_].locations[(size_t)v].bytes);
  if (!written_parameters_.empty()) {
    // Devices wrote their own copies: bring them back, as the overlay is the truth. What others than the writer hold of
    // a written parameter is old now; all else stays valid.
    const auto written_by = [&](int32_t parameter) {
      for (const auto& [index, backend] : written_parameters_)
        if (index == parameter) return backend;
      return -1;
    };
    parameters.touch();
    updates.brought_back = true;
    for (size_t b = 0; b < parts_.size(); ++b) {
      BackendPart& part = parts_[b];
      if (!part.used || part.backend->limits.host_memory) continue;
      for (size_t s = 0; s < part.slots.size(); ++s) {
        if (part.slots[s].kind != SlotKind::parameter) continue;
        const int32_t i = part.slots[s].index, writer = written_by(i);
        if (writer == (int32_t)b)
          TERN_TRY(part.backend->api->copy(part.backend->self, {Copy::to_host,
                                                                part.buffers[s],
                                                                0,
                                                                {},
                                                                0,
                                                                const_cast<void*>(parameters.bytes(i)),
                                                                part.buffers[s].bytes}));
        if ((writer < 0 || writer == (int32_t)b) && part.versions[s] + 1 == parameters.version())
          part.versions[s] = parameters.version();
      }
    }
  }
  updates.begun = false;
  return TERN_OK;
}

// An error or an exception in the update phase. What devices with a memory of their own wrote is dropped.
void Executable::abandon_updates(Parameters& parameters, State& state, bool brought_back) {
  for (const auto& [index, writer] : written_parameters_) {
    BackendPart& part = parts_[(size_t)writer];
    if (brought_back || part.backend->limits.host_memory) parameters.tear();
    for (size_t s = 0; s < part.slots.size(); ++s)
      if (part.slots[s].kind == SlotKind::parameter && part.slots[s].index == index) part.versions[s] = 0;
  }
  if (replaces_states_) state.tear();
}

Executable::Memory Executable::memory() const {
  Memory m;
  for (const BackendPart& part : parts_)
    if (part.used) m.arena += part.arena.bytes, m.bound += part.arena.bound;
  for (const PartitionPlan& p : partitions_) {
    const PlanStats s = backends_[(size_t)p.backend]->api->plan_stats(backends_[(size_t)p.backend]->self, p.plan);
    m.scratch = std::max(m.scratch, s.scratch_bytes);
    m.prepared += s.prepared_bytes;
  }
  for (const auto& child : children_) {
    const Memory c = child->memory();
    m.arena += c.arena, m.bound += c.bound, m.scratch += c.scratch, m.prepared += c.prepared;
  }
  for (const Control& c : controls_)
    for (const Block& block : c.blocks) m.arena += block.bytes();
  return m;
}

}  // namespace tern
