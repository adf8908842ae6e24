// SPDX-License-Identifier: Apache-2.0
#include "train/edit.h"

#include <algorithm>
#include <cstring>

#include "base/random.h"
#include "format/checksum.h"
#include "passes/eliminate.h"
#include "runtime/parameters.h"
#include "train/names.h"

namespace tern {

tern_status set_attributes(const Op& op, Attributes* attributes, std::string_view text,
                           bool (*other)(void* user, std::string_view key, std::string_view value), void* user) {
  while (!text.empty()) {
    const size_t space = text.find(' ');
    const std::string_view one = text.substr(0, space);
    text = space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
    if (one.empty()) continue;
    const size_t equal = std::min(one.find('='), one.size());
    const std::string_view key = one.substr(0, equal), value = one.substr(std::min(equal + 1, one.size()));
    if (other && other(user, key, value)) continue;
    TERN_TRY(set_attribute(op, attributes, key, value));
  }
  return TERN_OK;
}

tern_status edit_model(const Model& model, std::string_view edit, std::string_view pattern, std::string_view attributes,
                       Ref<Model>* out) {
  std::string known;
  for (const Edit* e : all_edits()) {
    known += (known.empty() ? "" : ", ") + std::string(e->description.name);
    if (edit != e->description.name) continue;
    Attributes a;
    set_default_attributes(e->description, &a);
    TERN_TRY(set_attributes(e->description, &a, attributes));
    ModelDef def = model.def();
    TERN_TRY(e->apply(model.context(), def, pattern, a));
    *out = Ref<Model>::adopt(new Model(model.context(), std::move(def),
                                       std::make_shared<Ref<const Model>>(Ref<const Model>::share(&model)),
                                       model.max_planned_bytes()));
    return TERN_OK;
  }
  return TERN_FAIL(TERN_ERR_NOT_FOUND, "there is no edit '%.*s'; there are: %s", (int)edit.size(), edit.data(),
                   known.c_str());
}

namespace {

bool is_product(const Node& n) {
  constexpr std::string_view kProducts[] = {"linear", "bit_linear", "rounded_linear"};
  return std::find(std::begin(kProducts), std::end(kProducts), n.op->name) != std::end(kProducts);
}

// The parameter that operand 1 is, or is rounded from.
ValueId weight_of(const Graph& g, const Node& n) {
  if (!is_product(n) || n.in[1] == kNoValue) return kNoValue;
  ValueId w = n.in[1];
  if (const int32_t from = g.value(w).producer; from >= 0 && g.value(w).kind == ValueKind::node &&
                                                std::string_view(g.nodes[(size_t)from].op->name) == "ternarize")
    w = g.nodes[(size_t)from].in[0];
  return g.value(w).kind == ValueKind::parameter ? w : kNoValue;
}

tern_status rewrite(ModelDef& model, const Graph& from, std::string_view pattern,
                    const std::function<ValueId(WeightProduct&)>& make, int64_t* count, Graph* out) {
  Graph g;
  g.budget = from.budget;
  std::vector<ValueId> map(from.values.size(), kNoValue);
  for (size_t i = 0; i < from.values.size(); ++i)
    if (from.values[i].kind != ValueKind::node) map[i] = add_value(g, from.values[i]);
  for (const ValueId v : from.inputs) g.inputs.push_back(map[(size_t)v]);
  for (const Node& node : from.nodes) {
    Node n = node;
    for (ValueId& v : n.in)
      if (v != kNoValue) v = map[(size_t)v];
    std::vector<ValueId> outs;
    const ValueId w = weight_of(g, n);
    const std::string name = w == kNoValue ? std::string() : model.parameters[(size_t)g.value(w).index].name;
    if (w != kNoValue && matches_name(pattern, name)) {
      WeightProduct p{g, std::move(n), w, name};
      outs = {make(p)};
      ++*count;
    } else {
      emit_node(g, std::move(n), (int)node.out.size(), &outs);
    }
    TERN_TRY(g.status);
    for (size_t i = 0; i < outs.size(); ++i) {
      map[(size_t)node.out[i]] = outs[i];
      g.value(outs[i]).name = from.value(node.out[i]).name;
    }
  }
  for (const ValueId v : from.outputs) g.outputs.push_back(map[(size_t)v]);
  *out = std::move(g);
  return TERN_OK;
}

}  // namespace

tern_status rewrite_products(ModelDef& model, std::string_view pattern,
                             const std::function<ValueId(WeightProduct&)>& make) {
  int64_t count = 0;
  for (Signature& s : model.signatures) {
    Graph g;
    TERN_TRY(rewrite(model, s.graph, pattern, make, &count, &g));
    eliminate_dead(g);
    s.graph = std::move(g);
  }
  if (count > 0) return TERN_OK;
  std::string names;
  for (size_t i = 0; i < model.parameters.size() && i < 6; ++i)
    names += (i ? ", '" : "'") + model.parameters[i].name + "'";
  return TERN_FAIL(TERN_ERR_NOT_FOUND, "no weight of a product matches '%.*s'; parameters are called %s, ...",
                   (int)pattern.size(), pattern.data(), names.c_str());
}

ValueId added_parameter(ModelDef& model, Graph& g, const std::string& name, const Shape& shape,
                        const std::function<void(std::span<float>)>& fill) {
  int32_t index = -1;
  for (size_t i = 0; i < model.parameters.size(); ++i)
    if (model.parameters[i].name == name) index = (int32_t)i;
  if (index < 0) {
    Parameter p;
    p.name = name, p.dtype = TERN_DTYPE_F32, p.shape = shape;
    if (const tern_status s = encoded_bytes(p.encoding, p.dtype, shape, &p.bytes)) return g.status = s, kNoValue;
    void* to = nullptr;
    p.data = make_data(p.bytes, &to);
    if (fill) fill({(float*)to, (size_t)shape.elements()});
    index = (int32_t)model.parameters.size();
    model.parameters.push_back(std::move(p));
  }
  const Parameter& p = model.parameters[(size_t)index];
  if (!(p.shape == shape) || p.dtype != TERN_DTYPE_F32) {
    g.status = TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "there is a parameter '%s' of another shape already", name.c_str());
    return kNoValue;
  }
  for (size_t v = 0; v < g.values.size(); ++v)
    if (g.values[v].kind == ValueKind::parameter && g.values[v].index == index) return (ValueId)v;
  Value v;
  v.name = name, v.dtype = p.dtype, v.shape = shape, v.kind = ValueKind::parameter, v.index = index;
  return add_value(g, std::move(v));
}

void fill_uniform(int64_t seed, std::string_view name, double bound, std::span<float> to) {
  const auto place = (int64_t)(checksum64(name.data(), name.size()) % (uint64_t)RandomDraw::kMostPlaces);
  RandomDraw{seed, 0, place}.uniform(0, (int64_t)to.size(), (float)-bound, (float)(2 * bound), to.data());
}

}  // namespace tern
