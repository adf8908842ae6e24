// SPDX-License-Identifier: Apache-2.0
// What the importers of language models share: the families, and weights in the form that the caller asked for.
#pragma once
#include <functional>
#include <span>
#include <string>

#include "import/importer.h"
#include "models/transformer.h"

namespace tern {

// What a family of models does otherwise than the others, where its files do not say so.
struct Family {
  const char* name;                    // general.architecture of GGUF; "language.family" of our metadata
  const char* model_type = nullptr;    // of config.json (Hugging Face)
  const char* architecture = nullptr;  // that its architectures must name, where the model_type is that of others
  bool in_gguf = true;
  Gate gate = Gate::silu;
  bool interleaved = false;   // GGUF: pairs of neighbours turn, the weights of q and k lie so
  bool scales_embed = false;  // by sqrt(hidden)
  int64_t global_every = 0;
  double local_base = 0;
  // Of Hugging Face's files: weights that a layer has beside those of all families.
  bool qkv_bias = false;       // always
  bool may_have_bias = false;  // of q, k, v and o: the key attention_bias says
  bool may_have_mlp_bias = false;
  bool head_norms = false, sub_norms = false, post_norms = false;
  bool inner_norms = false;     // sub_norms by the older names
  bool norms_from_one = false;  // the files hold scale - 1
  bool master_weights = false;  // of which projections are ternary when they are used
  // What config.json may leave out; 0: it may not, or there is none.
  double norm_epsilon = 1e-6, rope_base = 10000, query_scalar = 0;
  int64_t positions = 2048, vocab = 0, heads = 0, kv_heads = 0, head_dim = 0, window = 0;
  bool tied_head = false;
};
std::span<const Family> language_families();

// A form of the weights of matrices; vectors are always f32.
struct WeightForm {
  const char* name;
  DType dtype;
  Encoding encoding, projections;  // of the embedding and the head; of what layers multiply with
  DType cache;                     // of keys and values
  Rounding inner = Rounding::none, outer = Rounding::none;  // of what meets the projections; the head
  bool ternary = false;                                     // projections are -s, 0 and s
  bool own = false;                                         // the caller asked for none: tensors may have their own
  Encoding cache_encoding = Encoding::plain;

  void configure(TransformerConfig* c) const {
    c->cache = cache, c->cache_encoding = cache_encoding, c->projections = inner, c->head = outer;
  }
};
// Of ImportOptions::weights, or where that is empty the model's own: `ternary` says that its projections are; and of
// ImportOptions::cache and ::activations. Errors: TERN_ERR_INVALID_ARGUMENT.
tern_status find_weight_form(const ImportOptions& options, bool ternary, WeightForm* out);
// That of a matrix which its file holds in the form of this name, which is one of those that the caller may ask for.
WeightForm own_form(const WeightForm& form, const char* name);

// Adds a parameter whose numbers `read` gives a row (of the last dim) at a time, rows in order. Errors: those of
// `read`; TERN_ERR_UNSUPPORTED: the form is ternary and a projection is not.
using ReadRow = std::function<tern_status(int64_t row, float* out)>;
tern_status add_weight(std::string name, const Shape& shape, const WeightForm& form, const ReadRow& read,
                       ModelDef* model);

}  // namespace tern
