// SPDX-License-Identifier: Apache-2.0
#include "train/differentiate.h"

#include "ops/control.h"
#include "ops/expand.h"
#include "ops/gather.h"
#include "ops/move.h"

namespace tern {

namespace {

// Removes the nodes and values behind those of the original graph that the gradients do not use.
void sweep(Graph& g, size_t num_values, size_t num_nodes, std::vector<ValueId>* gradients) {
  std::vector<char> used(g.values.size(), 0);
  for (ValueId v : *gradients) used[(size_t)v] = 1;
  std::vector<char> kept(g.nodes.size(), 0);
  for (size_t i = g.nodes.size(); i-- > 0;) {
    kept[i] = i < num_nodes;
    for (ValueId v : g.nodes[i].out) kept[i] = kept[i] || used[(size_t)v];
    if (!kept[i]) continue;
    for (ValueId v : g.nodes[i].in)
      if (v != kNoValue) used[(size_t)v] = 1;
    for (ValueId v : g.nodes[i].out) used[(size_t)v] = 1;
  }
  std::vector<int32_t> node_at(g.nodes.size(), -1);
  size_t n = 0;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (!kept[i]) continue;
    node_at[i] = (int32_t)n;
    if (n != i) g.nodes[n] = std::move(g.nodes[i]);
    ++n;
  }
  g.nodes.resize(n);
  std::vector<ValueId> at(g.values.size());
  size_t m = num_values;
  for (size_t v = 0; v < g.values.size(); ++v) {
    at[v] = (ValueId)(v < num_values ? v : m);
    if (v < num_values || !used[v]) continue;
    if (g.values[v].producer >= 0) g.values[v].producer = node_at[(size_t)g.values[v].producer];
    if (m != v) g.values[m] = std::move(g.values[v]);
    ++m;
  }
  g.values.resize(m);
  for (Node& node : g.nodes) {
    for (ValueId& v : node.in) v = v == kNoValue ? kNoValue : at[(size_t)v];
    for (ValueId& v : node.out) v = at[(size_t)v];
  }
  for (ValueId& v : *gradients) v = at[(size_t)v];
}

// Copies the nodes of `from` behind those of `to`. map: values of `from` in `to`; those of its inputs are given.
void append_graph(Graph& to, const Graph& from, std::vector<ValueId>* map) {
  for (size_t v = 0; v < from.values.size(); ++v)
    if ((*map)[v] == kNoValue && from.values[v].kind != ValueKind::node) (*map)[v] = add_value(to, from.values[v]);
  for (const Node& node : from.nodes) {
    Node n = node;
    for (ValueId& v : n.in)
      if (v != kNoValue) v = (*map)[(size_t)v];
    for (ValueId& v : n.out) {
      Value value = from.value(v);
      value.producer = (int32_t)to.nodes.size();
      v = (*map)[(size_t)v] = add_value(to, std::move(value));
    }
    to.nodes.push_back(std::move(n));
  }
}

// An input like `v`.
ValueId add_input_like(Graph& g, const Value& v) {
  const ValueId id = add_input(g, v.name, v.dtype, v.shape);
  g.value(id).encoding = v.encoding;
  return id;
}

struct Backward {
  Graph& g;
  std::vector<char> needed;                      // per value: a float that depends on a wrt
  std::vector<ValueId> gradients;                // per value: d loss / d value so far, or kNoValue
  std::vector<std::pair<size_t, Node>> changed;  // loops that were given more outputs, as they were before

  explicit Backward(Graph& graph) : g(graph), needed(g.values.size(), 0), gradients(g.values.size(), kNoValue) {}

  void grow() {
    needed.resize(g.values.size(), 0);
    gradients.resize(g.values.size(), kNoValue);
  }

  // Marks what depends on a wrt among the nodes [begin, end).
  void mark(size_t begin, size_t end) {
    grow();
    for (size_t i = begin; i < end; ++i) {
      bool any = !wanted_parameters(g.nodes[i]).empty();
      for (ValueId v : g.nodes[i].in) any = any || (v != kNoValue && needed[(size_t)v]);
      for (ValueId v : g.nodes[i].out)
        if (any && is_float(g.value(v).dtype)) needed[(size_t)v] = 1;
    }
  }

  // A gradient in the type and shape of its value: sums over what was broadcast.
  ValueId fitted(ValueId d, ValueId v) {
    const Shape want = g.value(v).shape;
    Shape have = g.value(d).shape;
    if (!(have == want)) {
      IntList axes;
      Shape kept = want;
      bool wider = false;  // the gradient itself is a broadcast
      for (int i = 0; i < have.rank; ++i) {
        const int k = i - (have.rank - want.rank);
        if (k < 0 || (want[k] == 1 && have[i] != 1)) axes[axes.count++] = i;
        else if (have[i] != want[k]) wider = true;
      }
      if (axes.count) {
        for (int k = 0; k < want.rank; ++k) {
          const int i = k + (have.rank - want.rank);
          kept[k] = i < 0 || (have[i] == 1 && want[k] != 1) ? 1 : want[k];
        }
        d = reshape(g, reduce_sum(g, d, {axes.begin(), (size_t)axes.count}, true), kept);
      }
      if (wider || have.rank < want.rank) {
        ExpandAttrs p;
        p.shape.count = want.rank;
        for (int k = 0; k < want.rank; ++k) p.shape[k] = want[k];
        d = emit(g, "expand", {d}, p);
      }
    }
    if (g.status == TERN_OK && g.value(d).dtype != g.value(v).dtype) d = cast(g, d, g.value(v).dtype);
    return d;
  }

  void add_gradient(ValueId v, ValueId d) {
    if (d == kNoValue || !needed[(size_t)v]) return;
    d = fitted(d, v);
    const ValueId sum = gradients[(size_t)v] == kNoValue ? d : add(g, gradients[(size_t)v], d);
    if (g.status != TERN_OK) return;
    grow();
    gradients[(size_t)v] = sum;
  }

  // Carries gradients from the outputs of the nodes [begin, end) to their inputs, last node first.
  tern_status run(size_t begin, size_t end) {
    for (size_t i = end; i-- > begin;) TERN_TRY(through(i));
    return TERN_OK;
  }

  tern_status through(size_t index) {
    const Node node = g.nodes[index];
    std::vector<ValueId> douts(node.out.size(), kNoValue), dins(node.in.size(), kNoValue);
    bool reached = false, wanted = !wanted_parameters(node).empty();
    for (size_t i = 0; i < node.out.size(); ++i) {
      douts[i] = gradients[(size_t)node.out[i]];
      reached = reached || douts[i] != kNoValue;
    }
    for (ValueId v : node.in) wanted = wanted || (v != kNoValue && needed[(size_t)v]);
    if (!reached || !wanted) return TERN_OK;
    const Op& op = *node.op;
    if (op.flags & kControl) return through_control(index, node, douts);
    if (op.vjp) {
      VjpArgs args{g, node, douts.data(), dins.data()};
      op.vjp(args);
      TERN_TRY(g.status);
      grow();
      for (size_t i = 0; i < node.in.size(); ++i)
        if (node.in[i] != kNoValue) add_gradient(node.in[i], dins[i]);
      return g.status;
    }
    if (!op.decompose) return TERN_OK;
    const size_t begin = g.nodes.size();
    std::vector<ValueId> outs(node.out.size(), kNoValue);
    DecomposeArgs args{g, node, outs.data()};
    op.decompose(args);
    TERN_TRY(g.status);
    const size_t end = g.nodes.size();
    for (size_t i = begin; i < end; ++i) g.nodes[i].origin = op.name;
    mark(begin, end);
    for (size_t i = 0; i < outs.size(); ++i)
      if (douts[i] != kNoValue && outs[i] != kNoValue) add_gradient(outs[i], douts[i]);
    TERN_TRY(g.status);
    return run(begin, end);
  }

  // ---- sub-graphs
  //
  // The gradient of a control node is another one, whose sub-graphs compute those of the first again and then go back
  // through them.

  // Parameters that the sub-graphs of a node read by themselves and whose gradients are wanted, as values of g.
  std::vector<ValueId> wanted_parameters(const Node& n) const {
    std::vector<ValueId> list;
    if (n.subgraphs.empty()) return list;
    for (size_t v = 0; v < needed.size(); ++v) {
      if (!needed[v] || g.values[v].kind != ValueKind::parameter) continue;
      bool read = false;
      for (const Graph& sub : n.subgraphs)
        for_each_graph(sub, [&](const Graph& inner) {
          for (const Value& p : inner.values)
            read = read || (p.kind == ValueKind::parameter && p.index == g.values[v].index);
        });
      if (read) list.push_back((ValueId)v);
    }
    return list;
  }

  // Operands of a control node from `first` on whose gradients are wanted.
  std::vector<size_t> wanted_operands(const Node& n, size_t first) const {
    std::vector<size_t> list;
    for (size_t i = first; i < n.in.size(); ++i)
      if (n.in[i] != kNoValue && needed[(size_t)n.in[i]] && is_float(g.value(n.in[i]).dtype)) list.push_back(i);
    return list;
  }

  // In this graph, which is to become a sub-graph: computes `body` (values in `map`) and goes back from its outputs.
  // seeds: what arrives at each output, or kNoValue. Gives d / d of each of `wrt`, and of `parameters` of `outer`.
  tern_status through_body(const Graph& body, std::vector<ValueId>* map, std::span<const ValueId> seeds,
                           std::span<const ValueId> wrt, const Graph& outer, std::span<const ValueId> parameters,
                           std::vector<ValueId>* out) {
    const size_t begin = g.nodes.size();
    append_graph(g, body, map);
    const size_t end = g.nodes.size();
    grow();
    for (const ValueId v : wrt) needed[(size_t)v] = 1;
    const auto is_twin = [&](const Value& v, ValueId p) {
      return v.kind == ValueKind::parameter && v.index == outer.value(p).index;
    };
    for (size_t v = 0; v < g.values.size(); ++v)
      for (const ValueId p : parameters) needed[v] = needed[v] || is_twin(g.values[v], p);
    // Nested sub-graphs may read a parameter that this one does not.
    for (const ValueId p : parameters) {
      bool here = false;
      for (const Value& v : g.values) here = here || is_twin(v, p);
      if (!here) (void)add_value(g, outer.value(p)), needed.push_back(1), gradients.push_back(kNoValue);
    }
    mark(begin, end);
    for (size_t k = 0; k < seeds.size(); ++k) {
      const ValueId v = (*map)[(size_t)body.outputs[k]];
      if (seeds[k] != kNoValue && g.value(v).shape == g.value(seeds[k]).shape) add_gradient(v, seeds[k]);
    }
    TERN_TRY(g.status);
    TERN_TRY(run(begin, end));
    const auto found = [&](ValueId v) {
      const ValueId d = gradients[(size_t)v];
      return d != kNoValue ? d : filled(g, g.value(v).dtype, g.value(v).shape, 0);
    };
    for (const ValueId v : wrt) out->push_back(found(v));
    for (const ValueId p : parameters) {
      ValueId sum = kNoValue;
      for (size_t v = 0, n = needed.size(); v < n; ++v)
        if (is_twin(g.values[v], p)) sum = sum == kNoValue ? found((ValueId)v) : add(g, sum, found((ValueId)v));
      out->push_back(sum);
    }
    return g.status;
  }

  tern_status through_control(size_t index, const Node& node, std::span<const ValueId> douts) {
    for (const Graph& sub : node.subgraphs) {
      bool writes = false;
      for_each_graph(sub, [&](const Graph& inner) {
        for (const Node& n : inner.nodes) writes = writes || (n.op->flags & kWritesState);
      });
      if (writes)
        return TERN_FAIL(TERN_ERR_UNSUPPORTED, "no gradient passes through '%s' ('%s'): it writes states",
                         node.op->name, node.name.c_str());
    }
    return node.subgraphs.size() == 2 ? through_if(node, douts) : through_loop(index, douts);
  }

  tern_status through_if(const Node& node, std::span<const ValueId> douts) {
    const std::vector<size_t> operands = wanted_operands(node, 1);
    const std::vector<ValueId> parameters = wanted_parameters(node);
    Node n;
    n.op = node.op;
    n.in = node.in;
    for (const ValueId d : douts)
      if (d != kNoValue) n.in.push_back(d);
    for (const Graph& branch : node.subgraphs) {
      Graph sub;
      std::vector<ValueId> map(branch.values.size(), kNoValue), seeds(douts.size(), kNoValue), wrt, results;
      for (size_t i = 0; i < branch.inputs.size(); ++i)
        map[(size_t)branch.inputs[i]] = add_input_like(sub, g.value(node.in[i + 1]));
      for (size_t k = 0; k < douts.size(); ++k)
        if (douts[k] != kNoValue) seeds[k] = add_input_like(sub, g.value(douts[k]));
      for (const size_t i : operands) wrt.push_back(sub.inputs[i - 1]);
      const size_t inputs = sub.values.size();
      TERN_TRY(Backward(sub).through_body(branch, &map, seeds, wrt, g, parameters, &results));
      sweep(sub, inputs, 0, &results);
      sub.outputs = std::move(results);
      n.subgraphs.push_back(std::move(sub));
    }
    std::vector<ValueId> outs;
    emit_node(g, std::move(n), (int)(operands.size() + parameters.size()), &outs);
    TERN_TRY(g.status);
    grow();
    for (size_t k = 0; k < operands.size(); ++k) add_gradient(node.in[operands[k]], outs[k]);
    for (size_t k = 0; k < parameters.size(); ++k) add_gradient(parameters[k], outs[operands.size() + k]);
    return g.status;
  }

  // Gives a loop more outputs: the number of iterations that ran (*count; a constant if nothing ends it early), and
  // each carried value at the begin of each iteration (*kept).
  tern_status keep_carried(size_t index, int64_t trips, ValueId* count, std::vector<ValueId>* kept) {
    changed.push_back({index, g.nodes[index]});
    Node node = g.nodes[index];
    Graph& body = node.subgraphs[0];
    node.in.resize(std::max<size_t>(node.in.size(), 2), kNoValue);
    const size_t carried = (size_t)node.attrs<LoopAttrs>().num_carried;
    const ValueId again = body.outputs[0];
    const bool passed_on = again == body.inputs[1],
               always = body.value(again).data && load_integer(TERN_DTYPE_BOOL, body.value(again).data.bytes, 0);
    const bool whole = node.in[1] == kNoValue && (passed_on || always);
    std::vector<ValueId> outs = node.out;
    if (whole) {
      *count = add_constant(g, TERN_DTYPE_I64, Shape{}, &trips);
    } else {
      const int64_t zero = 0;
      const ValueId before = add_input(body, "iterations", TERN_DTYPE_I64, Shape{});
      body.inputs.pop_back();
      body.inputs.insert(body.inputs.begin() + (ptrdiff_t)(2 + carried), before);
      body.outputs.insert(body.outputs.begin() + (ptrdiff_t)(1 + carried),
                          add(body, before, scalar_like(body, before, 1)));
      TERN_TRY(body.status);
      node.in.insert(node.in.begin() + (ptrdiff_t)(2 + carried), add_constant(g, TERN_DTYPE_I64, Shape{}, &zero));
      node.attrs<LoopAttrs>().num_carried += 1;
      outs.insert(outs.begin() + (ptrdiff_t)carried, kNoValue);
    }
    for (size_t i = 0; i < carried; ++i) {
      body.outputs.push_back(body.inputs[2 + i]);
      outs.push_back(kNoValue);
    }
    node.out = outs;
    std::vector<Value> values;
    TERN_TRY(infer_node(g, node, &values));
    for (size_t k = 0; k < outs.size(); ++k) {
      if (outs[k] != kNoValue) continue;
      values[k].producer = (int32_t)index;
      outs[k] = add_value(g, std::move(values[k]));
    }
    node.out = outs;
    if (!whole) *count = outs[carried];
    kept->assign(outs.end() - (ptrdiff_t)carried, outs.end());
    g.nodes[index] = std::move(node);
    grow();
    return TERN_OK;
  }

  // Iterations backwards: carried are the gradients of the carried values and the sums of those of the operands.
  tern_status through_loop(size_t index, std::span<const ValueId> douts) {
    const Node node = g.nodes[index];
    const Graph& body = node.subgraphs[0];
    const size_t carried = (size_t)node.attrs<LoopAttrs>().num_carried;
    const auto refuse = [&](const char* why) {
      return TERN_FAIL(TERN_ERR_UNSUPPORTED, "no gradient passes through 'loop' ('%s'): %s", node.name.c_str(), why);
    };
    if (node.attrs<LoopAttrs>().grows) return refuse("its carried values may change their shape");
    if (node.in.empty() || node.in[0] == kNoValue || !g.value(node.in[0]).data)
      return refuse("its largest number of iterations must follow from constants and dims");
    const int64_t trips = load_integer(TERN_DTYPE_I64, g.value(node.in[0]).data.bytes, 0);
    if (trips <= 0) {
      for (size_t i = 0; i < carried; ++i) add_gradient(node.in[2 + i], douts[i]);
      return g.status;
    }
    ValueId count = kNoValue;
    std::vector<ValueId> kept;
    TERN_TRY(keep_carried(index, trips, &count, &kept));

    const std::vector<size_t> operands = wanted_operands(node, 2 + carried);
    const std::vector<ValueId> parameters = wanted_parameters(node);
    std::vector<size_t> floats;  // carried values that have gradients
    for (size_t i = 0; i < carried; ++i)
      if (is_float(g.value(node.in[2 + i]).dtype)) floats.push_back(i);
    Node n;
    n.op = node.op;
    n.in = {count, kNoValue};
    const auto zeros = [&](ValueId v) { return filled(g, g.value(v).dtype, g.value(v).shape, 0); };
    for (const size_t i : floats) n.in.push_back(douts[i] != kNoValue ? douts[i] : zeros(node.in[2 + i]));
    for (const size_t i : operands) n.in.push_back(zeros(node.in[i]));
    for (const ValueId v : parameters) n.in.push_back(zeros(v));
    n.attrs<LoopAttrs>().num_carried = (int64_t)n.in.size() - 2;
    TERN_TRY(g.status);
    grow();

    Graph sub;
    const ValueId step = add_input(sub, "step", TERN_DTYPE_I64, Shape{}),
                  again = add_input(sub, "again", TERN_DTYPE_BOOL, Shape{});
    for (size_t k = 2; k < n.in.size(); ++k) {
      add_input_like(sub, g.value(n.in[k]));
      sub.value(sub.inputs.back()).encoding = Encoding::plain;
    }
    const auto capture = [&](ValueId v) {
      n.in.push_back(v);
      return add_input_like(sub, g.value(v));
    };
    const ValueId ran = capture(count);
    std::vector<ValueId> map(body.values.size(), kNoValue), stacks, arriving(douts.size(), kNoValue);
    for (const ValueId v : kept) stacks.push_back(capture(v));
    for (size_t k = carried; k < douts.size(); ++k)
      if (douts[k] != kNoValue) arriving[k] = capture(douts[k]);
    for (size_t i = 2 + carried; i < node.in.size(); ++i) map[(size_t)body.inputs[i]] = capture(node.in[i]);
    const size_t inputs = sub.values.size();
    const ValueId iteration = emit(sub, "sub", {emit(sub, "sub", {ran, scalar_like(sub, ran, 1)}), step});
    const auto row = [&](ValueId v) { return emit(sub, "gather", {v, iteration}, GatherAttrs{0}); };
    const uint8_t yes = 1;
    map[(size_t)body.inputs[0]] = iteration;
    map[(size_t)body.inputs[1]] = add_constant(sub, TERN_DTYPE_BOOL, Shape{}, &yes);
    for (size_t i = 0; i < carried; ++i) map[(size_t)body.inputs[2 + i]] = row(stacks[i]);
    std::vector<ValueId> seeds(body.outputs.size(), kNoValue), wrt, results;
    for (size_t k = 0; k < floats.size(); ++k) seeds[1 + floats[k]] = sub.inputs[2 + k];
    for (size_t k = carried; k < douts.size(); ++k)
      if (arriving[k] != kNoValue) seeds[1 + k] = row(arriving[k]);
    TERN_TRY(sub.status);
    for (const size_t i : floats) wrt.push_back(map[(size_t)body.inputs[2 + i]]);
    for (const size_t i : operands) wrt.push_back(map[(size_t)body.inputs[i]]);
    TERN_TRY(Backward(sub).through_body(body, &map, seeds, wrt, g, parameters, &results));
    for (size_t k = floats.size(); k < results.size(); ++k) results[k] = add(sub, sub.inputs[2 + k], results[k]);
    TERN_TRY(sub.status);
    results.insert(results.begin(), again);
    sweep(sub, inputs, 0, &results);
    sub.outputs = std::move(results);
    n.subgraphs.push_back(std::move(sub));

    std::vector<ValueId> outs;
    emit_node(g, std::move(n), (int)(floats.size() + operands.size() + parameters.size()), &outs);
    TERN_TRY(g.status);
    grow();
    size_t k = 0;
    for (const size_t i : floats) add_gradient(node.in[2 + i], outs[k++]);
    for (const size_t i : operands) add_gradient(node.in[i], outs[k++]);
    for (const ValueId v : parameters) add_gradient(v, outs[k++]);
    return g.status;
  }
};

tern_status build(Backward& b, ValueId loss, std::span<const ValueId> wrt, std::vector<ValueId>* gradients) {
  Graph& g = b.g;
  const size_t num_nodes = g.nodes.size();
  for (ValueId v : wrt) b.needed[(size_t)v] = 1;
  b.mark(0, num_nodes);
  if (b.needed[(size_t)loss]) {
    const ValueId one = filled(g, g.value(loss).dtype, g.value(loss).shape, 1);
    TERN_TRY(g.status);
    b.grow();
    b.gradients[(size_t)loss] = one;
  }
  TERN_TRY(b.run(0, num_nodes));
  for (ValueId v : wrt) {
    const ValueId d = b.gradients[(size_t)v];
    gradients->push_back(d != kNoValue ? d : filled(g, g.value(v).dtype, g.value(v).shape, 0));
  }
  return g.status;
}

}  // namespace

tern_status differentiate(Graph& g, ValueId loss, std::span<const ValueId> wrt, std::vector<ValueId>* gradients) {
  TERN_TRY(g.status);
  const auto known = [&](ValueId v) { return v >= 0 && (size_t)v < g.values.size(); };
  for (ValueId v : wrt)
    if (!known(v) || !is_float(g.value(v).dtype))
      return TERN_FAIL(TERN_ERR_TYPE, "differentiate: value %" PRId32 " is not a float of this graph", v);
  if (!known(loss) || !is_float(g.value(loss).dtype))
    return TERN_FAIL(TERN_ERR_TYPE, "differentiate: the loss is not a float of this graph");
  if (g.value(loss).shape.elements() != 1)
    return TERN_FAIL(TERN_ERR_SHAPE, "differentiate: the loss has shape %s, one element is needed",
                     to_string(g.value(loss).shape).c_str());
  const size_t num_values = g.values.size(), num_nodes = g.nodes.size();
  std::vector<ValueId> found;
  Backward backward(g);
  const tern_status s = build(backward, loss, wrt, &found);
  if (s != TERN_OK) {
    for (auto& [index, node] : backward.changed) g.nodes[index] = std::move(node);
    g.values.resize(num_values);
    g.nodes.resize(num_nodes);
    g.status = TERN_OK;
    return s;
  }
  sweep(g, num_values, num_nodes, &found);
  *gradients = std::move(found);
  return TERN_OK;
}

}  // namespace tern
