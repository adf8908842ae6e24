// SPDX-License-Identifier: Apache-2.0
#include "models/golden.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>

#include "models/json.h"

namespace tern::test {
namespace {

Shape shape_of(const Json& list) {
  Shape s;
  for (const Json& d : list.list) s.push((int64_t)d.number);
  return s;
}

// ---- .npy ----

// Version 1.0, C order, "|u1" or "<f4", as floats.
bool read_npy(const std::string& path, std::vector<float>* out) {
  std::vector<uint8_t> bytes;
  if (!read_bytes(path, &bytes) || bytes.size() < 10 || std::memcmp(bytes.data(), "\x93NUMPY\x01", 7) != 0)
    return false;
  const size_t start = 10u + bytes[8] + 256u * bytes[9];
  if (start > bytes.size()) return false;
  const std::string header((const char*)bytes.data() + 10, start - 10);
  if (header.find("'fortran_order': False") == std::string::npos) return false;
  const size_t n = bytes.size() - start;
  if (header.find("|u1") != std::string::npos) {
    out->assign(bytes.begin() + (ptrdiff_t)start, bytes.end());
  } else if (header.find("<f4") != std::string::npos) {
    out->resize(n / 4);
    std::memcpy(out->data(), bytes.data() + start, out->size() * 4);
  } else {
    return false;
  }
  return true;
}

std::string golden_folder() { return std::string(TERN_SOURCE_DIR) + "/tests/models/golden/"; }

}  // namespace

std::string cache_folder() {
  if (const char* given = std::getenv("TERN_CACHE")) return given;
  const char* home = std::getenv("HOME");
  return std::string(home ? home : ".") + "/.cache/tern";
}

bool read_bytes(const std::string& path, std::vector<uint8_t>* out) {
  std::unique_ptr<FILE, int (*)(FILE*)> f(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!f) return false;
  out->clear();
  uint8_t block[1 << 16];
  for (size_t got; (got = std::fread(block, 1, sizeof block, f.get())) > 0;)
    out->insert(out->end(), block, block + got);
  return !std::ferror(f.get());
}

bool model_fetched(const Golden& golden) { return std::filesystem::exists(golden.model); }

bool read_golden(const std::string& name, Golden* out, std::string* error) {
  const std::string folder = golden_folder() + name + "/";
  Json root;
  if (!read_json(folder + "case.json", &root))
    return *error = folder + "case.json is not there or not understood", false;
  *out = Golden{};
  out->name = name;
  const std::string& model = root["model"].text;
  out->model = model.find('/') != std::string::npos ? std::string(TERN_SOURCE_DIR) + "/" + model
                                                    : cache_folder() + "/models/" + model;
  for (const auto& [input, dims] : root["reshape"].object) {
    if (!out->input_shapes.empty()) out->input_shapes += ';';
    out->input_shapes += input + "=";
    for (size_t i = 0; i < dims.list.size(); ++i)
      out->input_shapes += (i ? "x" : "") + std::to_string((int64_t)dims.list[i].number);
  }
  for (const Json& j : root["inputs"].list) {
    GoldenInput input{j["name"].text, shape_of(j["shape"]), {}};
    if (!read_npy(folder + j["file"].text, &input.values) || (int64_t)input.values.size() != input.shape.elements())
      return *error = "cannot read " + folder + j["file"].text, false;
    const float scale = (float)j["scale"].number, offset = (float)j["offset"].number;
    for (float& v : input.values) v = v * scale + offset;
    out->inputs.push_back(std::move(input));
  }
  for (const Json& j : root["outputs"].list) {
    GoldenOutput output{j["name"].text, shape_of(j["shape"]), (int64_t)j["stride"].number, j["absmax"].number, {}};
    const int64_t n = output.shape.elements();
    if (!read_npy(folder + j["file"].text, &output.values) || output.stride < 1 ||
        (int64_t)output.values.size() != (n + output.stride - 1) / output.stride)
      return *error = "cannot read " + folder + j["file"].text, false;
    out->outputs.push_back(std::move(output));
  }
  return true;
}

std::vector<std::string> golden_cases(const std::string& model_suffix) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(golden_folder())) {
    if (!std::filesystem::exists(entry.path() / "case.json")) continue;
    Golden golden;
    std::string error;
    const std::string name = entry.path().filename().string();
    if (read_golden(name, &golden, &error) && golden.model.ends_with(model_suffix)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

double golden_error(const GoldenOutput& golden, const std::vector<float>& result) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  if ((int64_t)result.size() != golden.shape.elements()) return kInfinite;
  double worst = 0;
  for (size_t i = 0; i < golden.values.size(); ++i) {
    const double d = std::fabs((double)result[i * (size_t)golden.stride] - golden.values[i]);
    if (!(d == d)) return kInfinite;
    worst = std::max(worst, d);
  }
  return worst == 0 ? 0 : worst / golden.absmax;
}

double run_golden(const Golden& golden, const ModelDef& model, const Evaluator& evaluator, std::string* error) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  std::vector<std::vector<float>> results;
  if (!evaluator(model, golden.inputs, &results, error)) return kInfinite;
  const Signature& s = model.signatures[0];
  if (results.size() != s.output_names.size()) return *error = "another number of outputs", kInfinite;
  double worst = 0;
  for (const GoldenOutput& output : golden.outputs) {
    const auto it = std::find(s.output_names.begin(), s.output_names.end(), output.name);
    if (it == s.output_names.end()) return *error = "no output '" + output.name + "'", kInfinite;
    const size_t index = (size_t)(it - s.output_names.begin());
    const Shape& shape = s.graph.value(s.graph.outputs[index]).shape;
    if (!(shape == output.shape))
      return *error = "output '" + output.name + "' has shape " + to_string(shape) + " instead of " +
                      to_string(output.shape),
             kInfinite;
    worst = std::max(worst, golden_error(output, results[index]));
  }
  return worst;
}

}  // namespace tern::test
