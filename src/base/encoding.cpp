// SPDX-License-Identifier: Apache-2.0
#include "base/encoding.h"

#include <cstring>

#include "base/block_int8.h"
#include "base/checked.h"
#include "base/panel.h"

namespace tern {

namespace {

constexpr int32_t kScaleBytes = 2;  // block_int8 in tensors: f16 scales

// Rows and columns of the matrix that an encoded tensor is; its shape passed check_shape and has a rank of at least 2.
void matrix_of(const Shape& shape, int64_t* rows, int64_t* cols) {
  *rows = shape[0];
  *cols = 1;
  for (int i = 1; i < shape.rank; ++i) *cols *= shape[i];
}

}  // namespace

const char* encoding_name(Encoding e) {
  constexpr const char* names[kNumEncodings] = {"plain", "panel32", "block_int8"};
  return (int)e < kNumEncodings ? names[(int)e] : "?";
}

tern_status encoded_bytes(Encoding e, DType dtype, const Shape& shape, uint64_t* bytes) {
  TERN_TRY(check_shape(shape, encoding_name(e)));
  if (!is_dtype(dtype)) return TERN_FAIL(TERN_ERR_TYPE, "%" PRId32 " is no element type", dtype);
  const uint64_t size = dtype_size(dtype);
  if (e == Encoding::plain) {
    *bytes = (uint64_t)shape.elements() * size;  // check_shape: elements * 8 fits
    return TERN_OK;
  }
  const bool panel = e == Encoding::panel32;
  if (!panel && e != Encoding::block_int8) return TERN_FAIL(TERN_ERR_UNSUPPORTED, "encoding %d is unknown", (int)e);
  if (dtype != TERN_DTYPE_F32 && !(panel && dtype == TERN_DTYPE_F16))
    return TERN_FAIL(TERN_ERR_TYPE, "the encoding %s does not hold %s", encoding_name(e), dtype_name(dtype));
  if (shape.rank < 2)
    return TERN_FAIL(TERN_ERR_SHAPE, "the encoding %s needs a matrix, the shape is %s", encoding_name(e),
                     to_string(shape).c_str());
  int64_t rows, cols, offset, total;
  matrix_of(shape, &rows, &cols);
  if (panel) {
    const int64_t elements = panel_elements(rows, cols);
    if (elements < 0 || !checked_mul((uint64_t)elements, size, bytes))
      return TERN_FAIL(TERN_ERR_LIMIT, "the shape %s is too large for %s", to_string(shape).c_str(), encoding_name(e));
    return TERN_OK;
  }
  if (!block_int8_layout(rows, cols, kScaleBytes, &offset, &total))
    return TERN_FAIL(TERN_ERR_LIMIT, "the shape %s is too large for %s", to_string(shape).c_str(), encoding_name(e));
  *bytes = (uint64_t)total;
  return TERN_OK;
}

double load_encoded(Encoding e, DType dtype, const Shape& shape, const void* data, int64_t index) {
  if (e == Encoding::plain) return load_element(dtype, data, index);
  int64_t rows, cols;
  matrix_of(shape, &rows, &cols);
  const int64_t i = index / cols, j = index % cols;
  if (e == Encoding::panel32) return load_element(dtype, data, panel_index(i, j, rows, cols));
  const BlockInt8 w = block_int8_view(data, rows, cols, kScaleBytes);
  const int64_t blocks = block_int8_blocks(cols);
  return w.codes[i * blocks * kBlockInt8 + j] * load_element(TERN_DTYPE_F16, w.scales, i * blocks + j / kBlockInt8);
}

void decode(Encoding e, DType dtype, const Shape& shape, const void* data, float* out) {
  for (int64_t i = 0, n = shape.elements(); i < n; ++i) out[i] = (float)load_encoded(e, dtype, shape, data, i);
}

void encode(Encoding e, DType dtype, const Shape& shape, const float* in, void* out) {
  const int64_t n = shape.elements();
  if (e == Encoding::plain) {
    for (int64_t i = 0; i < n; ++i) store_element(dtype, out, i, in[i]);
    return;
  }
  uint64_t bytes = 0;
  if (encoded_bytes(e, dtype, shape, &bytes) != TERN_OK) return;
  std::memset(out, 0, bytes);
  int64_t rows, cols;
  matrix_of(shape, &rows, &cols);
  if (e == Encoding::panel32) {
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < cols; ++j) store_element(dtype, out, panel_index(i, j, rows, cols), in[i * cols + j]);
    return;
  }
  const BlockInt8 w = block_int8_view(out, rows, cols, kScaleBytes);
  const int64_t blocks = block_int8_blocks(cols);
  for (int64_t i = 0; i < rows; ++i)
    block_int8_encode_row(in + i * cols, cols, kScaleBytes, const_cast<int8_t*>(w.codes) + i * blocks * kBlockInt8,
                          (uint16_t*)const_cast<void*>(w.scales) + i * blocks);
}

}  // namespace tern
