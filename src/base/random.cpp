// SPDX-License-Identifier: Apache-2.0
// Built without fused products (src/tern.cmake).
#include "base/random.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace tern {

void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  uint32_t x0 = counter[0], x1 = counter[1], x2 = counter[2], x3 = counter[3], k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = (uint64_t)0xD2511F53u * x0, b = (uint64_t)0xCD9E8D57u * x2;
    x0 = (uint32_t)(b >> 32) ^ x1 ^ k0, x1 = (uint32_t)b;
    x2 = (uint32_t)(a >> 32) ^ x3 ^ k1, x3 = (uint32_t)a;
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  out[0] = x0, out[1] = x1, out[2] = x2, out[3] = x3;
}

void RandomDraw::block(int64_t index, uint32_t out[4]) const {
  const uint32_t key[2] = {(uint32_t)seed, (uint32_t)((uint64_t)seed >> 32)};
  const uint32_t counter[4] = {(uint32_t)index, (uint32_t)place | (uint32_t)((uint64_t)index >> 32) << 24,
                               (uint32_t)step, (uint32_t)((uint64_t)step >> 32)};
  philox4x32(counter, key, out);
}

namespace {

// Calls convert(words, four) for each block and copies what is asked for.
template <class T, class Convert>
void fill(const RandomDraw& d, int64_t begin, int64_t end, T* y, Convert convert) {
  for (int64_t i = begin; i < end;) {
    uint32_t words[4];
    T four[4];
    d.block(i / 4, words);
    convert(words, four);
    const int64_t last = std::min(end, i / 4 * 4 + 4);
    for (; i < last; ++i) y[i - begin] = four[i % 4];
  }
}

// ln x for a normal x > 0; the polynomial is that of Cephes' logf.
float natural_log(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x), shifted = bits - 0x3f3504f3u;  // from sqrt(1/2) on
  const int32_t exponent = (int32_t)shifted >> 23;
  const float m = std::bit_cast<float>((shifted & 0x7fffffu) + 0x3f3504f3u) - 1, z = m * m, e = (float)exponent;
  float p = 7.0376836292e-2f;
  for (const float c : {-1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f, -1.6668057665e-1f,
                        2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f})
    p = p * m + c;
  p = p * m * z;
  p += e * -2.12194440e-4f;
  p -= 0.5f * z;
  return m + p + e * 0.693359375f;
}

// Two normal numbers: a radius from one word, a direction from the other.
void box_muller(uint32_t r, uint32_t angle, float* out) {
  const float u = std::min((float)r * 0x1p-32f + 0x1p-33f, 1.0f);
  const float radius = std::sqrt(std::max(-2 * natural_log(u), 0.0f));
  // A quarter of the circle, and where in it: -pi / 4 to pi / 4.
  const float a = (float)(int32_t)(angle << 2) * (0x1p-32f * 1.57079637f), z = a * a;
  const float s = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * a + a;
  const float c =
      ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z - 0.5f * z + 1;
  const uint32_t quarter = angle >> 30;
  const float x = quarter & 1 ? s : c, y = quarter & 1 ? c : s;
  out[0] = radius * (quarter == 1 || quarter == 2 ? -x : x);
  out[1] = radius * (quarter >= 2 ? -y : y);
}

}  // namespace

void RandomDraw::uniform(int64_t begin, int64_t end, float low, float width, float* y) const {
  fill(*this, begin, end, y, [&](const uint32_t* words, float* four) {
    for (int k = 0; k < 4; ++k) four[k] = low + width * ((float)(words[k] >> 8) * 0x1p-24f);
  });
}

void RandomDraw::normal(int64_t begin, int64_t end, float mean, float deviation, float* y) const {
  fill(*this, begin, end, y, [&](const uint32_t* words, float* four) {
    for (int k = 0; k < 4; k += 2) box_muller(words[k], words[k + 1], four + k);
    for (int k = 0; k < 4; ++k) four[k] = mean + deviation * four[k];
  });
}

void RandomDraw::bernoulli(int64_t begin, int64_t end, uint64_t bound, uint8_t* y) const {
  fill(*this, begin, end, y, [&](const uint32_t* words, uint8_t* four) {
    for (int k = 0; k < 4; ++k) four[k] = words[k] < bound;
  });
}

}  // namespace tern
