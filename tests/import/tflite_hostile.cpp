// SPDX-License-Identifier: Apache-2.0
// Damaged and hostile TFLite files: each gives a status and a message, within time and memory limits.
#include <gtest/gtest.h>

#include <cstring>
#include <ctime>
#include <filesystem>

#include "evaluate.h"
#include "import/tflite_generated.h"
#include "models/golden.h"
#include "tests/fuzz/bounds.h"

using namespace tern;
using namespace tern::test;

namespace {

using Bytes = std::vector<uint8_t>;

// Imports from memory that ends with the file. An error has a message; nothing takes long.
tern_status import_bytes(const Bytes& bytes, ModelDef* out = nullptr) {
  const Bytes exact(bytes.begin(), bytes.end());
  ModelDef model;
  thread_error().message[0] = 0;
  const std::clock_t start = std::clock();  // of the processor: other programs do not count
  const tern_status status = import_tflite({exact.data(), exact.size()}, ImportOptions{}, &model);
  EXPECT_LT((double)(std::clock() - start) / CLOCKS_PER_SEC, 5 * kSlower);
  EXPECT_TRUE(status == TERN_OK || thread_error().message[0]) << "an error without a message";
  if (status == TERN_OK && out) *out = std::move(model);
  return status;
}

std::string message() { return thread_error().message; }

// ---- a model in which every number can be replaced ----

// Numbers by name; one of them may be replaced.
struct Numbers {
  std::string replaced;
  int64_t value = 0;
  std::vector<std::pair<std::string, int64_t>> seen;

  int64_t operator()(const std::string& name, int64_t usual) {
    seen.emplace_back(name, usual);
    return name == replaced ? value : usual;
  }
};

using Builder = flatbuffers::FlatBufferBuilder;

struct ModelBuilder {
  Numbers& f;
  Builder b{4096};
  std::vector<flatbuffers::Offset<tfl::Buffer>> buffers;
  std::vector<flatbuffers::Offset<tfl::OperatorCode>> codes;
  std::vector<flatbuffers::Offset<tfl::Tensor>> tensors;
  std::vector<flatbuffers::Offset<tfl::Operator>> operators;
  std::vector<flatbuffers::Offset<tfl::SubGraph>> graphs;

  explicit ModelBuilder(Numbers& numbers) : f(numbers) { buffer({}); }

  uint32_t buffer(const Bytes& data) {
    const auto content = data.empty() ? 0 : b.CreateVector(data);
    buffers.push_back(tfl::CreateBuffer(b, content));
    return (uint32_t)buffers.size() - 1;
  }
  template <class T>
  uint32_t content(const std::vector<T>& values) {
    Bytes bytes(values.size() * sizeof(T));
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return buffer(bytes);
  }
  flatbuffers::Offset<flatbuffers::Vector<int32_t>> list(const std::string& name, const std::vector<int32_t>& values) {
    std::vector<int32_t> r;
    for (size_t i = 0; i < values.size(); ++i) r.push_back((int32_t)f(name + "." + std::to_string(i), values[i]));
    return b.CreateVector(r);
  }
  int32_t tensor(const std::string& name, const std::vector<int32_t>& shape, int type, uint32_t at = 0,
                 flatbuffers::Offset<tfl::QuantizationParameters> quantization = 0,
                 flatbuffers::Offset<tfl::SparsityParameters> sparsity = 0) {
    const auto dims = list(name + ".shape", shape);
    const auto text = b.CreateString(name);
    tensors.push_back(tfl::CreateTensor(b, dims, (int8_t)f(name + ".type", type), (uint32_t)f(name + ".buffer", at),
                                        text, quantization, false, sparsity));
    return (int32_t)tensors.size() - 1;
  }
  template <class Options>
  void op(const std::string& name, int code, const std::vector<int32_t>& in, const std::vector<int32_t>& out,
          tfl::BuiltinOptions type, flatbuffers::Offset<Options> options) {
    const uint32_t index = (uint32_t)codes.size();
    codes.push_back(tfl::CreateOperatorCode(b, (int8_t)std::min(code, 127), 0, 1, (int32_t)f(name + ".code", code)));
    const auto i = list(name + ".in", in), o = list(name + ".out", out);
    operators.push_back(tfl::CreateOperator(b, (uint32_t)f(name + ".opcode", index), i, o,
                                            (tfl::BuiltinOptions)f(name + ".options", (int)type), options.Union()));
  }
  void plain(const std::string& name, int code, const std::vector<int32_t>& in, const std::vector<int32_t>& out) {
    op(name, code, in, out, tfl::BuiltinOptions::NONE, flatbuffers::Offset<void>(0));
  }
  void graph(const std::string& name, const std::vector<int32_t>& in, const std::vector<int32_t>& out) {
    const auto t = b.CreateVector(tensors);
    const auto i = list(name + ".inputs", in), o = list(name + ".outputs", out);
    const auto ops = b.CreateVector(operators);
    graphs.push_back(tfl::CreateSubGraph(b, t, i, o, ops));
    tensors.clear();
    operators.clear();
  }
  Bytes finish() {
    const auto c = b.CreateVector(codes);
    const auto g = b.CreateVector(graphs);
    const auto bs = b.CreateVector(buffers);
    b.Finish(tfl::CreateModel(b, (uint32_t)f("version", 3), c, g, 0, bs), "TFL3");
    return {b.GetBufferPointer(), b.GetBufferPointer() + b.GetSize()};
  }
};

constexpr int kF32 = 0, kI32 = 2, kBool = 6, kI8 = 9;

flatbuffers::Offset<tfl::SparsityParameters> sparsity(ModelBuilder& m) {
  auto& b = m.b;
  const auto order = m.list("sparse.order", {0, 1, 2});
  const auto map = m.list("sparse.blocks", {1});
  // 3 rows; in each the blocks of 2 columns: 1, none, 0 and 1.
  const auto segments = tfl::CreateInt32Vector(b, m.list("sparse.segments", {0, 1, 1, 3}));
  const auto indices = tfl::CreateInt32Vector(b, m.list("sparse.indices", {1, 0, 1}));
  std::vector<flatbuffers::Offset<tfl::DimensionMetadata>> dims;
  dims.push_back(tfl::CreateDimensionMetadata(b, (int8_t)m.f("sparse.format0", 0), (int32_t)m.f("sparse.size0", 3)));
  dims.push_back(tfl::CreateDimensionMetadata(b, (int8_t)m.f("sparse.format1", 1), (int32_t)m.f("sparse.size1", 0),
                                              (tfl::SparseIndexVector)m.f("sparse.segments_type", 1), segments.Union(),
                                              (tfl::SparseIndexVector)m.f("sparse.indices_type", 1), indices.Union()));
  dims.push_back(tfl::CreateDimensionMetadata(b, (int8_t)m.f("sparse.format2", 0), (int32_t)m.f("sparse.size2", 2)));
  return tfl::CreateSparsityParameters(b, order, map, b.CreateVector(dims));
}

// A convolution, a mean, a sparse and a quantised weight, a condition and a loop.
Bytes build(Numbers& f) {
  ModelBuilder m(f);
  auto& b = m.b;
  const auto conv = [&] {
    return tfl::CreateConv2DOptions(b, (int8_t)f("conv.padding", 0), (int32_t)f("conv.stride_w", 1),
                                    (int32_t)f("conv.stride_h", 2), (int8_t)f("conv.activation", 1),
                                    (int32_t)f("conv.dilation_w", 1), (int32_t)f("conv.dilation_h", 1));
  };
  const auto quantization = [&] {
    const std::vector<float> scales = {0.5f, 0.25f};
    const std::vector<int64_t> zeros = {f("q.zero0", 0), f("q.zero1", 1)};
    const auto s = b.CreateVector(scales);
    const auto z = b.CreateVector(zeros);
    return tfl::CreateQuantizationParameters(b, s, z, (uint8_t)f("q.details", 0), (int32_t)f("q.axis", 0));
  };
  const int32_t x = m.tensor("x", {1, 4, 4, 2}, kF32),
                w = m.tensor("w", {4, 3, 3, 2}, kF32, m.content(std::vector<float>(72, 0.5f))),
                bias = m.tensor("bias", {4}, kF32, m.content(std::vector<float>(4, 1.0f))),
                y = m.tensor("y", {1, 2, 4, 4}, kF32);
  m.op("conv", 3, {x, w, bias}, {y}, tfl::BuiltinOptions::Conv2DOptions, conv());
  const int32_t axes = m.tensor("axes", {2}, kI32,
                                m.content(std::vector<int32_t>{(int32_t)f("axes.0", 1), (int32_t)f("axes.1", 2)})),
                mean = m.tensor("mean", {1, 4}, kF32);
  m.op("mean", 40, {y, axes}, {mean}, tfl::BuiltinOptions::ReducerOptions, tfl::CreateReducerOptions(b, false));
  const int32_t sparse = m.tensor("sparse", {3, 4}, kF32, m.content(std::vector<float>(6, 2.0f)), 0, sparsity(m)),
                dense = m.tensor("dense", {3, 4}, kF32), fc = m.tensor("fc", {1, 3}, kF32);
  m.plain("densify", 124, {sparse}, {dense});
  m.op("fc", 9, {mean, dense, -1}, {fc}, tfl::BuiltinOptions::FullyConnectedOptions,
       tfl::CreateFullyConnectedOptions(b));
  const int32_t codes = m.tensor("codes", {2, 3}, kI8, m.content(std::vector<int8_t>(6, 3)), quantization()),
                q = m.tensor("q", {1, 2}, kF32);
  m.op("fc8", 9, {fc, codes}, {q}, tfl::BuiltinOptions::FullyConnectedOptions, tfl::CreateFullyConnectedOptions(b));
  const int32_t yes = m.tensor("yes", {1}, kBool), chosen = m.tensor("chosen", {1, 2}, kF32);
  m.op("if", 118, {yes, q}, {chosen}, tfl::BuiltinOptions::IfOptions,
       tfl::CreateIfOptions(b, (int32_t)f("if.then", 1), (int32_t)f("if.else", 1)));
  const int32_t count = m.tensor("count", {1}, kI32), last = m.tensor("last", {1}, kI32);
  m.op("while", 119, {count}, {last}, tfl::BuiltinOptions::WhileOptions,
       tfl::CreateWhileOptions(b, (int32_t)f("while.cond", 2), (int32_t)f("while.body", 3)));
  const int32_t shape = m.tensor("shape", {2}, kI32,
                                 m.content(std::vector<int32_t>{(int32_t)f("shape.0", 2), (int32_t)f("shape.1", -1)})),
                flat = m.tensor("flat", {2, 1}, kF32);
  m.plain("reshape", 22, {chosen, shape}, {flat});
  const int32_t ids = m.tensor("ids", {2}, kI32,
                               m.content(std::vector<int32_t>{(int32_t)f("ids.0", 1), (int32_t)f("ids.1", 0)})),
                rows = m.tensor("rows", {2, 1}, kF32);
  m.op("gather", 36, {flat, ids}, {rows}, tfl::BuiltinOptions::GatherOptions,
       tfl::CreateGatherOptions(b, (int32_t)f("gather.axis", 0), (int32_t)f("gather.batch", 0)));
  const int32_t begin = m.tensor("begin", {2}, kI32,
                                 m.content(std::vector<int32_t>{(int32_t)f("begin.0", 0), (int32_t)f("begin.1", 0)})),
                end = m.tensor("end", {2}, kI32,
                               m.content(std::vector<int32_t>{(int32_t)f("end.0", 2), (int32_t)f("end.1", 1)})),
                steps = m.tensor("steps", {2}, kI32,
                                 m.content(std::vector<int32_t>{(int32_t)f("steps.0", 1), (int32_t)f("steps.1", 1)})),
                cut = m.tensor("cut", {2, 1}, kF32);
  m.op("slice", 45, {rows, begin, end, steps}, {cut}, tfl::BuiltinOptions::StridedSliceOptions,
       tfl::CreateStridedSliceOptions(b, (int32_t)f("slice.begin", 0), (int32_t)f("slice.end", 0),
                                      (int32_t)f("slice.ellipsis", 0), (int32_t)f("slice.new", 0),
                                      (int32_t)f("slice.shrink", 0)));
  m.graph("main", {x, yes, count}, {cut, last});

  const int32_t a = m.tensor("then.x", {1, 2}, kF32), r = m.tensor("then.y", {1, 2}, kF32);
  m.plain("relu", 19, {a}, {r});
  m.graph("then", {a}, {r});
  const int32_t n = m.tensor("cond.n", {1}, kI32),
                five = m.tensor("cond.five", {1}, kI32, m.content(std::vector<int32_t>{5})),
                less = m.tensor("cond.less", {1}, kBool);
  m.plain("less", 58, {n, five}, {less});
  m.graph("cond", {n}, {less});
  const int32_t v = m.tensor("body.n", {1}, kI32),
                one = m.tensor("body.one", {1}, kI32, m.content(std::vector<int32_t>{1})),
                next = m.tensor("body.next", {1}, kI32);
  m.op("add", 0, {v, one}, {next}, tfl::BuiltinOptions::AddOptions,
       tfl::CreateAddOptions(b, (int8_t)f("add.activation", 0)));
  m.graph("body", {v}, {next});
  return m.finish();
}

Bytes build() {
  Numbers f;
  return build(f);
}

tern_status import_with(const char* name, int64_t value) {
  Numbers f{name, value, {}};
  return import_bytes(build(f));
}

// ---- the outer form ----

TEST(TfliteHostile, TheModelItselfIsGood) { EXPECT_EQ(import_bytes(build()), TERN_OK) << message(); }

TEST(TfliteHostile, EveryPrefix) {
  const Bytes whole = build();
  EXPECT_EQ(import_bytes({}), TERN_ERR_CORRUPT);
  for (size_t n = 1; n < whole.size(); n += n < 200 ? 1 : 7)
    EXPECT_NE(import_bytes(Bytes(whole.begin(), whole.begin() + (ptrdiff_t)n)), TERN_OK) << n;
}

TEST(TfliteHostile, EveryByteChanged) {
  const Bytes whole = build();
  for (size_t i = 0; i < whole.size(); ++i) {
    for (int change : {0x01, 0x80, 0xff}) {
      Bytes b = whole;
      b[i] = (uint8_t)(b[i] ^ change);
      import_bytes(b);
    }
  }
}

TEST(TfliteHostile, CorpusChanged) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TERN_SOURCE_DIR "/tests/fuzz/corpus/tflite")) {
    Bytes whole;
    ASSERT_TRUE(read_bytes(entry.path().string(), &whole));
    EXPECT_TRUE(import_bytes(whole) == TERN_OK || message().find("not supported") != std::string::npos)
        << entry.path() << ": " << message();
    ++files;
    for (size_t i = 0; i < whole.size(); i += 3) {
      Bytes b = whole;
      b[i] = (uint8_t)(b[i] ^ (1u << (i % 8)));
      import_bytes(b);
    }
  }
  EXPECT_GE(files, 10);
}

TEST(TfliteHostile, OuterForm) {
  Bytes b = build();
  b[4] = 'X';
  EXPECT_EQ(import_bytes(b), TERN_ERR_CORRUPT);
  EXPECT_EQ(import_with("version", 4), TERN_ERR_UNSUPPORTED_VERSION);
  // A size that the 32-bit form cannot have is refused before anything is read.
  ModelDef model;
  const Bytes small = build();
  EXPECT_EQ(import_tflite({small.data(), (size_t)1 << 31}, ImportOptions{}, &model), TERN_ERR_LIMIT);
  // Misaligned memory.
  Bytes shifted(small.size() + 1);
  std::memcpy(shifted.data() + 1, small.data(), small.size());
  EXPECT_EQ(import_tflite({shifted.data() + 1, small.size()}, ImportOptions{}, &model), TERN_OK);
  for (uint32_t offset : {0u, 1u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
    b = build();
    std::memcpy(b.data(), &offset, 4);
    EXPECT_EQ(import_bytes(b), TERN_ERR_CORRUPT);
  }
}

// ---- numbers ----

TEST(TfliteHostile, EveryNumberOutOfRange) {
  Numbers all;
  build(all);
  ASSERT_GT(all.seen.size(), 150u);
  for (const auto& [name, usual] : all.seen) {
    for (int64_t value : {(int64_t)-1, (int64_t)0, usual + 1, usual - 1, (int64_t)30, (int64_t)65536,
                          (int64_t)INT32_MAX, (int64_t)INT32_MIN, (int64_t)1 << 31}) {
      SCOPED_TRACE(name + " = " + std::to_string(value));
      Numbers f{name, value, {}};
      import_bytes(build(f));
    }
  }
}

TEST(TfliteHostile, Indices) {
  for (const char* name : {"conv.in.0", "conv.in.1", "mean.in.0", "conv.out.0", "densify.in.0", "main.inputs.0",
                           "main.outputs.0", "then.outputs.0", "less.in.1"})
    for (int64_t value : {(int64_t)-1, (int64_t)-2, (int64_t)40, (int64_t)INT32_MAX, (int64_t)INT32_MIN}) {
      SCOPED_TRACE(std::string(name) + " = " + std::to_string(value));
      EXPECT_EQ(import_with(name, value), TERN_ERR_CORRUPT) << message();
    }
  // A bias may be absent, a list without it too.
  EXPECT_EQ(import_with("conv.in.2", -1), TERN_OK) << message();
  EXPECT_EQ(import_with("conv.in.2", -2), TERN_ERR_CORRUPT);
  for (const char* name : {"w.buffer", "x.buffer", "codes.buffer", "conv.opcode"})
    for (int64_t value : {(int64_t)1000, (int64_t)INT32_MAX, (int64_t)UINT32_MAX})
      EXPECT_EQ(import_with(name, value), TERN_ERR_CORRUPT) << name << value;
  // An operator reads what only a later one produces; two operators write one tensor; one writes a constant.
  EXPECT_EQ(import_with("conv.in.0", 5), TERN_ERR_CORRUPT);
  EXPECT_EQ(import_with("mean.out.0", 3), TERN_ERR_CORRUPT);
  EXPECT_EQ(import_with("mean.out.0", 1), TERN_ERR_CORRUPT);
}

TEST(TfliteHostile, UnknownOperators) {
  EXPECT_EQ(import_with("conv.code", 1000), TERN_ERR_UNSUPPORTED_OP);
  EXPECT_NE(message().find("operator 1000"), std::string::npos) << message();
  EXPECT_EQ(import_with("mean.code", 131), TERN_ERR_UNSUPPORTED_OP);
  EXPECT_NE(message().find("RFFT2D"), std::string::npos) << message();
}

TEST(TfliteHostile, Options) {
  // Of another operator, and none at all.
  EXPECT_EQ(import_with("conv.options", 27), TERN_ERR_CORRUPT);
  EXPECT_EQ(import_with("conv.options", 0), TERN_ERR_CORRUPT);
  EXPECT_EQ(import_with("if.options", 0), TERN_ERR_CORRUPT);
  for (const char* name : {"conv.stride_w", "conv.stride_h", "conv.dilation_w", "conv.dilation_h"})
    for (int64_t value : {0, -1, INT32_MIN}) EXPECT_EQ(import_with(name, value), TERN_ERR_CORRUPT) << name;
  EXPECT_EQ(import_with("conv.padding", 2), TERN_ERR_CORRUPT);
  EXPECT_EQ(import_with("conv.activation", 9), TERN_ERR_CORRUPT);
  EXPECT_EQ(import_with("steps.0", 0), TERN_ERR_CORRUPT);
}

TEST(TfliteHostile, Shapes) {
  for (const char* name : {"x.shape.3", "w.shape.0", "w.shape.3", "bias.shape.0", "axes.shape.0"})
    for (int64_t value : {(int64_t)-1, (int64_t)INT32_MIN, (int64_t)INT32_MAX})
      EXPECT_NE(import_with(name, value), TERN_OK) << name << value;
  // The content has another size than the shape says.
  EXPECT_EQ(import_with("w.shape.1", 2), TERN_ERR_CORRUPT);
  EXPECT_EQ(import_with("bias.shape.0", 5), TERN_ERR_CORRUPT);
  EXPECT_EQ(import_with("bias.type", 1), TERN_ERR_CORRUPT);
  EXPECT_NE(import_with("w.type", 5), TERN_OK);
  // Types of inputs that sub-graphs do not expect.
  EXPECT_EQ(import_with("then.x.type", kI32), TERN_ERR_CORRUPT);
  EXPECT_NE(import_with("yes.type", kF32), TERN_OK);
}

// ---- sparse and quantised ----

TEST(TfliteHostile, Sparse) {
  for (const char* name : {"sparse.indices.0", "sparse.indices.2"})
    for (int64_t value : {-1, 2, INT32_MAX, INT32_MIN})
      EXPECT_EQ(import_with(name, value), TERN_ERR_CORRUPT) << name << value;
  for (const char* name : {"sparse.segments.0", "sparse.segments.1", "sparse.segments.2", "sparse.segments.3"})
    for (int64_t value : {-1, 4, INT32_MAX}) EXPECT_EQ(import_with(name, value), TERN_ERR_CORRUPT) << name << value;
  for (const char* name :
       {"sparse.order.0", "sparse.order.2", "sparse.blocks.0", "sparse.format0", "sparse.format1", "sparse.format2",
        "sparse.size0", "sparse.size2", "sparse.segments_type", "sparse.indices_type"})
    for (int64_t value : {-1, 7, 100}) EXPECT_EQ(import_with(name, value), TERN_ERR_CORRUPT) << name << value;
  // A shape that only a bomb has.
  EXPECT_NE(import_with("sparse.shape.0", INT32_MAX), TERN_OK);
  EXPECT_NE(import_with("sparse.shape.1", 1 << 30), TERN_OK);
}

TEST(TfliteHostile, Quantised) {
  EXPECT_EQ(import_with("q.axis", 1), TERN_ERR_CORRUPT);
  EXPECT_EQ(import_with("q.axis", -1), TERN_ERR_CORRUPT);
  EXPECT_EQ(import_with("q.zero0", 128), TERN_ERR_CORRUPT);
  EXPECT_EQ(import_with("q.zero1", INT64_MIN), TERN_ERR_CORRUPT);
  EXPECT_EQ(import_with("q.details", 2), TERN_ERR_UNSUPPORTED);
}

// ---- sub-graphs ----

TEST(TfliteHostile, SubGraphs) {
  for (const char* name : {"if.then", "if.else", "while.cond", "while.body"}) {
    for (int64_t value : {-1, 4, INT32_MAX, INT32_MIN})
      EXPECT_EQ(import_with(name, value), TERN_ERR_CORRUPT) << name << value;
    // The main graph, which calls them.
    EXPECT_EQ(import_with(name, 0), TERN_ERR_CORRUPT) << name;
  }
  EXPECT_EQ(import_with("while.cond", 3), TERN_ERR_CORRUPT);
  EXPECT_EQ(import_with("if.else", 2), TERN_ERR_CORRUPT);
}

// Sub-graph k calls k + 1 `width` times; the last adds.
Bytes chain(int length, int width, bool cycle) {
  Numbers f;
  ModelBuilder m(f);
  for (int k = 0; k < length; ++k) {
    int32_t x = m.tensor("x", {1}, kF32);
    const int32_t in = x;
    for (int i = 0; i < width; ++i) {
      const int32_t y = m.tensor("y", {1}, kF32);
      if (k + 1 < length)
        m.op("call", 31, {x}, {y}, tfl::BuiltinOptions::CallOptions, tfl::CreateCallOptions(m.b, (uint32_t)k + 1));
      else if (cycle)
        m.op("call", 31, {x}, {y}, tfl::BuiltinOptions::CallOptions, tfl::CreateCallOptions(m.b, (uint32_t)length / 2));
      else m.plain("abs", 101, {x}, {y});
      x = y;
    }
    m.graph("graph", {in}, {x});
  }
  return m.finish();
}

TEST(TfliteHostile, ChainsOfSubGraphs) {
  EXPECT_EQ(import_bytes(chain(3, 2, false)), TERN_OK) << message();
  EXPECT_EQ(import_bytes(chain(100, 1, false)), TERN_ERR_LIMIT) << message();
  EXPECT_EQ(import_bytes(chain(4, 1, true)), TERN_ERR_CORRUPT) << message();
  EXPECT_EQ(import_bytes(chain(1, 1, true)), TERN_ERR_CORRUPT) << message();
  // 50^15 operators.
  EXPECT_EQ(import_bytes(chain(15, 50, false)), TERN_ERR_LIMIT) << message();
}

TEST(TfliteHostile, Empty) {
  flatbuffers::FlatBufferBuilder b;
  b.Finish(tfl::CreateModel(b, 3), "TFL3");
  EXPECT_EQ(import_bytes({b.GetBufferPointer(), b.GetBufferPointer() + b.GetSize()}), TERN_ERR_CORRUPT);
  Numbers f;
  ModelBuilder m(f);
  m.graph("empty", {}, {});
  EXPECT_EQ(import_bytes(m.finish()), TERN_ERR_CORRUPT);
  ModelBuilder same(f);
  const int32_t x = same.tensor("x", {2}, kF32);
  same.graph("same", {x}, {x});
  EXPECT_EQ(import_bytes(same.finish()), TERN_OK) << message();
  ModelBuilder twice(f);
  const int32_t y = twice.tensor("x", {2}, kF32);
  twice.graph("twice", {y, y}, {y});
  EXPECT_EQ(import_bytes(twice.finish()), TERN_ERR_CORRUPT);
}

// Content behind the FlatBuffer.
TEST(TfliteHostile, BuffersOutside) {
  const auto make = [](uint64_t offset, uint64_t size) {
    Numbers f;
    ModelBuilder m(f);
    const int32_t x = m.tensor("x", {1, 2}, kF32);
    m.buffers.push_back(tfl::CreateBuffer(m.b, 0, offset, size));
    const int32_t w = m.tensor("w", {1, 2}, kF32, 1), y = m.tensor("y", {1, 2}, kF32);
    m.plain("add", 0, {x, w}, {y});
    m.graph("main", {x}, {y});
    Bytes b = m.finish();
    b.resize((b.size() + 15) / 16 * 16);
    return b;
  };
  Bytes good = make(4096, 8);
  good.resize(4096);
  const float values[] = {1, 2};
  good.insert(good.end(), (const uint8_t*)values, (const uint8_t*)values + 8);
  EXPECT_EQ(import_bytes(good), TERN_OK) << message();
  good.pop_back();
  EXPECT_EQ(import_bytes(good), TERN_ERR_CORRUPT);
  for (uint64_t offset : {(uint64_t)1 << 31, (uint64_t)1 << 63, UINT64_MAX})
    EXPECT_EQ(import_bytes(make(offset, 8)), TERN_ERR_CORRUPT);
  for (uint64_t size : {(uint64_t)4, (uint64_t)1 << 40, UINT64_MAX})
    EXPECT_EQ(import_bytes(make(16, size)), TERN_ERR_CORRUPT);
}

}  // namespace
