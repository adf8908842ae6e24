// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer.h"

#include <cmath>
#include <mutex>

#include "base/status.h"
#include "base/text.h"
#include "text/algorithms.h"
#include "text/charsmap.h"
#include "text/split.h"
#include "text/unicode.h"

namespace tern::tokens {

namespace {

constexpr size_t kMostBytes = size_t(1) << 30;  // of a text
constexpr size_t kLargeText = size_t(1) << 16;
constexpr size_t kMostScratch = 16;  // kept for later calls

void replace_all(std::string_view from, std::string_view to, std::string_view text, std::string* out) {
  out->clear();
  for (size_t at = 0;;) {
    const size_t next = text.find(from, at);
    out->append(text.substr(at, next == std::string_view::npos ? next : next - at));
    if (next == std::string_view::npos) return;
    out->append(to);
    at = next + from.size();
  }
}

void replace_matches(const Normalizer& s, const uint8_t* p, const uint8_t* end, std::string* out) {
  Cut by;
  by.pattern = s.pattern;
  const uint8_t *match = nullptr, *behind = nullptr;
  for (; p < end && find_match(by, p, end, &match, &behind); p = behind) {
    out->append((const char*)p, (size_t)(match - p));
    out->append(s.to);
  }
  out->append((const char*)p, (size_t)(end - p));
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// "<0x0A>"; -1: another text.
int byte_of(std::string_view piece) {
  if (piece.size() != 6 || piece.substr(0, 3) != "<0x" || piece[5] != '>') return -1;
  const int high = hex_digit(piece[3]), low = hex_digit(piece[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

std::string shown(std::string_view text) { return std::string(text.substr(0, 60)); }

}  // namespace

namespace {
constexpr bool is_printable(uint32_t byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
}
// Printable bytes are themselves; the others, in order, are the characters from U+0100 on.
constexpr auto kOthers = [] {
  std::array<uint8_t, 68> list{};
  size_t n = 0;
  for (uint32_t b = 0; b < 256; ++b)
    if (!is_printable(b)) list[n++] = (uint8_t)b;
  return list;
}();
}  // namespace

bool from_byte_alphabet(std::string_view piece, std::string* bytes) {
  bytes->clear();
  const uint8_t *p = (const uint8_t*)piece.data(), *const end = p + piece.size();
  while (p < end) {
    const Char c = read_char(p, end);
    p += c.size;
    if (is_printable(c.code)) bytes->push_back((char)c.code);
    else if (c.code >= 256 && c.code < 256 + kOthers.size()) bytes->push_back((char)kOthers[c.code - 256]);
    else return false;
  }
  return true;
}

void to_byte_alphabet(std::string_view bytes, std::string* piece) {
  piece->clear();
  for (const char c : bytes) {
    const uint8_t byte = (uint8_t)c;
    const auto other = std::find(kOthers.begin(), kOthers.end(), byte);
    append_char(is_printable(byte) ? byte : 256 + (uint32_t)(other - kOthers.begin()), piece);
  }
}

struct Tokenizer::Parts {
  TokenizerDef def;
  Vocabulary vocabulary;
  Fallback fallback;
  Bpe bpe;
  Unigram unigram;
  WordPiece word_piece;
  std::shared_ptr<const Forms> forms;
  Prefixes raw, normalized;             // of added tokens; numbers are indices into def.added
  std::vector<std::string> own_texts;   // of added tokens, normalised
  Pieces decoded;                       // by id
  std::vector<uint8_t> ends_word;       // by id, where a Decode::word_end is: a ' ' follows
  const Decode* whole_strip = nullptr;  // a strip behind a fuse: the whole text's

  mutable std::mutex mutex;
  mutable std::vector<std::unique_ptr<Scratch>> idle;

  tern_status check() const;
  tern_status check_steps() const;
  tern_status build();
  tern_status build_added();
  void build_decoded();
  void normalize(std::string_view text, std::string* spare, std::string* out) const;
  std::string decode_alone(uint32_t id, bool first, bool* ends) const;
};

// ---- what a description must hold to ----

tern_status Tokenizer::Parts::check() const {
  const uint32_t n = def.pieces.size();
  if (n == 0) return TERN_FAIL(TERN_ERR_CORRUPT, "the vocabulary is empty");
  if (n > kMaxTokens) return TERN_FAIL(TERN_ERR_LIMIT, "the vocabulary has %u ids, at most %u are read", n, kMaxTokens);
  if (def.flags.size() != n) return TERN_FAIL(TERN_ERR_CORRUPT, "%zu flags for %u tokens", def.flags.size(), n);
  for (uint32_t id = 0; id < n; ++id)
    if (def.pieces[id].size() > kMaxPiece)
      return TERN_FAIL(TERN_ERR_LIMIT, "token %u ('%s...') has %zu bytes, at most %u are read", id,
                       shown(def.pieces[id]).c_str(), def.pieces[id].size(), kMaxPiece);
  const bool scored = def.algorithm == Algorithm::unigram || (def.algorithm == Algorithm::bpe && def.by_score);
  if (def.scores.size() != (scored ? n : 0))
    return TERN_FAIL(TERN_ERR_CORRUPT, "%zu scores for %u tokens", def.scores.size(), n);
  for (size_t i = 0; i < def.scores.size(); ++i)
    if (!std::isfinite(def.scores[i])) return TERN_FAIL(TERN_ERR_CORRUPT, "the score of token %zu is no number", i);
  if (def.merges.size() > kMaxMerges)
    return TERN_FAIL(TERN_ERR_LIMIT, "%zu merges, at most %u are read", def.merges.size(), kMaxMerges);
  if (!def.merges.empty() && (def.algorithm != Algorithm::bpe || def.by_score))
    return TERN_FAIL(TERN_ERR_CORRUPT, "merges without an algorithm that uses them");
  const struct {
    const char* name;
    int32_t id;
  } kIds[] = {{"unknown", def.unknown}, {"begin", def.bos}, {"end", def.eos}, {"padding", def.pad}};
  for (const auto& k : kIds)
    if (k.id < -1 || k.id >= (int32_t)n)
      return TERN_FAIL(TERN_ERR_CORRUPT, "the %s token is %d, the vocabulary has %u", k.name, k.id, n);
  if (def.algorithm == Algorithm::wordpiece && def.unknown < 0)
    return TERN_FAIL(TERN_ERR_CORRUPT, "WordPiece without a token for what is unknown");
  if (def.word_prefix.size() > 64 || def.word_suffix.size() > 64)
    return TERN_FAIL(TERN_ERR_LIMIT, "the prefix or suffix of pieces has more than 64 bytes");
  if (def.most_word_chars > 10000)
    return TERN_FAIL(TERN_ERR_LIMIT, "words of up to %u characters, at most 10000 are read", def.most_word_chars);
  for (const auto* list : {&def.before, &def.after})
    for (const uint32_t id : *list)
      if (id >= n) return TERN_FAIL(TERN_ERR_CORRUPT, "token %u stands around texts, the vocabulary has %u", id, n);
  if (def.before.size() > 64 || def.after.size() > 64)
    return TERN_FAIL(TERN_ERR_LIMIT, "more than 64 tokens stand around texts");
  for (const AddedToken& t : def.added) {
    if (t.id >= n)
      return TERN_FAIL(TERN_ERR_CORRUPT, "added token '%s' has id %u of %u", shown(t.text).c_str(), t.id, n);
    if (t.text.empty()) return TERN_FAIL(TERN_ERR_CORRUPT, "added token %u has no text", t.id);
    if (t.text.size() > kMaxPiece)
      return TERN_FAIL(TERN_ERR_LIMIT, "added token '%s...' has %zu bytes, at most %u are read", shown(t.text).c_str(),
                       t.text.size(), kMaxPiece);
  }
  return check_steps();
}

tern_status Tokenizer::Parts::check_steps() const {
  if (def.normalizers.size() > kMaxSteps || def.cuts.size() > kMaxSteps || def.decodes.size() > kMaxSteps)
    return TERN_FAIL(TERN_ERR_LIMIT, "more than %u steps of one kind", kMaxSteps);
  const auto wrong = [](const char* kind, size_t i) {
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s %zu of the tokenizer is none that there is, or has nothing to look for",
                     kind, i);
  };
  const auto too_long = [](const std::string& a, const std::string& b = {}) {
    return a.size() > kMaxPiece || b.size() > kMaxPiece;
  };
  for (size_t i = 0; i < def.normalizers.size(); ++i) {
    const Normalizer& s = def.normalizers[i];
    if (s.kind == Normalizer::Kind::charsmap) {
      TERN_TRY(check_charsmap(s.from));
      continue;
    }
    const bool text = s.kind == Normalizer::Kind::replace && s.pattern == Pattern::literal;
    if ((int)s.kind >= Normalizer::kKinds || (int)s.pattern >= kPatterns || (text && s.from.empty()) ||
        too_long(s.from, s.to))
      return wrong("normalizer", i);
  }
  for (size_t i = 0; i < def.cuts.size(); ++i) {
    const Cut& s = def.cuts[i];
    const bool text = s.kind == Cut::Kind::metaspace || (s.kind == Cut::Kind::split && s.pattern == Pattern::literal);
    if ((int)s.kind >= Cut::kKinds || (int)s.pattern >= kPatterns || (int)s.behavior > (int)Behavior::contiguous ||
        (int)s.prepend > (int)Cut::Prepend::always || (text && s.text.empty()) || too_long(s.text))
      return wrong("cut", i);
  }
  bool fused = false;
  int strips = 0;
  for (size_t i = 0; i < def.decodes.size(); ++i) {
    const Decode& s = def.decodes[i];
    const bool text = s.kind != Decode::Kind::byte_fallback && s.kind != Decode::Kind::fuse &&
                      s.kind != Decode::Kind::wordpiece && s.kind != Decode::Kind::spaces;
    if ((int)s.kind >= Decode::kKinds || (text && s.from.empty()) || too_long(s.from, s.to)) return wrong("decoder", i);
    fused = fused || s.kind == Decode::Kind::fuse;
    if (s.kind != Decode::Kind::strip || !fused) continue;
    if (s.stop || strips++)
      return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                       "decoder %zu of the tokenizer strips the end of a whole text, or strips twice", i);
  }
  // One step that grows the text, repeated, must not fill the memory.
  double growth = 1;
  for (const Normalizer& s : def.normalizers) {
    if (s.kind == Normalizer::Kind::charsmap) growth *= 64;
    if (s.kind == Normalizer::Kind::replace)
      growth *= std::max(1.0, (double)s.to.size() / (double)std::max<size_t>(1, s.from.size()));
  }
  double decoded = 1;
  for (const Decode& s : def.decodes)
    if (s.kind == Decode::Kind::replace) decoded *= std::max(1.0, (double)s.to.size() / (double)s.from.size());
  if (growth > 256 || decoded > 256)
    return TERN_FAIL(TERN_ERR_LIMIT, "the tokenizer's replacements make a text more than 256 times as long");
  return TERN_OK;
}

// ---- making it ----

tern_status Tokenizer::Parts::build() {
  TERN_TRY(check());
  for (const Normalizer& s : def.normalizers)
    if ((int)s.kind <= (int)Normalizer::Kind::lowercase) forms = Forms::get();
  uint32_t twice = 0;
  const auto skip = [&](uint32_t id) { return def.flags[id] & (kTokenUnused | kTokenApart); };
  if (!vocabulary.build(def.pieces, skip, &twice))
    return TERN_FAIL(TERN_ERR_CORRUPT, "token %u ('%s') is in the vocabulary twice: its other id is %d", twice,
                     shown(def.pieces[twice]).c_str(), vocabulary.find(def.pieces[twice]));
  fallback.bytes.fill(-1);
  fallback.complete = def.bytes_fall_back;
  if (def.bytes_fall_back)
    for (int b = 0; b < 256; ++b) {
      char text[8];
      std::snprintf(text, sizeof text, "<0x%02X>", b);
      const int32_t id = fallback.bytes[(size_t)b] = vocabulary.find(text);
      if (id >= 0) def.flags[(size_t)id] |= kTokenByte;
      else fallback.complete = false;
    }
  if (def.unknown >= 0) def.flags[(size_t)def.unknown] |= kTokenUnknown;
  switch (def.algorithm) {
    case Algorithm::bpe: TERN_TRY(bpe.build(def, vocabulary, fallback)); break;
    case Algorithm::unigram: TERN_TRY(unigram.build(def, vocabulary, fallback)); break;
    case Algorithm::wordpiece: TERN_TRY(word_piece.build(def, vocabulary)); break;
    default: return TERN_FAIL(TERN_ERR_CORRUPT, "the tokenizer's algorithm is none that there is");
  }
  TERN_TRY(build_added());
  build_decoded();
  return TERN_OK;
}

tern_status Tokenizer::Parts::build_added() {
  std::vector<std::pair<std::string_view, uint32_t>> lists[2];
  own_texts.resize(def.added.size());
  std::vector<uint32_t> owner(def.pieces.size(), UINT32_MAX);
  std::string spare;
  for (uint32_t i = 0; i < def.added.size(); ++i) {
    const AddedToken& t = def.added[i];
    if (owner[t.id] != UINT32_MAX)
      return TERN_FAIL(TERN_ERR_CORRUPT, "added tokens '%s' and '%s' have one id, %u",
                       shown(def.added[owner[t.id]].text).c_str(), shown(t.text).c_str(), t.id);
    owner[t.id] = i;
    if (t.normalized) normalize(t.text, &spare, &own_texts[i]);
    else own_texts[i] = t.text;
    if (own_texts[i].empty()) continue;
    lists[t.normalized].emplace_back(own_texts[i], i);
    def.flags[t.id] |= (uint8_t)(kTokenAdded | (t.special ? kTokenSpecial : 0));
  }
  for (auto& list : lists) {
    std::sort(list.begin(), list.end());
    for (size_t i = 1; i < list.size(); ++i)
      if (list[i].first == list[i - 1].first) {
        const AddedToken &a = def.added[list[i - 1].second], &b = def.added[list[i].second];
        if (a.text == b.text)
          return TERN_FAIL(TERN_ERR_CORRUPT, "added token '%s' is there twice, as %u and %u", shown(a.text).c_str(),
                           a.id, b.id);
        list.erase(list.begin() + (ptrdiff_t)i--);  // two that are one after normalisation: the first is found
      }
  }
  raw.build(std::move(lists[0]));
  normalized.build(std::move(lists[1]));
  return TERN_OK;
}

// ---- from ids to bytes ----

namespace {

void strip_token(const Decode& s, std::string* text) {
  size_t begin = 0, end = text->size();
  for (uint32_t k = 0; k < s.start && text->compare(begin, s.from.size(), s.from) == 0 && begin < end; ++k)
    begin += s.from.size();
  for (uint32_t k = 0; k < s.stop && end - begin >= s.from.size() && end >= begin &&
                       text->compare(end - s.from.size(), s.from.size(), s.from) == 0;
       ++k)
    end -= s.from.size();
  *text = text->substr(begin, end - begin);
}

void tidy(std::string* text) {
  constexpr const char* kPairs[][2] = {{" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
                                       {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
                                       {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  std::string out;
  for (const auto& pair : kPairs) {
    replace_all(pair[0], pair[1], *text, &out);
    text->swap(out);
  }
}

}  // namespace

std::string Tokenizer::Parts::decode_alone(uint32_t id, bool first, bool* ends) const {
  if (def.flags[id] & kTokenUnused) return {};
  std::string text(def.pieces[id]), out;
  for (const Decode& s : def.decodes) {
    switch (s.kind) {
      case Decode::Kind::byte_fallback:
        if (const int byte = byte_of(text); byte >= 0) text.assign(1, (char)byte);
        break;
      case Decode::Kind::fuse: break;
      case Decode::Kind::replace:
        replace_all(s.from, s.to, text, &out);
        text.swap(out);
        break;
      case Decode::Kind::strip:
        if (&s != whole_strip) strip_token(s, &text);
        break;
      case Decode::Kind::metaspace:
        replace_all(s.from, first && s.flag ? "" : " ", text, &out);
        text.swap(out);
        break;
      case Decode::Kind::wordpiece:
        if (!first) {
          if (!s.from.empty() && text.compare(0, s.from.size(), s.from) == 0) text.erase(0, s.from.size());
          else text.insert(0, " ");
        }
        if (s.flag) tidy(&text);
        break;
      case Decode::Kind::word_end:
        if (text.size() >= s.from.size() && text.compare(text.size() - s.from.size(), s.from.size(), s.from) == 0) {
          text.resize(text.size() - s.from.size());
          if (ends) *ends = true;
        }
        break;
      case Decode::Kind::spaces:
        if (!first) text.insert(0, " ");
    }
  }
  return text;
}

void Tokenizer::Parts::build_decoded() {
  bool fused = false;
  for (const Decode& s : def.decodes) {
    if (s.kind == Decode::Kind::fuse) fused = true;
    if (s.kind == Decode::Kind::strip && fused && s.start) whole_strip = &s;
    if (s.kind == Decode::Kind::word_end) ends_word.assign(def.pieces.size(), 0);
  }
  decoded.reserve(def.pieces.size(), def.pieces.bytes());
  for (uint32_t id = 0; id < def.pieces.size(); ++id) {
    bool ends = false;
    decoded.add(decode_alone(id, false, &ends));
    if (ends) ends_word[id] = 1;
  }
}

void Tokenizer::decode(uint32_t id, DecodeState* state, std::string* out) const {
  const Parts& p = *parts_;
  if (p.def.flags[id] & kTokenUnused) return;
  if (state->pending_space) out->push_back(' ');
  state->pending_space = !p.ends_word.empty() && p.ends_word[id];
  std::string own;
  std::string_view text = p.decoded[id];
  if (state->first) text = own = p.decode_alone(id, true, nullptr);
  state->first = false;
  while (p.whole_strip && state->stripped < p.whole_strip->start && !text.empty()) {
    const bool goes = text.substr(0, p.whole_strip->from.size()) == p.whole_strip->from;
    if (goes) text.remove_prefix(p.whole_strip->from.size());
    state->stripped = goes ? state->stripped + 1 : p.whole_strip->start;
  }
  out->append(text);
}

// ---- from bytes to ids ----

void Tokenizer::Parts::normalize(std::string_view text, std::string* spare, std::string* out) const {
  out->assign(text);
  for (const Normalizer& s : def.normalizers) {
    std::string& to = *spare;
    to.clear();
    const uint8_t *p = (const uint8_t*)out->data(), *end = p + out->size();
    switch (s.kind) {
      case Normalizer::Kind::nfc: forms->normalize(Form::nfc, *out, &to); break;
      case Normalizer::Kind::nfd: forms->normalize(Form::nfd, *out, &to); break;
      case Normalizer::Kind::nfkc: forms->normalize(Form::nfkc, *out, &to); break;
      case Normalizer::Kind::nfkd: forms->normalize(Form::nfkd, *out, &to); break;
      case Normalizer::Kind::lowercase: forms->lower(*out, &to); break;
      case Normalizer::Kind::replace:
        if (s.pattern == Pattern::literal) replace_all(s.from, s.to, *out, &to);
        else replace_matches(s, p, end, &to);
        break;
      case Normalizer::Kind::charsmap: apply_charsmap(s.from, *out, &to); break;
      case Normalizer::Kind::prepend:
        if (!out->empty()) to = s.to;
        to += *out;
        break;
      case Normalizer::Kind::strip:
        while (s.left && p < end && read_char(p, end).flags & kSpace) p += read_char(p, end).size;
        while (s.right && p < end && read_char_before(p, end).flags & kSpace) end -= read_char_before(p, end).size;
        to.assign((const char*)p, (size_t)(end - p));
        break;
      case Normalizer::Kind::strip_accents:
      case Normalizer::Kind::strip_marks:
      case Normalizer::Kind::clean:
      case Normalizer::Kind::space_cjk:
        for (; p < end; p += read_char(p, end).size) {
          const Char c = read_char(p, end);
          if (s.kind == Normalizer::Kind::strip_accents || s.kind == Normalizer::Kind::strip_marks) {
            if (c.flags & (s.kind == Normalizer::Kind::strip_marks ? kMark : kNonspacing)) continue;
          } else if (s.kind == Normalizer::Kind::clean) {
            if (c.code == 0 || c.code == 0xfffd) continue;
            const bool space = c.flags & kSpace && c.code != 0x0b && c.code != 0x0c && c.code != 0x85;
            if (c.flags & kControl && !space) continue;
            if (space) {
              to += ' ';
              continue;
            }
          } else {
            const uint32_t k = c.code;
            const bool cjk = (k >= 0x4e00 && k <= 0x9fff) || (k >= 0x3400 && k <= 0x4dbf) ||
                             (k >= 0x20000 && k <= 0x2a6df) || (k >= 0x2a700 && k <= 0x2b73f) ||
                             (k >= 0x2b740 && k <= 0x2b81f) || (k >= 0x2b920 && k <= 0x2ceaf) ||
                             (k >= 0xf900 && k <= 0xfaff) || (k >= 0x2f800 && k <= 0x2fa1f);
            if (cjk) {
              to += ' ';
              to.append((const char*)p, c.size);
              to += ' ';
              continue;
            }
          }
          to.append((const char*)p, c.size);
        }
    }
    out->swap(to);
  }
}

namespace {

// One call. Texts go through the steps depth first, so that no list of pieces is kept.
struct Encoder {
  const TokenizerDef& def;
  const Prefixes &raw, &normalized;
  uint32_t flags;
  Scratch& s;
  Ids* ids;
  tern_status status = TERN_OK;

  // Hands over the added tokens of a text, and what lies between them.
  template <class Text, class Token>
  void find_added(const Prefixes& added, const uint8_t* begin, const uint8_t* end, Text&& on_text, Token&& on_token) {
    const uint8_t* from = begin;
    const uint8_t* p = begin;
    while (p < end) {
      if (!added.begins(*p)) {
        ++p;
        continue;
      }
      uint32_t number = UINT32_MAX;
      size_t bytes = 0;
      added.each(p, end, [&](uint32_t n, size_t size) { number = n, bytes = size; });
      if (number == UINT32_MAX) {
        ++p;
        continue;
      }
      const AddedToken& t = def.added[number];
      const uint8_t *first = p, *behind = p + bytes;
      p = behind;
      if (t.special && !(flags & kParseSpecial)) continue;
      if (t.single_word && ((first > begin && read_char_before(begin, first).flags & kWord) ||
                            (behind < end && read_char(behind, end).flags & kWord)))
        continue;
      if (t.strip_left)
        while (first > from && read_char_before(from, first).flags & kSpace)
          first -= read_char_before(from, first).size;
      if (t.strip_right)
        while (behind < end && read_char(behind, end).flags & kSpace) behind += read_char(behind, end).size;
      if (from < first) on_text(from, first, from == begin);
      on_token(t.id);
      from = behind;
    }
    if (from < end) on_text(from, end, from == begin);
  }
};

}  // namespace

tern_status Tokenizer::encode(std::string_view text, uint32_t flags, std::vector<int32_t>* ids) const {
  const Parts& parts = *parts_;
  const TokenizerDef& def = parts.def;
  if (text.size() >= kMostBytes)
    return TERN_FAIL(TERN_ERR_LIMIT, "the text has %zu bytes, less than %zu are possible: cut it", text.size(),
                     kMostBytes);
  // Goes back when the call ends, however it does.
  struct Lease {
    const Parts& parts;
    std::unique_ptr<Scratch> scratch;
    bool large = false;  // what a large text needed does not stay
    ~Lease() {
      if (!scratch) return;
      if (large) {
        auto kept = std::move(scratch->words);
        *scratch = {};
        scratch->words = std::move(kept);
      }
      const std::lock_guard<std::mutex> lock(parts.mutex);
      if (parts.idle.size() < parts.idle.capacity()) parts.idle.push_back(std::move(scratch));
    }
  } lease{parts, nullptr, text.size() > kLargeText};
  {
    const std::lock_guard<std::mutex> lock(parts.mutex);
    if (!parts.idle.empty()) lease.scratch = std::move(parts.idle.back()), parts.idle.pop_back();
  }
  if (!lease.scratch) lease.scratch = std::make_unique<Scratch>();
  Scratch& s = *lease.scratch;
  Encoder encoder{def, parts.raw, parts.normalized, flags, s, ids};

  const auto token = [&](uint32_t id) { ids->push_back((int32_t)id); };
  const auto piece = [&](const uint8_t* b, const uint8_t* e) {
    const std::string_view v((const char*)b, (size_t)(e - b));
    if (encoder.status != TERN_OK) return;
    switch (def.algorithm) {
      case Algorithm::bpe: encoder.status = parts.bpe.encode(v, s, ids); break;
      case Algorithm::unigram: encoder.status = parts.unigram.encode(v, s, ids); break;
      case Algorithm::wordpiece: encoder.status = parts.word_piece.encode(v, s, ids);
    }
  };
  struct Cutter {
    const TokenizerDef& def;
    Scratch& s;
    const decltype(piece)& emit;
    void run(size_t step, const uint8_t* b, const uint8_t* e, bool first) {
      if (step == def.cuts.size()) return emit(b, e);
      const Cut& c = def.cuts[step];
      const auto next = [&](const uint8_t* x, const uint8_t* y) { run(step + 1, x, y, first && x == b); };
      if (c.kind == Cut::Kind::split) return split(c, b, e, next);
      std::string& own = s.cut[step];
      own.clear();
      if (c.kind == Cut::Kind::prefix) {
        if (*b == ' ') return next(b, e);
        own = ' ';
        own.append((const char*)b, (size_t)(e - b));
      } else {
        std::string spaced;
        replace_all(" ", c.text, {(const char*)b, (size_t)(e - b)}, &spaced);
        if ((c.prepend == Cut::Prepend::always || (c.prepend == Cut::Prepend::first && first)) &&
            spaced.compare(0, c.text.size(), c.text) != 0)
          own = c.text;
        own += spaced;
      }
      const uint8_t *const begin = (const uint8_t*)own.data(), *const end = begin + own.size();
      const auto deeper = [&](const uint8_t* x, const uint8_t* y) { run(step + 1, x, y, first && x == begin); };
      if (c.kind == Cut::Kind::prefix || !c.split) return deeper(begin, end);
      Cut by;
      by.text = c.text, by.behavior = Behavior::merged_with_next;
      split(by, begin, end, deeper);
    }
  } cutter{def, s, piece};

  if (flags & kAddSpecial) ids->insert(ids->end(), def.before.begin(), def.before.end());
  encoder.find_added(
      parts.raw, (const uint8_t*)text.data(), (const uint8_t*)text.data() + text.size(),
      [&](const uint8_t* b, const uint8_t* e, bool first) {
        if (!def.normalizers.empty()) {
          parts.normalize({(const char*)b, (size_t)(e - b)}, &s.texts[1], &s.normalized);
          b = (const uint8_t*)s.normalized.data(), e = b + s.normalized.size();
        }
        encoder.find_added(
            parts.normalized, b, e,
            [&](const uint8_t* x, const uint8_t* y, bool begins) {
              cutter.run(0, x, y, first && begins && !(flags & kContinued));
            },
            token);
      },
      token);
  if (flags & kAddSpecial) ids->insert(ids->end(), def.after.begin(), def.after.end());
  return encoder.status;
}

// ---- the rest ----

Tokenizer::Tokenizer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Tokenizer::~Tokenizer() = default;

tern_status Tokenizer::create(TokenizerDef def, std::shared_ptr<const Tokenizer>* out) {
  prepare_unicode();
  auto parts = std::make_unique<Parts>();
  parts->def = std::move(def);
  TERN_TRY(parts->build());
  parts->idle.reserve(kMostScratch);
  *out = std::shared_ptr<const Tokenizer>(new Tokenizer(std::move(parts)));
  return TERN_OK;
}

const TokenizerDef& Tokenizer::def() const { return parts_->def; }
uint32_t Tokenizer::size() const { return parts_->def.pieces.size(); }
std::string_view Tokenizer::text(uint32_t id) const { return parts_->decoded[id]; }

int32_t Tokenizer::find(std::string_view text) const {
  for (const AddedToken& t : parts_->def.added)
    if (t.text == text) return (int32_t)t.id;
  return parts_->vocabulary.find(text);
}

}  // namespace tern::tokens
