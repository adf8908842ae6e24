// SPDX-License-Identifier: Apache-2.0
// How codes in panels (base/encodings/panel_codes.h) are widened. Included only by sources that are built once per set.
#pragma once
#include <string.h>

#include "base/encodings/panel_codes.h"
#include "kernels/cpu/encoded.h"

namespace tern::cpu::TERN_ISA {

template <int bits, bool least>
void unpack_codes(const EncodedMatrix& m, int64_t row, int64_t rows, int64_t col, int64_t cols, float* out,
                  int64_t stride) {
  constexpr PanelCodes c{bits, least};
  for (int64_t i = row; i < row + rows; ++i, out += stride)
    for (int64_t j = 0; j < cols; j += 4) {
      const uint8_t* block = (const uint8_t*)m.data + coded_block_at(c, m.cols, i, col + j);
      const uint8_t* bytes = block + coded_byte(c, i, col + j);
      const uint16_t* half = (const uint16_t*)(block + coded_scale_at(c, i));
      const float scale = f16_to_f32(half[0]), lowest = least ? f16_to_f32(half[kCodedPanel]) : 0.0f;
      const int shift = coded_shift(c, col + j), n = cols - j < 4 ? (int)(cols - j) : 4;
      float values[4];
      for (int k = 0; k < 4; ++k) {
        const float v = (float)coded_value(c, bytes[k], shift) * scale;
        values[k] = least ? v + lowest : v;
      }
      if (n == 4) memcpy(out + j, values, sizeof values);
      else memcpy(out + j, values, (size_t)n * sizeof(float));
    }
}

}  // namespace tern::cpu::TERN_ISA
