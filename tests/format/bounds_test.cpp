// SPDX-License-Identifier: Apache-2.0
// Work and memory of loading stay within bounds, whatever the file asks for; and limits that are met late.
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "tests/format/support.h"

namespace tern::test {
namespace {

ModelDef one_signature() {
  ModelDef m;
  m.signatures.resize(1);
  m.signatures[0].name = "f";
  return m;
}
Loaded finish(ModelDef& m, ValueId output) {
  Graph& g = m.signatures[0].graph;
  EXPECT_EQ(g.status, TERN_OK) << thread_error().message;
  g.outputs = {output};
  m.signatures[0].output_names = {"y"};
  return load(write(m));
}
ValueId numbers(Graph& g, int64_t n, Shape shape) {
  const std::vector<int64_t> content((size_t)n, 1);
  return add_constant(g, TERN_DTYPE_I64, shape, content.data());
}
ValueId emit_with(Graph& g, const char* op, std::vector<ValueId> in, const char* name, const char* text, int outs = 1) {
  Node n;
  n.op = find_op(op);
  set_default_attributes(*n.op, &n.attributes);
  if (name) {
    EXPECT_EQ(set_attribute(*n.op, &n.attributes, name, text), TERN_OK);
  }
  n.in = std::move(in);
  return emit_node(g, std::move(n), outs);
}
bool known(const Loaded& r, ValueId v) { return (bool)r.model.signatures[0].graph.value(v).data; }

// 2 million multiplications a node: the budget lasts for a few of a thousand.
TEST(Bounds, WorkOfKnownValues) {
  ModelDef m = one_signature();
  Graph& g = m.signatures[0].graph;
  const ValueId a = numbers(g, 1024, {32, 32});
  const ValueId first = emit(g, "matmul", {a, a});
  ValueId last = first;
  for (int i = 0; i < 1000; ++i) last = emit(g, "matmul", {a, a});
  const Loaded r = finish(m, last);
  ASSERT_EQ(r.status, TERN_OK) << r.message;
  EXPECT_TRUE(known(r, first));
  EXPECT_FALSE(known(r, last));
}

TEST(Bounds, MemoryOfKnownValues) {
  ModelDef m = one_signature();
  Graph& g = m.signatures[0].graph;
  const ValueId a = numbers(g, 1, {1});
  const int64_t size[] = {4096};
  const ValueId to = add_constant(g, size);
  const ValueId first = emit(g, "expand", {a, to});
  ValueId last = first;
  for (int i = 0; i < 5000; ++i) last = emit(g, "expand", {a, to});  // 160 MB
  const Loaded r = finish(m, last);
  ASSERT_EQ(r.status, TERN_OK) << r.message;
  EXPECT_TRUE(known(r, first));
  EXPECT_FALSE(known(r, last));
}

TEST(Bounds, WhatIsNotComputed) {
  ModelDef m = one_signature();
  Graph& g = m.signatures[0].graph;
  const int64_t size[] = {5000};
  std::vector<ValueId> unknown, computed, many;
  // too long a result
  unknown.push_back(emit(g, "expand", {numbers(g, 1, {1}), add_constant(g, size)}));
  // too long an input
  unknown.push_back(emit(g, "reduce_sum", {numbers(g, 70000, {70000})}));
  // in any number of dims
  computed.push_back(emit(g, "reduce_sum", {numbers(g, 2000, {2000})}));
  computed.push_back(emit(g, "neg", {numbers(g, 4, {1, 2, 1, 2})}));
  computed.push_back(emit_with(g, "reshape", {numbers(g, 4, {4})}, "shape", "1,1,2,1,1,2,1,1"));
  for (int i = 0; i < 65; ++i) many.push_back(numbers(g, 1, {1}));
  // too many inputs
  unknown.push_back(emit_with(g, "concat", many, nullptr, nullptr));
  // too many outputs
  unknown.push_back(emit_with(g, "split", {numbers(g, 9, {9})}, nullptr, nullptr, 9));
  const Loaded r = finish(m, unknown[0]);
  ASSERT_EQ(r.status, TERN_OK) << r.message;
  for (const ValueId v : unknown) EXPECT_FALSE(known(r, v)) << v;
  for (const ValueId v : computed) EXPECT_TRUE(known(r, v)) << v;
  for (const Value& v : g.values) EXPECT_EQ((bool)v.data, known(r, (ValueId)(&v - g.values.data())));
}

// A node that would fail when it runs is no reason to refuse the file, and leaves no error behind.
TEST(Bounds, KnownValueThatFails) {
  ModelDef m = one_signature();
  Graph& g = m.signatures[0].graph;
  const int64_t far[] = {100};
  const ValueId v = emit(g, "gather", {numbers(g, 4, {4}), add_constant(g, far)});
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {3});
  (void)v;
  g.outputs = {emit(g, "relu", {x})};
  m.signatures[0].output_names = {"y"};
  const File file = write(m);
  (void)TERN_FAIL(TERN_ERR_DEADLINE, "earlier");
  const Loaded r = load(file);
  EXPECT_EQ(r.status, TERN_OK) << r.message;
  EXPECT_EQ(thread_error().code, TERN_ERR_DEADLINE);
  EXPECT_FALSE(known(r, v));
}

// Small constants are copied, but not without end.
TEST(Bounds, CopiedConstants) {
  ModelDef m = one_signature();
  Graph& g = m.signatures[0].graph;
  for (int i = 0; i < 1100; ++i) numbers(g, 4096, {4096});
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {3});
  const Loaded r = finish(m, emit(g, "relu", {x}));
  ASSERT_EQ(r.status, TERN_OK) << r.message;
  const auto in_place = [&](ValueId v) {
    const uint8_t* p = (const uint8_t*)r.model.signatures[0].graph.value(v).data.bytes;
    return p >= r.bytes.data && p < r.bytes.data + r.bytes.size;
  };
  EXPECT_FALSE(in_place(0));
  EXPECT_TRUE(in_place(1099));
}

// Packed tensors may be larger than their shape says.
TEST(Bounds, TensorBytesOfEncoding) {
  Parts p = take_apart(write(small_model()));
  fbs::TensorT& t = *p.model.parameters[2];
  ASSERT_EQ(t.encoding, "panel32");
  t.shape = {1, 20};  // 80 bytes, stored as 640
  p.model.graphs[0]->nodes.clear();
  tern_limits limits = TERN_LIMITS_INIT;
  limits.max_tensor_bytes = 639;
  p.model.states.clear(), p.model.parameters.resize(3);
  expect_refused(put_together(p), TERN_ERR_LIMIT, "640 bytes, max_tensor_bytes", &limits);
}

// Each below max_tensor_bytes, but not together.
TEST(Bounds, SumOfStates) {
  Parts p = take_apart(write(small_model()));
  for (int i = 0; i < 3; ++i) {
    p.model.states.push_back(std::make_unique<fbs::StateT>());
    p.model.states.back()->name = "large " + std::to_string(i), p.model.states.back()->dtype = TERN_DTYPE_F32,
    p.model.states.back()->shape = {int64_t(1) << 37};
  }
  expect_refused(put_together(p), TERN_ERR_LIMIT, "the states up to 'large 1' need more than max_planned_bytes");
  tern_limits limits = TERN_LIMITS_INIT;
  limits.max_planned_bytes = uint64_t(1) << 41;
  EXPECT_EQ(load(put_together(p), &limits).status, TERN_OK);
}

TEST(Bounds, Rank) {
  Parts p = take_apart(write(small_model()));
  p.model.states[0]->shape.assign(9, 1);
  tern_limits limits = TERN_LIMITS_INIT;
  limits.max_rank = 100;
  expect_refused(put_together(p), TERN_ERR_LIMIT, "has 9 dims", &limits);
}

TEST(Bounds, SplitWithoutOutputs) {
  ModelDef m = one_signature();
  Graph& g = m.signatures[0].graph;
  const ValueId y = emit_with(g, "split", {add_input(g, "x", TERN_DTYPE_F32, {4})}, nullptr, nullptr, 1);
  g.outputs = {y};
  m.signatures[0].output_names = {"y"};
  Parts p = take_apart(write(m));
  p.model.graphs[0]->nodes[0]->outputs.clear();
  expect_refused(put_together(p), TERN_ERR_CORRUPT, "has 0 outputs, 1 are needed");
}

TEST(Bounds, ManyFeatures) {
  Parts p = take_apart(write(small_model()));
  p.model.producer = "";
  for (int i = 0; i < 1000; ++i) p.model.required_features.push_back("feature " + std::to_string(i));
  expect_refused(put_together(p), TERN_ERR_UNSUPPORTED_VERSION, "'feature 0', 'feature 1'");
}

TEST(Bounds, CheckOfBadFiles) {
  Bytes b;
  const File garbage(1000, 1);
  EXPECT_EQ(check_weights(Bytes{garbage.data(), garbage.size(), nullptr}), TERN_ERR_CORRUPT);
  Parts p = take_apart(write(small_model()));
  p.model.parameters[0]->offset = UINT64_MAX - 63;
  const File outside = put_together(p);
  ASSERT_EQ(copy_bytes(outside.data(), outside.size(), &b), TERN_OK);
  EXPECT_EQ(check_weights(b), TERN_ERR_CORRUPT);
}

// Metadata of 2 GiB and more, with limits that allow them: FlatBuffers cannot.
TEST(Bounds, TwoGigabytes) {
  const std::string path = temporary_folder() + "/huge";
  for (const uint64_t metadata :
       {(uint64_t(1) << 31) - 1, uint64_t(1) << 31, uint64_t(1) << 32, (uint64_t(1) << 32) + 100}) {
    File header(kHeaderBytes);
    Header h;
    h.metadata_bytes = metadata;
    h.weights_offset = (kHeaderBytes + metadata + 4095) / 4096 * 4096;
    h.file_bytes = h.weights_offset;
    write_header(h, header.data());
    std::ofstream(path, std::ios::binary).write((const char*)header.data(), 64);
    if (truncate(path.c_str(), (off_t)h.file_bytes) != 0)
      GTEST_SKIP() << "SKIPPED: this file system has no sparse files of 4 GiB";
    Bytes b;
    const tern_status loaded = load_file(path.c_str(), LoadMode::map, UINT64_MAX, &b);
    if (sizeof(void*) == 4 && loaded != TERN_OK) {  // 32 bits have no room for it
      EXPECT_TRUE(loaded == TERN_ERR_LIMIT || loaded == TERN_ERR_MEMORY) << loaded << ": " << thread_error().message;
      continue;
    }
    ASSERT_EQ(loaded, TERN_OK) << thread_error().message;
    tern_limits limits = resolve_limits(nullptr);
    limits.max_metadata_bytes = UINT64_MAX;
    ModelDef m;
    EXPECT_EQ(read_model(b, limits, &m), TERN_ERR_LIMIT) << thread_error().message;
  }
}

// Lists that are used from two places, wherever a list may stand.
TEST(Bounds, SharedLists) {
  for (int where = 0; where < 12; ++where) {
    flatbuffers::FlatBufferBuilder b;
    const size_t n = 20000;
    const auto ints = b.CreateVector(std::vector<int32_t>(n, 0));
    const auto uints = b.CreateVector(std::vector<uint32_t>(n, 0));
    const auto longs = b.CreateVector(std::vector<int64_t>(n, 0));
    const auto dims = b.CreateVectorOfStructs(std::vector<fbs::SymbolicDim>(n));
    const auto name = b.CreateString(std::string(60000, 'n'));
    std::vector<flatbuffers::Offset<fbs::Graph>> graphs;
    std::vector<flatbuffers::Offset<fbs::Signature>> signatures;
    std::vector<flatbuffers::Offset<fbs::Tensor>> tensors;
    std::vector<flatbuffers::Offset<fbs::State>> states;
    std::vector<flatbuffers::Offset<fbs::Entry>> entries;
    for (int i = 0; i < 100; ++i) {
      switch (where) {
        case 0: graphs.push_back(fbs::CreateGraph(b, 0, 0, ints)); break;
        case 1: graphs.push_back(fbs::CreateGraph(b, 0, 0, 0, ints)); break;
        case 2:
          graphs.push_back(
              fbs::CreateGraph(b, 0, b.CreateVector(std::vector{fbs::CreateNode(b, 0, 0, 0, 0, 0, uints)})));
          break;
        case 3:
          graphs.push_back(fbs::CreateGraph(b, b.CreateVector(std::vector{fbs::CreateValue(b, 0, 0, 1, longs)})));
          break;
        case 4: signatures.push_back(fbs::CreateSignature(b, 0, 0, 0, 0, dims)); break;
        case 5: tensors.push_back(fbs::CreateTensor(b, 0, 1, 0, longs)); break;
        case 6: states.push_back(fbs::CreateState(b, 0, 1, longs)); break;
        case 7: entries.push_back(fbs::CreateEntry(b, 0, name)); break;
        case 8: entries.push_back(fbs::CreateEntry(b, name)); break;
        case 9: tensors.push_back(fbs::CreateTensor(b, 0, 1, name)); break;
        case 10: {
          const auto a = fbs::CreateAttribute(b, 0, 2, 0, 0, longs);
          graphs.push_back(fbs::CreateGraph(
              b, 0, b.CreateVector(std::vector{fbs::CreateNode(b, 0, 0, 0, 0, b.CreateVector(std::vector{a}))})));
          break;
        }
        default: signatures.push_back(fbs::CreateSignature(b, name)); break;
      }
    }
    const auto g = b.CreateVector(graphs);
    const auto s = b.CreateVector(signatures);
    const auto t = b.CreateVector(tensors);
    const auto st = b.CreateVector(states);
    const auto e = b.CreateVector(entries);
    fbs::FinishModelBuffer(b, fbs::CreateModel(b, 0, 0, 0, t, 0, st, g, s, e));
    expect_refused(put_together(std::vector<uint8_t>(b.GetBufferPointer(), b.GetBufferPointer() + b.GetSize()), {}),
                   TERN_ERR_CORRUPT, "more than once");
    if (HasFailure()) FAIL() << "case " << where;
  }
}

}  // namespace
}  // namespace tern::test
