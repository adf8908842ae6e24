// SPDX-License-Identifier: Apache-2.0
// Sizes that depend on data, as ONNX has them: shapes and values are exact for every content.
#include <gtest/gtest.h>

#include <cstring>

#include "evaluate.h"
#include "import/onnx.h"
#include "onnx_build.h"

using namespace tern;
using namespace tern::test;

namespace {

constexpr int kF32 = 1, kI64 = 7, kBool = 9;

std::string message() { return thread_error().message; }

tern_status import_proto(const onnx::ModelProto& m, ModelDef* out) {
  const std::string s = bytes_of(m);
  return import_onnx({(const uint8_t*)s.data(), s.size()}, {}, out);
}

void integers(onnx::GraphProto* g, const char* name, std::initializer_list<int64_t> dims,
              std::initializer_list<int64_t> values) {
  auto* t = g->add_initializer();
  t->set_name(name);
  t->set_data_type(kI64);
  for (int64_t d : dims) t->add_dims(d);
  for (int64_t v : values) t->add_int64_data(v);
}

onnx::GraphProto* sub_graph(onnx::NodeProto* n, const char* name) {
  auto* a = n->add_attribute();
  a->set_name(name);
  a->set_type(onnx::AttributeProto::GRAPH);
  a->mutable_g()->set_name(name);
  return a->mutable_g();
}

TensorData of(DType dtype, const Shape& shape, std::vector<double> values) {
  TensorData t = make_tensor(dtype, shape);
  for (int64_t i = 0; i < t.elements(); ++i)
    store_element(dtype, const_cast<void*>(t.data.bytes), i, values[(size_t)i]);
  return t;
}
TensorData floats(const Shape& shape, std::vector<double> values) {
  return of(TERN_DTYPE_F32, shape, std::move(values));
}
TensorData longs(const Shape& shape, std::vector<double> values) {
  return of(TERN_DTYPE_I64, shape, std::move(values));
}

// Runs the model; every output must have this shape and content.
void expect_run(const ModelDef& model, const std::vector<TensorData>& in, const std::vector<TensorData>& want) {
  std::vector<TensorData> got;
  ASSERT_EQ(run_graph(model, model.signatures[0].graph, in, &got), TERN_OK) << message();
  ASSERT_EQ(got.size(), want.size());
  for (size_t k = 0; k < want.size(); ++k) {
    std::string why;
    EXPECT_TRUE(close_to(got[k], want[k], 1e-6, 0, &why)) << "output " << k << ": " << why;
  }
}

// A model of one node on inputs of these names, types and dims; "-1" is an open dim.
struct In {
  const char* name;
  int type;
  std::vector<int64_t> dims;
};
onnx::ModelProto model_of(const std::vector<In>& ins) {
  onnx::ModelProto m = empty_model();
  for (const In& in : ins) {
    auto* v = m.mutable_graph()->add_input();
    v->set_name(in.name);
    auto* t = v->mutable_type()->mutable_tensor_type();
    t->set_elem_type(in.type);
    t->mutable_shape();
    for (size_t i = 0; i < in.dims.size(); ++i) {
      auto* d = t->mutable_shape()->add_dim();
      if (in.dims[i] >= 0) d->set_dim_value(in.dims[i]);
      else d->set_dim_param(std::string(in.name) + std::to_string(i));
    }
  }
  return m;
}

}  // namespace

TEST(OnnxDataSizes, AMaskSelects) {
  for (const bool open : {false, true}) {
    onnx::ModelProto m = model_of({{"x", kF32, open ? std::vector<int64_t>{-1, -1} : std::vector<int64_t>{2, 3}}});
    auto* g = m.mutable_graph();
    tensor(g, "z", {}, 0);
    node(g, "Greater", {"x", "z"}, {"c"});
    node(g, "NonZero", {"c"}, {"nz"});
    ints(node(g, "Transpose", {"nz"}, {"t"}), "perm", {1, 0});
    node(g, "GatherND", {"x", "t"}, {"sel"});
    integer(node(g, "ReduceMean", {"sel"}, {"y"}), "keepdims", 0);
    for (const char* name : {"sel", "y", "nz"}) g->add_output()->set_name(name);
    ModelDef model;
    ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
    expect_run(model, {floats({2, 3}, {1, -2, 3, -4, 5, -6})},
               {floats({3}, {1, 3, 5}), floats({}, {3}), longs({2, 3}, {0, 0, 1, 0, 2, 1})});
    expect_run(model, {floats({2, 3}, {1, 2, 3, 4, 5, 9})},
               {floats({6}, {1, 2, 3, 4, 5, 9}), floats({}, {4}), longs({2, 6}, {0, 0, 0, 1, 1, 1, 0, 1, 2, 0, 1, 2})});
    expect_run(model, {floats({2, 3}, {-1, -2, -3, -4, -5, 7})},
               {floats({1}, {7}), floats({}, {7}), longs({2, 1}, {1, 2})});
    if (open) expect_run(model, {floats({1, 2}, {-1, 8})}, {floats({1}, {8}), floats({}, {8}), longs({2, 1}, {0, 1})});
  }
}

TEST(OnnxDataSizes, BoxesThatStayAreGathered) {
  onnx::ModelProto m = model_of({{"boxes", kF32, {1, 3, 4}}, {"scores", kF32, {1, 1, 3}}});
  auto* g = m.mutable_graph();
  integers(g, "most", {1}, {10});
  tensor(g, "iou", {1}, 0.5f);
  tensor(g, "least", {1}, 0.3f);
  integers(g, "two", {}, {2});
  integers(g, "flat", {2}, {-1, 4});
  node(g, "NonMaxSuppression", {"boxes", "scores", "most", "iou", "least"}, {"kept"});
  integer(node(g, "Gather", {"kept", "two"}, {"index"}), "axis", 1);
  node(g, "Reshape", {"boxes", "flat"}, {"rows"});
  node(g, "Gather", {"rows", "index"}, {"y"});
  for (const char* name : {"kept", "y"}) g->add_output()->set_name(name);
  ModelDef model;
  ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
  const TensorData boxes = floats({1, 3, 4}, {0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3});
  expect_run(model, {boxes, floats({1, 1, 3}, {.9, .8, .7})},
             {longs({2, 3}, {0, 0, 0, 0, 0, 2}), floats({2, 4}, {0, 0, 1, 1, 2, 2, 3, 3})});
  expect_run(model, {boxes, floats({1, 1, 3}, {.1, .2, .7})}, {longs({1, 3}, {0, 0, 2}), floats({1, 4}, {2, 2, 3, 3})});
  expect_run(model, {boxes, floats({1, 1, 3}, {.1, .2, .1})}, {longs({0, 3}, {}), floats({0, 4}, {})});
}

TEST(OnnxDataSizes, AConditionCompresses) {
  onnx::ModelProto m = model_of({{"x", kF32, {2, 3}}, {"c", kBool, {3}}});
  auto* g = m.mutable_graph();
  integer(node(g, "Compress", {"x", "c"}, {"y"}), "axis", 1);
  g->add_output()->set_name("y");
  ModelDef model;
  ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
  const TensorData x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  expect_run(model, {x, of(TERN_DTYPE_BOOL, {3}, {1, 0, 1})}, {floats({2, 2}, {1, 3, 4, 6})});
  expect_run(model, {x, of(TERN_DTYPE_BOOL, {3}, {0, 1, 0})}, {floats({2, 1}, {2, 5})});
}

// One node whose second and further inputs are given at run time.
struct NodeRuns {
  const char* type;
  std::vector<In> ins;
  int outputs;
  std::vector<std::pair<std::vector<TensorData>, std::vector<TensorData>>> runs;
};

TEST(OnnxDataSizes, ContentsGivenAtRunTime) {
  const TensorData x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  const std::vector<NodeRuns> cases = {
      {"Range",
       {{"start", kI64, {}}, {"limit", kI64, {}}, {"delta", kI64, {}}},
       1,
       {{{longs({}, {0}), longs({}, {4}), longs({}, {1})}, {longs({4}, {0, 1, 2, 3})}},
        {{longs({}, {5}), longs({}, {0}), longs({}, {-2})}, {longs({3}, {5, 3, 1})}}}},
      {"Range",
       {{"start", kF32, {}}, {"limit", kF32, {}}, {"delta", kF32, {}}},
       1,
       {{{floats({}, {0}), floats({}, {1}), floats({}, {.25})}, {floats({4}, {0, .25, .5, .75})}}}},
      {"Reshape",
       {{"x", kF32, {2, 3}}, {"shape", kI64, {2}}},
       1,
       {{{x, longs({2}, {3, -1})}, {floats({3, 2}, {1, 2, 3, 4, 5, 6})}},
        {{x, longs({2}, {1, 6})}, {floats({1, 6}, {1, 2, 3, 4, 5, 6})}}}},
      {"Expand",
       {{"x", kF32, {1, 2}}, {"shape", kI64, {2}}},
       1,
       {{{floats({1, 2}, {1, 2}), longs({2}, {2, 1})}, {floats({2, 2}, {1, 2, 1, 2})}}}},
      {"Tile",
       {{"x", kF32, {1, 2}}, {"repeats", kI64, {2}}},
       1,
       {{{floats({1, 2}, {1, 2}), longs({2}, {1, 2})}, {floats({1, 4}, {1, 2, 1, 2})}}}},
      {"ConstantOfShape",
       {{"shape", kI64, {2}}},
       1,
       {{{longs({2}, {2, 1})}, {floats({2, 1}, {0, 0})}}, {{longs({2}, {0, 3})}, {floats({0, 3}, {})}}}},
      {"TopK",
       {{"x", kF32, {2, 3}}, {"k", kI64, {1}}},
       2,
       {{{x, longs({1}, {2})}, {floats({2, 2}, {3, 2, 6, 5}), longs({2, 2}, {2, 1, 2, 1})}},
        {{x, longs({1}, {1})}, {floats({2, 1}, {3, 6}), longs({2, 1}, {2, 2})}}}},
      {"Slice",
       {{"x", kF32, {2, 3}}, {"starts", kI64, {2}}, {"ends", kI64, {2}}},
       1,
       {{{x, longs({2}, {0, 1}), longs({2}, {1, 3})}, {floats({1, 2}, {2, 3})}},
        {{x, longs({2}, {1, -1}), longs({2}, {2, 9})}, {floats({1, 1}, {6})}}}},
      {"Pad",
       {{"x", kF32, {1, 2}}, {"pads", kI64, {4}}},
       1,
       {{{floats({1, 2}, {1, 2}), longs({4}, {0, 1, 0, 0})}, {floats({1, 3}, {0, 1, 2})}}}},
      {"OneHot",
       {{"i", kI64, {2}}, {"depth", kI64, {}}, {"values", kF32, {2}}},
       1,
       {{{longs({2}, {0, 2}), longs({}, {3}), floats({2}, {0, 1})}, {floats({2, 3}, {1, 0, 0, 0, 0, 1})}}}},
  };
  for (const NodeRuns& c : cases) {
    SCOPED_TRACE(c.type);
    onnx::ModelProto m = model_of(c.ins);
    auto* n = m.mutable_graph()->add_node();
    n->set_op_type(c.type);
    for (const In& in : c.ins) n->add_input(in.name);
    for (int k = 0; k < c.outputs; ++k) {
      n->add_output("y" + std::to_string(k));
      m.mutable_graph()->add_output()->set_name("y" + std::to_string(k));
    }
    ModelDef model;
    ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
    for (const auto& [in, want] : c.runs) expect_run(model, in, want);
  }
}

// Sizes that are computed from a count agree with each other: x[:n] and x[n:] make up x again.
TEST(OnnxDataSizes, WhatIsComputedFromASizeAgrees) {
  onnx::ModelProto m = model_of({{"x", kF32, {6}}, {"n", kI64, {1}}});
  auto* g = m.mutable_graph();
  integers(g, "zero", {1}, {0});
  integers(g, "one", {1}, {1});
  integers(g, "six", {1}, {6});
  integers(g, "end", {1}, {100});
  node(g, "Slice", {"x", "zero", "n"}, {"head"});
  node(g, "Slice", {"x", "n", "end"}, {"tail"});
  integer(node(g, "Concat", {"tail", "head"}, {"turned"}), "axis", 0);
  node(g, "Add", {"turned", "x"}, {"sum"});
  node(g, "Sub", {"six", "n"}, {"rest"});
  integer(node(g, "Concat", {"rest", "one"}, {"shape"}), "axis", 0);
  node(g, "Reshape", {"tail", "shape"}, {"column"});
  for (const char* name : {"sum", "column"}) g->add_output()->set_name(name);
  ModelDef model;
  ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
  const TensorData x = floats({6}, {0, 1, 2, 3, 4, 5});
  expect_run(model, {x, longs({1}, {2})},
             {floats({6}, {2, 4, 6, 3 + 5., 0 + 4., 1 + 5.}), floats({4, 1}, {2, 3, 4, 5})});
  expect_run(model, {x, longs({1}, {5})}, {floats({6}, {5, 1, 3, 5, 7, 9}), floats({1, 1}, {5})});
}

TEST(OnnxDataSizes, BranchesOfDifferentShapes) {
  onnx::ModelProto m = model_of({{"x", kF32, {-1, 3}}, {"c", kBool, {}}});
  auto* g = m.mutable_graph();
  auto* n = node(g, "If", {"c"}, {"r"});
  onnx::GraphProto *yes = sub_graph(n, "then_branch"), *no = sub_graph(n, "else_branch");
  ints(node(yes, "ReduceSum", {"x"}, {"a"}), "axes", {1});
  m.mutable_opset_import(0)->set_version(12);
  yes->add_output()->set_name("a");
  integer(node(no, "Concat", {"x", "x"}, {"b"}), "axis", 1);
  no->add_output()->set_name("b");
  node(g, "Neg", {"r"}, {"y"});
  g->add_output()->set_name("y");
  ModelDef model;
  ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
  const TensorData x = floats({1, 3}, {1, 2, 3}), yes_runs = of(TERN_DTYPE_BOOL, {}, {1}),
                   no_runs = of(TERN_DTYPE_BOOL, {}, {0});
  expect_run(model, {x, yes_runs}, {floats({1, 1}, {-6})});
  expect_run(model, {x, no_runs}, {floats({1, 6}, {-1, -2, -3, -1, -2, -3})});
}

// Each branch has weights of its own, which the file holds within it.
TEST(OnnxDataSizes, WeightsOfBranches) {
  onnx::ModelProto m = model_of({{"x", kF32, {1, 64}}, {"c", kBool, {}}});
  auto* g = m.mutable_graph();
  auto* n = node(g, "If", {"c"}, {"y"});
  for (const bool yes : {true, false}) {
    onnx::GraphProto* b = sub_graph(n, yes ? "then_branch" : "else_branch");
    tensor(b, "w", {64, 32}, yes ? 2 : 3);
    node(b, "MatMul", {"x", "w"}, {"r"});
    b->add_output()->set_name("r");
  }
  g->add_output()->set_name("y");
  ModelDef model;
  ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
  const TensorData x = floats({1, 64}, std::vector<double>(64, 1));
  for (const bool yes : {true, false})
    expect_run(model, {x, of(TERN_DTYPE_BOOL, {}, {yes ? 1. : 0.})},
               {floats({1, 32}, std::vector<double>(32, yes ? 128 : 192))});
}

// Ended by its condition: as many rows as iterations, and none of zeros behind them.
TEST(OnnxDataSizes, ALoopEndsByItsCondition) {
  onnx::ModelProto m = model_of({{"x", kF32, {2}}, {"a0", kF32, {2}}, {"lim", kF32, {}}});
  auto* g = m.mutable_graph();
  integers(g, "n", {}, {10});
  auto* ct = g->add_initializer();
  ct->set_name("ct");
  ct->set_data_type(kBool);
  ct->add_int32_data(1);
  auto* loop = node(g, "Loop", {"n", "ct", "a0"}, {"yf", "ys"});
  onnx::GraphProto* body = sub_graph(loop, "body");
  value(body->add_input(), "i", {}, kI64);
  value(body->add_input(), "cond", {}, kBool);
  value(body->add_input(), "acc", {2});
  node(body, "Add", {"acc", "x"}, {"acc2"});
  node(body, "Identity", {"acc2"}, {"scan"});
  integer(node(body, "ReduceSum", {"acc2"}, {"sm"}), "keepdims", 0);
  node(body, "Less", {"sm", "lim"}, {"cond2"});
  for (const char* name : {"cond2", "acc2", "scan"}) body->add_output()->set_name(name);
  for (const char* name : {"yf", "ys"}) g->add_output()->set_name(name);
  ModelDef model;
  ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
  const TensorData x = floats({2}, {1, 2}), zero = floats({2}, {0, 0});
  expect_run(model, {x, zero, floats({}, {20})},
             {floats({2}, {7, 14}), floats({7, 2}, {1, 2, 2, 4, 3, 6, 4, 8, 5, 10, 6, 12, 7, 14})});
  expect_run(model, {x, zero, floats({}, {1})}, {floats({2}, {1, 2}), floats({1, 2}, {1, 2})});
}

// What a body takes over as it is from the graph around it: the same type again, nothing to drop, no axes.
TEST(OnnxDataSizes, ABodyPassesOnWhatStandsOutside) {
  onnx::ModelProto m = model_of({{"x", kF32, {2}}, {"a0", kF32, {2}}});
  auto* g = m.mutable_graph();
  integers(g, "n", {}, {3});
  integers(g, "none", {0}, {});
  std::string last = "x";
  for (int i = 0; i < 20; ++i) {  // more values than the body has
    const std::string next = "x" + std::to_string(i);
    node(g, "Add", {last.c_str(), "x"}, {next.c_str()});
    last = next;
  }
  auto* loop = node(g, "Loop", {"n", "", "a0"}, {"y"});
  onnx::GraphProto* body = sub_graph(loop, "body");
  value(body->add_input(), "i", {}, kI64);
  value(body->add_input(), "cond", {}, kBool);
  value(body->add_input(), "acc", {2});
  integer(node(body, "Cast", {"x17"}, {"same"}), "to", kF32);
  node(body, "Dropout", {"x18"}, {"kept"});
  auto* sum = node(body, "ReduceSum", {"x19", "none"}, {"summed"});
  integer(sum, "noop_with_empty_axes", 1);
  node(body, "Add", {"acc", "same"}, {"b1"});
  node(body, "Add", {"b1", "kept"}, {"b2"});
  node(body, "Add", {"b2", "summed"}, {"acc2"});
  node(body, "Identity", {"cond"}, {"cond2"});
  for (const char* name : {"cond2", "acc2"}) body->add_output()->set_name(name);
  g->add_output()->set_name("y");
  ModelDef model;
  ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
  expect_run(model, {floats({2}, {1, 2}), floats({2}, {0, 1})}, {floats({2}, {180, 361})});
}

// Each iteration puts an element behind what it carries; sizes within the body depend on it.
TEST(OnnxDataSizes, WhatALoopCarriesGrows) {
  onnx::ModelProto m = model_of({{"n", kI64, {}}, {"start", kF32, {-1}}});
  auto* g = m.mutable_graph();
  auto* loop = node(g, "Loop", {"n", "", "start"}, {"all", "sums"});
  onnx::GraphProto* body = sub_graph(loop, "body");
  value(body->add_input(), "i", {}, kI64);
  value(body->add_input(), "cond", {}, kBool);
  auto* v = body->add_input();
  v->set_name("list");
  v->mutable_type()->mutable_tensor_type()->set_elem_type(kF32);
  integer(node(body, "ReduceSum", {"list"}, {"sum"}), "keepdims", 1);
  integer(node(body, "Concat", {"list", "sum"}, {"longer"}), "axis", 0);
  node(body, "Identity", {"cond"}, {"on"});
  for (const char* name : {"on", "longer", "sum"}) body->add_output()->set_name(name);
  node(g, "Neg", {"all"}, {"y"});
  for (const char* name : {"y", "sums"}) g->add_output()->set_name(name);
  ModelDef model;
  ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
  expect_run(model, {longs({}, {3}), floats({1}, {1})}, {floats({4}, {-1, -1, -2, -4}), floats({3, 1}, {1, 2, 4})});
  expect_run(model, {longs({}, {1}), floats({2}, {1, 2})}, {floats({3}, {-1, -2, -3}), floats({1, 1}, {3})});
  expect_run(model, {longs({}, {0}), floats({2}, {1, 2})}, {floats({2}, {-1, -2}), floats({0, 1}, {})});
}
