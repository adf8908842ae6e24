// SPDX-License-Identifier: Apache-2.0
// pack_ternary: latent weights that a model rounds to -s, 0 or s (edit bit_linear) become two bits each, with exactly
// the numbers that they were rounded to.
#include "runtime/session.h"
#include "train/edits/edits.h"

namespace tern {
namespace {

// What the operator makes of the parameter, computed as a step computes it: bit by bit what was trained.
tern_status round(Context& context, const Parameter& p, Ref<Tensor>* out) {
  ModelDef def;
  def.parameters.push_back(p);
  Signature& s = def.signatures.emplace_back();
  s.name = "round", s.output_names = {"rounded"};
  Value v;
  v.name = p.name, v.kind = ValueKind::parameter, v.index = 0;
  v.dtype = p.dtype, v.encoding = p.encoding, v.shape = p.shape;
  const ValueId w = add_value(s.graph, std::move(v));
  s.graph.outputs = {cast(s.graph, emit(s.graph, "ternarize", {w}), TERN_DTYPE_F32)};
  TERN_TRY(s.graph.status);
  const Ref<Model> model = Ref<Model>::adopt(new Model(context, std::move(def), nullptr));
  std::unique_ptr<Session> session;
  Session::Options options;
  options.deterministic = true;
  TERN_TRY(Session::create(*model, options, &session));
  const Tensor* rounded = nullptr;
  TERN_TRY(session->run(0, {}, {&rounded, 1}, {}));
  *out = Ref<Tensor>::adopt(const_cast<Tensor*>(rounded));
  return TERN_OK;
}

tern_status pack(Context& context, Parameter& p) {
  Ref<Tensor> rounded;
  TERN_TRY(round(context, p, &rounded));
  Parameter packed = p;
  packed.dtype = TERN_DTYPE_F32;
  if (!find_encoding("ternary2", &packed.encoding)) return TERN_FAIL(TERN_ERR_UNSUPPORTED, "no ternary encoding");
  TERN_TRY(encoded_bytes(packed.encoding, packed.dtype, packed.shape, &packed.bytes));
  void* to = nullptr;
  packed.data = make_data(packed.bytes, &to);
  encode(packed.encoding, packed.dtype, packed.shape, (const float*)rounded->data(), to);
  p = std::move(packed);
  return TERN_OK;
}

tern_status apply(Context& context, ModelDef& model, std::string_view pattern, const Attributes&) {
  bool any = false;
  TERN_TRY(rewrite_products(model, pattern, [&](WeightProduct& p) -> ValueId {
    if (p.node.in[1] == p.weight) return emit_node(p.g, std::move(p.node));
    Value& v = p.g.value(p.weight);
    Parameter& w = model.parameters[(size_t)v.index];
    if (is_permutation(w.encoding)) p.g.status = pack(context, w);
    v.dtype = w.dtype, v.encoding = w.encoding;
    p.node.in[1] = p.weight;
    any = true;
    return emit_node(p.g, std::move(p.node));
  }));
  if (any) return TERN_OK;
  return TERN_FAIL(TERN_ERR_NOT_FOUND,
                   "no weight of '%.*s' is rounded to three numbers: the edit bit_linear comes first",
                   (int)pattern.size(), pattern.data());
}

}  // namespace

constinit const Edit edit_pack_ternary = {{.name = "pack_ternary"}, apply};

}  // namespace tern
