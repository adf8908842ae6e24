// SPDX-License-Identifier: Apache-2.0
// row_int8: int8 codes and one f32 scale a row: W[n, k] = code[n, k] * scale[n]. The value's dtype is f32.
//   codes   int8 [rows][cols]; any value is valid, the encoder writes -127..127
//   pad     zero bytes up to a multiple of 64
//   scales  f32 [rows], little-endian
#include <cmath>

#include "base/encoding.h"
#include "base/encodings/coded_rows.h"

namespace tern {
namespace {

bool layout(MatrixSize size, int64_t* scales, int64_t* bytes) {
  return coded_rows_layout(size.rows, size.cols, sizeof(float), scales, bytes);
}

bool bytes(DType, MatrixSize size, uint64_t* bytes) {
  int64_t scales, total;
  if (!layout(size, &scales, &total)) return false;
  *bytes = (uint64_t)total;
  return true;
}

int64_t row_scales(MatrixSize size) {
  int64_t scales = 0, total = 0;
  layout(size, &scales, &total);
  return scales;
}

double load(MatrixSize size, const void* data, int64_t i, int64_t j) {
  const float* scales = (const float*)((const char*)data + row_scales(size));
  return ((const int8_t*)data)[i * size.cols + j] * (double)scales[i];
}

// Scale = max|w| / 127; a row of zeros has scale 0. NaN becomes 0, an infinity a large finite number.
void encode_row(MatrixSize size, const float* row, int64_t i, void* data) {
  int8_t* codes = (int8_t*)data + i * size.cols;
  float greatest = 0;
  for (int64_t j = 0; j < size.cols; ++j) greatest = std::fmax(greatest, std::fabs(row[j]));
  const float scale = std::fmin(greatest, 3.4e38f) / 127.0f;  // 127 times that is finite
  ((float*)((char*)data + row_scales(size)))[i] = scale;
  for (int64_t j = 0; j < size.cols; ++j) {
    const float q = scale > 0 && row[j] == row[j] ? std::nearbyint(row[j] / scale) : 0.0f;
    codes[j] = (int8_t)(q > 127 ? 127 : q < -127 ? -127 : q);
  }
}

}  // namespace

extern constinit const EncodingInfo encoding_row_int8 = {.name = "row_int8",
                                                         .dtypes = 1u << TERN_DTYPE_F32,
                                                         .bytes = bytes,
                                                         .row_scales = row_scales,
                                                         .load = load,
                                                         .encode_row = encode_row};

}  // namespace tern
