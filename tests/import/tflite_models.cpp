// SPDX-License-Identifier: Apache-2.0
// TFLite import: small models of one operator each against LiteRT's results (make_tflite_cases.py), and the fetched
// models against their goldens, node by node with the operators' own references.
#include <gtest/gtest.h>

#include <cmath>

#include "graph/task_metadata.h"
#include "import/recipes.h"
#include "ops/op.h"
#include "passes/specialize.h"
#include "small_cases.h"

using namespace tern;
using namespace tern::test;

namespace {

// ---- one operator each ----

std::vector<SmallCase> read_cases() { return test::read_cases(TERN_SOURCE_DIR "/tests/import/tflite_cases.bin"); }

// Quantised results may lie one step away: where a value lies between two codes, LiteRT rounds in fixed point.
bool matches(const TensorData& a, const TensorData& b, std::string* why) {
  if (a.dtype != TERN_DTYPE_I8 && a.dtype != TERN_DTYPE_U8) return close_to(a, b, 2e-5, 2e-5, why);
  if (a.dtype != b.dtype || !(a.shape == b.shape)) return close_to(a, b, 0, 0, why);
  for (int64_t i = 0; i < a.elements(); ++i)
    if (std::abs(a.load_int(i) - b.load_int(i)) > 1) return close_to(a, b, 0, 0, why);
  return true;
}

TEST(TfliteOperators, EqualLiteRt) {
  const std::vector<SmallCase> cases = read_cases();
  ASSERT_GT(cases.size(), 150u);
  for (const SmallCase& c : cases) {
    SCOPED_TRACE(c.name);
    ModelDef model;
    const tern_status s = import_tflite(c.model, ImportOptions{}, &model);
    EXPECT_EQ(s, TERN_OK) << thread_error().message;
    if (s != TERN_OK) continue;
    const Signature& forward = model.signatures[0];
    ASSERT_EQ(forward.graph.inputs.size(), c.inputs.size());
    // Sizes that vary are bound to those of the case.
    Graph g;
    std::vector<Shape> shapes;
    for (const TensorData& t : c.inputs) shapes.push_back(t.shape);
    ASSERT_EQ(specialize(forward.graph, shapes, &g), TERN_OK) << thread_error().message;
    std::vector<TensorData> results;
    ASSERT_EQ(evaluate_graph(model, g, c.inputs, &results), TERN_OK) << thread_error().message;
    ASSERT_EQ(results.size(), c.outputs.size());
    for (size_t i = 0; i < results.size(); ++i) {
      std::string why;
      EXPECT_TRUE(matches(results[i], c.outputs[i], &why)) << "output " << i << ": " << why;
    }
  }
}

TEST(TfliteOperators, VaryingSizesBecomeSymbols) {
  for (const SmallCase& c : read_cases()) {
    if (c.name != "varying_picture") continue;
    ModelDef model;
    ASSERT_EQ(import_tflite(c.model, ImportOptions{}, &model), TERN_OK) << thread_error().message;
    const Signature s = model.signatures[0];
    ASSERT_EQ(s.symbolic_dims.size(), 3u);
    EXPECT_EQ(s.symbols[0].name, "batch");
    for (const Symbol& symbol : s.symbols) EXPECT_EQ(symbol.multiple, 1);
    // An override fixes them.
    ImportOptions options;
    options.input_shapes = s.graph.value(s.graph.inputs[0]).name + "=1x4x6x3";
    ASSERT_EQ(import_tflite(c.model, options, &model), TERN_OK) << thread_error().message;
    EXPECT_TRUE(model.signatures[0].symbols.empty());
    EXPECT_EQ(to_string(model.signatures[0].graph.value(model.signatures[0].graph.outputs[0]).shape), "[1,1,2,4]");
    options.input_shapes = "nobody=1x4x6x3";
    EXPECT_EQ(import_tflite(c.model, options, &model), TERN_ERR_INVALID_ARGUMENT);
    options.input_shapes = s.graph.value(s.graph.inputs[0]).name + "=1x4x6x5";
    EXPECT_NE(import_tflite(c.model, options, &model), TERN_OK);
    return;
  }
  FAIL() << "no case";
}

TEST(TfliteOperators, WeightsStaySmallAndShared) {
  int found = 0;
  for (const SmallCase& c : read_cases()) {
    ModelDef model;
    if (c.name == "conv_f16_weights") {
      ASSERT_EQ(import_tflite(c.model, ImportOptions{}, &model), TERN_OK);
      int f16 = 0, f32 = 0;
      for (const Parameter& p : model.parameters) ++(p.dtype == TERN_DTYPE_F16 ? f16 : f32);
      EXPECT_EQ(f16, 2);  // weight and bias; a factor is widened
      EXPECT_EQ(f32, 1);
      ++found;
    }
    if (c.name == "shared_weight") {
      ASSERT_EQ(import_tflite(c.model, ImportOptions{}, &model), TERN_OK);
      EXPECT_EQ(model.parameters.size(), 2u);
      ++found;
    }
  }
  EXPECT_EQ(found, 2);
}

// ---- the fetched models ----

bool reference(const ModelDef& model, const std::vector<GoldenInput>& inputs, std::vector<std::vector<float>>* outputs,
               std::string* error) {
  const Graph& g = model.signatures[0].graph;
  std::vector<TensorData> in, out;
  for (ValueId v : g.inputs)
    for (const GoldenInput& input : inputs) {
      if (input.name != g.value(v).name) continue;
      in.push_back(make_tensor(g.value(v).dtype, input.shape));
      for (size_t i = 0; i < input.values.size(); ++i)
        store_element(in.back().dtype, const_cast<void*>(in.back().data.bytes), (int64_t)i, input.values[i]);
    }
  if (evaluate_graph(model, g, in, &out) != TERN_OK) return *error = thread_error().message, false;
  for (const TensorData& t : out) {
    std::vector<float> values;
    for (int64_t i = 0; i < t.elements(); ++i) values.push_back((float)t.load(i));
    outputs->push_back(std::move(values));
  }
  return true;
}

class TfliteModel : public testing::TestWithParam<std::string> {};

// The large ones take the plain loops too long; tests of the runtime run all.
bool small(const std::string& name) {
  return name == "selfie" || name == "selfie_landscape" || name == "pose_detection_person";
}

TEST_P(TfliteModel, EqualsGolden) {
  Golden golden;
  std::string error;
  ASSERT_TRUE(read_golden(GetParam(), &golden, &error)) << error;
  if (!model_fetched(golden)) GTEST_SKIP() << "NOT RUN: no model " << golden.model << "; samples/fetch gets it";
  std::vector<uint8_t> file;
  ASSERT_TRUE(read_bytes(golden.model, &file));
  ModelDef model;
  ImportOptions options;
  options.input_shapes = golden.input_shapes;
  ASSERT_EQ(import_tflite(file, options, &model), TERN_OK) << thread_error().message;
  uint64_t bytes = 0;
  for (const Parameter& p : model.parameters) bytes += p.bytes;
  // Sparse weights are stored dense; nothing else grows.
  if (golden.model.find("pose_detection") == std::string::npos) {
    EXPECT_LE(bytes, file.size());
  }
  if (!small(GetParam()) && !std::getenv("TERN_TEST_ALL")) return;
  const double worst = run_golden(golden, model, reference, &error);
  EXPECT_LE(worst, 1e-4) << error;
}

INSTANTIATE_TEST_SUITE_P(Goldens, TfliteModel, testing::ValuesIn(golden_cases(".tflite")),
                         [](const auto& info) { return info.param; });

// ---- recipes ----

struct RecipeCase {
  const char* golden;
  const char* task;
  int64_t anchors;
};

void PrintTo(const RecipeCase& c, std::ostream* out) { *out << c.golden; }

class FetchedRecipes : public testing::TestWithParam<RecipeCase> {};

TEST_P(FetchedRecipes, FitByShape) {
  Golden golden;
  std::string error;
  ASSERT_TRUE(read_golden(GetParam().golden, &golden, &error)) << error;
  if (!model_fetched(golden)) GTEST_SKIP() << "NOT RUN: no model " << golden.model << "; samples/fetch gets it";
  std::vector<uint8_t> file;
  ASSERT_TRUE(read_bytes(golden.model, &file));
  ModelDef model;
  ImportOptions options;
  options.labels = "???\r\none\r\ntwo\r\n";
  ASSERT_EQ(import_tflite(file, options, &model), TERN_OK) << thread_error().message;
  ASSERT_NE(find_metadata(model, "task"), nullptr);
  EXPECT_EQ(*find_metadata(model, "task"), GetParam().task);
  ASSERT_NE(find_metadata(model, "labels"), nullptr);
  EXPECT_EQ(*find_metadata(model, "labels"), "???\none\ntwo");
  // The schema's own reader takes it: outputs are there, and the grid has as many anchors as the model.
  TaskMetadata metadata;
  ASSERT_EQ(TaskMetadata::read(model, &metadata), TERN_OK) << thread_error().message;
  int64_t anchors = 0;
  for (const AnchorLevel& level : metadata.anchors())
    anchors += level.columns * level.rows * (int64_t)level.shapes.size();
  EXPECT_EQ(anchors, GetParam().anchors);
  options.recipe = "none";
  ASSERT_EQ(import_tflite(file, options, &model), TERN_OK);
  EXPECT_EQ(find_metadata(model, "task"), nullptr);
  options.recipe = "centerface";
  EXPECT_EQ(import_tflite(file, options, &model), TERN_ERR_INVALID_ARGUMENT);
  options.recipe = "nothing";
  EXPECT_EQ(import_tflite(file, options, &model), TERN_ERR_INVALID_ARGUMENT);
}

INSTANTIATE_TEST_SUITE_P(
    All, FetchedRecipes,
    testing::Values(RecipeCase{"ssd_dog", "detector", 1917}, RecipeCase{"pose_detection_person", "detector", 2254},
                    RecipeCase{"pose_lite_person", "keypoints", 0}, RecipeCase{"pose_full_person", "keypoints", 0},
                    RecipeCase{"pose_heavy_person", "keypoints", 0}, RecipeCase{"selfie", "segmenter", 0},
                    RecipeCase{"selfie_landscape", "segmenter", 0}, RecipeCase{"mobilefacenet", "embedder", 0}),
    [](const auto& info) { return std::string(info.param.golden); });

// The recipe of an ONNX model: only shapes and names matter.
TEST(Recipes, CenterFace) {
  ModelDef model;
  Signature s;
  s.name = "forward";
  add_input(s.graph, "input.1", TERN_DTYPE_F32, Shape{1, 3, 480, 640});
  for (int64_t channels : {1, 2, 2, 10}) {
    Value v;
    v.dtype = TERN_DTYPE_F32;
    v.shape = Shape{1, channels, 120, 160};
    s.output_names.push_back("out" + std::to_string(s.output_names.size()));
    s.graph.outputs.push_back(add_value(s.graph, v));
  }
  model.signatures.push_back(s);
  ModelDef other = model;
  ASSERT_EQ(apply_recipe(ImportOptions{}, &model), TERN_OK);
  EXPECT_EQ(*find_metadata(model, "task.recipe"), "centerface");
  EXPECT_EQ(*find_metadata(model, "input.layout"), "nchw");
  EXPECT_EQ(*find_metadata(model, "output.sizes"), "out1");
  EXPECT_EQ(*find_metadata(model, "output.offsets"), "out2");
  const size_t keys = model.metadata.size();
  ASSERT_EQ(apply_recipe(ImportOptions{}, &model), TERN_OK);
  EXPECT_EQ(model.metadata.size(), keys);  // twice changes nothing
  other.signatures[0].graph.value(other.signatures[0].graph.inputs[0]).shape = Shape{1, 3, 480, 641};
  ASSERT_EQ(apply_recipe(ImportOptions{}, &other), TERN_OK);
  EXPECT_EQ(find_metadata(other, "task"), nullptr);
}

}  // namespace
