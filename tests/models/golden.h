// SPDX-License-Identifier: Apache-2.0
// Reads the golden cases of real models (the format is in the first lines of make_goldens.py) and compares results.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "graph/model_def.h"

namespace tern::test {

struct GoldenInput {
  std::string name;
  Shape shape;
  std::vector<float> values;
};

struct GoldenOutput {
  std::string name;
  Shape shape;
  int64_t stride = 1;  // the values are the elements 0, stride, 2 stride, ...
  double absmax = 0;   // of all elements
  std::vector<float> values;
};

struct Golden {
  std::string name;          // of the case
  std::string model;         // path of the file; may not exist (model_fetched)
  std::string input_shapes;  // overrides as the importers take them, or ""
  std::vector<GoldenInput> inputs;
  std::vector<GoldenOutput> outputs;
};

// Folder of the fetched models and photographs: $TERN_CACHE or ~/.cache/tern.
std::string cache_folder();
// The whole of a file; false if it cannot be read.
bool read_bytes(const std::string& path, std::vector<uint8_t>* out);
bool model_fetched(const Golden& golden);
// Names of all cases, sorted; only those whose model's name ends so.
std::vector<std::string> golden_cases(const std::string& model_suffix);
// False with a message if the case cannot be read.
bool read_golden(const std::string& name, Golden* out, std::string* error);

// max |result - golden| / absmax over the stored elements; `result` holds all elements. NaN counts as infinite.
double golden_error(const GoldenOutput& golden, const std::vector<float>& result);

// Runs a model's signature "forward": all outputs as f32. False with a message.
using Evaluator = std::function<bool(const ModelDef&, const std::vector<GoldenInput>&, std::vector<std::vector<float>>*,
                                     std::string* error)>;
// Largest golden_error over all outputs, found by name; infinity with a message if something is missing.
double run_golden(const Golden& golden, const ModelDef& model, const Evaluator& evaluator, std::string* error);

}  // namespace tern::test
