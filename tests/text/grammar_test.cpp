// SPDX-License-Identifier: Apache-2.0
// Grammars: what they take, what they say of wrong ones, and which tokens they allow.
#include "text/grammar.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <random>
#include <regex>

#include "base/status.h"

namespace tern::tokens {
namespace {

// All single bytes, 256: the end, then `more`.
std::shared_ptr<const Tokenizer> tokenizer(const std::vector<std::string>& more = {}) {
  TokenizerDef d;
  d.byte_level = true;
  for (int b = 0; b < 256; ++b) d.pieces.add(std::string(1, (char)b));
  d.pieces.add("</s>");
  for (const std::string& m : more) d.pieces.add(m);
  d.flags.assign(d.pieces.size(), 0);
  d.flags[256] = kTokenSpecial;
  d.eos = 256;
  for (size_t i = 257; i < d.pieces.size(); ++i) d.flags[i] = kTokenApart;
  std::shared_ptr<const Tokenizer> t;
  EXPECT_EQ(Tokenizer::create(std::move(d), &t), TERN_OK) << thread_error().message;
  return t;
}
std::shared_ptr<const TokenTrie> trie(const std::vector<std::string>& more = {}) {
  const auto t = tokenizer(more);
  return std::make_shared<TokenTrie>(*t, t->size());
}
std::shared_ptr<const Grammar> grammar(std::string_view text) {
  std::shared_ptr<const Grammar> g;
  EXPECT_EQ(Grammar::create(text, &g), TERN_OK) << text << ": " << thread_error().message;
  return g;
}
std::string error_of(std::string_view text) {
  std::shared_ptr<const Grammar> g;
  return Grammar::create(text, &g) == TERN_OK ? "none" : thread_error().message;
}
bool takes(Matcher* m, std::string_view text) {
  m->reset();
  return (text.empty() || m->accept(text)) && m->may_end();
}
bool takes(std::string_view rules, std::string_view text) {
  Matcher m(grammar(rules), trie());
  return takes(&m, text);
}
std::vector<uint32_t> allowed(Matcher* m, int64_t left = -1) {
  std::span<const uint64_t> bits;
  EXPECT_EQ(m->allowed(left, &bits), TERN_OK) << thread_error().message;
  std::vector<uint32_t> list;
  for (uint32_t t = 0; t < bits.size() * 64; ++t)
    if (bits[t / 64] >> (t % 64) & 1) list.push_back(t);
  return list;
}

TEST(Grammar, TakesWhatItSays) {
  EXPECT_TRUE(takes("root ::= \"a\" | \"b\" [0-9]+ # a comment\n", "b42"));
  EXPECT_FALSE(takes("root ::= \"a\" | \"b\" [0-9]+", "b"));
  EXPECT_FALSE(takes("root ::= \"a\" | \"b\" [0-9]+", "a1"));
  EXPECT_TRUE(takes("root ::= x{2,3} \"!\"?\nx ::=\n ( \"ab\"\n | \"c\" )", "abcab!"));
  EXPECT_FALSE(takes("root ::= x{2,3}\nx ::= \"ab\" | \"c\"", "ccccc"));
  EXPECT_TRUE(takes("root ::= [^\"\\\\]*", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
  EXPECT_FALSE(takes("root ::= [^\"\\\\]*", "\xc3"));      // a character that is not whole
  EXPECT_FALSE(takes("root ::= .*", "\xed\xa0\x80"));      // a surrogate
  EXPECT_FALSE(takes("root ::= .*", "\xc0\x80"));          // longer than it need be
  EXPECT_FALSE(takes("root ::= .*", "\xf4\x90\x80\x80"));  // beyond the last one
  EXPECT_TRUE(takes("root ::= [\\u4e00-\\u9fff\\U0001F600]+", "\xe4\xb8\xad\xf0\x9f\x98\x80"));
  EXPECT_FALSE(takes("root ::= [\\u4e00-\\u9fff]+", "\xe3\x81\x82"));
  EXPECT_TRUE(takes("root ::= \"\\x41\\n\\\"\\u00e9\"", "A\n\"\xc3\xa9"));
  EXPECT_TRUE(takes("root ::= e\ne ::= \"(\" e* \")\"", "(()(()))"));
  EXPECT_FALSE(takes("root ::= e\ne ::= \"(\" e* \")\"", "(()(())"));
  EXPECT_TRUE(takes("root ::= \"a\" {2} [b-] {,2} \"\"", "aab-"));
  EXPECT_TRUE(takes("root ::= ((\"a\"?)* \"\"*)+ \"b\"", "aab"));  // what is empty may be repeated: it is empty
}

TEST(Grammar, SaysWhatIsWrongAndWhere) {
  const auto says = [](const std::string& text, const char* where, const char* what) {
    const std::string e = error_of(text);
    EXPECT_NE(e.find(where), e.npos) << text.substr(0, 100) << ": " << e;
    EXPECT_NE(e.find(what), e.npos) << text.substr(0, 100) << ": " << e;
  };
  says("", "line 1", "no rule");
  says("root ::= \"a\"\n  b", "line 2, column 3", "no rule 'b'");
  says("x ::= \"a\"", "line 1, column 1", "no rule 'root'");
  says("root ::= \"a\"\nroot ::= \"b\"", "line 2, column 1", "already");
  says("root ::= \"a", "line 1, column 10", "no end");
  says("root ::= \"\xc3\xa9\" [a", "line 1, column 14", "no end");
  says("root ::= (\"a\"", "column 10", "no end");
  says("root ::= \"a\")", "column 13", "closes nothing");
  says("root ::= \"\\q\"", "column 11", "escape");
  says("root ::= \"\\ud800\"", "column 11", "no such character");
  says("root ::= [z-a]", "column 11", "before it begins");
  says("root ::= []", "column 10", "no character");
  says("root ::= * \"a\"", "column 10", "nothing to repeat");
  says("root ::= \"a\"{3,2}", "column 13", "more repetitions");
  says("root ::= \"a\"{99999999999999999999}", "line 1", "repetitions");
  says("root ::= ((\"a\"{1000}){1000}){1000}", "line 1", "places");
  says("root ::= a\na ::= b \"x\"\nb ::= c? a | \"y\"\nc ::= \"z\"", "line 2", "left recursion");
  says("root ::= root", "line 1", "calls itself");
  says("root ::= \"a\" b\nb ::= \"(\" b \")\"", "line", "no text ends");
  says("root ::= " + std::string(10000, '(') + std::string(10000, ')'), "column 210", "groups within each other");
  says("root ::= \"a\" $", "column 14", "goes on");
  says("root ::= \"\xff\"", "column 11", "UTF-8");
  std::string doubled = "\"a\"";
  for (int i = 0; i < 40; ++i) doubled = "(" + doubled + "){2}";
  says("root ::= " + doubled, "line 1", "places");
}

// Random expressions against those of the standard library, over all texts of up to four letters.
TEST(Grammar, TakesWhatRegularExpressionsTake) {
  std::mt19937 random(1);
  const auto below = [&](int n) { return (int)(random() % (unsigned)n); };
  struct Both {
    std::string regex, rules;
  };
  const std::function<Both(int)> make = [&](int depth) -> Both {
    if (depth == 0 || below(4) == 0) {
      static const Both kLeaves[] = {
          {"a", "\"a\""}, {"b", "\"b\""}, {"[bc]", "[bc]"}, {"(?:)", "\"\""}, {"[^c]", "[^c]"}};
      return kLeaves[below(5)];
    }
    const Both x = make(depth - 1);
    switch (below(5)) {
      case 0: return {"(?:" + x.regex + ")*", "(" + x.rules + ")*"};
      case 1: {
        const int least = below(3), most = least + below(3);
        const std::string n = "{" + std::to_string(least) + "," + std::to_string(most) + "}";
        return {"(?:" + x.regex + ")" + n, "(" + x.rules + ")" + n};
      }
      case 2: {
        const Both y = make(depth - 1);
        return {"(?:" + x.regex + "|" + y.regex + ")", "(" + x.rules + " | " + y.rules + ")"};
      }
      case 3: {
        const Both y = make(depth - 1);
        return {x.regex + "(?:" + y.regex + ")+", x.rules + " (" + y.rules + ")+"};
      }
      default: {
        const Both y = make(depth - 1);
        return {x.regex + y.regex, x.rules + " " + y.rules};
      }
    }
  };
  std::vector<std::string> texts = {""};
  for (size_t i = 0; i < texts.size() && texts[i].size() < 4; ++i)
    for (const char c : {'a', 'b', 'c'}) texts.push_back(texts[i] + c);
  const auto tokens = trie();
  size_t taken = 0;
  for (int k = 0; k < 150; ++k) {
    const Both b = make(3);
    const std::regex expression(b.regex);
    Matcher m(grammar("root ::= " + b.rules), tokens);
    for (const std::string& t : texts) {
      const bool want = std::regex_match(t, expression);
      ASSERT_EQ(takes(&m, t), want) << b.rules << " and '" << t << "'";
      taken += want;
    }
  }
  EXPECT_GT(taken, 1000u);
}

// The mask says what accept() does, token by token.
TEST(Matcher, AllowsWhatItAccepts) {
  const std::vector<std::string> more = {"\"a\":", "{\"", "\"}",  "}}",       "tru",  "e",     "true",
                                         ", ",     "[[",  "]]",   "\xc3\xa9", "\xc3", "\xa9x", "12",
                                         "1}",     "[1,", "\": ", "aaa",      "\"\"", "[]",    "{}"};
  const auto tokens = trie(more);
  const auto g = grammar(R"(root ::= v
v ::= "true" | [0-9]+ | s | "[" (v ("," v)*)? "]" | "{" (s ": " v ("," s ": " v)*)? "}"
s ::= "\"" [^"\\]* "\"")");
  std::mt19937 random(2);
  Matcher m(g, tokens), other(g, tokens);
  size_t steps = 0;
  for (int k = 0; k < 60; ++k) {
    m.reset();
    std::vector<uint32_t> way;
    while (way.size() < 30) {
      const std::vector<uint32_t> list = allowed(&m);
      ASSERT_FALSE(list.empty());
      std::vector<uint32_t> found;
      for (uint32_t t = 0; t < tokens->size(); ++t) {
        other.reset();
        for (const uint32_t w : way) ASSERT_TRUE(other.accept(w));
        if (other.accept(t)) found.push_back(t);
      }
      ASSERT_EQ(list, found);
      EXPECT_EQ(std::count(list.begin(), list.end(), 256u) == 1, m.may_end());
      const uint32_t t = list[random() % list.size()];
      if (t == 256) break;
      ASSERT_TRUE(m.accept(t));
      way.push_back(t), ++steps;
    }
  }
  EXPECT_GT(steps, 300u);
  m.reset();
  EXPECT_FALSE(m.accept(256u));  // not before the text may end
  EXPECT_FALSE(m.accept(99999u));
  for (const char c : std::string("12")) EXPECT_TRUE(m.accept((uint32_t)c));
  EXPECT_TRUE(m.accept(256u));
  EXPECT_TRUE(m.ended() && allowed(&m).empty() && !m.accept((uint32_t)'1'));
}

TEST(Matcher, EndsWithinSoManyTokens) {
  const auto tokens = trie({"[[", "]]", "[[[[[[[["});
  const auto g = grammar("root ::= \"[\" root* \"]\" | \"<\" [a-z]* \"longend>\"");
  std::mt19937 random(3);
  Matcher m(g, tokens);
  EXPECT_EQ(m.least(), 2u);
  for (const int64_t most : {3, 4, 5, 9, 20, 50}) {
    for (int k = 0; k < 50; ++k) {
      m.reset();
      int64_t used = 0;
      while (!m.ended()) {
        const std::vector<uint32_t> list = allowed(&m, most - used);
        ASSERT_FALSE(list.empty());
        ASSERT_TRUE(m.accept(list[random() % list.size()]));
        ++used;
      }
      EXPECT_LE(used, most);
    }
  }
  // Fewer than the shortest way: that way is taken.
  m.reset();
  ASSERT_TRUE(m.accept("<a"));
  EXPECT_EQ(allowed(&m, 2), std::vector<uint32_t>{'l'});
}

// The end of what is nested is remembered, however deep, and what no longer matters is forgotten.
TEST(Matcher, DeepAndLong) {
  Matcher m(grammar("root ::= \"[\" root? \"]\""), trie());
  const std::string open(50000, '['), close(50000, ']');
  ASSERT_TRUE(m.accept(open));
  EXPECT_EQ(m.least(), 50000u);
  ASSERT_TRUE(m.accept(close));
  EXPECT_TRUE(m.may_end());
  EXPECT_FALSE(m.accept("]"));
  Matcher list(grammar("root ::= \"a\" root | \"b\""), trie());  // calls at the end leave nothing open
  ASSERT_TRUE(list.accept(std::string(1000000, 'a')));
  EXPECT_EQ(list.least(), 1u);
}

TEST(Matcher, TooManyReadingsAreAnError) {
  Matcher m(grammar("root ::= \"x\" root \"a\" | \"x\" root \"b\" | \"x\" root [ac] | \"x\" root [bc] | \"x\""),
            trie());
  std::span<const uint64_t> bits;
  tern_status status = TERN_OK;
  for (int i = 0; i < 40 && status == TERN_OK; ++i) {
    if (!m.accept("x")) {
      status = m.allowed(-1, &bits);
      break;
    }
    status = m.allowed(-1, &bits);
  }
  EXPECT_EQ(status, TERN_ERR_LIMIT);
}

// 100000 tokens: a mask takes milliseconds the first time, and next to nothing again.
TEST(Matcher, IsFast) {
  std::mt19937 random(4);
  std::vector<std::string> more;
  for (int i = 0; i < 100000; ++i) {
    std::string t;
    for (size_t n = 2 + random() % 8; n > 0; --n) t += (char)('a' + random() % 26);
    more.push_back(t + std::to_string(i));
  }
  const auto tokens = trie(more);
  Matcher m(grammar("root ::= \"\\\"\" ([^\"\\\\\\x00-\\x1f] | \"\\\\\" [\"\\\\/bfnrt])* \"\\\"\""), tokens);
  ASSERT_TRUE(m.accept("\""));
  const auto now = [] { return std::chrono::steady_clock::now(); };
  const auto begin = now();
  EXPECT_GT(allowed(&m).size(), 100000u);
  const auto first = now();
  std::span<const uint64_t> bits;
  for (int i = 0; i < 100; ++i) ASSERT_EQ(m.allowed(-1, &bits), TERN_OK);
  const auto end = now();
  const double a = std::chrono::duration<double>(first - begin).count(),
               b = std::chrono::duration<double>(end - first).count() / 100;
  std::printf("first %.2f ms, again %.4f ms\n", a * 1e3, b * 1e3);
  EXPECT_LT(b, a / 10);
}

}  // namespace
}  // namespace tern::tokens
