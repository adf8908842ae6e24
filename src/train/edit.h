// SPDX-License-Identifier: Apache-2.0
// Edits of a model: a model in, another one out that shares its weights. Each is a file of src/train/edits.
//
// An edit works on the canonical graphs of all signatures alike, so that what was trained is also what generates.
#pragma once
#include <functional>

#include "ops/op.h"
#include "runtime/model.h"

namespace tern {

struct Edit {
  // Its name and attributes, as operators have them; nothing else of it is set.
  Op description;
  // pattern: which weights (train/names.h). Errors: TERN_ERR_NOT_FOUND if none matches.
  tern_status (*apply)(Context& context, ModelDef& model, std::string_view pattern, const Attributes& attributes);
};

std::span<const Edit* const> all_edits();

// attributes: "rank=8 alpha=16". Errors: TERN_ERR_NOT_FOUND (no such edit; no weight matches), TERN_ERR_UNSUPPORTED
// (the edit does not fit these weights), TERN_ERR_INVALID_ARGUMENT.
tern_status edit_model(const Model& model, std::string_view edit, std::string_view pattern, std::string_view attributes,
                       Ref<Model>* out);

// "key=value key=value" into the attributes of an operator or edit, which have their defaults. other: takes what it
// knows and the operator does not; may be NULL.
tern_status set_attributes(const Op& op, Attributes* attributes, std::string_view text,
                           bool (*other)(void* user, std::string_view key, std::string_view value) = nullptr,
                           void* user = nullptr);

// ---- for edits ----

// Products with a weight of the model: linear and its kin.
struct WeightProduct {
  Graph& g;              // that is made
  Node node;             // with operands of g
  const ValueId weight;  // the parameter: operand 1, or what operand 1 is rounded from (ternarize)
  std::string name;      // of the parameter
};
// Makes every graph anew. Where a product reads a weight whose name matches, `make` says what stands in its place.
// count: how many there were, in all signatures.
tern_status rewrite_products(ModelDef& model, std::string_view pattern,
                             const std::function<ValueId(WeightProduct&)>& make);

// A parameter f32 of this name as a value of g. If there is none it is made: `fill` gets its elements, which are zeros.
ValueId added_parameter(ModelDef& model, Graph& g, const std::string& name, const Shape& shape,
                        const std::function<void(std::span<float>)>& fill);
// Uniform in +-bound; others for each name, the same everywhere (base/random.h).
void fill_uniform(int64_t seed, std::string_view name, double bound, std::span<float> to);

}  // namespace tern
