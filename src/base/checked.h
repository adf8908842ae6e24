// SPDX-License-Identifier: Apache-2.0
// Arithmetic on sizes that may come from a file or a caller. Every function returns false on overflow (or, for signed
// types, on a negative result where the name says size) and leaves *out untouched then.
#pragma once
#include <cstddef>
#include <cstdint>

namespace tern {

template <class T>
[[nodiscard]] inline bool checked_add(T a, T b, T* out) {
  T r;
  if (__builtin_add_overflow(a, b, &r)) return false;
  *out = r;
  return true;
}

template <class T>
[[nodiscard]] inline bool checked_sub(T a, T b, T* out) {
  T r;
  if (__builtin_sub_overflow(a, b, &r)) return false;
  *out = r;
  return true;
}

template <class T>
[[nodiscard]] inline bool checked_mul(T a, T b, T* out) {
  T r;
  if (__builtin_mul_overflow(a, b, &r)) return false;
  *out = r;
  return true;
}

// a * b + c
template <class T>
[[nodiscard]] inline bool checked_mul_add(T a, T b, T c, T* out) {
  T p;
  return checked_mul(a, b, &p) && checked_add(p, c, out);
}

// Rounds up to a multiple of `alignment`, which must be a power of two.
[[nodiscard]] inline bool checked_align(uint64_t value, uint64_t alignment, uint64_t* out) {
  if (alignment == 0 || (alignment & (alignment - 1)) != 0) return false;
  uint64_t r;
  if (!checked_add<uint64_t>(value, alignment - 1, &r)) return false;
  *out = r & ~(alignment - 1);
  return true;
}

// [offset, offset + length) lies within [0, size).
[[nodiscard]] inline bool range_within(uint64_t offset, uint64_t length, uint64_t size) {
  return offset <= size && length <= size - offset;
}

// For sizes already proven small: rounds up to a multiple of a power of two.
constexpr uint64_t align_up(uint64_t value, uint64_t alignment) { return (value + alignment - 1) & ~(alignment - 1); }

}  // namespace tern
