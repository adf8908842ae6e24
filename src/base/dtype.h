// SPDX-License-Identifier: Apache-2.0
// Element types: sizes, classes and access to single elements.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "base/float16.h"
#include "tern/types.h"

namespace tern {

using DType = int32_t;  // tern_dtype; a number read from a file is checked with is_dtype first

constexpr bool is_dtype(int64_t d) { return d >= TERN_DTYPE_F32 && d <= TERN_DTYPE_BOOL; }
constexpr bool is_float(DType d) { return d >= TERN_DTYPE_F32 && d <= TERN_DTYPE_F64; }
constexpr bool is_integer(DType d) { return d >= TERN_DTYPE_I8 && d <= TERN_DTYPE_U64; }

constexpr size_t dtype_size(DType d) {
  switch (d) {
    case TERN_DTYPE_F64:
    case TERN_DTYPE_I64:
    case TERN_DTYPE_U64: return 8;
    case TERN_DTYPE_F32:
    case TERN_DTYPE_I32:
    case TERN_DTYPE_U32: return 4;
    case TERN_DTYPE_F16:
    case TERN_DTYPE_BF16:
    case TERN_DTYPE_I16:
    case TERN_DTYPE_U16: return 2;
    case TERN_DTYPE_I8:
    case TERN_DTYPE_U8:
    case TERN_DTYPE_BOOL: return 1;
    default: return 0;
  }
}

constexpr const char* dtype_name(DType d) {
  constexpr const char* names[] = {"none", "f32", "f16", "bf16", "f64", "i8",  "u8",
                                   "i16",  "u16", "i32", "u32",  "i64", "u64", "bool"};
  return d >= 0 && d <= TERN_DTYPE_BOOL ? names[d] : "?";
}

// Number of a name as dtype_name gives, or TERN_DTYPE_NONE.
inline DType dtype_from_name(const char* name) {
  for (DType d = TERN_DTYPE_F32; d <= TERN_DTYPE_BOOL; ++d)
    if (std::strcmp(dtype_name(d), name) == 0) return d;
  return TERN_DTYPE_NONE;
}

// Element i as a double (64-bit integers beyond 2^53 are rounded). Not inline: reference loops of all operators use it,
// and a copy in each would be a third of the library.
double load_element(DType d, const void* data, int64_t i);

// Stores a double: rounded to the nearest for floats, truncated and saturated for integers (NaN gives 0), v != 0 for
// bool.
void store_element(DType d, void* data, int64_t i, double v);

// Element i of an integer or bool tensor, exactly (u64 above INT64_MAX wraps); of a float tensor, truncated.
int64_t load_integer(DType d, const void* data, int64_t i);

// Stores an integer; narrower types keep the low bits, as C does.
void store_integer(DType d, void* data, int64_t i, int64_t v);

}  // namespace tern
