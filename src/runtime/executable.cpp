// SPDX-License-Identifier: Apache-2.0
#include "runtime/executable.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"

namespace tern {
namespace {

// Values that live outside the plan are as large as their owners say, and what goes to a caller is plain.
tern_status check_owners(const Graph& g, const ModelDef& def) {
  for (const Value& v : g.values) {
    uint64_t owned = value_bytes(v);
    if (v.kind == ValueKind::parameter) owned = def.parameters[(size_t)v.index].bytes;
    if (v.kind == ValueKind::state) {
      const StateDecl& s = def.states[(size_t)v.index];
      if (v.paged != s.paged)
        return TERN_FAIL(TERN_ERR_INTERNAL, "value '%s' is in pages in one of plan and model only", v.name.c_str());
      if (!v.paged) TERN_TRY(encoded_bytes(s.encoding, s.dtype, s.shape, &owned));
    }
    if (owned != value_bytes(v))
      return TERN_FAIL(TERN_ERR_INTERNAL,
                       "value '%s' takes %" PRIu64 " bytes in the plan, but %" PRIu64 " in the model", v.name.c_str(),
                       value_bytes(v), owned);
  }
  for (const ValueId v : g.outputs)
    if (g.value(v).paged)
      return TERN_FAIL(TERN_ERR_UNSUPPORTED, "output '%s' is a state in pages; outputs are plain tensors",
                       g.value(v).name.c_str());
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

}  // namespace

tern_status Executable::create(Graph graph, const Model& model, const Parameters& parameters, const Options& options,
                               std::unique_ptr<Executable>* out) {
  std::unique_ptr<Executable> e(new Executable());
  TERN_TRY(e->build(std::move(graph), model, parameters, options));
  *out = std::move(e);
  return TERN_OK;
}

Executable::~Executable() {
  recover();  // of a plan that could not be made
  for (size_t p = 0; p < compiled_.size(); ++p) {
    if (!compiled_[p].plan) continue;
    const Backend& backend = *targets_.backends[(size_t)parts_[p].backend];
    backend.api->plan_release(backend.self, compiled_[p].plan);
  }
  for (Place& place : places_)
    for (Buffer* b : {&place.arena, &place.pages_copy})
      if (b->handle) place.backend->api->free(place.backend->self, b);
}

// ---- making a plan ----

tern_status Executable::build(Graph graph, const Model& model, const Parameters& parameters, Options options) {
  TERN_TRY(check_owners(graph, model.def()));
  options.deterministic = options.deterministic || writes_states(graph);  // sub-graphs follow
  model_ = Ref<const Model>::share(&model);
  targets_ = {{options.backends.begin(), options.backends.end()}, options.deterministic};
  profiling_ = options.profile;
  TERN_TRY(lower(std::move(graph), targets_, &lowered_));
  TERN_TRY(check_control(options.control));
  PageLayout pages;
  TERN_TRY(lay_out_pages(model.def(), &pages));
  if (options.arena_bytes != UINT64_MAX) TERN_TRY(fit(options.arena_bytes, pages));
  parts_ = partition(lowered_);
  const Stored stored = share_storage(lowered_, parts_, targets_);
  TERN_TRY(lay_out(lowered_, parts_, stored, targets_, pages, options.max_bytes, &layout_));
  schedule_ = schedule(lowered_, parts_, stored, targets_);
  planned_ = layout_.bytes;
  TERN_TRY(check_control(options.control));

  const Graph& g = lowered_.graph;
  profile_.resize(g.nodes.size());
  trace_.reserve(options.profile ? 4 * g.nodes.size() : 0);  // a node may be some calls
  prepare_scalars();
  find_writes(options);
  int32_t users = 0;
  for (const MemoryLayout& m : layout_.memories)
    users += std::any_of(m.slots.begin(), m.slots.end(),
                         [](const Slot& s) { return s.kind == SlotKind::state || s.kind == SlotKind::pages; });
  for (const Part& p : parts_) users += p.backend < 0;
  states_move_ = users > 1;
  return compile(parameters, options);
}

// As few segments are computed again as the budget needs.
tern_status Executable::fit(uint64_t budget, const PageLayout& pages) {
  const auto cost = [&](const Lowered& l, uint64_t* bytes) -> tern_status {
    const std::vector<Part> parts = partition(l);
    Layout layout;
    TERN_TRY(lay_out(l, parts, share_storage(l, parts, targets_), targets_, pages, UINT64_MAX, &layout));
    *bytes = layout.bytes;
    return TERN_OK;
  };
  TERN_TRY(cost(lowered_, &without_budget_));
  if (without_budget_ <= budget) return TERN_OK;
  const Segments cuts = find_segments(lowered_);
  // Longer segments keep less and, while one is computed again, need more.
  Segments segments;
  uint64_t bytes = 0, least = without_budget_;
  for (size_t length = 1; length == 1 || length <= cuts.cuts.size() / 2; length *= 2) {
    segments = {cuts.turn, {}};
    for (size_t i = length - 1; i < cuts.cuts.size(); i += length) segments.cuts.push_back(cuts.cuts[i]);
    if (segments.cuts.empty()) break;
    TERN_TRY(cost(rematerialize(lowered_, segments, (int32_t)segments.cuts.size()), &bytes));
    least = std::min(least, bytes);
    if (bytes <= budget) break;
  }
  if (least > budget)
    return TERN_FAIL(TERN_ERR_LIMIT,
                     "activations of %" PRIu64 " bytes are allowed; they take %" PRIu64 ", and %" PRIu64
                     " where as much as possible is computed again: allow these, or take a smaller batch",
                     budget, without_budget_, least);
  const int32_t all = (int32_t)segments.cuts.size();
  int32_t too_few = 0, enough = all;
  while (enough - too_few > 1) {
    const int32_t middle = too_few + (enough - too_few) / 2;
    TERN_TRY(cost(rematerialize(lowered_, segments, middle), &bytes));
    (bytes <= budget ? enough : too_few) = middle;
  }
  const size_t before = lowered_.graph.nodes.size();
  lowered_ = rematerialize(lowered_, segments, enough);
  again_ = (int64_t)(lowered_.graph.nodes.size() - before);
  return TERN_OK;
}

void Executable::prepare_scalars() {
  const Graph& g = lowered_.graph;
  for (size_t i = 0; i < g.inputs.size(); ++i)
    if (g.value(g.inputs[i]).kind == ValueKind::scalar) scalar_inputs_.push_back((int32_t)i);
  const std::vector<ValueId>& scalars = lowered_.scalars;
  scalars_.resize(scalars.size());
  for (const Node& n : lowered_.host_nodes) {
    const auto place = [&](ValueId v) {
      return &scalars_[(size_t)(std::find(scalars.begin(), scalars.end(), v) - scalars.begin())];
    };
    const auto tensor = [&](ValueId id) {
      const Value& v = g.value(id);
      void* const data = v.kind == ValueKind::constant ? const_cast<void*>(v.data.bytes) : place(id);
      return RefTensor{v.dtype, v.encoding, v.shape, data};
    };
    HostNode h{&n, {}, tensor(n.out[0]), place(n.out[0])};
    for (const ValueId v : n.in) h.ins.push_back(tensor(v));
    host_nodes_.push_back(std::move(h));
  }
}

void Executable::find_writes(const Options& options) {
  const Graph& g = lowered_.graph;
  written_.assign(options.written.begin(), options.written.end());
  written_.resize(model_->def().parameters.size(), 0);
  for_each_graph(g, [&](const Graph& part) {
    for (const Node& n : part.nodes)
      for (size_t k = 0; k < num_written(n); ++k)
        if (part.value(n.in[k]).kind == ValueKind::parameter) written_[(size_t)part.value(n.in[k]).index] = 1;
  });
  compiled_.resize(parts_.size());
  for (size_t p = 0; p < parts_.size(); ++p)
    for (int32_t i = parts_[p].begin; i < parts_[p].end; ++i) {
      const Node& n = g.nodes[(size_t)i];
      for (size_t k = 0; k < num_written(n); ++k) {
        const MemoryLayout& m = layout_.memories[(size_t)targets_.memory_of(parts_[p].backend)];
        const Slot& slot = m.slots[(size_t)m.locations[(size_t)n.in[k]].slot];
        if (slot.kind == SlotKind::state) compiled_[p].states.push_back(slot.index);
        if (slot.kind == SlotKind::pages) compiled_[p].pages = true;
        if (slot.kind == SlotKind::parameter)
          written_parameters_.push_back({slot.index, targets_.memory_of(parts_[p].backend)});
      }
    }
}

tern_status Executable::count(uint64_t bytes, const Options& options) {
  if (checked_add(planned_, bytes, &planned_) && planned_ <= options.max_bytes) return TERN_OK;
  return TERN_FAIL(TERN_ERR_LIMIT,
                   "the plan needs %" PRIu64 " bytes of memory with its copies of weights, the limit is %" PRIu64,
                   planned_, options.max_bytes);
}

tern_status Executable::compile(const Parameters& parameters, const Options& options) {
  const Graph& g = lowered_.graph;
  places_.resize(layout_.memories.size());
  constants_.resize(g.values.size());
  for (size_t m = 0; m < places_.size(); ++m) {
    const MemoryLayout& memory = layout_.memories[m];
    Place& place = places_[m];
    place.backend = targets_.backends[m];
    if (!memory.used) continue;
    place.buffers.resize(memory.slots.size());
    TERN_TRY(place.backend->api->alloc(place.backend->self, memory.arena.bytes, MemoryKind::device, &place.arena));
    place.buffers[0] = place.arena;
    for (size_t s = 0; s < memory.slots.size(); ++s) {
      if (memory.slots[s].kind != SlotKind::constant) continue;
      const ValueId v = memory.slots[s].index;
      if (place.backend->limits.host_memory) {
        place.buffers[s] = {const_cast<void*>(g.value(v).data.bytes), value_bytes(g.value(v))};
        continue;
      }
      const Ref<Resident> item = item_of(v, parameters);
      held_.emplace_back(item, *place.backend);
      TERN_TRY(item->acquire(*place.backend, &place.buffers[s], &uploads_));
    }
    TERN_TRY(upload(place));
  }

  std::vector<char> fixed(g.values.size(), 0);
  for (size_t i = 0; i < g.values.size(); ++i) {
    const Value& v = g.values[i];
    fixed[i] = v.kind == ValueKind::constant || (v.kind == ValueKind::parameter && !written_[(size_t)v.index]);
  }
  for (const Node& n : g.nodes)  // a view has its source's bytes
    if ((n.op->flags & kView) && is_plain(g.value(n.in[0]).encoding) && is_plain(g.value(n.out[0]).encoding))
      fixed[(size_t)n.out[0]] = fixed[(size_t)n.in[0]];
  control_of_.assign(parts_.size(), -1);
  for (size_t p = 0; p < parts_.size(); ++p) {
    if (parts_[p].backend >= 0) {
      TERN_TRY(compile_part(p, fixed, parameters, options));
      continue;
    }
    control_of_[p] = (int32_t)controls_.size();
    controls_.push_back({parts_[p].begin, (int32_t)children_.size(), {}, {}, {}});
    TERN_TRY(build_control(parts_[p].begin, *model_, parameters, options));
  }
  TERN_TRY(wait_all());
  sent_.clear();
  return TERN_OK;
}

tern_status Executable::compile_part(size_t part, std::span<const char> fixed, const Parameters& parameters,
                                     const Options& options) {
  const Part& p = parts_[part];
  std::vector<int32_t> nodes;
  for (int32_t i = p.begin; i < p.end; ++i) nodes.push_back(i);
  Deriving deriving{this, &parameters, targets_.memory_of(p.backend), options.max_bytes - planned_};
  const Backend& backend = *targets_.backends[(size_t)p.backend];
  const Partition partition{
      .graph = &lowered_.graph,
      .nodes = nodes,
      .locations = layout_.memories[(size_t)deriving.memory].locations,
      .fixed = fixed,
      .scalars = lowered_.scalars,
      .profile = options.profile,
      .max_bytes = options.max_bytes - planned_,
      .control = options.control,
      .derive =
          [](void* owner, std::span<const ValueId> sources, const DerivedOrder& order, int32_t* slot) {
            const Deriving& d = *(const Deriving*)owner;
            return d.self->derive(d, sources, order, slot);
          },
      .owner = &deriving,
  };
  const size_t had = derived_.size();
  TERN_TRY(backend.api->compile(backend.self, partition, &compiled_[part].plan));
  const PlanStats stats = backend.api->plan_stats(backend.self, compiled_[part].plan);
  TERN_TRY(count(stats.prepared_bytes, options));
  TERN_TRY(count(stats.scratch_bytes, options));
  for (size_t i = had; i < derived_.size(); ++i) TERN_TRY(count(derived_[i].copy->bytes(), options));
  return TERN_OK;
}

// Of a parameter or a constant, or of a view of one.
Ref<Resident> Executable::item_of(ValueId v, const Parameters& parameters) {
  while (lowered_.graph.value(v).kind == ValueKind::node)
    v = lowered_.graph.nodes[(size_t)lowered_.graph.value(v).producer].in[0];
  const Value& value = lowered_.graph.value(v);
  if (value.kind == ValueKind::parameter) return parameters.item(value.index);
  Ref<Resident>& item = constants_[(size_t)v];
  if (item) return item;
  const tern_allocator& allocator = model_->context().allocator();
  const uint64_t bytes = value_bytes(value);
  if (!value.data.owner) item = model_->residency().of_file(allocator, value.data.bytes, bytes);
  else item = Ref<Resident>::adopt(new Resident(allocator, value.data, bytes));
  return item;
}

tern_status Executable::derive(const Deriving& d, std::span<const ValueId> sources, const DerivedOrder& order,
                               int32_t* slot) {
  if (order.bytes > d.max_bytes)
    return TERN_FAIL(TERN_ERR_LIMIT, "a copy of weights needs %" PRIu64 " bytes, the limit of the plan leaves %" PRIu64,
                     order.bytes, d.max_bytes);
  Place& place = places_[(size_t)d.memory];
  std::vector<Ref<Resident>> items;
  for (const ValueId v : sources) items.push_back(item_of(v, *d.parameters));
  DerivedSlot fresh{{}, order, {sources.begin(), sources.end()}, d.memory, (int32_t)place.buffers.size()};
  TERN_TRY(model_->residency().derive(*place.backend, order, std::move(items), &fresh.copy));
  TERN_TRY(fresh.copy->refresh(model_->context().allocator()));
  for (const DerivedSlot& other : derived_)
    if (other.copy == fresh.copy && other.memory == d.memory) return *slot = other.slot, TERN_OK;
  layout_.memories[(size_t)d.memory].slots.push_back({SlotKind::derived, (int32_t)derived_.size()});
  place.buffers.push_back(fresh.copy->buffer());
  *slot = fresh.slot;
  derived_.push_back(std::move(fresh));
  return TERN_OK;
}

// ---- running ----

void* Executable::host_pointer(ValueId v) const {
  const size_t host = (size_t)targets_.host();
  const Location& loc = layout_.memories[host].locations[(size_t)v];
  return (char*)places_[host].buffers[(size_t)loc.slot].handle + loc.offset;
}

void Executable::set_buffer(Place& place, size_t slot, const Buffer& buffer) {
  if (place.buffers[slot].handle != buffer.handle) ++place.moved;
  place.buffers[slot] = buffer;
}

tern_status Executable::upload(Place& place) {
  if (uploads_.copies.empty()) return TERN_OK;
  sent_.insert(sent_.end(), uploads_.items.begin(), uploads_.items.end());
  const tern_status status = place.backend->api->copy(place.backend->self, uploads_.copies, {}, &place.last);
  uploads_.copies.clear();
  uploads_.items.clear();
  return status;
}

tern_status Executable::bind_parameters(Parameters& parameters) {
  if (bound_parameters_ == &parameters && bound_changes_ == parameters.changes()) return TERN_OK;
  for (size_t m = 0; m < places_.size(); ++m) {
    Place& place = places_[m];
    for (size_t s = 0; s < place.buffers.size(); ++s) {
      const Slot& slot = layout_.memories[m].slots[s];
      if (slot.kind != SlotKind::parameter) continue;
      const Ref<Resident>& item = parameters.item(slot.index);
      const bool holds = std::any_of(held_.begin(), held_.end(), [&](const Held& h) {
        return h.item().get() == item.get() && &h.backend() == place.backend;
      });
      if (!holds && !place.backend->limits.host_memory) held_.emplace_back(item, *place.backend);
      Buffer buffer;
      TERN_TRY(item->acquire(*place.backend, &buffer, &uploads_));
      set_buffer(place, s, buffer);
    }
    TERN_TRY(upload(place));
  }
  for (DerivedSlot& d : derived_) {
    Place& place = places_[(size_t)d.memory];
    bool same = true;
    for (size_t i = 0; i < d.sources.size() && same; ++i)
      same = d.copy->sources()[i].get() == item_of(d.sources[i], parameters).get();
    if (!same) {
      std::vector<Ref<Resident>> items;
      for (const ValueId v : d.sources) items.push_back(item_of(v, parameters));
      TERN_TRY(model_->residency().derive(*place.backend, d.order, std::move(items), &d.copy));
    }
    TERN_TRY(d.copy->refresh(model_->context().allocator()));
    set_buffer(place, (size_t)d.slot, d.copy->buffer());
  }
  bound_parameters_ = &parameters;
  bound_changes_ = parameters.changes();
  return TERN_OK;
}

tern_status Executable::bind(std::span<const void* const> inputs, std::span<void* const> outputs,
                             Parameters& parameters, const Sequences& state) {
  TERN_TRY(parameters.intact());
  TERN_TRY(state.intact());
  for (const auto& [i, memory] : written_parameters_) TERN_TRY(parameters.make_writable(i));
  TERN_TRY(bind_parameters(parameters));
  for (size_t m = 0; m < places_.size(); ++m) {
    Place& place = places_[m];
    for (size_t s = 0; s < place.buffers.size(); ++s) {
      const Slot& slot = layout_.memories[m].slots[s];
      Buffer buffer = place.buffers[s];
      switch (slot.kind) {
        case SlotKind::arena:
        case SlotKind::constant:
        case SlotKind::parameter:
        case SlotKind::derived: continue;
        case SlotKind::input: buffer.handle = const_cast<void*>(inputs[(size_t)slot.index]); break;
        case SlotKind::output: buffer.handle = outputs[(size_t)slot.index]; break;
        case SlotKind::pages:
          if (states_move_) continue;
          TERN_TRY(take_pages(place, state, &buffer));
          break;
        case SlotKind::state:
          if (states_move_) continue;
          TERN_TRY(state.item(slot.index)->acquire(*place.backend, &buffer, &uploads_));
          break;
      }
      set_buffer(place, s, buffer);
    }
    TERN_TRY(upload(place));
  }
  return TERN_OK;
}

// The table of the pages of all sequences, in the memory of `place`.
tern_status Executable::take_pages(Place& place, const Sequences& state, Buffer* buffer) {
  const Backend& backend = *place.backend;
  if (!backend.limits.host_memory && !backend.api->address)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "backend '%s' takes no states in pages", backend.name.c_str());
  const std::span<State* const> all = state.all();
  size_t most = 1;
  for (const State* s : all) most = std::max(most, s->pages().size());
  const uint64_t bytes = sizeof(PageTable) + all.size() * most * sizeof(uint64_t);
  if (place.pages.bytes() < bytes) {
    TERN_TRY(wait(place));
    if (place.pages_copy.handle) backend.api->free(backend.self, &place.pages_copy);
    // The host's last: its size says that both are there.
    if (!backend.limits.host_memory)
      TERN_TRY(backend.api->alloc(backend.self, 2 * bytes, MemoryKind::device, &place.pages_copy));
    TERN_TRY(place.pages.allocate(model_->context().allocator(), 2 * bytes));
  }
  auto& table = *new (place.pages.data()) PageTable{(int64_t)all.size(), (int64_t)most};
  for (size_t s = 0; s < all.size(); ++s) {
    uint64_t* const addresses = table.addresses((int64_t)s);
    std::fill_n(addresses, most, 0);
    for (size_t p = 0; p < all[s]->pages().size(); ++p) {
      Buffer page;
      TERN_TRY(all[s]->pages()[p]->acquire(backend, &page, &uploads_));
      addresses[p] =
          backend.limits.host_memory ? (uint64_t)(uintptr_t)page.handle : backend.api->address(backend.self, page);
      if (all[s]->may_write(p)) addresses[p] |= kPageWritable;
    }
  }
  if (backend.limits.host_memory) return *buffer = {place.pages.data(), bytes}, TERN_OK;
  uploads_.copies.push_back({Copy::to_device, place.pages_copy, 0, {}, 0, place.pages.data(), bytes});
  *buffer = place.pages_copy;
  return TERN_OK;
}

// Where several memories (or sub-graphs) use states, each gets them when its turn comes.
tern_status Executable::take_states(Place& place, const Sequences& state) {
  if (!states_move_) return TERN_OK;
  const MemoryLayout& memory = layout_.memories[(size_t)(&place - places_.data())];
  for (size_t s = 0; s < place.buffers.size(); ++s) {
    const Slot& slot = memory.slots[s];
    if (slot.kind != SlotKind::state && slot.kind != SlotKind::pages) continue;
    Buffer buffer;
    if (slot.kind == SlotKind::pages) TERN_TRY(take_pages(place, state, &buffer));
    else TERN_TRY(state.item(slot.index)->acquire(*place.backend, &buffer, &uploads_));
    set_buffer(place, s, buffer);
  }
  if (uploads_.copies.empty()) return TERN_OK;
  TERN_TRY(upload(place));
  return wait(place);  // the next one to take them may let their bytes go
}

tern_status Executable::wait(Place& place) {
  const Fence last = place.last;
  place.last = 0;
  place.fetching = false;
  return last ? place.backend->api->wait(place.backend->self, last, UINT64_MAX) : TERN_OK;
}

tern_status Executable::wait_all() {
  tern_status first = TERN_OK;
  for (Place& place : places_) {
    const tern_status status = wait(place);
    if (first == TERN_OK) first = status;
  }
  return first;
}

// Before the host reads what devices send.
tern_status Executable::begin_host() {
  for (Place& place : places_)
    if (place.fetching) TERN_TRY(wait(place));
  return TERN_OK;
}

tern_status Executable::submit(const Step& step, const Sequences& state, const RunControl& control) {
  constexpr static RunControl kUnstoppable{};
  const Part& part = parts_[(size_t)step.index];
  Compiled& compiled = compiled_[(size_t)step.index];
  const int32_t memory = targets_.memory_of(part.backend);
  Place& place = places_[(size_t)memory];
  const Backend& backend = *targets_.backends[(size_t)part.backend];
  if (!step.updates) TERN_TRY(check_control(control));
  TERN_TRY(take_states(place, state));
  if (memory == targets_.host()) TERN_TRY(begin_host());
  if (compiled.bound != place.moved) {
    TERN_TRY(backend.api->rebind(backend.self, compiled.plan, place.buffers));
    compiled.bound = place.moved;
  }
  Fence done = 0;
  const tern_status status =
      backend.api->submit(backend.self, compiled.plan, scalars_, step.updates ? kUnstoppable : control, {}, &done);
  for (const int32_t i : compiled.states) state.item(i)->wrote(*place.backend);
  if (compiled.pages)
    for (State* s : state.all()) s->wrote_pages(*place.backend);
  if (done) place.last = done;
  TERN_TRY(status);
  if (!profiling_) return TERN_OK;
  TERN_TRY(wait(place));
  for (const NodeTime& t : backend.api->plan_times(backend.self, compiled.plan)) {
    profile_[(size_t)t.node].total_ns += t.end_ns - t.begin_ns;
    if (trace_.size() < trace_.capacity()) trace_.push_back({t.node, t.begin_ns, t.end_ns});
  }
  return TERN_OK;
}

// The steps [first, last): copies of one kind, to or from one device.
tern_status Executable::copy_values(size_t first, size_t last, std::span<const void* const> inputs,
                                    const Sequences& state) {
  const Graph& g = lowered_.graph;
  const Step& step = schedule_.steps[first];
  const bool to_device = step.kind == StepKind::to_device;
  Place& place = places_[(size_t)step.index];
  // The host's or the device's place of the value may be a state.
  TERN_TRY(take_states(to_device ? places_[(size_t)targets_.host()] : place, state));
  copies_.clear();
  for (size_t k = first; k < last; ++k) {
    const ValueId id = schedule_.steps[k].value;
    const Location& loc = layout_.memories[(size_t)step.index].locations[(size_t)id];
    const Value& v = g.value(id);
    void* host = nullptr;
    if (v.kind == ValueKind::input) {
      host = const_cast<void*>(inputs[(size_t)(std::find(g.inputs.begin(), g.inputs.end(), id) - g.inputs.begin())]);
    } else {
      if (to_device) TERN_TRY(begin_host());
      host = host_pointer(id);
    }
    const Buffer& buffer = place.buffers[(size_t)loc.slot];
    if (loc.bytes != value_bytes(v) || !range_within(loc.offset, loc.bytes, buffer.bytes))
      return TERN_FAIL(TERN_ERR_INTERNAL, "value '%s' of %" PRIu64 " bytes has a place of %" PRIu64 " on %s",
                       v.name.c_str(), value_bytes(v), loc.bytes, place.backend->name.c_str());
    copies_.push_back({to_device ? Copy::to_device : Copy::to_host, buffer, loc.offset, {}, 0, host, loc.bytes});
  }
  place.fetching = place.fetching || !to_device;
  Fence done = 0;
  TERN_TRY(place.backend->api->copy(place.backend->self, copies_, {}, &done));
  if (done) place.last = done;
  return TERN_OK;
}

// Scalars hold their value in 64 bits; its first bytes are the value in a type of fewer.
tern_status Executable::read_scalars(std::span<const void* const> inputs) {
  const MemoryLayout& host = layout_.memories[(size_t)targets_.host()];
  for (size_t i = 0; i < scalar_inputs_.size(); ++i) std::memcpy(&scalars_[i], inputs[(size_t)scalar_inputs_[i]], 8);
  for (const HostNode& h : host_nodes_) {
    TERN_TRY(evaluate(*h.node, h.ins.data(), &h.out));
    *h.to = load_integer(h.out.dtype, h.out.data, 0);
  }
  for (size_t i = 0; i < scalars_.size(); ++i) {
    const ValueId v = lowered_.scalars[i];
    const Location& loc = host.locations[(size_t)v];
    if (loc.slot >= 0) std::memcpy(host_pointer(v), &scalars_[i], (size_t)loc.bytes);
  }
  return TERN_OK;
}

tern_status Executable::run(std::span<const void* const> inputs, std::span<void* const> outputs, Parameters& parameters,
                            const Sequences& state, const RunControl& control) {
  struct Ending {
    Executable& self;
    Parameters& parameters;
    const Sequences& state;
    bool updating = false, done = false;
    ~Ending() {
      if (done) return;
      self.recover();
      if (updating) self.abandon_updates(parameters, state);
    }
  } ending{*this, parameters, state};
  TERN_TRY(bind(inputs, outputs, parameters, state));
  const MemoryLayout& host = layout_.memories[(size_t)targets_.host()];
  TERN_TRY(read_scalars(inputs));
  if (profiling_) trace_.clear();
  const std::vector<Step>& steps = schedule_.steps;
  for (size_t k = 0; k < steps.size(); ++k) {
    const Step& step = steps[k];
    if (k == schedule_.update_phase) {
      TERN_TRY(wait_all());
      TERN_TRY(check_control(control));  // the last moment: updates are not ended
      ending.updating = true;
    }
    switch (step.kind) {
      case StepKind::submit: TERN_TRY(submit(step, state, control)); break;
      case StepKind::control:
        TERN_TRY(take_states(places_[(size_t)targets_.host()], state));
        TERN_TRY(begin_host());
        TERN_TRY(run_control(controls_[(size_t)control_of_[(size_t)step.index]], parameters, state, control));
        break;
      case StepKind::to_device:
      case StepKind::to_host: {
        size_t end = k + 1;
        while (end < steps.size() && end != schedule_.update_phase && steps[end].kind == step.kind &&
               steps[end].index == step.index)
          ++end;
        TERN_TRY(copy_values(k, end, inputs, state));
        k = end - 1;
        break;
      }
    }
  }
  if (!layout_.copied_outputs.empty()) TERN_TRY(take_states(places_[(size_t)targets_.host()], state));
  TERN_TRY(wait_all());
  for (const auto& [k, v] : layout_.copied_outputs)
    std::memcpy(outputs[(size_t)k], host_pointer(v), host.locations[(size_t)v].bytes);
  if (!written_parameters_.empty()) {
    for (const auto& [i, memory] : written_parameters_) parameters.item(i)->wrote(*places_[(size_t)memory].backend);
    parameters.touch();
    // What this plan has bound is what it wrote.
    bool one = true;
    for (const auto& w : written_parameters_) one = one && w.second == written_parameters_[0].second;
    if (one && layout_.memories.size() == 1) bound_changes_ = parameters.changes();
  }
  ending.done = true;
  sent_.clear();
  return TERN_OK;
}

// After an error: nobody works any more on memory of the run, and what may not have arrived is sent again.
void Executable::recover() {
  (void)wait_all();
  for (const auto& [item, backend] : sent_) item->take_back(*backend);
  for (const auto& [item, backend] : uploads_.items) item->take_back(*backend);
  sent_.clear();
  uploads_.copies.clear();
  uploads_.items.clear();
  for (Compiled& c : compiled_) c.bound = 0;
  bound_parameters_ = nullptr;
}

// An error or an exception in the update phase. What devices with a memory of their own wrote is dropped.
void Executable::abandon_updates(Parameters& parameters, const Sequences& state) {
  for (const auto& [i, memory] : written_parameters_) {
    const Backend& backend = *places_[(size_t)memory].backend;
    if (backend.limits.host_memory || !parameters.item(i)->forget(backend)) parameters.tear();
  }
  bound_parameters_ = nullptr;
  if (schedule_.replaces_states) state.tear();
}

Executable::Memory Executable::memory() const {
  Memory m;
  m.without_budget = without_budget_, m.again = again_;
  for (const MemoryLayout& memory : layout_.memories)
    if (memory.used) m.arena += memory.arena.bytes, m.bound += memory.arena.bound;
  for (size_t p = 0; p < parts_.size(); ++p) {
    if (!compiled_[p].plan) continue;
    const Backend& backend = *targets_.backends[(size_t)parts_[p].backend];
    const PlanStats s = backend.api->plan_stats(backend.self, compiled_[p].plan);
    m.scratch = std::max(m.scratch, s.scratch_bytes);
    m.prepared += s.prepared_bytes;
  }
  for (const DerivedSlot& d : derived_) m.prepared += d.copy->bytes();
  for (const auto& child : children_) {
    const Memory c = child->memory();
    m.arena += c.arena, m.bound += c.bound, m.scratch += c.scratch, m.prepared += c.prepared;
  }
  for (const Control& c : controls_)
    for (const Block& block : c.blocks) m.arena += block.bytes();
  return m;
}

}  // namespace tern
