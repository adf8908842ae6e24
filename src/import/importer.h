// SPDX-License-Identifier: Apache-2.0
// What the importers share: options, overrides of input shapes, symbolic dims, the list of missing operators.
//
// An importer reads one format and makes a ModelDef with one signature "forward" in canonical operators.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "graph/model_def.h"

namespace tern {

class Sizes;  // graph/sizes.h

// Content of a tensor of the file, plain row-major.
struct TensorData {
  std::string name;
  DType dtype = TERN_DTYPE_NONE;
  Shape shape;
  Data data;
  bool nibbles = false;  // the file has integers of 4 bits; here they are of 8

  int64_t elements() const { return shape.elements(); }
  uint64_t bytes() const { return (uint64_t)shape.elements() * dtype_size(dtype); }
  double load(int64_t i) const { return load_element(dtype, data.bytes, i); }
  int64_t load_int(int64_t i) const { return load_integer(dtype, data.bytes, i); }
};

struct ImportOptions {
  std::string input_shapes;                                   // "NAME=1x3x480x640;NAME2=..."
  std::string input_values;                                   // "NAME=16000;NAME2=..."
  std::string recipe;                                         // "" = the one that fits
  std::string recipe_text;                                    // of a recipe of the caller's, called `recipe`
  std::string task;                                           // "" = any
  std::vector<std::pair<std::string, std::string>> settings;  // keys of the task's metadata, after the recipe
  std::string labels;
  std::string weights, cache, activations;  // of language models: as tern_import_options; "" = the default
  uint64_t max_file_bytes = 64ull << 30;    // of all files that are read
  std::string folder;  // where the model's file lies: weights may be in files beside it; "" = nothing is beside it
  // Inputs whose content is known: they become constants. (A model that takes shapes or axes as inputs can be used so.)
  std::map<std::string, TensorData> bound;
};

// Readers of the formats. `file` stays as it is during the call; the model refers to nothing in it afterwards.
tern_status import_onnx(std::span<const uint8_t> file, const ImportOptions& options, ModelDef* out);
tern_status import_tflite(std::span<const uint8_t> file, const ImportOptions& options, ModelDef* out);
// Told apart by content.
tern_status import_model(std::span<const uint8_t> file, const ImportOptions& options, ModelDef* out);

// ---- overrides ----

struct ShapeOverride {
  std::string name;
  Shape shape;
  bool used = false;
};
// "NAME=1x3x480x640;NAME2=..."; names may hold '=' (the last one counts) and ';'. Errors name the part.
tern_status parse_input_shapes(std::string_view text, std::vector<ShapeOverride>* out);
// Fails with TERN_ERR_INVALID_ARGUMENT for an override whose input does not exist; `inputs` lists the names there are.
tern_status check_all_used(const std::vector<ShapeOverride>& overrides, const std::string& inputs);

struct InputValue {
  std::string name;
  double number = 0;
};
// "NAME=16000;NAME2=..."; names may hold '=' and ';'. Errors name the part.
tern_status parse_input_values(std::string_view text, std::vector<InputValue>* out);

// ---- symbolic dims ----

// An input as the file declares it: a dim >= 0 is fixed, -1 - s is symbol s.
struct InputSpec {
  std::string name;
  DType dtype = TERN_DTYPE_NONE;
  Shape dims;
};

struct InputSizes {
  std::vector<std::string> symbols;  // names
  std::vector<InputSpec> inputs;
  std::vector<int64_t> hints;  // one size a symbol
  std::vector<int64_t> fixed;  // a symbol that cannot vary has its size here, else -1

  bool is_open(int64_t dim) const { return dim < 0 && fixed[(size_t)(-1 - dim)] < 0; }
  Shape shape(const InputSpec& input, const std::vector<int64_t>& sizes) const;
};

// Builds the model for these hints, anew at each call. *sizes_decide: it failed since something that must be known when
// a model is imported follows from sizes that vary; it may be built where they are fixed.
using BuildModel = std::function<tern_status(const InputSizes& sizes, bool* sizes_decide, ModelDef* model)>;

// Chooses hints for which `build` succeeds (dim 0 = 1, then usual heights and widths), fixes the symbols that cannot
// vary, adds the others to the signature with the steps for which shapes can be inferred, and notes in the metadata
// what it fixed ("import.fixed"). The status of the first attempt is returned if none succeeds.
tern_status build_for_sizes(InputSizes* sizes, const BuildModel& build, ModelDef* model);

// ---- what is missing ----

// All operators that are not supported, with counts, for one error.
struct Missing {
  std::map<std::string, int> counts;
  int total = 0;
  void add(std::string what) { ++counts[std::move(what)], ++total; }
  bool any() const { return !counts.empty(); }
  // TERN_ERR_UNSUPPORTED_OP with the list, or TERN_OK if it is empty.
  tern_status report() const;
};

// ---- texts ----

namespace tokens {
struct TokenizerDef;
}
// Proves it and puts it into the model.
tern_status keep_tokenizer(tokens::TokenizerDef def, ModelDef* model);

// ---- after lowering ----

// Moves transposes through the graph until they cancel (layout.cpp). The values of g know their sizes.
tern_status simplify_layout(ModelDef& model, Graph& g, Sizes& sizes);
// Drops parameters that no signature uses, and gives the others names of their own.
void drop_unused_parameters(ModelDef& model);
}  // namespace tern
