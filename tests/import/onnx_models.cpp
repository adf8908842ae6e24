// SPDX-License-Identifier: Apache-2.0
// The fetched ONNX models: they keep their open dims as symbols, few transposes are left, and the small ones give the golden
// results node by node with the operators' own references (the larger ones do so in the tests of the runtime).
#include <gtest/gtest.h>

#include <cstring>

#include "evaluate.h"
#include "models/golden.h"
#include "ops/op.h"
#include "passes/specialize.h"

using namespace tern;
using namespace tern::test;

namespace {

struct Expectation {
  const char* golden;
  int transposes;     // left in the graph of a plan
  const char* symbols;  // their multiples
  bool evaluate;
};

constexpr Expectation kExpected[] = {
    {"ppocr_cls", 1, "1 1 1", true},
    {"ppocr_det_480x736", 1, "1 32 32", false},
    {"ppocr_rec_200", 9, "1 1", true},
    {"centerface_480x640", 4, "", false},
};

int count_transposes(const Graph& g) {
  int n = 0;
  for (const Node& node : g.nodes) n += std::strcmp(node.op->name, "transpose") == 0;
  return n;
}

class OnnxModel : public testing::TestWithParam<Expectation> {};

TEST_P(OnnxModel, KeepsItsDimsAndFewTransposes) {
  Golden golden;
  std::string error;
  ASSERT_TRUE(read_golden(GetParam().golden, &golden, &error)) << error;
  if (!model_fetched(golden)) GTEST_SKIP() << "SKIPPED: " << golden.model << " is not fetched (samples/fetch)";
  std::vector<uint8_t> file;
  ASSERT_TRUE(read_bytes(golden.model, &file));
  ImportOptions options;
  options.input_shapes = golden.input_shapes;
  ModelDef model;
  ASSERT_EQ(import_onnx(file, options, &model), TERN_OK) << thread_error().message;
  const Signature& forward = model.signatures[0];
  std::string multiples;
  for (const Symbol& s : forward.symbols) multiples += (multiples.empty() ? "" : " ") + std::to_string(s.multiple);
  EXPECT_EQ(multiples, GetParam().symbols);
  std::vector<Shape> shapes;
  for (ValueId v : forward.graph.inputs) {
    shapes.push_back(forward.graph.value(v).shape);
    for (const GoldenInput& input : golden.inputs)
      if (input.name == forward.graph.value(v).name) shapes.back() = input.shape;
  }
  Graph g;
  ASSERT_EQ(specialize(forward.graph, shapes, &g), TERN_OK) << thread_error().message;
  EXPECT_LE(count_transposes(g), GetParam().transposes);
  if (!GetParam().evaluate) return;
  model.signatures[0].graph = g;  // of the golden's sizes
  const double worst = run_golden(golden, model, [&](const ModelDef& m, const std::vector<GoldenInput>& inputs, std::vector<std::vector<float>>* outputs, std::string* why) {
    std::vector<TensorData> in, out;
    for (ValueId v : g.inputs) {
      in.push_back(make_tensor(g.value(v).dtype, g.value(v).shape));
      for (const GoldenInput& input : inputs)
        for (size_t i = 0; input.name == g.value(v).name && i < input.values.size(); ++i) store_element(in.back().dtype, const_cast<void*>(in.back().data.bytes), (int64_t)i, input.values[i]);
    }
    if (evaluate_graph(m, g, in, &out) != TERN_OK) return *why = thread_error().message, false;
    for (const TensorData& t : out) {
      outputs->emplace_back();
      for (int64_t i = 0; i < t.elements(); ++i) outputs->back().push_back((float)t.load(i));
    }
    return true;
  }, &error);
  EXPECT_LE(worst, 1e-4) << error;
}

INSTANTIATE_TEST_SUITE_P(Fetched, OnnxModel, testing::ValuesIn(kExpected), [](const auto& info) { return std::string(info.param.golden); });

}  // namespace
