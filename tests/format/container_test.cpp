// SPDX-License-Identifier: Apache-2.0
// Damaged and foreign files: header, sections, truncation, bit flips, FlatBuffers made to harm.
#include <cstring>

#include "format/checksum.h"
#include "tests/format/support.h"

namespace tern::test {
namespace {

// Offsets of the header's fields.
enum : size_t {
  kMajor = 8,
  kMinor = 12,
  kMetadataBytes = 16,
  kMetadataSum = 24,
  kWeightsOffset = 32,
  kWeightsBytes = 40,
  kFileBytes = 48,
  kHeaderSum = 56
};

void expect_field_refused(size_t offset, uint64_t value, tern_status code, const char* text) {
  File file = write(small_model());
  set_u64(file, offset, value);
  set_u64(file, kHeaderSum, checksum64(file.data(), 56));
  expect_refused(file, code, text);
  EXPECT_EQ(thread_error().file_offset, offset);
}

TEST(Container, AllPrefixes) {
  const File file = write(small_model());
  for (size_t n = 0; n < file.size(); n += n < 8192 ? 1 : 97) {
    const Loaded r = load(File(file.begin(), file.begin() + (ptrdiff_t)n));
    ASSERT_NE(r.status, TERN_OK) << n;
    ASSERT_EQ(r.status, TERN_ERR_CORRUPT) << n << ": " << r.message;
  }
}

TEST(Container, Appended) {
  File file = write(small_model());
  file.push_back(0);
  expect_refused(file, TERN_ERR_CORRUPT, "something was appended");
}

// Every bit of header and metadata is under a checksum; padding and weights are not read by loading.
TEST(Container, BitFlips) {
  const File file = write(small_model());
  const Parts parts = take_apart(file);
  const size_t covered = kHeaderBytes + parts.header.metadata_bytes;
  for (size_t i = 0; i < covered; ++i) {
    File damaged = file;
    damaged[i] ^= (uint8_t)(1 << (i * 5 % 8));
    ASSERT_NE(load(damaged).status, TERN_OK) << i;
  }
}

// The same with checksums that fit, as an attacker makes them: any status is right, but no crash and no broken promise.
TEST(Container, BitFlipsResealed) {
  const File file = write(small_model());
  const Parts parts = take_apart(file);
  const size_t covered = kHeaderBytes + parts.header.metadata_bytes;
  int taken = 0;
  for (size_t i = kHeaderBytes; i < covered; ++i)
    for (int bit = 0; bit < 8; ++bit) {
      File changed = file;
      changed[i] ^= (uint8_t)(1 << bit);
      reseal(changed);
      taken += load(changed).status == TERN_OK;
      if (HasFailure()) FAIL() << "byte " << i << " bit " << bit;
    }
  EXPECT_GT(taken, 0);  // letters of names and the like
}

TEST(Container, Magic) {
  for (size_t i = 0; i < 8; ++i) {
    File file = write(small_model());
    file[i] ^= 0x20;
    expect_refused(file, TERN_ERR_CORRUPT, "no .tern file");
  }
  expect_refused(File{}, TERN_ERR_CORRUPT, "0 bytes");
  expect_refused(File(64), TERN_ERR_CORRUPT, "no .tern file");
  expect_refused(File(100000, 0x50), TERN_ERR_CORRUPT, "no .tern file");
}

TEST(Container, FutureMajor) {
  File file = write(small_model());
  file[kMajor] = 2;
  expect_refused(file, TERN_ERR_UNSUPPORTED_VERSION, "version 2.0, this library reads 1.x: a newer version");
  file[kMajor] = 0;
  expect_refused(file, TERN_ERR_UNSUPPORTED_VERSION, "an older version");
}

TEST(Container, FutureMinor) {
  File file = write(small_model());
  file[kMinor] = 7;
  reseal(file);
  const Loaded r = load(file);
  ASSERT_EQ(r.status, TERN_OK) << r.message;
  expect_equal(small_model(), r.model);
}

// A table with more fields than this version knows, as a later one would write it.
TEST(Container, FutureFields) {
  flatbuffers::FlatBufferBuilder b;
  const auto name = b.CreateString("later"), text = b.CreateString("unknown");
  const auto list = b.CreateVector(std::vector<uint64_t>{1, 2, 3});
  const auto start = b.StartTable();
  b.AddOffset(fbs::State::VT_NAME, name);
  b.AddElement<uint8_t>(fbs::State::VT_DTYPE, TERN_DTYPE_I64, 0);
  b.AddOffset(fbs::State::VT_ENCODING + 2, text);
  b.AddOffset(fbs::State::VT_ENCODING + 4, list);
  b.AddElement<double>(fbs::State::VT_ENCODING + 6, 1.5, 0.0);
  const flatbuffers::Offset<fbs::State> state(b.EndTable(start));
  const auto states = b.CreateVector(std::vector<flatbuffers::Offset<fbs::State>>{state});
  const auto more = b.StartTable();
  b.AddOffset(fbs::Model::VT_STATES, states);
  b.AddOffset(fbs::Model::VT_METADATA + 2, text);
  b.AddElement<uint32_t>(fbs::Model::VT_METADATA + 4, 12345, 0);
  fbs::FinishModelBuffer(b, flatbuffers::Offset<fbs::Model>(b.EndTable(more)));
  const Loaded r =
      load(put_together(std::vector<uint8_t>(b.GetBufferPointer(), b.GetBufferPointer() + b.GetSize()), {}));
  ASSERT_EQ(r.status, TERN_OK) << r.message;
  ASSERT_EQ(r.model.states.size(), 1u);
  EXPECT_EQ(r.model.states[0].name, "later");
}

TEST(Container, HeaderFields) {
  const File file = write(small_model());
  const uint64_t size = file.size();
  for (const uint64_t v :
       {uint64_t(0), size - 1, size + 1, uint64_t(1) << 31, uint64_t(1) << 32, uint64_t(1) << 63, UINT64_MAX})
    expect_field_refused(kFileBytes, v, TERN_ERR_CORRUPT, "its header says");
  for (const uint64_t v : {size - 63, size, (uint64_t(1) << 28) - 1})
    expect_field_refused(kMetadataBytes, v, TERN_ERR_CORRUPT, "ends outside the file");
  for (const uint64_t v : {(uint64_t(1) << 28) + 1, uint64_t(0x7fffffff), uint64_t(0x80000000), uint64_t(0xffffffff),
                           UINT64_MAX - 63, UINT64_MAX})
    expect_field_refused(kMetadataBytes, v, TERN_ERR_LIMIT, "max_metadata_bytes");
  const uint64_t weights = get_u64(file, kWeightsOffset);
  for (const uint64_t v : {uint64_t(0), uint64_t(64), weights - 1, weights + 64, weights + 1, uint64_t(3), UINT64_MAX})
    expect_field_refused(kWeightsOffset, v, TERN_ERR_CORRUPT, "multiple of 4096");
  for (const uint64_t v : {size + 4095, (uint64_t(1) << 31), uint64_t(1) << 63, UINT64_MAX - 4095}) {
    File changed = file;
    set_u64(changed, kWeightsOffset, v / 4096 * 4096);
    reseal(changed);
    expect_refused(changed, TERN_ERR_CORRUPT, "ends outside the file");
  }
  for (const uint64_t v : {size - weights + 1, size, UINT64_MAX, UINT64_MAX - weights + 1})
    expect_field_refused(kWeightsBytes, v, TERN_ERR_CORRUPT, "ends outside the file");
  // Sections that end exactly at the file's end are right; a shorter weight section cuts the last tensor off.
  File changed = file;
  set_u64(changed, kWeightsBytes, size - weights - 1);
  reseal(changed);
  expect_refused(changed, TERN_ERR_CORRUPT, "ends outside the weight section");
}

TEST(Container, Checksums) {
  File file = write(small_model());
  file[kHeaderSum] ^= 1;
  expect_refused(file, TERN_ERR_CHECKSUM, "header");
  file = write(small_model());
  set_u64(file, kMetadataSum, 0);
  set_u64(file, kHeaderSum, checksum64(file.data(), 56));
  expect_refused(file, TERN_ERR_CHECKSUM, "metadata of the file is damaged");
}

// A hole between metadata and weights is allowed (room for later sections).
TEST(Container, Hole) {
  const File file = write(small_model());
  const Parts p = take_apart(file);
  File wide = file;
  wide.insert(wide.begin() + (ptrdiff_t)p.header.weights_offset, 8192, 0xee);
  set_u64(wide, kWeightsOffset, p.header.weights_offset + 8192);
  set_u64(wide, kFileBytes, wide.size());
  reseal(wide);
  const Loaded r = load(wide);
  ASSERT_EQ(r.status, TERN_OK) << r.message;
  expect_equal(small_model(), r.model);
}

TEST(Container, Address) {
  const File file = write(small_model());
  Bytes b;
  File shifted(64);
  shifted.insert(shifted.end(), file.begin(), file.end());
  ASSERT_EQ(copy_bytes(shifted.data(), shifted.size(), &b), TERN_OK);
  ModelDef m;
  for (const size_t by : {1, 8, 32, 63}) {
    std::memmove(const_cast<uint8_t*>(b.data) + by, file.data(), file.size());
    EXPECT_EQ(read_model({b.data + by, file.size(), b.owner}, resolve_limits(nullptr), &m), TERN_ERR_INVALID_ARGUMENT);
  }
}

TEST(Container, FileLimit) {
  const File file = write(small_model());
  tern_limits limits = TERN_LIMITS_INIT;
  limits.max_file_bytes = file.size() - 1;
  expect_refused(file, TERN_ERR_LIMIT, "max_file_bytes", &limits);
  limits.max_file_bytes = file.size();
  EXPECT_EQ(load(file, &limits).status, TERN_OK);
  limits.max_metadata_bytes = take_apart(file).header.metadata_bytes - 1;
  expect_refused(file, TERN_ERR_LIMIT, "max_metadata_bytes", &limits);
  ++limits.max_metadata_bytes;
  EXPECT_EQ(load(file, &limits).status, TERN_OK);
}

// ---- FlatBuffers made to harm ----

File finish(flatbuffers::FlatBufferBuilder& b, flatbuffers::Offset<fbs::Model> root) {
  fbs::FinishModelBuffer(b, root);
  return put_together(std::vector<uint8_t>(b.GetBufferPointer(), b.GetBufferPointer() + b.GetSize()), {});
}

TEST(Metadata, Garbage) {
  for (const size_t n : {0, 1, 4, 7, 8, 64, 1000})
    expect_refused(put_together(std::vector<uint8_t>(n, 0xff), {}), TERN_ERR_CORRUPT, "malformed");
  for (const size_t n : {8, 64, 1000})
    expect_refused(put_together(std::vector<uint8_t>(n, 0), {}), TERN_ERR_CORRUPT, "malformed");
}

TEST(Metadata, WrongIdentifier) {
  File file = write(small_model());
  file[kHeaderBytes + 4] = 'X';
  reseal(file);
  expect_refused(file, TERN_ERR_CORRUPT, "malformed");
}

// Every 32-bit word of the metadata takes every value that offsets are known to fail at: error or a sound model.
TEST(Metadata, Offsets) {
  const File file = write(small_model());
  const Parts p = take_apart(file);
  for (size_t i = kHeaderBytes; i + 4 <= kHeaderBytes + p.header.metadata_bytes; i += 4)
    for (const uint32_t v :
         {0u, 1u, 0x7fffffffu, 0x80000000u, 0xffffffffu, (uint32_t)p.header.metadata_bytes, 0xfffffffcu}) {
      File changed = file;
      std::memcpy(changed.data() + i, &v, 4);
      reseal(changed);
      load(changed);
      if (HasFailure()) FAIL() << "byte " << i << " value " << v;
    }
}

// 16-bit words: entries of vtables.
TEST(Metadata, Vtables) {
  const File file = write(small_model());
  const Parts p = take_apart(file);
  for (size_t i = kHeaderBytes; i + 2 <= kHeaderBytes + p.header.metadata_bytes; i += 2)
    for (const uint16_t v : {(uint16_t)0, (uint16_t)1, (uint16_t)4, (uint16_t)6, (uint16_t)0x7fff, (uint16_t)0xffff}) {
      File changed = file;
      std::memcpy(changed.data() + i, &v, 2);
      reseal(changed);
      load(changed);
      if (HasFailure()) FAIL() << "byte " << i << " value " << v;
    }
}

// Wide and shared: few bytes that unfold to 10^12 nodes.
TEST(Metadata, SharedTables) {
  flatbuffers::FlatBufferBuilder b;
  const auto name = b.CreateString("x");
  const auto attribute = fbs::CreateAttribute(b, name);
  const std::vector<flatbuffers::Offset<fbs::Attribute>> many_attributes(10000, attribute);
  const auto attributes = b.CreateVector(many_attributes);
  const auto node = fbs::CreateNode(b, 0, 0, 0, 0, attributes);
  const std::vector<flatbuffers::Offset<fbs::Node>> many_nodes(10000, node);
  const auto nodes = b.CreateVector(many_nodes);
  const auto graph = fbs::CreateGraph(b, 0, nodes);
  const std::vector<flatbuffers::Offset<fbs::Graph>> many_graphs(10000, graph);
  const auto graphs = b.CreateVector(many_graphs);
  expect_refused(finish(b, fbs::CreateModel(b, 0, 0, 0, 0, 0, 0, graphs)), TERN_ERR_CORRUPT, "malformed");
}

// One list that all values share: the verifier of FlatBuffers sees nothing wrong.
TEST(Metadata, SharedVector) {
  flatbuffers::FlatBufferBuilder b;
  const auto list = b.CreateVector(std::vector<int32_t>(20000, 0));
  std::vector<flatbuffers::Offset<fbs::Node>> nodes;
  for (int i = 0; i < 5000; ++i) nodes.push_back(fbs::CreateNode(b, 0, 0, list, list));
  const auto n = b.CreateVector(nodes);
  const auto graphs = b.CreateVector(std::vector{fbs::CreateGraph(b, 0, n)});
  expect_refused(finish(b, fbs::CreateModel(b, 0, 0, 0, 0, 0, 0, graphs)), TERN_ERR_CORRUPT, "more than once");
}

TEST(Metadata, SharedName) {
  flatbuffers::FlatBufferBuilder b;
  const auto name = b.CreateString(std::string(60000, 'n'));
  std::vector<flatbuffers::Offset<fbs::State>> states;
  for (int i = 0; i < 50000; ++i) states.push_back(fbs::CreateState(b, name, TERN_DTYPE_F32));
  const auto s = b.CreateVector(states);
  expect_refused(finish(b, fbs::CreateModel(b, 0, 0, 0, 0, 0, s)), TERN_ERR_CORRUPT, "more than once");
}

TEST(Metadata, SharedFeature) {
  flatbuffers::FlatBufferBuilder b;
  const auto feature = b.CreateString(std::string(1000, 'f'));
  const auto features = b.CreateVector(std::vector<flatbuffers::Offset<flatbuffers::String>>(100000, feature));
  expect_refused(finish(b, fbs::CreateModel(b, 0, features)), TERN_ERR_CORRUPT, "more than once");
}

// Counts with nothing behind them.
TEST(Metadata, HugeCounts) {
  const File file = write(small_model());
  const Parts p = take_apart(file);
  const fbs::Model* model = fbs::GetModel(file.data() + kHeaderBytes);
  const fbs::Graph* graph = model->graphs()->Get(0);
  const void* const vectors[] = {model->operators(),
                                 model->parameters(),
                                 model->constants(),
                                 model->states(),
                                 model->graphs(),
                                 model->signatures(),
                                 model->metadata(),
                                 graph->values(),
                                 graph->nodes(),
                                 graph->inputs(),
                                 graph->outputs(),
                                 graph->nodes()->Get(0)->inputs(),
                                 graph->nodes()->Get(0)->outputs(),
                                 model->parameters()->Get(0)->shape(),
                                 model->parameters()->Get(0)->name(),
                                 model->signatures()->Get(0)->symbols(),
                                 model->signatures()->Get(0)->symbolic_dims(),
                                 model->signatures()->Get(0)->output_names(),
                                 model->metadata()->Get(0)->value()};
  for (const void* v : vectors)
    for (const uint32_t n : {0xffffffffu, 0x80000000u, 0x7fffffffu, 0x40000000u, 0x20000000u, 1000001u, 65537u}) {
      File changed = file;
      std::memcpy(changed.data() + ((const uint8_t*)v - file.data()), &n, 4);
      reseal(changed);
      expect_refused(changed, TERN_ERR_CORRUPT, "");
    }
}

// A real table for each of more graphs, tensors and nodes than allowed.
TEST(Metadata, Limits) {
  struct Case {
    uint64_t tern_limits::*field;
    uint64_t present;
    const char* name;
  };
  const File file = write(small_model());
  const Parts p = take_apart(file);
  uint64_t values = p.model.parameters.size() + p.model.constants.size() + p.model.states.size(), nodes = 0;
  for (const auto& g : p.model.graphs) values += g->values.size(), nodes += g->nodes.size();
  const Case cases[] = {{&tern_limits::max_tensors, values, "max_tensors"},
                        {&tern_limits::max_tensors, 3, "max_tensors"},
                        {&tern_limits::max_nodes, nodes, "max_nodes"},
                        {&tern_limits::max_graphs, p.model.graphs.size(), "max_graphs"},
                        {&tern_limits::max_name_bytes, 11, "max_name_bytes"},
                        {&tern_limits::max_tensor_bytes, 2 * 1088, "max_tensor_bytes"}};
  for (const Case& c : cases) {
    tern_limits limits = TERN_LIMITS_INIT;
    limits.*c.field = c.present - 1;
    expect_refused(file, TERN_ERR_LIMIT, c.name, &limits);
    limits.*c.field = c.present;
    if (c.present != 3) {
      EXPECT_EQ(load(file, &limits).status, TERN_OK) << c.name << thread_error().message;
    }
  }
  tern_limits limits = TERN_LIMITS_INIT;
  limits.max_rank = 1;
  expect_refused(file, TERN_ERR_LIMIT, "max_rank", &limits);
}

TEST(Metadata, MillionTables) {
  flatbuffers::FlatBufferBuilder b;
  std::vector<flatbuffers::Offset<fbs::State>> states;
  for (int i = 0; i < 1000001; ++i) states.push_back(fbs::CreateState(b));
  const auto s = b.CreateVector(states);
  expect_refused(finish(b, fbs::CreateModel(b, 0, 0, 0, 0, 0, s)), TERN_ERR_LIMIT, "max_tensors");
}

}  // namespace
}  // namespace tern::test
