/* SPDX-License-Identifier: Apache-2.0 */
/* Version, export macro, element types and limits shared by all headers. C99. */
#ifndef TERN_TYPES_H
#define TERN_TYPES_H

#include <stddef.h>
#include <stdint.h>

#define TERN_VERSION_MAJOR 0
#define TERN_VERSION_MINOR 1
#define TERN_VERSION_PATCH 0

#if defined(_WIN32)
#define TERN_API __declspec(dllexport)
#else
#define TERN_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
#define TERN_NOEXCEPT noexcept
extern "C" {
#else
#define TERN_NOEXCEPT
#endif

/* Most dimensions of a tensor. */
#define TERN_MAX_RANK 8

/* Element types. The numbers are fixed: they are stored in files. bool is one byte, 0 or 1. */
typedef enum tern_dtype {
  TERN_DTYPE_NONE = 0,
  TERN_DTYPE_F32 = 1,
  TERN_DTYPE_F16 = 2,
  TERN_DTYPE_BF16 = 3,
  TERN_DTYPE_F64 = 4,
  TERN_DTYPE_I8 = 5,
  TERN_DTYPE_U8 = 6,
  TERN_DTYPE_I16 = 7,
  TERN_DTYPE_U16 = 8,
  TERN_DTYPE_I32 = 9,
  TERN_DTYPE_U32 = 10,
  TERN_DTYPE_I64 = 11,
  TERN_DTYPE_U64 = 12,
  TERN_DTYPE_BOOL = 13
} tern_dtype;

/* Version of the library that is running, as major * 10000 + minor * 100 + patch. */
TERN_API int32_t tern_version(void) TERN_NOEXCEPT;

/* Name of an element type ("f32"), or "?" for a number that is none. Static storage. */
TERN_API const char* tern_dtype_name(int32_t dtype) TERN_NOEXCEPT;

/* Bytes of one element, 0 for a number that is no element type. */
TERN_API size_t tern_dtype_size(int32_t dtype) TERN_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
