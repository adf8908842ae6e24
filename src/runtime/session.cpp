// SPDX-License-Identifier: Apache-2.0
#include "runtime/session.h"

#include <algorithm>
#include <cstdio>

#include "base/text.h"

#include "base/float_mode.h"

namespace tern {

tern_status Session::create(const Model& model, const Options& options, std::unique_ptr<Session>* out) {
  std::unique_ptr<Session> s(new Session(model, options));
  Context& context = model.context();
  std::string_view names = options.backends;
  bool cpu = false;
  while (!names.empty()) {
    const size_t comma = names.find(',');
    const std::string_view name = names.substr(0, comma);
    names = comma == std::string_view::npos ? std::string_view() : names.substr(comma + 1);
    const Backend* backend = nullptr;
    TERN_TRY(context.open_backend(name, &backend));
    if (std::find(s->backends_.begin(), s->backends_.end(), backend) != s->backends_.end()) continue;
    s->backends_.push_back(backend);
    cpu = backend->api == context.backend_tables()[0] || backend->limits.as_written;
    if (cpu) break;  // they run every node: nothing behind them would ever be asked
  }
  if (!cpu) {
    const Backend* backend = nullptr;
    TERN_TRY(context.open_backend(context.backend_tables()[0]->name, &backend));
    s->backends_.push_back(backend);
  }
  if (options.parameters && &options.parameters->model() != &model)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the parameters belong to another model");
  s->parameters_ = options.parameters ? options.parameters : Ref<Parameters>::adopt(new Parameters(model));
  if (options.state) TERN_TRY(s->set_state(*options.state));
  else TERN_TRY(State::create(model, &s->state_));
  s->signatures_.resize(model.def().signatures.size());
  for (size_t i = 0; i < s->signatures_.size(); ++i) {
    const Graph& g = model.def().signatures[i].graph;
    PerSignature& p = s->signatures_[i];
    p.bound_inputs.resize(g.inputs.size());
    p.bound_outputs.resize(g.outputs.size());
    p.pools.resize(g.outputs.size());
    p.inputs.resize(g.inputs.size());
    p.shapes.resize(g.inputs.size());
    p.tensors.resize(g.inputs.size());
    p.results.resize(g.outputs.size());
    Stages::Options plans{s->backends_, options.deterministic, options.profile, options.keep,
                          (size_t)std::max(1, options.max_plans)};
    plans.owner = s.get();
    plans.tag = (int32_t)i;
    plans.arena_bytes = options.arena_bytes;
    plans.made = [](void* self, int32_t signature, const Stages::Stage& plan, uint64_t begin_ns, bool dropped) {
      ((const Session*)self)->announce(signature, plan, begin_ns, dropped);
    };
    p.stages = std::make_unique<Stages>(model, g, plans);
    s->find_rows((int32_t)i);
  }
  if (options.profile) s->events_.reserve(100000);
  context.log(2, "session made: %zu signatures on %s", s->signatures_.size(), options.backends.c_str());
  *out = std::move(s);
  return TERN_OK;
}

tern_status Session::set_state(State& state) {
  if (&state.model() != model_.get()) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the state belongs to another model");
  state_ = Ref<State>::share(&state);
  return TERN_OK;
}

tern_status Session::check_signature(int32_t signature) const {
  if (signature >= 0 && (size_t)signature < signatures_.size()) return TERN_OK;
  return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "signature %d: the model has %zu", signature, signatures_.size());
}

tern_status Session::check_inputs(int32_t signature, std::span<const Tensor* const> inputs) const {
  const Signature& sig = model_->def().signatures[(size_t)signature];
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value& v = sig.graph.value(sig.graph.inputs[i]);
    if ((int32_t)i == sig.position_input || (int32_t)i == sig.sequence_input) continue;
    if (!inputs[i]) return TERN_FAIL(TERN_ERR_STATE, "input '%s' is neither given nor bound", v.name.c_str());
    const Tensor& t = *inputs[i];
    if (t.dtype() != v.dtype)
      return TERN_FAIL(TERN_ERR_TYPE, "input '%s' takes %s, the tensor is %s", v.name.c_str(), dtype_name(v.dtype),
                       dtype_name(t.dtype()));
    if (t.shape().rank != v.shape.rank)
      return TERN_FAIL(TERN_ERR_SHAPE, "input '%s' takes %d dims like %s, the tensor is %s", v.name.c_str(),
                       v.shape.rank, to_string(v.shape).c_str(), to_string(t.shape()).c_str());
    for (int a = 0; a < v.shape.rank; ++a) {
      const SymbolicDim* dim = nullptr;
      for (const SymbolicDim& d : sig.symbolic_dims)
        if (d.input == (int32_t)i && d.axis == a) dim = &d;
      const int64_t size = t.shape()[a];
      if (!dim) {
        if (size != v.shape[a])
          return TERN_FAIL(TERN_ERR_SHAPE, "input '%s' takes %s, the tensor is %s", v.name.c_str(),
                           to_string(v.shape).c_str(), to_string(t.shape()).c_str());
        continue;
      }
      const Symbol& s = sig.symbols[(size_t)dim->symbol];
      if (size < s.min || size > s.max || size % s.multiple)
        return TERN_FAIL(TERN_ERR_SHAPE,
                         "input '%s': dim %d is %" PRId64 ", allowed is %" PRId64 " to %" PRId64
                         " in steps of %" PRId64,
                         v.name.c_str(), a, size, s.min, s.max, s.multiple);
      for (const SymbolicDim& d : sig.symbolic_dims) {
        if (d.symbol != dim->symbol || (size_t)d.input >= inputs.size() || !inputs[(size_t)d.input] ||
            d.axis >= inputs[(size_t)d.input]->shape().rank)
          continue;
        if (inputs[(size_t)d.input]->shape()[d.axis] != size)
          return TERN_FAIL(TERN_ERR_SHAPE, "input '%s': dim %d is %" PRId64 ", but '%s' is %" PRId64 " elsewhere",
                           v.name.c_str(), a, size, s.name.c_str(), inputs[(size_t)d.input]->shape()[d.axis]);
      }
    }
  }
  return TERN_OK;
}

std::span<const Session::Intermediate> Session::intermediates(int32_t signature) const {
  if (check_signature(signature) != TERN_OK) return {};
  return signatures_[(size_t)signature].stages->intermediates();
}

tern_status Session::take_output(int32_t signature, int32_t k, const Value& value, Ref<Tensor>* tensor) {
  PerSignature& per = signatures_[(size_t)signature];
  uint64_t bytes;
  TERN_TRY(tensor_bytes(value.dtype, value.shape, &bytes));
  if (bytes != value_bytes(value))
    return TERN_FAIL(TERN_ERR_INTERNAL, "output '%s': the plan gives %" PRIu64 " bytes, a tensor has %" PRIu64,
                     value.name.c_str(), value_bytes(value), bytes);
  const bool cut = per.rows.outputs[(size_t)k] && per.rows.given != per.rows.planned;
  if (per.bound_outputs[(size_t)k]) {
    const Tensor& t = *per.bound_outputs[(size_t)k];
    Shape shape = value.shape;
    if (cut) shape[0] = per.rows.given;
    if (!(t.shape() == shape) || t.dtype() != value.dtype)
      return TERN_FAIL(TERN_ERR_SHAPE, "output '%s' is %s%s, the bound tensor %s%s",
                       model_->def().signatures[(size_t)signature].output_names[(size_t)k].c_str(),
                       dtype_name(value.dtype), to_string(shape).c_str(), dtype_name(t.dtype()),
                       to_string(t.shape()).c_str());
    if (!cut) return *tensor = per.bound_outputs[(size_t)k], TERN_OK;
  }
  // The one used last stands last.
  std::vector<Ref<Tensor>>& pool = per.pools[(size_t)k].tensors;
  const auto free_one = [&](auto&& fits) {
    return std::find_if(pool.begin(), pool.end(), [&](const Ref<Tensor>& t) { return t->unique() && fits(*t); });
  };
  const auto same = free_one([&](const Tensor& t) { return t.shape() == value.shape && t.dtype() == value.dtype; });
  if (same != pool.end()) {
    std::rotate(same, same + 1, pool.end());
    *tensor = pool.back();
    return TERN_OK;
  }
  Ref<Tensor> fresh;
  TERN_TRY(Tensor::create(model_->context(), value.dtype, value.shape, &fresh));
  // As many shapes as plans. Then one of another shape that nobody holds makes room; those still held stay their
  // holders'.
  if (pool.size() >= (size_t)std::max(1, options_.max_plans)) {
    const auto other = free_one([](const Tensor&) { return true; });
    if (other != pool.end()) pool.erase(other);
  }
  if (pool.size() < (size_t)std::max(4, options_.max_plans)) pool.push_back(fresh);
  *tensor = std::move(fresh);
  return TERN_OK;
}

void Session::record(int32_t signature) {
  int32_t stage = 0;
  for (const Stages::Stage* s : signatures_[(size_t)signature].stages->latest()) {
    for (const Executable::TraceEvent& e : s->executable->last_trace())
      if (events_.size() < events_.capacity()) events_.push_back({signature, stage, e.node, e.begin_ns, e.end_ns});
    ++stage;
  }
}

// From per.tensors, which are checked.
tern_status Session::read_inputs(int32_t signature) {
  PerSignature& per = signatures_[(size_t)signature];
  TERN_TRY(check_inputs(signature, per.tensors));
  for (size_t i = 0; i < per.tensors.size(); ++i) {
    per.shapes[i] = per.tensors[i] ? per.tensors[i]->shape() : Shape{};
    per.inputs[i] = per.tensors[i] ? per.tensors[i]->data() : nullptr;
  }
  return TERN_OK;
}

// per.shapes and per.inputs are set. Outputs: those bound, or into per.results.
tern_status Session::execute(int32_t signature, bool bound, const RunControl& control) {
  PerSignature& per = signatures_[(size_t)signature];
  if (per.rows.symbol >= 0) {
    State* const one = state_.get();
    return execute_rows(signature, bound, {&one, 1}, {}, control);
  }
  const Signature& sig = model_->def().signatures[(size_t)signature];
  if (sig.position_input >= 0) {
    per.position = state_->length();
    if (per.position + sig.advance > sig.capacity)
      return TERN_FAIL(TERN_ERR_LIMIT,
                       "the state holds %" PRId64 " of %" PRId64 " positions; a run of '%s' needs %" PRId64 " more",
                       per.position, sig.capacity, sig.name.c_str(), sig.advance);
    per.inputs[(size_t)sig.position_input] = &per.position;
    TERN_TRY(state_->reserve(per.position + sig.advance));
  }
  TERN_TRY(execute(signature, bound, *state_, control));
  if (sig.position_input >= 0) state_->set_length(per.position + sig.advance);
  return TERN_OK;
}

tern_status Session::execute(int32_t signature, bool bound, const Sequences& states, const RunControl& control) {
  PerSignature& per = signatures_[(size_t)signature];
  struct Taker {
    Session& session;
    int32_t signature;
    bool bound;
  } taker{*this, signature, bound};
  const OutputSink sink{
      &taker, [](void* self, int32_t k, const Value& value, void** data) -> tern_status {
        const Taker& t = *(const Taker*)self;
        PerSignature& per = t.session.signatures_[(size_t)t.signature];
        if (t.bound && !per.bound_outputs[(size_t)k])
          return TERN_FAIL(TERN_ERR_STATE, "output '%s' is not bound",
                           t.session.model_->def().signatures[(size_t)t.signature].output_names[(size_t)k].c_str());
        TERN_TRY(t.session.take_output(t.signature, k, value, &per.results[(size_t)k]));
        *data = per.results[(size_t)k]->data();
        return TERN_OK;
      }};
  const ThreadPool::Awake awake(model_->context().pool());
  TERN_TRY(per.stages->run(per.shapes, per.inputs, sink, *parameters_, states, control));
  if (options_.profile) record(signature);
  return TERN_OK;
}

tern_status Session::check_given(int32_t signature, size_t inputs, size_t outputs) const {
  TERN_TRY(check_signature(signature));
  const Signature& sig = model_->def().signatures[(size_t)signature];
  if (inputs != sig.graph.inputs.size())
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "'%s' takes %zu inputs, %zu were given", sig.name.c_str(),
                     sig.graph.inputs.size(), inputs);
  if (outputs != sig.graph.outputs.size())
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "'%s' has %zu outputs, room for %zu was given", sig.name.c_str(),
                     sig.graph.outputs.size(), outputs);
  return TERN_OK;
}

tern_status Session::run(int32_t signature, std::span<const Tensor* const> inputs, std::span<const Tensor*> outputs,
                         const RunControl& control) {
  TERN_TRY(check_given(signature, inputs.size(), outputs.size()));
  return run_given(signature, inputs, outputs, {}, {}, control);
}

tern_status Session::run_given(int32_t signature, std::span<const Tensor* const> inputs,
                               std::span<const Tensor*> outputs, std::span<State* const> states,
                               std::span<const int64_t> counts, const RunControl& control) {
  const FloatMode mode(model_->context().pool().keep_denormals());
  PerSignature& per = signatures_[(size_t)signature];
  for (size_t i = 0; i < inputs.size(); ++i) per.tensors[i] = inputs[i] ? inputs[i] : per.bound_inputs[i].get();
  per.bound_ready = false;
  TERN_TRY(read_inputs(signature));
  const tern_status status = name_inputs(
      signature, per.shapes,
      states.empty() ? execute(signature, false, control) : execute_rows(signature, false, states, counts, control));
  for (size_t k = 0; k < outputs.size(); ++k) {
    if (status == TERN_OK) outputs[k] = per.results[k].detach();
    else per.results[k] = {};
  }
  return status;
}

tern_status Session::run_bound(int32_t signature, const RunControl& control) {
  const FloatMode mode(model_->context().pool().keep_denormals());
  TERN_TRY(check_signature(signature));
  PerSignature& per = signatures_[(size_t)signature];
  if (!per.bound_ready) {
    for (size_t i = 0; i < per.tensors.size(); ++i) per.tensors[i] = per.bound_inputs[i].get();
    TERN_TRY(read_inputs(signature));
    per.bound_ready = true;
  }
  const tern_status status = name_inputs(signature, per.shapes, execute(signature, true, control));
  for (Ref<Tensor>& t : per.results) t = {};
  return status;
}

tern_status Session::bind_input(int32_t signature, int32_t index, const Tensor* tensor) {
  TERN_TRY(check_signature(signature));
  PerSignature& per = signatures_[(size_t)signature];
  if (index < 0 || (size_t)index >= per.bound_inputs.size())
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "input %d: the signature has %zu", index, per.bound_inputs.size());
  per.bound_inputs[(size_t)index] = Ref<const Tensor>::share(tensor);
  per.bound_ready = false;
  return TERN_OK;
}

tern_status Session::bind_output(int32_t signature, int32_t index, Tensor* tensor) {
  TERN_TRY(check_signature(signature));
  PerSignature& per = signatures_[(size_t)signature];
  if (index < 0 || (size_t)index >= per.bound_outputs.size())
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "output %d: the signature has %zu", index, per.bound_outputs.size());
  per.bound_outputs[(size_t)index] = Ref<Tensor>::share(tensor);
  per.bound_ready = false;
  return TERN_OK;
}

tern_status Session::prepare(int32_t signature, std::span<const Shape> shapes, const RunControl& control) {
  const FloatMode mode(model_->context().pool().keep_denormals());
  TERN_TRY(check_signature(signature));
  const PerSignature& per = signatures_[(size_t)signature];
  std::vector<Shape> planned(shapes.begin(), shapes.end());
  for (size_t i = 0; i < planned.size() && i < per.rows.inputs.size(); ++i)
    if (per.rows.inputs[i] && planned[i].rank > 0) planned[i][0] = planned_rows(signature, planned[i][0]);
  return name_inputs(signature, shapes, per.stages->prepare(planned, *parameters_, control));
}

tern_status Session::name_inputs(int32_t signature, std::span<const Shape> shapes, tern_status status) const {
  if (status != TERN_ERR_SHAPE) return status;
  const Graph& g = model_->def().signatures[(size_t)signature].graph;
  std::string list;
  bool pictures = false;
  for (size_t i = 0; i < g.inputs.size() && i < shapes.size(); ++i) pictures = pictures || shapes[i].rank > 2;
  for (size_t i = 0; i < g.inputs.size() && i < shapes.size(); ++i)
    if (g.value(g.inputs[i]).kind == ValueKind::input)
      list += (list.empty() ? "'" : ", '") + g.value(g.inputs[i]).name + "' " + to_string(shapes[i]);
  if (!list.empty())
    add_to_error("; given: %s%s", list.c_str(), pictures ? " (inside, pictures have their channels last)" : "");
  return status;
}

namespace {

void collect(const Executable& e, std::vector<Session::Placement>* out) {
  size_t child = 0;
  for (size_t i = 0; i < e.graph().nodes.size(); ++i) {
    const Node& n = e.graph().nodes[i];
    const NodePlacement& p = e.placements()[i];
    std::string name = n.name;
    if (name.empty())
      for (const ValueId v : n.out)
        if (name.empty()) name = e.graph().value(v).name;
    out->push_back({p.as, std::move(name), describe_op(n), p.backend < 0 ? "host" : e.backend_name(p.backend), n.origin,
                    p.reason, e.profile()[i].total_ns});
    for (size_t k = 0; p.as == PlacedAs::control && k < n.subgraphs.size(); ++k) collect(*e.children()[child++], out);
  }
}

}  // namespace

namespace {

// "a, b": each name once.
void add_once(std::string* list, const std::string& name) {
  const std::string with = ", " + *list + ", ";
  if (with.find(", " + name + ", ") == std::string::npos) *list += (list->empty() ? "" : ", ") + name;
}

// Nodes that could have been computed when the plan was made.
void count_constant(const Executable& e, size_t* count, std::string* ops) {
  const Graph& g = e.graph();
  for (const Node& n : g.nodes) {
    const auto varies = [&](ValueId v) { return v != kNoValue && g.value(v).kind != ValueKind::constant; };
    if (n.in.empty() || !n.subgraphs.empty() || (n.op->flags & kWritesState) ||
        std::any_of(n.in.begin(), n.in.end(), varies))
      continue;
    ++*count;
    add_once(ops, n.op->name);
  }
  for (const auto& child : e.children()) count_constant(*child, count, ops);
}

}  // namespace

void Session::announce(int32_t signature, const Stages::Stage& plan, uint64_t begin_ns, bool dropped) const {
  Context& context = model_->context();
  if (!context.logs(1)) return;
  const char* const name = model_->def().signatures[(size_t)signature].name.c_str();
  if (dropped)
    context.log(1,
                "'%s': %d plans for other shapes are kept, the least used is dropped and will be made again when it is "
                "needed (tern_session_options.max_plans)",
                name, std::max(1, options_.max_plans));
  std::vector<Placement> nodes;
  collect(*plan.executable, &nodes);
  std::string shapes;
  for (const Shape& s : plan.shapes) shapes += to_string(s);
  const Executable::Memory m = plan.executable->memory();
  context.log(2, "'%s': plan for inputs %s made in %.1f ms: %zu nodes, %.1f MiB", name,
              shapes.empty() ? "(none)" : shapes.c_str(), (double)(monotonic_ns() - begin_ns) * 1e-6, nodes.size(),
              (double)(m.arena + m.scratch + m.prepared) / (1 << 20));
  if (backends_[0]->limits.as_written) return;
  size_t slow = 0, ahead = 0;
  std::string slow_ops, ahead_ops;
  for (const Placement& p : nodes) {
    const bool has_reason = p.reason && p.reason[0];
    if (has_reason) {
      const char* const how = p.as == PlacedAs::reference    ? "in plain loops "
                              : p.as == PlacedAs::decomposed ? "as a part of what it was split into "
                                                             : "";
      context.log(3, "'%s': %s runs %son '%s': %s", p.node.c_str(), p.op.c_str(), how, p.backend, p.reason);
    }
    if (p.as == PlacedAs::reference) ++slow, add_once(&slow_ops, has_reason ? p.op + " (" + p.reason + ")" : p.op);
  }
  count_constant(*plan.executable, &ahead, &ahead_ops);
  if (slow)
    context.log(1, "'%s': %zu of %zu nodes run in plain loops, which are slow: %s", name, slow, nodes.size(),
                slow_ops.c_str());
  if (ahead)
    context.log(1,
                "'%s': %zu nodes follow from constants alone, but are computed at every run, as the limit of what is "
                "computed ahead is reached: %s",
                name, ahead, ahead_ops.c_str());
}

std::vector<Session::Placement> Session::placements(int32_t signature) const {
  std::vector<Placement> out;
  if (check_signature(signature) != TERN_OK) return out;
  for (const Stages::Stage* s : signatures_[(size_t)signature].stages->latest()) {
    collect(*s->executable, &out);
    for (const auto& loop : s->loops) {
      out.push_back({PlacedAs::control, loop->node->name, describe_op(*loop->node), "host", loop->node->origin,
                     "its sizes depend on data", 0});
      for (const Stages::Stage* inner : loop->body.latest()) collect(*inner->executable, &out);
    }
  }
  return out;
}

Session::Memory Session::memory() const {
  Memory m;
  std::vector<const Derived*> shared;  // each counts once
  for (const PerSignature& per : signatures_) {
    per.stages->for_each([&](const Stages::Stage& s) {
      Executable::Memory plan = s.executable->memory();
      for (const Block& block : s.crossing) plan.arena += block.bytes();
      for (const auto& loop : s.loops) plan.arena += loop->bytes();
      if (plan.arena + plan.scratch + plan.prepared >= m.plan.arena + m.plan.scratch + m.plan.prepared) m.plan = plan;
      ++m.plans;
      m.all_plans += plan.arena + plan.scratch + plan.prepared;
      s.executable->for_each_derived([&](const Derived& d) {
        if (std::find(shared.begin(), shared.end(), &d) != shared.end()) m.all_plans -= d.bytes();
        else shared.push_back(&d);
      });
      for (const Intermediate& k : s.kept) m.outputs += k.tensor->bytes();
    });
    for (const Pool& pool : per.pools)
      for (const Ref<Tensor>& t : pool.tensors) m.outputs += t->bytes();
  }
  for (size_t i = 0; i < model_->def().parameters.size(); ++i)
    if (!parameters_->changed((int32_t)i)) m.mapped += model_->def().parameters[i].bytes;
  m.state = state_->bytes();
  m.overlay = parameters_->overlay_bytes();
  return m;
}

tern_status Session::write_profile(const char* path) const {
  if (!options_.profile) return TERN_FAIL(TERN_ERR_STATE, "the session was made without TERN_SESSION_PROFILE");
  std::FILE* f = std::fopen(path, "w");
  if (!f) return TERN_FAIL(TERN_ERR_IO, "cannot write '%s'", path);
  const uint64_t zero = events_.empty() ? 0 : events_[0].begin_ns;
  std::fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[", f);
  bool first = true;
  for (const Event& e : events_) {
    const PerSignature& per = signatures_[(size_t)e.signature];
    const std::span<Stages::Stage* const> latest = per.stages->latest();
    if ((size_t)e.stage >= latest.size() || (size_t)e.node >= latest[(size_t)e.stage]->executable->graph().nodes.size())
      continue;
    const Executable& x = *latest[(size_t)e.stage]->executable;
    const Node& n = x.graph().nodes[(size_t)e.node];
    const NodePlacement& p = x.placements()[(size_t)e.node];
    std::string name;  // only what JSON takes as it is
    for (const char c : n.name.empty() && !n.out.empty() ? x.graph().value(n.out[0]).name : n.name)
      if (c >= ' ' && c != '"' && c != '\\' && (unsigned char)c < 127) name += c;
    std::fprintf(f,
                 "%s\n{\"name\":\"%s\",\"cat\":\"%s\",\"ph\":\"X\",\"ts\":%.3f,\"dur\":%.3f,\"pid\":1,\"tid\":1,"
                 "\"args\":{\"node\":\"%s\",\"output\":\"%s\"}}",
                 first ? "" : ",", describe_op(n).c_str(), p.backend < 0 ? "host" : x.backend_name(p.backend),
                 (double)(e.begin_ns - zero) * 1e-3, (double)(e.end_ns - e.begin_ns) * 1e-3, name.c_str(),
                 n.out.empty() ? "" : to_string(x.graph().value(n.out[0]).shape).c_str());
    first = false;
  }
  std::fputs("\n]}\n", f);
  const bool bad = std::ferror(f) != 0;
  if (std::fclose(f) != 0 || bad) return TERN_FAIL(TERN_ERR_IO, "writing '%s' failed", path);
  return TERN_OK;
}

}  // namespace tern
