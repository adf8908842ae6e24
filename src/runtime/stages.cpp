// SPDX-License-Identifier: Apache-2.0
#include "runtime/stages.h"

#include <algorithm>

#include "base/checked.h"
#include "ops/data_sizes.h"
#include "ops/ops_generated.h"
#include "passes/optimize.h"

namespace tern {

Stages::Stage::Stage() = default;
Stages::Stage::~Stage() = default;

std::string describe_op(const Node& node) {
  if (node.op != &op_fused) return node.op->name;
  std::string s;
  for (const Node& n : node.subgraphs[0].nodes) s += (s.empty() ? "" : "+") + describe_op(n);
  return s;
}

namespace {

// Each step of sizes that depend on data copies what is left of the graph: a hostile file cannot make that long.
constexpr size_t kMostStages = 64;
// A loop may pass through many shapes before they come again.
constexpr size_t kLoopPlans = 64;

// Names that do not change when nodes are fused: the same for every backend, and one for each value.
void name_values(Graph& g) {
  std::vector<ValueId> order;
  for (const Node& n : g.nodes) order.insert(order.end(), n.out.begin(), n.out.end());
  std::stable_sort(order.begin(), order.end(), [&](ValueId a, ValueId b) { return g.value(a).name < g.value(b).name; });
  const std::string* previous = nullptr;
  for (const ValueId v : order) {
    std::string& name = g.value(v).name;
    if (name.empty()) name = g.nodes[(size_t)g.value(v).producer].op->name;
    else if (!previous || name != *previous) {
      previous = &name;
      continue;
    }
    name += "%" + std::to_string(v);
  }
}

// Bytes of the contents of which sizes depend are those that `given` points to.
uint64_t content_bytes(const Graph& graph, size_t input, const Given& given) {
  return given.content ? (uint64_t)given.shape.elements() * dtype_size(graph.value(graph.inputs[input]).dtype) : 0;
}

bool made_for(const Stages::Stage& s, const Graph& graph, std::span<const Given> given) {
  if (s.shapes.size() != given.size()) return false;
  uint64_t at = 0;
  for (size_t i = 0; i < given.size(); ++i) {
    if (!(s.shapes[i] == given[i].shape)) return false;
    const uint64_t bytes = content_bytes(graph, i, given[i]);
    if (at + bytes > s.contents.size() ||
        (bytes && std::memcmp(s.contents.data() + at, given[i].content, (size_t)bytes) != 0))
      return false;
    at += bytes;
  }
  return at == s.contents.size();
}

// What a stage or a loop takes is as large as what the one before it gives.
tern_status check_given(const Value& taken, DType dtype, const Shape& shape) {
  Value given;
  given.dtype = dtype, given.shape = shape;
  if (is_plain(taken.encoding) && value_bytes(given) == value_bytes(taken)) return TERN_OK;
  return TERN_FAIL(TERN_ERR_INTERNAL, "'%s' of %" PRIu64 " bytes is given %" PRIu64 " between two stages of a plan",
                   taken.name.c_str(), value_bytes(taken), value_bytes(given));
}

const void* where(const Source& s, std::span<const void* const> inputs, const Stages::Stage& stage) {
  return s.input >= 0 ? inputs[(size_t)s.input] : s.output >= 0 ? stage.outputs[(size_t)s.output] : s.constant.bytes;
}

}  // namespace

// ---- finding and making stages ----

tern_status Stages::find(List& list, Stage* before, const Graph& graph, std::span<const Given> given,
                         const Parameters& parameters, const RunControl& control, Stage** found) {
  for (size_t i = 0; i < list.size(); ++i) {
    if (!made_for(*list[i], graph, given)) continue;
    list[i]->used = ++clock_;
    *found = list[i].get();
    return TERN_OK;
  }
  const uint64_t begin_ns = monotonic_ns();
  std::unique_ptr<Stage> fresh;
  TERN_TRY(create(before, graph, given, parameters, control, &fresh));
  fresh->used = ++clock_;
  list.push_back(std::move(fresh));
  *found = list.back().get();
  const bool dropped = make_room();
  if (options_.made) options_.made(options_.owner, options_.tag, **found, begin_ns, dropped);
  return TERN_OK;
}

namespace {

// The chain that was not used for longest, by its last stage; counts them all.
void oldest_chain(std::vector<std::unique_ptr<Stages::Stage>>& list, size_t* count,
                  std::vector<std::unique_ptr<Stages::Stage>>** of, size_t* index, uint64_t* used) {
  for (size_t i = 0; i < list.size(); ++i) {
    if (!list[i]->next.empty()) {
      oldest_chain(list[i]->next, count, of, index, used);
      continue;
    }
    ++*count;
    if (list[i]->used < *used) *used = list[i]->used, *of = &list, *index = i;
  }
}

}  // namespace

bool Stages::make_room() {
  for (bool dropped = false;; dropped = true) {
    size_t count = 0, index = 0;
    List* of = nullptr;
    uint64_t used = UINT64_MAX;
    oldest_chain(roots_, &count, &of, &index, &used);
    if (count <= std::max<size_t>(1, options_.max_plans) || used == clock_) return dropped;
    std::swap((*of)[index], of->back());
    if (std::find(latest_.begin(), latest_.end(), of->back().get()) != latest_.end()) latest_.clear();
    of->pop_back();
  }
}

tern_status Stages::create(Stage* before, const Graph& graph, std::span<const Given> given,
                           const Parameters& parameters, const RunControl& control, std::unique_ptr<Stage>* out) {
  TERN_TRY(check_control(control));
  auto s = std::make_unique<Stage>();
  Graph g;
  if (before) g.budget = graph.budget;  // one for all stages
  TERN_TRY(specialize_stage(graph, given, &g, &s->rest));
  for (size_t i = 0; before && i < g.inputs.size(); ++i) {
    const Rest::Input& in = before->rest.inputs[i];
    DType dtype = in.source.dtype;
    if (in.loop >= 0) {
      const Graph& body = before->loops[(size_t)in.loop]->node->subgraphs[0];
      dtype = body.value(body.outputs[1 + (size_t)in.result]).dtype;
    } else if (in.source.output >= 0) {
      const Graph& stage = before->executable->graph();
      const Value& v = stage.value(stage.outputs[(size_t)in.source.output]);
      TERN_TRY(check_given(v, in.source.dtype, in.source.shape));
    }
    TERN_TRY(check_given(g.value(g.inputs[i]), dtype, given[i].shape));
  }
  TERN_TRY(check_control(control));
  if (options_.keep) name_values(g);
  if (!options_.backends[0]->limits.as_written) {
    // Gradients came with the steps of composite operators: those of the forward pass are equal before either is fused.
    std::vector<NodePlacement> placements;
    const auto has_origin = [](const Node& n) { return *n.origin != 0; };
    if (std::any_of(g.nodes.begin(), g.nodes.end(), has_origin))
      TERN_TRY(place_nodes(g, options_.backends, options_.deterministic, &placements));
    TERN_TRY(optimize(g));
    for (const Backend* b : options_.backends)
      if (b->api->fuse) TERN_TRY(b->api->fuse(b->self, g));
  }
  const size_t own = g.outputs.size();
  s->planned = before ? before->planned : 0;
  const uint64_t most = std::min(max_bytes, model_->max_planned_bytes());
  if (options_.keep) TERN_TRY(keep_values(g, most, s.get()));
  const Executable::Options options{options_.backends,      most - std::min(most, s->planned),
                                    options_.deterministic, options_.profile,
                                    options_.arena_bytes,   control};
  TERN_TRY(Executable::create(std::move(g), *model_, parameters, options, &s->executable));
  const Executable::Memory m = s->executable->memory();
  s->planned += m.arena + m.scratch + m.prepared;
  const Graph& planned = s->executable->graph();
  const size_t made = s->rest.made.size();
  // Outputs of the whole graph get their memory at each run.
  uint64_t results = s->planned;
  for (size_t k = 0; k < made; ++k)
    if (!checked_add(results, value_bytes(planned.value(planned.outputs[k])), &results) || results > most)
      return TERN_FAIL(TERN_ERR_LIMIT, "the plan needs %" PRIu64 " bytes with its outputs, the limit is %" PRIu64,
                       results, most);
  // Outputs that what is left reads.
  for (size_t k = made; k < own; ++k) {
    const uint64_t bytes = value_bytes(planned.value(planned.outputs[k]));
    if (!checked_add(s->planned, bytes, &s->planned) || s->planned > most)
      return TERN_FAIL(TERN_ERR_LIMIT,
                       "the values between two stages of a plan need %" PRIu64
                       " bytes, the limit of the plan is %" PRIu64,
                       bytes, most);
    Block block;
    TERN_TRY(block.allocate(model_->context().allocator(), bytes));
    s->crossing.push_back(std::move(block));
  }
  s->outputs.resize(own + s->kept.size());
  for (const int32_t k : s->rest.made) s->results.push_back(before ? before->rest.left[(size_t)k] : k);
  if (before)  // what is left of what is left, in terms of the whole graph
    for (int32_t& k : s->rest.left) k = before->rest.left[(size_t)k];
  s->next_inputs.resize(s->rest.inputs.size());
  s->next_given.resize(s->rest.inputs.size());
  for (const Rest::Loop& loop : s->rest.loops) {
    Options inner = options_;
    inner.keep = false;
    inner.made = nullptr;
    inner.max_plans = kLoopPlans;
    s->loops.push_back(std::make_unique<Loop>(*model_, loop.node, inner));
    s->loops.back()->body.max_bytes = most - s->planned;
  }
  for (size_t i = 0; i < given.size(); ++i) {
    s->shapes.push_back(given[i].shape);
    const auto* bytes = (const unsigned char*)given[i].content;
    if (bytes) s->contents.insert(s->contents.end(), bytes, bytes + content_bytes(graph, i, given[i]));
  }
  *out = std::move(s);
  return TERN_OK;
}

// Makes what the nodes compute outputs of the plan.
tern_status Stages::keep_values(Graph& g, uint64_t most, Stage* s) {
  for (const Node& n : g.nodes)
    for (const ValueId v : n.out) {
      const Value& value = g.value(v);
      if (value.kind != ValueKind::node || !is_plain(value.encoding) || value.paged) continue;
      if (!checked_add(s->planned, value_bytes(value), &s->planned) || s->planned > most)
        return TERN_FAIL(TERN_ERR_LIMIT,
                         "what the nodes compute needs %" PRIu64 " bytes to be kept, the limit of the plan is %" PRIu64,
                         s->planned, most);
      g.outputs.push_back(v);
      s->kept.push_back({value.name, n.name, describe_op(n), {}});
      TERN_TRY(Tensor::create(model_->context(), value.dtype, value.shape, &s->kept.back().tensor));
    }
  return TERN_OK;
}

// ---- running ----

tern_status Stages::prepare(std::span<const Shape> shapes, const Parameters& parameters, const RunControl& control) {
  given_.clear();
  for (const Shape& shape : shapes) given_.push_back({shape, nullptr});
  Stage* s = nullptr;
  TERN_TRY(find(roots_, nullptr, *graph_, given_, parameters, control, &s));
  latest_.assign(1, s);
  return TERN_OK;
}

tern_status Stages::run(std::span<const Shape> shapes, std::span<const void* const> inputs, const OutputSink& sink,
                        Parameters& parameters, const Sequences& state, const RunControl& control) {
  kept_.clear();
  TERN_TRY(prepare(shapes, parameters, control));
  while (true) {
    Stage& s = *latest_.back();
    TERN_TRY(run_stage(s, inputs, sink, parameters, state, control));
    if (s.last()) break;
    if (latest_.size() == kMostStages)
      return TERN_FAIL(TERN_ERR_LIMIT, "sizes depend on data in more than %zu steps", kMostStages);
    TERN_TRY(pass_on(s, inputs, parameters, state, control));
    Stage* next = nullptr;
    TERN_TRY(find(s.next, &s, s.rest.graph, s.next_given, parameters, control, &next));
    if (latest_.empty()) return TERN_FAIL(TERN_ERR_INTERNAL, "a stage that runs was dropped");
    latest_.push_back(next);
    inputs = s.next_inputs;
  }
  if (options_.keep)
    for (const Stage* s : latest_) kept_.insert(kept_.end(), s->kept.begin(), s->kept.end());
  return TERN_OK;
}

tern_status Stages::run_stage(Stage& s, std::span<const void* const> inputs, const OutputSink& sink,
                              Parameters& parameters, const Sequences& state, const RunControl& control) {
  const Graph& g = s.executable->graph();
  for (size_t k = 0; k < s.results.size(); ++k)
    TERN_TRY(sink.take(sink.self, s.results[k], g.value(g.outputs[k]), &s.outputs[k]));
  for (size_t k = 0; k < s.crossing.size(); ++k) s.outputs[s.results.size() + k] = s.crossing[k].data();
  for (size_t i = 0; i < s.kept.size(); ++i) {
    Ref<Tensor>& t = s.kept[i].tensor;
    if (!t->unique()) TERN_TRY(Tensor::create(model_->context(), t->dtype(), t->shape(), &t));  // somebody holds it
    s.outputs[s.results.size() + s.crossing.size() + i] = t->data();
  }
  return s.executable->run(inputs, s.outputs, parameters, state, control);
}

// The inputs of the next stage, and what is known of them.
tern_status Stages::pass_on(Stage& s, std::span<const void* const> inputs, Parameters& parameters,
                            const Sequences& state, const RunControl& control) {
  for (auto& loop : s.loops) TERN_TRY(loop->run(s, inputs, parameters, state, control));
  for (size_t i = 0; i < s.rest.inputs.size(); ++i) {
    const Rest::Input& in = s.rest.inputs[i];
    if (in.loop >= 0) {
      const Loop& loop = *s.loops[(size_t)in.loop];
      const Loop::Result& r = loop.results[(size_t)in.result];
      const bool carried = in.result < loop.node->attrs<LoopAttrs>().num_carried;
      s.next_inputs[i] = r.block[carried ? loop.now : 0].data();
      s.next_given[i] = {r.shape[carried ? loop.now : 0], nullptr};
      continue;
    }
    s.next_inputs[i] = where(in.source, inputs, s);
    s.next_given[i] = {in.source.shape, in.sizes ? s.next_inputs[i] : nullptr};
  }
  return TERN_OK;
}

// ---- loops ----

uint64_t Stages::Loop::bytes() const {
  uint64_t sum = 0;
  for (const Result& r : results) sum += r.block[0].bytes() + r.block[1].bytes();
  return sum;
}

// Room for `bytes`, of which the first `used` stay.
tern_status Stages::Loop::reserve(Block& block, uint64_t wanted, uint64_t used) {
  if (block.data() && block.bytes() >= wanted) return TERN_OK;
  const uint64_t size = std::max(wanted, used ? 2 * block.bytes() : 0), held = bytes() - block.bytes();
  const uint64_t most = body.max_bytes;
  uint64_t total = 0;
  if (!checked_add(held, wanted, &total) || total > most)
    return TERN_FAIL(TERN_ERR_LIMIT,
                     "the values of a loop need %" PRIu64 " bytes, what the plan's limit leaves is %" PRIu64, total,
                     most);
  Block larger;
  TERN_TRY(larger.allocate(body.model_->context().allocator(), std::min(size, most - held)));
  if (used) std::memcpy(larger.data(), block.data(), (size_t)used);
  block = std::move(larger);
  return TERN_OK;
}

// Where an output of the body goes: the condition, the next carried values, one more row of the scanned ones.
tern_status Stages::Loop::take(int32_t output, const Value& value, void** data) {
  if (output == 0) {
    if (value.shape.elements() != 1)
      return TERN_FAIL(TERN_ERR_SHAPE, "loop: its condition is %s", to_string(value.shape).c_str());
    *data = &again;
    return TERN_OK;
  }
  Result& r = results[(size_t)output - 1];
  const uint64_t bytes = value_bytes(value);
  if (output <= node->attrs<LoopAttrs>().num_carried) {
    const int next = 1 - now;
    TERN_TRY(reserve(r.block[next], bytes, 0));
    r.shape[next] = value.shape;
    *data = r.block[next].data();
    return TERN_OK;
  }
  if (iteration == 0) {
    r.shape[0] = Shape{0};
    r.bytes = 0;
    if (value.shape.rank == kMaxRank)
      return TERN_FAIL(TERN_ERR_LIMIT, "loop: a scanned value of %d dims", value.shape.rank);
    for (const int64_t d : value.shape) r.shape[0].push(d);
  }
  bool same = value.shape.rank + 1 == r.shape[0].rank;
  for (int i = 0; i < value.shape.rank && same; ++i) same = value.shape[i] == r.shape[0][i + 1];
  if (!same)
    return TERN_FAIL(TERN_ERR_SHAPE,
                     "loop: scanned value %d is %s in iteration %" PRId64 ", but was of another shape before",
                     output - 1, to_string(value.shape).c_str(), iteration);
  uint64_t total = 0;
  if (!checked_add(r.bytes, bytes, &total)) return TERN_FAIL(TERN_ERR_LIMIT, "loop: a scanned value is too large");
  TERN_TRY(reserve(r.block[0], total, r.bytes));
  *data = (char*)r.block[0].data() + r.bytes;
  r.bytes = total;
  r.shape[0][0] = iteration + 1;
  return TERN_OK;
}

tern_status Stages::Loop::run(const Stage& s, std::span<const void* const> stage_inputs, Parameters& parameters,
                              const Sequences& state, const RunControl& control) {
  const std::vector<Source>* operands = nullptr;
  for (const Rest::Loop& l : s.rest.loops)
    if (&l.node == node) operands = &l.operands;
  const size_t carried = (size_t)node->attrs<LoopAttrs>().num_carried, count = node->subgraphs[0].inputs.size();
  // absent ones at the end are cut off
  const auto given = [&](size_t i) { return i < node->in.size() && node->in[i] != kNoValue; };
  const auto at = [&](size_t i) { return where((*operands)[i], stage_inputs, s); };
  const int64_t trips = given(0) ? *(const int64_t*)at(0) : INT64_MAX;
  again = given(1) ? *(const uint8_t*)at(1) : 1;
  now = 0;
  inputs.assign(count, nullptr);
  shapes.assign(count, Shape{});
  for (size_t i = 2; i < count; ++i) {
    inputs[i] = at(i);
    shapes[i] = (*operands)[i].shape;
    Value taken = node->subgraphs[0].value(node->subgraphs[0].inputs[i]);
    taken.shape = shapes[i];
    TERN_TRY(check_given(taken, (*operands)[i].dtype, shapes[i]));
  }
  for (size_t i = 0; i < carried; ++i) {
    Value v;
    v.dtype = (*operands)[2 + i].dtype;
    v.shape = shapes[2 + i];
    TERN_TRY(reserve(results[i].block[0], value_bytes(v), 0));
    std::memcpy(results[i].block[0].data(), inputs[2 + i], (size_t)value_bytes(v));
    results[i].shape[0] = v.shape;
  }
  uint8_t condition = again != 0;
  const OutputSink sink{this, [](void* self, int32_t output, const Value& value, void** data) {
                          return ((Loop*)self)->take(output, value, data);
                        }};
  for (iteration = 0; iteration < trips && again; ++iteration) {
    TERN_TRY(check_control(control));
    condition = again != 0;
    inputs[0] = &iteration;
    inputs[1] = &condition;
    for (size_t i = 0; i < carried; ++i) {
      inputs[2 + i] = results[i].block[now].data();
      shapes[2 + i] = results[i].shape[now];
    }
    TERN_TRY(body.run(shapes, inputs, sink, parameters, state, control));
    now = 1 - now;
  }
  if (iteration > 0 || results.size() == carried) return TERN_OK;
  // No row tells the shape of none: the samples do.
  Graph sample;
  TERN_TRY(specialize_samples(node->subgraphs[0], shapes, &sample));
  for (size_t i = carried; i < results.size(); ++i) {
    Result& r = results[i];
    r.shape[0] = Shape{0};
    for (const int64_t d : sample.value(sample.outputs[1 + i]).shape) r.shape[0].push(d);
    TERN_TRY(reserve(r.block[0], 0, 0));
  }
  return TERN_OK;
}

}  // namespace tern
