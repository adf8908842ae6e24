// SPDX-License-Identifier: Apache-2.0
// f64 on its way by f32 to f16 or bf16.
#pragma once
#include <bit>
#include <cstdint>

namespace tern {

// Of two roundings one after the other the second may err where the first made a tie. So this one keeps in the last bit
// that something was lost.
[[gnu::always_inline]] inline float round_to_odd_f32(double v) {
  const float f = (float)v;
  if (!(v - v == 0) || f - f != 0 || (double)f == v) return f;  // not finite, or exact
  uint32_t bits = std::bit_cast<uint32_t>(f);
  if (v < 0 ? (double)f < v : (double)f > v) --bits;
  return std::bit_cast<float>(bits | 1u);
}

}  // namespace tern
