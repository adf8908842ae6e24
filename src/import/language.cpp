// SPDX-License-Identifier: Apache-2.0
#include "import/language.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace tern {
namespace {

constexpr Family kFamilies[] = {
    {.name = "bitnet",
     .model_type = "llama",
     .architecture = "BitnetForCausalLM",
     .may_have_bias = true,
     .inner_norms = true,
     .master_weights = true},
    {.name = "llama", .model_type = "llama", .interleaved = true, .may_have_bias = true, .may_have_mlp_bias = true},
    {.name = "mistral", .model_type = "mistral", .in_gguf = false, .positions = 131072, .window = 4096},
    {.name = "qwen2", .model_type = "qwen2", .qkv_bias = true, .positions = 32768},
    {.name = "qwen3",
     .model_type = "qwen3",
     .may_have_bias = true,
     .head_norms = true,
     .positions = 32768,
     .head_dim = 128},
    {.name = "gemma3",
     .model_type = "gemma3_text",
     .gate = Gate::gelu_tanh,
     .scales_embed = true,
     .global_every = 6,
     .local_base = 10000,
     .may_have_bias = true,
     .head_norms = true,
     .post_norms = true,
     .norms_from_one = true,
     .rope_base = 1e6,
     .query_scalar = 256,
     .positions = 131072,
     .vocab = 262208,
     .heads = 8,
     .kv_heads = 4,
     .head_dim = 256,
     .window = 4096,
     .tied_head = true},
    {.name = "bitnet-b1.58",
     .model_type = "bitnet",
     .gate = Gate::relu_squared,
     .may_have_bias = true,
     .sub_norms = true,
     .norm_epsilon = 1e-5,
     .rope_base = 500000},
};

constexpr WeightForm kForms[] = {
    {"f32", TERN_DTYPE_F32, Encoding::panel32, Encoding::panel32, TERN_DTYPE_F32},
    {"f16", TERN_DTYPE_F16, Encoding::panel32, Encoding::panel32, TERN_DTYPE_F16},
    {"q8_0", TERN_DTYPE_F32, Encoding::panel_int8, Encoding::panel_int8, TERN_DTYPE_F16, Rounding::blocks,
     Rounding::blocks},
    {"q4_0", TERN_DTYPE_F32, Encoding::panel_int8, Encoding::panel_int4, TERN_DTYPE_F16, Rounding::blocks,
     Rounding::blocks},
    {"q4_1", TERN_DTYPE_F32, Encoding::panel_int8, Encoding::panel_int4_min, TERN_DTYPE_F16, Rounding::blocks,
     Rounding::blocks},
    {"ternary", TERN_DTYPE_F32, Encoding::panel_int8, Encoding::ternary2, TERN_DTYPE_F16, Rounding::rows,
     Rounding::blocks, true},
};

const WeightForm* find_form(std::string_view name) {
  const auto form = std::find_if(std::begin(kForms), std::end(kForms), [&](const auto& f) { return f.name == name; });
  return form == std::end(kForms) ? nullptr : form;
}

// How the numbers of a matrix lie between 0 and the largest of their row.
struct Census {
  int64_t total = 0, zeros = 0, largest = 0;
  void count(std::span<const float> row) {
    float most = 0;
    for (const float v : row) most = std::max(most, std::fabs(v));
    for (const float v : row) zeros += v == 0, largest += v != 0 && std::fabs(v) == most;
    total += (int64_t)row.size();
  }
  bool is_ternary() const { return zeros + largest == total; }
};

}  // namespace

std::span<const Family> language_families() { return kFamilies; }

tern_status find_weight_form(const ImportOptions& options, bool ternary, WeightForm* out) {
  const std::string wanted = !options.weights.empty() ? options.weights : ternary ? "ternary" : "q8_0";
  const WeightForm* form = find_form(wanted);
  if (!form)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "weights '%.60s'; there are f32, f16, q8_0, q4_0, q4_1 and ternary",
                     wanted.c_str());
  *out = *form;
  out->own = options.weights.empty();
  if (options.activations == "f32") {
    if (out->inner == Rounding::blocks) out->inner = Rounding::none;
    out->outer = Rounding::none;
  } else if (options.activations == "int16" && out->outer == Rounding::none) {
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "activations 'int16' meet weights of 8 or 4 bits, not %s", out->name);
  } else if (!options.activations.empty() && options.activations != "int16") {
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "activations '%.60s'; there are f32 and int16",
                     options.activations.c_str());
  }
  if (options.cache.empty()) return TERN_OK;
  if (options.cache != "f32" && options.cache != "f16" && options.cache != "int8")
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "a cache of '%.60s'; there are f32, f16 and int8",
                     options.cache.c_str());
  out->cache = options.cache == "f16" ? TERN_DTYPE_F16 : TERN_DTYPE_F32;
  if (options.cache == "int8") out->cache_encoding = Encoding::row_int8;
  return TERN_OK;
}

WeightForm own_form(const WeightForm& form, const char* name) {
  WeightForm out = form;
  if (const WeightForm* own = find_form(name)) out.encoding = out.projections = own->projections;
  return out;
}

tern_status add_weight(std::string name, const Shape& shape, const WeightForm& form, const ReadRow& read,
                       ModelDef* model) {
  Parameter p;
  p.name = std::move(name);
  p.shape = shape;
  const bool matrix = shape.rank == 2, projection = matrix && p.name.starts_with("layers.");
  p.dtype = matrix ? form.dtype : TERN_DTYPE_F32;
  p.encoding = projection ? form.projections : matrix ? form.encoding : Encoding::plain;
  Census census;
  TERN_TRY(encoded_bytes(p.encoding, p.dtype, p.shape, &p.bytes));
  void* to = nullptr;
  p.data = make_data(p.bytes, &to);
  const int64_t columns = shape[shape.rank - 1], rows = columns ? shape.elements() / columns : 0;
  std::vector<float> row((size_t)columns);
  for (int64_t i = 0; i < rows; ++i) {
    TERN_TRY(read(i, row.data()));
    if (projection && form.ternary) census.count(row);
    if (matrix) encode_rows(p.encoding, p.dtype, p.shape, row.data(), i, 1, to);
    else std::memcpy((float*)to + i * columns, row.data(), (size_t)columns * sizeof(float));
  }
  if (!census.is_ternary()) {
    const auto percent = [&](int64_t n) { return 100.0 * (double)n / (double)census.total; };
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "'%s' is not ternary: %.1f %% of its weights are 0, %.1f %% the largest magnitude of their row, "
                     "%.1f %% lie between. Choose other weights, as q8_0",
                     p.name.c_str(), percent(census.zeros), percent(census.largest),
                     percent(census.total - census.zeros - census.largest));
  }
  model->parameters.push_back(std::move(p));
  return TERN_OK;
}

}  // namespace tern
