// SPDX-License-Identifier: Apache-2.0
#include "passes/product.h"

#include <string_view>

namespace tern {

bool read_product(const Graph& g, const Node& n, const std::vector<ValueId>& outer, Product* out) {
  const auto plan_value = [&](ValueId v) { return v == kNoValue || outer.empty() ? v : outer[(size_t)v]; };
  *out = Product{};
  if (n.subgraphs.empty()) {
    out->node = &n;
    out->graph = &g;
    out->outer.resize(g.values.size());
    for (size_t i = 0; i < g.values.size(); ++i) out->outer[i] = plan_value((ValueId)i);
    out->shape = g.value(n.out[0]).shape;
  } else {
    const Graph& sub = n.subgraphs[0];
    out->node = &sub.nodes[0];
    out->graph = &sub;
    out->outer.assign(sub.values.size(), kNoValue);
    for (size_t i = 0; i < sub.inputs.size(); ++i) out->outer[(size_t)sub.inputs[i]] = plan_value(n.in[i]);
    out->shape = sub.value(sub.outputs[0]).shape;
    EpilogueMatch match(out->shape);
    ValueId value = out->node->out[0];
    for (size_t i = 1; i < sub.nodes.size(); ++i) {
      if (!match.extend(sub, sub.nodes[i], value)) return false;
      value = sub.nodes[i].out[0];
    }
    const auto outside = [&](ValueId v) { return v == kNoValue ? v : out->outer[(size_t)v]; };
    out->affine = match.affine();
    out->out_affine = match.out_affine();
    for (auto* steps : {&out->affine, &out->out_affine})
      for (EpilogueMatch::Affine& a : *steps)
        a.a = outside(a.a), a.b = outside(a.b), a.c = outside(a.c), a.d = outside(a.d);
    out->residual = outside(match.residual());
    out->residual_first = match.residual_first();
    out->activation = match.activation();
    out->last_clip = match.last_clip();
    if (out->activation && std::string_view(out->activation->op->name) == "prelu")
      out->slope = outside(out->activation->in[1]);
  }
  return true;
}

}  // namespace tern
