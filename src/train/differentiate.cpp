// SPDX-License-Identifier: Apache-2.0
#include "train/differentiate.h"

#include "ops/expand.h"
#include "ops/move.h"

namespace tern {

namespace {

struct Backward {
  Graph& g;
  std::vector<char> needed;        // per value: a float that depends on a wrt
  std::vector<ValueId> gradients;  // per value: d loss / d value so far, or kNoValue

  explicit Backward(Graph& graph) : g(graph), needed(g.values.size(), 0), gradients(g.values.size(), kNoValue) {}

  void grow() {
    needed.resize(g.values.size(), 0);
    gradients.resize(g.values.size(), kNoValue);
  }

  // Marks what depends on a wrt among the nodes [begin, end).
  void mark(size_t begin, size_t end) {
    grow();
    for (size_t i = begin; i < end; ++i) {
      bool any = false;
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
    bool reached = false, wanted = false;
    for (size_t i = 0; i < node.out.size(); ++i) {
      douts[i] = gradients[(size_t)node.out[i]];
      reached = reached || douts[i] != kNoValue;
    }
    for (ValueId v : node.in) wanted = wanted || (v != kNoValue && needed[(size_t)v]);
    if (!reached || !wanted) return TERN_OK;
    const Op& op = *node.op;
    if (op.flags & kControl)
      return TERN_FAIL(TERN_ERR_UNSUPPORTED, "no gradient passes through '%s' ('%s')", op.name, node.name.c_str());
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
};

// Removes the nodes and values behind those of the original graph that the gradients do not use.
void sweep(Graph& g, size_t num_values, size_t num_nodes, std::vector<ValueId>* gradients) {
  std::vector<char> used(g.values.size(), 0);
  for (ValueId v : *gradients) used[(size_t)v] = 1;
  std::vector<char> kept(g.nodes.size(), 0);
  for (size_t i = g.nodes.size(); i-- > num_nodes;) {
    for (ValueId v : g.nodes[i].out) kept[i] = kept[i] || used[(size_t)v];
    if (!kept[i]) continue;
    for (ValueId v : g.nodes[i].in)
      if (v != kNoValue) used[(size_t)v] = 1;
    for (ValueId v : g.nodes[i].out) used[(size_t)v] = 1;
  }
  std::vector<int32_t> node_at(g.nodes.size(), -1);
  size_t n = num_nodes;
  for (size_t i = num_nodes; i < g.nodes.size(); ++i) {
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
  for (size_t i = num_nodes; i < g.nodes.size(); ++i) {
    for (ValueId& v : g.nodes[i].in) v = v == kNoValue ? kNoValue : at[(size_t)v];
    for (ValueId& v : g.nodes[i].out) v = at[(size_t)v];
  }
  for (ValueId& v : *gradients) v = at[(size_t)v];
}

tern_status build(Graph& g, ValueId loss, std::span<const ValueId> wrt, std::vector<ValueId>* gradients) {
  const size_t num_nodes = g.nodes.size();
  Backward b(g);
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
  const tern_status s = build(g, loss, wrt, &found);
  if (s != TERN_OK) {
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
