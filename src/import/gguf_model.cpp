// SPDX-License-Identifier: Apache-2.0
// Language models of GGUF files.
#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstring>

#include "base/capability.h"
#include "import/gguf.h"
#include "import/language.h"

namespace tern {
namespace {

struct Name {
  std::string_view theirs, ours;
};
constexpr Name kWhole[] = {{"token_embd.weight", "embed"}, {"output_norm.weight", "norm"}, {"output.weight", "head"}};
constexpr Name kOfLayer[] = {
    {"attn_norm.weight", "attention_norm"},
    {"attn_q.weight", "q"},
    {"attn_k.weight", "k"},
    {"attn_v.weight", "v"},
    {"attn_output.weight", "o"},
    {"attn_q.bias", "q_bias"},
    {"attn_k.bias", "k_bias"},
    {"attn_v.bias", "v_bias"},
    {"attn_output.bias", "o_bias"},
    {"attn_q_norm.weight", "q_norm"},
    {"attn_k_norm.weight", "k_norm"},
    {"attn_sub_norm.weight", "attention_sub_norm"},
    {"post_attention_norm.weight", "attention_post_norm"},
    {"ffn_norm.weight", "mlp_norm"},
    {"ffn_gate.weight", "gate"},
    {"ffn_up.weight", "up"},
    {"ffn_down.weight", "down"},
    {"ffn_sub_norm.weight", "mlp_sub_norm"},
    {"post_ffw_norm.weight", "mlp_post_norm"},
    {"attn_q_norm_in.weight", "q_in_norm"},
    {"attn_k_norm_in.weight", "k_in_norm"},
    {"attn_v_norm_in.weight", "v_in_norm"},
    {"attn_output_norm_in.weight", "o_in_norm"},
    {"ffn_gate_norm_in.weight", "gate_in_norm"},
    {"ffn_up_norm_in.weight", "up_in_norm"},
    {"ffn_down_norm_in.weight", "down_in_norm"},
};

// Our name of a tensor, "" if it is none that we know.
std::string our_name(std::string_view name) {
  for (const Name& n : kWhole)
    if (n.theirs == name) return std::string(n.ours);
  if (!name.starts_with("blk.")) return "";
  const size_t dot = name.find('.', 4);
  if (dot == std::string_view::npos || dot == 4 || dot > 10) return "";
  const std::string_view layer = name.substr(4, dot - 4);
  if (!std::all_of(layer.begin(), layer.end(), [](char c) { return c >= '0' && c <= '9'; })) return "";
  for (const Name& n : kOfLayer)
    if (n.theirs == name.substr(dot + 1)) return "layers." + std::string(layer) + "." + std::string(n.ours);
  return "";
}

tern_status add_tensor(const GgufTensor& t, std::string name, const WeightForm& form, ModelDef* model) {
  const uint8_t* from = t.data;
  const int64_t columns = t.shape[t.shape.rank - 1];
  float scale = 1;
  if (t.type->tail) std::memcpy(&scale, from + t.shape.elements() / t.type->numbers * t.type->bytes, sizeof scale);
  if (!std::isfinite(scale))
    return TERN_FAIL(TERN_ERR_CORRUPT, "the scale of '%.*s' is %g", (int)std::min<size_t>(t.name.size(), 60),
                     t.name.data(), (double)scale);
  const auto read = [&](int64_t, float* out) -> tern_status {
    for (int64_t k = 0; k < columns; k += t.type->numbers, from += t.type->bytes) t.type->decode(from, out + k);
    if (!t.type->tail) return TERN_OK;
    for (int64_t k = 0; k < columns; ++k) {
      if (out[k] > 1)
        return TERN_FAIL(
            TERN_ERR_CORRUPT,
            "'%.*s' holds a code that is no ternary weight. Files of the type %s whose bytes lie in another "
            "order (written on ARM, or by some builds) are not read: convert the model's bf16 weights anew",
            (int)std::min<size_t>(t.name.size(), 60), t.name.data(), t.type->name);
      out[k] *= scale;
    }
    return TERN_OK;
  };
  const bool own = form.own && !form.ternary && t.type->form;
  return add_weight(std::move(name), t.shape, own ? own_form(form, t.type->form) : form, read, model);
}

constexpr std::string_view kFrequencies = "rope_freqs.weight";

// By what the frequency of each pair is divided: converters compute it from Llama 3's rule, and keep its numbers alone.
tern_status read_frequencies(const Gguf& file, TransformerConfig* c) {
  const auto tensors = file.tensors();
  const auto t =
      std::find_if(tensors.begin(), tensors.end(), [](const GgufTensor& t) { return t.name == kFrequencies; });
  if (t == tensors.end()) return TERN_OK;
  const int64_t dims = c->rope.dims ? c->rope.dims : c->head_dim;
  if (!(t->shape == Shape{dims / 2}) || t->type->numbers != 1)
    return TERN_FAIL(TERN_ERR_CORRUPT, "'rope_freqs.weight' has the shape %s, expected are %" PRId64 " numbers",
                     to_string(t->shape).c_str(), dims / 2);
  std::vector<float> divisors((size_t)(dims / 2));
  for (size_t i = 0; i < divisors.size(); ++i) t->type->decode(t->data + i * (size_t)t->type->bytes, &divisors[i]);
  RopeAttrs rule = c->rope;
  rule.scaling = (int64_t)RopeScaling::llama3, rule.original_positions = 8192;
  for (const float d : divisors) rule.factor = std::max(rule.factor, (double)d);
  for (size_t i = 0; i < divisors.size(); ++i) {
    const double plain = rope_frequency(c->rope, dims, (int64_t)i, 0), ours = rope_frequency(rule, dims, (int64_t)i, 0);
    if (!(std::fabs(plain / ours - (double)divisors[i]) <= 1e-3 * (double)divisors[i]))
      return TERN_FAIL(
          TERN_ERR_UNSUPPORTED,
          "'rope_freqs.weight' holds %g for pair %zu, which Llama 3's scaling with 8192 positions makes %g; "
          "no other is known",
          (double)divisors[i], i, plain / ours);
  }
  c->rope = rule;
  return TERN_OK;
}

tern_status read_config(const Gguf& file, const Family& family, TransformerConfig* c) {
  const std::string arch = family.name;
  const auto key = [&](const char* name) { return arch + "." + name; };
  TERN_TRY(file.integer(key("context_length"), &c->positions));
  TERN_TRY(file.integer(key("embedding_length"), &c->hidden));
  TERN_TRY(file.integer(key("block_count"), &c->layers));
  TERN_TRY(file.integer(key("feed_forward_length"), &c->ffn));
  TERN_TRY(file.integer(key("attention.head_count"), &c->heads));
  c->kv_heads = c->heads;
  TERN_TRY(file.integer(key("attention.head_count_kv"), &c->kv_heads));
  c->head_dim = c->heads > 0 ? c->hidden / c->heads : 0;
  TERN_TRY(file.integer(key("attention.key_length"), &c->head_dim));
  TERN_TRY(file.number(key("attention.layer_norm_rms_epsilon"), &c->norm_epsilon));
  TERN_TRY(file.number(key("rope.freq_base"), &c->rope.base));
  TERN_TRY(file.integer(key("rope.dimension_count"), &c->rope.dims));
  TERN_TRY(file.number(key("final_logit_softcapping"), &c->head_softcap));
  c->rope.interleaved = family.interleaved;
  c->gate = family.gate;
  if (family.scales_embed) c->embed_scale = std::sqrt((double)std::max<int64_t>(c->hidden, 0));
  std::string_view scaling;
  TERN_TRY(file.text(key("rope.scaling.type"), &scaling));
  if (scaling == "linear") {
    c->rope.scaling = (int64_t)RopeScaling::linear;
    TERN_TRY(file.number(key("rope.scaling.factor"), &c->rope.factor));
  } else if (!scaling.empty() && scaling != "none") {
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "positions are scaled by '%.*s'; none and linear are known",
                     (int)std::min<size_t>(scaling.size(), 60), scaling.data());
  }
  TERN_TRY(read_frequencies(file, c));
  TERN_TRY(file.integer(key("attention.sliding_window"), &c->window));
  c->global_every = family.global_every;
  c->local_rope = c->rope;
  if (family.local_base > 0) c->local_rope.base = family.local_base, c->local_rope.scaling = 0;
  return TERN_OK;
}

// The configuration, and all weights; `ternary`: those of layers, where the caller asks for nothing else.
tern_status read_weights(const Gguf& file, const Family& family, const ImportOptions& options, bool ternary,
                         TransformerConfig* config, ModelDef* model) {
  WeightForm form;
  TERN_TRY(find_weight_form(options, ternary, &form));
  *config = {}, *model = {};
  form.configure(config);
  TERN_TRY(read_config(file, family, config));
  Missing missing;
  for (const GgufTensor& t : file.tensors()) {
    if (t.name == kFrequencies) continue;
    std::string name = our_name(t.name);
    if (name.empty()) {
      missing.add("'" + std::string(t.name.substr(0, 60)) + "'");
      continue;
    }
    if (name == "embed" && t.shape.rank == 2) config->vocab = t.shape[0];
    config->embedder |= name.ends_with("_in_norm");
    TERN_TRY(add_tensor(t, std::move(name), form, model));
  }
  if (missing.any())
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "%d tensors have no meaning in the architecture '%s', the first is %s",
                     missing.total, family.name, missing.counts.begin()->first.c_str());
  return TERN_OK;
}

}  // namespace

tern_status import_gguf(std::span<const uint8_t> bytes, const ImportOptions& options, ModelDef* out) {
  Gguf file;
  TERN_TRY(Gguf::read(bytes, &file));
  std::string_view arch;
  TERN_TRY(file.text("general.architecture", &arch));
  const auto families = language_families();
  const auto family =
      std::find_if(families.begin(), families.end(), [&](const Family& f) { return f.in_gguf && f.name == arch; });
  if (family == families.end()) {
    std::string names;
    for (const Family& f : families)
      if (f.in_gguf) names += (names.empty() ? "" : ", ") + std::string(f.name);
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "a GGUF file of the architecture '%.*s'; there are %s",
                     (int)std::min<size_t>(arch.size(), 60), arch.data(), names.c_str());
  }
  bool ternary = false, others = false;  // of what layers multiply with; quantisers mix types where rows do not fit
  for (const GgufTensor& t : file.tensors())
    if (t.shape.rank == 2 && t.name.starts_with("blk.")) (t.type->ternary ? ternary : others) = true;
  TransformerConfig config;
  ModelDef model;
  tern_status s = read_weights(file, *family, options, ternary && !others, &config, &model);
  // Blocks of a row that have scales of their own.
  if (s == TERN_ERR_UNSUPPORTED && ternary && !others && options.weights.empty())
    s = read_weights(file, *family, options, false, &config, &model);
  TERN_TRY(s);
  TERN_TRY(build_transformer(config, &model));
  model.metadata.push_back({"source.format", "gguf"});
  model.metadata.push_back({"language.family", family->name});
  if (file.has("tokenizer.ggml.tokens") && has_capability(Capability::text)) {
    tokens::TokenizerDef tokenizer;
    TERN_TRY(read_gguf_tokenizer(file, &tokenizer));
    if (tokenizer.pieces.size() > config.vocab)
      return TERN_FAIL(TERN_ERR_CORRUPT, "the file has %u tokens, its embedding has %" PRId64 " rows",
                       tokenizer.pieces.size(), config.vocab);
    TERN_TRY(keep_tokenizer(std::move(tokenizer), &model));
  }
  std::string_view chat;
  TERN_TRY(file.text("tokenizer.chat_template", &chat));
  if (!chat.empty() && chat.size() < (1 << 16)) model.metadata.push_back({"language.chat_template", std::string(chat)});
  std::string_view title;
  TERN_TRY(file.text("general.name", &title));
  if (!title.empty()) model.metadata.push_back({"language.name", std::string(title.substr(0, 200))});
  *out = std::move(model);
  return TERN_OK;
}

}  // namespace tern
