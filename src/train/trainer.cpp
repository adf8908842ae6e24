// SPDX-License-Identifier: Apache-2.0
#include "train/trainer.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "format/writer.h"
#include "train/parameter_file.h"

namespace tern {
namespace {

constexpr char kState[] = "state/", kFormat[] = "tern.checkpoint", kSteps[] = "tern.checkpoint.steps",
               kSkipped[] = "tern.checkpoint.skipped", kSeed[] = "tern.checkpoint.seed",
               kMore[] = "tern.checkpoint.more";

bool is_own(const Value& v) { return v.kind == ValueKind::scalar && (v.name == "step" || v.name == "seed"); }

// The number of a metadata entry.
tern_status read_count(const ModelDef& def, const char* key, const char* path, int64_t least, int64_t* out) {
  const std::string* text = find_metadata(def, key);
  char* end = nullptr;
  const long long v = text ? std::strtoll(text->c_str(), &end, 10) : 0;
  if (!text || text->empty() || *end || v < least)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: the checkpoint's '%s' is missing or no number", path, key);
  *out = v;
  return TERN_OK;
}

}  // namespace

tern_status Trainer::create(const Model& model, const Options& options, std::unique_ptr<Trainer>* out) {
  std::unique_ptr<Trainer> t(new Trainer(model, options));
  const ModelDef& def = model.def();
  for (size_t i = 0; i < def.signatures.size(); ++i)
    if (def.signatures[i].name == options.step) t->signature_ = (int32_t)i;
  if (t->signature_ < 0)
    return TERN_FAIL(TERN_ERR_NOT_FOUND, "the model has no signature '%s': it is composed with tern_graph",
                     options.step.c_str());
  const Signature& sig = def.signatures[(size_t)t->signature_];
  bool writes = false;
  for_each_graph(sig.graph, [&](const Graph& g) {
    for (const Node& n : g.nodes) writes = writes || (n.op->flags & kWritesState);
  });
  if (!writes)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "the signature '%s' writes nothing, so it trains nothing: an update or "
                     "tern_graph_write is missing",
                     sig.name.c_str());
  for (size_t i = 0; i < sig.graph.inputs.size(); ++i)
    if (!is_own(sig.graph.value(sig.graph.inputs[i]))) t->given_.push_back((int32_t)i);
  for (size_t k = 0; k < sig.graph.outputs.size(); ++k) {
    const Value& v = sig.graph.value(sig.graph.outputs[k]);
    if (v.shape.elements() == 1) t->metrics_.push_back({sig.output_names[k].c_str(), 0});
  }
  TERN_TRY(Tensor::create(model.context(), TERN_DTYPE_I64, Shape{}, &t->step_scalar_));
  TERN_TRY(Tensor::create(model.context(), TERN_DTYPE_I64, Shape{}, &t->seed_scalar_));
  *(int64_t*)t->seed_scalar_->data() = options.seed;
  TERN_TRY(t->plan());
  *out = std::move(t);
  return TERN_OK;
}

// The plan of the step within the budget, of which what is learnt and the states have their part.
tern_status Trainer::plan() {
  const ModelDef& def = model_->def();
  const Graph& g = def.signatures[(size_t)signature_].graph;
  for (const Node& n : g.nodes)
    for (size_t k = 0; k < num_written(n); ++k)
      if (const Value& v = g.value(n.in[k]); v.kind == ValueKind::parameter)
        memory_.parameters += def.parameters[(size_t)v.index].bytes;
  for (const StateDecl& s : def.states) {
    uint64_t bytes = 0;
    if (!s.paged) TERN_TRY(encoded_bytes(s.encoding, s.dtype, s.shape, &bytes));
    memory_.states += bytes;
  }
  for (const ValueId v : g.outputs) memory_.work += value_bytes(g.value(v));
  const uint64_t fixed = memory_.peak();
  if (fixed >= options_.budget)
    return TERN_FAIL(TERN_ERR_LIMIT,
                     "the budget is %" PRIu64 " bytes; what is learnt takes %" PRIu64
                     " and the states of the update "
                     "rule %" PRIu64 ": train fewer parameters (an adapter), or a rule with smaller states",
                     options_.budget, memory_.parameters, memory_.states);
  std::vector<Shape> shapes;
  for (const ValueId v : g.inputs) shapes.push_back(g.value(v).shape);
  const uint64_t outputs = memory_.work;
  for (int attempt = 0; attempt < 3; ++attempt) {  // work space is known behind the first one
    TERN_TRY(open({}, {}));
    TERN_TRY(session_->prepare(signature_, shapes));
    const Executable::Memory m = session_->memory().plan;
    memory_.activations = m.arena;
    memory_.work = outputs + m.scratch + m.prepared;
    memory_.without_budget = std::max(m.without_budget, m.arena);
    memory_.again = m.again;
    if (memory_.peak() <= options_.budget) return TERN_OK;
  }
  return TERN_FAIL(TERN_ERR_LIMIT,
                   "the budget is %" PRIu64
                   " bytes; with work space and copies of weights the step takes "
                   "%" PRIu64 ": allow these",
                   options_.budget, memory_.peak());
}

tern_status Trainer::open(const Ref<Parameters>& parameters, const Ref<State>& state) {
  Session::Options o;
  o.backends = options_.backends;
  o.parameters = parameters;
  o.state = state;
  o.deterministic = true;
  if (options_.budget != UINT64_MAX)
    o.arena_bytes = options_.budget - std::min(options_.budget, memory_.parameters + memory_.states + memory_.work);
  std::unique_ptr<Session> session;
  TERN_TRY(Session::create(*model_, o, &session));
  session_ = std::move(session);
  return TERN_OK;
}

tern_status Trainer::gather(int32_t signature, std::span<const Tensor* const> inputs,
                            std::vector<const Tensor*>* all) const {
  const Graph& g = model_->def().signatures[(size_t)signature].graph;
  size_t taken = 0, wanted = 0;
  for (const ValueId id : g.inputs) {
    const Value& v = g.value(id);
    if (is_own(v)) {
      all->push_back(v.name == "step" ? step_scalar_.get() : seed_scalar_.get());
      continue;
    }
    ++wanted;
    if (taken < inputs.size()) all->push_back(inputs[taken++]);
  }
  if (wanted != inputs.size())
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "'%s' takes %zu inputs, %zu are given",
                     model_->def().signatures[(size_t)signature].name.c_str(), wanted, inputs.size());
  return TERN_OK;
}

tern_status Trainer::step(std::span<const Tensor* const> inputs, const RunControl& control) {
  std::vector<const Tensor*> all;
  *(int64_t*)step_scalar_->data() = steps_ + 1;
  TERN_TRY(gather(signature_, inputs, &all));
  const Signature& sig = model_->def().signatures[(size_t)signature_];
  std::vector<const Tensor*> outputs(sig.graph.outputs.size(), nullptr);
  const tern_status status = session_->run(signature_, all, outputs, control);
  if (status == TERN_ERR_NOT_FINITE) {
    add_to_error(" (step %" PRId64 "; nothing was changed)", steps_ + 1);
    if (!options_.skip_not_finite) return status;
    ++skipped_, ++steps_;
    return TERN_OK;
  }
  TERN_TRY(status);
  size_t m = 0;
  for (const Tensor* t : outputs) {
    if (t->shape().elements() == 1) metrics_[m++].value = load_element(t->dtype(), t->data(), 0);
    t->release();
  }
  ++steps_;
  return TERN_OK;
}

tern_status Trainer::run(int32_t signature, std::span<const Tensor* const> inputs, std::span<const Tensor*> outputs,
                         const RunControl& control) {
  if (signature < 0 || (size_t)signature >= model_->def().signatures.size())
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "signature %" PRId32 ": the model has %zu", signature,
                     model_->def().signatures.size());
  std::vector<const Tensor*> all;
  *(int64_t*)step_scalar_->data() = steps_ + 1;
  TERN_TRY(gather(signature, inputs, &all));
  return session_->run(signature, all, outputs, control);
}

// ---- files ----

tern_status Trainer::save(const char* path, std::string_view more) const {
  const State& state = session_->state();
  TERN_TRY(state.intact());
  ModelDef file;
  const void* bytes = nullptr;
  TERN_TRY(add_changed(
      session_->parameters(), [](const std::string&) { return true; }, &file));
  for (size_t i = 0; i < model_->def().states.size(); ++i) {
    const StateDecl& s = model_->def().states[i];
    if (s.paged) continue;  // of sequences, which are not trained
    Parameter p;
    p.name = kState + s.name, p.dtype = s.dtype, p.encoding = s.encoding, p.shape = s.shape;
    TERN_TRY(encoded_bytes(s.encoding, s.dtype, s.shape, &p.bytes));
    TERN_TRY(state.item((int32_t)i)->read(&bytes));
    p.data = {bytes, nullptr};
    file.parameters.push_back(std::move(p));
  }
  file.metadata = {{kFormat, "1"},
                   {kSteps, std::to_string(steps_)},
                   {kSkipped, std::to_string(skipped_)},
                   {kSeed, std::to_string(options_.seed)}};
  if (!more.empty()) file.metadata.push_back({kMore, std::string(more)});
  return write_model(file, path);
}

tern_status Trainer::load(const char* path, std::string* more) {
  ModelDef def;
  TERN_TRY(read_parameter_file(path, kFormat, "checkpoint of a trainer", &def));
  int64_t steps = 0, skipped = 0, seed = 0;
  TERN_TRY(read_count(def, kSteps, path, 0, &steps));
  TERN_TRY(read_count(def, kSkipped, path, 0, &skipped));
  TERN_TRY(read_count(def, kSeed, path, INT64_MIN, &seed));

  const ModelDef& own = model_->def();
  Ref<Parameters> parameters = Ref<Parameters>::adopt(new Parameters(*model_));
  Ref<State> state;
  TERN_TRY(State::create(*model_, &state));
  size_t states = 0;
  for (const Parameter& p : def.parameters) {
    if (!p.name.starts_with(kState)) {
      TERN_TRY(take_parameter(p, path, *parameters));
      continue;
    }
    const std::string name = p.name.substr(sizeof kState - 1);
    int32_t i = -1;
    const bool known = find_state(own, name, &i) == TERN_OK && !own.states[(size_t)i].paged;
    const StateDecl s = known ? own.states[(size_t)i] : StateDecl{};
    if (!known || s.dtype != p.dtype || s.encoding != p.encoding || !(s.shape == p.shape))
      return TERN_FAIL(TERN_ERR_SHAPE, "%s belongs to another model: this one has no state '%s' of type %s%s", path,
                       name.c_str(), dtype_name(p.dtype), to_string(p.shape).c_str());
    TERN_TRY(state->item(i)->reserve());
    if (p.bytes) std::memcpy(state->item(i)->overwrite(), p.data.bytes, (size_t)p.bytes);
    ++states;
  }
  if (states !=
      (size_t)std::count_if(own.states.begin(), own.states.end(), [](const StateDecl& s) { return !s.paged; }))
    return TERN_FAIL(TERN_ERR_SHAPE, "%s belongs to another model: it has %zu states", path, states);
  parameters->touch();
  TERN_TRY(open(parameters, state));
  steps_ = steps, skipped_ = skipped, options_.seed = seed;
  *(int64_t*)seed_scalar_->data() = seed;
  const std::string* found = find_metadata(def, kMore);
  if (more) *more = found ? *found : std::string();
  return TERN_OK;
}

tern_status Trainer::export_model(const Model& model, std::string_view set, const char* path) const {
  const Parameters& parameters = session_->parameters();
  TERN_TRY(parameters.intact());
  ModelDef def = model.def();
  size_t found = 0;
  for (Parameter& p : def.parameters) {
    const std::string name = set.empty() ? p.name : std::string(set) + "/" + p.name;
    int32_t i = -1;
    if (find_parameter(model_->def(), name, &i) != TERN_OK) continue;
    const Parameter& own = model_->def().parameters[(size_t)i];
    if (own.dtype != p.dtype || own.encoding != p.encoding || !(own.shape == p.shape))
      return TERN_FAIL(TERN_ERR_SHAPE, "parameter '%s' of the model has another type or shape than '%s' of the trainer",
                       p.name.c_str(), name.c_str());
    const void* bytes = nullptr;
    TERN_TRY(parameters.item(i)->read(&bytes));
    p.data = {bytes, nullptr};
    ++found;
  }
  if (!found)
    return TERN_FAIL(TERN_ERR_NOT_FOUND, "no parameter of the model is trained here in the set '%.*s'", (int)set.size(),
                     set.data());
  return write_model(def, path);
}

}  // namespace tern
