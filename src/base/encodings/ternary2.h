// SPDX-License-Identifier: Apache-2.0
// The ternary matrix of two bits a weight: W [rows, cols], W[n, k] = scale[n] * (code[n, k] - 1), codes 0, 1, 2. The
// buffer holds
//   codes   [panels][lines][64], panels = ceil(rows / 16), lines = ceil(cols / 16): a line is 16 columns of 16 rows.
//           Byte 4 n + j of line l of a panel holds in bits 2 f and 2 f + 1 the code of row n and column 16 l + 4 f + j
//   scales  f32 [16 * panels], little-endian
// Code 3 is never written; it is read as twice the scale. Readers ignore codes beyond rows and cols. The buffer is
// 64-byte aligned. A line masked with 3 << 2 f is what a dot product of four bytes takes, on every instruction set; a
// thread reads its rows as one stream.
#pragma once
#include <cstdint>

#include "base/encodings/coded_rows.h"

namespace tern {

constexpr int64_t kTernaryRows = 16, kTernaryColumns = 16, kTernaryLine = 64;  // of a panel, of a line, bytes

struct Ternary {
  const uint8_t* codes = nullptr;
  const float* scales = nullptr;
  int64_t lines = 0;  // of a panel
};

static constexpr int64_t ternary_lines(int64_t cols) { return cols / kTernaryColumns + (cols % kTernaryColumns != 0); }

// False, and nothing is written, when a size is negative or the sum exceeds int64.
static inline bool ternary_layout(int64_t rows, int64_t cols, int64_t* scales_offset, int64_t* bytes) {
  const int64_t panels = rows / kTernaryRows + (rows % kTernaryRows != 0), lines = ternary_lines(cols);
  return lines <= INT64_MAX / kTernaryLine && cols >= 0 &&
         coded_rows_layout(panels, lines * kTernaryLine, kTernaryRows * (int64_t)sizeof(float), scales_offset, bytes);
}

static inline Ternary ternary_view(const void* buffer, int64_t rows, int64_t cols) {
  int64_t offset = 0, bytes = 0;
  ternary_layout(rows, cols, &offset, &bytes);
  return {(const uint8_t*)buffer, (const float*)((const char*)buffer + offset), ternary_lines(cols)};
}

// The byte that holds the code of row i and column j, and the bits of it.
static inline int64_t ternary_byte(int64_t lines, int64_t i, int64_t j) {
  return (i / kTernaryRows * lines + j / kTernaryColumns) * kTernaryLine + i % kTernaryRows * 4 + j % 4;
}
static inline int ternary_shift(int64_t j) { return (int)(j % kTernaryColumns / 4 * 2); }
static inline int ternary_value(uint8_t byte, int shift) { return (byte >> shift & 3) - 1; }

}  // namespace tern
