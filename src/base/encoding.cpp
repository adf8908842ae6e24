// SPDX-License-Identifier: Apache-2.0
#include "base/encoding.h"

#include <cstring>

namespace tern {

#define TERN_DECLARE(name) extern const EncodingInfo encoding_##name;
TERN_ENCODINGS(TERN_DECLARE)
#undef TERN_DECLARE

namespace {

#define TERN_ADDRESS(name) &encoding_##name,
const EncodingInfo* const kEncodings[] = {TERN_ENCODINGS(TERN_ADDRESS)};
#undef TERN_ADDRESS

double load(const EncodingInfo& info, DType dtype, MatrixSize size, const void* data, int64_t i, int64_t j) {
  return info.position ? load_element(dtype, data, info.position(size, i, j)) : info.load(size, data, i, j);
}

}  // namespace

const EncodingInfo& encoding_info(Encoding e) { return *kEncodings[(int)e]; }

bool find_encoding(std::string_view name, Encoding* out) {
  for (int e = 0; e < kNumEncodings; ++e)
    if (name == kEncodings[e]->name) return *out = (Encoding)e, true;
  return false;
}

const char* encoding_name(Encoding e) { return is_encoding((int)e) ? kEncodings[(int)e]->name : "?"; }

MatrixSize matrix_size(Encoding e, const Shape& shape) {
  if (encoding_info(e).any_rank) return {1, shape.elements()};
  MatrixSize size{shape[0], 1};
  for (int i = 1; i < shape.rank; ++i) size.cols *= shape[i];
  return size;
}

tern_status encoded_bytes(Encoding e, DType dtype, const Shape& shape, uint64_t* bytes) {
  if (!is_encoding((int)e)) return TERN_FAIL(TERN_ERR_UNSUPPORTED, "encoding %d is unknown", (int)e);
  const EncodingInfo& info = encoding_info(e);
  TERN_TRY(check_shape(shape, info.name));
  if (!is_dtype(dtype)) return TERN_FAIL(TERN_ERR_TYPE, "%" PRId32 " is no element type", dtype);
  if (!(info.dtypes >> dtype & 1))
    return TERN_FAIL(TERN_ERR_TYPE, "the encoding %s does not hold %s", info.name, dtype_name(dtype));
  if (!info.any_rank && shape.rank < 2)
    return TERN_FAIL(TERN_ERR_SHAPE, "the encoding %s needs a matrix, the shape is %s", info.name,
                     to_string(shape).c_str());
  uint64_t total = 0;
  if (!info.bytes(dtype, matrix_size(e, shape), &total) || total > (uint64_t)INT64_MAX)
    return TERN_FAIL(TERN_ERR_LIMIT, "the shape %s is too large for %s", to_string(shape).c_str(), info.name);
  *bytes = total;
  return TERN_OK;
}

double load_encoded(Encoding e, DType dtype, const Shape& shape, const void* data, int64_t index) {
  const MatrixSize size = matrix_size(e, shape);
  return load(encoding_info(e), dtype, size, data, index / size.cols, index % size.cols);
}

void store_encoded(Encoding e, DType dtype, const Shape& shape, void* data, int64_t index, double value) {
  const MatrixSize size = matrix_size(e, shape);
  store_element(dtype, data, encoding_info(e).position(size, index / size.cols, index % size.cols), value);
}

void decode(Encoding e, DType dtype, const Shape& shape, const void* data, float* out) {
  const EncodingInfo& info = encoding_info(e);
  const MatrixSize size = matrix_size(e, shape);
  for (int64_t i = 0; i < size.rows; ++i)
    for (int64_t j = 0; j < size.cols; ++j) *out++ = (float)load(info, dtype, size, data, i, j);
}

void encode_rows(Encoding e, DType dtype, const Shape& shape, const float* in, int64_t first, int64_t count,
                 void* out) {
  const EncodingInfo& info = encoding_info(e);
  const MatrixSize size = matrix_size(e, shape);
  for (int64_t i = first; i < first + count; ++i, in += size.cols) {
    if (info.position)
      for (int64_t j = 0; j < size.cols; ++j) store_element(dtype, out, info.position(size, i, j), in[j]);
    else info.encode_row(size, in, i, out);
  }
}

void encode(Encoding e, DType dtype, const Shape& shape, const float* in, void* out) {
  uint64_t bytes = 0;
  if (encoded_bytes(e, dtype, shape, &bytes) != TERN_OK) return;
  std::memset(out, 0, bytes);
  encode_rows(e, dtype, shape, in, 0, matrix_size(e, shape).rows, out);
}

}  // namespace tern
