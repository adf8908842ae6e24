// SPDX-License-Identifier: Apache-2.0
// Random numbers by counting: Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011). Number i of a draw depends on (seed,
// step, place, i) alone, whoever computes it, in whatever order. These functions are the only implementation: their
// floats come from additions, products and square roots in f32, none of them fused, so that the bits are the same
// everywhere.
#pragma once
#include <cstdint>

namespace tern {

// Ten rounds on a counter of four words under a key of two.
void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

// Numbers i of it are word i % 4 of block i / 4: the key is the seed, the counter has the low words of block and step
// and, in the second word, the place and eight more bits of the block.
struct RandomDraw {
  static constexpr int64_t kMostPlaces = (int64_t)1 << 24, kMostNumbers = (int64_t)1 << 42;
  int64_t seed = 0, step = 0, place = 0;  // place: in [0, kMostPlaces)

  void block(int64_t index, uint32_t out[4]) const;
  // Numbers [begin, end) to y from its begin on.
  // low + width * u, u in [0, 1) a multiple of 2^-24
  void uniform(int64_t begin, int64_t end, float low, float width, float* y) const;
  // mean + deviation * z, z normal by Box and Muller, within 6.8 of 0; words 0 and 1 of a block give two, 2 and 3 too
  void normal(int64_t begin, int64_t end, float mean, float deviation, float* y) const;
  // 1 where the word is below `bound` (2^32: always), else 0
  void bernoulli(int64_t begin, int64_t end, uint64_t bound, uint8_t* y) const;
};

}  // namespace tern
