// SPDX-License-Identifier: Apache-2.0
#include "import/hf_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "base/file.h"
#include "base/text.h"
#include "import/safetensors.h"
#include "text/json.h"

namespace tern {
namespace {

constexpr const char *kConfig = "config.json", *kWhole = "model.safetensors", *kIndex = "model.safetensors.index.json";
constexpr uint64_t kMaxConfig = 4 << 20, kMaxIndex = 64 << 20, kMaxTemplate = 1 << 16;

enum class Part : uint8_t {
  always,
  qkv_bias,
  o_bias,
  mlp_bias,
  head_norms,
  sub_norms,
  inner_norms,
  post_norms,
  no_post_norms,
  in_norms
};
enum class Size : uint8_t { none, hidden, query, key, head, ffn };
enum class Role : uint8_t { projection, norm, plain };

struct Name {
  std::string_view theirs, ours;
  Role role;
  Size rows, columns;  // a vector has rows alone
  Part part = Part::always;
};
constexpr std::string_view kInNorm = "self_attn.q_proj.norm.weight";
constexpr Name kOfLayer[] = {
    {"input_layernorm.weight", "attention_norm", Role::norm, Size::hidden, Size::none},
    {"self_attn.q_proj.weight", "q", Role::projection, Size::query, Size::hidden},
    {"self_attn.k_proj.weight", "k", Role::projection, Size::key, Size::hidden},
    {"self_attn.v_proj.weight", "v", Role::projection, Size::key, Size::hidden},
    {"self_attn.o_proj.weight", "o", Role::projection, Size::hidden, Size::query},
    {"self_attn.q_proj.bias", "q_bias", Role::plain, Size::query, Size::none, Part::qkv_bias},
    {"self_attn.k_proj.bias", "k_bias", Role::plain, Size::key, Size::none, Part::qkv_bias},
    {"self_attn.v_proj.bias", "v_bias", Role::plain, Size::key, Size::none, Part::qkv_bias},
    {"self_attn.o_proj.bias", "o_bias", Role::plain, Size::hidden, Size::none, Part::o_bias},
    {"self_attn.q_norm.weight", "q_norm", Role::norm, Size::head, Size::none, Part::head_norms},
    {"self_attn.k_norm.weight", "k_norm", Role::norm, Size::head, Size::none, Part::head_norms},
    {"self_attn.attn_sub_norm.weight", "attention_sub_norm", Role::norm, Size::query, Size::none, Part::sub_norms},
    {"self_attn.inner_attn_ln.weight", "attention_sub_norm", Role::norm, Size::query, Size::none, Part::inner_norms},
    // The same name means two places: before the inner part, or after attention where there is a norm before it, too.
    {"post_attention_layernorm.weight", "mlp_norm", Role::norm, Size::hidden, Size::none, Part::no_post_norms},
    {"post_attention_layernorm.weight", "attention_post_norm", Role::norm, Size::hidden, Size::none, Part::post_norms},
    {"pre_feedforward_layernorm.weight", "mlp_norm", Role::norm, Size::hidden, Size::none, Part::post_norms},
    {"post_feedforward_layernorm.weight", "mlp_post_norm", Role::norm, Size::hidden, Size::none, Part::post_norms},
    {"mlp.gate_proj.weight", "gate", Role::projection, Size::ffn, Size::hidden},
    {"mlp.up_proj.weight", "up", Role::projection, Size::ffn, Size::hidden},
    {"mlp.down_proj.weight", "down", Role::projection, Size::hidden, Size::ffn},
    {"mlp.gate_proj.bias", "gate_bias", Role::plain, Size::ffn, Size::none, Part::mlp_bias},
    {"mlp.up_proj.bias", "up_bias", Role::plain, Size::ffn, Size::none, Part::mlp_bias},
    {"mlp.down_proj.bias", "down_bias", Role::plain, Size::hidden, Size::none, Part::mlp_bias},
    {"mlp.ffn_sub_norm.weight", "mlp_sub_norm", Role::norm, Size::ffn, Size::none, Part::sub_norms},
    {"mlp.ffn_layernorm.weight", "mlp_sub_norm", Role::norm, Size::ffn, Size::none, Part::inner_norms},
    // Those inside a projection hold the scale itself in all families.
    {kInNorm, "q_in_norm", Role::plain, Size::hidden, Size::none, Part::in_norms},
    {"self_attn.k_proj.norm.weight", "k_in_norm", Role::plain, Size::hidden, Size::none, Part::in_norms},
    {"self_attn.v_proj.norm.weight", "v_in_norm", Role::plain, Size::hidden, Size::none, Part::in_norms},
    {"self_attn.o_proj.norm.weight", "o_in_norm", Role::plain, Size::query, Size::none, Part::in_norms},
    {"mlp.gate_proj.norm.weight", "gate_in_norm", Role::plain, Size::hidden, Size::none, Part::in_norms},
    {"mlp.up_proj.norm.weight", "up_in_norm", Role::plain, Size::hidden, Size::none, Part::in_norms},
    {"mlp.down_proj.norm.weight", "down_in_norm", Role::plain, Size::ffn, Size::none, Part::in_norms},
};

// Where the layers of a model stand in the names, and its head.
struct Place {
  std::string_view body, head;
};
constexpr Place kPlaces[] = {{"model.", "lm_head.weight"},
                             {"language_model.model.", "language_model.lm_head.weight"},
                             {"model.language_model.", "lm_head.weight"},
                             {"", "lm_head.weight"}};
// What a model of text and pictures has beside its text.
constexpr std::string_view kPictures[] = {"vision_tower.", "multi_modal_projector.", "model.vision_tower.",
                                          "model.multi_modal_projector."};

struct Shard {
  std::string file;
  Bytes bytes;
  Safetensors tensors;
};

class HfImport {
 public:
  HfImport(const std::string& folder, const ImportOptions& options) : folder_(folder), left_(options.max_file_bytes) {}

  tern_status open();
  tern_status build(const WeightForm& form, ModelDef* model);
  const HfConfig& config() const { return config_; }
  // "" without one, or if it is no UTF-8 or longer than models keep.
  tern_status read_chat_template(std::string* out);

 private:
  tern_status load(const std::string& name, LoadMode mode, uint64_t max_bytes, Bytes* out);
  tern_status open_shard(const std::string& name);
  tern_status open_index(const Bytes& text);
  tern_status collect();
  bool has_part(Part part) const;
  int64_t size_of(Size size) const;
  // The tensor that is to be there. Marks it as used.
  tern_status take(const std::string& name, const SafeTensor** out, const char** file);
  tern_status add(const std::string& theirs, std::string ours, Role role, const Shape& shape);
  tern_status read_scale(const std::string& projection, float* out);
  tern_status add_codes(const SafeTensor& t, const char* file, std::string ours, const Shape& shape, float scale);
  tern_status check_left() const;

  std::string folder_;
  uint64_t left_;
  HfConfig config_;
  std::vector<Shard> shards_;
  struct Found {
    const SafeTensor* tensor;
    const Shard* shard;
    bool used = false;
  };
  std::map<std::string_view, Found> found_;
  const WeightForm* form_ = nullptr;
  ModelDef* model_ = nullptr;
};

tern_status HfImport::load(const std::string& name, LoadMode mode, uint64_t max_bytes, Bytes* out) {
  TERN_TRY(load_file((folder_ + "/" + name).c_str(), mode, std::min(max_bytes, left_), out));
  left_ -= out->size;
  return TERN_OK;
}

tern_status HfImport::open_shard(const std::string& name) {
  Shard s;
  s.file = name;
  TERN_TRY(load(name, LoadMode::map, UINT64_MAX, &s.bytes));
  TERN_TRY(Safetensors::read({s.bytes.data, (size_t)s.bytes.size}, name, &s.tensors));
  shards_.push_back(std::move(s));
  return TERN_OK;
}

// A name that an index gives: of a file of the folder itself.
bool is_plain_name(std::string_view name) {
  return name.size() > 12 && name.size() < 200 && name.ends_with(".safetensors") && name[0] != '.' &&
         name.find_first_of(std::string_view("/\\:\0", 4)) == std::string_view::npos;
}

tern_status HfImport::open_index(const Bytes& text) {
  Json json;
  constexpr JsonLimits kLimits = {.depth = 8, .values = 4u << 20, .bytes = kMaxIndex};
  if (const tern_status s = json.parse({(const char*)text.data, (size_t)text.size}, kLimits); s != TERN_OK) {
    const std::string why = thread_error().message;
    return TERN_FAIL(s, "%s: %s", kIndex, why.c_str());
  }
  const JsonValue map = json.root()["weight_map"];
  if (!map.is(JsonKind::object)) return TERN_FAIL(TERN_ERR_CORRUPT, "%s: there is no weight_map", kIndex);
  std::map<std::string, std::vector<std::string>> files;  // and the tensors that they are to hold
  for (JsonValue v = map.first(); v; v = v.next()) {
    if (!is_plain_name(v.string()))
      return TERN_FAIL(TERN_ERR_CORRUPT,
                       "%s: '%.100s' is to be in '%.60s', which is no name of a safetensors file here", kIndex,
                       std::string(v.key()).c_str(), std::string(v.string()).c_str());
    files[std::string(v.string())].emplace_back(v.key());
  }
  for (const auto& [file, tensors] : files) {
    if (const tern_status s = open_shard(file); s != TERN_OK) {
      if (s != TERN_ERR_NOT_FOUND) return s;
      return TERN_FAIL(s, "%s is missing in the folder; %s says that it holds %zu tensors. Fetch it, too", file.c_str(),
                       kIndex, tensors.size());
    }
    for (const std::string& t : tensors)
      if (!shards_.back().tensors.find(t))
        return TERN_FAIL(TERN_ERR_CORRUPT, "%s: there is no tensor '%.100s', though %s says so", file.c_str(),
                         t.c_str(), kIndex);
  }
  return TERN_OK;
}

tern_status HfImport::collect() {
  for (const Shard& s : shards_)
    for (const SafeTensor& t : s.tensors.tensors()) {
      const auto [at, fresh] = found_.emplace(t.name, Found{&t, &s});
      if (!fresh)
        return TERN_FAIL(TERN_ERR_CORRUPT, "the tensor '%.100s' is in %s and in %s", t.name.c_str(),
                         at->second.shard->file.c_str(), s.file.c_str());
      if (!t.name.ends_with(kInNorm)) continue;
      // BitNet's embedders, whose configuration says nothing of it.
      config_.model.embedder = true;
      if (config_.ternary == Ternary::none) config_.ternary = Ternary::online;
    }
  return TERN_OK;
}

tern_status HfImport::open() {
  Bytes text;
  if (const tern_status s = load(kConfig, LoadMode::copy, kMaxConfig, &text); s != TERN_OK) {
    if (s != TERN_ERR_NOT_FOUND) return s;
    return TERN_FAIL(s, "the folder '%.200s' has no config.json, so it is no model of Hugging Face's format",
                     folder_.c_str());
  }
  TERN_TRY(read_hf_config({(const char*)text.data, (size_t)text.size}, &config_));
  // A whole file goes before an index, as transformers does it.
  if (const tern_status whole = open_shard(kWhole); whole == TERN_OK) return collect();
  else if (whole != TERN_ERR_NOT_FOUND) return whole;
  if (const tern_status s = load(kIndex, LoadMode::copy, kMaxIndex, &text); s != TERN_OK) {
    if (s != TERN_ERR_NOT_FOUND) return s;
    return TERN_FAIL(s,
                     "the folder '%.200s' has neither %s nor %s. Weights in other formats are not read: save the model "
                     "anew as safetensors",
                     folder_.c_str(), kWhole, kIndex);
  }
  TERN_TRY(open_index(text));
  return collect();
}

bool HfImport::has_part(Part part) const {
  switch (part) {
    case Part::always: return true;
    case Part::qkv_bias: return config_.qkv_bias;
    case Part::o_bias: return config_.o_bias;
    case Part::mlp_bias: return config_.mlp_bias;
    case Part::head_norms: return config_.family->head_norms;
    case Part::sub_norms: return config_.family->sub_norms;
    case Part::inner_norms: return config_.family->inner_norms;
    case Part::post_norms: return config_.family->post_norms;
    case Part::no_post_norms: return !config_.family->post_norms;
    case Part::in_norms: return config_.model.embedder;
  }
  return false;
}

int64_t HfImport::size_of(Size size) const {
  const TransformerConfig& c = config_.model;
  switch (size) {
    case Size::none: return 0;
    case Size::hidden: return c.hidden;
    case Size::query: return c.heads * c.head_dim;
    case Size::key: return c.kv_heads * c.head_dim;
    case Size::head: return c.head_dim;
    case Size::ffn: return c.ffn;
  }
  return 0;
}

tern_status HfImport::take(const std::string& name, const SafeTensor** out, const char** file) {
  const auto at = found_.find(name);
  if (at == found_.end())
    return TERN_FAIL(TERN_ERR_CORRUPT, "the tensor '%.100s' is missing in %s", name.c_str(),
                     shards_.size() == 1 ? shards_[0].file.c_str() : "all files");
  at->second.used = true;
  *out = at->second.tensor, *file = at->second.shard->file.c_str();
  return TERN_OK;
}

tern_status HfImport::read_scale(const std::string& projection, float* out) {
  const SafeTensor* t = nullptr;
  const char* file = nullptr;
  TERN_TRY(take(projection + "_scale", &t, &file));
  if (t->shape.elements() != 1)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: '%.100s' has the shape %s, expected is one number", file, t->name.c_str(),
                     to_string(t->shape).c_str());
  load_numbers(*t, 0, 1, out);
  if (!std::isfinite(*out) || (config_.ternary == Ternary::divide && !(std::fabs(*out) > 1e-30f)))
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: '%.100s' is %g", file, t->name.c_str(), (double)*out);
  if (config_.ternary == Ternary::divide) *out = 1 / *out;
  return TERN_OK;
}

// Four codes a byte, of four rows that are a quarter of all rows apart: weight + 1 in two bits.
tern_status HfImport::add_codes(const SafeTensor& t, const char* file, std::string ours, const Shape& shape,
                                float scale) {
  const int64_t columns = shape[1], quarter = shape[0] / 4;
  return add_weight(
      std::move(ours), shape, *form_,
      [&](int64_t row, float* out) -> tern_status {
        load_numbers(t, row % quarter * columns, columns, out);
        const int shift = (int)(2 * (row / quarter));
        for (int64_t k = 0; k < columns; ++k) {
          if (!(out[k] >= 0 && out[k] <= 255) || ((int)out[k] >> shift & 3) == 3)
            return TERN_FAIL(TERN_ERR_CORRUPT,
                             "%s: '%.100s' holds a code that is no ternary weight, at [%" PRId64 ",%" PRId64 "]", file,
                             t.name.c_str(), row % quarter, k);
          out[k] = (float)(((int)out[k] >> shift & 3) - 1) * scale;
        }
        return TERN_OK;
      },
      model_);
}

tern_status HfImport::add(const std::string& theirs, std::string ours, Role role, const Shape& shape) {
  const SafeTensor* t = nullptr;
  const char* file = nullptr;
  TERN_TRY(take(theirs, &t, &file));
  const bool ternary = role == Role::projection && config_.ternary != Ternary::none;
  float scale = 1;
  if (ternary && config_.ternary != Ternary::online) TERN_TRY(read_scale(theirs, &scale));
  if (ternary && config_.ternary != Ternary::online && shape[0] % 4 == 0 && t->shape == Shape{shape[0] / 4, shape[1]})
    return add_codes(*t, file, std::move(ours), shape, scale);
  if (!(t->shape == shape))
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: '%.100s' has the shape %s, config.json makes it %s", file, t->name.c_str(),
                     to_string(t->shape).c_str(), to_string(shape).c_str());
  if (ternary && config_.ternary == Ternary::divide)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "%s: '%.100s' holds no packed codes, as linear_class bitlinear has", file,
                     t->name.c_str());
  if (!is_float(t->dtype))
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "%s: '%.100s' holds integers, and quantization_config of config.json says nothing of them", file,
                     t->name.c_str());
  const int64_t columns = shape[shape.rank - 1];
  const bool online = ternary && config_.ternary == Ternary::online;
  if (online) {
    double sum = 0;
    std::vector<float> row((size_t)columns);
    for (int64_t i = 0; i < shape[0]; ++i) {
      load_numbers(*t, i * columns, columns, row.data());
      for (const float v : row) sum += std::fabs((double)v);
    }
    scale = 1 / (float)std::max(sum / (double)shape.elements(), 1e-5);
  }
  const bool from_one = role == Role::norm && config_.family->norms_from_one;
  return add_weight(
      std::move(ours), shape, *form_,
      [&](int64_t row, float* out) -> tern_status {
        load_numbers(*t, row * columns, columns, out);
        for (int64_t k = 0; k < columns; ++k)
          if (online) out[k] = std::clamp(std::nearbyint(out[k] * scale), -1.f, 1.f) / scale;
          else if (from_one) out[k] += 1;
          else out[k] *= scale;
        return TERN_OK;
      },
      model_);
}

tern_status HfImport::check_left() const {
  int count = 0;
  const Found* first = nullptr;
  for (const auto& [name, found] : found_) {
    const auto begins = [n = name](std::string_view p) { return n.starts_with(p); };
    if (found.used || name.ends_with("rotary_emb.inv_freq") ||
        (config_.tied_head && name.ends_with("lm_head.weight")) ||
        (config_.pictures && std::any_of(std::begin(kPictures), std::end(kPictures), begins)))
      continue;
    if (count++ == 0) first = &found;
  }
  if (count == 0) return TERN_OK;
  return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                   "%d tensors have no meaning in a model '%s' with this config.json, the first is '%.100s' of %s",
                   count, config_.family->model_type, first->tensor->name.c_str(), first->shard->file.c_str());
}

tern_status HfImport::read_chat_template(std::string* out) {
  Bytes file;
  tern_status s = load("chat_template.jinja", LoadMode::copy, kMaxConfig, &file);
  if (s == TERN_OK) {
    out->assign((const char*)file.data, (size_t)file.size);
  } else if (s == TERN_ERR_NOT_FOUND) {
    s = load("tokenizer_config.json", LoadMode::copy, kMaxIndex, &file);
    if (s != TERN_OK) return s == TERN_ERR_NOT_FOUND ? TERN_OK : s;
    Json json;
    constexpr JsonLimits kLimits = {.depth = 16, .values = 4u << 20, .bytes = kMaxIndex};
    if (s = json.parse({(const char*)file.data, (size_t)file.size}, kLimits); s != TERN_OK) {
      const std::string why = thread_error().message;
      return TERN_FAIL(s, "tokenizer_config.json: %s", why.c_str());
    }
    *out = json.root()["chat_template"].string();
  } else {
    return s;
  }
  bool usable = out->size() < kMaxTemplate && out->find('\0') == std::string::npos;
  for (std::string_view rest = *out; usable && !rest.empty();) {
    const size_t n = utf8_character(rest);
    usable = n > 0;
    rest.remove_prefix(n);
  }
  if (!usable) out->clear();
  return TERN_OK;
}

tern_status HfImport::build(const WeightForm& form, ModelDef* model) {
  form_ = &form, model_ = model;
  TransformerConfig& c = config_.model;
  form.configure(&c);
  const auto place = std::find_if(std::begin(kPlaces), std::end(kPlaces), [&](const Place& p) {
    return found_.count(std::string(p.body) + "embed_tokens.weight") > 0;
  });
  const Place at = place == std::end(kPlaces) ? kPlaces[0] : *place;
  const std::string body(at.body);
  TERN_TRY(add(body + "embed_tokens.weight", "embed", Role::plain, {c.vocab, c.hidden}));
  TERN_TRY(add(body + "norm.weight", "norm", Role::norm, {c.hidden}));
  if (!config_.tied_head) TERN_TRY(add(std::string(at.head), "head", Role::plain, {c.vocab, c.hidden}));
  for (int64_t i = 0; i < c.layers; ++i) {
    const std::string layer = "layers." + std::to_string(i) + ".";
    for (const Name& n : kOfLayer) {
      if (!has_part(n.part)) continue;
      Shape shape{size_of(n.rows)};
      if (n.columns != Size::none) shape.push(size_of(n.columns));
      TERN_TRY(add(body + layer + std::string(n.theirs), layer + std::string(n.ours), n.role, shape));
    }
  }
  TERN_TRY(check_left());
  return build_transformer(c, model);
}

}  // namespace

tern_status import_hf_folder(const std::string& folder, const ImportOptions& options, ModelDef* out) {
  WeightForm form;
  TERN_TRY(find_weight_form(options, false, &form));  // an unknown one is told before anything is read
  HfImport import(folder, options);
  TERN_TRY(import.open());
  TERN_TRY(find_weight_form(options, import.config().ternary != Ternary::none, &form));
  ModelDef model;
  TERN_TRY(import.build(form, &model));
  model.metadata.push_back({"source.format", "safetensors"});
  model.metadata.push_back({"language.family", import.config().family->name});
  std::string chat;
  TERN_TRY(import.read_chat_template(&chat));
  if (!chat.empty()) model.metadata.push_back({"language.chat_template", std::move(chat)});
  *out = std::move(model);
  return TERN_OK;
}

}  // namespace tern
