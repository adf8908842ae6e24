// SPDX-License-Identifier: Apache-2.0
// Random numbers without a state: each follows from a key and a place, so that a resumed run draws what it would have.
#pragma once
#include <bit>
#include <cstdint>

namespace tern::data {

// The finaliser of SplitMix64: a bijection whose bits all depend on all bits of `x`.
inline uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

inline uint64_t random_bits(uint64_t key, uint64_t place) {
  return mix(mix(key + 0x9e3779b97f4a7c15u) + place * 0xd1342543de82ef95u);
}

// [0, 1), a multiple of 2^-53.
inline double random_unit(uint64_t key, uint64_t place) { return (double)(random_bits(key, place) >> 11) * 0x1p-53; }

// Where `i` < n goes in a permutation of [0, n) that follows from the key: a Feistel network over the next even number
// of bits, walked until it comes back below n, which takes four steps at most on average.
inline uint64_t permuted(uint64_t i, uint64_t n, uint64_t key) {
  if (n < 2) return i;
  const int half = (std::bit_width(n - 1) + 1) / 2;
  const uint64_t mask = (uint64_t(1) << half) - 1;
  do {
    uint64_t left = i >> half, right = i & mask;
    for (uint64_t round = 0; round < 8; ++round) {
      const uint64_t next = left ^ (random_bits(key + round, right) & mask);
      left = right, right = next;
    }
    i = left << half | right;
  } while (i >= n);
  return i;
}

}  // namespace tern::data
