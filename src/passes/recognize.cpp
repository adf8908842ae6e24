// SPDX-License-Identifier: Apache-2.0
#include "passes/recognize.h"

#include <cmath>
#include <string_view>

#include "ops/elementwise.h"
#include "passes/eliminate.h"

namespace tern {
namespace {

// Reading a graph backwards from a value.
struct View {
  const Graph& g;

  const Node* producer(ValueId v, std::string_view op) const {
    if (v == kNoValue || g.value(v).producer < 0) return nullptr;
    const Node& n = g.nodes[(size_t)g.value(v).producer];
    return op == n.op->name ? &n : nullptr;
  }
  // The number that a constant of one element holds; false for anything else.
  bool number(ValueId v, double* out) const {
    const Value& value = g.value(v);
    if (value.kind != ValueKind::constant || !value.data || value.shape.elements() != 1 || !is_float(value.dtype)) {
      if (value.kind == ValueKind::node) {
        if (const Node* r = producer(v, "reshape")) return number(r->in[0], out);
      }
      return false;
    }
    *out = load_element(value.dtype, value.data.bytes, 0);
    return true;
  }
  // v = x * k (or x / k) with a number k: gives x and the factor.
  bool scaled(ValueId v, ValueId* x, double* factor) const {
    double k = 0;
    if (const Node* n = producer(v, "mul")) {
      for (int i = 0; i < 2; ++i)
        if (number(n->in[(size_t)i], &k)) return *x = n->in[(size_t)(1 - i)], *factor = k, true;
    }
    if (const Node* n = producer(v, "div"))
      if (number(n->in[1], &k) && k != 0) return *x = n->in[0], *factor = 1 / k, true;
    return false;
  }
  // v = clip(x + 3, 0, 6)
  bool clipped(ValueId v, ValueId* x) const {
    const Node* c = producer(v, "clip");
    if (!c || c->attrs<ClipAttrs>().min != 0 || c->attrs<ClipAttrs>().max != 6) return false;
    const Node* a = producer(c->in[0], "add");
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
    if (const Node* n = producer(v, "hard_sigmoid")) {
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
    if (const Node* m = producer(v, "mul"))  // x * hard_sigmoid(x)
      for (int i = 0; i < 2; ++i)
        if (hard_sigmoid(m->in[(size_t)i], &source) && source == m->in[(size_t)(1 - i)]) return *x = source, true;
    if (!scaled(v, &inner, &k) || !sixth(k)) return false;  // x * clip(x + 3, 0, 6) / 6
    const Node* m = producer(inner, "mul");
    if (!m) return false;
    for (int i = 0; i < 2; ++i)
      if (clipped(m->in[(size_t)i], &source) && source == m->in[(size_t)(1 - i)]) return *x = source, true;
    return false;
  }
  bool silu(ValueId v, ValueId* x) const {
    const Node* m = producer(v, "mul");
    if (!m) return false;
    for (int i = 0; i < 2; ++i)
      if (const Node* s = producer(m->in[(size_t)i], "sigmoid"))
        if (s->in[0] == m->in[(size_t)(1 - i)]) return *x = s->in[0], true;
    return false;
  }
  // v = relu(x) + half * (x - |x|): a prelu whose slope is twice `half`
  bool prelu(ValueId v, ValueId* x, ValueId* half) const {
    const Node* a = producer(v, "add");
    if (!a) return false;
    for (int i = 0; i < 2; ++i) {
      const Node *r = producer(a->in[(size_t)i], "relu"), *m = producer(a->in[(size_t)(1 - i)], "mul");
      if (!r || !m) continue;
      for (int k = 0; k < 2; ++k) {
        const Node* s = producer(m->in[(size_t)k], "sub");
        if (!s || s->in[0] != r->in[0]) continue;
        const Node* b = producer(s->in[1], "abs");
        if (b && b->in[0] == r->in[0]) return *x = r->in[0], *half = m->in[(size_t)(1 - k)], true;
      }
    }
    return false;
  }
};

}  // namespace

void recognize_activations(Graph& g) {
  Graph out;
  out.budget = g.budget;
  std::vector<ValueId> map(g.values.size(), kNoValue);
  for (size_t i = 0; i < g.values.size(); ++i)
    if (g.values[i].kind != ValueKind::node) map[i] = add_value(out, g.values[i]);
  for (const ValueId v : g.inputs) out.inputs.push_back(map[(size_t)v]);
  const View view{g};
  for (const Node& n : g.nodes) {
    const ValueId y = n.out.empty() ? kNoValue : n.out[0];
    ValueId x = kNoValue, half = kNoValue, made = kNoValue;
    if (n.out.size() == 1 && is_float(g.value(y).dtype)) {
      const auto same = [&] { return g.value(x).shape == g.value(y).shape; };
      if (view.hard_swish(y, &x) && same()) made = emit(out, "hard_swish", {map[(size_t)x]});
      else if (std::string_view(n.op->name) != "hard_sigmoid" && view.hard_sigmoid(y, &x) && same()) made = emit(out, "hard_sigmoid", {map[(size_t)x]}, HardSigmoidAttrs{1.0 / 6, 0.5});
      else if (view.silu(y, &x) && same()) made = emit(out, "silu", {map[(size_t)x]});
      else if (view.prelu(y, &x, &half) && same()) {
        const ValueId h = map[(size_t)half];
        made = emit(out, "prelu", {map[(size_t)x], add(out, h, h)});
      }
    }
    if (made != kNoValue) {
      map[(size_t)y] = made;
      out.value(made).name = g.value(y).name;
      continue;
    }
    // As it was: the values move over unchanged.
    Node copy = n;
    for (ValueId& v : copy.in)
      if (v != kNoValue) v = map[(size_t)v];
    for (ValueId& v : copy.out) {
      Value value = g.value(v);
      value.producer = (int32_t)out.nodes.size();
      const ValueId id = add_value(out, std::move(value));
      map[(size_t)v] = id;
      v = id;
    }
    out.nodes.push_back(std::move(copy));
  }
  for (const ValueId v : g.outputs) out.outputs.push_back(map[(size_t)v]);
  if (out.status != TERN_OK) return;  // the spelled-out graph is right too
  g = std::move(out);
  eliminate_dead(g);
}

}  // namespace tern
