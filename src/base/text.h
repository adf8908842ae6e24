// SPDX-License-Identifier: Apache-2.0
// Texts for people: well-formed UTF-8, cut between characters.
#pragma once
#include <cstdarg>
#include <cstddef>
#include <string_view>

namespace tern {

// Bytes of the well-formed UTF-8 character that `s` begins with; 0: there is none.
size_t utf8_character(std::string_view s);

// As vsnprintf, but what lands in `out` (size > 0) is UTF-8: bytes that are none become '?'. Where the text is too
// long, its longest %s arguments (names, paths) lose their middles to "…", so that the reasons around them stay.
void format_text(char* out, size_t size, const char* format, va_list arguments);
void set_text(char* out, size_t size, const char* format, ...) __attribute__((format(printf, 3, 4)));

// Adds to the message of this thread's last error. Where there is no room, the middle of the longer part goes.
void add_to_error(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace tern
