// SPDX-License-Identifier: Apache-2.0
#include "base/status.h"

#include <cstdarg>

#include "base/text.h"

namespace tern {

tern_error& thread_error() {
  static thread_local tern_error error = TERN_ERROR_INIT;
  return error;
}

tern_status fail(tern_status code, const char* format, ...) {
  tern_error& e = thread_error();
  e.code = code;
  e.op[0] = e.node[0] = 0;
  e.file_offset = UINT64_MAX;
  va_list args;
  va_start(args, format);
  format_text(e.message, sizeof e.message, format, args);
  va_end(args);
  return code;
}

namespace {
template <size_t N>
void set_once(char (&field)[N], const char* text) {
  if (text && !field[0]) set_text(field, N, "%s", text);
}
}  // namespace

void error_at_op(const char* op) { set_once(thread_error().op, op); }
void error_at_node(const char* node) { set_once(thread_error().node, node); }
void error_at_offset(uint64_t offset) {
  if (thread_error().file_offset == UINT64_MAX) thread_error().file_offset = offset;
}

}  // namespace tern
