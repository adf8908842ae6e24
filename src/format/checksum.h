// SPDX-License-Identifier: Apache-2.0
// Checksums of files: XXH64 with seed 0, as specified in "xxHash fast digest algorithm", revision 0.1.1
// (doc/xxhash_spec.md of the xxHash project). Finds damage, not forgery.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>
#include <initializer_list>

namespace tern {

namespace detail {

inline constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87u, kPrime2 = 0xC2B2AE3D27D4EB4Fu, kPrime3 = 0x165667B19E3779F9u,
                          kPrime4 = 0x85EBCA77C2B2AE63u, kPrime5 = 0x27D4EB2F165667C5u;

template <class T>
inline T load_little(const uint8_t* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  static_assert(std::endian::native == std::endian::little, "files are mapped in place: little-endian machines only");
  return v;
}

inline uint64_t xxh_round(uint64_t acc, uint64_t lane) { return std::rotl(acc + lane * kPrime2, 31) * kPrime1; }
inline uint64_t xxh_merge(uint64_t acc, uint64_t lane) { return (acc ^ xxh_round(0, lane)) * kPrime1 + kPrime4; }

}  // namespace detail

inline uint64_t checksum64(const void* data, uint64_t bytes) {
  using namespace detail;
  const uint8_t* p = static_cast<const uint8_t*>(data);
  uint64_t left = bytes, acc;
  if (bytes >= 32) {
    uint64_t a = kPrime1 + kPrime2, b = kPrime2, c = 0, d = 0 - kPrime1;
    for (; left >= 32; left -= 32, p += 32) {
      a = xxh_round(a, load_little<uint64_t>(p));
      b = xxh_round(b, load_little<uint64_t>(p + 8));
      c = xxh_round(c, load_little<uint64_t>(p + 16));
      d = xxh_round(d, load_little<uint64_t>(p + 24));
    }
    acc = std::rotl(a, 1) + std::rotl(b, 7) + std::rotl(c, 12) + std::rotl(d, 18);
    for (const uint64_t lane : {a, b, c, d}) acc = xxh_merge(acc, lane);
  } else {
    acc = kPrime5;
  }
  acc += bytes;
  for (; left >= 8; left -= 8, p += 8)
    acc = std::rotl(acc ^ xxh_round(0, load_little<uint64_t>(p)), 27) * kPrime1 + kPrime4;
  if (left >= 4) {
    acc = std::rotl(acc ^ load_little<uint32_t>(p) * kPrime1, 23) * kPrime2 + kPrime3;
    left -= 4, p += 4;
  }
  for (; left > 0; --left, ++p) acc = std::rotl(acc ^ *p * kPrime5, 11) * kPrime1;
  acc = (acc ^ acc >> 33) * kPrime2;
  acc = (acc ^ acc >> 29) * kPrime3;
  return acc ^ acc >> 32;
}

}  // namespace tern
