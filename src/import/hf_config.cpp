// SPDX-License-Identifier: Apache-2.0
// config.json of Hugging Face folders.
#include <algorithm>
#include <cmath>

#include "import/hf_model.h"
#include "text/json.h"

namespace tern {
namespace {

constexpr JsonLimits kLimits = {.depth = 16, .values = 1 << 17, .bytes = 4 << 20};

std::string shown(std::string_view s) { return std::string(s.substr(0, 60)); }

// The keys of an object; knows which of them nobody asked for. null counts as not there.
class Keys {
 public:
  Keys(JsonValue object, const char* where) : object_(object), where_(where) {}

  bool has(std::string_view key) const { return (bool)object_[key]; }
  JsonValue take(std::string_view key) {
    taken_.push_back(key);
    const JsonValue v = object_[key];
    return v.is(JsonKind::null) ? JsonValue() : v;
  }
  // *out stays as it is without the key.
  tern_status integer(std::string_view key, int64_t* out) {
    const JsonValue v = take(key);
    double number = 0;
    if (!v || v.integer(0, int64_t(1) << 40, out)) return TERN_OK;
    if (v.number(&number) && number >= 0 && number <= 1e12 && number == std::floor(number))
      return *out = (int64_t)number, TERN_OK;
    return wrong(key, "a number of at least 0 without a fraction");
  }
  tern_status number(std::string_view key, double* out) {
    const JsonValue v = take(key);
    return !v || v.number(out) ? TERN_OK : wrong(key, "a number");
  }
  tern_status boolean(std::string_view key, bool* out) {
    const JsonValue v = take(key);
    if (v && !v.is(JsonKind::boolean)) return wrong(key, "true or false");
    *out = v.boolean(*out);
    return TERN_OK;
  }
  tern_status text(std::string_view key, std::string_view* out) {
    const JsonValue v = take(key);
    if (v && !v.is(JsonKind::string)) return wrong(key, "a string");
    if (v) *out = v.string();
    return TERN_OK;
  }
  tern_status object(std::string_view key, JsonValue* out) {
    const JsonValue v = take(key);
    if (v && !v.is(JsonKind::object)) return wrong(key, "an object");
    *out = v;
    return TERN_OK;
  }
  tern_status wrong(std::string_view key, const char* wanted) const {
    return TERN_FAIL(TERN_ERR_CORRUPT, "config.json: '%s'%s is not %s", shown(key).c_str(), where_, wanted);
  }
  tern_status missing(std::string_view key) const {
    return TERN_FAIL(TERN_ERR_CORRUPT, "config.json: '%s'%s is missing", shown(key).c_str(), where_);
  }
  // Fails for a key that nobody took and that is not among these.
  tern_status none_left(std::span<const std::string_view> harmless) const {
    for (JsonValue v = object_.first(); v; v = v.next()) {
      const std::string_view key = v.key();
      if (v.is(JsonKind::null) || (v.is(JsonKind::boolean) && !v.boolean())) continue;
      if (std::find(taken_.begin(), taken_.end(), key) != taken_.end()) continue;
      if (std::find(harmless.begin(), harmless.end(), key) != harmless.end()) continue;
      return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                       "config.json: '%s'%s is not known. If the model computes the same without it, take it out",
                       shown(key).c_str(), where_);
    }
    return TERN_OK;
  }

 private:
  JsonValue object_;
  const char* where_;  // " of rope_scaling", or ""
  std::vector<std::string_view> taken_;
};

// Keys that change no number of a model that runs.
constexpr std::string_view kHarmless[] = {"architectures",
                                          "auto_map",
                                          "transformers_version",
                                          "torch_dtype",
                                          "dtype",
                                          "use_cache",
                                          "cache_implementation",
                                          "bos_token_id",
                                          "eos_token_id",
                                          "pad_token_id",
                                          "unk_token_id",
                                          "sep_token_id",
                                          "decoder_start_token_id",
                                          "forced_bos_token_id",
                                          "forced_eos_token_id",
                                          "attention_dropout",
                                          "hidden_dropout",
                                          "initializer_range",
                                          "pretraining_tp",
                                          "_name_or_path",
                                          "_attn_implementation",
                                          "_attn_implementation_autoset",
                                          "_commit_hash",
                                          "_from_model_config",
                                          "name_or_path",
                                          "language_model_name",
                                          "id2label",
                                          "label2id",
                                          "problem_type",
                                          "task_specific_params",
                                          "finetuning_task",
                                          "return_dict",
                                          "output_past",
                                          "chunk_size_feed_forward",
                                          "is_llama_config",
                                          "num_return_sequences",
                                          "do_sample",
                                          "temperature",
                                          "top_k",
                                          "top_p",
                                          "typical_p",
                                          "repetition_penalty",
                                          "length_penalty",
                                          "max_length",
                                          "min_length",
                                          "num_beams",
                                          "num_beam_groups",
                                          "diversity_penalty",
                                          "no_repeat_ngram_size",
                                          "encoder_no_repeat_ngram_size",
                                          "early_stopping",
                                          "prefix",
                                          "suppress_tokens",
                                          "begin_suppress_tokens",
                                          "bad_words_ids",
                                          "exponential_decay_length_penalty",
                                          "tokenizer_class",
                                          "unsloth_fixed",
                                          "unsloth_version",
                                          "transformers.js_config",
                                          "is_decoder"};

struct ActName {
  std::string_view name;
  Gate gate;
};
constexpr ActName kActs[] = {{"silu", Gate::silu},
                             {"swish", Gate::silu},
                             {"gelu_pytorch_tanh", Gate::gelu_tanh},
                             {"gelu_new", Gate::gelu_tanh},
                             {"relu2", Gate::relu_squared}};

double logarithmic(double factor, double by) { return factor <= 1 ? 1 : 0.1 * by * std::log(factor) + 1; }

// Angles of positions, of an object rope_scaling or rope_parameters (or of none).
tern_status read_rope(JsonValue object, const char* where, double base, const TransformerConfig& c, RopeAttrs* out) {
  RopeAttrs r;
  Keys keys(object, where);
  std::string_view type, old_type;
  double part = 1, original = (double)c.positions, by = 0, by_all = 0;
  bool truncate = true;
  r.base = base;
  TERN_TRY(keys.text("type", &old_type));
  TERN_TRY(keys.text("rope_type", &type));
  if (type.empty()) type = old_type;
  TERN_TRY(keys.number("rope_theta", &r.base));
  TERN_TRY(keys.number("partial_rotary_factor", &part));
  if (!(r.base > 1 && r.base < 1e12)) return keys.wrong("rope_theta", "a number above 1");
  if (!(part > 0 && part <= 1)) return keys.wrong("partial_rotary_factor", "a number above 0 and at most 1");
  if (part < 1) r.dims = (int64_t)((double)c.head_dim * part);
  const bool has_factor = (bool)keys.take("factor");
  r.factor = 1;
  TERN_TRY(keys.number("factor", &r.factor));
  TERN_TRY(keys.number("original_max_position_embeddings", &original));
  if (type.empty() || type == "default") {
  } else if (type == "linear") {
    r.scaling = (int64_t)RopeScaling::linear;
  } else if (type == "dynamic") {
    r.scaling = (int64_t)RopeScaling::dynamic_ntk;
    original = (double)c.positions;
  } else if (type == "llama3") {
    r.scaling = (int64_t)RopeScaling::llama3;
    for (const char* key : {"low_freq_factor", "high_freq_factor", "original_max_position_embeddings"})
      if (!keys.take(key)) return keys.missing(key);
    TERN_TRY(keys.number("low_freq_factor", &r.low_freq_factor));
    TERN_TRY(keys.number("high_freq_factor", &r.high_freq_factor));
    if (!(r.low_freq_factor > 0 && r.high_freq_factor > r.low_freq_factor && r.high_freq_factor < 1e6))
      return keys.wrong("high_freq_factor", "above low_freq_factor");
  } else if (type == "yarn") {
    r.scaling = (int64_t)RopeScaling::yarn;
    TERN_TRY(keys.number("beta_fast", &r.beta_fast));
    TERN_TRY(keys.number("beta_slow", &r.beta_slow));
    TERN_TRY(keys.number("attention_factor", &r.attention_factor));
    TERN_TRY(keys.number("mscale", &by));
    TERN_TRY(keys.number("mscale_all_dim", &by_all));
    TERN_TRY(keys.boolean("truncate", &truncate));
    if (!truncate)
      return TERN_FAIL(TERN_ERR_UNSUPPORTED, "config.json: 'truncate'%s is false; only true is known", where);
    if (!(r.beta_slow > 0 && r.beta_fast >= r.beta_slow && r.beta_fast < 1e6))
      return keys.wrong("beta_fast", "at least beta_slow");
    if (!has_factor && original > 0) r.factor = (double)c.positions / original;
    if (r.attention_factor == 0 && by != 0 && by_all != 0)
      r.attention_factor = logarithmic(r.factor, by) / logarithmic(r.factor, by_all);
    if (!(r.attention_factor >= 0 && r.attention_factor < 1e6))
      return keys.wrong("attention_factor", "a number of at least 0");
  } else {
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "config.json: positions are scaled by '%s'%s; default, linear, dynamic, llama3 and yarn are known",
                     shown(type).c_str(), where);
  }
  if (r.scaling) {
    if (!has_factor && type != "yarn") return keys.missing("factor");
    if (!(r.factor >= 1 && r.factor <= 1e6)) return keys.wrong("factor", "a number from 1 to 1000000");
    if (!(original >= 1 && original <= 1e9))
      return keys.wrong("original_max_position_embeddings", "a number of positions");
    r.original_positions = (int64_t)original;
  } else {
    r.factor = 1;
  }
  constexpr std::string_view kNone[] = {"finetuned"};
  TERN_TRY(keys.none_left(kNone));
  *out = r;
  return TERN_OK;
}

// Both kinds of angles: the newer rope_parameters, or rope_theta and rope_scaling.
tern_status read_positions(Keys& keys, const Family& family, TransformerConfig* c) {
  double base = family.rope_base, local_base = family.local_base;
  TERN_TRY(keys.number("rope_theta", &base));
  if (local_base > 0) TERN_TRY(keys.number("rope_local_base_freq", &local_base));
  JsonValue parameters, scaling;
  TERN_TRY(keys.object("rope_parameters", &parameters));
  TERN_TRY(keys.object("rope_scaling", &scaling));
  const bool of_layers = parameters["full_attention"] || parameters["sliding_attention"];
  if (of_layers) {
    if (local_base == 0)
      return TERN_FAIL(TERN_ERR_UNSUPPORTED, "config.json: rope_parameters of kinds of layers in the family '%s'",
                       family.model_type);
    Keys kinds(parameters, " of rope_parameters");
    JsonValue full, local;
    TERN_TRY(kinds.object("full_attention", &full));
    TERN_TRY(kinds.object("sliding_attention", &local));
    TERN_TRY(kinds.none_left({}));
    TERN_TRY(read_rope(full ? full : scaling, " of rope_parameters.full_attention", base, *c, &c->rope));
    return read_rope(local, " of rope_parameters.sliding_attention", local_base, *c, &c->local_rope);
  }
  TERN_TRY(read_rope(parameters ? parameters : scaling, parameters ? " of rope_parameters" : " of rope_scaling", base,
                     *c, &c->rope));
  c->local_rope = c->rope;
  if (local_base > 0) c->local_rope = RopeAttrs{.base = local_base};
  return TERN_OK;
}

// Which layers see a window: all, none, or all but each n-th.
tern_status read_windows(Keys& keys, const Family& family, TransformerConfig* c) {
  c->window = keys.has("sliding_window") ? 0 : family.window;
  TERN_TRY(keys.integer("sliding_window", &c->window));
  int64_t every = family.global_every, first_local = c->layers;
  bool used = true;
  const bool has_switch = keys.has("use_sliding_window");
  TERN_TRY(keys.boolean("use_sliding_window", &used));
  TERN_TRY(keys.integer("max_window_layers", &first_local));
  if (has_switch ? !used : family.window == 0) c->window = 0;
  TERN_TRY(keys.integer("_sliding_window_pattern", &every));
  TERN_TRY(keys.integer("sliding_window_pattern", &every));
  c->global_every = every;
  const JsonValue types = keys.take("layer_types");
  if (!types) {
    if (has_switch && c->window > 0 && first_local >= c->layers) c->window = 0;
    if (has_switch && c->window > 0 && first_local > 0)
      return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                       "config.json: 'max_window_layers' makes the first %" PRId64 " layers of %" PRId64
                       " see all; only all layers, or all but each n-th, can have a window",
                       first_local, c->layers);
    return TERN_OK;
  }
  if (!types.is(JsonKind::list) || types.size() != c->layers) return keys.wrong("layer_types", "a list of all layers");
  int64_t layer = 0, local = 0, first_full = -1;
  for (JsonValue v = types.first(); v; v = v.next(), ++layer) {
    const bool full = v.string() == "full_attention";
    if (!full && v.string() != "sliding_attention")
      return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                       "config.json: layer %" PRId64
                       " of 'layer_types' is '%s'; full_attention and sliding_attention "
                       "are known",
                       layer, shown(v.string()).c_str());
    if (full && first_full < 0) first_full = layer;
    local += !full;
  }
  if (local == 0) return c->window = 0, TERN_OK;
  if (c->window < 1) return keys.missing("sliding_window");
  c->global_every = first_full < 0 ? 0 : first_full + 1;
  layer = 0;
  for (JsonValue v = types.first(); v && c->global_every > 0; v = v.next(), ++layer)
    if ((v.string() == "full_attention") != ((layer + 1) % c->global_every == 0))
      return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                       "config.json: layer %" PRId64 " of 'layer_types' breaks the rule that each %" PRId64
                       "th layer is full_attention; no other order is known",
                       layer, c->global_every);
  return TERN_OK;
}

tern_status read_quantization(JsonValue object, HfConfig* out) {
  if (!object) return TERN_OK;
  Keys keys(object, " of quantization_config");
  std::string_view method, kind = "bitlinear", mode = "offline";
  TERN_TRY(keys.text("quant_method", &method));
  if (method != "bitnet")
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "config.json: weights are quantised by '%s'; those of bitnet are read. Take the model as its "
                     "makers published it in bf16, or as GGUF",
                     shown(method).c_str());
  TERN_TRY(keys.text("linear_class", &kind));
  TERN_TRY(keys.text("quantization_mode", &mode));
  const bool automatic = kind == "autobitlinear";
  if (!automatic && kind != "bitlinear")
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "config.json: 'linear_class' is '%s'; bitlinear and autobitlinear are known",
                     shown(kind).c_str());
  if (mode != "offline" && mode != "online")
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "config.json: 'quantization_mode' is '%s'; offline and online are known",
                     shown(mode).c_str());
  const JsonValue kept = keys.take("modules_to_not_convert");
  for (JsonValue v = kept.first(); v; v = v.next())
    if (v.string() != "lm_head")
      return TERN_FAIL(TERN_ERR_UNSUPPORTED, "config.json: '%s' of 'modules_to_not_convert'; lm_head alone is known",
                       shown(v.string()).c_str());
  constexpr std::string_view kNone[] = {"rms_norm_eps"};  // of use_rms_norm, which must be false
  TERN_TRY(keys.none_left(kNone));
  out->ternary = !automatic ? Ternary::divide : mode == "online" ? Ternary::online : Ternary::multiply;
  return TERN_OK;
}

// Of the model of text itself.
tern_status read_text_config(Keys& keys, const Family& family, HfConfig* out) {
  TransformerConfig& c = out->model;
  c.vocab = family.vocab, c.heads = family.heads, c.positions = family.positions;
  const struct {
    const char* key;
    int64_t* to;
  } sizes[] = {{"vocab_size", &c.vocab},         {"hidden_size", &c.hidden},
               {"num_hidden_layers", &c.layers}, {"num_attention_heads", &c.heads},
               {"intermediate_size", &c.ffn},    {"max_position_embeddings", &c.positions}};
  for (const auto& s : sizes) {
    TERN_TRY(keys.integer(s.key, s.to));
    if (*s.to == 0) return keys.missing(s.key);
  }
  c.kv_heads = family.kv_heads ? family.kv_heads : c.heads;
  TERN_TRY(keys.integer("num_key_value_heads", &c.kv_heads));
  c.head_dim = family.head_dim ? family.head_dim : c.hidden / c.heads;
  TERN_TRY(keys.integer("head_dim", &c.head_dim));
  c.norm_epsilon = family.norm_epsilon;
  TERN_TRY(keys.number("rms_norm_eps", &c.norm_epsilon));
  if (!(c.norm_epsilon >= 0 && c.norm_epsilon < 1)) return keys.wrong("rms_norm_eps", "a small number");
  TERN_TRY(check_transformer(c));
  std::string_view act, newer;
  TERN_TRY(keys.text("hidden_act", &act));
  TERN_TRY(keys.text("hidden_activation", &newer));
  if (!newer.empty()) act = newer;
  c.gate = family.gate;
  if (!act.empty()) {
    const auto a = std::find_if(std::begin(kActs), std::end(kActs), [&](const ActName& n) { return n.name == act; });
    if (a == std::end(kActs))
      return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                       "config.json: the activation '%s'; silu, gelu_pytorch_tanh and relu2 are known",
                       shown(act).c_str());
    c.gate = a->gate;
  }
  if (family.scales_embed) c.embed_scale = std::sqrt((double)c.hidden);
  double query = family.query_scalar;
  if (query > 0) {
    TERN_TRY(keys.number("query_pre_attn_scalar", &query));
    if (!(query > 0 && query < 1e9)) return keys.wrong("query_pre_attn_scalar", "a number above 0");
    c.attention_scale = 1 / std::sqrt(query);
  }
  TERN_TRY(keys.number("final_logit_softcapping", &c.head_softcap));
  if (!(c.head_softcap >= 0 && c.head_softcap < 1e9)) return keys.wrong("final_logit_softcapping", "above 0");
  TERN_TRY(read_positions(keys, family, &c));
  TERN_TRY(read_windows(keys, family, &c));
  if (family.may_have_bias) {
    TERN_TRY(keys.boolean("attention_bias", &out->qkv_bias));
    out->o_bias = out->qkv_bias;
  }
  if (family.qkv_bias) out->qkv_bias = true;
  if (family.may_have_mlp_bias) TERN_TRY(keys.boolean("mlp_bias", &out->mlp_bias));
  TERN_TRY(keys.boolean("tie_word_embeddings", &out->tied_head));
  if (family.master_weights) {
    out->ternary = Ternary::online;
    for (const auto& [key, value] : {std::pair("weight_bits", 1), std::pair("input_bits", 8)}) {
      int64_t bits = value;
      TERN_TRY(keys.integer(key, &bits));
      if (bits != value)
        return TERN_FAIL(TERN_ERR_UNSUPPORTED, "config.json: '%s' is %" PRId64 "; %d is known", key, bits, value);
    }
  }
  JsonValue quantization;
  TERN_TRY(keys.object("quantization_config", &quantization));
  return read_quantization(quantization, out);
}

bool lists(JsonValue names, std::string_view name) {
  for (JsonValue v = names.first(); v; v = v.next())
    if (v.string() == name) return true;
  return false;
}

}  // namespace

tern_status read_hf_config(std::string_view text, HfConfig* out) {
  Json json;
  if (const tern_status s = json.parse(text, kLimits); s != TERN_OK) {
    const std::string why = thread_error().message;
    return TERN_FAIL(s, "config.json: %s", why.c_str());
  }
  if (!json.root().is(JsonKind::object)) return TERN_FAIL(TERN_ERR_CORRUPT, "config.json: it is no object");
  HfConfig made;
  Keys whole(json.root(), "");
  std::string_view type;
  TERN_TRY(whole.text("model_type", &type));
  JsonValue inner;
  if (type == "gemma3") {
    made.pictures = true;
    TERN_TRY(whole.object("text_config", &inner));
    if (!inner) return whole.missing("text_config");
    type = "gemma3_text";
  }
  const auto families = language_families();
  const auto family = std::find_if(families.begin(), families.end(), [&](const Family& f) {
    return f.model_type && f.model_type == type &&
           (!f.architecture || lists(json.root()["architectures"], f.architecture));
  });
  if (family == families.end()) {
    std::string names;
    for (const Family& f : families)
      if (f.model_type && !f.architecture) names += (names.empty() ? "" : ", ") + std::string(f.model_type);
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "config.json: the model_type '%s'; there are %s", shown(type).c_str(),
                     names.c_str());
  }
  made.family = &*family;
  made.tied_head = family->tied_head;
  if (inner) {
    Keys keys(inner, " of text_config");
    std::string_view again;
    TERN_TRY(keys.text("model_type", &again));
    TERN_TRY(whole.boolean("tie_word_embeddings", &made.tied_head));
    TERN_TRY(read_text_config(keys, *family, &made));
    JsonValue quantization;
    TERN_TRY(whole.object("quantization_config", &quantization));
    TERN_TRY(read_quantization(quantization, &made));
    TERN_TRY(keys.none_left(kHarmless));
  } else {
    TERN_TRY(read_text_config(whole, *family, &made));
    TERN_TRY(whole.none_left(kHarmless));
  }
  *out = made;
  return TERN_OK;
}

}  // namespace tern
