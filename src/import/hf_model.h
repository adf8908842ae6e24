// SPDX-License-Identifier: Apache-2.0
// Language models of Hugging Face folders: config.json beside model.safetensors, or beside the files that
// model.safetensors.index.json lists.
#pragma once
#include <string>
#include <string_view>

#include "import/language.h"

namespace tern {

// How a ternary model's projections lie (quantization_config).
enum class Ternary : uint8_t {
  none,      // ordinary weights
  multiply,  // codes times weight_scale (linear_class autobitlinear), or weights times it
  divide,    // codes divided by it (bitlinear)
  online,    // master weights, of which each is rounded to -1, 0 or 1 times the mean of the magnitudes
};

struct HfConfig {
  const Family* family = nullptr;
  TransformerConfig model;
  bool tied_head = false, qkv_bias = false, o_bias = false, mlp_bias = false;
  bool pictures = false;  // a model of text and pictures, of which the text's part is taken
  Ternary ternary = Ternary::none;
};

// Of the text of config.json. A key that is not known is an error unless its value is null or false.
tern_status read_hf_config(std::string_view json, HfConfig* out);

// Makes a language model (models/transformer.h) of a folder. Weights are mapped; names in the index are plain names of
// files of the folder.
tern_status import_hf_folder(const std::string& folder, const ImportOptions& options, ModelDef* out);

}  // namespace tern
