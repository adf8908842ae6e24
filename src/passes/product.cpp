// SPDX-License-Identifier: Apache-2.0
#include "passes/product.h"

#include "ops/normalize.h"

namespace tern {
namespace {

Product::Affine read_affine(const Node& n, ValueId other, const std::vector<ValueId>& outer) {
  const auto outside = [&](size_t i) { return outer[(size_t)n.in[i]]; };
  if (n.op == &op_batch_norm)
    return {Product::Affine::batch_norm,      outside(1), outside(2), outside(3), outside(4),
            n.attrs<BatchNormAttrs>().epsilon};
  return {n.op == &op_add ? Product::Affine::add : Product::Affine::mul, other, kNoValue, kNoValue, kNoValue, 0};
}

}  // namespace

Product read_product(const Graph& g, const Node& n, const std::vector<ValueId>& outer) {
  const auto plan_value = [&](ValueId v) { return v == kNoValue || outer.empty() ? v : outer[(size_t)v]; };
  Product p;
  if (n.subgraphs.empty()) {
    p.node = &n;
    p.graph = &g;
    p.outer.resize(g.values.size());
    for (size_t i = 0; i < g.values.size(); ++i) p.outer[i] = plan_value((ValueId)i);
    p.shape = g.value(n.out[0]).shape;
    return p;
  }
  const Graph& sub = n.subgraphs[0];
  p.node = &sub.nodes[0];
  p.graph = &sub;
  p.outer.assign(sub.values.size(), kNoValue);
  for (size_t i = 0; i < sub.inputs.size(); ++i) p.outer[(size_t)sub.inputs[i]] = plan_value(n.in[i]);
  p.shape = sub.value(sub.outputs[0]).shape;
  for (size_t i = 1; i < sub.nodes.size(); ++i) {
    const Node& step = sub.nodes[i];
    const bool second = step.in.size() > 1 && step.in[0] == sub.nodes[i - 1].out[0];
    const ValueId other = step.in.size() > 1 ? p.outer[(size_t)step.in[second ? 1 : 0]] : kNoValue;
    switch (n.attrs<FusedAttrs>().places[i]) {
      case Place::sums: p.affine.push_back(read_affine(step, other, p.outer)); break;
      case Place::result: p.out_affine.push_back(read_affine(step, other, p.outer)); break;
      case Place::activation:
        p.activation = step_of(step);
        p.slope = other;
        break;
      case Place::residual:
        p.residual = other;
        p.residual_first = p.activation.kind == Elementwise::none;
        break;
      case Place::clip: p.last_clip = step_of(step); break;
    }
  }
  return p;
}

}  // namespace tern
