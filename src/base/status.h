// SPDX-License-Identifier: Apache-2.0
// How functions inside Tern fail: they return tern_status; the detail is recorded once, where the error arises.
#pragma once
#include <cinttypes>
#include <cstdint>

#include "tern/status.h"

namespace tern {

// Records the details of an error for this thread and returns `code`. Cuts long texts; allocates nothing.
tern_status fail(tern_status code, const char* format, ...) __attribute__((format(printf, 2, 3)));

// Adds where it happened to the error just recorded, if that is not known yet. NULL or "" changes nothing.
void error_at_op(const char* op);
void error_at_node(const char* node);
void error_at_offset(uint64_t file_offset);

// The record of this thread.
tern_error& thread_error();

}  // namespace tern

// Macros, since a function can neither return from its caller nor be skipped by the optimiser on the good path.
#define TERN_FAIL(code, ...) (::tern::fail((code), __VA_ARGS__))
#define TERN_TRY(expression)                                                        \
  do {                                                                              \
    if (const tern_status tern_try_status_ = (expression)) return tern_try_status_; \
  } while (0)
