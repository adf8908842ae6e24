// SPDX-License-Identifier: Apache-2.0
// What encodings of codes with scales share: the codes of all rows, zero bytes up to a multiple of 64, the scales of
// all rows.
#pragma once
#include <cstdint>

namespace tern {

// Byte offset of the scales and size of the whole, for `rows` rows of so many bytes. False, and nothing is written,
// when a size is negative or the sum exceeds int64.
static inline bool coded_rows_layout(int64_t rows, int64_t code_bytes, int64_t scale_bytes, int64_t* scales_offset,
                                     int64_t* bytes) {
  int64_t codes, scales, total;
  if (rows < 0 || code_bytes < 0 || scale_bytes < 0 || __builtin_mul_overflow(code_bytes, rows, &codes) ||
      __builtin_add_overflow(codes, (int64_t)63, &codes))
    return false;
  codes &= ~(int64_t)63;
  if (__builtin_mul_overflow(scale_bytes, rows, &scales) || __builtin_add_overflow(codes, scales, &total)) return false;
  *scales_offset = codes;
  *bytes = total;
  return true;
}

}  // namespace tern
