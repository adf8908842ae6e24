// SPDX-License-Identifier: Apache-2.0
// The fetched ONNX models: they keep their open dims as symbols, few transposes are left, and the small ones give the
// golden results node by node with the operators' own references (the larger ones do so in the tests of the runtime).
#include <gtest/gtest.h>

#include <cmath>
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
  int transposes;       // left in the graph of a plan
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
  const double worst = run_golden(
      golden, model,
      [&](const ModelDef& m, const std::vector<GoldenInput>& inputs, std::vector<std::vector<float>>* outputs,
          std::string* why) {
        std::vector<TensorData> in, out;
        for (ValueId v : g.inputs) {
          in.push_back(make_tensor(g.value(v).dtype, g.value(v).shape));
          for (const GoldenInput& input : inputs)
            for (size_t i = 0; input.name == g.value(v).name && i < input.values.size(); ++i)
              store_element(in.back().dtype, const_cast<void*>(in.back().data.bytes), (int64_t)i, input.values[i]);
        }
        if (evaluate_graph(m, g, in, &out) != TERN_OK) return *why = thread_error().message, false;
        for (const TensorData& t : out) {
          outputs->emplace_back();
          for (int64_t i = 0; i < t.elements(); ++i) outputs->back().push_back((float)t.load(i));
        }
        return true;
      },
      &error);
  EXPECT_LE(worst, 1e-4) << error;
}

INSTANTIATE_TEST_SUITE_P(Fetched, OnnxModel, testing::ValuesIn(kExpected),
                         [](const auto& info) { return std::string(info.param.golden); });

// Its authors' file, as it is: which of two networks runs is said at run time by the sampling rate, and each takes
// another number of samples. Right values: ONNX Runtime 1.31.1, onnxruntime.InferenceSession(file).run, twice with the
// state handed on.
TEST(OnnxModels, TheSamplingRateIsGivenAtRunTime) {
  Golden golden;
  golden.model = cache_folder() + "/models/silero_vad_v5.onnx";
  if (!model_fetched(golden)) GTEST_SKIP() << "SKIPPED: " << golden.model << " is not fetched (samples/fetch models)";
  std::vector<uint8_t> file;
  ASSERT_TRUE(read_bytes(golden.model, &file));
  ModelDef model;
  ASSERT_EQ(import_onnx(file, {}, &model), TERN_OK) << thread_error().message;
  struct Call {
    int64_t rate, samples;
    float voice[2], state[6];
  };
  const Call calls[] = {{16000,
                         576,
                         {0.32061866f, 0.06087387f},
                         {0.0285058f, 0.3389753f, 0.2000613f, 0.2724966f, -0.2770396f, 0.9080983f}},
                        {8000,
                         288,
                         {0.00655571f, 0.00263569f},
                         {0.0204817f, -0.4681961f, 0.0408905f, 0.2258199f, 0.8868158f, 0.0421134f}}};
  for (const Call& call : calls) {
    std::vector<TensorData> in{make_tensor(TERN_DTYPE_F32, {1, call.samples}), make_tensor(TERN_DTYPE_F32, {2, 1, 128}),
                               make_tensor(TERN_DTYPE_I64, {})},
        out;
    for (int64_t i = 0; i < call.samples; ++i)
      store_element(TERN_DTYPE_F32, const_cast<void*>(in[0].data.bytes), i,
                    0.3 * std::sin(0.05 * (double)i) + 0.2 * std::sin(0.31 * (double)i) * std::sin(0.002 * (double)i));
    store_integer(TERN_DTYPE_I64, const_cast<void*>(in[2].data.bytes), 0, call.rate);
    for (const float voice : call.voice) {
      ASSERT_EQ(run_graph(model, model.signatures[0].graph, in, &out), TERN_OK) << thread_error().message;
      ASSERT_EQ(out[0].shape, (Shape{1, 1}));
      EXPECT_NEAR(out[0].load(0), voice, 1e-5) << call.rate;
      ASSERT_EQ(out[1].shape, in[1].shape);
      in[1] = out[1];
    }
    const int64_t at[] = {0, 5, 127, 128, 200, 255};
    for (int k = 0; k < 6; ++k) EXPECT_NEAR(out[1].load(at[k]), call.state[k], 1e-5) << call.rate;
  }
}

}  // namespace
