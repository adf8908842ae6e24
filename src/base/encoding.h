// SPDX-License-Identifier: Apache-2.0
// Encodings: how the elements of a matrix lie in memory. The order of bytes in a file is the order that kernels read.
//
// An encoded tensor keeps its logical shape [N, k0, k1, ...]; it is a matrix of N rows and K = k0 * k1 * ... columns.
// Each file encodings/<name>.cpp is one encoding: the build collects them into the enumeration and the table behind
// encoding_info. Everybody else asks for properties; only who chooses an encoding names one. Numbers of the enumeration
// hold within one build: files store names.
#pragma once
#include <string_view>

#include "base/dtype.h"
#include "base/encodings_generated.h"  // enum class Encoding : uint8_t { plain = 0, ... }; constexpr int kNumEncodings
#include "base/shape.h"

namespace tern {

struct MatrixSize {
  int64_t rows = 0, cols = 0;
};

// What an encoding is: `encoding_<name>` in encodings/<name>.cpp. Bytes of zeros are a tensor of zeros. Functions get
// an element type and a size that the encoding takes, and indices within the size.
struct EncodingInfo {
  const char* name;  // as in files
  uint32_t dtypes;   // bit d: it holds tensors of element type d
  // Any shape, as one row; others take matrices only: a rank of at least 2.
  bool any_rank = false;
  // Bytes of the whole; false: too many.
  bool (*bytes)(DType dtype, MatrixSize size, uint64_t* bytes) = nullptr;
  // Where element (i, j) lies, counted in elements: of encodings that only permute the elements of a plain tensor, and
  // perhaps pad them with zeros. Such a tensor can be written element by element, and updated in its own order. NULL:
  // elements share bytes; then the next two are there.
  int64_t (*position)(MatrixSize size, int64_t i, int64_t j) = nullptr;
  // The elements are int8 codes in the order of a plain tensor, with an f32 scale for each row from this byte on:
  // element = code * scale of its row; encode_row takes max|row| / 127 as the scale. NULL: of no others.
  int64_t (*row_scales)(MatrixSize size) = nullptr;
  double (*load)(MatrixSize size, const void* data, int64_t i, int64_t j) = nullptr;
  // Row i anew from `cols` floats. What is no number, or beyond the range, becomes some number.
  void (*encode_row)(MatrixSize size, const float* row, int64_t i, void* data) = nullptr;
};

constexpr bool is_encoding(int64_t e) { return e >= 0 && e < kNumEncodings; }
// `e` passed is_encoding.
const EncodingInfo& encoding_info(Encoding e);
// That of a name as files store it; false if there is none.
bool find_encoding(std::string_view name, Encoding* out);
const char* encoding_name(Encoding e);  // "?" for none

// Row-major, one element after another.
constexpr bool is_plain(Encoding e) { return e == Encoding::plain; }
// The elements of a plain tensor in another order, or in the same.
inline bool is_permutation(Encoding e) { return encoding_info(e).position != nullptr; }

// Rows and columns of an encoded tensor, whose shape passed encoded_bytes.
MatrixSize matrix_size(Encoding e, const Shape& shape);

// Bytes that a tensor occupies. Fails if the encoding does not take this dtype or shape, or the size overflows.
tern_status encoded_bytes(Encoding e, DType dtype, const Shape& shape, uint64_t* bytes);

// Element `index` (row-major index of the logical shape), as a double. `shape` and `dtype` passed encoded_bytes.
double load_encoded(Encoding e, DType dtype, const Shape& shape, const void* data, int64_t index);
// The same, written; of permutations only.
void store_encoded(Encoding e, DType dtype, const Shape& shape, void* data, int64_t index, double value);

// Rows [first, first + count) of an encoded matrix anew; `in` holds count * cols floats. What else shares their bytes
// stays.
void encode_rows(Encoding e, DType dtype, const Shape& shape, const float* in, int64_t first, int64_t count, void* out);

// All elements to plain f32 / from plain f32. `out` holds elements() floats / encoded_bytes bytes.
void decode(Encoding e, DType dtype, const Shape& shape, const void* data, float* out);
void encode(Encoding e, DType dtype, const Shape& shape, const float* in, void* out);

}  // namespace tern
