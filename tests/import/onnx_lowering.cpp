// SPDX-License-Identifier: Apache-2.0
// What the ONNX importer makes of nodes whose sizes, inputs or weights decide the lowering.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <sstream>

#include "evaluate.h"
#include "import/onnx.h"
#include "onnx_build.h"
#include "passes/specialize.h"

using namespace tern;
using namespace tern::test;

namespace {

constexpr int kF32 = 1, kI64 = 7, kBool = 9;

std::string message() { return thread_error().message; }

tern_status import_proto(const onnx::ModelProto& m, ModelDef* out, const char* shapes = "", const char* values = "") {
  const std::string s = bytes_of(m);
  ImportOptions options;
  options.input_shapes = shapes;
  options.input_values = values;
  return import_onnx({(const uint8_t*)s.data(), s.size()}, options, out);
}

onnx::TensorProto* integers(onnx::GraphProto* g, const char* name, std::initializer_list<int64_t> dims,
                            std::initializer_list<int64_t> values) {
  auto* t = g->add_initializer();
  t->set_name(name);
  t->set_data_type(kI64);
  for (int64_t d : dims) t->add_dims(d);
  for (int64_t v : values) t->add_int64_data(v);
  return t;
}

onnx::ValueInfoProto* open_input(onnx::GraphProto* g, const char* name, std::initializer_list<const char*> dims) {
  auto* v = g->add_input();
  v->set_name(name);
  auto* t = v->mutable_type()->mutable_tensor_type();
  t->set_elem_type(kF32);
  for (const char* d : dims) t->mutable_shape()->add_dim()->set_dim_param(d);
  return v;
}

onnx::GraphProto* branch(onnx::NodeProto* n, const char* name) {
  auto* a = n->add_attribute();
  a->set_name(name);
  a->set_type(onnx::AttributeProto::GRAPH);
  a->mutable_g()->set_name(name);
  return a->mutable_g();
}

// y = x.squeeze(axis) as exporters write it: if the dim is 1 a Squeeze, else an Identity.
void squeeze_if_one(onnx::GraphProto* g, const char* x, const std::string& y, int64_t axis) {
  const std::string index = y + ".index", one = y + ".one", shape = y + ".shape", dim = y + ".dim",
                    is_one = y + ".is_one";
  integers(g, index.c_str(), {}, {axis});
  integers(g, one.c_str(), {}, {1});
  node(g, "Shape", {x}, {shape.c_str()});
  node(g, "Gather", {shape.c_str(), index.c_str()}, {dim.c_str()});
  node(g, "Equal", {dim.c_str(), one.c_str()}, {is_one.c_str()});
  auto* n = node(g, "If", {is_one.c_str()}, {y.c_str()});
  onnx::GraphProto *yes = branch(n, "then_branch"), *no = branch(n, "else_branch");
  const std::string axes = y + ".axes", squeezed = y + ".squeezed", same = y + ".same";
  integers(yes, axes.c_str(), {1}, {axis});
  node(yes, "Squeeze", {x, axes.c_str()}, {squeezed.c_str()});
  yes->add_output()->set_name(squeezed);
  node(no, "Identity", {x}, {same.c_str()});
  no->add_output()->set_name(same);
}

TensorData filled(const Shape& shape, DType dtype = TERN_DTYPE_F32) {
  TensorData t = make_tensor(dtype, shape);
  for (int64_t i = 0; i < t.elements(); ++i) store_element(dtype, const_cast<void*>(t.data.bytes), i, (double)i);
  return t;
}

int count_nodes(const ModelDef& m, const char* op) {
  int n = 0;
  for_each_graph(m.signatures[0].graph, [&](const Graph& g) {
    for (const Node& node : g.nodes) n += !std::strcmp(node.op->name, op);
  });
  return n;
}

// y = relu(x.squeeze(1))
onnx::ModelProto squeezing(std::initializer_list<int64_t> dims) {
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  value(g->add_input(), "x", dims);
  squeeze_if_one(g, "x", "s", 1);
  node(g, "Relu", {"s"}, {"y"});
  g->add_output()->set_name("y");
  return m;
}

}  // namespace

TEST(OnnxLowering, ABranchThatIsKnownToRunIsLoweredInPlace) {
  for (const int64_t middle : {1, 3}) {
    ModelDef m;
    ASSERT_EQ(import_proto(squeezing({2, middle, 4}), &m), TERN_OK) << message();
    EXPECT_EQ(count_nodes(m, "if"), 0);
    std::vector<TensorData> out;
    ASSERT_EQ(evaluate_graph(m, m.signatures[0].graph, {filled({2, middle, 4})}, &out), TERN_OK) << message();
    EXPECT_EQ(out[0].shape, (middle == 1 ? Shape{2, 4} : Shape{2, 3, 4}));
    for (int64_t i = 0; i < out[0].elements(); ++i) EXPECT_EQ(out[0].load(i), (double)i);
  }
}

// A branch that stays holds one that is known, which reads values and weights of both graphs around it; what it gives
// is an input of the whole, and a weight.
TEST(OnnxLowering, WithinABranch) {
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  value(g->add_input(), "x", {1, 4});
  value(g->add_input(), "c", {}, kBool);
  tensor(g, "w", {4, 4}, 0.5f);
  tensor(g, "k", {4}, 2);
  node(g, "MatMul", {"x", "w"}, {"xw"});
  auto* n = node(g, "If", {"c"}, {"y", "z", "v"});
  onnx::GraphProto *yes = branch(n, "then_branch"), *no = branch(n, "else_branch");
  squeeze_if_one(yes, "xw", "s", 0);
  node(yes, "Add", {"s", "k"}, {"t"});
  node(yes, "MatMul", {"t", "w"}, {"a"});
  squeeze_if_one(yes, "x", "same", 1);
  squeeze_if_one(yes, "k", "weight", 0);
  for (const char* name : {"a", "same", "weight"}) yes->add_output()->set_name(name);
  node(no, "Add", {"k", "k"}, {"b"});
  node(no, "Neg", {"x"}, {"b2"});
  node(no, "Neg", {"k"}, {"b3"});
  for (const char* name : {"b", "b2", "b3"}) no->add_output()->set_name(name);
  for (const char* name : {"y", "z", "v"}) g->add_output()->set_name(name);

  ModelDef model;
  ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
  EXPECT_EQ(count_nodes(model, "if"), 1);
  TensorData yes_value = make_tensor(TERN_DTYPE_BOOL, Shape{});
  for (const bool c : {true, false}) {
    store_element(TERN_DTYPE_BOOL, const_cast<void*>(yes_value.data.bytes), 0, c);
    std::vector<TensorData> out;
    ASSERT_EQ(evaluate_graph(model, model.signatures[0].graph, {filled({1, 4}), yes_value}, &out), TERN_OK)
        << message();
    ASSERT_EQ(out.size(), 3u);
    EXPECT_EQ(out[0].shape, Shape{4});
    // x = 0 1 2 3, so x w = 3 each; plus 2 times w: 4 * 5 / 2
    EXPECT_EQ(out[0].load(3), c ? 10 : 4);
    EXPECT_EQ(out[1].load(3), c ? 3 : -3);
    EXPECT_EQ(out[2].load(3), c ? 2 : -2);
  }
}

// Where a size that may vary decides, it no longer may.
TEST(OnnxLowering, SizesThatDecideAreFixed) {
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  open_input(g, "x", {"batch", "tokens"});
  squeeze_if_one(g, "x", "s", 0);
  node(g, "Relu", {"s"}, {"y"});
  g->add_output()->set_name("y");
  ModelDef model;
  ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
  const Signature& s = model.signatures[0];
  ASSERT_EQ(s.symbols.size(), 1u);
  EXPECT_EQ(s.symbols[0].name, "tokens");
  EXPECT_EQ(s.graph.value(s.graph.inputs[0]).shape[0], 1);
  EXPECT_EQ(count_nodes(model, "if"), 0);
}

// A dim that is fixed decides nothing that others could change: they stay open.
TEST(OnnxLowering, AFixedDimAmongOpenOnes) {
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  open_input(g, "x", {"batch", "one", "tokens"})
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(1)
      ->set_dim_value(1);
  squeeze_if_one(g, "x", "s", 1);
  node(g, "Relu", {"s"}, {"y"});
  g->add_output()->set_name("y");
  ModelDef model;
  ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
  EXPECT_EQ(model.signatures[0].symbols.size(), 2u);
  EXPECT_EQ(count_nodes(model, "if"), 0);
}

// The answer is the same for the sizes that the importer looks at, and another beyond: it must not be taken for known.
// The branch that does not run need not fit.
TEST(OnnxLowering, AnOpenDimIsCompared) {
  for (const bool fits : {true, false}) {
    onnx::ModelProto m = empty_model();
    auto* g = m.mutable_graph();
    open_input(g, "x", {"tokens"});
    integers(g, "most", {1}, {2000});
    tensor(g, "long", {fits ? 1 : 3000}, 5);
    node(g, "Shape", {"x"}, {"size"});
    node(g, "Greater", {"size", "most"}, {"c"});
    auto* n = node(g, "If", {"c"}, {"y"});
    onnx::GraphProto *yes = branch(n, "then_branch"), *no = branch(n, "else_branch");
    node(yes, "Add", {"x", "long"}, {"a"});
    yes->add_output()->set_name("a");
    node(no, "Identity", {"x"}, {"b"});
    no->add_output()->set_name("b");
    g->add_output()->set_name("y");
    ModelDef model;
    for (const char* given : {"", "x=30", "x=3000"}) {
      ASSERT_EQ(import_proto(m, &model, given), TERN_OK) << message();
      for (const int64_t tokens : {30, 3000}) {
        if (given[0] && "x=" + std::to_string(tokens) != given) continue;
        std::vector<TensorData> out;
        ASSERT_EQ(run_graph(model, model.signatures[0].graph, {filled({tokens})}, &out), TERN_OK) << message();
        EXPECT_EQ(out[0].load(29), tokens > 2000 ? 34 : 29);
      }
      std::vector<TensorData> out;
      if (!given[0] && !fits)
        EXPECT_EQ(run_graph(model, model.signatures[0].graph, {filled({2500})}, &out), TERN_ERR_SHAPE);
    }
  }
}

// Dims that must be equal, but have no names: they vary together. Positions end at 512, and the batch decides.
TEST(OnnxLowering, SizesThatVaryTogether) {
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  open_input(g, "x", {"", ""});
  open_input(g, "mask", {"", ""});
  squeeze_if_one(g, "x", "s", 0);
  squeeze_if_one(g, "mask", "t", 0);
  node(g, "Add", {"s", "t"}, {"sum"});
  tensor(g, "positions", {512}, 1);
  integers(g, "zero", {1}, {0});
  node(g, "Shape", {"sum"}, {"size"});
  node(g, "Slice", {"positions", "zero", "size"}, {"first"});
  node(g, "Mul", {"sum", "first"}, {"y"});
  g->add_output()->set_name("y");
  ModelDef model;
  ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
  const Signature& s = model.signatures[0];
  ASSERT_EQ(s.symbols.size(), 2u);
  for (const Symbol& symbol : s.symbols) EXPECT_EQ(symbol.multiple, 1);
  for (const ValueId v : s.graph.inputs) EXPECT_EQ(s.graph.value(v).shape[0], 1);
  Graph other;
  EXPECT_EQ(specialize(s.graph, std::vector<Shape>{{1, 100}, {1, 100}}, &other), TERN_OK) << message();
  EXPECT_EQ(specialize(s.graph, std::vector<Shape>{{1, 100}, {1, 99}}, &other), TERN_ERR_SHAPE);
}

// A sub-graph that stays takes what comes from outside in every size.
TEST(OnnxLowering, SizesWithinABranchThatStays) {
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  open_input(g, "x", {"batch", "tokens"});
  value(g->add_input(), "c", {}, kBool);
  auto* n = node(g, "If", {"c"}, {"y"});
  onnx::GraphProto *yes = branch(n, "then_branch"), *no = branch(n, "else_branch");
  node(yes, "Relu", {"x"}, {"a"});
  yes->add_output()->set_name("a");
  node(no, "Neg", {"x"}, {"b"});
  no->add_output()->set_name("b");
  g->add_output()->set_name("y");
  ModelDef model;
  ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
  EXPECT_EQ(model.signatures[0].symbols.size(), 2u);
  for (const bool yes_runs : {true, false}) {
    TensorData c = make_tensor(TERN_DTYPE_BOOL, {});
    store_integer(TERN_DTYPE_BOOL, const_cast<void*>(c.data.bytes), 0, yes_runs);
    std::vector<TensorData> out;
    ASSERT_EQ(run_graph(model, model.signatures[0].graph, {filled({3, 7}), c}, &out), TERN_OK) << message();
    EXPECT_EQ(out[0].shape, (Shape{3, 7}));
    EXPECT_EQ(out[0].load(20), yes_runs ? 20 : -20);
  }
}

namespace {

// The branches take pictures of different widths: which one runs must be known.
onnx::ModelProto switched() {
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  value(g->add_input(), "x", {1, 6});
  value(g->add_input(), "rate", {1}, kI64);
  tensor(g, "slow", {6, 2}, 1);
  tensor(g, "fast", {3, 2}, 1);
  integers(g, "limit", {1}, {8000});
  node(g, "Greater", {"rate", "limit"}, {"c"});
  auto* n = node(g, "If", {"c"}, {"y"});
  onnx::GraphProto *yes = branch(n, "then_branch"), *no = branch(n, "else_branch");
  node(yes, "MatMul", {"x", "slow"}, {"a"});
  yes->add_output()->set_name("a");
  node(no, "MatMul", {"x", "fast"}, {"b"});
  no->add_output()->set_name("b");
  g->add_output()->set_name("y");
  return m;
}

}  // namespace

TEST(OnnxLowering, TheValueOfAnInputDecides) {
  ModelDef model;
  EXPECT_EQ(import_proto(switched(), &model), TERN_ERR_SHAPE);
  EXPECT_NE(message().find("--input-value"), std::string::npos) << message();
  EXPECT_EQ(import_proto(switched(), &model, "", "rate=8000"), TERN_ERR_SHAPE) << "the branch that does not fit";
  ASSERT_EQ(import_proto(switched(), &model, "", "rate=16000"), TERN_OK) << message();
  const Graph& g = model.signatures[0].graph;
  ASSERT_EQ(g.inputs.size(), 1u);
  EXPECT_EQ(g.value(g.inputs[0]).name, "x");
  std::vector<TensorData> out;
  ASSERT_EQ(evaluate_graph(model, g, {filled({1, 6})}, &out), TERN_OK) << message();
  EXPECT_EQ(out[0].load(1), 15);
}

TEST(OnnxLowering, ValuesThatDoNotFit) {
  const auto refused = [](const char* values, const char* why) {
    ModelDef model;
    EXPECT_EQ(import_proto(switched(), &model, "", values), TERN_ERR_INVALID_ARGUMENT) << values;
    EXPECT_NE(message().find(why), std::string::npos) << values << ": " << message();
  };
  for (const char* text : {"rate", "rate=", "=3", "rate=x", "rate=3x", "rate=0x10"}) refused(text, "NAME=16000");
  for (const char* text : {"rate=0.5", "rate=1e300", "rate=nan", "rate=-inf"}) refused(text, "cannot hold");
  refused("rat=3", "the inputs are 'x', 'rate'");
  refused("slow=3", "the inputs are 'x', 'rate'");
  refused("rate=9000;rate=9000", "two values");
  onnx::ModelProto m = squeezing({2, 1, 4});
  m.mutable_graph()
      ->mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(0)
      ->set_dim_param("n");
  ModelDef model;
  EXPECT_EQ(import_proto(m, &model, "", "x=1"), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_NE(message().find("not fixed"), std::string::npos) << message();
  EXPECT_EQ(import_proto(squeezing({100, 100, 100}), &model, "", "x=1"), TERN_ERR_LIMIT);
}

// The message names every input whose dims are open, with its rank.
TEST(OnnxLowering, TheMessageShowsHowToGiveShapes) {
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  open_input(g, "sound", {"batch", "samples"});
  open_input(g, "state", {"two", "rows", "columns"});
  tensor(g, "w", {3, 3}, 1);
  node(g, "MatMul", {"sound", "w"}, {"y"});
  g->add_output()->set_name("y");
  ModelDef model;
  EXPECT_EQ(import_proto(m, &model), TERN_ERR_SHAPE);
  EXPECT_NE(message().find("--input-shape sound=1x512 --input-shape state=1x512x512"), std::string::npos) << message();
}

// Sound has longer strides than pictures: sizes that are told apart too late would be taken for fixed.
TEST(OnnxLowering, LongStrides) {
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  open_input(g, "x", {"batch", "one", "samples"})
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(1)
      ->set_dim_value(1);
  tensor(g, "w", {2, 1, 8}, 1);
  ints(node(g, "Conv", {"x", "w"}, {"frames"}), "strides", {160});
  node(g, "Relu", {"frames"}, {"y"});
  g->add_output()->set_name("y");
  ModelDef model;
  ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
  const Signature& s = model.signatures[0];
  Graph longer;
  ASSERT_EQ(specialize(s.graph, std::vector<Shape>{{2, 1, 1608}}, &longer), TERN_OK) << message();
  EXPECT_EQ(longer.value(longer.outputs[0]).shape, (Shape{2, 2, 11}));
}

TEST(OnnxLowering, AScaleOfOneElementAndAZeroPointWithoutDims) {
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  value(g->add_input(), "x", {2, 3});
  tensor(g, "scale", {1}, 0.5f);
  auto* zero = g->add_initializer();
  zero->set_name("zero");
  zero->set_data_type(2);
  zero->add_int32_data(10);
  auto* codes = g->add_initializer();
  codes->set_name("codes");
  codes->set_data_type(2);
  codes->add_dims(3);
  for (const int v : {10, 12, 14}) codes->add_int32_data(v);
  node(g, "QuantizeLinear", {"x", "scale", "zero"}, {"q"});
  node(g, "DequantizeLinear", {"q", "scale", "zero"}, {"r"});
  node(g, "DequantizeLinear", {"codes", "scale", "zero"}, {"k"});
  node(g, "Add", {"r", "k"}, {"y"});
  g->add_output()->set_name("y");
  ModelDef model;
  ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
  std::vector<TensorData> out;
  ASSERT_EQ(evaluate_graph(model, model.signatures[0].graph, {filled({2, 3})}, &out), TERN_OK) << message();
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(out[0].load(i), (double)(i + i % 3));
}

// A depthwise convolution of one tap is a scale and a shift per channel; a bias that does not fit is refused all the
// same.
TEST(OnnxLowering, SequencesOfLengthsGivenAtRunTime) {
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  value(g->add_input(), "x", {2, 3, 1});
  value(g->add_input(), "n", {2}, 7);
  auto* n = node(g, "ReverseSequence", {"x", "n"}, {"y"});
  integer(n, "batch_axis", 0);
  integer(n, "time_axis", 1);
  g->add_output()->set_name("y");
  ModelDef model;
  ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
  TensorData lengths = make_tensor(TERN_DTYPE_I64, Shape{2});
  for (int64_t i = 0; i < 2; ++i) store_integer(TERN_DTYPE_I64, const_cast<void*>(lengths.data.bytes), i, 2 + i);
  std::vector<TensorData> out;
  ASSERT_EQ(evaluate_graph(model, model.signatures[0].graph, {filled({2, 3, 1}), lengths}, &out), TERN_OK) << message();
  ASSERT_EQ(out[0].shape, (Shape{2, 3, 1}));
  const double wanted[] = {1, 0, 2, 5, 4, 3};
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(out[0].load(i), wanted[i]) << i;
}

TEST(OnnxLowering, ASlopeThatIsAnInputOfAConstant) {
  onnx::ModelProto m = empty_model(16);
  auto* g = m.mutable_graph();
  value(g->add_input(), "s", {1, 1});
  tensor(g, "c", {1, 3}, -2);
  node(g, "PRelu", {"c", "s"}, {"y"});
  g->add_output()->set_name("y");
  ModelDef model;
  ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
  TensorData slope = make_tensor(TERN_DTYPE_F32, Shape{1, 1});
  store_element(TERN_DTYPE_F32, const_cast<void*>(slope.data.bytes), 0, 0.25);
  std::vector<TensorData> out;
  ASSERT_EQ(evaluate_graph(model, model.signatures[0].graph, {slope}, &out), TERN_OK) << message();
  ASSERT_EQ(out[0].shape, (Shape{1, 3}));
  for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(out[0].load(i), -0.5);
}

TEST(OnnxLowering, AFirstDimOfMoreThanOne) {
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  open_input(g, "x", {"rows", "columns"});
  value(g->add_input(), "i", {3, 3}, 7);
  node(g, "GatherElements", {"x", "i"}, {"y"});
  g->add_output()->set_name("y");
  ModelDef model;
  ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
  EXPECT_EQ(model.signatures[0].symbols.size(), 2u);
}

TEST(OnnxLowering, TheNonZeroOfAConstantIsOne) {
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  value(g->add_input(), "x", {6, 2});
  tensor(g, "c", {2, 3}, 1);
  node(g, "NonZero", {"c"}, {"places"});
  node(g, "Cast", {"places"}, {"numbers"});
  integer(g->mutable_node(1), "to", 1);
  node(g, "MatMul", {"numbers", "x"}, {"y"});
  g->add_output()->set_name("y");
  ModelDef model;
  ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
  std::vector<TensorData> out;
  ASSERT_EQ(evaluate_graph(model, model.signatures[0].graph, {filled({6, 2})}, &out), TERN_OK) << message();
  ASSERT_EQ(out[0].shape, (Shape{2, 2}));
  // Rows 0 0 0 1 1 1 and columns 0 1 2 0 1 2, of x = 0 1 2 ... 11
  const double wanted[] = {24, 27, 38, 44};
  for (int64_t i = 0; i < 4; ++i) EXPECT_EQ(out[0].load(i), wanted[i]) << i;
}

// Its shape is the same in any order of its axes; its elements are not.
TEST(OnnxLowering, ACubeIsAddedToAPicture) {
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  value(g->add_input(), "x", {1, 2, 4, 4});
  tensor(g, "zero", {}, 0);
  auto* cube = tensor(g, "cube", {2, 2, 2});
  cube->clear_raw_data();
  for (int i = 0; i < 8; ++i) cube->add_float_data((float)(100 * i));
  auto* pool = node(g, "MaxPool", {"x"}, {"p"});
  for (const char* name : {"kernel_shape", "strides"}) ints(pool, name, {2, 2});
  node(g, "Sub", {"p", "zero"}, {"q"});
  node(g, "Add", {"q", "cube"}, {"y"});
  node(g, "Sub", {"cube", "q"}, {"z"});
  for (const char* name : {"y", "z"}) g->add_output()->set_name(name);
  ModelDef model;
  ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
  std::vector<TensorData> out;
  ASSERT_EQ(evaluate_graph(model, model.signatures[0].graph, {filled({1, 2, 4, 4})}, &out), TERN_OK) << message();
  const double largest[] = {5, 7, 13, 15, 21, 23, 29, 31};  // of each 2x2, of x = 0 1 2 ... 31
  for (int64_t i = 0; i < 8; ++i) {
    EXPECT_EQ(out[0].load(i), largest[i] + 100 * (double)i) << i;
    EXPECT_EQ(out[1].load(i), 100 * (double)i - largest[i]) << i;
  }
}

TEST(OnnxLowering, IntegersAreShrunkAsNumbers) {
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  value(g->add_input(), "x", {5}, 7);
  auto* n = node(g, "Shrink", {"x"}, {"y"});
  for (const auto& [name, number] : {std::pair{"bias", 0.7f}, std::pair{"lambd", 1.5f}}) {
    auto* a = n->add_attribute();
    a->set_name(name);
    a->set_type(onnx::AttributeProto::FLOAT);
    a->set_f(number);
  }
  g->add_output()->set_name("y");
  ModelDef model;
  ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
  TensorData x = make_tensor(TERN_DTYPE_I64, Shape{5});
  const int64_t given[] = {-4, -1, 0, 1, 4}, wanted[] = {-3, 0, 0, 0, 3};
  for (int64_t i = 0; i < 5; ++i) store_integer(TERN_DTYPE_I64, const_cast<void*>(x.data.bytes), i, given[i]);
  std::vector<TensorData> out;
  ASSERT_EQ(evaluate_graph(model, model.signatures[0].graph, {x}, &out), TERN_OK) << message();
  for (int64_t i = 0; i < 5; ++i) EXPECT_EQ(out[0].load(i), (double)wanted[i]) << i;
}

TEST(OnnxLowering, ADepthwiseConvolutionOfOneTap) {
  const auto model_of = [](int64_t biases, int64_t stride) {
    onnx::ModelProto m = empty_model();
    auto* g = m.mutable_graph();
    value(g->add_input(), "x", {1, 3, 2, 2});
    auto* w = tensor(g, "w", {3, 1, 1, 1});
    const float weights[] = {2, 3, 4};
    w->set_raw_data(std::string((const char*)weights, sizeof weights));
    tensor(g, "b", {biases}, 100);
    auto* n = node(g, "Conv", {"x", "w", "b"}, {"y"});
    integer(n, "group", 3);
    ints(n, "strides", {stride, stride});
    g->add_output()->set_name("y");
    return m;
  };
  for (const int64_t stride : {1, 2}) {
    ModelDef m;
    ASSERT_EQ(import_proto(model_of(3, stride), &m), TERN_OK) << message();
    EXPECT_EQ(count_nodes(m, "conv2d"), stride == 1 ? 0 : 1);
    std::vector<TensorData> out;
    ASSERT_EQ(evaluate_graph(m, m.signatures[0].graph, {filled({1, 3, 2, 2})}, &out), TERN_OK) << message();
    ASSERT_EQ(out[0].shape, (Shape{1, 3, 2 / stride, 2 / stride}));
    const int64_t pixels = 4 / (stride * stride);
    for (int64_t i = 0; i < out[0].elements(); ++i)
      EXPECT_EQ(out[0].load(i), (double)((i / pixels + 2) * (i / pixels * 4 + i % pixels) + 100));
    for (const int64_t biases : {1, 4}) EXPECT_EQ(import_proto(model_of(biases, stride), &m), TERN_ERR_SHAPE) << biases;
  }
}

// The weights of two directions become parameters of a direction each; the results are those of the operator that has
// both.
TEST(OnnxLowering, RecurrentLayersOfTwoDirections) {
  constexpr int64_t kTokens = 3, kBatch = 2, kInputs = 2, kHidden = 3;
  struct Layer {
    const char* type;
    int64_t gates, states;
    const char* activations;  // of both directions
  };
  for (const Layer& layer : {Layer{"LSTM", 4, 2, ""},
                             {"GRU", 3, 1, ""},
                             {"RNN", 1, 1, ""},
                             {"LSTM", 4, 2, "Sigmoid Tanh Relu HardSigmoid Softsign Tanh"}})
    for (const bool batch_first : {false, true}) {
      // Weight, recurrent weight, bias, lengths, first states.
      const Shape state = batch_first ? Shape{kBatch, 2, kHidden} : Shape{2, kBatch, kHidden};
      std::vector<TensorData> in{
          filled(batch_first ? Shape{kBatch, kTokens, kInputs} : Shape{kTokens, kBatch, kInputs}),
          filled({2, layer.gates * kHidden, kInputs}),
          filled({2, layer.gates * kHidden, kHidden}),
          filled({2, 2 * layer.gates * kHidden}),
          filled({kBatch}, TERN_DTYPE_I32),
          filled(state),
          filled(state)};
      in.resize((size_t)(5 + layer.states));
      for (size_t i = 0; i < in.size(); ++i)
        for (int64_t k = 0; i != 4 && k < in[i].elements(); ++k)
          store_element(TERN_DTYPE_F32, const_cast<void*>(in[i].data.bytes), k, std::sin((double)(k + 7 * (int64_t)i)));
      for (int64_t k = 0; k < kBatch; ++k)
        store_element(TERN_DTYPE_I32, const_cast<void*>(in[4].data.bytes), k, (double)(kTokens - k));
      std::vector<TensorData> out[2];
      for (const bool constant : {false, true}) {
        onnx::ModelProto m = empty_model(14);
        auto* g = m.mutable_graph();
        auto* n = node(g, layer.type, {}, {"y", "h"});
        if (layer.states == 2) n->add_output("c");
        std::vector<TensorData> given;
        for (size_t i = 0; i < in.size(); ++i) {
          const std::string name = "in" + std::to_string(i);
          n->add_input(name);
          if (constant && i > 0 && i < 4) {
            auto* t = g->add_initializer();
            t->set_name(name);
            t->set_data_type(kF32);
            for (const int64_t d : in[i].shape) t->add_dims(d);
            t->set_raw_data(std::string((const char*)in[i].data.bytes, in[i].bytes()));
            continue;
          }
          auto* v = value(g->add_input(), name.c_str(), {}, i == 4 ? 6 : kF32);
          for (const int64_t d : in[i].shape)
            v->mutable_type()->mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(d);
          given.push_back(in[i]);
        }
        integer(n, "hidden_size", kHidden);
        integer(n, "layout", batch_first);
        auto* direction = n->add_attribute();
        direction->set_name("direction");
        direction->set_type(onnx::AttributeProto::STRING);
        direction->set_s("bidirectional");
        if (*layer.activations) {
          auto* a = n->add_attribute();
          a->set_name("activations");
          a->set_type(onnx::AttributeProto::STRINGS);
          std::istringstream words(layer.activations);
          for (std::string word; words >> word;) a->add_strings(word);
        }
        for (const std::string& name : n->output()) g->add_output()->set_name(name);
        ModelDef model;
        ASSERT_EQ(import_proto(m, &model), TERN_OK) << layer.type << ": " << message();
        if (constant) {
          EXPECT_EQ(model.parameters.size(), 6u);
          EXPECT_EQ(count_nodes(model, "split"), 2 * (int)layer.states);  // of the first states only
        }
        ASSERT_EQ(evaluate_graph(model, model.signatures[0].graph, given, &out[constant]), TERN_OK) << message();
        direction->set_s("sideways");
        EXPECT_EQ(import_proto(m, &model), TERN_ERR_CORRUPT);
      }
      std::vector<TensorData> expected = out[0];
      if (!batch_first) {  // the operator with both directions
        ModelDef model;
        Graph g;
        Sizes sizes({});
        Builder b(model, &g, sizes);
        std::vector<ValueId> ids;
        for (const TensorData& t : in) ids.push_back(add_input(g, "", t.dtype, t.shape));
        Attrs attrs{{"direction", 2}};
        if (*layer.activations) attrs.push_back({"activations", IntList{1, 0, 2, 7, 9, 0}});
        const char* name = layer.type[0] == 'L' ? "lstm" : layer.type[0] == 'G' ? "gru" : "rnn";
        g.outputs = b.ops(name, ids, attrs, 1 + (int)layer.states);
        ASSERT_EQ(evaluate_graph(model, g, in, &expected), TERN_OK) << message();
      }
      for (const std::vector<TensorData>& got : out)
        for (size_t i = 0; i < expected.size(); ++i) {
          std::string why;
          EXPECT_TRUE(close_to(got[i], expected[i], 1e-6, 1e-6, &why)) << layer.type << " output " << i << ": " << why;
        }
    }
}
