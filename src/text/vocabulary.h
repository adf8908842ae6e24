// SPDX-License-Identifier: Apache-2.0
// Pieces by their text, and sets of pieces by their beginnings.
#pragma once
#include <algorithm>
#include <bit>
#include <cstring>

#include "text/tokenizer.h"

namespace tern::tokens {

inline uint64_t mix(uint64_t a) {
  a = (a ^ a >> 32) * 0x9E3779B97F4A7C15u;
  return a ^ a >> 29;
}

inline uint64_t hash_bytes(const char* p, size_t n) {
  uint64_t h = n * 0xD6E8FEB86659FD93u, w;
  for (; n >= 8; p += 8, n -= 8) {
    std::memcpy(&w, p, 8);
    h = mix(h ^ w) * 0xA0761D6478BD642Fu;
  }
  w = 0;
  std::memcpy(&w, p, n);
  return mix(mix(h ^ w));
}

// From text to id. Pieces stay where they are.
class Vocabulary {
 public:
  // False: piece `*twice` is there already. Those that are skipped are in no text.
  template <class Skip>
  bool build(const Pieces& pieces, Skip&& skip, uint32_t* twice) {
    pieces_ = &pieces;
    size_t count = 0;
    for (uint32_t id = 0; id < pieces.size(); ++id) count += !skip(id);
    const size_t room = std::bit_ceil(count * 2 + 2);
    slots_.assign(room, 0);
    for (uint32_t id = 0; id < pieces.size(); ++id) {
      if (skip(id)) continue;
      const uint64_t h = hash_bytes(pieces[id].data(), pieces[id].size());
      size_t at = h & (room - 1);
      for (; slots_[at]; at = (at + 1) & (room - 1))
        if (slots_[at] >> 32 == h >> 32 && pieces[(uint32_t)slots_[at] - 1] == pieces[id]) return *twice = id, false;
      slots_[at] = (h >> 32) << 32 | (id + 1);
    }
    return true;
  }
  int32_t find(std::string_view text) const {
    const uint64_t h = hash_bytes(text.data(), text.size());
    for (size_t at = h & (slots_.size() - 1); slots_[at]; at = (at + 1) & (slots_.size() - 1)) {
      const uint32_t id = (uint32_t)slots_[at] - 1;
      if (slots_[at] >> 32 == h >> 32 && (*pieces_)[id] == text) return (int32_t)id;
    }
    return -1;
  }

 private:
  const Pieces* pieces_ = nullptr;
  std::vector<uint64_t> slots_;  // upper half of the hash, id + 1; 0: empty
};

// Finds which texts of a set a text begins with.
class Prefixes {
 public:
  // The texts must stay where they are; each has a number. Equal ones must not be among them.
  void build(std::vector<std::pair<std::string_view, uint32_t>> texts) {
    texts_ = std::move(texts);
    std::sort(texts_.begin(), texts_.end());
    std::fill(begin_, begin_ + 257, 0);
    size_t at = 0;
    for (int b = 0; b < 256; ++b) {
      begin_[b] = (uint32_t)at;
      while (at < texts_.size() && !texts_[at].first.empty() && (uint8_t)texts_[at].first[0] == b) ++at;
    }
    begin_[256] = (uint32_t)at;
  }
  bool empty() const { return texts_.empty(); }
  bool begins(uint8_t first) const { return begin_[first] != begin_[first + 1]; }

  // Calls found(number, bytes) for each text that [p, end) begins with, the shortest first.
  template <class Found>
  void each(const uint8_t* p, const uint8_t* end, Found&& found) const {
    if (p == end) return;
    uint32_t low = begin_[*p], high = begin_[*p + 1];
    for (size_t depth = 1; low < high; ++depth) {
      // All of [low, high) begin with the first `depth` bytes; the one that has no more stands first.
      if (texts_[low].first.size() == depth) found(texts_[low].second, depth), ++low;
      if ((size_t)(end - p) <= depth) return;
      const uint8_t next = p[depth];
      // One alone is compared as it is.
      if (high - low == 1) {
        const std::string_view rest = texts_[low].first;
        if (rest.size() <= (size_t)(end - p) && std::memcmp(rest.data() + depth, p + depth, rest.size() - depth) == 0)
          found(texts_[low].second, rest.size());
        return;
      }
      const auto from = texts_.begin();
      low = (uint32_t)(std::partition_point(from + low, from + high,
                                            [&](const auto& t) { return (uint8_t)t.first[depth] < next; }) -
                       from);
      high = (uint32_t)(std::partition_point(from + low, from + high,
                                             [&](const auto& t) { return (uint8_t)t.first[depth] == next; }) -
                        from);
    }
  }

 private:
  std::vector<std::pair<std::string_view, uint32_t>> texts_;  // sorted
  uint32_t begin_[257] = {};                                  // of those with each first byte
};

}  // namespace tern::tokens
