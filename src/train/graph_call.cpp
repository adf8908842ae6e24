// SPDX-License-Identifier: Apache-2.0
// Calls of models: a signature's nodes at the given shapes, with values in place of its inputs and parameters.
#include <algorithm>
#include <cstring>

#include "ops/attention.h"
#include "ops/normalize.h"
#include "ops/pages.h"
#include "ops/transpose.h"
#include "passes/specialize.h"
#include "train/graph_builder.h"

namespace tern {

struct GraphBuilder::Call {
  GraphBuilder& b;
  const std::string prefix;  // of the names of values
  const CallOptions& options;
  size_t set;  // into sets_
  // Of a signature that takes rows of sequences: so many whole ones of so many tokens. 0: another signature.
  int64_t sequences = 0, tokens = 0;
  std::vector<ValueId> map = {};
  std::vector<char> used = {};  // per options.names

  Graph& g() { return b.g(); }
  Set& parameters() { return b.sets_[set]; }

  std::string qualified(const std::string& name) {
    const std::string& s = parameters().name;
    return s.empty() ? name : s + "/" + name;
  }

  // What stands in the place of a name, in the type of `like`; kNoValue: nothing does.
  ValueId replacement(const std::string& name, const Value& like, const char* what, tern_status* status) {
    for (size_t i = 0; i < options.names.size(); ++i) {
      if (name != options.names[i]) continue;
      used[i] = 1;
      ValueId v = options.values[i];
      if (!(g().value(v).shape == like.shape)) {
        *status = TERN_FAIL(TERN_ERR_SHAPE, "%s '%s' has shape %s, what is given for it %s", what, name.c_str(),
                            to_string(like.shape).c_str(), to_string(g().value(v).shape).c_str());
        return kNoValue;
      }
      if (g().value(v).dtype == like.dtype) return v;
      if (!is_float(g().value(v).dtype) || !is_float(like.dtype)) {
        *status = TERN_FAIL(TERN_ERR_TYPE, "%s '%s' is %s, what is given for it %s", what, name.c_str(),
                            dtype_name(like.dtype), dtype_name(g().value(v).dtype));
        return kNoValue;
      }
      v = cast(g(), b.plain(v), like.dtype);
      *status = g().status;
      return v;
    }
    return kNoValue;
  }

  // Number here of a parameter of the model.
  tern_status take_parameter(int32_t there, int32_t* here) {
    Set& s = parameters();
    if (s.parameters[(size_t)there] < 0) {
      Parameter p = s.model->def().parameters[(size_t)there];
      p.name = qualified(p.name);
      for (const Parameter& other : b.def_.parameters)
        if (other.name == p.name)
          return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                           "there is a parameter '%s' already: give the set of this call another name", p.name.c_str());
      if (options.parameters && options.parameters->changed(there)) {
        const void* from = nullptr;
        TERN_TRY(options.parameters->item(there)->read(&from));
        void* to = nullptr;
        p.data = make_data(p.bytes, &to);
        if (p.bytes) std::memcpy(to, from, (size_t)p.bytes);
      }
      s.parameters[(size_t)there] = b.add_parameter(std::move(p));
    }
    *here = s.parameters[(size_t)there];
    return TERN_OK;
  }

  tern_status take_state(int32_t there, int32_t* here) {
    Set& s = parameters();
    if (s.states[(size_t)there] < 0) {
      StateDecl d = s.model->def().states[(size_t)there];
      d.name = qualified(d.name);
      for (const StateDecl& other : b.def_.states)
        if (other.name == d.name)
          return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "there is a state '%s' already", d.name.c_str());
      s.states[(size_t)there] = (int32_t)b.def_.states.size();
      b.def_.states.push_back(std::move(d));
      b.states_.push_back(kNoValue);
    }
    *here = s.states[(size_t)there];
    return TERN_OK;
  }

  // Sub-graphs have the parameters and states of the new model by number.
  tern_status renumber(Graph& sub) {
    for (Value& v : sub.values) {
      if (v.kind == ValueKind::parameter) {
        for (const char* name : options.names)
          if (v.name == name)
            return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                             "parameter '%s' is read inside a loop or branch, where no value "
                             "can stand in its place",
                             name);
        TERN_TRY(take_parameter(v.index, &v.index));
      } else if (v.kind == ValueKind::state) {
        TERN_TRY(take_state(v.index, &v.index));
      }
    }
    for (Node& n : sub.nodes)
      for (Graph& inner : n.subgraphs) TERN_TRY(renumber(inner));
    return TERN_OK;
  }

  // What a value that no node gives is here.
  tern_status take_value(const Value& v, ValueId* out) {
    tern_status status = TERN_OK;
    int32_t index = -1;
    switch (v.kind) {
      case ValueKind::parameter:
        *out = replacement(parameters().model->def().parameters[(size_t)v.index].name, v, "parameter", &status);
        TERN_TRY(status);
        if (*out != kNoValue) return TERN_OK;
        TERN_TRY(take_parameter(v.index, &index));
        *out = b.use_parameter(index);
        return TERN_OK;
      case ValueKind::state:
        if (sequences > 0 && v.paged) return TERN_OK;
        TERN_TRY(take_state(v.index, &index));
        *out = b.use_state(index);
        return TERN_OK;
      case ValueKind::constant: *out = add_value(g(), v); return TERN_OK;
      default: return TERN_OK;  // inputs are given
    }
  }

  // Batch norm by the statistics of the batch, whose running ones follow.
  tern_status train_batch_norm(const Node& node, std::vector<ValueId>* outs) {
    Node n;
    n.op = find_op("batch_norm_train");
    n.name = node.name;
    n.in = {node.in[0], node.in[1], node.in[2]};
    n.attrs<BatchNormAttrs>() = node.attrs<BatchNormAttrs>();
    emit_node(g(), std::move(n), 3, outs);
    TERN_TRY(g().status);
    const Shape x = g().value(node.in[0]).shape;
    const double count = (double)(x.elements() / std::max<int64_t>(1, x[x.rank - 1]));
    const double m = options.statistics_momentum, unbiased = count > 1 ? count / (count - 1) : 1;
    for (size_t k = 0; k < 2; ++k) {
      const ValueId old = node.in[3 + k];
      const auto scaled = [&](ValueId v, double factor) { return mul(g(), v, scalar_like(g(), v, factor)); };
      const ValueId next = add(g(), scaled(old, 1 - m), scaled((*outs)[1 + k], k == 0 ? m : m * unbiased));
      TERN_TRY(g().status);
      const Value& from = g().value(old);
      if (from.kind == ValueKind::parameter) {
        b.statistics_[(size_t)from.index] = 1;
        // Of several calls with these parameters the first one writes.
        if (std::find(b.written_.begin(), b.written_.end(), old) != b.written_.end()) continue;
        b.named(from.name + ".next", next);
        Node w;
        w.op = find_op("state_write");
        set_default_attributes(*w.op, &w.attributes);
        w.in = {old, next};
        TERN_TRY(b.append(std::move(w), -1, nullptr));
      }
    }
    outs->resize(1);
    return TERN_OK;
  }

  // ---- whole sequences: what pages would hold is there already

  // The inputs of rows [sequences, tokens, ..] become rows, whose sequences and positions are known.
  tern_status take_sequences(const Signature& sig, std::vector<ValueId>* given) {
    const auto is_rows = [&](size_t i) {
      return std::any_of(sig.symbolic_dims.begin(), sig.symbolic_dims.end(), [&](const SymbolicDim& d) {
        return (size_t)d.input == i && d.axis == 0 && d.symbol == rows_symbol(sig);
      });
    };
    for (size_t i = 0; i < given->size(); ++i) {
      ValueId& v = (*given)[i];
      if ((int32_t)i == sig.sequence_input || (int32_t)i == sig.position_input) {
        if (v != kNoValue)
          return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                           "input '%s' of '%s' follows from the tokens [sequences, tokens]: give TERN_NO_VALUE",
                           sig.graph.value(sig.graph.inputs[i]).name.c_str(), sig.name.c_str());
        continue;
      }
      if (v == kNoValue || !is_rows(i)) continue;
      const Shape s = g().value(v).shape;
      const Value& input = sig.graph.value(sig.graph.inputs[i]);
      if (s.rank != input.shape.rank + 1 || s.elements() <= 0 || (sequences && (sequences != s[0] || tokens != s[1])))
        return TERN_FAIL(TERN_ERR_SHAPE, "input '%s' of '%s' has shape %s; [sequences, tokens] is needed",
                         input.name.c_str(), sig.name.c_str(), to_string(s).c_str());
      sequences = s[0], tokens = s[1];
      Shape rows;
      rows.push(sequences * tokens);
      for (int a = 2; a < s.rank; ++a) rows.push(s[a]);
      v = reshape(g(), v, rows);
    }
    if (tokens > sig.capacity && sig.capacity > 0)
      return TERN_FAIL(TERN_ERR_LIMIT, "sequences of %" PRId64 " tokens; the model has %" PRId64 " positions", tokens,
                       sig.capacity);
    if (!sequences)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "'%s' needs its tokens [sequences, tokens]", sig.name.c_str());
    std::vector<int64_t> position;
    std::vector<int32_t> sequence;
    for (int64_t i = 0; i < sequences * tokens; ++i)
      position.push_back(i % tokens), sequence.push_back((int32_t)(i / tokens));
    const Shape rows = {sequences * tokens};
    (*given)[(size_t)sig.position_input] = add_constant(g(), TERN_DTYPE_I64, rows, position.data());
    (*given)[(size_t)sig.sequence_input] = add_constant(g(), TERN_DTYPE_I32, rows, sequence.data());
    return g().status;
  }

  static int32_t rows_symbol(const Signature& sig) {
    for (const SymbolicDim& d : sig.symbolic_dims)
      if (d.input == sig.position_input && d.axis == 0) return d.symbol;
    return -1;
  }

  // An output of rows, by sequence.
  ValueId whole(ValueId v) {
    if (!sequences || v == kNoValue) return v;
    const Shape s = g().value(v).shape;
    if (s.rank < 1 || s[0] != sequences * tokens || s.rank + 1 > kMaxRank) return v;
    Shape by = {sequences, tokens};
    for (int a = 1; a < s.rank; ++a) by.push(s[a]);
    return reshape(g(), v, by);
  }

  // [rows, heads, dim] -> [sequences, heads, tokens, dim]
  ValueId by_head(ValueId x) {
    constexpr int64_t kSwap[] = {0, 2, 1, 3};
    const Shape s = g().value(x).shape;
    return transpose(g(), reshape(g(), x, {sequences, tokens, s[1], s[2]}), kSwap);
  }

  // Which keys a token sees: bool [tokens, tokens]. Later ones are hidden by `causal`.
  ValueId within(int64_t window) {
    void* to = nullptr;
    Value v;
    v.dtype = TERN_DTYPE_BOOL, v.kind = ValueKind::constant, v.shape = {tokens, tokens};
    v.data = make_data((uint64_t)(tokens * tokens), &to);
    for (int64_t i = 0; i < tokens; ++i)
      for (int64_t j = 0; j < tokens; ++j) ((uint8_t*)to)[i * tokens + j] = j > i - window;
    return add_value(g(), std::move(v));
  }

  tern_status attend(const Node& node, std::vector<ValueId>* outs) {
    const PagedAttentionAttrs& a = node.attrs<PagedAttentionAttrs>();
    if (a.softcap != 0)
      return TERN_FAIL(TERN_ERR_UNSUPPORTED, "'%s': attention with capped scores is not trained", node.name.c_str());
    constexpr int64_t kSwap[] = {0, 2, 1, 3};
    const ValueId q = by_head(node.in[0]), k = by_head(node.in[1]), v = by_head(node.in[2]);
    AttentionAttrs attrs{a.scale, 1};
    const bool narrow = a.window > 0 && a.window < tokens;
    const ValueId seen =
        narrow ? emit(g(), "attention", {q, k, v, within(a.window)}, attrs) : emit(g(), "attention", {q, k, v}, attrs);
    TERN_TRY(g().status);
    const Shape s = g().value(seen).shape;
    *outs = {reshape(g(), transpose(g(), seen, kSwap), {sequences * tokens, s[1], s[3]})};
    return g().status;
  }

  tern_status append_nodes(const Graph& from) {
    for (const Node& node : from.nodes) {
      const std::string_view op = node.op->name;
      if (sequences > 0 && op == "page_write") {
        map[(size_t)node.out[0]] = map[(size_t)node.in[1]];
        continue;
      }
      Node n = node;
      bool absent = false;
      for (ValueId& v : n.in)
        if (v != kNoValue) v = map[(size_t)v], absent = absent || v == kNoValue;
      if (absent) continue;  // it needs an input that was not given: so does who reads it
      for (Graph& sub : n.subgraphs) TERN_TRY(renumber(sub));
      std::vector<ValueId> outs;
      const bool batch_norm = op == "batch_norm";
      if (batch_norm)
        for (size_t k = 3; k < 5; ++k)
          if (g().value(n.in[k]).kind == ValueKind::parameter) b.statistics_[(size_t)g().value(n.in[k]).index] = 1;
      if (batch_norm && options.train && !options.keep_statistics) TERN_TRY(train_batch_norm(n, &outs));
      else if (sequences > 0 && op == "paged_attention") TERN_TRY(attend(n, &outs));
      else TERN_TRY(b.append(std::move(n), (int32_t)node.out.size(), &outs));
      for (size_t i = 0; i < outs.size(); ++i) TERN_TRY(take_output(from.value(node.out[i]), node.out[i], outs[i]));
    }
    return TERN_OK;
  }

  // A name that a parameter has, too, means that.
  bool is_parameter(const std::string& name) {
    int32_t index = -1;
    const tern_error before = thread_error();
    const bool found = find_parameter(parameters().model->def(), name, &index) == TERN_OK;
    thread_error() = before;
    return found;
  }

  tern_status take_output(const Value& was, ValueId there, ValueId here) {
    map[(size_t)there] = here;
    if (was.name.empty()) return TERN_OK;
    tern_status status = TERN_OK;
    ValueId instead = kNoValue;
    if (!options.names.empty() && !is_parameter(was.name))
      instead = replacement(was.name, g().value(here), "value", &status);
    TERN_TRY(status);
    if (instead != kNoValue) map[(size_t)there] = instead;
    g().value(here).name = prefix + was.name;
    b.named(prefix + was.name, map[(size_t)there]);
    return TERN_OK;
  }
};

GraphBuilder::Set* GraphBuilder::find_set(std::string_view name, const Model& model) {
  for (Set& s : sets_)
    if (s.name == name) return &s;
  Set s;
  s.name = name;
  s.model = Ref<const Model>::share(&model);
  s.parameters.assign(model.def().parameters.size(), -1);
  s.states.assign(model.def().states.size(), -1);
  sources_->push_back(s.model);
  sets_.push_back(std::move(s));
  return &sets_.back();
}

namespace {

tern_status find_signature(const Model& model, std::string_view name, const Signature** out) {
  std::string known;
  for (const Signature& s : model.def().signatures) {
    if (s.name == name) return *out = &s, TERN_OK;
    known += (known.empty() ? "'" : ", '") + s.name + "'";
  }
  return TERN_FAIL(TERN_ERR_NOT_FOUND, "the model has no signature '%.*s'; there are: %s", (int)name.size(),
                   name.data(), known.c_str());
}

// Sizes of symbols within their ranges, the same wherever one stands.
tern_status check_input(const Signature& sig, size_t i, const Value& given, std::vector<int64_t>* sizes) {
  const Value& v = sig.graph.value(sig.graph.inputs[i]);
  const auto refuse = [&] {
    return TERN_FAIL(TERN_ERR_SHAPE, "input '%s' of '%s' takes %s, what is given has %s", v.name.c_str(),
                     sig.name.c_str(), to_string(v.shape).c_str(), to_string(given.shape).c_str());
  };
  if (given.dtype != v.dtype)
    return TERN_FAIL(TERN_ERR_TYPE, "input '%s' of '%s' is %s, what is given %s", v.name.c_str(), sig.name.c_str(),
                     dtype_name(v.dtype), dtype_name(given.dtype));
  if (given.shape.rank != v.shape.rank) return refuse();
  for (int a = 0; a < v.shape.rank; ++a) {
    const SymbolicDim* dim = nullptr;
    for (const SymbolicDim& d : sig.symbolic_dims)
      if (d.input == (int32_t)i && d.axis == a) dim = &d;
    const int64_t size = given.shape[a];
    if (!dim) {
      if (size != v.shape[a]) return refuse();
      continue;
    }
    const Symbol& s = sig.symbols[(size_t)dim->symbol];
    int64_t& known = (*sizes)[(size_t)dim->symbol];
    if (size < s.min || size > s.max || size % s.multiple || (known >= 0 && known != size))
      return TERN_FAIL(TERN_ERR_SHAPE,
                       "input '%s' of '%s': dim %d is %" PRId64 "; '%s' goes from %" PRId64 " to %" PRId64
                       " in steps of %" PRId64 " and is the same everywhere",
                       v.name.c_str(), sig.name.c_str(), a, size, s.name.c_str(), s.min, s.max, s.multiple);
    known = size;
  }
  return TERN_OK;
}

}  // namespace

ValueId GraphBuilder::call(std::string_view name, const Model& model, std::string_view signature,
                           std::span<const ValueId> inputs, const CallOptions& options) {
  return make([&](ValueId* first) -> tern_status {
    const Signature* sig = nullptr;
    TERN_TRY(find_signature(model, signature, &sig));
    const Graph& from = sig->graph;
    if (inputs.size() != from.inputs.size())
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "'%s' has %zu inputs, %zu are given", sig->name.c_str(),
                       from.inputs.size(), inputs.size());
    TERN_TRY(check(options.values, "tern_graph_call"));
    if (&model.context() != context_.get())
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the model belongs to another context");
    if (options.parameters && &options.parameters->model() != &model)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the parameters belong to another model");
    const std::string prefix = name.empty() ? std::string() : std::string(name) + "/";
    for (const Named& n : names_)
      if (!prefix.empty() && n.name.starts_with(prefix) && g().value(n.value).kind == ValueKind::node)
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "there is a call '%.*s' already", (int)name.size(), name.data());
    Set* set = find_set(options.set, model);
    if (set->model.get() != &model)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the set of parameters '%s' belongs to another model",
                       set->name.c_str());

    Call c{*this, prefix, options, (size_t)(set - sets_.data())};
    std::vector<ValueId> given(inputs.begin(), inputs.end());
    for (size_t i = 0; i < given.size(); ++i) {
      if (given[i] == kNoValue) continue;
      TERN_TRY(check(inputs.subspan(i, 1), "tern_graph_call"));
      given[i] = plain(given[i]);
    }
    TERN_TRY(g().status);
    if (sig->sequence_input >= 0 && sig->position_input >= 0) TERN_TRY(c.take_sequences(*sig, &given));
    std::vector<Shape> shapes;
    std::vector<int64_t> sizes(sig->symbols.size(), -1);
    for (size_t i = 0; i < given.size(); ++i) {
      if (given[i] != kNoValue) TERN_TRY(check_input(*sig, i, g().value(given[i]), &sizes));
      shapes.push_back(given[i] == kNoValue ? from.value(from.inputs[i]).shape : g().value(given[i]).shape);
    }
    Graph at;
    TERN_TRY(specialize(from, shapes, &at));
    c.map.assign(at.values.size(), kNoValue);
    c.used.assign(options.names.size(), 0);
    for (size_t i = 0; i < at.inputs.size(); ++i) c.map[(size_t)at.inputs[i]] = given[i];
    for (size_t v = 0; v < at.values.size(); ++v) TERN_TRY(c.take_value(at.values[v], &c.map[v]));
    TERN_TRY(c.append_nodes(at));
    for (size_t i = 0; i < c.used.size(); ++i)
      if (!c.used[i])
        return TERN_FAIL(TERN_ERR_NOT_FOUND, "'%s' has no parameter and no value inside it called '%s'",
                         sig->name.c_str(), options.names[i]);
    std::vector<ValueId> outs;
    for (size_t k = 0; k < at.outputs.size(); ++k) {
      outs.push_back(c.whole(c.map[(size_t)at.outputs[k]]));
      // An output that needs an input that was not given is there for nobody.
      if (outs[k] != kNoValue && !prefix.empty()) named(prefix + sig->output_names[k], outs[k]);
    }
    *first = outs.empty() ? kNoValue : outs[0];
    if (outs.size() > 1) results_.push_back({outs[0], outs});
    return TERN_OK;
  });
}

}  // namespace tern
