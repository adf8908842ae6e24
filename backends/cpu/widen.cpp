// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/widen.h"

#include <algorithm>

#include "backends/cpu/prepare.h"
#include "passes/eliminate.h"

namespace tern::cpu {
namespace {

bool is_half(const Value& v) { return half_of(v.dtype) != 0 && is_plain(v.encoding) && !v.paged; }

bool has_kernel(const Graph& g, const Node& n) {
  const CpuOp* op = find_cpu_op(n.op);
  return op && !op->refuses(g, n);
}

class Widening {
 public:
  explicit Widening(Graph& g) : g_(g), same_(g.values.size(), kNoValue), wide_(g.values.size(), kNoValue) {
    out_.values.reserve(2 * g.values.size());
    out_.nodes.reserve(g.nodes.size());
    out_.budget = g.budget;
  }

  void run() {
    for (size_t i = 0; i < g_.values.size(); ++i)
      if (g_.values[i].kind != ValueKind::node) same_[i] = add_value(out_, g_.values[i]);
    for (const ValueId v : g_.inputs) out_.inputs.push_back(same_[(size_t)v]);
    const tern_error before = thread_error();
    for (Node& n : g_.nodes)
      if (!cast_of_wide(n) && !widened(n)) keep(n);
    thread_error() = before;
    for (const ValueId v : g_.outputs) out_.outputs.push_back(same(v));
    if (out_.status != TERN_OK) {
      g_.status = out_.status;
      return;
    }
    g_ = std::move(out_);
    eliminate_dead(g_);
  }

 private:
  ValueId same(ValueId v) {
    if (v == kNoValue) return v;
    ValueId& s = same_[(size_t)v];
    if (s == kNoValue) s = cast(out_, wide_[(size_t)v], g_.value(v).dtype);
    return s;
  }
  ValueId wide(ValueId v) {
    ValueId& w = wide_[(size_t)v];
    if (w == kNoValue) w = cast(out_, same_[(size_t)v], TERN_DTYPE_F32);
    return w;
  }

  void keep(Node& n) {
    for (ValueId& v : n.in) v = same(v);
    for (ValueId& v : n.out) {
      Value value = g_.value(v);
      value.producer = (int32_t)out_.nodes.size();
      v = same_[(size_t)v] = add_value(out_, std::move(value));
    }
    out_.nodes.push_back(std::move(n));
  }

  // A cast of what was never rounded.
  bool cast_of_wide(const Node& n) {
    if (n.op != &op_cast || wide_[(size_t)n.in[0]] == kNoValue || !is_half(g_.value(n.in[0]))) return false;
    const ValueId x = wide_[(size_t)n.in[0]];
    const DType to = g_.value(n.out[0]).dtype;
    same_[(size_t)n.out[0]] = to == TERN_DTYPE_F32 ? x : cast(out_, x, to);
    return true;
  }

  bool widened(const Node& n) {
    if (n.op == &op_cast || (n.op->flags & (kWritesState | kControl)) || !n.subgraphs.empty() || n.out.empty())
      return false;
    const auto half = [&](ValueId v) { return v != kNoValue && is_half(g_.value(v)); };
    if (std::none_of(n.in.begin(), n.in.end(), half) && std::none_of(n.out.begin(), n.out.end(), half)) return false;
    // What only moves elements does so in the type that most of them have.
    int64_t ahead = 0;
    for (const ValueId v : n.in)
      if (half(v)) ahead += (wide_[(size_t)v] != kNoValue ? 1 : -1) * g_.value(v).shape.elements();
    if (ahead <= 0 && has_kernel(g_, n)) return false;
    return attempt(n, true) || attempt(n, false);
  }

  // Appends n in f32, if it has a kernel then or steps that may have one. with_weights: parameters stay as they are.
  bool attempt(const Node& n, bool with_weights) {
    Node c = n;
    bool any = false;
    for (ValueId& v : c.in) {
      if (v == kNoValue) continue;
      const Value& value = g_.value(v);
      const bool stays = with_weights && (value.kind == ValueKind::parameter || value.kind == ValueKind::constant);
      if (is_half(value) && !stays) v = wide(v), any = true;
      else v = same(v);
    }
    std::vector<Value> outs;
    if (!any || out_.status != TERN_OK || infer_node(out_, c, &outs) != TERN_OK) return false;
    for (size_t k = 0; k < outs.size(); ++k) {
      const Value& before = g_.value(n.out[k]);
      const DType wanted = is_half(before) ? TERN_DTYPE_F32 : before.dtype;
      if (outs[k].dtype != wanted || outs[k].encoding != before.encoding || !(outs[k].shape == before.shape))
        return false;
    }
    const size_t values = out_.values.size();
    for (size_t k = 0; k < outs.size(); ++k) {
      outs[k].kind = ValueKind::node;
      outs[k].producer = (int32_t)out_.nodes.size();
      outs[k].name = g_.value(n.out[k]).name;
      c.out[k] = add_value(out_, std::move(outs[k]));
    }
    if (!has_kernel(out_, c) && !is_composite(*c.op)) {
      out_.values.resize(values);
      return false;
    }
    for (size_t k = 0; k < c.out.size(); ++k)
      (is_half(g_.value(n.out[k])) ? wide_ : same_)[(size_t)n.out[k]] = c.out[k];
    out_.nodes.push_back(std::move(c));
    return true;
  }

  Graph& g_;
  Graph out_;
  std::vector<ValueId> same_, wide_;  // per value of g: as it is, and in f32; kNoValue: not there (yet)
};

}  // namespace

void widen_halves(Graph& g) {
  if (std::any_of(g.values.begin(), g.values.end(), is_half)) Widening(g).run();
}

}  // namespace tern::cpu
