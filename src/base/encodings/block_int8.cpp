// SPDX-License-Identifier: Apache-2.0
// block_int8: int8 codes in blocks of 32 along K, one f16 scale a block (encodings/block_int8.h). The value's dtype is
// f32.
#include "base/encodings/block_int8.h"

#include <cfloat>
#include <cmath>

#include "base/encoding.h"

namespace tern {
namespace {

bool bytes(DType, MatrixSize size, uint64_t* bytes) {
  int64_t offset, total;
  if (!block_int8_layout(size.rows, size.cols, &offset, &total)) return false;
  *bytes = (uint64_t)total;
  return true;
}

double load(MatrixSize size, const void* data, int64_t i, int64_t j) {
  const BlockInt8 w = block_int8_view(data, size.rows, size.cols);
  const int64_t blocks = block_int8_blocks(size.cols);
  return w.codes[i * blocks * kBlockInt8 + j] * (double)f16_to_f32(w.scales[i * blocks + j / kBlockInt8]);
}

void encode_row(MatrixSize size, const float* row, int64_t i, void* data) {
  const BlockInt8 w = block_int8_view(data, size.rows, size.cols);
  const int64_t blocks = block_int8_blocks(size.cols);
  block_int8_encode_row(row, size.cols, const_cast<int8_t*>(w.codes) + i * blocks * kBlockInt8,
                        const_cast<uint16_t*>(w.scales) + i * blocks);
}

}  // namespace

void block_int8_encode_row(const float* row, int64_t cols, int8_t* codes, uint16_t* scales) {
  for (int64_t b = 0; b < block_int8_blocks(cols); ++b) {
    const int64_t begin = b * kBlockInt8, end = begin + kBlockInt8 < cols ? begin + kBlockInt8 : cols;
    float greatest = 0;
    for (int64_t k = begin; k < end; ++k) greatest = std::fmax(greatest, std::fabs(row[k]));
    scales[b] = f32_to_f16(std::fmin(greatest, FLT_MAX) / 127.0f);
    if (scales[b] == 0x7c00) scales[b] = 0x7bff;  // keep weights finite; codes are clamped below
    const float scale = f16_to_f32(scales[b]);
    for (int64_t k = begin; k < begin + kBlockInt8; ++k) {
      const float q = k < end && scale > 0 && row[k] == row[k] ? std::nearbyint(row[k] / scale) : 0.0f;
      codes[k] = (int8_t)(q > 127 ? 127 : q < -127 ? -127 : q);
    }
  }
}

extern constinit const EncodingInfo encoding_block_int8 = {
    .name = "block_int8", .dtypes = 1u << TERN_DTYPE_F32, .bytes = bytes, .load = load, .encode_row = encode_row};

}  // namespace tern
