// SPDX-License-Identifier: Apache-2.0
// The block-quantised int8 matrix: one buffer that is multiplied from both sides and read row by row, as it lies in a
// mapped file.
//
// W is [rows, cols]; W[n, k] = code[n, k] * scale[n, k / 32]. The buffer holds, in this order:
//   codes   int8 [rows][blocks * 32], blocks = ceil(cols / 32); any value is valid; the encoder writes -127..127 and 0
//           beyond cols, where readers ignore it
//   pad     zero bytes up to a multiple of 64
//   scales  f16 [rows][blocks], little-endian
// The buffer is 64-byte aligned. Row-major order makes a row of W one sequential stream for W x, a row look-up one
// copy, and a block of columns of consecutive rows whole cache lines for W^T x.
#pragma once
#include "base/encodings/coded_rows.h"

namespace tern {

constexpr int64_t kBlockInt8 = 32;  // codes that share one scale

struct BlockInt8 {
  const int8_t* codes = nullptr;
  const uint16_t* scales = nullptr;  // f16
  int64_t rows = 0, cols = 0;
};

static constexpr int64_t block_int8_blocks(int64_t cols) { return cols / kBlockInt8 + (cols % kBlockInt8 != 0); }

// Byte offset of the scales and size of the whole buffer. False, and nothing is written, when a size is negative or the
// sum exceeds int64.
static inline bool block_int8_layout(int64_t rows, int64_t cols, int64_t* scales_offset, int64_t* bytes) {
  const int64_t blocks = block_int8_blocks(cols);
  return blocks <= INT64_MAX / kBlockInt8 &&
         coded_rows_layout(rows, blocks * kBlockInt8, blocks * (int64_t)sizeof(uint16_t), scales_offset, bytes);
}

// A view of such a buffer; the caller has checked its size with block_int8_layout.
static inline BlockInt8 block_int8_view(const void* buffer, int64_t rows, int64_t cols) {
  int64_t offset = 0, bytes = 0;
  block_int8_layout(rows, cols, &offset, &bytes);
  return {(const int8_t*)buffer, (const uint16_t*)((const char*)buffer + offset), rows, cols};
}

// Encodes one row of f32 (cols elements) into codes [blocks * 32] and scales [blocks]. Scale = max|w| / 127, rounded to
// f16 before the codes are taken; a block of zeros has scale 0. NaN becomes 0, an infinity the largest finite number.
void block_int8_encode_row(const float* row, int64_t cols, int8_t* codes, uint16_t* scales);

}  // namespace tern
