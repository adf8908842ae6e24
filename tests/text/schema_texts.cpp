// SPDX-License-Identifier: Apache-2.0
// Reads JSON schemas from stdin, one a line, and writes random texts of each: `tern_schema_texts COUNT SEED`.
// A text is chosen token by token among those that are allowed; every second one has a limit of tokens. Each answer
// is "T <text>" or "E <message>", and ends with a NUL. For schemas_test.py.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <random>

#include "base/status.h"
#include "text/grammar.h"
#include "text/json_schema.h"

using namespace tern;
using namespace tern::tokens;

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 4;
  std::mt19937 random(argc > 2 ? (unsigned)std::atoi(argv[2]) : 1u);
  TokenizerDef d;
  d.byte_level = true;
  for (int b = 0; b < 256; ++b) d.pieces.add(std::string(1, (char)b));
  d.pieces.add("</s>");
  for (const char* t : {"\"}",      "\", \"", "\": ", "{\"", "[]",  "{}",  "[{",  "}]",  "true",     "null",
                        "fals",     "12",     ".5",   "e1",  "abc", "the", "\\u", "\\n", "\xc3\xa9", "\xf0\x9f\x98\x80",
                        "\xe4\xb8", ",\n",    "-1",   "00",  "]}"})
    d.pieces.add(t);
  d.flags.assign(d.pieces.size(), 0);
  d.flags[256] = kTokenSpecial;
  d.eos = 256;
  for (size_t i = 257; i < d.pieces.size(); ++i) d.flags[i] = kTokenApart;
  std::shared_ptr<const Tokenizer> t;
  if (Tokenizer::create(std::move(d), &t) != TERN_OK) return 1;
  const auto trie = std::make_shared<TokenTrie>(*t, t->size());
  const auto answer = [](char kind, const std::string& text) {
    std::putchar(kind), std::putchar(' ');
    std::fwrite(text.data(), 1, text.size() + 1, stdout);
  };
  std::string line;
  while (std::getline(std::cin, line)) {
    std::shared_ptr<const Grammar> grammar;
    if (grammar_of_schema(line, &grammar) != TERN_OK) {
      for (int k = 0; k < count; ++k) answer('E', thread_error().message);
      continue;
    }
    Matcher m(grammar, trie);
    for (int k = 0; k < count; ++k) {
      m.reset();
      const int64_t least = (int64_t)m.least() + 2;
      int64_t left = k % 2 ? least + (int64_t)(random() % 40) : least + 200;
      std::string text, error;
      while (!m.ended()) {
        std::span<const uint64_t> bits;
        if (m.allowed(left, &bits) != TERN_OK) error = thread_error().message;
        std::vector<uint32_t> list;
        for (uint32_t i = 0; i < t->size(); ++i)
          if (bits[i / 64] >> (i % 64) & 1) list.push_back(i);
        if (error.empty() && list.empty()) error = "no token is allowed after " + text;
        if (error.empty() && left <= 0) error = "more tokens than there may be: " + text;
        if (!error.empty()) break;
        const uint32_t token = list[random() % list.size()];
        if (!m.accept(token)) error = "an allowed token is refused after " + text;
        if (token != 256) text += t->text(token);
        --left;
      }
      if (error.empty()) answer('T', text);
      else answer('E', error);
    }
  }
  return 0;
}
