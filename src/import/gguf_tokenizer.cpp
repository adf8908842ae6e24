// SPDX-License-Identifier: Apache-2.0
// The tokenizer that a GGUF file carries.
#include <algorithm>
#include <unordered_map>

#include "import/gguf.h"

namespace tern {
namespace {

using tokens::AddedToken;
using tokens::Behavior;
using tokens::Cut;
using tokens::Decode;
using tokens::Normalizer;
using tokens::Pattern;
using tokens::TokenizerDef;

enum TokenType : int64_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

// How a text is cut before pairs are merged, by the name that llama.cpp gives to it.
struct Pre {
  const char* name;
  Pattern pattern;
  uint8_t most_digits = 0;
  bool each_number = false, nfc = false, whole_first = false;
};
constexpr Pre kPres[] = {
    {"gpt-2", Pattern::gpt2},
    {"smollm", Pattern::gpt2, 0, true},
    {"llama-bpe", Pattern::words_numbers, 3, false, false, true},
    {"llama3", Pattern::words_numbers, 3, false, false, true},
    {"qwen2", Pattern::words_numbers, 1, false, true},
    {"gpt-4o", Pattern::o200k},
    {"tekken", Pattern::tekken},
};

struct Source {
  std::string_view model, pre;
  std::vector<std::string_view> tokens, merges;
  std::vector<int64_t> types;
  std::vector<float> scores;
};

tern_status read_source(const Gguf& file, Source* s) {
  TERN_TRY(file.text("tokenizer.ggml.model", &s->model));
  TERN_TRY(file.text("tokenizer.ggml.pre", &s->pre));
  TERN_TRY(file.texts("tokenizer.ggml.tokens", &s->tokens));
  TERN_TRY(file.texts("tokenizer.ggml.merges", &s->merges));
  TERN_TRY(file.integers("tokenizer.ggml.token_type", &s->types));
  TERN_TRY(file.numbers("tokenizer.ggml.scores", &s->scores));
  if (s->tokens.size() > tokens::kMaxTokens)
    return TERN_FAIL(TERN_ERR_LIMIT, "GGUF: %zu tokens; up to %u are read", s->tokens.size(), tokens::kMaxTokens);
  if (!s->types.empty() && s->types.size() != s->tokens.size())
    return TERN_FAIL(TERN_ERR_CORRUPT, "GGUF: %zu types of %zu tokens", s->types.size(), s->tokens.size());
  if (s->types.empty()) s->types.assign(s->tokens.size(), kNormal);
  return TERN_OK;
}

tern_status add_pieces(const Source& s, TokenizerDef* d) {
  std::string bytes;
  for (size_t i = 0; i < s.tokens.size(); ++i) {
    const bool added = s.types[i] == kControl || s.types[i] == kUserDefined;
    uint8_t flags = s.types[i] == kUnused ? (uint8_t)tokens::kTokenUnused : (uint8_t)0;
    std::string_view piece = s.tokens[i];
    if (d->byte_level) {
      if (added || !tokens::from_byte_alphabet(piece, &bytes)) flags |= tokens::kTokenApart;
      else piece = bytes;
    } else if (added) {
      flags |= tokens::kTokenApart;
    }
    if (!d->pieces.add(piece)) return TERN_FAIL(TERN_ERR_LIMIT, "GGUF: the tokens have more than 2 GiB together");
    d->flags.push_back(flags);
    if (!added || s.tokens[i].empty()) continue;
    AddedToken t;
    t.id = (uint32_t)i, t.text = std::string(s.tokens[i]), t.special = s.types[i] == kControl;
    d->added.push_back(std::move(t));
  }
  return TERN_OK;
}

tern_status add_merges(const Source& s, TokenizerDef* d) {
  std::unordered_map<std::string_view, uint32_t> ids;
  for (size_t i = 0; i < s.tokens.size(); ++i) ids.emplace(s.tokens[i], (uint32_t)i);
  for (size_t i = 0; i < s.merges.size(); ++i) {
    // No piece of the byte alphabet has a space; the first character of a merge may be no separator.
    const std::string_view merge = s.merges[i];
    const size_t space = merge.find(' ', 1);
    const auto left = ids.find(merge.substr(0, std::min(space, merge.size())));
    const auto right = space == std::string_view::npos ? ids.end() : ids.find(merge.substr(space + 1));
    if (left == ids.end() || right == ids.end())
      return TERN_FAIL(TERN_ERR_CORRUPT, "GGUF: merge %zu, '%.*s', names no two tokens", i,
                       (int)std::min<size_t>(merge.size(), 60), merge.data());
    d->merges.push_back({left->second, right->second});
  }
  return TERN_OK;
}

tern_status read_byte_level(const Source& s, TokenizerDef* d) {
  const auto pre = std::find_if(std::begin(kPres), std::end(kPres), [&](const Pre& p) {
    return s.pre == p.name || (s.pre.empty() && p.name == kPres[0].name);
  });
  if (pre == std::end(kPres)) {
    std::string names;
    for (const Pre& p : kPres) names += (names.empty() ? "" : ", ") + std::string(p.name);
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "GGUF: texts are cut as in '%.*s'; known are %s",
                     (int)std::min<size_t>(s.pre.size(), 60), s.pre.data(), names.c_str());
  }
  d->byte_level = true;
  d->whole_first = pre->whole_first;
  if (pre->nfc) d->normalizers.push_back({.kind = Normalizer::Kind::nfc});
  if (pre->each_number) d->cuts.push_back({.kind = Cut::Kind::split, .pattern = Pattern::number});
  d->cuts.push_back({.kind = Cut::Kind::split, .pattern = pre->pattern, .most_digits = pre->most_digits});
  TERN_TRY(add_pieces(s, d));
  return add_merges(s, d);
}

// Pieces are text with '\u2581' for a space; any two whose join is a piece may merge, the highest score first.
tern_status read_sentence_piece(const Gguf& file, const Source& s, TokenizerDef* d) {
  constexpr const char* kSpace = "\xe2\x96\x81";
  if (s.scores.size() != s.tokens.size())
    return TERN_FAIL(TERN_ERR_CORRUPT, "GGUF: %zu scores of %zu tokens", s.scores.size(), s.tokens.size());
  int64_t prefix = 1;
  TERN_TRY(file.integer("tokenizer.ggml.add_space_prefix", &prefix));
  d->by_score = true;
  d->bytes_fall_back = true;
  d->scores.assign(s.scores.begin(), s.scores.end());
  if (prefix) d->normalizers.push_back({.kind = Normalizer::Kind::prepend, .to = kSpace});
  d->normalizers.push_back({.kind = Normalizer::Kind::replace, .from = " ", .to = kSpace});
  d->decodes.push_back({.kind = Decode::Kind::replace, .from = kSpace, .to = " "});
  d->decodes.push_back({.kind = Decode::Kind::byte_fallback});
  d->decodes.push_back({.kind = Decode::Kind::fuse});
  if (prefix) d->decodes.push_back({.kind = Decode::Kind::strip, .start = 1, .from = " "});
  return add_pieces(s, d);
}

}  // namespace

tern_status read_gguf_tokenizer(const Gguf& file, TokenizerDef* out) {
  Source s;
  TERN_TRY(read_source(file, &s));
  TokenizerDef d;
  if (s.model == "gpt2") TERN_TRY(read_byte_level(s, &d));
  else if (s.model == "llama") TERN_TRY(read_sentence_piece(file, s, &d));
  else
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "GGUF: a tokenizer of the kind '%.*s'; gpt2 and llama are known",
                     (int)std::min<size_t>(s.model.size(), 60), s.model.data());
  const auto role = [&](const char* key, int32_t* id) -> tern_status {
    int64_t v = -1;
    TERN_TRY(file.integer(key, &v));
    if (v < -1 || v >= (int64_t)s.tokens.size())
      return TERN_FAIL(TERN_ERR_CORRUPT, "GGUF: '%s' is %lld, there are %zu tokens", key, (long long)v,
                       s.tokens.size());
    *id = (int32_t)v;
    return TERN_OK;
  };
  TERN_TRY(role("tokenizer.ggml.bos_token_id", &d.bos));
  TERN_TRY(role("tokenizer.ggml.eos_token_id", &d.eos));
  TERN_TRY(role("tokenizer.ggml.padding_token_id", &d.pad));
  if (!d.byte_level) TERN_TRY(role("tokenizer.ggml.unknown_token_id", &d.unknown));
  int64_t begin = d.byte_level ? 0 : 1, end = 0;
  TERN_TRY(file.integer("tokenizer.ggml.add_bos_token", &begin));
  TERN_TRY(file.integer("tokenizer.ggml.add_eos_token", &end));
  if (begin && d.bos >= 0) d.before.push_back((uint32_t)d.bos);
  if (end && d.eos >= 0) d.after.push_back((uint32_t)d.eos);
  *out = std::move(d);
  return TERN_OK;
}

}  // namespace tern
