// SPDX-License-Identifier: Apache-2.0
#include "base/dtype.h"

#include "base/round_to_odd.h"

namespace tern {
namespace {
template <class T>
inline T read(const void* data, int64_t i) {
  T v;
  std::memcpy(&v, (const char*)data + i * (int64_t)sizeof(T), sizeof(T));
  return v;
}
template <class T>
inline void write(void* data, int64_t i, T v) {
  std::memcpy((char*)data + i * (int64_t)sizeof(T), &v, sizeof(T));
}
// C++ leaves the conversion of a value outside the target's range undefined; here it saturates, and NaN gives 0.
template <class T>
inline T saturate(double v) {
  if (!(v == v)) return 0;
  constexpr double lo =
      (double)(T)(sizeof(T) == 8 ? ((T)-1 < 0 ? INT64_MIN : 0) : ((T)-1 < 0 ? -(1LL << (8 * sizeof(T) - 1)) : 0));
  constexpr double hi = sizeof(T) == 8 ? ((T)-1 < 0 ? 9223372036854775807.0 : 18446744073709551615.0)
                                       : (double)((1LL << (8 * sizeof(T) - ((T)-1 < 0 ? 1 : 0))) - 1);
  if (v <= lo) return (T)lo;
  if (v >= hi) return sizeof(T) == 8 ? ((T)-1 < 0 ? (T)INT64_MAX : (T)UINT64_MAX) : (T)hi;
  return (T)v;
}
}  // namespace

double load_element(DType d, const void* data, int64_t i) {
  switch (d) {
    case TERN_DTYPE_F32: return read<float>(data, i);
    case TERN_DTYPE_F16: return f16_to_f32(read<uint16_t>(data, i));
    case TERN_DTYPE_BF16: return bf16_to_f32(read<uint16_t>(data, i));
    case TERN_DTYPE_F64: return read<double>(data, i);
    case TERN_DTYPE_I8: return read<int8_t>(data, i);
    case TERN_DTYPE_U8: return read<uint8_t>(data, i);
    case TERN_DTYPE_I16: return read<int16_t>(data, i);
    case TERN_DTYPE_U16: return read<uint16_t>(data, i);
    case TERN_DTYPE_I32: return read<int32_t>(data, i);
    case TERN_DTYPE_U32: return read<uint32_t>(data, i);
    case TERN_DTYPE_I64: return (double)read<int64_t>(data, i);
    case TERN_DTYPE_U64: return (double)read<uint64_t>(data, i);
    case TERN_DTYPE_BOOL: return read<uint8_t>(data, i) != 0;
    default: return 0;
  }
}

void store_element(DType d, void* data, int64_t i, double v) {
  switch (d) {
    case TERN_DTYPE_F32: write(data, i, (float)v); break;
    case TERN_DTYPE_F16: write(data, i, f32_to_f16(round_to_odd_f32(v))); break;
    case TERN_DTYPE_BF16: write(data, i, f32_to_bf16(round_to_odd_f32(v))); break;
    case TERN_DTYPE_F64: write(data, i, v); break;
    case TERN_DTYPE_I8: write(data, i, saturate<int8_t>(v)); break;
    case TERN_DTYPE_U8: write(data, i, saturate<uint8_t>(v)); break;
    case TERN_DTYPE_I16: write(data, i, saturate<int16_t>(v)); break;
    case TERN_DTYPE_U16: write(data, i, saturate<uint16_t>(v)); break;
    case TERN_DTYPE_I32: write(data, i, saturate<int32_t>(v)); break;
    case TERN_DTYPE_U32: write(data, i, saturate<uint32_t>(v)); break;
    case TERN_DTYPE_I64: write(data, i, saturate<int64_t>(v)); break;
    case TERN_DTYPE_U64: write(data, i, saturate<uint64_t>(v)); break;
    case TERN_DTYPE_BOOL: write<uint8_t>(data, i, v != 0); break;
    default: break;
  }
}

int64_t load_integer(DType d, const void* data, int64_t i) {
  if (d == TERN_DTYPE_I64 || d == TERN_DTYPE_U64) return read<int64_t>(data, i);
  return saturate<int64_t>(load_element(d, data, i));
}

void store_integer(DType d, void* data, int64_t i, int64_t v) {
  switch (d) {
    case TERN_DTYPE_I8:
    case TERN_DTYPE_U8: write(data, i, (uint8_t)v); break;
    case TERN_DTYPE_I16:
    case TERN_DTYPE_U16: write(data, i, (uint16_t)v); break;
    case TERN_DTYPE_I32:
    case TERN_DTYPE_U32: write(data, i, (uint32_t)v); break;
    case TERN_DTYPE_I64:
    case TERN_DTYPE_U64: write(data, i, v); break;
    default: store_element(d, data, i, (double)v);
  }
}

}  // namespace tern
