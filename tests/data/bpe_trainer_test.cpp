// SPDX-License-Identifier: Apache-2.0
// Training of tokenizers: against the plain rule written out, and as files.
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "base/file.h"
#include "base/status.h"
#include "data/bpe_trainer.h"
#include "data/random.h"
#include "text/tokenizer_file.h"
#include "text/tokenizer_json.h"

namespace tern::data {
namespace {

using tokens::Tokenizer;
using tokens::TokenizerDef;

TokenizerDef trained(std::string_view text, int64_t num_tokens, const std::vector<std::string>& special = {},
                     int64_t min_count = 0) {
  BpeTrainer trainer;
  TokenizerDef d;
  EXPECT_EQ(trainer.add(text), TERN_OK);
  EXPECT_EQ(trainer.train(num_tokens, min_count, special, &d), TERN_OK) << thread_error().message;
  return d;
}

std::vector<std::string> merged(const TokenizerDef& d) {
  std::vector<std::string> list;
  for (const tokens::Merge& m : d.merges)
    list.push_back(std::string(d.pieces[m.left]) + "+" + std::string(d.pieces[m.right]));
  return list;
}

TEST(BpeTrainer, FirstMerges) {
  const TokenizerDef d = trained("low low low lower lower newest newest newest newest newest newest", 262, {"<end>"});
  EXPECT_EQ(d.pieces[0], "<end>");
  EXPECT_EQ(d.pieces[1], "!");
  EXPECT_EQ(d.pieces[189], std::string(1, '\0'));  // behind the printable ones
  EXPECT_EQ(merged(d), (std::vector<std::string>{"w+e", "e+we", "n+ewe", "s+t", " +newe"}));
  EXPECT_EQ(d.pieces.size(), 262u);
}

// The rule, nothing kept from one merge to the next.
std::vector<std::string> plainly(std::vector<std::string> words, size_t merges) {
  std::map<std::string, int> ids;
  const TokenizerDef bytes = trained("x", 256);
  for (int id = 0; id < 256; ++id) ids[std::string(bytes.pieces[(uint32_t)id])] = id;
  std::vector<std::vector<std::string>> split;
  for (const auto& w : words) {
    split.emplace_back();
    for (const char c : w) split.back().emplace_back(1, c);
  }
  std::vector<std::string> list;
  while (list.size() < merges) {
    std::map<std::pair<int, int>, std::pair<int, std::pair<std::string, std::string>>> counts;
    for (const auto& w : split)
      for (size_t i = 0; i + 1 < w.size(); ++i) {
        auto& c = counts[{ids[w[i]], ids[w[i + 1]]}];
        ++c.first, c.second = {w[i], w[i + 1]};
      }
    const std::pair<int, std::pair<std::string, std::string>>* best = nullptr;
    for (const auto& [pair, c] : counts)
      if (!best || c.first > best->first) best = &c;
    if (!best) break;
    const auto [left, right] = best->second;
    list.push_back(left + "+" + right);
    ids.emplace(left + right, (int)ids.size());
    for (auto& w : split)
      for (size_t i = 0; i + 1 < w.size(); ++i)
        if (w[i] == left && w[i + 1] == right) w[i] += right, w.erase(w.begin() + (ptrdiff_t)i + 1);
  }
  return list;
}

TEST(BpeTrainer, FollowsTheRule) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    // Words of few letters, so that ties and runs are common.
    const uint64_t letters = 1 + seed % 5;
    std::vector<std::string> words;
    std::string text;
    for (uint64_t w = 0; w < 60; ++w) {
      std::string word;
      const uint64_t n = 1 + random_bits(seed, w * 100) % 9;
      for (uint64_t i = 0; i < n; ++i) word += (char)('a' + random_bits(seed, w * 100 + 1 + i) % letters);
      if (w) word = " " + word;
      text += word;
      words.push_back(word);
    }
    std::vector<std::string> want = plainly(words, 80);
    const TokenizerDef d = trained(text, 256 + 80);
    std::vector<std::string> got = merged(d);
    if (want.size() < 80) EXPECT_EQ(got.size(), want.size());
    // The vocabulary ends when it is full: a merge whose text is there already takes no room in it.
    got.resize(std::min(got.size(), want.size())), want.resize(got.size());
    EXPECT_GT(got.size(), 5u);
    ASSERT_EQ(got, want) << "seed " << seed;
  }
}

std::string read_file(const char* name) {
  Bytes b;
  EXPECT_EQ(load_file((std::string(TERN_SOURCE_DIR) + "/tests/data/" + name).c_str(), LoadMode::copy, 1 << 20, &b),
            TERN_OK);
  return {(const char*)b.data, (size_t)b.size};
}

// The vocabulary of Hugging Face's trainer, and its ids: make_goldens.py.
TEST(BpeTrainer, EqualsHuggingFace) {
  const std::string text = read_file("corpus.txt"), golden = read_file("bpe_golden.txt");
  const TokenizerDef d = trained(text, 900, {"<|endoftext|>", "<pad>"});
  ASSERT_EQ(d.pieces.size(), 900u);
  std::shared_ptr<const Tokenizer> t;
  ASSERT_EQ(Tokenizer::create(d, &t), TERN_OK);
  std::vector<int32_t> ids;
  ASSERT_EQ(t->encode(text, tokens::kParseSpecial, &ids), TERN_OK);
  uint64_t hash = 0xcbf29ce484222325;
  for (const int32_t id : ids)
    for (int shift = 0; shift < 32; shift += 8) hash = (hash ^ ((uint32_t)id >> shift & 255)) * 0x100000001b3;
  char first[64];
  std::snprintf(first, sizeof first, "%zu %016llx\n", ids.size(), (unsigned long long)hash);
  std::string ours = first, piece;
  for (uint32_t id = 0; id < 900; ++id) {
    tokens::to_byte_alphabet(d.pieces[id], &piece);
    ours += piece + "\n";
  }
  EXPECT_EQ(ours, golden);
}

TEST(BpeTrainer, MinimumCount) {
  EXPECT_EQ(merged(trained("ab ab ab cd", 300, {}, 3)), (std::vector<std::string>{"a+b"}));
  EXPECT_EQ(merged(trained("ab ab ab cd", 300, {}, 4)), (std::vector<std::string>{}));
  EXPECT_EQ(trained("ab", 256).merges.size(), 0u);
}

TEST(BpeTrainer, FilesAndBytesComeBack) {
  std::string text;
  for (int b = 0; b < 256; ++b) text += (char)b;
  text += "the cat sat on the mat \"quoted\\\" \xe4\xb8\xad\xe6\x96\x87 the\n\n  the\t<|endoftext|>";
  for (int i = 0; i < 3; ++i) text += text;
  const std::vector<std::string> special = {"<|endoftext|>", "<pad>", "a b\n\"", "\xe4\xb8\xad"};
  const TokenizerDef d = trained(text, 330, special);
  std::string stored, again, json;
  ASSERT_EQ(tokens::write_tokenizer_json(d, &json), TERN_OK);
  TokenizerDef back;
  ASSERT_EQ(tokens::read_tokenizer_json(json, &back), TERN_OK) << thread_error().message;
  tokens::store_tokenizer(d, &stored);
  tokens::store_tokenizer(back, &again);
  EXPECT_EQ(stored, again);
  std::shared_ptr<const Tokenizer> t;
  ASSERT_EQ(Tokenizer::create(d, &t), TERN_OK) << thread_error().message;
  std::vector<int32_t> ids;
  ASSERT_EQ(t->encode(text, 0, &ids), TERN_OK);
  EXPECT_LT(ids.size(), text.size() * 3 / 4);
  std::string decoded;
  tokens::DecodeState state;
  for (const int32_t id : ids) t->decode((uint32_t)id, &state, &decoded);
  EXPECT_EQ(decoded, text);
  ids.clear();
  ASSERT_EQ(t->encode("<|endoftext|>", tokens::kParseSpecial, &ids), TERN_OK);
  EXPECT_EQ(ids, (std::vector<int32_t>{0}));
  back.cuts[0].pattern = tokens::Pattern::o200k;
  EXPECT_EQ(tokens::write_tokenizer_json(back, &json), TERN_ERR_UNSUPPORTED);
}

TEST(BpeTrainer, LongWordsAreCounted) {
  const TokenizerDef d = trained(std::string(200 * BpeTrainer::kMostWord, 'a'), 300);
  EXPECT_EQ(d.pieces[256], "aa");
  EXPECT_EQ(d.merges.size(), 9u);  // 2, 4, ... 512
  BpeTrainer none;
  TokenizerDef out;
  EXPECT_EQ(none.train(300, 0, {}, &out), TERN_ERR_INVALID_ARGUMENT);
}

TEST(BpeTrainer, ArgumentsAreChecked) {
  BpeTrainer trainer;
  ASSERT_EQ(trainer.add("some text"), TERN_OK);
  TokenizerDef d;
  for (const int64_t n : {int64_t(-1), int64_t(0), int64_t(255), (int64_t)tokens::kMaxTokens + 1, INT64_MAX})
    EXPECT_EQ(trainer.train(n, 0, {}, &d), TERN_ERR_INVALID_ARGUMENT) << n;
  EXPECT_EQ(trainer.train(256, 0, {"<x>"}, &d), TERN_ERR_INVALID_ARGUMENT);
  for (const char* s : {"", "a", " ", "\xc4\xa0", "\xff", "ok"})
    EXPECT_EQ(trainer.train(300, 0, {"ok", s}, &d), TERN_ERR_INVALID_ARGUMENT) << s;
  EXPECT_EQ(trainer.train(300, 0, {std::string(2000, 'x')}, &d), TERN_ERR_INVALID_ARGUMENT);
  // A text that is a special token is not made by merging.
  EXPECT_EQ(trained("abab abab abab", 300, {"ab"}).pieces[0], "ab");
  for (const auto& m : merged(trained("abab abab abab", 300, {"ab"}))) EXPECT_NE(m, "a+b");
}

}  // namespace
}  // namespace tern::data
