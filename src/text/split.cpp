// SPDX-License-Identifier: Apache-2.0
#include "text/split.h"

#include <algorithm>
#include <cstring>

namespace tern::tokens {
namespace {

// A place in a text: the character there is read once.
struct At {
  const uint8_t *p, *end;
  Char c;

  At(const uint8_t* from, const uint8_t* to) : p(from), end(to) { read(); }
  void read() {
    if (p < end) c = read_char(p, end);
    else c = {kNoCharacter, 0, 0};
  }
  bool more() const { return p < end; }
  bool is(uint16_t flags) const { return c.flags & flags; }
  void next() {
    p += c.size;
    read();
  }
  // Moves on while a character has one of the flags, at most so many of them.
  void skip(uint16_t flags, uint32_t most = UINT32_MAX) {
    for (; more() && is(flags) && most > 0; --most) next();
  }
};

bool is_line_end(const Char& c) { return c.code == '\n' || c.code == '\r'; }
// [^\s\p{L}\p{N}]; bytes that are no UTF-8 belong to it.
bool is_other(const At& a) { return a.more() && !a.is(kSpace | kLetter | kNumber); }

// ('s|'t|'re|'ve|'m|'ll|'d) at p: its end, or NULL. any_case: the expression is (?i:...), where ſ is an s.
const uint8_t* contraction(const uint8_t* p, const uint8_t* end, bool any_case) {
  if (end - p < 2 || *p != '\'') return nullptr;
  const auto at = [&](ptrdiff_t i) -> uint8_t {
    if (i >= end - p) return 0;
    const uint8_t c = p[i];
    return any_case && c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
  };
  const uint8_t a = at(1), b = at(2);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return p + 2;
  if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return p + 3;
  if (any_case && a == 0xc5 && b == 0xbf) return p + 3;  // ſ
  return nullptr;
}

// \s+(?!\S)|\s+ at a white space; with line_ends, \s*[\r\n]+ goes before.
const uint8_t* spaces(At a, bool line_ends) {
  const uint8_t *const begin = a.p, *last_line = nullptr, *last = a.p;
  while (a.more() && a.is(kSpace)) {
    last = a.p;
    const bool line = is_line_end(a.c);
    a.next();
    if (line) last_line = a.p;
  }
  if (line_ends && last_line) return last_line;
  return a.more() && last > begin ? last : a.p;
}

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
const uint8_t* match_gpt2(const uint8_t* p, const uint8_t* end) {
  if (const uint8_t* e = contraction(p, end, false)) return e;
  At a(p, end);
  if (*p == ' ') {
    a.next();
    if (!a.more() || a.is(kSpace)) return spaces(At(p, end), false);
  }
  if (a.is(kLetter)) a.skip(kLetter);
  else if (a.is(kNumber)) a.skip(kNumber);
  else if (a.is(kSpace)) return spaces(a, false);
  else
    while (is_other(a)) a.next();
  return a.p;
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
const uint8_t* match_words_numbers(const uint8_t* p, const uint8_t* end, uint32_t most_digits) {
  if (const uint8_t* e = contraction(p, end, true)) return e;
  At a(p, end);
  if (a.is(kLetter)) {
    a.skip(kLetter);
    return a.p;
  }
  if (a.is(kNumber)) {
    a.skip(kNumber, most_digits ? most_digits : UINT32_MAX);
    return a.p;
  }
  At next = a;
  next.next();
  if (!is_line_end(a.c) && next.is(kLetter)) {
    next.skip(kLetter);
    return next.p;
  }
  if (a.c.code == ' ' && is_other(next)) a = next;
  if (!is_other(a)) return spaces(a, true);
  while (is_other(a)) a.next();
  while (is_line_end(a.c)) a.next();
  return a.p;
}

constexpr uint16_t kUpperPart = kUpper | kOtherLetter | kMark, kLowerPart = kLower | kOtherLetter | kMark;

// [upper]*[lower]+ or [upper]+[lower]* at a: the end, or NULL.
const uint8_t* mixed_word(At a, bool lower_needed) {
  const uint8_t *const begin = a.p, *behind_lower = nullptr;
  while (a.more() && a.is(kUpperPart)) {
    const bool lower = a.is(kLowerPart);
    a.next();
    if (lower) behind_lower = a.p;  // where the last of [upper]* can be given to [lower]+
  }
  if (!lower_needed) {
    if (a.p == begin) return nullptr;
    a.skip(kLowerPart);
    return a.p;
  }
  if (!a.more() || !a.is(kLowerPart)) return behind_lower;
  a.skip(kLowerPart);
  return a.p;
}

const uint8_t* match_o200k(const uint8_t* p, const uint8_t* end, bool contractions, uint32_t most_digits) {
  At a(p, end);
  At next = a;
  next.next();
  const bool prefix = !is_line_end(a.c) && !a.is(kLetter | kNumber);  // [^\r\n\p{L}\p{N}]
  for (const bool lower_needed : {true, false})
    for (const bool with_prefix : {true, false}) {
      if (with_prefix && (!prefix || !next.more())) continue;
      const uint8_t* e = mixed_word(with_prefix ? next : a, lower_needed);
      if (!e) continue;
      const uint8_t* const more = contractions ? contraction(e, end, true) : nullptr;
      return more ? more : e;
    }
  if (a.is(kNumber)) {
    a.skip(kNumber, most_digits);
    return a.p;
  }
  if (a.c.code == ' ' && is_other(next)) a = next;
  if (!is_other(a)) return spaces(a, true);
  while (is_other(a)) a.next();
  while (is_line_end(a.c) || a.c.code == '/') a.next();
  return a.p;
}

// <\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
// NULL: white space, which no match begins with.
const uint8_t* match_clip(const uint8_t* p, const uint8_t* end, bool specials) {
  for (const std::string_view special : {"<|startoftext|>", "<|endoftext|>"})
    if (specials && (size_t)(end - p) >= special.size() && std::memcmp(p, special.data(), special.size()) == 0)
      return p + special.size();
  if (const uint8_t* e = contraction(p, end, false)) return e;
  At a(p, end);
  if (a.is(kLetter)) a.skip(kLetter);
  else if (a.is(kNumber)) a.skip(kNumber, 1);
  else
    while (is_other(a)) a.next();
  return a.p > p ? a.p : nullptr;
}

bool is_ascii_punctuation(uint32_t c) { return c < 128 && detail::ascii_flags[c] & (kPunctuation | kSymbol); }
bool is_ascii_letter(uint32_t c) { return (c | 32) - 'a' < 26; }

// [!"#$...~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
// NULL: no match begins here.
const uint8_t* match_deepseek(const uint8_t* p, const uint8_t* end) {
  At a(p, end);
  At next = a;
  next.next();
  if (is_ascii_punctuation(a.c.code) && next.more() && is_ascii_letter(next.c.code)) {
    while (next.more() && is_ascii_letter(next.c.code)) next.next();
    return next.p;
  }
  if (!is_line_end(a.c) && !a.is(kLetter | kPunctuation | kSymbol) && next.is(kLetter | kMark)) {
    next.skip(kLetter | kMark);
    return next.p;
  }
  if (a.is(kLetter | kMark)) {
    a.skip(kLetter | kMark);
    return a.p;
  }
  if (a.c.code == ' ' && next.is(kPunctuation | kSymbol)) a = next;
  if (a.is(kPunctuation | kSymbol)) {
    a.skip(kPunctuation | kSymbol);
    while (is_line_end(a.c)) a.next();
    return a.p;
  }
  return a.is(kSpace) ? spaces(a, true) : nullptr;
}

bool is_kana_kanji(uint32_t c) { return (c >= 0x4e00 && c <= 0x9fa5) || (c >= 0x3040 && c <= 0x30ff); }

// A match that begins at a, or NULL.
const uint8_t* match_at(const Cut& cut, const At& a) {
  At b = a;
  switch (cut.pattern) {
    case Pattern::literal: return nullptr;  // found by find_match
    case Pattern::gpt2: return match_gpt2(a.p, a.end);
    case Pattern::words_numbers: return match_words_numbers(a.p, a.end, cut.most_digits);
    case Pattern::o200k: return match_o200k(a.p, a.end, true, 3);
    case Pattern::tekken: return match_o200k(a.p, a.end, false, 1);
    case Pattern::deepseek: return match_deepseek(a.p, a.end);
    case Pattern::clip: return match_clip(a.p, a.end, true);
    case Pattern::clip_plain: return match_clip(a.p, a.end, false);
    case Pattern::numbers: b.skip(kNumber, cut.most_digits ? cut.most_digits : UINT32_MAX); break;
    case Pattern::kana_kanji:
      while (b.more() && is_kana_kanji(b.c.code)) b.next();
      break;
    case Pattern::spaces: b.skip(kSpace); break;
    case Pattern::blanks:
      while (b.c.code == ' ') b.next();
      return b.p - a.p > 1 ? b.p : nullptr;
    case Pattern::word_or_other:
      if (b.is(kWord)) b.skip(kWord);
      else
        while (b.more() && !b.is(kWord | kSpace)) b.next();
      break;
    case Pattern::number: b.skip(kNumber, 1); break;
    case Pattern::space: b.skip(kSpace, 1); break;
    case Pattern::punctuation:
      if (b.is(kPunctuation) || is_ascii_punctuation(b.c.code)) b.next();
  }
  return b.p > a.p ? b.p : nullptr;
}

// The expressions of known tokenizers, letter by letter.
struct Known {
  const char* expression;
  Pattern pattern;
  uint8_t most_digits;
};
constexpr Known kKnown[] = {
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", Pattern::gpt2, 0},
    {R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", Pattern::gpt2, 0},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
     R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     Pattern::words_numbers, 3},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
     R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     Pattern::words_numbers, 1},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+|)"
     R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     Pattern::words_numbers, 0},
    {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
     R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
     R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     Pattern::o200k, 0},
    {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
     R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
     R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     Pattern::tekken, 0},
    {R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|)"
     R"([^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     Pattern::deepseek, 0},
    {R"(\p{N}{1,3})", Pattern::numbers, 3},
    {R"(\p{N}+)", Pattern::numbers, 0},
    {R"(\p{N})", Pattern::number, 0},
    {"[一-龥぀-ゟ゠-ヿ]+", Pattern::kana_kanji, 0},
    {R"(\s+)", Pattern::spaces, 0},
    {R"( {2,})", Pattern::blanks, 0},
    {R"('s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)", Pattern::clip_plain, 0},
    {R"(<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)", Pattern::clip,
     0},
    {R"(\s)", Pattern::space, 0},
};

}  // namespace

bool find_pattern(std::string_view expression, Pattern* pattern, uint8_t* most_digits) {
  // Some files hold the line ends themselves where others hold their escapes.
  std::string text;
  for (const char c : expression) {
    if (c == '\r') text += "\\r";
    else if (c == '\n') text += "\\n";
    else text += c;
  }
  for (const Known& k : kKnown)
    if (text == k.expression) {
      *pattern = k.pattern, *most_digits = k.most_digits;
      return true;
    }
  return false;
}

bool find_match(const Cut& cut, const uint8_t* from, const uint8_t* end, const uint8_t** match,
                const uint8_t** behind) {
  if (cut.pattern == Pattern::literal) {
    const uint8_t* const at =
        std::search(from, end, cut.text.begin(), cut.text.end(), [](uint8_t a, char b) { return a == (uint8_t)b; });
    if (at == end) return false;
    *match = at, *behind = at + cut.text.size();
    return true;
  }
  for (At a(from, end); a.more(); a.next())
    if (const uint8_t* const e = match_at(cut, a)) {
      *match = a.p, *behind = e;
      return true;
    }
  return false;
}

}  // namespace tern::tokens
