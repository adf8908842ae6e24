// SPDX-License-Identifier: Apache-2.0
// Damaged and hostile ONNX files: each gives a status and a message, within time and memory limits.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <random>

#include "evaluate.h"
#include "import/onnx.h"
#include "import/onnx_scan.h"
#include "onnx_build.h"
#include "tern/import.h"

using namespace tern;
using namespace tern::test;

namespace {

tern_status import_bytes(const std::string& s, ModelDef* out = nullptr, const char* shapes = "") {
  ModelDef model;
  ImportOptions options;
  options.input_shapes = shapes;
  thread_error().message[0] = 0;
  const tern_status status = import_onnx({(const uint8_t*)s.data(), s.size()}, options, &model);
  EXPECT_EQ(status == TERN_OK, thread_error().message[0] == 0 || status == TERN_OK) << "an error without a message";
  if (status == TERN_OK && out) *out = std::move(model);
  return status;
}

std::string message() { return thread_error().message; }

// x [1,2,6,6] -> Conv (2 -> 3, 3x3) -> Relu -> GlobalAveragePool -> Flatten -> Gemm -> y [1,4]
onnx::ModelProto small_model() {
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  value(g->add_input(), "x", {1, 2, 6, 6});
  value(g->add_output(), "y", {1, 4});
  tensor(g, "w", {3, 2, 3, 3});
  tensor(g, "c", {3});
  tensor(g, "f", {4, 3});
  tensor(g, "d", {4});
  auto* conv = node(g, "Conv", {"x", "w", "c"}, {"1"});
  ints(conv, "pads", {1, 1, 1, 1});
  node(g, "Relu", {"1"}, {"2"});
  node(g, "GlobalAveragePool", {"2"}, {"3"});
  node(g, "Flatten", {"3"}, {"4"});
  integer(node(g, "Gemm", {"4", "f", "d"}, {"y"}), "transB", 1);
  return m;
}

// Processor time: the machine may be busy.
struct Timer {
  std::clock_t start = std::clock();
  ~Timer() { EXPECT_LT((double)(std::clock() - start) / CLOCKS_PER_SEC, 20); }
};

}  // namespace

TEST(OnnxHostile, TheSmallModelIsGood) {
  ModelDef m;
  ASSERT_EQ(import_bytes(bytes_of(small_model()), &m), TERN_OK) << message();
  TensorData x = make_tensor(TERN_DTYPE_F32, Shape{1, 2, 6, 6});
  for (int i = 0; i < 72; ++i) store_element(TERN_DTYPE_F32, const_cast<void*>(x.data.bytes), i, 1);
  std::vector<TensorData> out;
  ASSERT_EQ(evaluate_graph(m, m.signatures[0].graph, {x}, &out), TERN_OK) << message();
  // 18 taps inside, 12 at the edges, 8 in the corners; of 36 places 16, 16, 4.
  const double mean = (16 * 9.0 + 16 * 6.0 + 4 * 4.0) / 36 + 0.5;
  EXPECT_NEAR(out[0].load(0), mean * 0.5 * 3 + 0.5, 1e-4);
}

TEST(OnnxHostile, EveryPrefix) {
  const Timer timer;
  const std::string s = bytes_of(small_model());
  for (size_t n = 0; n < s.size(); ++n) EXPECT_NE(import_bytes(s.substr(0, n)), TERN_OK) << n;
}

TEST(OnnxHostile, EveryBitOfASmallModel) {
  const Timer timer;
  const std::string s = bytes_of(small_model());
  for (size_t i = 0; i < s.size() * 8; ++i) {
    std::string t = s;
    t[i / 8] = (char)(t[i / 8] ^ (1 << (i % 8)));
    import_bytes(t);
  }
}

TEST(OnnxHostile, RandomBytesInAModel) {
  const Timer timer;
  const std::string s = bytes_of(small_model());
  std::mt19937 random(7);
  for (int k = 0; k < 5000; ++k) {
    std::string t = s;
    for (int i = 0, n = 1 + (int)(random() % 8); i < n; ++i) t[random() % t.size()] = (char)random();
    import_bytes(t);
  }
}

TEST(OnnxHostile, NoModelAtAll) {
  EXPECT_EQ(import_bytes(""), TERN_ERR_CORRUPT);
  for (int n = 1; n <= 64; ++n) EXPECT_NE(import_bytes(std::string((size_t)n, '\xff')), TERN_OK);
  EXPECT_EQ(import_bytes("not a model at all, but a text"), TERN_ERR_CORRUPT);
  onnx::ModelProto m;
  EXPECT_EQ(import_bytes(bytes_of(m)), TERN_ERR_CORRUPT);
  m = empty_model();
  EXPECT_EQ(import_bytes(bytes_of(m)), TERN_ERR_CORRUPT);
  EXPECT_NE(message().find("no outputs"), std::string::npos) << message();
}

TEST(OnnxHostile, SizesOfTensors) {
  const auto with = [](auto&& change) {
    onnx::ModelProto m = small_model();
    change(m.mutable_graph()->mutable_initializer(0));
    return import_bytes(bytes_of(m));
  };
  EXPECT_EQ(with([](auto* t) { t->set_dims(0, 4); }), TERN_ERR_CORRUPT);
  EXPECT_EQ(with([](auto* t) { t->set_dims(0, -3); }), TERN_ERR_CORRUPT);
  EXPECT_EQ(with([](auto* t) { t->set_dims(0, INT64_MAX); }), TERN_ERR_CORRUPT);
  EXPECT_EQ(with([](auto* t) { t->set_dims(0, INT64_MIN); }), TERN_ERR_CORRUPT);
  EXPECT_EQ(with([](auto* t) { t->set_dims(0, (1ll << 62)), t->set_dims(1, 4); }), TERN_ERR_CORRUPT);
  EXPECT_EQ(with([](auto* t) { t->set_dims(0, 0); }), TERN_ERR_CORRUPT);
  EXPECT_EQ(with([](auto* t) {
              for (int i = 0; i < 6; ++i) t->add_dims(1);
            }),
            TERN_ERR_LIMIT);
  EXPECT_EQ(with([](auto* t) {
              for (int i = 0; i < 1000000; ++i) t->add_dims(1);
            }),
            TERN_ERR_LIMIT);
  EXPECT_EQ(with([](auto* t) { t->set_data_type(11); }), TERN_ERR_CORRUPT);
  EXPECT_EQ(with([](auto* t) { t->set_data_type(8); }), TERN_ERR_UNSUPPORTED);
  EXPECT_EQ(with([](auto* t) { t->set_data_type(77); }), TERN_ERR_UNSUPPORTED);
  EXPECT_EQ(with([](auto* t) { t->clear_raw_data(); }), TERN_ERR_CORRUPT);
  EXPECT_EQ(with([](auto* t) {
              t->clear_raw_data();
              for (int i = 0; i < 54; ++i) t->add_int32_data(1);
            }),
            TERN_ERR_CORRUPT);
  EXPECT_EQ(with([](auto* t) { t->mutable_raw_data()->pop_back(); }), TERN_ERR_CORRUPT);
  EXPECT_EQ(with([](auto* t) { t->mutable_segment()->set_begin(0); }), TERN_ERR_UNSUPPORTED);
}

TEST(OnnxHostile, PathsAreNotFollowed) {
  // A file that is there, so that following the path would succeed.
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "tern_onnx_hostile";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "secret.bin") << std::string(4096, 's');
  std::error_code ignored;
  std::filesystem::create_symlink(folder / "secret.bin", folder / "link.bin", ignored);
  for (const std::string path : {std::string("secret.bin"), std::string("../tern_onnx_hostile/secret.bin"),
                                 (folder / "secret.bin").string(), (folder / "link.bin").string(),
                                 std::string("/proc/self/maps"), std::string("C:\\secret.bin"), std::string("")}) {
    onnx::ModelProto m = small_model();
    auto* t = m.mutable_graph()->mutable_initializer(0);
    t->set_data_location(onnx::TensorProto::EXTERNAL);
    t->clear_raw_data();
    auto* e = t->add_external_data();
    e->set_key("location");
    e->set_value(path);
    EXPECT_EQ(import_bytes(bytes_of(m)), path.empty() ? TERN_ERR_CORRUPT : TERN_ERR_UNSUPPORTED) << path;
    EXPECT_NE(message().find("'w'"), std::string::npos) << message();
  }
  std::filesystem::remove_all(folder);
}

TEST(OnnxHostile, Graphs) {
  const auto fails = [](const char* part, tern_status status, auto&& change) {
    onnx::ModelProto m = small_model();
    change(m.mutable_graph());
    EXPECT_EQ(import_bytes(bytes_of(m)), status) << part << ": " << message();
    EXPECT_NE(message().find(part), std::string::npos) << message();
  };
  fails("cycle", TERN_ERR_CORRUPT, [](auto* g) { g->mutable_node(0)->set_input(0, "2"); });
  fails("cycle", TERN_ERR_CORRUPT, [](auto* g) { g->mutable_node(1)->set_input(0, "2"); });  // reads itself
  fails("nothing produces", TERN_ERR_CORRUPT, [](auto* g) { g->mutable_node(0)->set_input(0, "missing"); });
  fails("given twice", TERN_ERR_CORRUPT, [](auto* g) { g->mutable_node(1)->set_output(0, "1"); });
  fails("given twice", TERN_ERR_CORRUPT, [](auto* g) { g->mutable_node(1)->set_output(0, "x"); });
  fails("given twice", TERN_ERR_CORRUPT, [](auto* g) { g->mutable_initializer(1)->set_name("w"); });
  fails("nothing produces the output", TERN_ERR_CORRUPT, [](auto* g) { g->mutable_output(0)->set_name("z"); });
  fails("two outputs", TERN_ERR_CORRUPT, [](auto* g) { *g->add_output() = g->output(0); });
  fails("has no name", TERN_ERR_CORRUPT, [](auto* g) { g->mutable_initializer(0)->clear_name(); });
  fails("pads", TERN_ERR_CORRUPT, [](auto* g) { g->mutable_node(0)->mutable_attribute(0)->add_ints(1); });
  fails("twice", TERN_ERR_CORRUPT, [](auto* g) { *g->mutable_node(0)->add_attribute() = g->node(0).attribute(0); });
  fails("setattr", TERN_ERR_UNSUPPORTED_OP, [](auto* g) { integer(g->mutable_node(1), "setattr", 1); });
  fails("function", TERN_ERR_CORRUPT,
        [](auto* g) { g->mutable_node(0)->mutable_attribute(0)->set_ref_attr_name("pads"); });
  fails("sparse", TERN_ERR_UNSUPPORTED, [](auto* g) { g->add_sparse_initializer()->add_dims(3); });
}

TEST(OnnxHostile, AttributesOfWindows) {
  const auto status = [](const char* name, std::initializer_list<int64_t> values) {
    onnx::ModelProto m = small_model();
    ints(m.mutable_graph()->mutable_node(0), name, values);
    return import_bytes(bytes_of(m));
  };
  EXPECT_EQ(status("strides", {2, 2}), TERN_OK);
  for (const char* name : {"strides", "dilations", "kernel_shape"}) {
    EXPECT_NE(status(name, {0, 1}), TERN_OK) << name;
    EXPECT_NE(status(name, {-1, 1}), TERN_OK) << name;
    EXPECT_NE(status(name, {1}), TERN_OK) << name;
    EXPECT_NE(status(name, {1, 1, 1}), TERN_OK) << name;
    EXPECT_NE(status(name, {INT64_MAX, 1}), TERN_OK) << name;
    EXPECT_NE(status(name, {INT32_MAX, INT32_MAX}), name == std::string("strides") ? -1 : TERN_OK) << name;
  }
  for (int64_t group : {(int64_t)0, (int64_t)-1, (int64_t)2, (int64_t)7, INT64_MAX, INT64_MIN}) {
    onnx::ModelProto m = small_model();
    integer(m.mutable_graph()->mutable_node(0), "group", group);
    EXPECT_NE(import_bytes(bytes_of(m)), TERN_OK) << group;
  }
}

TEST(OnnxHostile, AllMissingOperatorsAreListed) {
  onnx::ModelProto m = small_model();
  auto* g = m.mutable_graph();
  node(g, "NoSuchThing", {"y"}, {"p"});
  node(g, "NoSuchThing", {"p"}, {"q"});
  node(g, "Relu", {"q"}, {"r"});
  node(g, "Own", {"r"}, {"s"})->set_domain("com.example");
  auto* mode = node(g, "Upsample", {"1"}, {"u"})->add_attribute();
  mode->set_name("mode");
  mode->set_s("cubic");
  EXPECT_EQ(import_bytes(bytes_of(m)), TERN_ERR_UNSUPPORTED_OP);
  EXPECT_NE(message().find("NoSuchThing x2"), std::string::npos) << message();
  EXPECT_NE(message().find("com.example:Own"), std::string::npos) << message();
  EXPECT_NE(message().find("Upsample (mode cubic)"), std::string::npos) << message();
}

TEST(OnnxHostile, Versions) {
  onnx::ModelProto m = small_model();
  m.mutable_opset_import(0)->set_version(99);
  EXPECT_EQ(import_bytes(bytes_of(m)), TERN_ERR_UNSUPPORTED_VERSION);
  m.mutable_opset_import(0)->set_version(-1);
  EXPECT_EQ(import_bytes(bytes_of(m)), TERN_ERR_CORRUPT);
}

TEST(OnnxHostile, DeepNesting) {
  const Timer timer;
  // If within If within If ...
  onnx::GraphProto inner;
  value(inner.add_output(), "o", {1});
  tensor(&inner, "o", {1});
  for (int depth = 0; depth < 200; ++depth) {
    onnx::GraphProto outer;
    auto* n = node(&outer, "If", {"c"}, {"o"});
    for (const char* branch : {"then_branch", "else_branch"}) {
      auto* a = n->add_attribute();
      a->set_name(branch);
      a->set_type(onnx::AttributeProto::GRAPH);
      if (branch[0] == 't') *a->mutable_g() = inner;
      else value(a->mutable_g()->add_output(), "c", {1});
    }
    value(outer.add_output(), "o", {1});
    inner = outer;
    if (depth < 6 || depth % 40 == 0) {
      onnx::ModelProto m = empty_model();
      *m.mutable_graph() = inner;
      value(m.mutable_graph()->add_input(), "c", {}, 9);
      const tern_status s = import_bytes(bytes_of(m));
      EXPECT_NE(s, TERN_OK);  // the else branch gives a bool
    }
  }
  // Raw messages: graph in attribute in node in graph, 100,000 deep.
  std::string s;
  for (int i = 0; i < 20000; ++i) {
    std::string t;
    const auto field = [&](int number, const std::string& content) {
      std::string r(1, (char)(number << 3 | 2));
      size_t n = content.size();
      do r += (char)((n & 127) | (n > 127 ? 128 : 0)), n >>= 7;
      while (n);
      return r + content;
    };
    if (s.size() > 200000) break;
    s = field(1, field(5, field(6, s)));
  }
  std::string head(1, (char)(7 << 3 | 2));
  size_t n = s.size();
  do head += (char)((n & 127) | (n > 127 ? 128 : 0)), n >>= 7;
  while (n);
  EXPECT_EQ(import_bytes(head + s), TERN_ERR_LIMIT) << message();
  // A type of sequences of sequences.
  onnx::ModelProto m = small_model();
  auto* type = m.mutable_graph()->mutable_input(0)->mutable_type();
  for (int i = 0; i < 60; ++i) type = type->mutable_sequence_type()->mutable_elem_type();
  EXPECT_NE(import_bytes(bytes_of(m)), TERN_OK);
}

TEST(OnnxHostile, CountsBeforeMemory) {
  const Timer timer;
  // 3 million empty nodes in 6 MB.
  std::string nodes;
  for (int i = 0; i < 3000000; ++i) nodes += std::string("\x0a\x00", 2);
  std::string file(1, (char)(7 << 3 | 2));
  size_t n = nodes.size();
  do file += (char)((n & 127) | (n > 127 ? 128 : 0)), n >>= 7;
  while (n);
  file += nodes;
  EXPECT_EQ(import_bytes(file), TERN_ERR_LIMIT) << message();
  EXPECT_EQ(scan_onnx({(const uint8_t*)file.data(), file.size()}), TERN_ERR_LIMIT);
}

TEST(OnnxHostile, SizesThatExplode) {
  const Timer timer;
  onnx::ModelProto m = empty_model();
  auto* g = m.mutable_graph();
  value(g->add_input(), "x", {1 << 20, 1 << 20, 1 << 20});
  value(g->add_output(), "y", {});
  node(g, "Relu", {"x"}, {"y"});
  EXPECT_NE(import_bytes(bytes_of(m)), TERN_OK);
  // Each Concat doubles the size: the shapes overflow long before memory is asked for.
  m = empty_model();
  g = m.mutable_graph();
  value(g->add_input(), "x", {1024});
  value(g->add_output(), "y70", {});
  std::string last = "x";
  for (int i = 0; i <= 70; ++i) {
    const std::string next = "y" + std::to_string(i);
    integer(node(g, "Concat", {last.c_str(), last.c_str()}, {next.c_str()}), "axis", 0);
    last = next;
  }
  EXPECT_NE(import_bytes(bytes_of(m)), TERN_OK);
  // A constant of 2^60 elements by ConstantOfShape, Expand, Range, Tile.
  for (const char* type : {"ConstantOfShape", "Expand", "Tile"}) {
    m = empty_model();
    g = m.mutable_graph();
    auto* t = g->add_initializer();
    t->set_name("s");
    t->set_data_type(7);
    t->add_dims(2);
    t->add_int64_data(1ll << 31);
    t->add_int64_data(1ll << 31);
    tensor(g, "one", {1, 1});
    value(g->add_output(), "y", {});
    if (type[0] == 'C') node(g, type, {"s"}, {"y"});
    else node(g, type, {"one", "s"}, {"y"});
    import_bytes(bytes_of(m));  // not computed, whatever the answer
  }
}

TEST(OnnxHostile, NamesOfAllKinds) {
  onnx::ModelProto m = small_model();
  const std::string odd("a\0b\xff\xfe", 5), longest(1 << 20, 'n');
  m.mutable_graph()->mutable_node(0)->set_name(longest);
  m.mutable_graph()->mutable_node(0)->set_output(0, odd);
  m.mutable_graph()->mutable_node(1)->set_input(0, odd);
  ModelDef out;
  EXPECT_EQ(import_bytes(bytes_of(m), &out), TERN_OK) << message();
  m.mutable_graph()->mutable_input(0)->set_name(longest);
  EXPECT_NE(import_bytes(bytes_of(m)), TERN_OK);
}

TEST(OnnxHostile, InputShapes) {
  const std::string s = bytes_of(small_model());
  ModelDef m;
  ASSERT_EQ(import_bytes(s, &m, "x=2x2x8x10"), TERN_OK) << message();
  EXPECT_EQ(to_string(m.signatures[0].graph.value(m.signatures[0].graph.inputs[0]).shape), "[2,2,8,10]");
  for (const char* bad : {"x", "x=", "=1x2", "x=1x2x6x", "x=1x2x6x6x", "x=-1x2x6x6", "x=1x2x6", "x=1 x2x6x6",
                          "x=1x2x6x99999999999999999999", "x=1x1x1x1x1x1x1x1x1", "x=9223372036854775807x2x6x6"})
    EXPECT_NE(import_bytes(s, nullptr, bad), TERN_OK) << bad;
  EXPECT_EQ(import_bytes(s, nullptr, "z=1x2x6x6"), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_NE(message().find("'x'"), std::string::npos) << message();
  EXPECT_NE(import_bytes(s, nullptr, "x=1x3x6x6"), TERN_OK);  // channels that do not fit
}

TEST(OnnxHostile, OpenDimsBecomeSymbols) {
  onnx::ModelProto m = small_model();
  auto* shape = m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
  shape->mutable_dim(0)->set_dim_param("N");
  shape->mutable_dim(2)->set_dim_param("H");
  shape->mutable_dim(3)->clear_dim_value();
  ModelDef out;
  ASSERT_EQ(import_bytes(bytes_of(m), &out), TERN_OK) << message();
  const Signature& s = out.signatures[0];
  ASSERT_EQ(s.symbols.size(), 3u);
  EXPECT_EQ(s.symbols[0].name, "N");
  EXPECT_EQ(s.symbols[0].hint, 1);
  EXPECT_EQ(s.symbols[1].name, "H");
  EXPECT_EQ(s.symbols[1].multiple, 1);
  EXPECT_EQ(s.symbolic_dims.size(), 3u);
}

TEST(OnnxHostile, TruncationsOfARealTest) {
  const char* path = "/usr/share/libonnx-testdata/data/node/test_lstm_with_peepholes/model.onnx";
  std::ifstream f(path, std::ios::binary);
  if (!f) GTEST_SKIP() << "SKIPPED: no " << path;
  const std::string s((std::istreambuf_iterator<char>(f)), {});
  for (size_t n = 0; n < s.size(); ++n) import_bytes(s.substr(0, n));
  std::mt19937 random(3);
  for (int k = 0; k < 3000; ++k) {
    std::string t = s;
    t[random() % t.size()] = (char)random();
    import_bytes(t);
  }
}

// ---- the call ----

TEST(ImportCall, Arguments) {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "tern_import_call";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const std::string source = folder / "m.onnx", output = folder / "m.tern", pipe = folder / "pipe.onnx";
  std::ofstream(source, std::ios::binary) << bytes_of(small_model());
  std::ofstream(output) << "old";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  ASSERT_EQ(mkfifo((folder / "m.txt").c_str(), 0600), 0);  // where labels are looked for
  const auto refused = [&](const char* from, const char* to, const tern_import_options* o, tern_status code) {
    EXPECT_EQ(tern_import_file(from, to, o), code) << (from ? from : "NULL") << ": " << tern_import_error();
    EXPECT_NE(std::string(tern_import_error()), "");
    EXPECT_EQ(std::filesystem::file_size(output), 3u);
  };
  refused(nullptr, output.c_str(), nullptr, TERN_ERR_INVALID_ARGUMENT);
  refused(source.c_str(), nullptr, nullptr, TERN_ERR_INVALID_ARGUMENT);
  refused((folder / "none.onnx").c_str(), output.c_str(), nullptr, TERN_ERR_NOT_FOUND);
  refused(folder.c_str(), output.c_str(), nullptr, TERN_ERR_NOT_FOUND);  // no config.json of a Hugging Face folder
  refused(pipe.c_str(), output.c_str(), nullptr, TERN_ERR_IO);           // neither read nor waited for
  refused("/dev/zero", output.c_str(), nullptr, TERN_ERR_IO);
  refused(source.c_str(), pipe.c_str(), nullptr, TERN_ERR_IO);
  refused(source.c_str(), "/dev/full", nullptr, TERN_ERR_IO);
  struct {
    tern_import_options known;
    unsigned char newer[16];
  } o = {TERN_IMPORT_OPTIONS_INIT, {}};
  o.known.max_file_bytes = 10;
  refused(source.c_str(), output.c_str(), &o.known, TERN_ERR_LIMIT);
  o.known.max_file_bytes = 0;
  o.known.flags = 1;
  refused(source.c_str(), output.c_str(), &o.known, TERN_ERR_INVALID_ARGUMENT);
  o.known.flags = 0;
  // The struct has grown since its first version, which ends before `task`.
  for (const uint32_t size : {0u, 4u, (uint32_t)offsetof(tern_import_options, task) - 1, 65537u, UINT32_MAX}) {
    o.known.struct_size = size;
    refused(source.c_str(), output.c_str(), &o.known, TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(tern_import_options_init(&o.known, size), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(o.known.struct_size, size);
  }
  EXPECT_EQ(tern_import_options_init(nullptr, sizeof o), TERN_ERR_INVALID_ARGUMENT);
  ASSERT_EQ(tern_import_options_init(&o.known, sizeof o), TERN_OK);
  o.newer[15] = 1;
  refused(source.c_str(), output.c_str(), &o.known, TERN_ERR_INVALID_ARGUMENT);
  o.newer[15] = 0;
  EXPECT_EQ(tern_import_file(source.c_str(), output.c_str(), &o.known), TERN_OK) << tern_import_error();
  EXPECT_GT(std::filesystem::file_size(output), 64u);
  std::filesystem::remove_all(folder);
}
