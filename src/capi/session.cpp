// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <deque>

#include "base/checked.h"
#include "capi/handle.h"

using namespace tern;
using namespace tern::capi;

namespace {

constexpr size_t kFirstMemoryReport = offsetof(tern_memory_report, plan_bytes);
constexpr int32_t kDefaultPlans = 8, kMaxPlans = 1024;

tern_status read_session_options(const tern_session_options* given, Session::Options* out) {
  tern_session_options o = TERN_SESSION_OPTIONS_INIT;
  TERN_TRY(read_options(given, &o, "tern_session_options"));
  TERN_TRY(check_flags(o.flags, TERN_SESSION_DETERMINISTIC | TERN_SESSION_PROFILE | TERN_SESSION_KEEP_INTERMEDIATES,
                       "tern_session_options"));
  if (o.max_plans < 0 || o.max_plans > kMaxPlans)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "max_plans is %d, allowed is 0 (the default, %d) to %d", o.max_plans,
                     kDefaultPlans, kMaxPlans);
  if (o.backends) out->backends = o.backends;
  out->parameters = Ref<Parameters>::share(o.parameters ? to_object(o.parameters) : nullptr);
  out->state = Ref<State>::share(o.state ? to_object(o.state) : nullptr);
  out->deterministic = o.flags & TERN_SESSION_DETERMINISTIC;
  out->profile = o.flags & TERN_SESSION_PROFILE;
  out->keep = o.flags & TERN_SESSION_KEEP_INTERMEDIATES;
  out->max_plans = o.max_plans ? o.max_plans : kDefaultPlans;
  return TERN_OK;
}

// Shapes for a plan from the caller's numbers; without numbers, those of the file where nothing varies.
tern_status read_plan_shapes(const Signature& sig, const int64_t* dims, int32_t n_dims, std::vector<Shape>* shapes) {
  size_t needed = 0, at = 0;
  for (const ValueId v : sig.graph.inputs) needed += (size_t)sig.graph.value(v).shape.rank;
  if (dims ? n_dims < 0 || (size_t)n_dims != needed : n_dims != 0)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "'%s': %d dims were given, its inputs have %zu", sig.name.c_str(),
                     n_dims, needed);
  for (const ValueId v : sig.graph.inputs) {
    Shape s = sig.graph.value(v).shape;
    for (int a = 0; dims && a < s.rank; ++a) s[a] = dims[at++];
    shapes->push_back(s);
  }
  std::vector<int64_t> sizes(sig.symbols.size(), -1);
  for (size_t i = 0; i < shapes->size(); ++i) {
    const Value& v = sig.graph.value(sig.graph.inputs[i]);
    for (int a = 0; a < v.shape.rank; ++a) {
      const SymbolicDim* symbolic = nullptr;
      for (const SymbolicDim& d : sig.symbolic_dims)
        if ((size_t)d.input == i && d.axis == a) symbolic = &d;
      const int64_t size = (*shapes)[i][a];
      if (!symbolic) {
        if (size != v.shape[a])
          return TERN_FAIL(TERN_ERR_SHAPE, "input '%s' takes %s, given is %s", v.name.c_str(),
                           to_string(v.shape).c_str(), to_string((*shapes)[i]).c_str());
        continue;
      }
      const Symbol& s = sig.symbols[(size_t)symbolic->symbol];
      if (!dims && s.min != s.max)
        return TERN_FAIL(TERN_ERR_SHAPE, "input '%s': dim %d varies: give the sizes of all dims", v.name.c_str(), a);
      if (size < s.min || size > s.max || size % s.multiple)
        return TERN_FAIL(TERN_ERR_SHAPE,
                         "input '%s': dim %d is %" PRId64 ", allowed is %" PRId64 " to %" PRId64
                         " in steps of %" PRId64,
                         v.name.c_str(), a, size, s.min, s.max, s.multiple);
      int64_t& same = sizes[(size_t)symbolic->symbol];
      if (same >= 0 && same != size)
        return TERN_FAIL(TERN_ERR_SHAPE, "input '%s': dim %d is %" PRId64 ", but '%s' is %" PRId64 " elsewhere",
                         v.name.c_str(), a, size, s.name.c_str(), same);
      same = size;
    }
  }
  return TERN_OK;
}

tern_status check_list(const void* list, int32_t count, const char* name) {
  if (count < 0) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the number of %s is %d", name, count);
  if (count > 0 && !list) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s is NULL", name);
  return TERN_OK;
}

tern_status check_signature(const tern_session* session, int32_t signature) {
  const size_t count = session->session->model().def().signatures.size();
  if (signature >= 0 && (size_t)signature < count) return TERN_OK;
  return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "signature %d: the model has %zu", signature, count);
}

bool writes_parameters(const Graph& graph) {
  bool writes = false;
  for_each_graph(graph, [&](const Graph& g) {
    for (const Node& n : g.nodes)
      for (size_t k = 0; k < num_written(n); ++k) writes |= g.value(n.in[k]).kind == ValueKind::parameter;
  });
  return writes;
}

constexpr char kSession[] = "this session", kState[] = "the session's state",
               kParameters[] = "the session's parameters";

// What a run of this signature, which need not exist, uses.
tern_status hold_parameters(tern_session* s, int32_t signature, Hold* hold) {
  if (s->session->parameters().unique()) return TERN_OK;  // nobody else has them
  const bool writes =
      signature >= 0 && (size_t)signature < s->writes_parameters.size() && s->writes_parameters[(size_t)signature];
  InUse& parameters = s->session->parameters().in_use;
  return writes ? hold->alone(parameters, kParameters) : hold->shared(parameters, kParameters);
}

tern_status hold_for_run(tern_session* s, int32_t signature, Hold* hold) {
  TERN_TRY(hold->alone(s->in_use, kSession));
  TERN_TRY(hold->alone(s->session->state().in_use, kState));
  return hold_parameters(s, signature, hold);
}

// Runs the body of an entry of a session; what fails is logged.
template <class Body>
tern_status guard_logged(tern_session* session, Body&& body) noexcept {
  const tern_status status = guard(body);
  return status != TERN_OK && session ? log_error(session->session->model().context(), status) : status;
}

const std::vector<Session::Placement>& placements_of(const tern_session* session, int32_t signature) {
  std::vector<Session::Placement>& list = session->placements[(size_t)signature];
  session->lent = true;
  if (list.empty()) list = session->session->placements(signature);
  return list;
}

}  // namespace

namespace tern::capi {

tern_status read_run_options(const tern_run_options* given, RunControl* out) {
  tern_run_options o = TERN_RUN_OPTIONS_INIT;
  TERN_TRY(read_options(given, &o, "tern_run_options"));
  TERN_TRY(check_flags(o.flags, 0, "tern_run_options"));
  if (o.cancel) out->cancel = &o.cancel->signalled;
  if (o.timeout_ns && !checked_add<uint64_t>(monotonic_ns(), o.timeout_ns, &out->deadline_ns))
    out->deadline_ns = UINT64_MAX;
  return TERN_OK;
}

}  // namespace tern::capi

extern "C" {

tern_status tern_session_options_init(tern_session_options* options, size_t size) noexcept {
  const tern_session_options defaults = TERN_SESSION_OPTIONS_INIT;
  return init_struct(options, size, &defaults, sizeof defaults, sizeof defaults, "tern_session_options");
}

tern_status tern_run_options_init(tern_run_options* options, size_t size) noexcept {
  const tern_run_options defaults = TERN_RUN_OPTIONS_INIT;
  return init_struct(options, size, &defaults, sizeof defaults, sizeof defaults, "tern_run_options");
}

tern_status tern_session_create(const tern_model* model, const tern_session_options* options,
                                tern_session** session) noexcept {
  const tern_status status = guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(model);
    TERN_CHECK_NOT_NULL(session);
    Session::Options o;
    TERN_TRY(read_session_options(options, &o));
    auto s = std::make_unique<tern_session>();
    TERN_TRY(Session::create(*to_object(model), o, &s->session));
    s->placements.resize(to_object(model)->def().signatures.size());
    for (const Signature& sig : to_object(model)->def().signatures)
      s->writes_parameters.push_back(writes_parameters(sig.graph));
    *session = s.release();
    return TERN_OK;
  });
  return model ? log_error(to_object(model)->context(), status) : status;
}

void tern_session_release(tern_session* session) noexcept { delete session; }

tern_state* tern_session_state(tern_session* session) noexcept {
  return session ? to_handle(&session->session->state()) : nullptr;
}

tern_status tern_session_set_state(tern_session* session, tern_state* state) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(session);
    Hold hold;
    TERN_TRY(hold.alone(session->in_use, kSession));
    TERN_CHECK_NOT_NULL(state);
    return session->session->set_state(*to_object(state));
  });
}

tern_status tern_session_run(tern_session* session, int32_t signature, const tern_tensor* const* inputs,
                             int32_t n_inputs, const tern_tensor** outputs, int32_t n_outputs,
                             const tern_run_options* options) noexcept {
  return guard_logged(session, [&]() -> tern_status {
    TERN_CHECK_NOT_NULL(session);
    Hold hold;
    TERN_TRY(hold_for_run(session, signature, &hold));
    TERN_TRY(check_list(inputs, n_inputs, "inputs"));
    TERN_TRY(check_list(outputs, n_outputs, "outputs"));
    RunControl control;
    TERN_TRY(read_run_options(options, &control));
    session->forget_placements();
    return session->session->run(signature, {reinterpret_cast<const Tensor* const*>(inputs), (size_t)n_inputs},
                                 {reinterpret_cast<const Tensor**>(outputs), (size_t)n_outputs}, control);
  });
}

tern_status tern_session_run_sequences(tern_session* session, int32_t signature, tern_state* const* states,
                                       const int64_t* counts, int32_t n_states, const tern_tensor* const* inputs,
                                       int32_t n_inputs, const tern_tensor** outputs, int32_t n_outputs,
                                       const tern_run_options* options) noexcept {
  return guard_logged(session, [&]() -> tern_status {
    TERN_CHECK_NOT_NULL(session);
    if (!has_capability(Capability::text)) return left_out(Capability::text, "tern_session_run_sequences");
    TERN_TRY(check_list(states, n_states, "states"));
    TERN_TRY(check_list(counts, n_states, "counts"));
    TERN_TRY(check_list(inputs, n_inputs, "inputs"));
    TERN_TRY(check_list(outputs, n_outputs, "outputs"));
    Hold hold;
    TERN_TRY(hold.alone(session->in_use, kSession));
    TERN_TRY(hold_parameters(session, signature, &hold));
    std::vector<State*> list;
    for (int32_t i = 0; i < n_states; ++i) {
      TERN_TRY(check_not_null(states[i], "a state"));
      list.push_back(to_object(states[i]));
      if (std::find(list.begin(), list.end() - 1, list.back()) != list.end() - 1)
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "state %d is given twice", i);
    }
    std::deque<Hold> holds;
    for (State* s : list) TERN_TRY(holds.emplace_back().alone(s->in_use, "a state"));
    RunControl control;
    TERN_TRY(read_run_options(options, &control));
    session->forget_placements();
    return session->session->run_sequences(signature, list, {counts, (size_t)n_states},
                                           {reinterpret_cast<const Tensor* const*>(inputs), (size_t)n_inputs},
                                           {reinterpret_cast<const Tensor**>(outputs), (size_t)n_outputs}, control);
  });
}

tern_status tern_session_bind_input(tern_session* session, int32_t signature, int32_t index,
                                    const tern_tensor* tensor) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(session);
    Hold hold;
    TERN_TRY(hold.alone(session->in_use, kSession));
    return session->session->bind_input(signature, index, tensor ? to_object(tensor) : nullptr);
  });
}

tern_status tern_session_bind_output(tern_session* session, int32_t signature, int32_t index,
                                     tern_tensor* tensor) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(session);
    Hold hold;
    TERN_TRY(hold.alone(session->in_use, kSession));
    return session->session->bind_output(signature, index, tensor ? to_object(tensor) : nullptr);
  });
}

tern_status tern_session_run_bound(tern_session* session, int32_t signature, const tern_run_options* options) noexcept {
  return guard_logged(session, [&]() -> tern_status {
    TERN_CHECK_NOT_NULL(session);
    Hold hold;
    TERN_TRY(hold_for_run(session, signature, &hold));
    RunControl control;
    if (options) TERN_TRY(read_run_options(options, &control));
    session->forget_placements();
    return session->session->run_bound(signature, control);
  });
}

tern_status tern_session_prepare(tern_session* session, int32_t signature, const int64_t* dims,
                                 int32_t n_dims) noexcept {
  return guard_logged(session, [&]() -> tern_status {
    TERN_CHECK_NOT_NULL(session);
    Hold hold;
    TERN_TRY(hold.alone(session->in_use, kSession));
    TERN_TRY(hold.shared(session->session->parameters().in_use, kParameters));
    TERN_TRY(check_signature(session, signature));
    std::vector<Shape> shapes;
    TERN_TRY(read_plan_shapes(session->session->model().def().signatures[(size_t)signature], dims, n_dims, &shapes));
    session->forget_placements();
    return session->session->prepare(signature, shapes);
  });
}

tern_status tern_session_memory(const tern_session* session, tern_memory_report* report) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(session);
    Hold hold;
    TERN_TRY(hold.alone(session->in_use, kSession));
    TERN_TRY(check_output_struct(report, kFirstMemoryReport, "tern_memory_report"));
    const Session::Memory m = session->session->memory();
    const tern_memory_report result = {(uint32_t)sizeof result,
                                       m.plans,
                                       m.plan.arena,
                                       m.plan.bound,
                                       m.plan.scratch,
                                       m.plan.prepared,
                                       m.mapped,
                                       m.state,
                                       m.overlay,
                                       m.outputs,
                                       m.all_plans};
    return write_struct(result, report, "tern_memory_report", kFirstMemoryReport);
  });
}

int32_t tern_session_num_placements(const tern_session* session, int32_t signature) noexcept {
  int32_t count = -1;
  (void)guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(session);
    Hold hold;
    TERN_TRY(hold.alone(session->in_use, kSession));
    TERN_TRY(check_signature(session, signature));
    const size_t n = placements_of(session, signature).size();
    if (n) count = (int32_t)n;
    return TERN_OK;
  });
  return count;
}

tern_status tern_session_get_placement(const tern_session* session, int32_t signature, int32_t index,
                                       tern_placement* placement) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(session);
    Hold hold;
    TERN_TRY(hold.alone(session->in_use, kSession));
    TERN_TRY(check_signature(session, signature));
    TERN_TRY(check_output_struct(placement, sizeof *placement, "tern_placement"));
    const auto& list = placements_of(session, signature);
    if (list.empty()) return TERN_FAIL(TERN_ERR_STATE, "there is no plan yet: run or prepare the signature first");
    if (index < 0 || (size_t)index >= list.size())
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "placement %d: there are %zu", index, list.size());
    const Session::Placement& p = list[(size_t)index];
    // Control flow is the runtime's own and runs as well as it can.
    const PlacedAs as = p.as == PlacedAs::control ? PlacedAs::kernel : p.as;
    const tern_placement result = {
        (uint32_t)sizeof result,  (int32_t)as,      p.node.c_str(), p.op.c_str(), p.backend, p.origin ? p.origin : "",
        p.reason ? p.reason : "", (double)p.time_ns};
    return write_struct(result, placement, "tern_placement");
  });
}

int32_t tern_session_num_intermediates(const tern_session* session, int32_t signature) noexcept {
  int32_t count = 0;
  (void)guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(session);
    Hold hold;
    TERN_TRY(hold.alone(session->in_use, kSession));
    count = (int32_t)session->session->intermediates(signature).size();
    return TERN_OK;
  });
  return count;
}

tern_status tern_session_get_intermediate(const tern_session* session, int32_t signature, int32_t index,
                                          tern_intermediate* intermediate) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(session);
    Hold hold;
    TERN_TRY(hold.alone(session->in_use, kSession));
    TERN_TRY(check_signature(session, signature));
    TERN_TRY(check_output_struct(intermediate, sizeof *intermediate, "tern_intermediate"));
    const auto list = session->session->intermediates(signature);
    if (list.empty())
      return TERN_FAIL(
          TERN_ERR_STATE,
          "there are none: make the session with TERN_SESSION_KEEP_INTERMEDIATES and run the signature first");
    if (index < 0 || (size_t)index >= list.size())
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "intermediate %d: there are %zu", index, list.size());
    const Session::Intermediate& k = list[(size_t)index];
    const tern_intermediate result = {(uint32_t)sizeof result, k.name.c_str(), k.node.c_str(), k.op.c_str(),
                                      to_handle(k.tensor.get())};
    return write_struct(result, intermediate, "tern_intermediate");
  });
}

tern_status tern_session_write_profile(const tern_session* session, const char* path) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(session);
    Hold hold;
    TERN_TRY(hold.alone(session->in_use, kSession));
    TERN_CHECK_NOT_NULL(path);
    return session->session->write_profile(path);
  });
}
}
