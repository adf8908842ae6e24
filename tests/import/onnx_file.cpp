// SPDX-License-Identifier: Apache-2.0
// The file level of ONNX: weights in other files, functions of the model, nodes in any order, versions.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "evaluate.h"
#include "import/onnx.h"
#include "onnx_build.h"
#include "tern/import.h"

namespace fs = std::filesystem;
using namespace tern;
using namespace tern::test;

namespace {

std::string message() { return thread_error().message; }

TensorData row(std::initializer_list<float> values) {
  TensorData t = make_tensor(TERN_DTYPE_F32, Shape{(int64_t)values.size()});
  std::memcpy(const_cast<void*>(t.data.bytes), values.begin(), values.size() * 4);
  return t;
}

tern_status import_proto(const onnx::ModelProto& m, ModelDef* out, const std::string& folder = "") {
  const std::string s = bytes_of(m);
  ImportOptions options;
  options.folder = folder;
  return import_onnx({(const uint8_t*)s.data(), s.size()}, options, out);
}

void gives(const ModelDef& model, const std::vector<TensorData>& inputs, const TensorData& expected) {
  std::vector<TensorData> got;
  ASSERT_EQ(evaluate_graph(model, model.signatures[0].graph, inputs, &got), TERN_OK) << message();
  std::string why;
  EXPECT_TRUE(close_to(got[0], expected, 1e-6, 1e-6, &why)) << why;
}

void gives(const onnx::ModelProto& m, const std::vector<TensorData>& inputs, const TensorData& expected) {
  ModelDef model;
  ASSERT_EQ(import_proto(m, &model), TERN_OK) << message();
  gives(model, inputs, expected);
}

struct Temporary {
  fs::path path = fs::temp_directory_path() / ("tern_onnx_file_" + std::to_string(::getpid()));
  Temporary() { fs::remove_all(path), fs::create_directories(path); }
  ~Temporary() { fs::remove_all(path); }
  void write(const char* name, const std::string& content) const {
    std::ofstream(path / name, std::ios::binary) << content;
  }
};

void entry(onnx::TensorProto* t, const char* key, const std::string& value) {
  auto* e = t->add_external_data();
  e->set_key(key);
  e->set_value(value);
}

// y = (x + a) * b with a and b [3] in "weights": b at byte 5, which is no place for a float.
onnx::ModelProto external_model() {
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  value(g->add_input(), "x", {3});
  value(g->add_output(), "y", {3});
  for (const char* name : {"a", "b"}) {
    auto* t = g->add_initializer();
    t->set_name(name);
    t->set_data_type(1);
    t->add_dims(3);
    t->set_data_location(onnx::TensorProto::EXTERNAL);
    entry(t, "location", "weights");
    entry(t, "offset", *name == 'a' ? "20" : "5");
    if (*name == 'a') entry(t, "length", "12");
    entry(t, "checksum", "not looked at");
  }
  node(g, "Add", {"x", "a"}, {"1"});
  node(g, "Mul", {"1", "b"}, {"y"});
  return m;
}

std::string external_bytes() {
  const float a[] = {1, 2, 3}, b[] = {10, 100, 1000};
  std::string s(32, '\0');
  std::memcpy(s.data() + 5, b, 12);
  std::memcpy(s.data() + 20, a, 12);
  return s;
}

}  // namespace

// ---- weights in other files ----

TEST(OnnxFile, WeightsBesideTheModel) {
  const Temporary folder;
  folder.write("weights", external_bytes());
  ModelDef model;
  ASSERT_EQ(import_proto(external_model(), &model, folder.path), TERN_OK) << message();
  fs::remove(folder.path / "weights");  // what was mapped stays
  gives(model, {row({1, 1, 1})}, row({20, 300, 4000}));
}

TEST(OnnxFile, ByPathFromAnyFolder) {
  const Temporary folder;
  folder.write("weights", external_bytes());
  folder.write("model.onnx", bytes_of(external_model()));
  const std::string source = folder.path / "model.onnx", output = folder.path / "model.tern";
  EXPECT_EQ(tern_import_file(source.c_str(), output.c_str(), nullptr), TERN_OK) << tern_import_error();
  const fs::path before = fs::current_path();
  fs::current_path(folder.path);
  EXPECT_EQ(tern_import_file("model.onnx", "again.tern", nullptr), TERN_OK) << tern_import_error();
  fs::current_path(before);
  EXPECT_EQ(fs::file_size(output), fs::file_size(folder.path / "again.tern"));
  tern_import_options o = TERN_IMPORT_OPTIONS_INIT;
  o.max_file_bytes = fs::file_size(source) + 31;  // one less than both files have
  EXPECT_EQ(tern_import_file(source.c_str(), output.c_str(), &o), TERN_ERR_LIMIT);
}

TEST(OnnxFile, BytesHaveNoFolder) {
  ModelDef model;
  EXPECT_EQ(import_proto(external_model(), &model), TERN_ERR_UNSUPPORTED);
  EXPECT_NE(message().find("by its path"), std::string::npos) << message();
}

TEST(OnnxFile, WeightsThatAreNotThere) {
  const Temporary folder;
  folder.write("weights", external_bytes());
  struct Case {
    const char *key, *value;
    tern_status status;
  };
  const Case cases[] = {
      {"location", "none", TERN_ERR_NOT_FOUND},
      {"location", "", TERN_ERR_CORRUPT},
      {"offset", "21", TERN_ERR_CORRUPT},
      {"offset", "-1", TERN_ERR_CORRUPT},
      {"offset", "18446744073709551615", TERN_ERR_CORRUPT},
      {"offset", "18446744073709551616", TERN_ERR_CORRUPT},
      {"offset", "0x10", TERN_ERR_CORRUPT},
      {"offset", "", TERN_ERR_CORRUPT},
      {"length", "11", TERN_ERR_CORRUPT},
      {"length", "13", TERN_ERR_CORRUPT},
      {"length", " 12", TERN_ERR_CORRUPT},
  };
  for (const Case& c : cases) {
    onnx::ModelProto m = external_model();
    for (auto& e : *m.mutable_graph()->mutable_initializer(0)->mutable_external_data())
      if (e.key() == c.key) e.set_value(c.value);
    ModelDef model;
    EXPECT_EQ(import_proto(m, &model, folder.path), c.status) << c.key << " " << c.value;
    EXPECT_NE(message().find("'a'"), std::string::npos) << message();
  }
  onnx::ModelProto m = external_model();
  entry(m.mutable_graph()->mutable_initializer(0), "offset", "20");
  ModelDef model;
  EXPECT_EQ(import_proto(m, &model, folder.path), TERN_ERR_CORRUPT);
  EXPECT_NE(message().find("twice"), std::string::npos) << message();
}

TEST(OnnxFile, NothingOutsideTheFolderIsRead) {
  const Temporary folder;
  const fs::path inside = folder.path / "model";
  fs::create_directories(inside / "deep");
  folder.write("weights", external_bytes());
  folder.write("model/deep/weights", external_bytes());
  folder.write("model/two", external_bytes());
  fs::create_hard_link(inside / "two", inside / "names");
  fs::create_symlink("../weights", inside / "link");
  fs::create_directory_symlink("..", inside / "up");
  ASSERT_EQ(::mkfifo((inside / "pipe").c_str(), 0600), 0);
  const std::string names[] = {"../weights",
                               (folder.path / "weights").string(),
                               "deep/weights",
                               "./link",
                               "up/weights",
                               "link",
                               "names",
                               "pipe",
                               "deep",
                               ".",
                               "..",
                               "..\\weights",
                               "c:weights",
                               "/dev/zero",
                               "/proc/self/mem",
                               std::string("link\0x", 6),
                               std::string(300, 'a')};
  for (const std::string& name : names) {
    onnx::ModelProto m = external_model();
    for (auto& t : *m.mutable_graph()->mutable_initializer())
      for (auto& e : *t.mutable_external_data())
        if (e.key() == "location") e.set_value(name);
    ModelDef model;
    const tern_status s = import_proto(m, &model, inside);
    EXPECT_TRUE(s == TERN_ERR_UNSUPPORTED || s == TERN_ERR_IO) << name << ": " << s << " " << message();
    EXPECT_NE(message().find("'a'"), std::string::npos) << message();
  }
}

TEST(OnnxFile, ASmallFileIsNoLargeModel) {
  const Temporary folder;
  folder.write("weights", std::string(1 << 16, '\0'));
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  value(g->add_input(), "x", {1 << 14});
  value(g->add_output(), "y", {1 << 14});
  std::string last = "x";
  for (int i = 0; i < 200; ++i) {
    auto* t = g->add_initializer();
    t->set_name("w" + std::to_string(i));
    t->set_data_type(1);
    t->add_dims(1 << 14);
    t->set_data_location(onnx::TensorProto::EXTERNAL);
    entry(t, "location", "weights");
    const std::string next = i == 199 ? "y" : "t" + std::to_string(i);
    node(g, "Add", {last.c_str(), t->name().c_str()}, {next.c_str()});
    last = next;
  }
  ModelDef model;
  EXPECT_EQ(import_proto(m, &model, folder.path), TERN_ERR_LIMIT) << message();
}

// ---- order ----

TEST(OnnxFile, NodesInAnyOrder) {
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  value(g->add_input(), "x", {3});
  value(g->add_output(), "y", {3});
  node(g, "Mul", {"2", "1"}, {"y"});
  node(g, "Neg", {"1"}, {"2"});
  node(g, "Exp", {"x"}, {"1"});
  gives(m, {row({0, 1, 2})}, row({-1, -std::exp(2.f), -std::exp(4.f)}));
}

// A branch reads what a later node produces, and its own nodes are out of order.
TEST(OnnxFile, NodesInAnyOrderWithinBranches) {
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  value(g->add_input(), "x", {3});
  value(g->add_input(), "c", {}, onnx::TensorProto::BOOL);
  value(g->add_output(), "y", {3});
  auto* choice = node(g, "If", {"c"}, {"y"});
  for (const char* name : {"then_branch", "else_branch"}) {
    auto* a = choice->add_attribute();
    a->set_name(name);
    a->set_type(onnx::AttributeProto::GRAPH);
    auto* inner = a->mutable_g();
    node(inner, *name == 't' ? "Neg" : "Identity", {"b"}, {"out"});
    node(inner, "Add", {"later", "later"}, {"b"});
    inner->add_output()->set_name("out");
  }
  node(g, "Abs", {"x"}, {"later"});
  TensorData yes = make_tensor(TERN_DTYPE_BOOL, Shape{});
  *(uint8_t*)const_cast<void*>(yes.data.bytes) = 1;
  gives(m, {row({-1, 2, 3}), yes}, row({-2, -4, -6}));
}

TEST(OnnxFile, CyclesAreNamed) {
  for (const bool itself : {true, false}) {
    onnx::ModelProto m = empty_model();
    auto* g = m.mutable_graph();
    value(g->add_input(), "x", {3});
    value(g->add_output(), "y", {3});
    auto* n = node(g, "Add", {"x", itself ? "a" : "b"}, {"a"});
    n->set_name("the_adder");
    node(g, "Neg", {"a"}, {"b"});
    node(g, "Neg", {"b"}, {"y"});
    ModelDef model;
    EXPECT_EQ(import_proto(m, &model), TERN_ERR_CORRUPT);
    EXPECT_NE(message().find("cycle"), std::string::npos) << message();
    EXPECT_NE(message().find("the_adder"), std::string::npos) << message();
  }
}

TEST(OnnxFile, ALongChainBackwards) {
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  value(g->add_input(), "0", {3});
  value(g->add_output(), "3000", {3});
  for (int i = 3000; i > 0; --i) node(g, "Neg", {std::to_string(i - 1).c_str()}, {std::to_string(i).c_str()});
  gives(m, {row({1, 2, 3})}, row({1, 2, 3}));
}

// ---- functions ----

namespace {

onnx::FunctionProto* function(onnx::ModelProto& m, const char* name, std::initializer_list<const char*> in,
                              std::initializer_list<const char*> out, int version = 13) {
  auto* f = m.add_functions();
  f->set_domain("own");
  f->set_name(name);
  for (const char* s : in) f->add_input(s);
  for (const char* s : out) f->add_output(s);
  f->add_opset_import()->set_version(version);
  return f;
}

onnx::NodeProto* node(onnx::FunctionProto* f, const char* type, std::initializer_list<const char*> in,
                      std::initializer_list<const char*> out) {
  onnx::GraphProto g;
  auto* n = f->add_node();
  *n = *tern::test::node(&g, type, in, out);
  return n;
}

onnx::NodeProto* call(onnx::GraphProto* g, const char* name, std::initializer_list<const char*> in,
                      std::initializer_list<const char*> out) {
  auto* n = tern::test::node(g, name, in, out);
  n->set_domain("own");
  return n;
}

void refer(onnx::NodeProto* n, const char* name, const char* outer) {
  auto* a = n->add_attribute();
  a->set_name(name);
  a->set_type(onnx::AttributeProto::FLOAT);
  a->set_ref_attr_name(outer);
}

void number(onnx::NodeProto* n, const char* name, float v) {
  auto* a = n->add_attribute();
  a->set_name(name);
  a->set_type(onnx::AttributeProto::FLOAT);
  a->set_f(v);
}

// Written by newer exporters than the schema at hand knows: the default of a function's attribute.
void set_default(onnx::FunctionProto* f, const char* name, float v) {
  onnx::AttributeProto a;
  a.set_name(name);
  a.set_type(onnx::AttributeProto::FLOAT);
  a.set_f(v);
  const std::string bytes = a.SerializeAsString();
  ASSERT_LT(bytes.size(), 128u);
  *f->mutable_unknown_fields() += std::string{(char)(11 << 3 | 2), (char)bytes.size()} + bytes;
}

onnx::ModelProto model_of_x_and_y() {
  onnx::ModelProto m = empty_model();
  auto* own = m.add_opset_import();
  own->set_domain("own");
  own->set_version(1);
  value(m.mutable_graph()->add_input(), "x", {3});
  value(m.mutable_graph()->add_output(), "y", {3});
  return m;
}

}  // namespace

// Twice the same function with different attributes; its inner names are those of the graph; one call leaves out an
// input.
TEST(OnnxFile, FunctionsOfTheModel) {
  onnx::ModelProto m = model_of_x_and_y();
  auto* leaky = function(m, "leaky", {"a", "low"}, {"y", "z"});
  leaky->add_attribute("slope");
  refer(node(leaky, "LeakyRelu", {"a"}, {"x"}), "alpha", "slope");
  node(leaky, "Clip", {"x", "low"}, {"y"});
  node(leaky, "Neg", {"y"}, {"z"});
  auto* g = m.mutable_graph();
  tensor(g, "floor", {}, -3.f);
  number(call(g, "leaky", {"x", "floor"}, {"p", "n"}), "slope", 0.5f);
  call(g, "leaky", {"n"}, {"q"});  // the operator's own slope, 0.01
  node(g, "Add", {"p", "q"}, {"y"});
  // p = (-3, -1, 4), n = (3, 1, -4), q = (3, 1, -0.04)
  gives(m, {row({-8, -2, 4})}, row({0, 0, 3.96f}));
}

TEST(OnnxFile, DefaultsVersionsAndNestedFunctions) {
  onnx::ModelProto m = model_of_x_and_y();
  auto* inner = function(m, "inner", {"a"}, {"b"});
  inner->add_attribute("slope");
  refer(node(inner, "LeakyRelu", {"a"}, {"b"}), "alpha", "slope");
  set_default(inner, "slope", 0.25f);
  // Written for version 11, where the axes are an attribute.
  auto* outer = function(m, "outer", {"a"}, {"c", "a_too"}, 11);
  node(outer, "inner", {"a"}, {"b"})->set_domain("own");
  ints(node(outer, "Unsqueeze", {"b"}, {"row"}), "axes", {0});
  ints(node(outer, "Squeeze", {"row"}, {"c"}), "axes", {0});
  node(outer, "Identity", {"a"}, {"a_too"});
  auto* g = m.mutable_graph();
  call(g, "outer", {"x"}, {"r", "s"});
  node(g, "Add", {"r", "s"}, {"y"});
  gives(m, {row({-8, -2, 4})}, row({-10, -2.5f, 8}));
}

TEST(OnnxFile, AFunctionThatPassesItsInputOn) {
  onnx::ModelProto m = model_of_x_and_y();
  auto* f = function(m, "pass", {"a"}, {"a", "b", "b"});
  node(f, "Neg", {"a"}, {"b"});
  auto* g = m.mutable_graph();
  call(g, "pass", {"x"}, {"p", "q", "r"});
  node(g, "Add", {"p", "q"}, {"0"});
  node(g, "Add", {"0", "r"}, {"y"});
  gives(m, {row({1, 2, 3})}, row({-1, -2, -3}));
}

TEST(OnnxFile, FunctionsWithoutEnd) {
  onnx::ModelProto m = model_of_x_and_y();
  node(function(m, "round", {"a"}, {"b"}), "round", {"a"}, {"b"})->set_domain("own");
  call(m.mutable_graph(), "round", {"x"}, {"y"});
  ModelDef model;
  EXPECT_EQ(import_proto(m, &model), TERN_ERR_LIMIT);
  EXPECT_NE(message().find("deep"), std::string::npos) << message();
  // Each calls the next one twice: 2^30 nodes.
  m = model_of_x_and_y();
  for (int i = 0; i < 30; ++i) {
    const std::string next = "f" + std::to_string(i + 1);
    auto* f = function(m, ("f" + std::to_string(i)).c_str(), {"a"}, {"c"});
    node(f, next.c_str(), {"a"}, {"b"})->set_domain("own");
    node(f, next.c_str(), {"b"}, {"c"})->set_domain("own");
  }
  node(function(m, "f30", {"a"}, {"c"}), "Neg", {"a"}, {"c"});
  call(m.mutable_graph(), "f0", {"x"}, {"y"});
  EXPECT_EQ(import_proto(m, &model), TERN_ERR_LIMIT);
}

TEST(OnnxFile, FunctionsThatDoNotFit) {
  onnx::ModelProto m = model_of_x_and_y();
  node(function(m, "f", {"a"}, {"b"}), "Neg", {"a"}, {"b"});
  call(m.mutable_graph(), "f", {"x", "x"}, {"y"});
  ModelDef model;
  EXPECT_EQ(import_proto(m, &model), TERN_ERR_CORRUPT);
  EXPECT_NE(message().find("'f'"), std::string::npos) << message();
  m = model_of_x_and_y();
  for (int i = 0; i < 2; ++i) node(function(m, "f", {"a"}, {"b"}), "Neg", {"a"}, {"b"});
  EXPECT_EQ(import_proto(m, &model), TERN_ERR_CORRUPT);
  EXPECT_NE(message().find("twice"), std::string::npos) << message();
  m = model_of_x_and_y();
  node(function(m, "f", {"a"}, {"b"}, 1000), "Neg", {"a"}, {"b"});
  EXPECT_EQ(import_proto(m, &model), TERN_ERR_UNSUPPORTED_VERSION);
}

// ---- element types that only files have ----

// Codes of 4 bits, a scale and a zero point for each block of two rows.
TEST(OnnxFile, IntegersOfFourBits) {
  onnx::ModelProto m = empty_model(21);
  auto* g = m.mutable_graph();
  value(g->add_input(), "x", {3});
  value(g->add_output(), "y", {3});
  auto* codes = g->add_initializer();  // [3, 3]: 1, -2, 3 / 7, -8, 0 / -1, 5, 2
  codes->set_name("codes");
  codes->set_data_type(22);
  codes->add_dims(3);
  codes->add_dims(3);
  codes->set_raw_data(std::string("\xe1\x73\x08\x5f\x02", 5));
  tensor(g, "scale", {2, 3}, 0.5f);
  auto* zero = g->add_initializer();  // [2, 3]: 1, 0, 0 / 0, -1, 0
  zero->set_name("zero");
  zero->set_data_type(22);
  zero->add_dims(2);
  zero->add_dims(3);
  for (int byte : {0x01, 0x00, 0x0f}) zero->add_int32_data(byte);
  auto* n = node(g, "DequantizeLinear", {"codes", "scale", "zero"}, {"w"});
  integer(n, "axis", 0);
  integer(n, "block_size", 2);
  node(g, "MatMul", {"x", "w"}, {"y"});
  // w = 0, -1, 1.5 / 3, -4, 0 / -0.5, 3, 1
  gives(m, {row({1, 10, 100})}, row({-20, 259, 101.5f}));
  codes->mutable_raw_data()->pop_back();
  ModelDef model;
  EXPECT_EQ(import_proto(m, &model), TERN_ERR_CORRUPT);
  codes->mutable_raw_data()->push_back(2);
  node(g, "QuantizeLinear", {"y", "scale", "zero"}, {"q"});
  EXPECT_EQ(import_proto(m, &model), TERN_ERR_UNSUPPORTED_OP);
  EXPECT_NE(message().find("4 bits"), std::string::npos) << message();
}

// ---- sequences ----

TEST(OnnxFile, SequencesThatAreKnown) {
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  value(g->add_input(), "x", {5});
  value(g->add_output(), "y", {8});
  const auto index = [&](const char* name, int64_t v) {
    auto* t = g->add_initializer();
    t->set_name(name);
    t->set_data_type(7);
    t->add_int64_data(v);
  };
  index("two", 2);
  index("last", -1);
  index("first", 0);
  node(g, "SplitToSequence", {"x", "two"}, {"s"});  // 1 2 | 3 4 | 5
  node(g, "SequenceAt", {"s", "last"}, {"five"});
  node(g, "SequenceInsert", {"s", "five", "first"}, {"s2"});  // 5 | 1 2 | 3 4 | 5
  node(g, "SequenceErase", {"s2", "two"}, {"s3"});            // 5 | 1 2 | 5
  node(g, "SequenceLength", {"s3"}, {"n"});
  node(g, "SequenceEmpty", {}, {"none"});
  node(g, "SequenceInsert", {"none", "x"}, {"one"});
  node(g, "SequenceAt", {"one", "first"}, {"again"});
  integer(node(g, "ConcatFromSequence", {"s3"}, {"z"}), "axis", 0);
  node(g, "Gather", {"again", "n"}, {"fourth"});
  node(g, "Unsqueeze", {"fourth", "zero"}, {"fourth_row"});
  index("zero", 0);
  g->mutable_initializer(3)->add_dims(1);
  node(g, "Neg", {"z"}, {"minus"});
  node(g, "SequenceConstruct", {"minus", "fourth_row", "x"}, {"s4"});
  node(g, "SequenceErase", {"s4"}, {"s5"});
  node(g, "SequenceInsert", {"s5", "z"}, {"s6"});
  node(g, "SequenceErase", {"s6", "last"}, {"s7"});
  integer(node(g, "ConcatFromSequence", {"s7"}, {"w"}), "axis", 0);
  node(g, "SequenceConstruct", {"w", "pad"}, {"s8"});
  tensor(g, "pad", {3}, 7.f);
  integer(node(g, "ConcatFromSequence", {"s8"}, {"y"}), "axis", -1);
  gives(m, {row({1, 2, 3, 4, 5})}, row({-5, -1, -2, -5, 4, 7, 7, 7}));
  node(g, "Neg", {"s8"}, {"bad"});
  ModelDef model;
  EXPECT_EQ(import_proto(m, &model), TERN_ERR_UNSUPPORTED_OP);
  EXPECT_NE(message().find("sequence"), std::string::npos) << message();
}

TEST(OnnxFile, SequencesThatAreStacked) {
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  value(g->add_input(), "x", {2, 3});
  value(g->add_output(), "y", {3, 2});
  integer(node(g, "SplitToSequence", {"x"}, {"s"}), "keepdims", 0);
  auto* n = node(g, "ConcatFromSequence", {"s"}, {"y"});
  integer(n, "axis", -1);
  integer(n, "new_axis", 1);
  const TensorData x = with_shape(row({1, 2, 3, 4, 5, 6}), Shape{2, 3});
  gives(m, {x}, with_shape(row({1, 4, 2, 5, 3, 6}), Shape{3, 2}));
}
