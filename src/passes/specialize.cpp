// SPDX-License-Identifier: Apache-2.0
#include "passes/specialize.h"

#include <algorithm>
#include <map>

#include "ops/data_sizes.h"
#include "passes/eliminate.h"

namespace tern {
namespace {

tern_status restate(const Graph& from, std::span<const Shape> shapes, FoldBudget& budget, Graph* out);

// The sub-graphs of a control node for the shapes that its operands have in g.
tern_status restate_subgraphs(const Graph& g, FoldBudget& budget, Node& n) {
  if (!is_if(n) && !is_loop(n)) return TERN_OK;
  for (Graph& sub : n.subgraphs) {
    std::vector<Shape> shapes;
    bool same = true;
    for (size_t i = 0; i < sub.inputs.size(); ++i) {
      // `if` has the condition in front; iteration and condition of a loop are scalars
      const size_t k = is_if(n) ? i + 1 : i;
      const bool own = is_loop(n) && i < 2;
      // the shape rule tells
      if (sub.inputs[i] < 0 || (size_t)sub.inputs[i] >= sub.values.size() ||
          (!own && (k >= n.in.size() || n.in[k] == kNoValue)))
        return TERN_OK;
      shapes.push_back(own ? sub.value(sub.inputs[i]).shape : g.value(n.in[k]).shape);
      same = same && shapes.back() == sub.value(sub.inputs[i]).shape;
    }
    if (same) continue;
    Graph other;
    TERN_TRY(restate(sub, shapes, budget, &other));
    sub = std::move(other);
  }
  return TERN_OK;
}

// One graph in which values are looked up, and where they are in the stage (and in what is left).
struct Scope {
  const Graph& graph;
  std::vector<ValueId> here, left;  // kNoValue in `here`: not computed in this stage

  explicit Scope(const Graph& g) : graph(g), here(g.values.size(), kNoValue), left(g.values.size(), kNoValue) {}
};

class Specializer {
 public:
  // rest NULL: samples stand in for sizes that depend on data.
  Specializer(Graph& g, Rest* rest, bool defer_writes) : g_(g), rest_(rest), defer_writes_(defer_writes) {}

  bool found_boundary() const { return boundary_; }

  tern_status run(const Graph& canonical, std::span<const Given> given) {
    Scope scope(canonical);
    add_values(scope);
    for (size_t i = 0; i < canonical.inputs.size(); ++i) {
      ValueId& v = scope.here[(size_t)canonical.inputs[i]];
      g_.inputs.push_back(v);
      Value& value = g_.value(v);
      if (value.kind != ValueKind::input) continue;
      TERN_TRY(check_shape(given[i].shape, value.name.c_str()));
      value.shape = given[i].shape;
      if (!given[i].content) continue;
      const Value known = value;
      v = add_constant(g_, known.dtype, known.shape, given[i].content);
      g_.value(v).name = known.name;
    }
    TERN_TRY(add_nodes(scope));
    for (size_t k = 0; k < canonical.outputs.size(); ++k) {
      const ValueId v = canonical.outputs[k];
      const bool here = scope.here[(size_t)v] != kNoValue;
      if (here) g_.outputs.push_back(scope.here[(size_t)v]);
      else rest_->graph.outputs.push_back(scope.left[(size_t)v]);
      if (rest_) (here ? rest_->made : rest_->left).push_back((int32_t)k);
    }
    for (Value& v : g_.values)
      if (v.kind == ValueKind::node && v.data) {
        v.kind = ValueKind::constant;
        v.producer = -1;
      }
    if (rest_) {
      for (const ValueId v : crossing_) g_.outputs.push_back(v);
      const auto settle = [&](Source& s) {
        if (s.output >= 0) s.output += (int32_t)rest_->made.size();
      };
      for (Rest::Input& in : rest_->inputs) settle(in.source);
      for (Rest::Loop& loop : rest_->loops)
        for (Source& s : loop.operands) settle(s);
      rest_->graph.budget = g_.budget;
    }
    return TERN_OK;
  }

 private:
  void add_values(Scope& scope) {
    for (size_t i = 0; i < scope.graph.values.size(); ++i)
      if (scope.graph.values[i].kind != ValueKind::node) scope.here[i] = add_value(g_, scope.graph.values[i]);
  }

  tern_status add_nodes(Scope& scope) {
    for (const Node& node : scope.graph.nodes) {
      bool late = defer_writes_ && (node.op->flags & kWritesState);
      for (const ValueId v : node.in) late = late || (v != kNoValue && scope.here[(size_t)v] == kNoValue);
      if (late) add_left(scope, node);
      else TERN_TRY(add_here(scope, node));
    }
    return TERN_OK;
  }

  tern_status add_here(Scope& scope, const Node& node) {
    Node n = node;
    for (ValueId& v : n.in)
      if (v != kNoValue) v = scope.here[(size_t)v];
    if (rest_ && is_data_sizes(n) && !g_.value(n.in[0]).data) {
      boundary_ = true;
      const ValueId v = add_left_input(scope.graph.value(node.out[0]));
      rest_->inputs.back().source = source(n.in[0]);
      rest_->inputs.back().sizes = true;
      scope.left[(size_t)node.out[0]] = v;
      return TERN_OK;
    }
    if (is_if(n) && g_.value(n.in[0]).data) return take_branch(scope, node, n);
    TERN_TRY(restate_subgraphs(g_, g_.budget, n));
    if (rest_ && is_growing_loop(n)) return add_loop(scope, node, std::move(n));
    if (is_assume(n)) {  // it holds, or the shape rule fails
      std::vector<Value> checked;
      n.out = node.out;
      TERN_TRY(infer_node(g_, n, &checked));
      scope.here[(size_t)node.out[0]] = n.in[0];
      return TERN_OK;
    }
    std::vector<ValueId> outs;
    emit_node(g_, std::move(n), (int)node.out.size(), &outs);
    TERN_TRY(g_.status);
    for (size_t i = 0; i < outs.size(); ++i) {
      scope.here[(size_t)node.out[i]] = outs[i];
      g_.value(outs[i]).name = scope.graph.value(node.out[i]).name;
    }
    return TERN_OK;
  }

  // The branch that runs, in place of the `if`. n: with operands of g_.
  tern_status take_branch(Scope& scope, const Node& node, const Node& n) {
    const Graph& branch = n.subgraphs[load_integer(TERN_DTYPE_BOOL, g_.value(n.in[0]).data.bytes, 0) ? 0 : 1];
    if (branch.inputs.size() + 1 != n.in.size() || branch.outputs.size() != node.out.size())
      return TERN_FAIL(TERN_ERR_SHAPE, "if: a sub-graph has %zu inputs and %zu outputs instead of %zu and %zu",
                       branch.inputs.size(), branch.outputs.size(), n.in.size() - 1, node.out.size());
    Scope inner(branch);
    for (size_t i = 0; i < branch.values.size(); ++i) {
      const ValueKind kind = branch.values[i].kind;
      if (kind != ValueKind::node && kind != ValueKind::input && kind != ValueKind::scalar)
        inner.here[i] = add_value(g_, branch.values[i]);
    }
    for (size_t i = 0; i < branch.inputs.size(); ++i) {
      if (n.in[i + 1] == kNoValue)
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "if: input %zu must not be absent", i + 1);
      inner.here[(size_t)branch.inputs[i]] = n.in[i + 1];
    }
    TERN_TRY(add_nodes(inner));
    for (size_t i = 0; i < node.out.size(); ++i) {
      const ValueId from = branch.outputs[i], to = node.out[i];
      const bool here = inner.here[(size_t)from] != kNoValue;
      const Value &y = here ? g_.value(inner.here[(size_t)from]) : rest_->graph.value(inner.left[(size_t)from]),
                  &claimed = scope.graph.value(to);
      if (y.dtype != claimed.dtype || y.shape.rank != claimed.shape.rank)
        return TERN_FAIL(
            TERN_ERR_SHAPE, "if: the branch that runs gives %s%s for output %zu, %d dims of %s are expected",
            dtype_name(y.dtype), to_string(y.shape).c_str(), i, claimed.shape.rank, dtype_name(claimed.dtype));
      scope.here[(size_t)to] = inner.here[(size_t)from];
      scope.left[(size_t)to] = inner.left[(size_t)from];
    }
    return TERN_OK;
  }

  tern_status add_loop(Scope& scope, const Node& node, Node n) {
    boundary_ = true;
    Rest::Loop loop;
    std::vector<Value> outs;
    n.out = node.out;
    TERN_TRY(infer_node(g_, n, &outs));
    for (const ValueId v : n.in) {
      if (v != kNoValue && !is_plain(g_.value(v).encoding))
        return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                         "loop: '%s' is encoded as %s; a loop whose sizes depend on data takes plain tensors",
                         g_.value(v).name.c_str(), encoding_name(g_.value(v).encoding));
      loop.operands.push_back(v == kNoValue ? Source{} : source(v));
    }
    for (size_t i = 0; i < node.out.size(); ++i) {
      scope.left[(size_t)node.out[i]] = add_left_input(scope.graph.value(node.out[i]));
      rest_->inputs.back().loop = (int32_t)rest_->loops.size();
      rest_->inputs.back().result = (int32_t)i;
    }
    loop.node = std::move(n);
    rest_->loops.push_back(std::move(loop));
    return TERN_OK;
  }

  // ---- what is left ----

  void add_left(Scope& scope, const Node& node) {
    Graph& r = rest_->graph;
    Node n = node;
    for (ValueId& v : n.in)
      if (v != kNoValue) v = scope.here[(size_t)v] != kNoValue ? left_of(scope.here[(size_t)v]) : scope.left[(size_t)v];
    for (ValueId& v : n.out) {
      Value value = scope.graph.value(v);
      value.data = {};
      value.producer = (int32_t)r.nodes.size();
      scope.left[(size_t)v] = add_value(r, std::move(value));
      v = scope.left[(size_t)v];
    }
    r.nodes.push_back(std::move(n));
  }

  ValueId add_left_input(const Value& like) {
    Value v;
    v.name = like.name;
    v.dtype = like.dtype;
    v.shape = like.shape;
    v.kind = ValueKind::input;
    const ValueId id = add_value(rest_->graph, std::move(v));
    rest_->graph.inputs.push_back(id);
    rest_->inputs.emplace_back();
    return id;
  }

  // A value of the stage in what is left.
  ValueId left_of(ValueId v) {
    const auto [it, fresh] = left_.emplace(v, kNoValue);
    if (!fresh) return it->second;
    const Value& value = g_.value(v);
    if (value.kind == ValueKind::parameter || value.kind == ValueKind::state || value.kind == ValueKind::constant ||
        value.data) {
      Value copy = value;
      if (value.data) copy.kind = ValueKind::constant, copy.producer = -1;
      return it->second = add_value(rest_->graph, std::move(copy));
    }
    it->second = add_left_input(value);
    if (value.kind == ValueKind::scalar) rest_->graph.value(it->second).kind = ValueKind::scalar;
    rest_->inputs.back().source = source(v);
    return it->second;
  }

  Source source(ValueId v) {
    Source s;
    const Value& value = g_.value(v);
    s.dtype = value.dtype;
    s.shape = value.shape;
    if (value.data) {
      s.constant = value.data;
      return s;
    }
    for (size_t i = 0; i < g_.inputs.size(); ++i)
      if (g_.inputs[i] == v) s.input = (int32_t)i;
    if (s.input >= 0) return s;
    size_t k = 0;
    while (k < crossing_.size() && crossing_[k] != v) ++k;
    if (k == crossing_.size()) crossing_.push_back(v);
    s.output = (int32_t)k;
    return s;
  }

  Graph& g_;
  Rest* rest_;
  const bool defer_writes_;
  bool boundary_ = false;
  std::map<ValueId, ValueId> left_;
  std::vector<ValueId> crossing_;  // values of g_ that what is left reads
};

bool writes_states(const Graph& g) {
  return std::any_of(g.nodes.begin(), g.nodes.end(), [](const Node& n) { return (n.op->flags & kWritesState) != 0; });
}

tern_status check_count(const Graph& canonical, size_t given) {
  if (given == canonical.inputs.size()) return TERN_OK;
  return TERN_FAIL(TERN_ERR_INTERNAL, "specialize: %zu shapes for %zu inputs", given, canonical.inputs.size());
}

Graph fresh(const Graph& canonical, const FoldBudget& budget) {
  Graph g;
  g.values.reserve(canonical.values.size());
  g.nodes.reserve(canonical.nodes.size());
  g.budget = budget;
  return g;
}

std::vector<Given> without_content(std::span<const Shape> shapes) {
  std::vector<Given> given;
  for (const Shape& s : shapes) given.push_back({s, nullptr});
  return given;
}

// The same canonical graph for other shapes of its inputs: every node stays.
tern_status restate(const Graph& from, std::span<const Shape> shapes, FoldBudget& budget, Graph* out) {
  Graph g = fresh(from, budget);
  std::vector<ValueId> map(from.values.size(), kNoValue);
  for (size_t i = 0; i < from.values.size(); ++i)
    if (from.values[i].kind != ValueKind::node) map[i] = add_value(g, from.values[i]);
  for (size_t i = 0; i < from.inputs.size(); ++i) {
    const ValueId v = map[(size_t)from.inputs[i]];
    g.value(v).shape = shapes[i];
    g.inputs.push_back(v);
  }
  for (const Node& node : from.nodes) {
    Node n = node;
    for (ValueId& v : n.in)
      if (v != kNoValue) v = map[(size_t)v];
    TERN_TRY(restate_subgraphs(g, g.budget, n));
    std::vector<ValueId> outs;
    emit_node(g, std::move(n), (int)node.out.size(), &outs);
    TERN_TRY(g.status);
    for (size_t i = 0; i < outs.size(); ++i) {
      map[(size_t)node.out[i]] = outs[i];
      g.value(outs[i]).name = from.value(node.out[i]).name;
    }
  }
  for (const ValueId v : from.outputs) {
    if (v < 0 || (size_t)v >= map.size())
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "a sub-graph lists a value that it does not have");
    g.outputs.push_back(map[(size_t)v]);
  }
  budget = g.budget;
  *out = std::move(g);
  return TERN_OK;
}

}  // namespace

tern_status specialize_stage(const Graph& canonical, std::span<const Given> given, Graph* out, Rest* rest) {
  TERN_TRY(check_count(canonical, given.size()));
  const bool writes = writes_states(canonical);
  for (const bool defer : {false, true}) {
    Graph g = fresh(canonical, out->budget);
    Rest left;
    Specializer s(g, &left, defer);
    TERN_TRY(s.run(canonical, given));
    if (s.found_boundary() && writes && !defer) continue;
    if (!s.found_boundary() && !left.empty())
      return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                       "sizes depend on the new content of a state, which is written at the end of a run");
    eliminate_dead(g);
    *out = std::move(g);
    *rest = std::move(left);
    break;
  }
  return TERN_OK;
}

tern_status specialize(const Graph& canonical, std::span<const Shape> input_shapes, Graph* out) {
  Rest rest;
  TERN_TRY(specialize_stage(canonical, without_content(input_shapes), out, &rest));
  if (!rest.inputs.empty() || !rest.empty())
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "sizes that depend on data cannot be planned here");
  return TERN_OK;
}

tern_status specialize_samples(const Graph& canonical, std::span<const Shape> input_shapes, Graph* out) {
  TERN_TRY(check_count(canonical, input_shapes.size()));
  Graph g = fresh(canonical, out->budget);
  Specializer s(g, nullptr, false);
  TERN_TRY(s.run(canonical, without_content(input_shapes)));
  eliminate_dead(g);
  *out = std::move(g);
  return TERN_OK;
}

}  // namespace tern
