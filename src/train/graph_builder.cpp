// SPDX-License-Identifier: Apache-2.0
#include "train/graph_builder.h"

#include <algorithm>
#include <cstring>

#include "ops/move.h"
#include "passes/eliminate.h"
#include "passes/updates_last.h"
#include "train/differentiate.h"
#include "train/edit.h"
#include "train/names.h"

namespace tern {

tern_status GraphBuilder::fail_with(tern_status status) {
  if (status != TERN_OK && status_ == TERN_OK) status_ = status, error_ = thread_error();
  return status_;
}

tern_status GraphBuilder::report() const {
  if (status_ != TERN_OK) thread_error() = error_;
  return status_;
}

tern_status GraphBuilder::ready() {
  if (status_ != TERN_OK) return status_;
  if (finished_) return TERN_FAIL(TERN_ERR_STATE, "the graph is finished: create another one");
  if (def_.signatures.empty()) return TERN_FAIL(TERN_ERR_STATE, "no signature was begun: tern_graph_begin comes first");
  return TERN_OK;
}

ValueId GraphBuilder::make(const std::function<tern_status(ValueId*)>& body) {
  ValueId v = kNoValue;
  tern_status s = ready();
  if (s == TERN_OK) s = body(&v);
  if (s == TERN_OK) s = g().status;
  return fail_with(s) == TERN_OK ? v : kNoValue;
}

tern_status GraphBuilder::check(std::span<const ValueId> values, const char* what) {
  for (size_t i = 0; i < values.size(); ++i)
    if (values[i] < 0 || (size_t)values[i] >= g().values.size())
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s: value %zu is %" PRId32 ", which is none of the signature '%s'",
                       what, i, values[i], def_.signatures.back().name.c_str());
  return TERN_OK;
}

tern_status GraphBuilder::check_free(std::string_view name) {
  if (name.empty()) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "a name is empty");
  for (const Named& n : names_)
    if (n.name == name)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the signature '%s' has a value '%.*s' already",
                       def_.signatures.back().name.c_str(), (int)name.size(), name.data());
  return TERN_OK;
}

ValueId GraphBuilder::named(std::string_view name, ValueId v) {
  if (v != kNoValue) names_.push_back({std::string(name), v});
  return v;
}

// ---- signatures ----

tern_status GraphBuilder::begin(std::string_view signature) {
  const auto body = [&]() -> tern_status {
    if (status_ != TERN_OK) return status_;
    if (finished_) return TERN_FAIL(TERN_ERR_STATE, "the graph is finished: create another one");
    if (signature.empty()) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the name of the signature is empty");
    for (const Signature& s : def_.signatures)
      if (s.name == signature)
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "there is a signature '%s' already", s.name.c_str());
    if (!def_.signatures.empty()) TERN_TRY(end_signature());
    names_.clear(), results_.clear(), written_.clear(), losses_.clear();
    std::fill(parameters_.begin(), parameters_.end(), kNoValue);
    std::fill(states_.begin(), states_.end(), kNoValue);
    def_.signatures.emplace_back().name = signature;
    return TERN_OK;
  };
  return fail_with(body());
}

// The value whose bytes v is.
static ValueId root_of(const Graph& g, ValueId v) {
  while (g.value(v).kind == ValueKind::node && g.nodes[(size_t)g.value(v).producer].op->flags & kView)
    v = g.nodes[(size_t)g.value(v).producer].in[0];
  return v;
}

// A value of its own with the content of v.
static ValueId copy_of(Graph& g, ValueId v) {
  const DType dtype = g.value(v).dtype;
  return is_float(dtype) ? emit(g, "decode", {v}) : cast(g, v, dtype);
}

// Writes go to the end, behind all that reads the content before them; what nothing needs goes.
tern_status GraphBuilder::end_signature() {
  Signature& sig = def_.signatures.back();
  Graph& graph = sig.graph;
  TERN_TRY(graph.status);
  if (graph.outputs.empty() && written_.empty())
    return TERN_FAIL(TERN_ERR_STATE,
                     "the signature '%s' has no output and writes nothing: tern_graph_output or "
                     "tern_graph_write is missing",
                     sig.name.c_str());
  if (!written_.empty())
    for (const ValueId loss : losses_) emit(graph, "require_finite", {loss});
  // Outputs that are what a parameter or state holds are copied before it is written. What no node gives, and what is
  // an output already, gets a node of its own.
  for (auto at = graph.outputs.begin(); at != graph.outputs.end(); ++at) {
    const Shape shape = graph.value(*at).shape;
    if (std::find(written_.begin(), written_.end(), root_of(graph, *at)) != written_.end()) *at = copy_of(graph, *at);
    else if (graph.value(*at).kind != ValueKind::node || std::find(graph.outputs.begin(), at, *at) != at)
      *at = reshape(graph, *at, shape);
  }
  TERN_TRY(graph.status);
  int32_t first = 0;
  order_nodes(graph, updates_last(graph, &first));
  std::vector<ValueId> gone;
  for (size_t i = (size_t)first; i < graph.nodes.size(); ++i) {
    const Node& n = graph.nodes[i];
    for (const ValueId v : n.in)
      if (v != kNoValue && std::find(gone.begin(), gone.end(), root_of(graph, v)) != gone.end())
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                         "%s reads '%s' together with what a step writes there: write a value that is computed from "
                         "the content before",
                         n.op->name, graph.value(v).name.c_str());
    for (size_t k = 0; k < num_written(n); ++k) gone.push_back(n.in[k]);
  }
  for (size_t i = 0; i < (size_t)first; ++i)
    if (graph.nodes[i].op->flags & kWritesState)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                       "an output of '%s' depends on what %s writes to '%s': an output is known before the step writes",
                       sig.name.c_str(), graph.nodes[i].op->name, graph.value(graph.nodes[i].in[0]).name.c_str());
  eliminate_dead(graph);
  return graph.status;
}

tern_status GraphBuilder::finish(Ref<Model>* model) {
  const auto body = [&]() -> tern_status {
    TERN_TRY(ready());
    TERN_TRY(end_signature());
    finished_ = true;
    *model = Ref<Model>::adopt(new Model(*context_, std::move(def_), sources_));
    return TERN_OK;
  };
  if (finished_ && status_ == TERN_OK) return TERN_FAIL(TERN_ERR_STATE, "the graph is finished: create another one");
  fail_with(body());
  return report();
}

// ---- values ----

ValueId GraphBuilder::input(std::string_view name, DType dtype, const Shape& shape) {
  return make([&](ValueId* v) -> tern_status {
    TERN_TRY(check_free(name));
    uint64_t bytes;
    TERN_TRY(tensor_bytes(dtype, shape, &bytes));
    *v = named(name, add_input(g(), std::string(name), dtype, shape));
    return TERN_OK;
  });
}

ValueId GraphBuilder::scalar(std::string_view name) {
  return make([&](ValueId* v) -> tern_status {
    for (const Named& n : names_)
      if (n.name == name && g().value(n.value).kind == ValueKind::scalar) return *v = n.value, TERN_OK;
    TERN_TRY(check_free(name));
    *v = named(name, add_scalar(g(), std::string(name)));
    return TERN_OK;
  });
}

int32_t GraphBuilder::add_parameter(Parameter p) {
  def_.parameters.push_back(std::move(p));
  parameters_.push_back(kNoValue);
  statistics_.push_back(0);
  return (int32_t)def_.parameters.size() - 1;
}

ValueId GraphBuilder::use_parameter(int32_t index) {
  ValueId& at = parameters_[(size_t)index];
  if (at != kNoValue) return at;
  const Parameter& p = def_.parameters[(size_t)index];
  Value v;
  v.name = p.name, v.dtype = p.dtype, v.encoding = p.encoding, v.shape = p.shape;
  v.kind = ValueKind::parameter, v.index = index;
  return at = named(p.name, add_value(g(), std::move(v)));
}

ValueId GraphBuilder::use_state(int32_t index) {
  ValueId& at = states_[(size_t)index];
  if (at != kNoValue) return at;
  const StateDecl& s = def_.states[(size_t)index];
  Value v;
  v.name = s.name, v.dtype = s.dtype, v.encoding = s.encoding, v.shape = s.shape, v.paged = s.paged;
  v.kind = ValueKind::state, v.index = index;
  return at = named(s.name, add_value(g(), std::move(v)));
}

ValueId GraphBuilder::parameter(std::string_view name, const Tensor* content) {
  return make([&](ValueId* v) -> tern_status {
    for (size_t i = 0; i < def_.parameters.size(); ++i) {
      if (def_.parameters[i].name != name) continue;
      if (content)
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "there is a parameter '%s' already",
                         def_.parameters[i].name.c_str());
      return *v = use_parameter((int32_t)i), TERN_OK;
    }
    if (!content)
      return TERN_FAIL(TERN_ERR_NOT_FOUND, "no parameter '%.*s' was made: its content is needed", (int)name.size(),
                       name.data());
    TERN_TRY(check_free(name));
    Parameter p;
    p.name = name, p.dtype = content->dtype(), p.shape = content->shape(), p.bytes = content->bytes();
    void* to = nullptr;
    p.data = make_data(p.bytes, &to);
    if (p.bytes) std::memcpy(to, content->data(), (size_t)p.bytes);
    *v = use_parameter(add_parameter(std::move(p)));
    return TERN_OK;
  });
}

ValueId GraphBuilder::state(std::string_view name, DType dtype, const Shape& shape) {
  return add_state(name, dtype, shape, Encoding::plain);
}

ValueId GraphBuilder::state_like(std::string_view name, ValueId like) {
  if (status_ == TERN_OK) fail_with(ready() != TERN_OK ? ready() : check({&like, 1}, "tern_graph_state_like"));
  if (status_ != TERN_OK) return kNoValue;
  const Value v = g().value(like);
  return add_state(name, v.dtype, v.shape, v.encoding);
}

ValueId GraphBuilder::add_state(std::string_view name, DType dtype, const Shape& shape, Encoding encoding) {
  return make([&](ValueId* v) -> tern_status {
    for (size_t i = 0; i < def_.states.size(); ++i) {
      const StateDecl& s = def_.states[i];
      if (s.name != name) continue;
      if (s.dtype != dtype || !(s.shape == shape) || s.encoding != encoding)
        return TERN_FAIL(TERN_ERR_SHAPE, "the state '%s' is %s%s", s.name.c_str(), dtype_name(s.dtype),
                         to_string(s.shape).c_str());
      return *v = use_state((int32_t)i), TERN_OK;
    }
    TERN_TRY(check_free(name));
    uint64_t bytes;
    TERN_TRY(encoded_bytes(encoding, dtype, shape, &bytes));
    StateDecl s;
    s.name = name, s.dtype = dtype, s.shape = shape, s.encoding = encoding;
    def_.states.push_back(std::move(s));
    states_.push_back(kNoValue);
    *v = use_state((int32_t)def_.states.size() - 1);
    return TERN_OK;
  });
}

ValueId GraphBuilder::constant(const Tensor& content) {
  return make([&](ValueId* v) -> tern_status {
    *v = add_constant(g(), content.dtype(), content.shape(), content.data());
    return TERN_OK;
  });
}

ValueId GraphBuilder::number(double value) {
  return make([&](ValueId* v) -> tern_status {
    *v = add_constant(g(), (float)value);
    return TERN_OK;
  });
}

ValueId GraphBuilder::find(std::string_view name) {
  return make([&](ValueId* v) -> tern_status {
    for (const Named& n : names_)
      if (n.name == name) return *v = n.value, TERN_OK;
    for (size_t i = 0; i < def_.parameters.size(); ++i)
      if (def_.parameters[i].name == name) return *v = use_parameter((int32_t)i), TERN_OK;
    return TERN_FAIL(TERN_ERR_NOT_FOUND, "the signature '%s' has no value '%.*s'", def_.signatures.back().name.c_str(),
                     (int)name.size(), name.data());
  });
}

std::vector<ValueId> GraphBuilder::list(std::string_view pattern) {
  std::vector<ValueId> all;
  if (fail_with(ready()) != TERN_OK) return all;
  for (size_t i = 0; i < def_.parameters.size(); ++i) {
    const Parameter& p = def_.parameters[i];
    if (is_float(p.dtype) && is_permutation(p.encoding) && !statistics_[i] && matches_name(pattern, p.name))
      all.push_back(use_parameter((int32_t)i));
  }
  return all;
}

const Value* GraphBuilder::value(ValueId v) {
  const auto body = [&] {
    TERN_TRY(ready());
    return check({&v, 1}, "tern_graph_get");
  };
  return fail_with(body()) == TERN_OK ? &g().value(v) : nullptr;
}

// ---- nodes ----

ValueId GraphBuilder::plain(ValueId v) { return is_plain(g().value(v).encoding) ? v : emit(g(), "decode", {v}); }

// The states and parameters that a node writes: the first inputs, one for each output. What it reads of them beside
// that is a copy.
tern_status GraphBuilder::take_targets(Node& node) {
  const size_t count = node.op->flags & kWritesState ? (size_t)node.op->num_out : 0;
  for (size_t k = 0; k < count && k < node.in.size(); ++k) {
    const ValueId target = node.in[k];
    if (target == kNoValue) continue;
    const Value& v = g().value(target);
    if (v.kind != ValueKind::parameter && v.kind != ValueKind::state)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s: input %zu ('%s') is no parameter and no state: it is written",
                       node.op->name, k, v.name.c_str());
    if (std::find(written_.begin(), written_.end(), target) != written_.end())
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s: '%s' is written twice in a step", node.op->name, v.name.c_str());
    written_.push_back(target);
  }
  for (size_t i = count; count > 0 && i < node.in.size(); ++i) {
    const auto targets = std::span(node.in).first(count);
    if (node.in[i] != kNoValue && std::find(targets.begin(), targets.end(), root_of(g(), node.in[i])) != targets.end())
      node.in[i] = copy_of(g(), node.in[i]);
  }
  return g().status;
}

tern_status GraphBuilder::append(Node node, int32_t num_out, std::vector<ValueId>* outs) {
  TERN_TRY(take_targets(node));
  emit_node(g(), std::move(node), num_out, outs);
  return g().status;
}

ValueId GraphBuilder::op(std::string_view name, std::string_view attributes, std::span<const ValueId> inputs) {
  return make([&](ValueId* v) -> tern_status {
    Node n;
    n.op = find_op(name);
    if (!n.op) {
      const char* option = option_for_op(name);
      return option ? TERN_FAIL(TERN_ERR_UNSUPPORTED_OP, "the operator '%.*s' is not in this build: it needs %s",
                                (int)name.size(), name.data(), option)
                    : TERN_FAIL(TERN_ERR_UNSUPPORTED_OP, "there is no operator '%.*s'", (int)name.size(), name.data());
    }
    if (n.op->num_subgraphs)
      return TERN_FAIL(TERN_ERR_UNSUPPORTED, "'%s' has sub-graphs: call a signature that has it", n.op->name);
    set_default_attributes(*n.op, &n.attributes);
    int64_t num_out = n.op->num_out < 0 ? 0 : -1;  // 0: may be told
    TERN_TRY(set_attributes(
        *n.op, &n.attributes, attributes,
        [](void* user, std::string_view key, std::string_view text) {
          int64_t& count = *(int64_t*)user;
          if (key != "outputs" || count != 0) return false;
          count = std::clamp<int64_t>(std::strtoll(std::string(text).c_str(), nullptr, 10), 1, 65536);
          return true;
        },
        &num_out));
    if (num_out == 0) num_out = -1;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i] == kNoValue) {
        n.in.push_back(kNoValue);
        continue;
      }
      TERN_TRY(check(inputs.subspan(i, 1), n.op->name));
      n.in.push_back(n.op->encoded_in >> std::min(i, (size_t)31) & 1 ? inputs[i] : plain(inputs[i]));
    }
    TERN_TRY(g().status);
    std::vector<ValueId> outs;
    TERN_TRY(append(std::move(n), (int32_t)num_out, &outs));
    *v = outs[0];
    if (outs.size() > 1) results_.push_back({outs[0], outs});
    return TERN_OK;
  });
}

ValueId GraphBuilder::result(ValueId first, int32_t index) {
  return make([&](ValueId* v) -> tern_status {
    TERN_TRY(check({&first, 1}, "tern_graph_result"));
    if (index == 0) return *v = first, TERN_OK;
    for (const Results& r : results_) {
      if (r.first != first) continue;
      if (index > 0 && (size_t)index < r.all.size()) return *v = r.all[(size_t)index], TERN_OK;
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "output %" PRId32 ": there are %zu", index, r.all.size());
    }
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "output %" PRId32 ": what gave this value has one", index);
  });
}

tern_status GraphBuilder::gradient(ValueId scalar, std::span<const ValueId> values, ValueId* gradients) {
  std::vector<ValueId> found;
  make([&](ValueId*) -> tern_status {
    TERN_TRY(check({&scalar, 1}, "tern_graph_gradient"));
    TERN_TRY(check(values, "tern_graph_gradient"));
    if (std::find(losses_.begin(), losses_.end(), scalar) == losses_.end()) losses_.push_back(scalar);
    return differentiate(g(), scalar, values, &found);
  });
  for (size_t i = 0; i < values.size(); ++i) gradients[i] = status_ == TERN_OK ? found[i] : kNoValue;
  return status_;
}

tern_status GraphBuilder::write(ValueId target, ValueId value) {
  make([&](ValueId*) -> tern_status {
    TERN_TRY(check({&target, 1}, "tern_graph_write"));
    TERN_TRY(check({&value, 1}, "tern_graph_write"));
    ValueId content = plain(value);
    const DType dtype = g().value(target).dtype;
    if (is_float(dtype) && is_float(g().value(content).dtype) && g().value(content).dtype != dtype)
      content = cast(g(), content, dtype);
    TERN_TRY(g().status);
    Node n;
    n.op = find_op("state_write");
    set_default_attributes(*n.op, &n.attributes);
    n.in = {target, content};
    return append(std::move(n), -1, nullptr);
  });
  return status_;
}

tern_status GraphBuilder::output(std::string_view name, ValueId value) {
  make([&](ValueId*) -> tern_status {
    TERN_TRY(check({&value, 1}, "tern_graph_output"));
    Signature& sig = def_.signatures.back();
    if (name.empty()) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the name of an output is empty");
    for (const std::string& other : sig.output_names)
      if (other == name) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "there is an output '%s' already", other.c_str());
    if (g().value(value).paged)
      return TERN_FAIL(TERN_ERR_UNSUPPORTED, "output '%.*s' is a state in pages", (int)name.size(), name.data());
    const ValueId v = plain(value);
    TERN_TRY(g().status);
    g().outputs.push_back(v);
    sig.output_names.emplace_back(name);
    return TERN_OK;
  });
  return status_;
}

}  // namespace tern
