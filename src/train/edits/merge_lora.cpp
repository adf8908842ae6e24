// SPDX-License-Identifier: Apache-2.0
// merge_lora: W becomes W + factor * B A for weights that the edit lora gave A and B, which are gone then. Weights of a
// few bits, and latent weights that are rounded to such, would lose what was learnt: they are refused.
#include <algorithm>

#include "ops/op.h"
#include "passes/eliminate.h"
#include "train/edits/edits.h"
#include "train/names.h"

namespace tern {
namespace {

// The parts of add(product, mul(linear(linear(x, a), b), factor)).
struct Branch {
  ValueId product, weight, a, b;
  double factor;
  bool same_operand;  // the product is that of the weight itself with what the branch reads
};

const Node* producer(const Graph& g, ValueId v, std::string_view op) {
  const int32_t n = v == kNoValue || g.value(v).kind != ValueKind::node ? -1 : g.value(v).producer;
  return n >= 0 && op == g.nodes[(size_t)n].op->name ? &g.nodes[(size_t)n] : nullptr;
}

bool find_branch(const ModelDef& model, const Graph& g, const Node& add, Branch* out) {
  if (std::string_view(add.op->name) != "add") return false;
  const Node* scale = producer(g, add.in[1], "mul");
  const Node* up = scale ? producer(g, scale->in[0], "linear") : nullptr;
  const Node* down = up ? producer(g, up->in[0], "linear") : nullptr;
  if (!down || !g.value(scale->in[1]).data) return false;
  const auto named = [&](ValueId v, std::string_view end) {
    return g.value(v).kind == ValueKind::parameter && model.parameters[(size_t)g.value(v).index].name.ends_with(end);
  };
  if (!named(up->in[1], ".lora_b") || !named(down->in[1], ".lora_a")) return false;
  const std::string& name = model.parameters[(size_t)g.value(up->in[1]).index].name;
  const std::string_view of(name.data(), name.size() - sizeof ".lora_b" + 1);
  for (size_t v = 0; v < g.values.size(); ++v)
    if (g.values[v].kind == ValueKind::parameter && model.parameters[(size_t)g.values[v].index].name == of) {
      const Value& sum = g.value(add.in[0]);
      const Node* p = sum.kind == ValueKind::node ? &g.nodes[(size_t)sum.producer] : nullptr;
      *out = {add.in[0],
              (ValueId)v,
              down->in[1],
              up->in[1],
              load_element(g.value(scale->in[1]).dtype, g.value(scale->in[1]).data.bytes, 0),
              p && p->in.size() > 1 && p->in[0] == down->in[0] && p->in[1] == (ValueId)v};
      return true;
    }
  return false;
}

std::vector<float> floats(const Parameter& p) {
  std::vector<float> all((size_t)p.shape.elements());
  if (is_plain(p.encoding))
    for (size_t i = 0; i < all.size(); ++i) all[i] = (float)load_element(p.dtype, p.data.bytes, (int64_t)i);
  else decode(p.encoding, p.dtype, p.shape, p.data.bytes, all.data());
  return all;
}

tern_status merge(Parameter& w, const Parameter& a, const Parameter& b, double factor) {
  if (!is_permutation(w.encoding))
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "'%s' is stored as %s: what was learnt would be lost in it. Keep the adapter beside it, or import "
                     "the model with --weights f16",
                     w.name.c_str(), encoding_name(w.encoding));
  std::vector<float> sum = floats(w);
  const std::vector<float> down = floats(a), up = floats(b);
  const int64_t rank = a.shape[0], cols = w.shape[1];
  for (int64_t i = 0; i < w.shape[0]; ++i)
    for (int64_t r = 0; r < rank; ++r) {
      const float f = (float)factor * up[(size_t)(i * rank + r)];
      for (int64_t j = 0; j < cols; ++j) sum[(size_t)(i * cols + j)] += f * down[(size_t)(r * cols + j)];
    }
  void* to = nullptr;
  w.data = make_data(w.bytes, &to);
  if (is_plain(w.encoding))
    for (size_t i = 0; i < sum.size(); ++i) store_element(w.dtype, to, (int64_t)i, sum[i]);
  else encode(w.encoding, w.dtype, w.shape, sum.data(), to);
  return TERN_OK;
}

tern_status apply(Context&, ModelDef& model, std::string_view pattern, const Attributes&) {
  std::vector<int32_t> merged;
  for (Signature& s : model.signatures) {
    Graph& g = s.graph;
    for (size_t i = 0; i < g.nodes.size(); ++i) {
      Branch found;
      if (!find_branch(model, g, g.nodes[i], &found)) continue;
      const int32_t w = g.value(found.weight).index;
      if (!matches_name(pattern, model.parameters[(size_t)w].name)) continue;
      if (!found.same_operand)
        return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                         "'%s' is rounded, or what it is multiplied with was normalised, after its adapter was added: "
                         "merged, it would be another function. Keep the adapter beside it",
                         model.parameters[(size_t)w].name.c_str());
      if (std::find(merged.begin(), merged.end(), w) == merged.end()) {
        TERN_TRY(merge(model.parameters[(size_t)w], model.parameters[(size_t)g.value(found.a).index],
                       model.parameters[(size_t)g.value(found.b).index], found.factor));
        merged.push_back(w);
      }
      const ValueId sum = g.nodes[i].out[0];
      std::swap(g.value(found.product).name, g.value(sum).name);
      replace_value(g, sum, found.product);
    }
    eliminate_dead(g);
  }
  if (merged.empty())
    return TERN_FAIL(TERN_ERR_NOT_FOUND, "no weight of '%.*s' has an adapter", (int)pattern.size(), pattern.data());
  eliminate_parameters(model);
  return TERN_OK;
}

}  // namespace

constinit const Edit edit_merge_lora = {{.name = "merge_lora"}, apply};

}  // namespace tern
