// SPDX-License-Identifier: Apache-2.0
// Floats of 8 bits, e4m3 without infinities: largest 448, smallest 2^-9; 0x7f and 0xff are NaN.
#pragma once
#include <bit>
#include <cstdint>

namespace tern {

inline constexpr float kLargestE4m3 = 448;

inline float e4m3_to_f32(uint8_t b) {
  const uint32_t sign = (uint32_t)(b & 0x80u) << 24, magnitude = b & 0x7fu;
  if (magnitude == 0x7f) return std::bit_cast<float>(sign | 0x7fc00000u);
  if (magnitude >= 8) return std::bit_cast<float>(sign | ((magnitude << 20) + (120u << 23)));
  const float small = (float)magnitude * 0x1p-9f;
  return sign ? -small : small;
}

// To the nearest, ties to even; beyond the largest: the largest.
inline uint8_t f32_to_e4m3(float f) {
  const uint32_t bits = std::bit_cast<uint32_t>(f), sign = bits >> 24 & 0x80u, magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return (uint8_t)(sign | 0x7fu);
  if (magnitude >= 0x43e00000u) return (uint8_t)(sign | 0x7eu);
  if (magnitude < 0x3c800000u) {  // below the smallest normal: adding 2^14 aligns the mantissa to units of 2^-9
    const float aligned = std::bit_cast<float>(magnitude) + 0x1p14f;
    return (uint8_t)(sign | (std::bit_cast<uint32_t>(aligned) - 0x46800000u));
  }
  return (uint8_t)(sign | ((magnitude + 0x7ffffu + (magnitude >> 20 & 1u) - (120u << 23)) >> 20));
}

}  // namespace tern
