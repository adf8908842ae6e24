// SPDX-License-Identifier: Apache-2.0
// What every entry of the C ABI does: nothing leaves it but a status, and arguments are checked before anything else.
#pragma once
#include <cstring>
#include <new>
#include <type_traits>

#include "base/capability.h"
#include "base/status.h"

namespace tern::capi {

// Runs the body of an entry. Standard containers may throw when memory is short.
template <class Body>
tern_status guard(Body&& body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return TERN_FAIL(TERN_ERR_MEMORY, "no memory");
  } catch (...) {
    return TERN_FAIL(TERN_ERR_INTERNAL, "an exception of the C++ library: please report what was called and with what");
  }
}

tern_status check_not_null(const void* argument, const char* name);

// Sizes of structs that begin with struct_size. `first` is the size in the first release.
// Errors: TERN_ERR_INVALID_ARGUMENT.
constexpr size_t kMaxStruct = 65536;  // no version comes near it: a larger number is rubbish
tern_status check_input_struct(const void* given, size_t first, size_t known, const char* name);
tern_status check_output_struct(const void* given, size_t first, const char* name);
tern_status init_struct(void* out, size_t size, const void* defaults, size_t first, size_t known, const char* name);

// Copies the caller's options over the defaults in *out; NULL leaves them.
template <class T>
tern_status read_options(const T* given, T* out, const char* name, size_t first = sizeof(T)) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (!given) return TERN_OK;
  TERN_TRY(check_input_struct(given, first, sizeof(T), name));
  std::memcpy(static_cast<void*>(out), given, given->struct_size < sizeof(T) ? given->struct_size : sizeof(T));
  out->struct_size = (uint32_t)sizeof(T);
  return TERN_OK;
}

// Copies a result into the caller's struct, as much as fits; struct_size stays the caller's.
template <class T>
tern_status write_struct(const T& value, T* out, const char* name, size_t first = sizeof(T)) {
  static_assert(std::is_trivially_copyable_v<T>);
  TERN_TRY(check_output_struct(out, first, name));
  const uint32_t size = out->struct_size;
  std::memcpy(static_cast<void*>(out), &value, size < sizeof(T) ? size : sizeof(T));
  out->struct_size = size;
  return TERN_OK;
}

// Fails and names the CMake option: what entries of a capability do that this build leaves out.
tern_status left_out(Capability capability, const char* entry);

tern_status check_flags(uint32_t given, uint32_t known, const char* name);

}  // namespace tern::capi

#define TERN_CHECK_NOT_NULL(argument) TERN_TRY(::tern::capi::check_not_null((argument), #argument))  // for the name
