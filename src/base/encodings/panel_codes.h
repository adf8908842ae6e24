// SPDX-License-Identifier: Apache-2.0
// Matrices of 8-bit and 4-bit codes with a scale for 32 of them, in the order in which products of integers read them.
// W [rows, cols]; of row n and block b = k / 32
//   panel_int8      W[n, k] = scale[n, b] * code[n, k],                codes -127..127
//   panel_int4      W[n, k] = scale[n, b] * (code[n, k] - 8),          codes 0..15
//   panel_int4_min  W[n, k] = scale[n, b] * code[n, k] + least[n, b],  codes 0..15
// The buffer holds [panels][blocks], panels = ceil(rows / 32), blocks = ceil(cols / 32), of
//   codes   lines of 128 bytes: byte 4 n + j of a line is of row n. Of 8 bits, 8 lines: line l has column 4 l + j. Of 4
//           bits, 4 lines: line l has column 8 l + j in the low bits and 8 l + 4 + j in the high ones
//   scales  f16 [32], little-endian
//   least   f16 [32], of panel_int4_min alone
// Readers ignore codes beyond rows and cols. The buffer is 64-byte aligned; a thread reads its rows as one stream.
#pragma once
#include <cmath>
#include <cstdint>

#include "base/encoding.h"
#include "base/float16.h"

namespace tern {

constexpr int64_t kCodedPanel = 32, kCodedBlock = 32, kCodedLine = 4 * kCodedPanel;  // rows, columns, bytes

// What the three have in common, and do not.
struct PanelCodes {
  int bits = 8;  // 8 or 4
  bool least = false;
  [[gnu::always_inline]] constexpr int64_t code_bytes() const { return kCodedPanel * kCodedBlock * bits / 8; }
  [[gnu::always_inline]] constexpr int64_t block_bytes() const {
    return code_bytes() + kCodedPanel * 2 * (least ? 2 : 1);
  }
  [[gnu::always_inline]] constexpr int zero() const { return bits == 4 && !least ? 8 : 0; }  // the code of 0
};

static constexpr int64_t coded_blocks(int64_t cols) { return cols / kCodedBlock + (cols % kCodedBlock != 0); }

// Bytes of the whole; false: too many, or a negative size.
static inline bool coded_bytes(PanelCodes c, MatrixSize size, uint64_t* bytes) {
  if (size.rows < 0 || size.cols < 0) return false;
  int64_t total;
  if (__builtin_mul_overflow(size.rows / kCodedPanel + (size.rows % kCodedPanel != 0), coded_blocks(size.cols),
                             &total) ||
      __builtin_mul_overflow(total, c.block_bytes(), &total))
    return false;
  *bytes = (uint64_t)total;
  return true;
}

// The block of row i and column j: its codes, and the scale of row i; `least` lies 32 scales on.
static inline int64_t coded_block_at(PanelCodes c, int64_t cols, int64_t i, int64_t j) {
  return (i / kCodedPanel * coded_blocks(cols) + j / kCodedBlock) * c.block_bytes();
}
static inline int64_t coded_scale_at(PanelCodes c, int64_t i) { return c.code_bytes() + i % kCodedPanel * 2; }
// Within the block.
static inline int64_t coded_byte(PanelCodes c, int64_t i, int64_t j) {
  const int64_t k = j % kCodedBlock, columns = 32 / c.bits;  // of a line
  return k / columns * kCodedLine + i % kCodedPanel * 4 + k % 4;
}
static inline int coded_shift(PanelCodes c, int64_t j) { return c.bits == 4 && j % 8 >= 4 ? 4 : 0; }
static inline int coded_value(PanelCodes c, uint8_t byte, int shift) {
  return c.bits == 8 ? (int8_t)byte : (byte >> shift & 15) - c.zero();
}

// For EncodingInfo.
template <int bits, bool least>
bool panel_codes_bytes(DType, MatrixSize size, uint64_t* bytes) {
  return coded_bytes({bits, least}, size, bytes);
}
template <int bits, bool least>
double panel_codes_load(MatrixSize size, const void* data, int64_t i, int64_t j) {
  constexpr PanelCodes c{bits, least};
  const uint8_t* block = (const uint8_t*)data + coded_block_at(c, size.cols, i, j);
  const uint16_t* scale = (const uint16_t*)(block + coded_scale_at(c, i));
  const double value = coded_value(c, block[coded_byte(c, i, j)], coded_shift(c, j)) * (double)f16_to_f32(*scale);
  return least ? value + (double)f16_to_f32(scale[kCodedPanel]) : value;
}

// How up to 32 numbers become codes (as stored) with a scale and, where there is one, a least value.
struct CodedBlock {
  uint8_t codes[kCodedBlock];
  uint16_t scale = 0, least = 0;  // f16
};
template <int bits, bool least>
void panel_codes_encode_row(MatrixSize size, const float* row, int64_t i, void* data,
                            void (*encode_block)(const float*, int n, CodedBlock*)) {
  constexpr PanelCodes c{bits, least};
  for (int64_t first = 0; first < size.cols; first += kCodedBlock) {
    CodedBlock b;
    encode_block(row + first, (int)(size.cols - first < kCodedBlock ? size.cols - first : kCodedBlock), &b);
    uint8_t* block = (uint8_t*)data + coded_block_at(c, size.cols, i, first);
    uint16_t* scale = (uint16_t*)(block + coded_scale_at(c, i));
    *scale = b.scale;
    if (least) scale[kCodedPanel] = b.least;
    for (int64_t j = 0; j < kCodedBlock; ++j) {
      uint8_t& byte = block[coded_byte(c, i, j)];
      const int shift = coded_shift(c, j);
      byte = bits == 8 ? b.codes[j] : (uint8_t)((byte & ~(15 << shift)) | b.codes[j] << shift);
    }
  }
}

// The nearest f16 that is finite.
static inline uint16_t finite_f16(float v) {
  const float most = 65504.0f;
  return f32_to_f16(v > most ? most : v < -most ? -most : v);
}
// The nearest code to v, which may be no number: then `zero`.
static inline uint8_t nearest_code(float v, int zero) {
  if (!(v == v)) return (uint8_t)zero;
  const float q = v < 0 ? 0 : v > 15 ? 15 : std::nearbyint(v);
  return (uint8_t)q;
}
// By how much a number changes as f16.
static inline float lost_as_f16(float v) { return std::fabs(f16_to_f32(finite_f16(v)) - v); }
// Are all numbers (x - from) / step codes, within a thousandth?
static inline bool lie_on(const float* x, int n, float from, float step) {
  for (int i = 0; i < n; ++i) {
    const float v = (x[i] - from) / step;
    if (!(v > -0.5f && v < 15.5f && std::fabs(v - std::nearbyint(v)) < 0.001f)) return false;
  }
  return true;
}

}  // namespace tern
