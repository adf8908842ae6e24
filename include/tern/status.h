/* SPDX-License-Identifier: Apache-2.0 */
/* Status codes and the details of the last error. C99.
 *
 * The code is the contract; texts are for people and may change. Numbers are fixed for all versions. */
#ifndef TERN_STATUS_H
#define TERN_STATUS_H

#include "tern/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t tern_status;

enum {
  TERN_OK = 0,

  /* 1-15: the call. Fix the argument and call again; the object is as it was. */
  TERN_ERR_INVALID_ARGUMENT = 1, /* NULL, an unknown flag, a number out of its range */
  TERN_ERR_STATE = 2,            /* the object is not in a state that allows this call */
  TERN_ERR_SHAPE = 3,            /* a tensor's shape does not fit */
  TERN_ERR_TYPE = 4,             /* a tensor's element type does not fit */
  TERN_ERR_NOT_FOUND = 5,        /* no signature, tensor, backend or file of this name */
  TERN_ERR_INDEX = 6,            /* an index held by an input tensor is out of range */
  TERN_ERR_NOT_FINITE = 7,       /* a run came to NaN or infinity where its graph forbids that; no update was written */

  /* 16-31: support. Another model, version or build is needed. */
  TERN_ERR_UNSUPPORTED = 16,         /* the feature is not in this build or on this device */
  TERN_ERR_UNSUPPORTED_OP = 17,      /* an operator that this version does not have; the message lists them */
  TERN_ERR_UNSUPPORTED_VERSION = 18, /* the file is newer than the library; the message names the version */

  /* 32-47: resources. Free some, raise the limit, or try again. */
  TERN_ERR_MEMORY = 32,    /* an allocation failed */
  TERN_ERR_LIMIT = 33,     /* a limit of the caller or of the model would be passed; the message names it */
  TERN_ERR_IO = 34,        /* the operating system refused a read or a write */
  TERN_ERR_CANCELLED = 35, /* the caller's cancel was signalled; the object may be used again */
  TERN_ERR_DEADLINE = 36,  /* the caller's deadline passed; the object may be used again */

  /* 48-63: data. The file cannot be used; fetch or make it again. */
  TERN_ERR_CORRUPT = 48,  /* not a file of the expected format, truncated, or contradicting itself */
  TERN_ERR_CHECKSUM = 49, /* well formed, but the bytes are not those that were written */

  /* 64-79: device. */
  TERN_ERR_DEVICE_LOST = 64, /* make a new session; memory of the host is intact */
  TERN_ERR_DRIVER = 65,      /* the driver failed; the message has its words */

  TERN_ERR_INTERNAL = 127 /* a mistake of this library; please report the message */
};

/* Details of an error. Strings are UTF-8, cut at the end where too long, always terminated. */
typedef struct tern_error {
  uint32_t struct_size; /* TERN_ERROR_INIT sets it */
  tern_status code;
  char message[480]; /* what was wrong, where, what to do */
  char op[48];       /* operator, or "" */
  char node[96];     /* node, tensor or file entry, or "" */
  uint64_t file_offset; /* byte in the file, or UINT64_MAX */
} tern_error;
#define TERN_ERROR_INIT { (uint32_t)sizeof(tern_error), 0, {0}, {0}, {0}, UINT64_MAX }

/* Copies the details of the last call of this thread that failed.
 * error   filled up to its struct_size; code TERN_OK and empty texts if no call failed yet.
 * Errors  TERN_ERR_INVALID_ARGUMENT  error is NULL or its struct_size is too small
 * Threads details are kept per thread. */
TERN_API tern_status tern_last_error(tern_error* error) TERN_NOEXCEPT;

/* Text of the last error of this thread ("" if none). Borrowed: valid until the next failing call of this thread. */
TERN_API const char* tern_last_error_message(void) TERN_NOEXCEPT;

/* Name of a code, e.g. "TERN_ERR_SHAPE"; "TERN_ERR_?" for an unknown number. Static storage. */
TERN_API const char* tern_status_name(tern_status code) TERN_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
