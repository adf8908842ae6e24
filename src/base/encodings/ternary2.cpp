// SPDX-License-Identifier: Apache-2.0
// ternary2: -1, 0 or 1 times an f32 scale of the row, two bits each (encodings/ternary2.h). The value's dtype is f32.
#include "base/encodings/ternary2.h"

#include <cfloat>
#include <cmath>

#include "base/encoding.h"

namespace tern {
namespace {

bool bytes(DType, MatrixSize size, uint64_t* bytes) {
  int64_t offset, total;
  if (!ternary_layout(size.rows, size.cols, &offset, &total)) return false;
  *bytes = (uint64_t)total;
  return true;
}

double load(MatrixSize size, const void* data, int64_t i, int64_t j) {
  const Ternary w = ternary_view(data, size.rows, size.cols);
  return ternary_value(w.codes[ternary_byte(w.lines, i, j)], ternary_shift(j)) * (double)w.scales[i];
}

// The scale is the largest magnitude, which gives back a row of -s, 0 and s exactly; others go to the nearest of these.
void encode_row(MatrixSize size, const float* row, int64_t i, void* data) {
  const Ternary w = ternary_view(data, size.rows, size.cols);
  float greatest = 0;
  for (int64_t j = 0; j < size.cols; ++j) greatest = std::fmax(greatest, std::fabs(row[j]));
  const float scale = std::fmin(greatest, FLT_MAX);
  const_cast<float*>(w.scales)[i] = scale;
  uint8_t* const codes = const_cast<uint8_t*>(w.codes);
  for (int64_t j = 0; j < w.lines * kTernaryColumns; ++j) {
    const float x = j < size.cols ? row[j] : 0.0f;
    const int code = x > scale / 2 ? 2 : x < -scale / 2 ? 0 : 1, shift = ternary_shift(j);
    uint8_t& byte = codes[ternary_byte(w.lines, i, j)];
    byte = (uint8_t)((byte & ~(3 << shift)) | code << shift);
  }
}

}  // namespace

extern constinit const EncodingInfo encoding_ternary2 = {
    .name = "ternary2", .dtypes = 1u << TERN_DTYPE_F32, .bytes = bytes, .load = load, .encode_row = encode_row};

}  // namespace tern
