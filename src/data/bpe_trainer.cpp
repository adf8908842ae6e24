// SPDX-License-Identifier: Apache-2.0
// Words are counted once, and then only they are looked at. The counts of pairs are kept up to date as words are
// merged, with a list of the words that each pair may be in; the most frequent pair is the top of a heap whose entries
// are brought up to date when they come up.
#include "data/bpe_trainer.h"

#include <algorithm>
#include <cstring>

#include "base/status.h"
#include "base/text.h"
#include "text/split.h"
#include "text/unicode.h"
#include "text/vocabulary.h"

namespace tern::data {

using tokens::TokenizerDef;

namespace {

// Texts, each once, numbered in the order in which they came.
class Texts {
 public:
  uint32_t size() const { return (uint32_t)ends_.size(); }
  std::string_view operator[](uint32_t i) const {
    const uint64_t begin = i ? ends_[i - 1] : 0;
    return std::string_view(bytes_).substr((size_t)begin, (size_t)(ends_[i] - begin));
  }
  uint32_t add(std::string_view text) {
    if (2 * (size() + 1) > slots_.size()) grow();
    uint32_t& slot = slots_[place(text)];
    if (slot == 0) {
      bytes_.append(text);
      ends_.push_back(bytes_.size());
      slot = size();
    }
    return slot - 1;
  }
  bool has(std::string_view text) const { return !slots_.empty() && slots_[place(text)] != 0; }

 private:
  size_t place(std::string_view text) const {
    size_t at = tokens::hash_bytes(text.data(), text.size()) & (slots_.size() - 1);
    while (slots_[at] && (*this)[slots_[at] - 1] != text) at = (at + 1) & (slots_.size() - 1);
    return at;
  }
  void grow() {
    slots_.assign(std::max<size_t>(1024, slots_.size() * 2), 0);
    for (uint32_t i = 0; i < size(); ++i) slots_[place((*this)[i])] = i + 1;
  }

  std::string bytes_;
  std::vector<uint64_t> ends_;
  std::vector<uint32_t> slots_;  // number + 1; 0: empty
};

struct Pair {
  uint64_t key;  // left << 32 | right
  int64_t count;
  uint32_t touched;             // the last merge that added some
  std::vector<uint32_t> words;  // in which it may be; none is missing
};

struct Candidate {
  int64_t count;
  uint64_t key;
  uint32_t pair;
  bool operator<(const Candidate& o) const { return count != o.count ? count < o.count : key > o.key; }
};

// Pairs by their key.
class Pairs {
 public:
  uint32_t find_or_add(uint64_t key) {
    if (2 * (list.size() + 1) > slots_.size()) grow();
    uint32_t& slot = slots_[place(key)];
    if (slot == 0) {
      list.push_back({key, 0, UINT32_MAX, {}});
      slot = (uint32_t)list.size();
    }
    return slot - 1;
  }
  std::vector<Pair> list;

 private:
  size_t place(uint64_t key) const {
    size_t at = tokens::mix(key) & (slots_.size() - 1);
    while (slots_[at] && list[slots_[at] - 1].key != key) at = (at + 1) & (slots_.size() - 1);
    return at;
  }
  void grow() {
    slots_.assign(std::max<size_t>(4096, slots_.size() * 2), 0);
    for (uint32_t i = 0; i < list.size(); ++i) slots_[place(list[i].key)] = i + 1;
  }
  std::vector<uint32_t> slots_;
};

// The words as sequences of tokens, and the pairs in them.
class Merger {
 public:
  Merger(const Texts& words, const std::vector<int64_t>& counts, const uint32_t (&byte_ids)[256]) : counts_(counts) {
    for (uint32_t w = 0; w < words.size(); ++w) {
      begins_.push_back(symbols_.size());
      lengths_.push_back((uint32_t)words[w].size());
      for (const char c : words[w]) symbols_.push_back(byte_ids[(uint8_t)c]);
      for (uint64_t i = begins_[w]; i + 1 < symbols_.size(); ++i) change(symbols_[i], symbols_[i + 1], 1, w);
    }
    for (uint32_t p = 0; p < pairs_.list.size(); ++p) push(p);
  }

  // The pair that is merged next; false: none is there so many times.
  bool next(int64_t least, uint32_t* pair) {
    while (!heap_.empty()) {
      const Candidate top = heap_.front();
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.pop_back();
      const int64_t count = pairs_.list[top.pair].count;
      if (count == top.count) return *pair = top.pair, count >= least;
      if (count > 0) push(top.pair);
    }
    return false;
  }
  uint32_t left(uint32_t pair) const { return (uint32_t)(pairs_.list[pair].key >> 32); }
  uint32_t right(uint32_t pair) const { return (uint32_t)pairs_.list[pair].key; }

  void merge(uint32_t pair, uint32_t into) {
    const std::vector<uint32_t> in = std::move(pairs_.list[pair].words);
    touched_.clear();
    ++round_;
    for (const uint32_t w : in) merge_word(w, left(pair), right(pair), into);
    pairs_.list[pair].count = 0;
    for (const uint32_t p : touched_) push(p);
  }
  void drop(uint32_t pair) { pairs_.list[pair].count = 0; }

 private:
  void push(uint32_t pair) {
    const Pair& p = pairs_.list[pair];
    if (p.count <= 0) return;
    heap_.push_back({p.count, p.key, pair});
    std::push_heap(heap_.begin(), heap_.end());
  }

  void change(uint32_t left, uint32_t right, int64_t by, uint32_t word) {
    const uint32_t index = pairs_.find_or_add((uint64_t)left << 32 | right);
    Pair& p = pairs_.list[index];
    p.count += by * counts_[word];
    if (by < 0) return;
    if (p.words.empty() || p.words.back() != word) p.words.push_back(word);
    if (p.touched != round_) p.touched = round_, touched_.push_back(index);
  }

  void merge_word(uint32_t word, uint32_t left, uint32_t right, uint32_t into) {
    uint32_t* const s = symbols_.data() + begins_[word];
    const uint32_t n = lengths_[word];
    uint32_t out = 0;
    for (uint32_t i = 0; i < n; ++i) {
      if (s[i] != left || i + 1 == n || s[i + 1] != right) {
        s[out++] = s[i];
        continue;
      }
      if (out > 0) change(s[out - 1], left, -1, word), change(s[out - 1], into, 1, word);
      if (i + 2 < n) change(right, s[i + 2], -1, word), change(into, s[i + 2], 1, word);
      s[out++] = into;
      ++i;
    }
    lengths_[word] = out;
  }

  const std::vector<int64_t>& counts_;  // of words
  std::vector<uint32_t> symbols_, lengths_;
  std::vector<uint64_t> begins_;
  Pairs pairs_;
  std::vector<Candidate> heap_;
  std::vector<uint32_t> touched_;
  uint32_t round_ = 0;
};

tern_status check_special(const std::vector<std::string>& special, size_t i) {
  const std::string& s = special[i];
  std::string bytes;
  for (std::string_view rest(s); !rest.empty();) {
    const size_t n = utf8_character(rest);
    if (n == 0) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "special token %zu is no UTF-8", i);
    rest.remove_prefix(n);
  }
  if (s.size() < 2 || s.size() > tokens::kMaxPiece || (tokens::from_byte_alphabet(s, &bytes) && bytes.size() == 1))
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "special token %zu ('%.60s') is empty, a single byte or too long", i,
                     s.c_str());
  if (std::find(special.begin(), special.begin() + (ptrdiff_t)i, s) != special.begin() + (ptrdiff_t)i)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "special token '%.60s' is there twice", s.c_str());
  return TERN_OK;
}

}  // namespace

struct BpeTrainer::Parts {
  Texts words;
  std::vector<int64_t> counts;
};

BpeTrainer::BpeTrainer() : parts_(std::make_unique<Parts>()) { tokens::prepare_unicode(); }
BpeTrainer::~BpeTrainer() = default;

tern_status BpeTrainer::add(std::string_view text) {
  const tokens::Cut cut{.pattern = tokens::Pattern::gpt2};
  Parts& p = *parts_;
  bool full = false;
  const auto count = [&](const uint8_t* begin, const uint8_t* end) {
    for (; begin < end && !full; begin += std::min<size_t>(kMostWord, (size_t)(end - begin))) {
      const uint32_t w = p.words.add({(const char*)begin, std::min<size_t>(kMostWord, (size_t)(end - begin))});
      if (w == p.counts.size()) p.counts.push_back(0);
      ++p.counts[w];
      full = w == (1u << 31) - 1;
    }
  };
  const auto* begin = (const uint8_t*)text.data();
  tokens::split(cut, begin, begin + text.size(), count);
  return full ? TERN_FAIL(TERN_ERR_LIMIT, "the texts have more than 2^31 different words") : TERN_OK;
}

tern_status BpeTrainer::train(int64_t num_tokens, int64_t min_count, const std::vector<std::string>& special,
                              TokenizerDef* out) {
  const int64_t fixed = (int64_t)special.size() + 256;
  if (num_tokens < fixed || num_tokens > tokens::kMaxTokens)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                     "a vocabulary of %" PRId64 " tokens: possible are %" PRId64 " (bytes and special tokens) to %u",
                     num_tokens, fixed, tokens::kMaxTokens);
  if (parts_->counts.empty()) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "there is no text");
  TokenizerDef d;
  d.byte_level = true;
  d.cuts.push_back({.pattern = tokens::Pattern::gpt2});
  Texts known;                // pieces by id, but those of special tokens that are none of the byte alphabet
  std::vector<uint32_t> ids;  // of those
  std::string piece;
  const auto add = [&](std::string_view text, uint8_t flags) {
    const uint32_t id = d.pieces.size();
    d.pieces.add(text);
    d.flags.push_back(flags);
    if (!(flags & tokens::kTokenApart) && known.add(text) == ids.size()) ids.push_back(id);
    return id;
  };
  for (size_t i = 0; i < special.size(); ++i) {
    TERN_TRY(check_special(special, i));
    const bool plain = tokens::from_byte_alphabet(special[i], &piece);
    const uint32_t id = add(plain ? piece : special[i], plain ? 0 : (uint8_t)tokens::kTokenApart);
    d.added.push_back({.id = id, .text = special[i], .special = true});
  }
  uint32_t byte_ids[256];
  for (uint32_t code = 33; code < 256 + 68; ++code) {
    std::string character;
    tokens::append_char(code, &character);
    if (!tokens::from_byte_alphabet(character, &piece)) continue;
    byte_ids[(uint8_t)piece[0]] = add(piece, 0);
  }
  Merger merger(parts_->words, parts_->counts, byte_ids);
  for (uint32_t pair; (int64_t)d.pieces.size() < num_tokens && merger.next(std::max<int64_t>(min_count, 1), &pair);) {
    const uint32_t left = merger.left(pair), right = merger.right(pair);
    piece.assign(d.pieces[left]).append(d.pieces[right]);
    // Two ways may lead to one text; none leads to a special token.
    const uint32_t id = known.has(piece) ? ids[known.add(piece)] : add(piece, 0);
    if (id < special.size()) {
      merger.drop(pair);
      continue;
    }
    if (d.merges.size() == tokens::kMaxMerges) break;
    d.merges.push_back({left, right});
    merger.merge(pair, id);
  }
  *out = std::move(d);
  return TERN_OK;
}

}  // namespace tern::data
