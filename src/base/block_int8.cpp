// SPDX-License-Identifier: Apache-2.0
#include "base/block_int8.h"

#include <cfloat>
#include <cmath>

#include "base/float16.h"

namespace tern {

void block_int8_encode_row(const float* row, int64_t cols, int32_t scale_bytes, int8_t* codes, void* scales) {
  const int64_t blocks = block_int8_blocks(cols);
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t begin = b * kBlockInt8, end = begin + kBlockInt8 < cols ? begin + kBlockInt8 : cols;
    float greatest = 0;
    for (int64_t k = begin; k < end; ++k) greatest = std::fmax(greatest, std::fabs(row[k]));
    float scale = std::fmin(greatest, FLT_MAX) / 127.0f;
    if (scale_bytes == 2) {
      uint16_t half = f32_to_f16(scale);
      if (half == 0x7c00) half = 0x7bff;  // keep weights finite; codes are clamped below
      ((uint16_t*)scales)[b] = half;
      scale = f16_to_f32(half);
    } else {
      ((float*)scales)[b] = scale;
    }
    for (int64_t k = begin; k < begin + kBlockInt8; ++k) {
      const float q = k < end && scale > 0 && row[k] == row[k] ? std::nearbyint(row[k] / scale) : 0.0f;
      codes[k] = (int8_t)(q > 127 ? 127 : q < -127 ? -127 : q);
    }
  }
}

}  // namespace tern
