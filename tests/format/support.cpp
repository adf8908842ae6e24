// SPDX-License-Identifier: Apache-2.0
#include "tests/format/support.h"

#include <cstring>
#include <filesystem>

#include "format/checksum.h"
#include "ops/shape.h"
#include "ops/state_write.h"
#include "tests/fuzz/bounds.h"
#include "tests/fuzz/walk.h"

namespace tern::test {

// ---- models ----

namespace {

int32_t add_parameter(ModelDef& m, const char* name, Encoding e, const Shape& shape) {
  Parameter p;
  p.name = name;
  p.dtype = TERN_DTYPE_F32;
  p.encoding = e;
  p.shape = shape;
  EXPECT_EQ(encoded_bytes(e, p.dtype, shape, &p.bytes), TERN_OK);
  void* data = nullptr;
  p.data = make_data(p.bytes, &data);
  for (uint64_t i = 0; i < p.bytes; ++i) ((uint8_t*)data)[i] = (uint8_t)(i * 7 + m.parameters.size());
  p.checksum = checksum64(data, p.bytes);
  m.parameters.push_back(std::move(p));
  return (int32_t)m.parameters.size() - 1;
}

ValueId use_parameter(Graph& g, const ModelDef& m, int32_t index) {
  const Parameter& p = m.parameters[(size_t)index];
  Value v;
  v.name = p.name;
  v.dtype = p.dtype;
  v.encoding = p.encoding;
  v.kind = ValueKind::parameter;
  v.shape = p.shape;
  v.index = index;
  return add_value(g, std::move(v));
}

void add_output(Signature& s, ValueId v, const char* name) {
  s.graph.outputs.push_back(v);
  s.output_names.push_back(name);
}

}  // namespace

ModelDef small_model() {
  ModelDef m;
  const int32_t w = add_parameter(m, "w", Encoding::plain, {4, 3}),
                bias = add_parameter(m, "bias", Encoding::plain, {4});
  const int32_t panels = add_parameter(m, "panels", Encoding::panel32, {40, 4}),
                blocks = add_parameter(m, "blocks", Encoding::panel_int8, {5, 40});
  m.states.push_back({"cache", TERN_DTYPE_F32, Shape{16, 4}});

  m.signatures.resize(2);
  Signature& s = m.signatures[0];
  s.name = "forward";
  Graph& g = s.graph;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {2, 3}), position = add_scalar(g, "position");
  ValueId y = emit(g, "linear", {x, use_parameter(g, m, w), use_parameter(g, m, bias)});
  y = emit(g, "relu", {y});
  g.nodes.back().name = "activation";
  const ValueId batch = emit(g, "shape", {x}, ShapeAttrs{0, 1});
  const int64_t four[] = {4};
  const ValueId shape = emit(g, "concat", {batch, add_constant(g, four)});
  const ValueId reshaped = emit(g, "reshape", {y, shape});
  ValueId z = emit(g, "linear", {reshaped, use_parameter(g, m, panels)});
  z = emit(g, "linear", {z, use_parameter(g, m, blocks)});
  Value cache;
  cache.name = "cache";
  cache.dtype = TERN_DTYPE_F32;
  cache.kind = ValueKind::state;
  cache.shape = {16, 4};
  cache.index = 0;
  const ValueId old = add_value(g, std::move(cache));
  const ValueId mean = emit(g, "reduce_mean", {old});
  if (find_op("state_write")) {
    emit(g, "state_write", {old, reshaped, position});
    s.position_input = 1;
    s.advance = 2;
    s.capacity = 16;
  }
  add_output(s, z, "z");
  add_output(s, mean, "mean");
  s.symbols.push_back({"batch", 1, 64, 2, 1});
  s.symbolic_dims.push_back({0, 0, 0});
  EXPECT_EQ(g.status, TERN_OK) << tern::thread_error().message;

  Signature& t = m.signatures[1];
  t.name = "twice";
  const ValueId a = add_input(t.graph, "a", TERN_DTYPE_F32, {2, 2});
  add_output(t, emit(t.graph, "add", {a, a}), "twice a");
  m.metadata = {{"name", "small"}, {"labels", "Tür\nHund\n犬"}, {"empty", ""}};
  return m;
}

bool has_control() { return find_op("if") != nullptr; }

namespace {
// relu(x), within depth - 1 levels of `if`.
void fill_nested(Graph& g, int depth) {
  const ValueId condition = add_input(g, "condition", TERN_DTYPE_BOOL, {}), x = add_input(g, "x", TERN_DTYPE_F32, {3});
  if (depth <= 1) {
    g.outputs = {emit(g, "relu", {x})};
    return;
  }
  Node n;
  n.op = find_op("if");
  set_default_attributes(*n.op, &n.attributes);
  n.in = {condition, condition, x};
  n.subgraphs.resize(2);
  fill_nested(n.subgraphs[0], depth - 1);
  add_input(n.subgraphs[1], "condition", TERN_DTYPE_BOOL, {});
  n.subgraphs[1].outputs = {reshape(n.subgraphs[1], add_input(n.subgraphs[1], "x", TERN_DTYPE_F32, {3}), {3})};
  g.outputs = {emit_node(g, std::move(n))};
}
}  // namespace

ModelDef nested_model(int depth) {
  ModelDef m;
  m.signatures.resize(1);
  m.signatures[0].name = "forward";
  fill_nested(m.signatures[0].graph, depth);
  m.signatures[0].output_names = {"y"};
  EXPECT_EQ(m.signatures[0].graph.status, TERN_OK) << thread_error().message;
  return m;
}

File write(const ModelDef& model) {
  File file;
  EXPECT_EQ(write_model_to_memory(model, &file), TERN_OK) << thread_error().message;
  return file;
}

// ---- files ----

void set_u64(File& file, size_t offset, uint64_t value) { std::memcpy(file.data() + offset, &value, 8); }
uint64_t get_u64(const File& file, size_t offset) {
  uint64_t v;
  std::memcpy(&v, file.data() + offset, 8);
  return v;
}

Parts take_apart(const File& file) {
  Parts p;
  EXPECT_EQ(read_header({file.data(), file.size(), nullptr}, UINT64_MAX, &p.header), TERN_OK);
  fbs::GetModel(file.data() + kHeaderBytes)->UnPackTo(&p.model);
  p.weights.assign(file.begin() + (ptrdiff_t)p.header.weights_offset, file.end());
  return p;
}

File put_together(const std::vector<uint8_t>& metadata, const std::vector<uint8_t>& weights) {
  Header h;
  h.metadata_bytes = metadata.size();
  h.metadata_checksum = checksum64(metadata.data(), metadata.size());
  h.weights_offset = (kHeaderBytes + metadata.size() + 4095) / 4096 * 4096;
  h.weights_bytes = weights.size();
  h.file_bytes = h.weights_offset + weights.size();
  File file(h.file_bytes);
  write_header(h, file.data());
  std::copy(metadata.begin(), metadata.end(), file.begin() + kHeaderBytes);
  std::copy(weights.begin(), weights.end(), file.begin() + (ptrdiff_t)h.weights_offset);
  return file;
}

File put_together(const Parts& parts) {
  flatbuffers::FlatBufferBuilder b;
  fbs::FinishModelBuffer(b, fbs::CreateModel(b, &parts.model));
  return put_together(std::vector<uint8_t>(b.GetBufferPointer(), b.GetBufferPointer() + b.GetSize()), parts.weights);
}

void reseal(File& file) { fuzz::reseal(file.data(), file.size()); }

// ---- loading ----

Loaded load(const File& file, const tern_limits* limits) {
  Loaded r;
  EXPECT_EQ(copy_bytes(file.data(), file.size(), &r.bytes), TERN_OK);
  r.model.metadata = {{"untouched", ""}};
  reset_peak();
  const uint64_t before = live_bytes();
  const double start = cpu_seconds();
  r.status = read_model(r.bytes, resolve_limits(limits), &r.model);
  EXPECT_LT(cpu_seconds() - start, kSlower);
  EXPECT_LT(peak_bytes() - before, 64u << 20);
  if (r.status == TERN_OK) {
    EXPECT_TRUE(fuzz::walk(r.model, r.bytes));
    return r;
  }
  r.message = thread_error().message;
  r.offset = thread_error().file_offset;
  EXPECT_FALSE(r.message.empty());
  EXPECT_EQ(thread_error().code, r.status);
  EXPECT_TRUE(r.model.metadata.size() == 1 && r.model.signatures.empty());
  return r;
}

void expect_refused(const File& file, tern_status code, const char* text, const tern_limits* limits) {
  const Loaded r = load(file, limits);
  EXPECT_EQ(tern_status_name(r.status), std::string(tern_status_name(code))) << r.message;
  EXPECT_NE(r.message.find(text), std::string::npos) << "got: " << r.message << "\nwanted: " << text;
}

void expect_refused(const std::function<void(Parts&)>& change, tern_status code, const char* text) {
  Parts p = take_apart(write(small_model()));
  change(p);
  expect_refused(put_together(p), code, text);
}

// ---- comparing ----

namespace {

void expect_equal(const Graph& a, const Graph& b) {
  EXPECT_EQ(a.inputs, b.inputs);
  EXPECT_EQ(a.outputs, b.outputs);
  ASSERT_EQ(a.values.size(), b.values.size());
  ASSERT_EQ(a.nodes.size(), b.nodes.size());
  for (size_t i = 0; i < a.values.size(); ++i) {
    const Value &x = a.values[i], &y = b.values[i];
    EXPECT_EQ(x.name, y.name);
    EXPECT_EQ(x.dtype, y.dtype);
    EXPECT_EQ(x.encoding, y.encoding);
    EXPECT_EQ(x.kind, y.kind);
    EXPECT_EQ(x.shape, y.shape);
    EXPECT_EQ(x.index, y.index);
    EXPECT_EQ(x.producer, y.producer);
    if (x.data && y.data) {
      EXPECT_EQ(std::memcmp(x.data.bytes, y.data.bytes, (size_t)x.shape.elements() * dtype_size(x.dtype)), 0);
    }
  }
  for (size_t i = 0; i < a.nodes.size(); ++i) {
    const Node &x = a.nodes[i], &y = b.nodes[i];
    EXPECT_EQ(x.op, y.op);
    EXPECT_EQ(x.name, y.name);
    EXPECT_EQ(x.in, y.in);
    EXPECT_EQ(x.out, y.out);
    EXPECT_EQ(std::memcmp(x.attributes.bytes, y.attributes.bytes, x.op->attributes.size), 0) << x.op->name;
    ASSERT_EQ(x.subgraphs.size(), y.subgraphs.size());
    for (size_t k = 0; k < x.subgraphs.size(); ++k) expect_equal(x.subgraphs[k], y.subgraphs[k]);
  }
}

}  // namespace

void expect_equal(const ModelDef& a, const ModelDef& b) {
  EXPECT_EQ(a.metadata, b.metadata);
  ASSERT_EQ(a.parameters.size(), b.parameters.size());
  for (size_t i = 0; i < a.parameters.size(); ++i) {
    const Parameter &x = a.parameters[i], &y = b.parameters[i];
    EXPECT_EQ(x.name, y.name);
    EXPECT_EQ(x.dtype, y.dtype);
    EXPECT_EQ(x.encoding, y.encoding);
    EXPECT_EQ(x.shape, y.shape);
    ASSERT_EQ(x.bytes, y.bytes);
    EXPECT_EQ(x.checksum, y.checksum);
    EXPECT_EQ(std::memcmp(x.data.bytes, y.data.bytes, x.bytes), 0);
  }
  ASSERT_EQ(a.states.size(), b.states.size());
  for (size_t i = 0; i < a.states.size(); ++i) {
    EXPECT_EQ(a.states[i].name, b.states[i].name);
    EXPECT_EQ(a.states[i].dtype, b.states[i].dtype);
    EXPECT_EQ(a.states[i].shape, b.states[i].shape);
  }
  ASSERT_EQ(a.signatures.size(), b.signatures.size());
  for (size_t i = 0; i < a.signatures.size(); ++i) {
    const Signature &x = a.signatures[i], &y = b.signatures[i];
    EXPECT_EQ(x.name, y.name);
    EXPECT_EQ(x.output_names, y.output_names);
    EXPECT_EQ(x.position_input, y.position_input);
    EXPECT_EQ(x.advance, y.advance);
    EXPECT_EQ(x.capacity, y.capacity);
    ASSERT_EQ(x.symbols.size(), y.symbols.size());
    for (size_t k = 0; k < x.symbols.size(); ++k) {
      EXPECT_EQ(x.symbols[k].name, y.symbols[k].name);
      EXPECT_EQ(x.symbols[k].min, y.symbols[k].min);
      EXPECT_EQ(x.symbols[k].max, y.symbols[k].max);
      EXPECT_EQ(x.symbols[k].hint, y.symbols[k].hint);
      EXPECT_EQ(x.symbols[k].multiple, y.symbols[k].multiple);
    }
    ASSERT_EQ(x.symbolic_dims.size(), y.symbolic_dims.size());
    for (size_t k = 0; k < x.symbolic_dims.size(); ++k) {
      EXPECT_EQ(x.symbolic_dims[k].input, y.symbolic_dims[k].input);
      EXPECT_EQ(x.symbolic_dims[k].axis, y.symbolic_dims[k].axis);
      EXPECT_EQ(x.symbolic_dims[k].symbol, y.symbolic_dims[k].symbol);
    }
    expect_equal(x.graph, y.graph);
  }
}

std::string temporary_folder() {
  const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
  const auto path =
      std::filesystem::temp_directory_path() / ("tern_" + std::string(info->test_suite_name()) + "_" + info->name());
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path);
  return path.string();
}

}  // namespace tern::test
