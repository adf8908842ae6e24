// SPDX-License-Identifier: Apache-2.0
#include "models/transformer.h"

#include <cinttypes>
#include <unordered_map>

#include "ops/attention.h"
#include "ops/elementwise.h"
#include "ops/gather.h"
#include "ops/normalize.h"
#include "ops/op.h"
#include "ops/pages.h"
#include "ops/reshape.h"
#include "ops/unary.h"

namespace tern {
namespace {

enum Input : int32_t { kTokens, kSequence, kPosition, kPicked };
constexpr int64_t kRowsHint = 2, kPicksHint = 1;

constexpr const char* op_of(Rounding r) {
  return r == Rounding::rows ? "bit_linear" : r == Rounding::blocks ? "rounded_linear" : "linear";
}

class Transformer {
 public:
  Transformer(const TransformerConfig& config, ModelDef& model, Signature& signature)
      : c_(config), model_(model), signature_(signature), g_(signature.graph) {
    for (size_t i = 0; i < model.parameters.size(); ++i) parameters_.emplace(model.parameters[i].name, i);
  }

  tern_status build(bool picks, bool logits);

 private:
  ValueId parameter(const std::string& name, const Shape& shape, bool needed = true);
  ValueId state(int32_t index);
  ValueId norm(ValueId x, const std::string& name, int64_t width);
  ValueId linear(ValueId x, const std::string& name, int64_t out, int64_t in);
  ValueId heads(ValueId x, int64_t count) {
    return emit(g_, "reshape", {x}, ReshapeAttrs{.shape = {0, count, c_.head_dim}});
  }
  ValueId named(ValueId v, const char* name) {
    if (v != kNoValue) g_.value(v).name = layer_ + name;
    return v;
  }
  ValueId attention(ValueId x, int64_t layer);
  ValueId mlp(ValueId x);
  ValueId gated(ValueId gate, ValueId up);

  const TransformerConfig& c_;
  ModelDef& model_;
  Signature& signature_;
  Graph& g_;
  std::unordered_map<std::string_view, size_t> parameters_;
  std::string layer_;  // "layers.{i}."
  ValueId sequence_ = kNoValue, position_ = kNoValue;
};

ValueId Transformer::parameter(const std::string& name, const Shape& shape, bool needed) {
  if (const auto at = parameters_.find(name); at != parameters_.end()) {
    const Parameter& p = model_.parameters[at->second];
    if (!(p.shape == shape)) {
      g_.status = TERN_FAIL(TERN_ERR_CORRUPT, "'%s' has the shape %s, the configuration makes it %s", name.c_str(),
                            to_string(p.shape).c_str(), to_string(shape).c_str());
      return kNoValue;
    }
    Value v;
    v.name = name, v.kind = ValueKind::parameter, v.index = (int32_t)at->second;
    v.dtype = p.dtype, v.encoding = p.encoding, v.shape = p.shape;
    return add_value(g_, std::move(v));
  }
  if (needed && g_.status == TERN_OK)
    g_.status = TERN_FAIL(TERN_ERR_CORRUPT, "the weight '%s' is missing", name.c_str());
  return kNoValue;
}

ValueId Transformer::state(int32_t index) {
  const StateDecl& s = model_.states[(size_t)index];
  Value v;
  v.name = s.name, v.kind = ValueKind::state, v.index = index, v.paged = s.paged;
  v.dtype = s.dtype, v.encoding = s.encoding, v.shape = s.shape;
  return add_value(g_, std::move(v));
}

// Without a parameter of this name x stays as it is.
ValueId Transformer::norm(ValueId x, const std::string& name, int64_t width) {
  const ValueId scale = parameter(name, {width}, false);
  if (scale == kNoValue) return x;
  return emit(g_, "rms_norm", {x, scale}, LayerNormAttrs{.axis = -1, .epsilon = c_.norm_epsilon});
}

ValueId Transformer::linear(ValueId x, const std::string& name, int64_t out, int64_t in) {
  x = norm(x, name + "_in_norm", in);
  const ValueId w = parameter(name, {out, in}), bias = parameter(name + "_bias", {out}, false);
  const char* op = op_of(c_.projections);
  return bias == kNoValue ? emit(g_, op, {x, w}) : emit(g_, op, {x, w, bias});
}

ValueId Transformer::attention(ValueId x, int64_t layer) {
  const bool local = c_.window > 0 && (c_.global_every == 0 || (layer + 1) % c_.global_every != 0);
  const RopeAttrs& rope = local ? c_.local_rope : c_.rope;
  const auto turned = [&](const char* name, const char* norm_name, int64_t count) {
    const ValueId v = heads(linear(x, layer_ + name, count * c_.head_dim, c_.hidden), count);
    return named(emit(g_, "rope", {norm(v, layer_ + norm_name, c_.head_dim), position_}, rope), name);
  };
  const ValueId q = turned("q", "q_norm", c_.heads), k = turned("k", "k_norm", c_.kv_heads);
  const ValueId v = named(heads(linear(x, layer_ + "v", c_.kv_heads * c_.head_dim, c_.hidden), c_.kv_heads), "v");
  const int32_t first = (int32_t)(2 * layer);
  const ValueId keys = emit(g_, "page_write", {state(first), k, sequence_, position_});
  const ValueId values = emit(g_, "page_write", {state(first + 1), v, sequence_, position_});
  PagedAttentionAttrs attrs;
  attrs.scale = c_.attention_scale;
  attrs.window = local ? c_.window : 0;
  const ValueId seen = emit(g_, "paged_attention", {q, keys, values, sequence_, position_}, attrs);
  const int64_t width = c_.heads * c_.head_dim;
  const ValueId y = named(emit(g_, "reshape", {seen}, ReshapeAttrs{.shape = {0, width}}), "attention");
  return norm(linear(norm(y, layer_ + "attention_sub_norm", width), layer_ + "o", c_.hidden, width),
              layer_ + "attention_post_norm", c_.hidden);
}

ValueId Transformer::gated(ValueId gate, ValueId up) {
  switch (c_.gate) {
    case Gate::silu: return mul(g_, emit(g_, "silu", {gate}), up);
    case Gate::gelu_tanh: return mul(g_, emit(g_, "gelu", {gate}, GeluAttrs{kGeluTanh}), up);
    case Gate::relu_squared: return mul(g_, square(g_, emit(g_, "relu", {gate})), up);
  }
  return kNoValue;
}

ValueId Transformer::mlp(ValueId x) {
  const ValueId gate = linear(x, layer_ + "gate", c_.ffn, c_.hidden), up = linear(x, layer_ + "up", c_.ffn, c_.hidden);
  const ValueId inner = norm(gated(gate, up), layer_ + "mlp_sub_norm", c_.ffn);
  return named(norm(linear(inner, layer_ + "down", c_.hidden, c_.ffn), layer_ + "mlp_post_norm", c_.hidden), "mlp");
}

tern_status Transformer::build(bool picks, bool logits) {
  const ValueId tokens = add_input(g_, "tokens", TERN_DTYPE_I64, {kRowsHint});
  sequence_ = add_input(g_, "sequence", TERN_DTYPE_I32, {kRowsHint});
  position_ = add_input(g_, "position", TERN_DTYPE_I64, {kRowsHint});
  const ValueId picked = picks ? add_input(g_, "picked", TERN_DTYPE_I64, {kPicksHint}) : kNoValue;
  const ValueId embed = parameter("embed", {c_.vocab, c_.hidden});
  ValueId x = emit(g_, "gather_rows", {embed, tokens});
  if (c_.embed_scale != 1) x = scaled(g_, x, c_.embed_scale);
  for (int64_t i = 0; i < c_.layers && g_.status == TERN_OK; ++i) {
    layer_ = "layers." + std::to_string(i) + ".";
    x = add(g_, x, attention(norm(x, layer_ + "attention_norm", c_.hidden), i));
    x = add(g_, x, mlp(norm(x, layer_ + "mlp_norm", c_.hidden)));
  }
  if (picks) x = emit(g_, "gather", {x, picked}, GatherAttrs{});
  x = norm(x, "norm", c_.hidden);
  if (logits) {
    const ValueId head = parameter("head", {c_.vocab, c_.hidden}, false);
    x = emit(g_, op_of(c_.head), {x, head == kNoValue ? embed : head});
    if (c_.head_softcap > 0) x = scaled(g_, emit(g_, "tanh", {scaled(g_, x, 1 / c_.head_softcap)}), c_.head_softcap);
  } else if (picks) {
    x = emit(g_, "l2_normalize", {x});
  }
  TERN_TRY(g_.status);
  const char* result = logits ? "logits" : picks ? "embedding" : "hidden";
  g_.value(x).name = result;
  g_.outputs = {x};
  signature_.output_names = {result};
  signature_.symbols.push_back({"rows", 1, INT64_MAX, kRowsHint, 1});
  for (const int32_t input : {kTokens, kSequence, kPosition}) signature_.symbolic_dims.push_back({input, 0, 0});
  if (picks) {
    signature_.symbols.push_back({"picks", 1, INT64_MAX, kPicksHint, 1});
    signature_.symbolic_dims.push_back({kPicked, 0, 1});
  }
  signature_.sequence_input = kSequence;
  signature_.position_input = kPosition;
  signature_.capacity = c_.positions;
  return TERN_OK;
}

}  // namespace

tern_status check_transformer(const TransformerConfig& c) {
  const struct {
    const char* name;
    int64_t value, most;
  } sizes[] = {{"vocabulary", c.vocab, 1 << 24}, {"hidden size", c.hidden, 1 << 20}, {"layers", c.layers, 1 << 12},
               {"heads", c.heads, 1 << 12},      {"key heads", c.kv_heads, 1 << 12}, {"head size", c.head_dim, 1 << 14},
               {"inner size", c.ffn, 1 << 22},   {"positions", c.positions, 1 << 30}};
  for (const auto& s : sizes)
    if (s.value < 1 || s.value > s.most)
      return TERN_FAIL(TERN_ERR_CORRUPT, "the %s is %" PRId64 ", allowed is 1 to %" PRId64, s.name, s.value, s.most);
  if (c.heads % c.kv_heads != 0)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%" PRId64 " heads cannot share %" PRId64 " key heads", c.heads, c.kv_heads);
  return TERN_OK;
}

tern_status build_transformer(const TransformerConfig& config, ModelDef* model) {
  TERN_TRY(check_transformer(config));
  for (int64_t i = 0; i < config.layers; ++i)
    for (const char* name : {"keys", "values"}) {
      StateDecl s;
      s.name = "layers." + std::to_string(i) + "." + name;
      s.dtype = config.cache, s.encoding = config.cache_encoding;
      s.shape = {config.positions, config.kv_heads, config.head_dim};
      s.paged = true;
      model->states.push_back(std::move(s));
    }
  const struct {
    const char* name;
    bool picks, logits;
  } signatures[] = {
      {"prefill", true, true}, {"decode", false, true}, {"embed", false, false}, {"embedding", true, false}};
  for (const auto& s : signatures) {
    if (s.picks && !s.logits && !config.embedder) continue;
    Signature signature;
    signature.name = s.name;
    TERN_TRY(Transformer(config, *model, signature).build(s.picks, s.logits));
    model->signatures.push_back(std::move(signature));
  }
  return TERN_OK;
}

}  // namespace tern
