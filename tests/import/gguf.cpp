// SPDX-License-Identifier: Apache-2.0
// GGUF files: the types of their tensors, and files that lie.
#include "import/gguf.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>

#include "base/status.h"
#include "models/golden.h"
#include "ops/op.h"

namespace tern::test {
namespace {

constexpr const char* kFolder = TERN_ROOT "/tests/models/golden/language/";

std::vector<uint8_t> file_bytes(const std::string& name) {
  std::vector<uint8_t> bytes;
  EXPECT_TRUE(read_bytes(kFolder + name, &bytes)) << name;
  return bytes;
}

// As the public definition dequantises them (language_goldens.py), in every bit.
TEST(Gguf, TypesOfTensors) {
  const std::vector<uint8_t> file = file_bytes("types.gguf"), npy = file_bytes("types.npy");
  Gguf g;
  ASSERT_EQ(Gguf::read(file, &g), TERN_OK) << thread_error().message;
  ASSERT_EQ(g.tensors().size(), 10u);
  ASSERT_EQ(npy.size(), 128 + 10 * 512 * sizeof(float));
  const uint8_t* expected = npy.data() + 128;
  for (const GgufTensor& t : g.tensors()) {
    ASSERT_EQ(t.shape, (Shape{2, 256}));
    EXPECT_EQ(t.name, t.type->name);
    const uint8_t* from = t.data;
    for (int i = 0; i < 512; i += t.type->numbers, from += t.type->bytes) {
      std::vector<float> got((size_t)t.type->numbers);
      t.type->decode(from, got.data());
      for (float& x : got)
        if (x == 0) x = 0;  // of either sign
      std::vector<float> want(got.size());
      std::memcpy(want.data(), expected, want.size() * sizeof(float));
      for (float& x : want)
        if (x == 0) x = 0;
      ASSERT_EQ(got, want) << t.type->name << " at " << i;
      expected += want.size() * sizeof(float);
    }
  }
}

// Types that gguf's package does not know, by hand.
TEST(Gguf, TernaryTypesByHand) {
  const GgufType *i2_s = find_gguf_type(36), *q2_0 = find_gguf_type(42);
  ASSERT_TRUE(i2_s && q2_0);
  uint8_t block[32] = {};
  block[0] = 0b10'01'00'10, block[31] = 0b00'10'01'01;  // numbers 0, 32, 64, 96 and 31, 63, 95, 127
  float out[128];
  i2_s->decode(block, out);
  EXPECT_EQ((std::vector<float>{out[0], out[32], out[64], out[96]}), (std::vector<float>{1, 0, -1, 1}));
  EXPECT_EQ((std::vector<float>{out[31], out[63], out[95], out[127]}), (std::vector<float>{-1, 1, 0, 0}));
  EXPECT_EQ(out[1], -1);
  const uint8_t scale[2] = {0x00, 0x38};  // 0.5
  std::memcpy(block, scale, 2);
  block[2] = 0b11'10'01'00, block[17] = 0b00'00'00'10;
  q2_0->decode(block, out);
  EXPECT_EQ((std::vector<float>{out[0], out[1], out[2], out[3]}), (std::vector<float>{-0.5f, 0, 0.5f, 1}));
  EXPECT_EQ((std::vector<float>{out[60], out[61]}), (std::vector<float>{0.5f, -0.5f}));
}

// Puts together what is asked for.
class File {
 public:
  template <class T>
  File& put(T v) {
    bytes_.insert(bytes_.end(), (const uint8_t*)&v, (const uint8_t*)&v + sizeof v);
    return *this;
  }
  File& text(std::string_view s) {
    put((uint64_t)s.size());
    bytes_.insert(bytes_.end(), s.begin(), s.end());
    return *this;
  }
  File& head(uint64_t tensors, uint64_t entries, uint32_t version = 3) {
    return put((uint32_t)0x46554747).put(version).put(tensors).put(entries);
  }
  File& tensor(std::string_view name, std::vector<int64_t> dims, uint32_t type, uint64_t offset = 0) {
    text(name).put((uint32_t)dims.size());
    for (const int64_t d : dims) put(d);
    return put(type).put(offset);
  }
  std::span<const uint8_t> bytes() const { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
};

void refused(const File& file, tern_status status, const char* says) {
  Gguf g;
  EXPECT_EQ(Gguf::read(file.bytes(), &g), status) << says;
  EXPECT_NE(std::strstr(thread_error().message, says), nullptr) << thread_error().message;
}

TEST(Gguf, FilesThatLie) {
  refused(File().put((uint32_t)7).put((uint32_t)3), TERN_ERR_CORRUPT, "no GGUF");
  refused(File().head(0, 0, 1), TERN_ERR_UNSUPPORTED, "version 1");
  refused(File().head(0, UINT64_MAX), TERN_ERR_CORRUPT, "a key");
  refused(File().head(UINT64_MAX, 0), TERN_ERR_CORRUPT, "the name of a tensor");
  refused(File().head(0, 1).put((uint64_t)1 << 62), TERN_ERR_CORRUPT, "a key at byte");
  refused(File().head(0, 1).text("k").put((uint32_t)13), TERN_ERR_CORRUPT, "type 13");
  refused(File().head(0, 1).text("k").put((uint32_t)9).put((uint32_t)9).put((uint64_t)1), TERN_ERR_CORRUPT, "type 9");
  refused(File().head(0, 1).text("k").put((uint32_t)9).put((uint32_t)10).put((uint64_t)1 << 61), TERN_ERR_CORRUPT,
          "ends");
  refused(File().head(0, 1).text("k").put((uint32_t)9).put((uint32_t)8).put(UINT64_MAX), TERN_ERR_CORRUPT, "ends");
  const auto twice = [](File& f) -> File& { return f.text("k").put((uint32_t)4).put((uint32_t)1); };
  File f;
  refused(twice(twice(f.head(0, 2))), TERN_ERR_CORRUPT, "'k' is there twice");
  for (const uint32_t alignment : {0u, 3u, 1u << 20})
    refused(File().head(0, 1).text("general.alignment").put((uint32_t)4).put(alignment), TERN_ERR_CORRUPT, "alignment");
  refused(File().head(0, 1).text("general.alignment").text("x"), TERN_ERR_CORRUPT, "");
  refused(File().head(2, 0).tensor("t", {1}, 0).tensor("t", {1}, 0), TERN_ERR_CORRUPT, "'t' is there twice");
  refused(File().head(1, 0).tensor("t", {}, 0), TERN_ERR_CORRUPT, "0 dims");
  refused(File().head(1, 0).tensor("t", {1, 1, 1, 1, 1}, 0), TERN_ERR_CORRUPT, "5 dims");
  refused(File().head(1, 0).tensor("t", {-1}, 0), TERN_ERR_CORRUPT, "t");
  refused(File().head(1, 0).tensor("t", {INT64_MAX, INT64_MAX}, 0), TERN_ERR_CORRUPT, "t");
  refused(File().head(1, 0).tensor("t", {33}, 8), TERN_ERR_CORRUPT, "no multiple of 32");
  refused(File().head(1, 0).tensor("t", {32}, 99), TERN_ERR_UNSUPPORTED, "type 99");
  refused(File().head(1, 0).tensor("t", {32}, 8), TERN_ERR_CORRUPT, "beyond the end");
  refused(File().head(1, 0).tensor("t", {0}, 0, UINT64_MAX), TERN_ERR_CORRUPT, "beyond the end");
}

TEST(Gguf, CutAnywhere) {
  const std::vector<uint8_t> file = file_bytes("llama.gguf");
  for (size_t n = 0; n < file.size(); n += n < 4096 ? 1 : 997) {
    const std::vector<uint8_t> part(file.begin(), file.begin() + (ptrdiff_t)n);
    ModelDef model;
    EXPECT_NE(import_gguf(part, {}, &model), TERN_OK) << n;
    EXPECT_TRUE(model.parameters.empty());
  }
}

// Each number and letter of the head, changed: a model or an error.
TEST(Gguf, ChangedAnywhere) {
  std::vector<uint8_t> file = file_bytes("qwen3.gguf");
  int accepted = 0, refused_count = 0;
  for (size_t n = 0; n < 2600; ++n) {
    const uint8_t change = n % 2 ? 0x80 : 0xff;
    file[n] ^= change;
    ModelDef model;
    import_gguf(file, {}, &model) == TERN_OK ? ++accepted : ++refused_count;
    file[n] ^= change;
  }
  EXPECT_GT(accepted, 0);
  EXPECT_GT(refused_count, 500);
}

TEST(Gguf, WhatIsAsked) {
  const std::vector<uint8_t> file = file_bytes("llama.gguf");
  ImportOptions options;
  options.weights = "q3";
  ModelDef model;
  EXPECT_EQ(import_gguf(file, options, &model), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_NE(std::strstr(thread_error().message, "q3"), nullptr);
  const char* const wrong[][3] = {
      {"q4_0", "int4", "int4"}, {"", "f16", "f16"}, {"f32", "int16", "not f32"}, {"f16", "int16", "not f16"}};
  for (const auto& [weights, activations, says] : wrong) {
    options.weights = weights, options.activations = activations;
    EXPECT_EQ(import_gguf(file, options, &model), TERN_ERR_INVALID_ARGUMENT) << weights << " " << activations;
    EXPECT_NE(std::strstr(thread_error().message, says), nullptr) << thread_error().message;
  }
  EXPECT_EQ(import_gguf(file_bytes("types.gguf"), {}, &model), TERN_ERR_UNSUPPORTED);  // tensors of no meaning
  EXPECT_EQ(import_gguf(File().head(0, 0).bytes(), {}, &model), TERN_ERR_UNSUPPORTED);
  EXPECT_NE(std::strstr(thread_error().message, "llama, qwen2"), nullptr) << thread_error().message;
}

// A model of one layer and `width` columns whose matrices have these types.
std::vector<uint8_t> bitnet_file(uint32_t embed, uint32_t attention, uint32_t gate, uint32_t down,
                                 int64_t width = 256) {
  const struct {
    const char* name;
    std::vector<int64_t> dims;  // the contiguous one first
    uint32_t type;
  } tensors[] = {{"token_embd.weight", {width, 8}, embed},
                 {"output_norm.weight", {width}, 0},
                 {"blk.0.attn_norm.weight", {width}, 0},
                 {"blk.0.attn_q.weight", {width, width}, attention},
                 {"blk.0.attn_k.weight", {width, width}, attention},
                 {"blk.0.attn_v.weight", {width, width}, attention},
                 {"blk.0.attn_output.weight", {width, width}, attention},
                 {"blk.0.attn_sub_norm.weight", {width}, 0},
                 {"blk.0.ffn_norm.weight", {width}, 0},
                 {"blk.0.ffn_gate.weight", {width, width}, gate},
                 {"blk.0.ffn_up.weight", {width, width}, gate},
                 {"blk.0.ffn_down.weight", {width, width}, down},
                 {"blk.0.ffn_sub_norm.weight", {width}, 0}};
  File f;
  f.head(std::size(tensors), 6).text("general.architecture").put(8).text("bitnet-b1.58");
  const std::pair<const char*, uint32_t> sizes[] = {{"context_length", 64},
                                                    {"embedding_length", (uint32_t)width},
                                                    {"block_count", 1},
                                                    {"feed_forward_length", (uint32_t)width},
                                                    {"attention.head_count", 4}};
  for (const auto& [key, value] : sizes) f.text(std::string("bitnet-b1.58.") + key).put(4).put(value);
  uint64_t offset = 0;
  for (const auto& t : tensors) {
    f.tensor(t.name, t.dims, t.type, offset);
    const GgufType& type = *find_gguf_type(t.type);
    const int64_t numbers = t.dims[0] * (t.dims.size() > 1 ? t.dims[1] : 1);
    offset += (uint64_t)(numbers / type.numbers * type.bytes + 31) / 32 * 32;
  }
  std::vector<uint8_t> bytes(f.bytes().begin(), f.bytes().end());
  bytes.resize((bytes.size() + 31) / 32 * 32);
  // Four codes of 0 to 2 a byte: what is ternary in two bits, and is not in eight.
  for (uint64_t i = 0; i < offset; ++i) bytes.push_back(std::array<uint8_t, 3>{0x19, 0x46, 0x02}[i % 3]);
  return bytes;
}

// What layers multiply with stays ternary, and what it is multiplied with is rounded, where all of it is; quantisers
// take other types for rows that do not fit.
TEST(Gguf, MixedTypes) {
  constexpr uint32_t kF16 = 1, kQ8_0 = 8, kQ6K = 14, kTq1_0 = 34, kTq2_0 = 35;
  const struct {
    uint32_t embed, attention, gate, down;
    bool ternary;
  } cases[] = {{kF16, kTq2_0, kTq2_0, kTq2_0, true},   {kQ6K, kTq2_0, kTq2_0, kTq2_0, true},
               {kF16, kTq2_0, kTq2_0, kQ8_0, false},   {kF16, kQ6K, kTq2_0, kTq2_0, false},
               {kF16, kTq2_0, kF16, kTq2_0, false},    {kTq2_0, kQ8_0, kQ8_0, kQ8_0, false},
               {kTq2_0, kTq2_0, kTq2_0, kTq2_0, true}, {kF16, kQ8_0, kQ8_0, kTq1_0, false}};
  for (const auto& c : cases) {
    SCOPED_TRACE(std::to_string(c.embed) + " " + std::to_string(c.attention) + " " + std::to_string(c.gate) + " " +
                 std::to_string(c.down));
    const std::vector<uint8_t> file = bitnet_file(c.embed, c.attention, c.gate, c.down);
    ModelDef model;
    ASSERT_EQ(import_gguf(file, {}, &model), TERN_OK) << thread_error().message;
    int projections = 0, rounded = 0;
    for (const Parameter& p : model.parameters) {
      if (p.shape.rank != 2) continue;
      projections += p.name.starts_with("layers.");
      EXPECT_EQ(p.encoding == Encoding::ternary2, c.ternary && p.name.starts_with("layers.")) << p.name;
    }
    for (const Node& n : model.signatures[0].graph.nodes) rounded += std::string_view(n.op->name) == "bit_linear";
    EXPECT_EQ(projections, 7);
    EXPECT_EQ(rounded, c.ternary ? 7 : 0);
    // Asked for, the others are refused by name, and nothing else is taken for ternary.
    ImportOptions options;
    options.weights = "ternary";
    EXPECT_EQ(import_gguf(file, options, &model), c.ternary ? TERN_OK : TERN_ERR_UNSUPPORTED);
    if (!c.ternary) EXPECT_NE(std::strstr(thread_error().message, "is not ternary"), nullptr) << thread_error().message;
  }
}

// Where blocks of a row have scales of their own, as an ordinary model's have that was quantised so, 4 bits hold the
// same numbers.
TEST(Gguf, TernaryBlocksOfOtherScales) {
  for (const uint32_t type : {34u, 35u}) {
    SCOPED_TRACE(find_gguf_type(type)->name);
    std::vector<uint8_t> file = bitnet_file(1, type, type, type, 512);
    ModelDef model;
    ASSERT_EQ(import_gguf(file, {}, &model), TERN_OK) << thread_error().message;
    EXPECT_EQ(model.parameters[3].encoding, Encoding::ternary2);
    Gguf g;
    ASSERT_EQ(Gguf::read(file, &g), TERN_OK) << thread_error().message;
    int changed = 0;
    for (const GgufTensor& t : g.tensors())
      if (t.type->id == type)  // every third scale
        for (int64_t i = 0; i < t.shape.elements() / 256; i += 3)
          file[(size_t)(t.data - file.data()) + (size_t)(i + 1) * (size_t)t.type->bytes - 1] ^= 0x34, ++changed;
    EXPECT_EQ(changed, 7 * 342);
    ASSERT_EQ(import_gguf(file, {}, &model), TERN_OK) << thread_error().message;
    size_t at = 0;
    for (const GgufTensor& t : g.tensors()) {
      const Parameter& p = model.parameters[at++];
      if (t.type->id != type) continue;
      EXPECT_EQ(p.encoding, Encoding::panel_int4) << p.name;
      std::vector<float> want((size_t)t.shape.elements()), got(want.size());
      for (size_t i = 0; i < want.size(); i += 256) t.type->decode(t.data + i / 256 * (size_t)t.type->bytes, &want[i]);
      decode(p.encoding, p.dtype, p.shape, p.data.bytes, got.data());
      EXPECT_EQ(got, want) << p.name;
    }
    for (const Node& n : model.signatures[0].graph.nodes) EXPECT_STRNE(n.op->name, "bit_linear");
    ImportOptions options;
    options.weights = "ternary";
    EXPECT_EQ(import_gguf(file, options, &model), TERN_ERR_UNSUPPORTED);
  }
}

// Numbers of 4 bits stay what they are in 4 bits, of the embedding, too; others get 8. What meets them is rounded.
TEST(Gguf, OwnForms) {
  constexpr uint32_t kQ4_0 = 2, kQ4_1 = 3, kQ8_0 = 8, kQ4K = 12, kQ6K = 14;
  const struct {
    uint32_t type;
    Encoding encoding;
    double bound;  // of the largest magnitude
  } cases[] = {{kQ4_0, Encoding::panel_int4, 0},
               {kQ4_1, Encoding::panel_int4_min, 1e-6},
               {kQ4K, Encoding::panel_int4_min, 2e-3},
               {kQ8_0, Encoding::panel_int8, 1e-2},
               {kQ6K, Encoding::panel_int8, 1e-2}};
  for (const auto& c : cases) {
    SCOPED_TRACE(find_gguf_type(c.type)->name);
    const std::vector<uint8_t> file = bitnet_file(c.type, c.type, c.type, c.type);
    ModelDef model;
    ASSERT_EQ(import_gguf(file, {}, &model), TERN_OK) << thread_error().message;
    Gguf g;
    ASSERT_EQ(Gguf::read(file, &g), TERN_OK) << thread_error().message;
    size_t at = 0;
    for (const GgufTensor& t : g.tensors()) {
      const Parameter& p = model.parameters[at++];
      if (t.shape.rank != 2) continue;
      EXPECT_EQ(p.encoding, c.encoding) << p.name;
      ASSERT_EQ(p.shape, t.shape);
      std::vector<float> want((size_t)t.shape.elements()), got(want.size());
      const uint8_t* from = t.data;
      for (size_t i = 0; i < want.size(); i += (size_t)t.type->numbers, from += t.type->bytes)
        t.type->decode(from, &want[i]);
      decode(p.encoding, p.dtype, p.shape, p.data.bytes, got.data());
      double largest = 0, most = 0;
      for (size_t i = 0; i < want.size(); ++i) {
        largest = std::max(largest, (double)std::fabs(want[i]));
        most = std::max(most, (double)std::fabs(want[i] - got[i]));
      }
      EXPECT_LE(most, c.bound * largest) << p.name;
    }
    EXPECT_EQ(at, model.parameters.size());
    for (const char* activations : {"", "int16", "f32"}) {
      ImportOptions options;
      options.activations = activations;
      ASSERT_EQ(import_gguf(file, options, &model), TERN_OK) << thread_error().message;
      int rounded = 0;
      for (const Node& n : model.signatures[0].graph.nodes) rounded += std::string_view(n.op->name) == "rounded_linear";
      EXPECT_EQ(rounded, options.activations == "f32" ? 0 : 8);
    }
  }
}

// The keys of a tokenizer.
struct Words {
  std::string model = "gpt2", pre = "gpt-2";
  std::vector<std::string> tokens = {"h", "e", "l", "o", "\xc4\xa0", "he", "hel", "<|end|>"}, merges = {"h e", "he l"};
  std::vector<int32_t> types = {1, 1, 1, 1, 1, 1, 1, 3};
  std::vector<float> scores;
  uint32_t eos = 7;

  tern_status read(tokens::TokenizerDef* out) const {
    File f;
    f.head(0, 7).text("tokenizer.ggml.model").put(8).text(model).text("tokenizer.ggml.pre").put(8).text(pre);
    f.text("tokenizer.ggml.tokens").put(9).put(8).put((uint64_t)tokens.size());
    for (const std::string& t : tokens) f.text(t);
    f.text("tokenizer.ggml.merges").put(9).put(8).put((uint64_t)merges.size());
    for (const std::string& m : merges) f.text(m);
    f.text("tokenizer.ggml.token_type").put(9).put(5).put((uint64_t)types.size());
    for (const int32_t t : types) f.put(t);
    f.text("tokenizer.ggml.scores").put(9).put(6).put((uint64_t)scores.size());
    for (const float x : scores) f.put(x);
    f.text("tokenizer.ggml.eos_token_id").put(4).put(eos);
    Gguf g;
    EXPECT_EQ(Gguf::read(f.bytes(), &g), TERN_OK) << thread_error().message;
    return read_gguf_tokenizer(g, out);
  }
  std::vector<int32_t> encode(std::string_view text, uint32_t flags) const {
    tokens::TokenizerDef def;
    std::shared_ptr<const tokens::Tokenizer> tokenizer;
    std::vector<int32_t> ids;
    EXPECT_EQ(read(&def), TERN_OK) << thread_error().message;
    EXPECT_EQ(def.eos, (int32_t)eos);
    EXPECT_EQ(tokens::Tokenizer::create(std::move(def), &tokenizer), TERN_OK) << thread_error().message;
    if (tokenizer) EXPECT_EQ(tokenizer->encode(text, flags, &ids), TERN_OK) << thread_error().message;
    return ids;
  }
  void refused(tern_status status, const char* says) const {
    tokens::TokenizerDef def;
    EXPECT_EQ(read(&def), status) << says;
    EXPECT_NE(std::strstr(thread_error().message, says), nullptr) << thread_error().message;
  }
};

TEST(Gguf, TokenizerOfBytes) {
  const Words w;
  EXPECT_EQ(w.encode("hello he<|end|>", tokens::kParseSpecial), (std::vector<int32_t>{6, 2, 3, 4, 5, 7}));
  Words other;
  other.merges = {"l o"};
  other.tokens[6] = "lo";
  EXPECT_EQ(other.encode("hello", 0), (std::vector<int32_t>{0, 1, 2, 6}));
}

TEST(Gguf, TokenizerOfSentencePiece) {
  Words w;
  w.model = "llama", w.merges = {};
  w.tokens = {"<unk>", "\xe2\x96\x81", "h", "i", "hi", "\xe2\x96\x81h", "</s>"};
  w.types = {2, 1, 1, 1, 1, 1, 3};
  w.scores = {0, -5, -6, -7, -2, -1, 0};
  w.eos = 6;
  EXPECT_EQ(w.encode("hi hi", 0), (std::vector<int32_t>{5, 3, 5, 3}));
  w.scores[4] = 0;  // of "hi"
  EXPECT_EQ(w.encode("hi hi", 0), (std::vector<int32_t>{1, 4, 1, 4}));
}

TEST(Gguf, TokenizersThatLie) {
  const auto changed = [](auto change) {
    Words w;
    change(w);
    return w;
  };
  changed([](Words& w) { w.model = "rwkv"; }).refused(TERN_ERR_UNSUPPORTED, "'rwkv'; gpt2 and llama");
  changed([](Words& w) { w.pre = "viking"; }).refused(TERN_ERR_UNSUPPORTED, "'viking'; known are gpt-2");
  for (const char* merge : {"h", "h x", "", "h e l", " e"})
    changed([&](Words& w) { w.merges[1] = merge; }).refused(TERN_ERR_CORRUPT, "merge 1");
  changed([](Words& w) { w.types.pop_back(); }).refused(TERN_ERR_CORRUPT, "7 types of 8 tokens");
  changed([](Words& w) { w.eos = 8; }).refused(TERN_ERR_CORRUPT, "eos_token_id' is 8");
  changed([](Words& w) { w.model = "llama"; }).refused(TERN_ERR_CORRUPT, "0 scores of 8");
}

}  // namespace
}  // namespace tern::test
