// SPDX-License-Identifier: Apache-2.0
// What makes tokens of one piece of text: an algorithm and its tables. Each encodes one piece, which no cut is in.
#pragma once
#include <array>
#include <memory>

#include "text/vocabulary.h"

namespace tern::tokens {

// What a call works with; calls at the same time have each their own.
struct Scratch {
  // Words and their tokens; each has one place, where the last one stays.
  static constexpr uint32_t kSlots = 1u << 14, kWordBytes = 31, kWordTokens = 7;
  struct Word {
    uint64_t key[4];  // the bytes, and in the last one how many
    uint32_t tokens[kWordTokens];
    uint32_t count;
  };
  std::unique_ptr<Word[]> words;

  std::vector<uint32_t> symbols, previous, next;
  std::vector<uint64_t> pairs, heap;
  std::vector<double> best;
  std::vector<uint32_t> path_token, path_begin;
  std::string texts[2], normalized, cut[kMaxSteps];
};

using Ids = std::vector<int32_t>;

// Tokens for characters that the vocabulary lacks.
struct Fallback {
  std::array<int32_t, 256> bytes;  // "<0x0A>"; -1: there is none
  bool complete = false;           // all are there
};

class Bpe {
 public:
  tern_status build(const TokenizerDef& def, const Vocabulary& vocabulary, const Fallback& fallback);
  tern_status encode(std::string_view piece, Scratch& scratch, Ids* ids) const;

 private:
  tern_status add_merges(const TokenizerDef& def);
  void add_merges_by_score(const TokenizerDef& def);
  void add_merge(uint64_t key, uint32_t rank, uint32_t result);
  void note_neighbours(std::string_view piece);
  // rank << 32 | result; UINT64_MAX: the two do not merge.
  uint64_t pair(uint32_t left, uint32_t right) const {
    const uint64_t key = (uint64_t)left << 32 | right;
    for (size_t at = mix(key) & mask_;; at = (at + 1) & mask_) {
      if (merges_[at].key == key) return merges_[at].value;
      if (merges_[at].key == UINT64_MAX) return UINT64_MAX;
    }
  }
  bool splits(std::string_view before, std::string_view behind) const;
  tern_status encode_word(std::string_view word, Scratch& scratch, Ids* ids) const;
  tern_status encode_anew(std::string_view word, Scratch& scratch, Ids* ids) const;
  tern_status read_symbols(std::string_view word, std::vector<uint32_t>* symbols) const;
  static uint32_t merge_short(const Bpe& bpe, uint32_t* symbols, uint32_t count);
  void merge_long(Scratch& scratch) const;

  struct Entry {
    uint64_t key = UINT64_MAX, value = 0;
  };
  const TokenizerDef* def_ = nullptr;
  const Vocabulary* vocabulary_ = nullptr;
  const Fallback* fallback_ = nullptr;
  std::vector<Entry> merges_;
  size_t mask_ = 0, count_ = 0;
  std::array<int32_t, 256> single_;  // pieces of one byte
  // Hashes of the neighbours within pieces that merges make: where two characters are in none, nothing merges across.
  std::vector<uint64_t> neighbours_;
};

class Unigram {
 public:
  tern_status build(const TokenizerDef& def, const Vocabulary& vocabulary, const Fallback& fallback);
  tern_status encode(std::string_view piece, Scratch& scratch, Ids* ids) const;

 private:
  const TokenizerDef* def_ = nullptr;
  const Vocabulary* vocabulary_ = nullptr;
  const Fallback* fallback_ = nullptr;
  Prefixes prefixes_;
  double unknown_score_ = 0;
};

class WordPiece {
 public:
  tern_status build(const TokenizerDef& def, const Vocabulary& vocabulary);
  tern_status encode(std::string_view piece, Scratch& scratch, Ids* ids) const;

 private:
  const TokenizerDef* def_ = nullptr;
  const Vocabulary* vocabulary_ = nullptr;
  size_t longest_ = 0;  // bytes of the longest piece
};

}  // namespace tern::tokens
