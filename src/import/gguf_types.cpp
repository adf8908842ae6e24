// SPDX-License-Identifier: Apache-2.0
// The types of GGUF's tensors. Each block of a quantised one has its scales beside its codes; fields are little-endian,
// `d` and `m` are f16.
#include <cstring>

#include "base/float16.h"
#include "import/gguf.h"

namespace tern {
namespace {

float half_at(const uint8_t* p) {
  uint16_t bits;
  std::memcpy(&bits, p, 2);
  return f16_to_f32(bits);
}
uint32_t word_at(const uint8_t* p) {
  uint32_t v;
  std::memcpy(&v, p, 4);
  return v;
}

void decode_f32(const uint8_t* p, float* out) { std::memcpy(out, p, 4); }
void decode_f16(const uint8_t* p, float* out) { *out = half_at(p); }
void decode_bf16(const uint8_t* p, float* out) {
  const uint32_t bits = (uint32_t)(p[0] | p[1] << 8) << 16;
  std::memcpy(out, &bits, 4);
}

// 32 numbers of 4 or 5 bits: the low bits of number i < 16 in the lower half of byte i, of number 16 + i in the upper
// half; a fifth bit of number i is bit i of a word. number = d * (code - offset), or d * code + m.
template <bool fifth, bool minimum>
void decode_legacy(const uint8_t* p, float* out) {
  const float d = half_at(p), m = minimum ? half_at(p + 2) : 0;
  p += minimum ? 4 : 2;
  const uint32_t high = fifth ? word_at(p) : 0;
  if (fifth) p += 4;
  constexpr int kOffset = minimum ? 0 : fifth ? 16 : 8;
  for (int i = 0; i < 32; ++i) {
    const int low = i < 16 ? p[i] & 15 : p[i - 16] >> 4, code = low | (int)(high >> i & 1) << 4;
    out[i] = minimum ? d * (float)code + m : d * (float)(code - kOffset);
  }
}
void decode_q8_0(const uint8_t* p, float* out) {
  const float d = half_at(p);
  for (int i = 0; i < 32; ++i) out[i] = d * (float)(int8_t)p[2 + i];
}

// Scale and minimum, 6 bits each, of the eight groups of 32: those of the first four are whole bytes, those of the
// others are nibbles with their upper two bits above the first ones.
void group_scale(const uint8_t* p, int j, int* scale, int* minimum) {
  if (j < 4) {
    *scale = p[j] & 63, *minimum = p[j + 4] & 63;
    return;
  }
  *scale = (p[j + 4] & 15) | p[j - 4] >> 6 << 4;
  *minimum = p[j + 4] >> 4 | p[j] >> 6 << 4;
}
// 256 numbers: d, minimum's d, 12 bytes of scales, a fifth bit each (of group j: bit j of 32 bytes), 128 bytes of
// codes, of which 32 hold two groups.
template <bool fifth>
void decode_k(const uint8_t* p, float* out) {
  const float d = half_at(p), m = half_at(p + 2);
  const uint8_t *scales = p + 4, *high = p + 16, *low = high + (fifth ? 32 : 0);
  for (int j = 0; j < 8; ++j) {
    int scale, minimum;
    group_scale(scales, j, &scale, &minimum);
    const float step = d * (float)scale, base = m * (float)minimum;
    for (int i = 0; i < 32; ++i) {
      const int byte = low[j / 2 * 32 + i],
                code = (j % 2 ? byte >> 4 : byte & 15) | (fifth ? (high[i] >> j & 1) << 4 : 0);
      out[32 * j + i] = step * (float)code - base;
    }
  }
}
// 256 numbers: 128 bytes of low nibbles, 64 of upper pairs, 16 scales of 16 numbers each, d. Each half of 128 numbers
// is four runs of 32: nibbles of runs 0 1 (lower) and 2 3 (upper), pairs of run r at bits 2 r.
void decode_q6_k(const uint8_t* p, float* out) {
  const float d = half_at(p + 208);
  for (int half = 0; half < 2; ++half) {
    const uint8_t *low = p + 64 * half, *high = p + 128 + 32 * half;
    const int8_t* scales = (const int8_t*)p + 192 + 8 * half;
    for (int run = 0; run < 4; ++run)
      for (int i = 0; i < 32; ++i) {
        const int byte = low[run % 2 * 32 + i], nibble = run < 2 ? byte & 15 : byte >> 4;
        const int code = (nibble | (high[i] >> 2 * run & 3) << 4) - 32;
        out[128 * half + 32 * run + i] = d * (float)scales[2 * run + i / 16] * (float)code;
      }
  }
}

// 256 numbers -d, 0, d: 32 bytes of five digits to the base 3 and 16 more, each the product of their number and 256 /
// 243 rounded up; 4 bytes of four digits; d. Digit n of a run of bytes is a run of numbers.
void decode_tq1_0(const uint8_t* p, float* out) {
  const float d = half_at(p + 52);
  const auto run = [&](const uint8_t* bytes, int size, int digits) {
    for (int n = 0, power = 1; n < digits; ++n, power *= 3)
      for (int i = 0; i < size; ++i) *out++ = d * (float)((((bytes[i] * power) & 255) * 3 >> 8) - 1);
  };
  run(p, 32, 5);
  run(p + 32, 16, 5);
  run(p + 48, 4, 4);
}
// 256 numbers -d, 0, d: two runs of 32 bytes, of which bits 2 n and 2 n + 1 are a run of 32 numbers; d.
void decode_tq2_0(const uint8_t* p, float* out) {
  const float d = half_at(p + 64);
  for (int half = 0; half < 2; ++half)
    for (int n = 0; n < 4; ++n)
      for (int i = 0; i < 32; ++i) *out++ = d * (float)((p[32 * half + i] >> 2 * n & 3) - 1);
}
// 64 numbers -d, 0, d, 2 d: d, then four a byte, side by side.
void decode_q2_0(const uint8_t* p, float* out) {
  const float d = half_at(p);
  for (int i = 0; i < 64; ++i) out[i] = d * (float)((p[2 + i / 4] >> i % 4 * 2 & 3) - 1);
}
// 128 numbers of bitnet.cpp: the uppermost bits of 32 bytes are the first run of 32.
void decode_i2_s(const uint8_t* p, float* out) {
  for (int n = 0; n < 4; ++n)
    for (int i = 0; i < 32; ++i) *out++ = (float)((p[i] >> (6 - 2 * n) & 3) - 1);
}

constexpr GgufType kTypes[] = {
    {0, "F32", 1, 4, decode_f32},
    {1, "F16", 1, 2, decode_f16},
    {2, "Q4_0", 32, 18, decode_legacy<false, false>, false, "q4_0"},
    {3, "Q4_1", 32, 20, decode_legacy<false, true>, false, "q4_1"},
    {6, "Q5_0", 32, 22, decode_legacy<true, false>},
    {7, "Q5_1", 32, 24, decode_legacy<true, true>},
    {8, "Q8_0", 32, 34, decode_q8_0},
    {12, "Q4_K", 256, 144, decode_k<false>, false, "q4_1"},
    {13, "Q5_K", 256, 176, decode_k<true>},
    {14, "Q6_K", 256, 210, decode_q6_k},
    {30, "BF16", 1, 2, decode_bf16},
    {34, "TQ1_0", 256, 54, decode_tq1_0, true, "q4_0"},
    {35, "TQ2_0", 256, 66, decode_tq2_0, true, "q4_0"},
    {36, "I2_S", 128, 32, decode_i2_s, true, nullptr, 32},
    {42, "Q2_0", 64, 18, decode_q2_0},
};

}  // namespace

const GgufType* find_gguf_type(uint32_t id) {
  for (const GgufType& t : kTypes)
    if (t.id == id) return &t;
  return nullptr;
}

}  // namespace tern
