// SPDX-License-Identifier: Apache-2.0
// What is written comes back.
#include <cstring>

#include "format/checksum.h"
#include "tests/format/support.h"

namespace tern::test {
namespace {

TEST(Roundtrip, Small) {
  const ModelDef m = small_model();
  const Loaded r = load(write(m));
  ASSERT_EQ(r.status, TERN_OK) << r.message;
  expect_equal(m, r.model);
  EXPECT_EQ(check_weights(r.model), TERN_OK);
  EXPECT_EQ(check_weights(r.bytes), TERN_OK);
}

TEST(Roundtrip, Empty) {
  const Loaded r = load(write(ModelDef{}));
  ASSERT_EQ(r.status, TERN_OK) << r.message;
  expect_equal(ModelDef{}, r.model);
}

TEST(Roundtrip, SameBytesTwice) {
  const ModelDef m = small_model();
  const File a = write(m);
  EXPECT_EQ(a, write(m));
  const Loaded r = load(a);
  ASSERT_EQ(r.status, TERN_OK);
  EXPECT_EQ(a, write(r.model));
}

TEST(Roundtrip, Nested) {
  if (!has_control()) GTEST_SKIP() << "SKIPPED: this build has no operator 'if'";
  for (const int depth : {2, 5, 16}) {
    const ModelDef m = nested_model(depth);
    const Loaded r = load(write(m));
    ASSERT_EQ(r.status, TERN_OK) << r.message;
    expect_equal(m, r.model);
  }
}

TEST(Roundtrip, ParametersLieInTheFile) {
  const Loaded r = load(write(small_model()));
  ASSERT_EQ(r.status, TERN_OK);
  for (const Parameter& p : r.model.parameters) {
    EXPECT_GE((const uint8_t*)p.data.bytes, r.bytes.data);
    EXPECT_LE((const uint8_t*)p.data.bytes + p.bytes, r.bytes.data + r.bytes.size);
  }
}

TEST(Roundtrip, ModelKeepsItsFile) {
  Loaded r = load(write(small_model()));
  ASSERT_EQ(r.status, TERN_OK);
  r.bytes = {};
  EXPECT_EQ(check_weights(r.model), TERN_OK);
}

// Shapes that follow from dims are known after loading, as they are after building.
TEST(Roundtrip, KnownValues) {
  const ModelDef m = small_model();
  const Loaded r = load(write(m));
  ASSERT_EQ(r.status, TERN_OK);
  const Graph &a = m.signatures[0].graph, &b = r.model.signatures[0].graph;
  for (size_t i = 0; i < a.values.size(); ++i) EXPECT_EQ((bool)a.values[i].data, (bool)b.values[i].data) << i;
}

TEST(Roundtrip, LargeConstantStaysInPlace) {
  ModelDef m;
  m.signatures.resize(1);
  m.signatures[0].name = "f";
  Graph& g = m.signatures[0].graph;
  const std::vector<float> content(100000, 1.5f);
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {100000});
  g.outputs = {emit(g, "add", {x, add_constant(g, TERN_DTYPE_F32, {100000}, content.data())})};
  m.signatures[0].output_names = {"y"};
  File file = write(m);
  const Loaded r = load(file);
  ASSERT_EQ(r.status, TERN_OK) << r.message;
  const Data& d = r.model.signatures[0].graph.values[1].data;
  EXPECT_GE((const uint8_t*)d.bytes, r.bytes.data);
  EXPECT_LT((const uint8_t*)d.bytes, r.bytes.data + r.bytes.size);
  EXPECT_EQ(std::memcmp(d.bytes, content.data(), 400000), 0);
  // Its damage is found by the check of weights, not by loading.
  file.back() ^= 1;
  const Loaded damaged = load(file);
  EXPECT_EQ(damaged.status, TERN_OK);
  EXPECT_EQ(check_weights(damaged.bytes), TERN_ERR_CHECKSUM);
}

TEST(Roundtrip, Tokenizer) {
  ModelDef m = small_model();
  for (const size_t size : {0u, 1u, 3u, 70000u}) {
    const std::string bytes(size, '\xa5');
    m.tokenizer.bytes = bytes.data();
    m.tokenizer_bytes = size;
    const Loaded r = load(write(m));
    ASSERT_EQ(r.status, TERN_OK) << r.message;
    ASSERT_EQ(r.model.tokenizer_bytes, size);
    if (size) EXPECT_EQ(std::memcmp(r.model.tokenizer.bytes, bytes.data(), size), 0);
    EXPECT_EQ(write(r.model), write(m));
  }
}

TEST(Roundtrip, DamagedWeights) {
  File file = write(small_model());
  Parts p = take_apart(file);
  file[p.header.weights_offset + p.model.parameters[1]->offset] ^= 1;
  const Loaded r = load(file);
  ASSERT_EQ(r.status, TERN_OK) << r.message;
  EXPECT_EQ(check_weights(r.model), TERN_ERR_CHECKSUM);
  EXPECT_STREQ(thread_error().node, "bias");
  EXPECT_EQ(check_weights(r.bytes), TERN_ERR_CHECKSUM);
  EXPECT_STREQ(thread_error().node, "bias");
}

// Only attributes that differ from the default are stored, and every type of attribute comes back.
TEST(Roundtrip, Attributes) {
  const Parts p = take_apart(write(small_model()));
  int stored = 0;
  for (const auto& n : p.model.graphs[0]->nodes) stored += (int)n->attributes.size();
  EXPECT_EQ(stored, 1);  // shape: end
  ModelDef m;
  m.signatures.resize(1);
  m.signatures[0].name = "f";
  Graph& g = m.signatures[0].graph;
  ValueId x = add_input(g, "x", TERN_DTYPE_F32, {1, 2, 3});
  const auto step = [&](const char* op, std::initializer_list<std::pair<const char*, const char*>> attributes) {
    Node n;
    n.op = find_op(op);
    ASSERT_NE(n.op, nullptr) << op;
    set_default_attributes(*n.op, &n.attributes);
    for (const auto& [k, v] : attributes)
      ASSERT_EQ(set_attribute(*n.op, &n.attributes, k, v), TERN_OK) << thread_error().message;
    n.in = {x};
    x = emit_node(g, std::move(n));
  };
  step("transpose", {{"permutation", "2,0,1"}});
  step("gelu", {{"approximate", "tanh"}});
  step("leaky_relu", {{"alpha", "0.25"}});
  step("softmax", {{"axis", "0"}});
  ASSERT_EQ(g.status, TERN_OK) << thread_error().message;
  g.outputs = {x};
  m.signatures[0].output_names = {"y"};
  const Loaded r = load(write(m));
  ASSERT_EQ(r.status, TERN_OK) << r.message;
  expect_equal(m, r.model);
}

TEST(Checksum, KnownValues) {  // from the specification's reference implementation
  EXPECT_EQ(checksum64("", 0), 0xEF46DB3751D8E999u);
  EXPECT_EQ(checksum64("a", 1), 0xD24EC4F1A98C6E5Bu);
  EXPECT_EQ(checksum64("abc", 3), 0x44BC2CF5AD770999u);
  const char text[] = "Nobody inspects the spammish repetition";
  EXPECT_EQ(checksum64(text, 39), 0xFBCEA83C8A378BF1u);
}

}  // namespace
}  // namespace tern::test
