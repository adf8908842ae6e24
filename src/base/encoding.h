// SPDX-License-Identifier: Apache-2.0
// Encodings: how the elements of a matrix lie in memory. The order of bytes in a file is the order that kernels read.
//
// An encoded tensor keeps its logical shape [N, k0, k1, ...]; it is a matrix of N rows and K = k0 * k1 * ... columns.
//   plain       row-major; every dtype and rank
//   panel32     f32, f16: panels of up to 32 rows, each panel [K][width] (base/panel.h)
//   block_int8  int8 codes in blocks of 32 along K, one scale a block (base/block_int8.h); the value's dtype is f32
#pragma once
#include "base/dtype.h"
#include "base/shape.h"

namespace tern {

enum class Encoding : uint8_t { plain = 0, panel32 = 1, block_int8 = 2 };
constexpr int kNumEncodings = 3;

const char* encoding_name(Encoding e);

// Bytes that a tensor occupies. Fails if the encoding does not take this dtype or shape, or the size overflows.
tern_status encoded_bytes(Encoding e, DType dtype, const Shape& shape, uint64_t* bytes);

// Element `index` (row-major index of the logical shape), as a double. `shape` and `dtype` passed encoded_bytes.
double load_encoded(Encoding e, DType dtype, const Shape& shape, const void* data, int64_t index);

// All elements to plain f32 / from plain f32. `out` holds elements() floats / encoded_bytes bytes.
void decode(Encoding e, DType dtype, const Shape& shape, const void* data, float* out);
void encode(Encoding e, DType dtype, const Shape& shape, const float* in, void* out);

}  // namespace tern
