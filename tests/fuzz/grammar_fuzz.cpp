// SPDX-License-Identifier: Apache-2.0
// Fuzz target: any bytes as a grammar, and as a JSON schema. One that is taken is followed for some tokens, which the
// input chooses among those that are allowed: each is accepted, and with few tokens left the text comes to its end.
#include <cstdlib>
#include <string>

#include "text/grammar.h"
#include "text/json_schema.h"

namespace {

using namespace tern::tokens;

void check(bool good) {
  if (!good) std::abort();
}

const std::shared_ptr<const TokenTrie>& trie() {
  static const std::shared_ptr<const TokenTrie> made = [] {
    TokenizerDef d;
    d.byte_level = true;
    for (int b = 0; b < 256; ++b) d.pieces.add(std::string(1, (char)b));
    for (const char* t : {"</s>", "{\"", "\":", "\"}", "[[", "true", "\xc3\xa9", "\xe4\xb8", "aa", "10"})
      d.pieces.add(t);
    d.flags.assign(d.pieces.size(), 0);
    for (size_t i = 256; i < d.pieces.size(); ++i) d.flags[i] = kTokenApart;
    d.flags[256] = kTokenSpecial, d.eos = 256;
    std::shared_ptr<const Tokenizer> t;
    check(Tokenizer::create(std::move(d), &t) == TERN_OK);
    return std::make_shared<const TokenTrie>(*t, t->size());
  }();
  return made;
}

void follow(std::shared_ptr<const Grammar> grammar, std::string_view bytes) {
  Matcher m(std::move(grammar), trie());
  const uint64_t least = m.least();
  check(least != Grammar::kNever);
  int64_t left = (int64_t)std::min<uint64_t>(least, 40) + 20;
  for (size_t i = 0; i < 100 && !m.ended(); ++i, --left) {
    std::span<const uint64_t> bits;
    if (m.allowed(left, &bits) != TERN_OK) return;  // too many readings
    std::vector<uint32_t> list;
    for (uint32_t t = 0; t < trie()->size(); ++t)
      if (bits[t / 64] >> (t % 64) & 1) list.push_back(t);
    check(!list.empty());  // each byte is a token
    check(m.accept(list[(uint8_t)bytes[i % bytes.size()] % list.size()]));
  }
  check(m.ended() || least > 40);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes((const char*)data, size);
  std::shared_ptr<const Grammar> grammar;
  if (Grammar::create(bytes, &grammar) == TERN_OK) follow(std::move(grammar), bytes);
  if (grammar_of_schema(bytes, &grammar) == TERN_OK) follow(std::move(grammar), bytes);
  return 0;
}
