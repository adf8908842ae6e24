// SPDX-License-Identifier: Apache-2.0
// Parts of tokenizers alone, and files that nobody should write.
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "base/status.h"
#include "text/charsmap.h"
#include "text/detokenizer.h"
#include "text/json.h"
#include "text/tokenizer_file.h"
#include "text/tokenizer_json.h"
#include "text/unicode.h"

namespace tern::tokens {
namespace {

bool says(const char* text) { return std::strstr(thread_error().message, text) != nullptr; }

using Ids = std::vector<int32_t>;

std::shared_ptr<const Tokenizer> made(TokenizerDef def) {
  std::shared_ptr<const Tokenizer> t;
  EXPECT_EQ(Tokenizer::create(std::move(def), &t), TERN_OK) << thread_error().message;
  return t;
}

Ids encoded(const Tokenizer& t, std::string_view text, uint32_t flags = kParseSpecial) {
  Ids ids;
  EXPECT_EQ(t.encode(text, flags, &ids), TERN_OK) << thread_error().message;
  return ids;
}

std::string decoded(const Tokenizer& t, const Ids& ids) {
  std::string out;
  DecodeState state;
  for (const int32_t id : ids) t.decode((uint32_t)id, &state, &out);
  return out;
}

// Every byte, and some merges.
TokenizerDef bytes_def(const std::vector<std::pair<std::string, std::string>>& merges = {}) {
  TokenizerDef d;
  d.byte_level = true;
  std::vector<std::string> pieces;
  for (int b = 0; b < 256; ++b) pieces.emplace_back(1, (char)b);
  for (const auto& [left, right] : merges) {
    const auto id = [&](const std::string& p) {
      return (uint32_t)(std::find(pieces.begin(), pieces.end(), p) - pieces.begin());
    };
    d.merges.push_back({id(left), id(right)});
    if (id(left + right) == pieces.size()) pieces.push_back(left + right);
  }
  for (const auto& p : pieces) d.pieces.add(p);
  d.flags.assign(pieces.size(), 0);
  return d;
}

// ---- JSON ----

tern_status parse(std::string_view text, Json* json, JsonLimits limits = {}) { return json->parse(text, limits); }

TEST(Json, ReadsValues) {
  Json j;
  ASSERT_EQ(parse(R"( {"a": [1, -2.5e3, true, null, "x\n\u00e9\ud83d\ude00"], "b": {}, "": "end"} )", &j), TERN_OK);
  const JsonValue a = j.root()["a"];
  ASSERT_EQ(a.size(), 5u);
  JsonValue v = a.first();
  int64_t n = 0;
  double d = 0;
  EXPECT_TRUE(v.integer(0, 5, &n) && n == 1);
  EXPECT_FALSE(v.integer(2, 5, &n));
  v = v.next();
  EXPECT_TRUE(v.number(&d) && d == -2500);
  EXPECT_FALSE(v.integer(INT64_MIN, INT64_MAX, &n));
  v = v.next();
  EXPECT_TRUE(v.boolean());
  v = v.next();
  EXPECT_TRUE(v.is(JsonKind::null));
  v = v.next();
  EXPECT_EQ(v.string(), "x\n\xc3\xa9\xf0\x9f\x98\x80");
  EXPECT_FALSE(v.next());
  EXPECT_EQ(j.root()["b"].size(), 0u);
  EXPECT_EQ(j.root()[""].string(), "end");
  EXPECT_EQ(j.root()["none"]["of"]["these"].kind(), JsonKind::none);
  std::string keys;
  for (JsonValue m = j.root().first(); m; m = m.next()) keys += std::string(m.key()) + ";";
  EXPECT_EQ(keys, "a;b;;");
}

TEST(Json, RefusesWhatIsNone) {
  const char* const texts[] = {"",
                               " ",
                               "{",
                               "[",
                               "[1",
                               "[1,",
                               "[1,]",
                               "[,1]",
                               "{\"a\"}",
                               "{\"a\":}",
                               "{\"a\":1,}",
                               "{a:1}",
                               "01",
                               "1.",
                               ".5",
                               "-",
                               "+1",
                               "1e",
                               "1e+",
                               "tru",
                               "nul",
                               "\"",
                               "\"\\x\"",
                               "\"\\u12\"",
                               "\"\t\"",
                               "1 2",
                               "[1] x",
                               "NaN",
                               "Infinity",
                               "'a'",
                               "[1}",
                               "{\"a\":1]",
                               "\"\\ud800\"",
                               "\"\\udc00\"",
                               "\"\\ud800\\ud800\"",
                               "\"\\ud800x\"",
                               "\"\xff\"",
                               "\"\xed\xa0\x80\"",
                               "// no\n1",
                               "{\"a\":1,\"a\":2}",
                               "\xef\xbb\xbf"};
  for (const char* text : texts) {
    Json j;
    EXPECT_EQ(parse(text, &j), TERN_ERR_CORRUPT) << text;
    EXPECT_FALSE(j.root());
  }
}

TEST(Json, KeepsItsLimits) {
  Json j;
  const std::string deep(10000, '['), closed = deep + std::string(10000, ']');
  EXPECT_EQ(parse(deep, &j), TERN_ERR_LIMIT);
  EXPECT_EQ(parse(closed, &j), TERN_ERR_LIMIT);
  EXPECT_TRUE(says("nested deeper than 64"));
  JsonLimits limits;
  limits.depth = 10000;
  EXPECT_EQ(parse(closed, &j, limits), TERN_OK);
  std::string objects;
  for (int i = 0; i < 10000; ++i) objects += "{\"a\":";
  EXPECT_EQ(parse(objects, &j), TERN_ERR_LIMIT);
  limits = {};
  limits.values = 3;
  EXPECT_EQ(parse("[1,2,3]", &j, limits), TERN_ERR_LIMIT);
  EXPECT_EQ(parse("[1,2]", &j, limits), TERN_OK);
  limits.bytes = 4;
  EXPECT_EQ(parse("[1,2]", &j, limits), TERN_ERR_LIMIT);
}

// ---- Unicode ----

TEST(Unicode, KnowsKinds) {
  prepare_unicode();
  const auto is = [](uint32_t c, uint16_t flags) { return (char_flags(c) & flags) == flags; };
  EXPECT_TRUE(is('a', kLower | kWord) && is('Z', kUpper) && is(0x1c5, kUpper) && is(0x4e00, kOtherLetter | kWord));
  EXPECT_TRUE(is('7', kNumber | kWord) && is(0xb2, kNumber) && !is(0xb2, kWord) && is(0x2167, kNumber | kWord));
  EXPECT_TRUE(is('_', kPunctuation | kWord) && is('$', kSymbol) && is(0x301, kMark | kNonspacing) && is(0x903, kMark));
  for (const uint32_t c : {9u, 10u, 13u, 32u, 0x85u, 0xa0u, 0x1680u, 0x2028u, 0x3000u}) EXPECT_TRUE(is(c, kSpace)) << c;
  for (const uint32_t c : {0x200bu, 0x180eu, 0xfeffu, 0x1cu}) EXPECT_FALSE(is(c, kSpace)) << c;
  EXPECT_TRUE(is(0x24b6, kSymbol | kWord) && is(0x200d, kControl | kWord) && char_flags(0x10ffff) == 0);
  EXPECT_STREQ(unicode_version(), "15.0.0");
}

TEST(Unicode, ReadsCharactersBothWays) {
  const std::string s = "a\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80\xff\x80\xe4\xb8";
  const auto *begin = (const uint8_t*)s.data(), *end = begin + s.size();
  std::vector<uint32_t> forth, back;
  for (const uint8_t* p = begin; p < end; p += read_char(p, end).size) forth.push_back(read_char(p, end).code);
  for (const uint8_t* p = end; p > begin; p -= read_char_before(begin, p).size)
    back.insert(back.begin(), read_char_before(begin, p).code);
  EXPECT_EQ(forth, (std::vector<uint32_t>{'a', 0xe9, 0x4e2d, 0x1f600, kNoCharacter, kNoCharacter, kNoCharacter,
                                          kNoCharacter}));
  EXPECT_EQ(forth, back);
}

// Lines of the standard's own conformance test (NormalizationTest.txt): source, NFC, NFD, NFKC, NFKD.
TEST(Unicode, NormalizesAsTheStandardSays) {
  const char* const lines[][5] = {
      {"\xe1\xb8\x8a", "\xe1\xb8\x8a", "D\xcc\x87", "\xe1\xb8\x8a", "D\xcc\x87"},
      {"D\xcc\x87\xcc\xa3", "\xe1\xb8\x8c\xcc\x87", "D\xcc\xa3\xcc\x87", "\xe1\xb8\x8c\xcc\x87", "D\xcc\xa3\xcc\x87"},
      {"\xef\xac\x81", "\xef\xac\x81", "\xef\xac\x81", "fi", "fi"},
      {"\xea\xb0\x81", "\xea\xb0\x81", "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xea\xb0\x81",
       "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8"},
      {"\xe2\x84\xab", "\xc3\x85", "A\xcc\x8a", "\xc3\x85", "A\xcc\x8a"},
      {"\xe0\xa5\x98", "\xe0\xa4\x95\xe0\xa4\xbc", "\xe0\xa4\x95\xe0\xa4\xbc", "\xe0\xa4\x95\xe0\xa4\xbc",
       "\xe0\xa4\x95\xe0\xa4\xbc"},  // one that is not composed again
      {"\xe1\xad\x84\xe1\xac\xb5", "\xe1\xad\x84\xe1\xac\xb5", "\xe1\xad\x84\xe1\xac\xb5", "\xe1\xad\x84\xe1\xac\xb5",
       "\xe1\xad\x84\xe1\xac\xb5"},
      {"\xf0\xaf\xa0\x80", "\xe4\xb8\xbd", "\xe4\xb8\xbd", "\xe4\xb8\xbd", "\xe4\xb8\xbd"},
  };
  const auto forms = Forms::get();
  std::string out;
  for (const auto& l : lines)
    for (int form = 0; form < 4; ++form) {
      forms->normalize((Form)form, l[0], &out);
      EXPECT_EQ(out, l[form + 1]) << l[0] << " form " << form;
      forms->normalize((Form)form, std::string("x\xff") + l[0] + "\xc3", &out);  // no UTF-8 stays
      EXPECT_EQ(out, std::string("x\xff") + l[form + 1] + "\xc3");
    }
  // Marks without an end cost no more than sorting them.
  std::string marks;
  for (int i = 0; i < 200000; ++i) marks += i % 2 ? "\xcc\x81" : "\xcc\xa3";
  forms->normalize(Form::nfc, "a" + marks, &out);
  EXPECT_EQ(out.substr(0, 5), "\xe1\xba\xa1\xcc\xa3");
  forms->lower("\xc3\x89 \xce\xa3 \xc4\xb0 A\xff", &out);
  EXPECT_EQ(out, "\xc3\xa9 \xcf\x83 i\xcc\x87 a\xff");
}

// ---- algorithms ----

TEST(Bpe, MergesByRankThenFromTheLeft) {
  const auto t = made(bytes_def({{"a", "b"}, {"b", "a"}, {"ab", "a"}, {"a", "a"}}));
  EXPECT_EQ(encoded(*t, "aba"), (Ids{258}));        // ab, then ab+a
  EXPECT_EQ(encoded(*t, "baba"), (Ids{'b', 258}));  // the rank of ab is better than that of ba
  EXPECT_EQ(encoded(*t, "aaaaa"), (Ids{259, 259, 'a'}));
}

// The way for short words, that for long ones and a plain one agree.
TEST(Bpe, OneRuleForShortAndLong) {
  const std::vector<std::pair<std::string, std::string>> merges = {
      {"a", "b"}, {"b", "b"}, {"ab", "ab"}, {"c", "a"}, {"bb", "a"}, {"abab", "c"}, {"a", "a"}, {"ca", "b"}};
  const auto t = made(bytes_def(merges));
  uint32_t seed = 1;
  for (int round = 0; round < 400; ++round) {
    std::string text;
    for (int i = 1 + round / 2; i > 0; --i) text += (char)('a' + ((seed = seed * 1664525 + 1013904223) >> 16) % 3);
    std::vector<std::string> parts;
    for (const char c : text) parts.emplace_back(1, c);
    for (bool again = true; again;) {
      again = false;
      for (const auto& [left, right] : merges) {
        size_t i = 0;
        while (i + 1 < parts.size() && (parts[i] != left || parts[i + 1] != right)) ++i;
        if (i + 1 >= parts.size()) continue;
        parts[i] += parts[i + 1];
        parts.erase(parts.begin() + (ptrdiff_t)i + 1);
        again = true;
        break;
      }
    }
    Ids expected;
    for (const auto& p : parts) expected.push_back(t->find(p));
    EXPECT_EQ(encoded(*t, text), expected) << text;
  }
}

TEST(Bpe, LongWordsTakeNoSquare) {
  const auto t = made(bytes_def({{"a", "a"}, {"aa", "aa"}, {"aaaa", "aaaa"}}));
  const std::string text(1 << 20, 'a');
  EXPECT_EQ(encoded(*t, text).size(), text.size() / 8);
}

TEST(Bpe, AnyBytesComeBack) {
  auto def = bytes_def({{"\xff", "\xfe"}, {"a", "b"}, {"\xc3", "\xa9"}});
  def.cuts.push_back({.kind = Cut::Kind::split, .pattern = Pattern::words_numbers, .most_digits = 3});
  const auto t = made(std::move(def));
  uint32_t seed = 7;
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (int i = 0; i < round; ++i) text += (char)((seed = seed * 1664525 + 1013904223) >> (round % 2 ? 24 : 17));
    EXPECT_EQ(decoded(*t, encoded(*t, text)), text);
  }
}

// Scores instead of merges, as SentencePiece has them.
TEST(Bpe, MergesByScore) {
  TokenizerDef d;
  d.by_score = true;
  d.bytes_fall_back = true;
  for (const auto& [piece, score] : std::vector<std::pair<const char*, double>>{{"<unk>", 0},
                                                                                {"a", -10},
                                                                                {"b", -11},
                                                                                {"c", -12},
                                                                                {"ab", -2},
                                                                                {"bc", -1},
                                                                                {"abc", -3},
                                                                                {"cc", -1},
                                                                                {"aa", -5}})
    d.pieces.add(piece), d.scores.push_back(score);
  for (int b = 0; b < 256; ++b) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", b);
    d.pieces.add(text), d.scores.push_back(0);
  }
  d.flags.assign(d.pieces.size(), 0);
  d.unknown = 0;
  d.decodes.push_back({.kind = Decode::Kind::byte_fallback});
  const auto t = made(std::move(d));
  EXPECT_EQ(encoded(*t, "abc"), (Ids{6}));      // b+c first, then a+bc
  EXPECT_EQ(encoded(*t, "abcc"), (Ids{6, 3}));  // of equal scores the left one: bc, not cc
  EXPECT_EQ(encoded(*t, "aab"), (Ids{1, 4}));
  EXPECT_EQ(encoded(*t, "\xc3\xa9"), (Ids{9 + 0xc3, 9 + 0xa9}));
  EXPECT_EQ(decoded(*t, encoded(*t, "a\xff\xc3\xa9 b")), "a\xff\xc3\xa9 b");
}

TEST(Unigram, NeedsATokenForTheUnknown) {
  TokenizerDef d;
  d.algorithm = Algorithm::unigram;
  for (const char* p : {"a", "b", "ab"}) d.pieces.add(p), d.scores.push_back(-1), d.flags.push_back(0);
  const auto t = made(std::move(d));
  EXPECT_EQ(encoded(*t, "aab"), (Ids{0, 2}));
  Ids ids;
  EXPECT_EQ(t->encode("ax", 0, &ids), TERN_ERR_UNSUPPORTED);
  EXPECT_TRUE(says("'x'"));
  EXPECT_EQ(encoded(*t, "ab"), (Ids{2}));  // usable afterwards
}

TEST(Tokenizer, ManyThreadsUseOne) {
  auto def = bytes_def({{"t", "h"}, {"th", "e"}, {" ", "the"}});
  def.cuts.push_back({.kind = Cut::Kind::split, .pattern = Pattern::gpt2});
  const auto t = made(std::move(def));
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "the " + std::to_string(i) + " other ";
  const Ids expected = encoded(*t, text);
  std::vector<std::thread> threads;
  for (int k = 0; k < 8; ++k)
    threads.emplace_back([&] {
      for (int i = 0; i < 5; ++i) EXPECT_EQ(encoded(*t, text), expected);
    });
  for (auto& thread : threads) thread.join();
}

// ---- streaming ----

TEST(Detokenizer, HandsOverWholeCharacters) {
  const auto t = made(bytes_def());
  const auto stream = [&](const std::string& bytes) {
    Detokenizer d(t, false);
    std::vector<std::string> parts;
    for (const char c : bytes) parts.emplace_back(d.add((uint8_t)c));
    parts.emplace_back(d.end());
    return parts;
  };
  using Parts = std::vector<std::string>;
  EXPECT_EQ(stream("a\xc3\xa9\xf0\x9f\x98\x80"), (Parts{"a", "", "\xc3\xa9", "", "", "", "\xf0\x9f\x98\x80", ""}));
  const std::string no = "\xef\xbf\xbd";
  EXPECT_EQ(stream("\xff"), (Parts{no, ""}));
  EXPECT_EQ(stream("\xf0\x9f"), (Parts{"", "", no}));
  EXPECT_EQ(stream("\xf0\x9f"
                   "a"),
            (Parts{"", "", no + "a", ""}));
  EXPECT_EQ(stream("\xe4\xb8\xc3\xa9"), (Parts{"", "", no, "\xc3\xa9", ""}));
  EXPECT_EQ(stream("\xed\xa0\x80"), (Parts{"", no + no, no, ""}));
}

// ---- files that nobody should write ----

TEST(Charsmap, DamagedTablesStayInside) {
  std::string table(4 + 0x103 * 4, '\0');
  const auto put = [&](size_t unit, uint32_t v) { std::memcpy(table.data() + 4 + unit * 4, &v, 4); };
  const uint32_t bytes = 0x103 * 4;
  std::memcpy(table.data(), &bytes, 4);
  put('A', 'A' | 0x100 | ('A' ^ 0x100) << 10);
  put(0x100, 0x80000000);
  table += std::string("bc\0", 3);
  ASSERT_EQ(check_charsmap(table), TERN_OK);
  std::string out;
  prepare_unicode();
  apply_charsmap(table, "xA\xffz\xc3", &out);
  EXPECT_EQ(out, "xbc\xffz\xc3");
  for (const std::string& bad : {std::string(), std::string("abc"), std::string("\4\0\0\0abc", 7), std::string(8, '\0'),
                                 std::string("\5\0\0\0aaaaaaaa", 12), std::string("\xff\xff\xff\xff\0\0\0\0", 8)})
    EXPECT_EQ(check_charsmap(bad), TERN_ERR_CORRUPT);
  EXPECT_EQ(check_charsmap(table + std::string(65, 'x')), TERN_ERR_LIMIT);
  for (size_t i = 0; i < table.size(); ++i)
    for (const int change : {1, 0x41, 0x80, 0xff}) {
      std::string other = table;
      other[i] = (char)(other[i] ^ change);
      other.shrink_to_fit();
      out.clear();
      if (check_charsmap(other) == TERN_OK) apply_charsmap(other, "ABAx\xc3\xa9", &out);
    }
}

std::string file(const std::string& vocab, const std::string& merges, const std::string& more = "") {
  return "{\"model\":{\"type\":\"BPE\",\"vocab\":" + vocab + ",\"merges\":" + merges + "}" + more + "}";
}

tern_status read(const std::string& json) {
  TokenizerDef def;
  const tern_status s = read_tokenizer_json(json, &def);
  if (s != TERN_OK) return s;
  std::shared_ptr<const Tokenizer> t;
  return Tokenizer::create(std::move(def), &t);
}

TEST(TokenizerFile, SaysWhatIsWrong) {
  const std::string abc = "{\"a\":0,\"b\":1,\"ab\":2}";
  EXPECT_EQ(read(file(abc, "[\"a b\"]")), TERN_OK) << thread_error().message;
  EXPECT_EQ(read(file(abc, "[[\"a\",\"b\"]]")), TERN_OK) << thread_error().message;
  const struct {
    std::string json;
    tern_status status;
    const char* text;
  } cases[] = {
      {"", TERN_ERR_CORRUPT, "JSON"},
      {"[]", TERN_ERR_CORRUPT, "not an object"},
      {"{}", TERN_ERR_CORRUPT, "'model'"},
      {"{\"model\":{\"type\":\"Magic\"}}", TERN_ERR_UNSUPPORTED, "'Magic'"},
      {file("{}", "[]"), TERN_ERR_CORRUPT, "empty"},
      {file("[]", "[]"), TERN_ERR_CORRUPT, "'vocab'"},
      {file(abc, "[\"a x\"]"), TERN_ERR_CORRUPT, "merge 0 names 'x'"},
      {file(abc, "[\"b a\"]"), TERN_ERR_CORRUPT, "no 'ba'"},
      {file(abc, "[\"ab\"]"), TERN_ERR_CORRUPT, "merge 0"},
      {file(abc, "[\"a b c\"]"), TERN_ERR_CORRUPT, "merge 0"},
      {file(abc, "[[\"a\",\"b\",\"c\"]]"), TERN_ERR_CORRUPT, "merge 0"},
      {file(abc, "[1]"), TERN_ERR_CORRUPT, "merge 0"},
      {file(abc, "{}"), TERN_ERR_CORRUPT, "'merges'"},
      {file("{\"a\":0,\"b\":0}", "[]"), TERN_ERR_CORRUPT, "one id, 0"},
      {file("{\"a\":0,\"a\":1}", "[]"), TERN_ERR_CORRUPT, "twice"},
      {file("{\"a\":-1}", "[]"), TERN_ERR_CORRUPT, "'a'"},
      {file("{\"a\":1.5}", "[]"), TERN_ERR_CORRUPT, "'a'"},
      {file("{\"a\":\"0\"}", "[]"), TERN_ERR_CORRUPT, "'a'"},
      {file("{\"a\":2147483648}", "[]"), TERN_ERR_LIMIT, "2147483648"},
      {file("{\"a\":99999999999999999999}", "[]"), TERN_ERR_CORRUPT, "'a'"},
      {file("{\"a\":1048576}", "[]"), TERN_ERR_LIMIT, "1048576"},
      {file("{\"\\ud800\":0}", "[]"), TERN_ERR_CORRUPT, "surrogate"},
      {file("{\"" + std::string(2000, 'a') + "\":0}", "[]"), TERN_ERR_LIMIT, "2000 bytes"},
      {file(abc, "[]", ",\"added_tokens\":[{\"id\":0,\"content\":\"x\"}]"), TERN_ERR_CORRUPT, "one id, 0"},
      {file(abc, "[]", ",\"added_tokens\":[{\"id\":5,\"content\":\"a\"}]"), TERN_ERR_CORRUPT, "added token 'a'"},
      {file(abc, "[]", ",\"added_tokens\":[{\"id\":5,\"content\":\"x\"},{\"id\":6,\"content\":\"x\"}]"),
       TERN_ERR_CORRUPT, "twice"},
      {file(abc, "[]", ",\"added_tokens\":[{\"id\":3000000000,\"content\":\"x\"}]"), TERN_ERR_LIMIT, "3000000000"},
      {file(abc, "[]", ",\"added_tokens\":[{\"content\":\"x\"}]"), TERN_ERR_CORRUPT, "'x'"},
      {file(abc, "[]",
            ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a+)+b\"},\"behavior\":\"Isolated\"}"),
       TERN_ERR_UNSUPPORTED, "'(a+)+b'"},
      {file(abc, "[]",
            ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"\"},\"behavior\":\"Isolated\"}"),
       TERN_ERR_CORRUPT, "cut 0"},
      {file(abc, "[]", ",\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}"), TERN_ERR_UNSUPPORTED, "UnicodeScripts"},
      {file(abc, "[]", ",\"normalizer\":{\"type\":\"Nmt\"}"), TERN_ERR_UNSUPPORTED, "'Nmt'"},
      {file(abc, "[]", ",\"normalizer\":3"), TERN_ERR_CORRUPT, "normalizer"},
      {file(abc, "[]", ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"*\"}"), TERN_ERR_CORRUPT,
       "base64"},
      {file(abc, "[]", ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAA\"}"),
       TERN_ERR_CORRUPT, "3 bytes"},
      {file(abc, "[]", ",\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"\"},\"content\":\"x\"}"),
       TERN_ERR_CORRUPT, "normalizer 0"},
      {file(abc, "[]", ",\"decoder\":{\"type\":\"CTC\"}"), TERN_ERR_UNSUPPORTED, "CTC"},
      {file(abc, "[]",
            ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"q\"}}]}"),
       TERN_ERR_CORRUPT, "'q'"},
      {file(abc, "[]", ",\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"a\",77],\"sep\":[\"b\",1]}"),
       TERN_ERR_CORRUPT, "token 77"},
      {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",1e999]]}}", TERN_ERR_CORRUPT, "token 0"},
      {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\"]]}}", TERN_ERR_CORRUPT, "token 0"},
      {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1]],\"unk_id\":1}}", TERN_ERR_CORRUPT, "'unk_id'"},
      {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":0}}}", TERN_ERR_CORRUPT, "unknown"},
      {"{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"x\",\"vocab\":{\"a\":0}}}", TERN_ERR_CORRUPT, "'x'"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(read(c.json), c.status) << c.json.substr(0, 300) << "\n" << thread_error().message;
    EXPECT_TRUE(says(c.text)) << c.json.substr(0, 300) << "\n" << thread_error().message;
  }
  // Steps within steps.
  std::string steps = "{\"type\":\"NFC\"}";
  for (int i = 0; i < 200; ++i) steps = "{\"type\":\"Sequence\",\"normalizers\":[" + steps + "]}";
  EXPECT_EQ(read(file(abc, "[]", ",\"normalizer\":" + steps)), TERN_ERR_LIMIT);
  // Replacements that blow a text up.
  std::string grow = "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aaaaaaaa\"}";
  for (int i = 0; i < 5; ++i) grow += ",{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aaaaaaaa\"}";
  EXPECT_EQ(read(file(abc, "[]", ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[" + grow + "]}")),
            TERN_ERR_LIMIT);
}

TEST(TokenizerFile, IdsMayHaveHoles) {
  TokenizerDef def;
  ASSERT_EQ(read_tokenizer_json(
                file("{\"a\":3,\"b\":1000}", "[]", ",\"added_tokens\":[{\"id\":7,\"content\":\"<x>\"}]"), &def),
            TERN_OK);
  const auto t = made(std::move(def));
  EXPECT_EQ(t->size(), 1001u);
  EXPECT_EQ(encoded(*t, "ab<x>a"), (Ids{3, 1000, 7, 3}));
  EXPECT_TRUE(t->def().flags[5] & kTokenUnused);
  EXPECT_EQ(decoded(*t, {0, 7, 5}), "<x>");
  EXPECT_EQ(t->find(""), -1);
}

// Names of bytes that are none are tokens like any other.
TEST(TokenizerFile, BytesThatAreNone) {
  TokenizerDef def;
  ASSERT_EQ(
      read_tokenizer_json("{\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"vocab\":{\"<0x-1>\":0,\"<0xZZ>\":1,"
                          "\"<0x41>\":2,\"<0x100>\":3},\"merges\":[]},\"decoder\":{\"type\":\"ByteFallback\"}}",
                          &def),
      TERN_OK);
  const auto t = made(std::move(def));
  EXPECT_EQ(encoded(*t, "A"), (Ids{2}));
  EXPECT_EQ(encoded(*t, "B"), (Ids{}));
  EXPECT_EQ(decoded(*t, {0, 1, 2, 3}), "<0x-1><0xZZ>A<0x100>");
}

TEST(StoredTokenizer, EveryCutAndChangeIsAnError) {
  auto def = bytes_def({{"a", "b"}, {"ab", "c"}});
  def.cuts.push_back({.pattern = Pattern::gpt2});
  def.normalizers.push_back({.kind = Normalizer::Kind::replace, .from = "x", .to = "y"});
  def.decodes.push_back({.kind = Decode::Kind::fuse});
  def.added.push_back({5, "<x>", true, false, false, true, false});
  def.before = {5};
  std::string stored;
  store_tokenizer(def, &stored);
  TokenizerDef back;
  ASSERT_EQ(read_stored_tokenizer(stored, &back), TERN_OK) << thread_error().message;
  EXPECT_EQ(encoded(*made(std::move(back)), "abcx", kAddSpecial), (Ids{5, 257, 'y'}));
  for (size_t n = 0; n < stored.size(); ++n)
    EXPECT_EQ(read_stored_tokenizer(stored.substr(0, n), &back), TERN_ERR_CORRUPT);
  EXPECT_EQ(read_stored_tokenizer(stored + "x", &back), TERN_ERR_CORRUPT);
  std::string newer = stored;
  newer[4] = 2;
  EXPECT_EQ(read_stored_tokenizer(newer, &back), TERN_ERR_UNSUPPORTED_VERSION);
  // Each byte as another one: an error, or something that works.
  for (size_t i = 0; i < stored.size(); ++i)
    for (const int change : {1, 0x80, 0xff}) {
      std::string other = stored;
      other[i] = (char)(other[i] ^ change);
      TokenizerDef d;
      std::shared_ptr<const Tokenizer> t;
      if (read_stored_tokenizer(other, &d) != TERN_OK || Tokenizer::create(std::move(d), &t) != TERN_OK) continue;
      Ids ids;
      if (t->encode("abc <x> d\xff", kAddSpecial | kParseSpecial, &ids) == TERN_OK) decoded(*t, ids);
    }
}

}  // namespace
}  // namespace tern::tokens
