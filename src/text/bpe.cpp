// SPDX-License-Identifier: Apache-2.0
// Byte-pair encoding: of all neighbours that have a merge, those with the best rank are joined, the leftmost first.
#include "base/status.h"
#include "text/algorithms.h"
#include "text/unicode.h"

namespace tern::tokens {
namespace {

constexpr uint32_t kShort = 40;  // symbols up to which looking through all is faster than a heap

uint32_t rank_of(uint64_t pair) { return (uint32_t)(pair >> 32); }

std::string piece_text(const TokenizerDef& def, uint32_t id) { return std::string(def.pieces[id].substr(0, 60)); }

}  // namespace

void Bpe::add_merge(uint64_t key, uint32_t rank, uint32_t result) {
  size_t at = mix(key) & mask_;
  while (merges_[at].key != key && merges_[at].key != UINT64_MAX) at = (at + 1) & mask_;
  if (merges_[at].key == UINT64_MAX) ++count_;
  merges_[at] = {key, (uint64_t)rank << 32 | result};  // of two equal ones the last holds, as in the reference
}

tern_status Bpe::add_merges(const TokenizerDef& def) {
  std::string joined;
  for (uint32_t rank = 0; rank < def.merges.size(); ++rank) {
    const Merge& m = def.merges[rank];
    if (m.left >= def.pieces.size() || m.right >= def.pieces.size())
      return TERN_FAIL(TERN_ERR_CORRUPT, "merge %u joins tokens %u and %u, the vocabulary has %u", rank, m.left,
                       m.right, def.pieces.size());
    std::string_view right = def.pieces[m.right];
    if (!def.word_prefix.empty() && right.size() >= def.word_prefix.size()) right.remove_prefix(def.word_prefix.size());
    joined = def.pieces[m.left];
    joined += right;
    const int32_t result = vocabulary_->find(joined);
    if (result < 0)
      return TERN_FAIL(TERN_ERR_CORRUPT, "merge %u joins '%s' and '%s', but the vocabulary has no '%.120s'", rank,
                       piece_text(def, m.left).c_str(), piece_text(def, m.right).c_str(), joined.c_str());
    add_merge((uint64_t)m.left << 32 | m.right, rank, (uint32_t)result);
    note_neighbours(joined);
  }
  return TERN_OK;
}

// Each way to cut a piece into two others is a merge; equal scores have one rank.
void Bpe::add_merges_by_score(const TokenizerDef& def) {
  std::vector<uint32_t> order;
  for (uint32_t id = 0; id < def.pieces.size(); ++id)
    if (!(def.flags[id] & (kTokenUnused | kTokenSpecial | kTokenByte)) && def.pieces[id].size() > 1)
      order.push_back(id);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return def.scores[a] > def.scores[b]; });
  std::vector<std::array<uint32_t, 4>> found;
  uint32_t rank = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i && def.scores[order[i]] != def.scores[order[i - 1]]) ++rank;
    const std::string_view piece = def.pieces[order[i]];
    for (size_t cut = 1; cut < piece.size() && found.size() < kMaxMerges; ++cut) {
      const int32_t left = vocabulary_->find(piece.substr(0, cut));
      const int32_t right = left < 0 ? -1 : vocabulary_->find(piece.substr(cut));
      if (right >= 0) found.push_back({(uint32_t)left, (uint32_t)right, rank, order[i]});
    }
  }
  merges_.assign(std::bit_ceil(found.size() * 2 + 2), {});
  mask_ = merges_.size() - 1;
  for (const auto& [left, right, r, result] : found) {
    add_merge((uint64_t)left << 32 | right, r, result);
    note_neighbours(def.pieces[result]);
  }
}

tern_status Bpe::build(const TokenizerDef& def, const Vocabulary& vocabulary, const Fallback& fallback) {
  def_ = &def, vocabulary_ = &vocabulary, fallback_ = &fallback;
  for (int b = 0; b < 256; ++b) {
    const char c = (char)b;
    single_[(size_t)b] = vocabulary.find({&c, 1});
  }
  // Worth its memory where words are whole texts: SentencePiece does not cut them.
  if (!def.byte_level && def.word_prefix.empty() && def.word_suffix.empty() && !def.whole_first)
    neighbours_.assign(std::min<size_t>(std::bit_ceil(def.pieces.bytes() / 4 + 64), 1u << 17), 0);
  if (def.by_score) {
    add_merges_by_score(def);
    return TERN_OK;
  }
  merges_.assign(std::bit_ceil(def.merges.size() * 2 + 2), {});
  mask_ = merges_.size() - 1;
  return add_merges(def);
}

// ---- where nothing merges ----

namespace {
uint64_t neighbour_hash(uint32_t a, uint32_t b) { return mix((uint64_t)a << 32 | b) >> 8; }
}  // namespace

void Bpe::note_neighbours(std::string_view piece) {
  if (neighbours_.empty()) return;
  const uint8_t *p = (const uint8_t*)piece.data(), *const end = p + piece.size();
  uint32_t before = 0;
  for (bool first = true; p < end; first = false) {
    const Char c = read_char(p, end);
    const uint32_t code = c.code == kNoCharacter ? 0x80000000u | *p : c.code;
    if (!first) {
      const uint64_t h = neighbour_hash(before, code) & (neighbours_.size() * 64 - 1);
      neighbours_[h / 64] |= uint64_t(1) << h % 64;
    }
    before = code;
    p += c.size;
  }
}

// Long pieces are cut where no merge can cross, so that their words are found among those known already.
tern_status Bpe::encode(std::string_view piece, Scratch& scratch, Ids* ids) const {
  if (neighbours_.empty()) return encode_word(piece, scratch, ids);
  const uint8_t *p = (const uint8_t*)piece.data(), *const end = p + piece.size(), *begin = p;
  uint32_t before = 0;
  bool before_known = false;
  while (p < end) {
    const Char c = read_char(p, end);
    const uint32_t code = c.code == kNoCharacter ? 0x80000000u | *p : c.code;
    // Unknown characters depend on their neighbours otherwise: they are joined to one token.
    const bool known = fallback_->complete || vocabulary_->find({(const char*)p, c.size}) >= 0;
    if (p > begin && known && before_known) {
      const uint64_t h = neighbour_hash(before, code) & (neighbours_.size() * 64 - 1);
      if (!(neighbours_[h / 64] >> h % 64 & 1)) {
        TERN_TRY(encode_word({(const char*)begin, (size_t)(p - begin)}, scratch, ids));
        begin = p;
      }
    }
    before = code, before_known = known;
    p += c.size;
  }
  return encode_word({(const char*)begin, (size_t)(p - begin)}, scratch, ids);
}

// ---- words ----

tern_status Bpe::encode_word(std::string_view word, Scratch& scratch, Ids* ids) const {
  if (word.size() > Scratch::kWordBytes) return encode_anew(word, scratch, ids);
  if (word.size() == 1 && single_[(uint8_t)word[0]] >= 0 && def_->word_suffix.empty()) {
    ids->push_back(single_[(uint8_t)word[0]]);
    return TERN_OK;
  }
  if (!scratch.words) scratch.words = std::make_unique<Scratch::Word[]>(Scratch::kSlots);
  uint64_t key[4] = {};
  std::memcpy(key, word.data(), word.size());
  key[3] |= (uint64_t)word.size() << 56;
  uint64_t h = mix(key[0]) + key[3];
  if (word.size() > 8) h = mix(h ^ key[1]) + mix(key[2] ^ key[3]);
  Scratch::Word& slot = scratch.words[mix(h) & (Scratch::kSlots - 1)];
  if (std::memcmp(slot.key, key, sizeof key) == 0) {
    ids->insert(ids->end(), slot.tokens, slot.tokens + slot.count);
    return TERN_OK;
  }
  const size_t from = ids->size();
  TERN_TRY(encode_anew(word, scratch, ids));
  const size_t count = ids->size() - from;
  if (count > Scratch::kWordTokens) return TERN_OK;
  std::memcpy(slot.key, key, sizeof key);
  for (size_t i = 0; i < count; ++i) slot.tokens[i] = (uint32_t)(*ids)[from + i];
  slot.count = (uint32_t)count;
  return TERN_OK;
}

tern_status Bpe::encode_anew(std::string_view word, Scratch& s, Ids* ids) const {
  if (def_->whole_first)
    if (const int32_t id = vocabulary_->find(word); id >= 0) {
      ids->push_back(id);
      return TERN_OK;
    }
  TERN_TRY(read_symbols(word, &s.symbols));
  if (s.symbols.size() <= kShort) {
    const uint32_t count = merge_short(*this, s.symbols.data(), (uint32_t)s.symbols.size());
    ids->insert(ids->end(), s.symbols.begin(), s.symbols.begin() + count);
    return TERN_OK;
  }
  merge_long(s);
  for (uint32_t i = 0; i != UINT32_MAX; i = s.next[i]) ids->push_back((int32_t)s.symbols[i]);
  return TERN_OK;
}

tern_status Bpe::read_symbols(std::string_view word, std::vector<uint32_t>* symbols) const {
  const TokenizerDef& d = *def_;
  symbols->clear();
  const uint8_t *p = (const uint8_t*)word.data(), *const end = p + word.size();
  bool unknown = false;  // one is pending
  std::string affixed;
  while (p < end) {
    const uint32_t size = d.byte_level ? 1 : read_char(p, end).size;
    const bool first = p == (const uint8_t*)word.data(), last = p + size == end;
    int32_t id;
    std::string_view text((const char*)p, size);
    if ((!first && !d.word_prefix.empty()) || (last && !d.word_suffix.empty())) {
      affixed.clear();
      if (!first) affixed += d.word_prefix;
      affixed += text;
      if (last) affixed += d.word_suffix;
      text = affixed;
      id = vocabulary_->find(text);
    } else {
      id = size == 1 ? single_[*p] : vocabulary_->find(text);
    }
    p += size;
    if (id >= 0) {
      if (unknown) symbols->push_back((uint32_t)d.unknown);
      unknown = false;
      symbols->push_back((uint32_t)id);
      continue;
    }
    if (d.bytes_fall_back) {
      bool all = true;
      for (const char c : text) all = all && fallback_->bytes[(uint8_t)c] >= 0;
      if (all) {
        for (const char c : text) symbols->push_back((uint32_t)fallback_->bytes[(uint8_t)c]);
        continue;
      }
    }
    if (d.unknown < 0) continue;  // the reference drops such characters
    if (unknown && !d.fuse_unknown) symbols->push_back((uint32_t)d.unknown);
    unknown = true;
  }
  if (unknown) symbols->push_back((uint32_t)d.unknown);
  return TERN_OK;
}

uint32_t Bpe::merge_short(const Bpe& bpe, uint32_t* symbols, uint32_t count) {
  uint64_t pairs[kShort];
  for (uint32_t i = 0; i + 1 < count; ++i) pairs[i] = bpe.pair(symbols[i], symbols[i + 1]);
  while (count > 1) {
    uint32_t best = 0;
    for (uint32_t i = 1; i + 1 < count; ++i)
      if (rank_of(pairs[i]) < rank_of(pairs[best])) best = i;
    if (pairs[best] == UINT64_MAX) break;
    symbols[best] = (uint32_t)pairs[best];
    --count;
    for (uint32_t i = best + 1; i < count; ++i) symbols[i] = symbols[i + 1], pairs[i - 1] = pairs[i];
    if (best + 1 < count) pairs[best] = bpe.pair(symbols[best], symbols[best + 1]);
    if (best > 0) pairs[best - 1] = bpe.pair(symbols[best - 1], symbols[best]);
  }
  return count;
}

void Bpe::merge_long(Scratch& s) const {
  const uint32_t count = (uint32_t)s.symbols.size();
  s.previous.resize(count), s.next.resize(count), s.pairs.resize(count);
  s.heap.clear();
  // The lowest rank first, then the leftmost.
  const auto later = [](uint64_t a, uint64_t b) { return a > b; };
  for (uint32_t i = 0; i < count; ++i) {
    s.previous[i] = i - 1;  // UINT32_MAX: none
    s.next[i] = i + 1 < count ? i + 1 : UINT32_MAX;
    s.pairs[i] = i + 1 < count ? pair(s.symbols[i], s.symbols[i + 1]) : UINT64_MAX;
    if (s.pairs[i] != UINT64_MAX) s.heap.push_back((uint64_t)rank_of(s.pairs[i]) << 32 | i);
  }
  std::make_heap(s.heap.begin(), s.heap.end(), later);
  const auto renew = [&](uint32_t i) {
    s.pairs[i] = s.next[i] == UINT32_MAX ? UINT64_MAX : pair(s.symbols[i], s.symbols[s.next[i]]);
    if (s.pairs[i] == UINT64_MAX) return;
    s.heap.push_back((uint64_t)rank_of(s.pairs[i]) << 32 | i);
    std::push_heap(s.heap.begin(), s.heap.end(), later);
  };
  while (!s.heap.empty()) {
    const uint64_t top = s.heap.front();
    std::pop_heap(s.heap.begin(), s.heap.end(), later);
    s.heap.pop_back();
    const uint32_t i = (uint32_t)top;
    // What was joined to its left neighbour, or has another right neighbour now, has no such pair any more.
    if (s.pairs[i] == UINT64_MAX || rank_of(s.pairs[i]) != rank_of(top)) continue;
    const uint32_t gone = s.next[i], behind = s.next[gone];
    s.symbols[i] = (uint32_t)s.pairs[i];
    s.pairs[gone] = UINT64_MAX;
    s.next[i] = behind;
    if (behind != UINT32_MAX) s.previous[behind] = i;
    renew(i);
    if (s.previous[i] != UINT32_MAX) renew(s.previous[i]);
  }
}

}  // namespace tern::tokens
