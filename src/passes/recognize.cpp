// SPDX-License-Identifier: Apache-2.0
#include "passes/recognize.h"

#include <cmath>

#include "ops/elementwise.h"
#include "ops/ops_generated.h"
#include "passes/eliminate.h"

namespace tern {
namespace {

// Reading a graph backwards from a value.
struct View {
  const Graph& g;

  const Node* producer(ValueId v, const Op& op) const {
    if (v == kNoValue || g.value(v).producer < 0) return nullptr;
    const Node& n = g.nodes[(size_t)g.value(v).producer];
    return n.op == &op ? &n : nullptr;
  }
  // The number that a constant of one element holds; false for anything else.
  bool number(ValueId v, double* out) const {
    const Value& value = g.value(v);
    if (value.kind != ValueKind::constant || !value.data || value.shape.elements() != 1 || !is_float(value.dtype)) {
      if (value.kind == ValueKind::node) {
        if (const Node* r = producer(v, op_reshape)) return number(r->in[0], out);
      }
      return false;
    }
    *out = load_element(value.dtype, value.data.bytes, 0);
    return true;
  }
  // v = x * k (or x / k) with a number k: gives x and the factor.
  bool scaled(ValueId v, ValueId* x, double* factor) const {
    double k = 0;
    if (const Node* n = producer(v, op_mul)) {
      for (int i = 0; i < 2; ++i)
        if (number(n->in[(size_t)i], &k)) return *x = n->in[(size_t)(1 - i)], *factor = k, true;
    }
    if (const Node* n = producer(v, op_div))
      if (number(n->in[1], &k) && k != 0) return *x = n->in[0], *factor = 1 / k, true;
    return false;
  }
  // v = clip(x + 3, 0, 6)
  bool clipped(ValueId v, ValueId* x) const {
    const Node* c = producer(v, op_clip);
    if (!c || c->attrs<ClipAttrs>().min != 0 || c->attrs<ClipAttrs>().max != 6) return false;
    const Node* a = producer(c->in[0], op_add);
    if (!a) return false;
    for (int i = 0; i < 2; ++i) {
      double k = 0;
      if (number(a->in[(size_t)i], &k) && k == 3) return *x = a->in[(size_t)(1 - i)], true;
    }
    return false;
  }
  bool sixth(double k) const { return std::fabs(k - 1.0 / 6) < 1e-6; }
  // v = hard_sigmoid(x) with slope 1/6 and offset 1/2
  bool hard_sigmoid(ValueId v, ValueId* x) const {
    if (const Node* n = producer(v, op_hard_sigmoid)) {
      const HardSigmoidAttrs& a = n->attrs<HardSigmoidAttrs>();
      if (!sixth(a.alpha) || a.beta != 0.5) return false;
      return *x = n->in[0], true;
    }
    ValueId inner = kNoValue;
    double k = 0;
    return scaled(v, &inner, &k) && sixth(k) && clipped(inner, x);
  }
  bool hard_swish(ValueId v, ValueId* x) const {
    ValueId inner = kNoValue, source = kNoValue;
    double k = 0;
    if (const Node* m = producer(v, op_mul))  // x * hard_sigmoid(x)
      for (int i = 0; i < 2; ++i)
        if (hard_sigmoid(m->in[(size_t)i], &source) && source == m->in[(size_t)(1 - i)]) return *x = source, true;
    if (!scaled(v, &inner, &k) || !sixth(k)) return false;  // x * clip(x + 3, 0, 6) / 6
    const Node* m = producer(inner, op_mul);
    if (!m) return false;
    for (int i = 0; i < 2; ++i)
      if (clipped(m->in[(size_t)i], &source) && source == m->in[(size_t)(1 - i)]) return *x = source, true;
    return false;
  }
  bool silu(ValueId v, ValueId* x) const {
    const Node* m = producer(v, op_mul);
    if (!m) return false;
    for (int i = 0; i < 2; ++i)
      if (const Node* s = producer(m->in[(size_t)i], op_sigmoid))
        if (s->in[0] == m->in[(size_t)(1 - i)]) return *x = s->in[0], true;
    return false;
  }
  // v = relu(x) + half * (x - |x|): a prelu whose slope is twice `half`
  bool prelu(ValueId v, ValueId* x, ValueId* half) const {
    const Node* a = producer(v, op_add);
    if (!a) return false;
    for (int i = 0; i < 2; ++i) {
      const Node *r = producer(a->in[(size_t)i], op_relu), *m = producer(a->in[(size_t)(1 - i)], op_mul);
      if (!r || !m) continue;
      for (int k = 0; k < 2; ++k) {
        const Node* s = producer(m->in[(size_t)k], op_sub);
        if (!s || s->in[0] != r->in[0]) continue;
        const Node* b = producer(s->in[1], op_abs);
        if (b && b->in[0] == r->in[0]) return *x = r->in[0], *half = m->in[(size_t)(1 - k)], true;
      }
    }
    return false;
  }
};

}  // namespace

void recognize_activations(Graph& g) {
  struct Match {
    const Op* op = nullptr;
    ValueId x = kNoValue, half = kNoValue;
  };
  std::vector<Match> matches(g.nodes.size());
  const View view{g};
  bool any = false;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& n = g.nodes[i];
    if (n.out.size() != 1 || !is_float(g.value(n.out[0]).dtype)) continue;
    const ValueId y = n.out[0];
    Match m;
    if (view.hard_swish(y, &m.x)) m.op = &op_hard_swish;
    else if (n.op != &op_hard_sigmoid && view.hard_sigmoid(y, &m.x)) m.op = &op_hard_sigmoid;
    else if (view.silu(y, &m.x)) m.op = &op_silu;
    else if (view.prelu(y, &m.x, &m.half)) m.op = &op_prelu;
    if (!m.op || !(g.value(m.x).shape == g.value(y).shape)) continue;
    matches[i] = m;
    any = true;
  }
  if (!any) return;

  Graph out;
  out.values.reserve(g.values.size());
  out.nodes.reserve(g.nodes.size());
  out.budget = g.budget;
  std::vector<ValueId> map(g.values.size(), kNoValue);
  for (size_t i = 0; i < g.values.size(); ++i)
    if (g.values[i].kind != ValueKind::node) map[i] = add_value(out, std::move(g.values[i]));
  for (const ValueId v : g.inputs) out.inputs.push_back(map[(size_t)v]);
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    Node& n = g.nodes[i];
    const Match& m = matches[i];
    if (m.op) {
      const ValueId x = map[(size_t)m.x];
      ValueId& y = map[(size_t)n.out[0]];
      if (m.half != kNoValue) y = emit(out, m.op->name, {x, add(out, map[(size_t)m.half], map[(size_t)m.half])});
      else if (m.op == &op_hard_sigmoid) y = emit(out, m.op->name, {x}, HardSigmoidAttrs{1.0 / 6, 0.5});
      else y = emit(out, m.op->name, {x});
      if (y == kNoValue) {
        g.status = out.status;
        return;
      }
      out.value(y).name = std::move(g.value(n.out[0]).name);
      continue;
    }
    // As it was: the values move over unchanged.
    for (ValueId& v : n.in)
      if (v != kNoValue) v = map[(size_t)v];
    for (ValueId& v : n.out) {
      g.value(v).producer = (int32_t)out.nodes.size();
      v = map[(size_t)v] = add_value(out, std::move(g.value(v)));
    }
    out.nodes.push_back(std::move(n));
  }
  for (const ValueId v : g.outputs) out.outputs.push_back(map[(size_t)v]);
  g = std::move(out);
  eliminate_dead(g);
}

}  // namespace tern
