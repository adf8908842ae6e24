// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "base/dtype.h"
#include "base/status.h"
#include "capi/call.h"

extern "C" {

int32_t tern_version(void) noexcept {
  return TERN_VERSION_MAJOR * 10000 + TERN_VERSION_MINOR * 100 + TERN_VERSION_PATCH;
}

const char* tern_dtype_name(int32_t dtype) noexcept { return tern::is_dtype(dtype) ? tern::dtype_name(dtype) : "?"; }

size_t tern_dtype_size(int32_t dtype) noexcept { return tern::dtype_size(dtype); }

tern_status tern_last_error(tern_error* error) noexcept {
  // Nothing is recorded for a bad argument here: that would destroy the very details that the caller asks for.
  if (!error || error->struct_size < sizeof(tern_error) || error->struct_size > tern::capi::kMaxStruct)
    return TERN_ERR_INVALID_ARGUMENT;
  const uint32_t size = error->struct_size;
  std::memcpy(error, &tern::thread_error(), sizeof(tern_error));
  error->struct_size = size;
  return TERN_OK;
}

const char* tern_last_error_message(void) noexcept { return tern::thread_error().message; }

const char* tern_status_name(tern_status code) noexcept {
  switch (code) {
#define TERN_CASE(name) \
  case name: return #name
    TERN_CASE(TERN_OK);
    TERN_CASE(TERN_ERR_INVALID_ARGUMENT);
    TERN_CASE(TERN_ERR_STATE);
    TERN_CASE(TERN_ERR_SHAPE);
    TERN_CASE(TERN_ERR_TYPE);
    TERN_CASE(TERN_ERR_NOT_FOUND);
    TERN_CASE(TERN_ERR_INDEX);
    TERN_CASE(TERN_ERR_NOT_FINITE);
    TERN_CASE(TERN_ERR_UNSUPPORTED);
    TERN_CASE(TERN_ERR_UNSUPPORTED_OP);
    TERN_CASE(TERN_ERR_UNSUPPORTED_VERSION);
    TERN_CASE(TERN_ERR_MEMORY);
    TERN_CASE(TERN_ERR_LIMIT);
    TERN_CASE(TERN_ERR_IO);
    TERN_CASE(TERN_ERR_CANCELLED);
    TERN_CASE(TERN_ERR_DEADLINE);
    TERN_CASE(TERN_ERR_CORRUPT);
    TERN_CASE(TERN_ERR_CHECKSUM);
    TERN_CASE(TERN_ERR_DEVICE_LOST);
    TERN_CASE(TERN_ERR_DRIVER);
    TERN_CASE(TERN_ERR_INTERNAL);
#undef TERN_CASE
    default: return "TERN_ERR_?";
  }
}
}
