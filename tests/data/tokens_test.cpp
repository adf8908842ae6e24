// SPDX-License-Identifier: Apache-2.0
// Windows of texts, and records of JSON.
#include <gtest/gtest.h>

#include <cstring>

#include "data/tokens.h"

namespace tern::data {
namespace {

bool says(const char* text) { return std::strstr(thread_error().message, text) != nullptr; }

constexpr int64_t kEnd = 256, kTurn = 258;  // ids

// A token for each byte, and those of ChatML.
std::shared_ptr<const tokens::Tokenizer> bytes() {
  tokens::TokenizerDef d;
  d.byte_level = true;
  for (int b = 0; b < 256; ++b) d.pieces.add(std::string(1, (char)b));
  for (const char* s : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) {
    d.added.push_back({.id = d.pieces.size(), .text = s, .special = true});
    d.pieces.add(s);
  }
  d.flags.assign(d.pieces.size(), 0);
  std::shared_ptr<const tokens::Tokenizer> t;
  EXPECT_EQ(tokens::Tokenizer::create(std::move(d), &t), TERN_OK);
  return t;
}

std::vector<int64_t> values(const Source& s, size_t field, int64_t index) {
  std::vector<int64_t> v(s.fields[field].bytes / 8);
  write_field(s, s.fields[field], index, v.data());
  return v;
}

// Ids as a text: a byte is itself, '$' ends a text, '[' and ']' a turn, '_' is no label.
std::string shown(const std::vector<int64_t>& ids) {
  std::string s;
  for (const int64_t id : ids)
    s += id == kEnd ? '$' : id == kEnd + 1 ? '[' : id == kTurn ? ']' : id < 0 ? '_' : (char)id;
  return s;
}
std::string tokens_of(const Source& s, int64_t index) { return shown(values(s, 0, index)); }
std::string labels_of(const Source& s, int64_t index) { return shown(values(s, 1, index)); }

// ---- texts ----

struct Text {
  Source source;
  tern_status status;
  explicit Text(std::string_view text, TokenOptions o, int64_t length = 4) {
    o.length = length;
    status = read_text(text, "file.txt", bytes(), o, &source);
  }
  // All tokens, in windows.
  std::string windows() const {
    std::string s;
    for (int64_t i = 0; status == TERN_OK && i < source.count; ++i) s += (i ? "|" : "") + tokens_of(source, i);
    return s;
  }
};

TEST(Text, WindowsLoseNothing) {
  for (int64_t length = 1; length < 12; ++length)
    for (const bool pads : {false, true}) {
      const std::string text = "abcdefghijklmnopqrstuvw";
      const Text t(text, {.pads_last = pads}, length);
      ASSERT_EQ(t.status, TERN_OK);
      const std::string all = text + "$";
      std::string tokens, labels;
      for (int64_t i = 0; i < t.source.count; ++i) tokens += tokens_of(t.source, i), labels += labels_of(t.source, i);
      const size_t whole = 23 / (size_t)length * (size_t)length, shown = pads ? 23 : whole;
      ASSERT_EQ(labels.substr(0, shown), all.substr(1, shown));
      ASSERT_EQ(tokens.substr(0, shown), all.substr(0, shown));
      ASSERT_EQ(labels.find_first_not_of('_', shown), std::string::npos);
      ASSERT_EQ(labels.size() - shown < (size_t)length, true);
      ASSERT_EQ(tokens.find_first_not_of('$', shown), std::string::npos);  // padding is the end, after the real end
    }
  EXPECT_EQ(Text("abcdef", {}).source.fields[0].name, "tokens");
  EXPECT_EQ(Text("abcdef", {}).source.fields[1].name, "labels");
}

TEST(Text, Documents) {
  TokenOptions one;
  one.pads_last = true;
  EXPECT_EQ(Text("ab\ncd\n\nef\n", one).windows(), "ab\nc|d$ef");
  EXPECT_EQ(Text("\n \nab\r\n \t\r\n\n\ncd", one).windows(), "ab$c|d$$$");
  one.separator = "";
  EXPECT_EQ(Text("ab\n\ncd\n", one).windows(), "ab\n\n|cd$$");
  one.separator = "\n--\n";
  EXPECT_EQ(Text("a\n\nb\n--\n\n--\nc\n", one).windows(), "a\n\nb|$c$$");
  one.ends = false;
  EXPECT_EQ(Text("a\n\nb\n--\nc\n", one).windows(), "a\n\nb");
  one.ends = true, one.end = "<|im_end|>";
  EXPECT_EQ(Text("a\n--\nb", one).windows(), "a]b]");
  one.end = "<none>";
  EXPECT_EQ(Text("a", one).status, TERN_ERR_NOT_FOUND);
  EXPECT_TRUE(says("'<none>'"));
  EXPECT_EQ(Text("\xef\xbb\xbf"
                 "abcd",
                 {})
                .windows(),
            "abcd");
}

TEST(Text, NothingToLearn) {
  for (const char* text : {"", "\n\n", " \n\t\n"}) {
    EXPECT_EQ(Text(text, {}).status, TERN_ERR_CORRUPT);
    EXPECT_TRUE(says("file.txt: 0 tokens"));
  }
  EXPECT_EQ(Text("abc", {}).status, TERN_ERR_CORRUPT);
  EXPECT_TRUE(says("4 tokens in all, a window of 4"));
  EXPECT_EQ(Text("abc", {.pads_last = true}).status, TERN_OK);
  EXPECT_EQ(Text("abcd", {}, 0).status, TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(Text("abcd", {}, kMostLength + 1).status, TERN_ERR_INVALID_ARGUMENT);
}

TEST(Text, BadCharactersAreNamed) {
  const std::string text =
      "good\n\nline\nba\xff"
      "d\n\nmore";
  EXPECT_EQ(Text(text, {}).status, TERN_ERR_CORRUPT);
  EXPECT_TRUE(says("byte 7") && says("0xff") && says("file.txt, line 3"));
  const Text t(text, {.skips = true});
  EXPECT_EQ(t.windows(), "good|$mor");
  EXPECT_EQ(t.source.skipped, 1);
  EXPECT_EQ(Text("cut \xe4\xb8", {}).status, TERN_ERR_CORRUPT);
}

// ---- records ----

struct Records {
  Source source;
  tern_status status;
  explicit Records(std::string_view text, TokenOptions o = {}, int64_t length = 8) {
    o.length = length;
    status = read_records(text, "file.jsonl", bytes(), o, &source);
  }
};

TEST(Classes, NamesAreSorted) {
  const Records r(
      "{\"text\":\"ab\",\"label\":\"pear\"}\n\n{\"label\":\"apple\",\"text\":\"\"}\r\n{\"text\":\"0123456789\","
      "\"label\":\"pear\",\"x\":1}");
  ASSERT_EQ(r.status, TERN_OK) << thread_error().message;
  EXPECT_EQ(r.source.count, 3);
  EXPECT_EQ(r.source.classes, (std::vector<std::string>{"apple", "pear"}));
  EXPECT_EQ(r.source.num_classes, 2);
  ASSERT_EQ(r.source.fields.size(), 3u);
  EXPECT_EQ(r.source.fields[2].name, "label");
  EXPECT_EQ(r.source.fields[2].shape.rank, 0);
  EXPECT_EQ(tokens_of(r.source, 0), "ab$$$$$$");
  EXPECT_EQ(values(r.source, 1, 0), (std::vector<int64_t>{1, 1, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(values(r.source, 1, 1), (std::vector<int64_t>(8, 0)));
  EXPECT_EQ(tokens_of(r.source, 2), "01234567");
  EXPECT_EQ(values(r.source, 2, 0)[0], 1);
  EXPECT_EQ(values(r.source, 2, 1)[0], 0);
  EXPECT_EQ(values(r.source, 2, 2)[0], 1);
}

TEST(Classes, NumbersAndGivenNames) {
  const char* numbers = "{\"text\":\"a\",\"label\":3}\n{\"text\":\"b\",\"label\":0}";
  EXPECT_EQ(Records(numbers).source.num_classes, 4);
  EXPECT_EQ(values(Records(numbers).source, 2, 0)[0], 3);
  EXPECT_TRUE(Records(numbers).source.classes.empty());
  EXPECT_EQ(Records(numbers, {.num_classes = 9}).source.num_classes, 9);
  EXPECT_EQ(Records(numbers, {.num_classes = 3}).status, TERN_ERR_INDEX);
  EXPECT_TRUE(says("from 0 to 2") && says("line 1"));
  const char* names = "{\"text\":\"a\",\"label\":\"y\"}";
  EXPECT_EQ(values(Records(names, {.classes = {"x", "z", "y"}}).source, 2, 0)[0], 2);
  EXPECT_EQ(Records(names, {.classes = {"x", "z"}}).status, TERN_ERR_INDEX);
  EXPECT_TRUE(says("'y'"));
  EXPECT_EQ(Records(names, {.classes = {"x", "x"}}).status, TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(Records(numbers, {.classes = {"a", "b", "c", "d"}}).source.num_classes, 4);
  for (const char* label : {"-1", "1.5", "2147483648", "true", "null", "[1]", "1e99"}) {
    const Records r(std::string("{\"text\":\"a\",\"label\":") + label + "}");
    EXPECT_NE(r.status, TERN_OK) << label;
    EXPECT_TRUE(says("label"));
  }
  EXPECT_EQ(Records("{\"text\":\"a\",\"label\":1}\n{\"text\":\"a\",\"label\":\"x\"}").status, TERN_ERR_CORRUPT);
  EXPECT_TRUE(says("line 2"));
}

TEST(Classes, WhatStandsBehindATextIsKept) {
  tokens::TokenizerDef d = bytes()->def();
  d.before = {257}, d.after = {258};
  for (auto& f : d.flags) f = 0;
  std::shared_ptr<const tokens::Tokenizer> t;
  ASSERT_EQ(tokens::Tokenizer::create(std::move(d), &t), TERN_OK);
  Source s;
  ASSERT_EQ(read_records("{\"text\":\"abcdefgh\",\"label\":0}", "f", t, {.length = 5}, &s), TERN_OK);
  EXPECT_EQ(tokens_of(s, 0), "[abc]");
}

TEST(Completion, OnlyTheAnswerIsLearnt) {
  const Records r(
      "{\"prompt\":\"1+1=\",\"completion\":\"2\"}\n{\"prompt\":\"\",\"completion\":\"abcdefghij\"}\n{\"prompt\":"
      "\"123456\",\"completion\":\"xyz\"}");
  ASSERT_EQ(r.status, TERN_OK) << thread_error().message;
  EXPECT_EQ(tokens_of(r.source, 0), "1+1=2$$$");
  EXPECT_EQ(labels_of(r.source, 0), "___2$___");
  EXPECT_EQ(tokens_of(r.source, 1), "abcdefgh");
  EXPECT_EQ(labels_of(r.source, 1), "bcdefghi");
  EXPECT_EQ(tokens_of(r.source, 2), "123456xy");
  EXPECT_EQ(labels_of(r.source, 2), "_____xyz");
  EXPECT_EQ(Records("{\"prompt\":\"123456789\",\"completion\":\"x\"}").status, TERN_ERR_CORRUPT);
  EXPECT_TRUE(says("within the first 8 tokens"));
}

TokenOptions chatml(bool skips = false) {
  TokenOptions o;
  o.template_name = "chatml";
  o.skips = skips;
  return o;
}

TEST(Chat, OnlyAnswersAreLearnt) {
  const Records r(
      "{\"messages\":[{\"role\":\"user\",\"content\":\"a<|im_end|>\"},{\"role\":\"assistant\",\"content\":\"b\"},"
      "{\"role\":\"user\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\"de\"}]}",
      chatml(), 80);
  ASSERT_EQ(r.status, TERN_OK) << thread_error().message;
  const std::string want = "[user\na<|im_end|>]\n[assistant\nb]\n[user\nc]\n[assistant\nde]\n";
  std::string labels(want.size(), '_');
  for (const char* answer : {"b]", "de]"}) {
    const size_t at = want.find(std::string("assistant\n") + answer) + 10;
    labels.replace(at - 1, std::strlen(answer), answer);
  }
  EXPECT_EQ(tokens_of(r.source, 0).substr(0, want.size()), want);
  EXPECT_EQ(labels_of(r.source, 0).substr(0, want.size()), labels);
  EXPECT_EQ(labels_of(r.source, 0).find_first_not_of('_', want.size()), std::string::npos);
}

// A template that leaves earlier thoughts out: the answer without its thought is what the chat has then.
TEST(Chat, ThoughtsOfEarlierTurns) {
  TokenOptions o;
  o.template_source = "<|im_start|><|im_end|></think>enable_thinking";
  const Records r(
      "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"<think>\\nT\\n</"
      "think>\\n\\nb\"},"
      "{\"role\":\"user\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\"<think>\\nU\\n</think>\\n\\nd\"}]}",
      o, 120);
  ASSERT_EQ(r.status, TERN_OK) << thread_error().message;
  const std::string tokens = tokens_of(r.source, 0), labels = labels_of(r.source, 0);
  EXPECT_EQ(tokens.find("T"), std::string::npos);
  std::string learnt;
  for (const char c : labels)
    if (c != '_') learnt += c;
  EXPECT_EQ(learnt, "b]<think>\nU\n</think>\n\nd]");
}

TEST(Chat, NothingButAnswersIsLearntInAnyFamily) {
  tokens::TokenizerDef d = bytes()->def();
  for (const char* s : {"<s>", "</s>", "<bos>", "<end_of_turn>", "<start_of_turn>", "<|begin_of_text|>", "<|eot_id|>",
                        "<|start_header_id|>", "<|end_header_id|>", "[INST]", "[/INST]", "<|user|>", "<|assistant|>"}) {
    d.added.push_back({.id = d.pieces.size(), .text = s, .special = true});
    d.pieces.add(s);
  }
  d.flags.assign(d.pieces.size(), 0);
  std::shared_ptr<const tokens::Tokenizer> t;
  ASSERT_EQ(tokens::Tokenizer::create(std::move(d), &t), TERN_OK);
  for (const char* family : {"chatml", "llama3", "llama2", "mistral", "gemma", "bitnet", "zephyr"}) {
    Source s;
    TokenOptions o;
    o.length = 200, o.template_name = family;
    ASSERT_EQ(
        read_records("{\"messages\":[{\"role\":\"system\",\"content\":\"SSS\"},{\"role\":\"user\",\"content\":\"QQQ\"},"
                     "{\"role\":\"assistant\",\"content\":\"AAA\"},{\"role\":\"user\",\"content\":\"RRR\"},"
                     "{\"role\":\"assistant\",\"content\":\"BBB\"}]}",
                     "f", t, o, &s),
        TERN_OK)
        << family << ": " << thread_error().message;
    std::string learnt;
    int ends = 0;
    for (const int64_t id : values(s, 1, 0)) {
      if (id >= 256) ++ends;
      else if (id >= 0 && id != ' ') learnt += (char)id;
    }
    EXPECT_EQ(learnt, "AAABBB") << family;
    EXPECT_EQ(ends, 2) << family;
  }
}

TEST(Records, BadOnesAreNamed) {
  const char* good =
      "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}\n";
  const struct {
    const char *line, *says;
  } kBad[] = {
      {"{", "JSON"},
      {"[1]", "a list, not an object"},
      {"\"\xff\"", "JSON"},
      {"{\"messages\":3}", "a number, not a list"},
      {"{\"messages\":[3]}", "a message is a number"},
      {"{\"messages\":[]}", "no messages"},
      {"{\"messages\":[{\"role\":\"user\"}]}", "'content' of a record is nothing"},
      {"{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", "'tool'"},
      {"{\"messages\":[{\"role\":\"user\",\"content\":[\"x\"]}]}", "'content' of a record is a list"},
      {"{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "nothing of the answers"},
      {"{\"prompt\":\"a\",\"completion\":\"b\"}", "'messages' of a record is nothing"},
  };
  for (const auto& bad : kBad) {
    const std::string text = std::string(good) + "\n" + bad.line + "\n" + good;
    const Records r(text, chatml(), 64);
    EXPECT_NE(r.status, TERN_OK) << bad.line;
    EXPECT_TRUE(says(bad.says) && says("(file.jsonl, line 3)")) << bad.line << ": " << thread_error().message;
    const Records skipped(text, chatml(true), 64);
    EXPECT_EQ(skipped.status, TERN_OK);
    EXPECT_EQ(skipped.source.count, 2);
    EXPECT_EQ(skipped.source.skipped, 1);
    // The first one, too: it does not settle what the others are.
    EXPECT_EQ(Records(std::string("{}\n") + text, chatml(true), 64).source.count, 2);
  }
  std::string many = "{\"messages\":[";
  for (int i = 0; i < 300; ++i) many += std::string(i ? "," : "") + "{\"role\":\"user\",\"content\":\"x\"}";
  EXPECT_EQ(Records(many + "]}", chatml(), 64).status, TERN_ERR_LIMIT);
  EXPECT_EQ(Records("{\"text\":\"a\"}").status, TERN_ERR_CORRUPT);
  EXPECT_TRUE(says("neither 'messages'"));
  EXPECT_EQ(Records("").status, TERN_ERR_CORRUPT);
  EXPECT_TRUE(says("no record"));
  EXPECT_EQ(Records("{\n{\n", {.skips = true}).status, TERN_ERR_CORRUPT);
  EXPECT_TRUE(says("2 were skipped"));
  EXPECT_EQ(Records(good, {}, 64).status, TERN_ERR_NOT_FOUND);  // no template
  EXPECT_EQ(Records(good, {.skips = true}, 64).status, TERN_ERR_NOT_FOUND);
  EXPECT_EQ(Records("{" + std::string(kMostLine, ' ') + "}").status, TERN_ERR_LIMIT);
}

}  // namespace
}  // namespace tern::data
