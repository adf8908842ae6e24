// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/status.h"

namespace tern {

size_t utf8_character(std::string_view s) {
  if (s.empty()) return 0;
  const uint8_t c = (uint8_t)s[0];
  if (c < 0x80) return 1;
  const size_t more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
  if (c < 0xc2 || c > 0xf4 || s.size() <= more) return 0;
  for (size_t k = 1; k <= more; ++k)
    if (((uint8_t)s[k] & 0xc0) != 0x80) return 0;
  const uint8_t d = (uint8_t)s[1];
  // Over-long forms, surrogates, and what lies beyond U+10FFFF.
  if ((c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) || (c == 0xf0 && d < 0x90) || (c == 0xf4 && d > 0x8f))
    return 0;
  return more + 1;
}

namespace {

constexpr std::string_view kCut = "…";

// Text that is counted beyond the end of its place.
struct Sink {
  char* out;
  size_t size, length = 0;

  void add(std::string_view s) {
    if (length < size) std::memcpy(out + length, s.data(), std::min(s.size(), size - length));
    length += s.size();
  }
  // What is no UTF-8 becomes '?', a byte for a byte.
  void add_text(std::string_view s) {
    while (!s.empty()) {
      const size_t n = utf8_character(s);
      add(n ? s.substr(0, n) : "?");
      s.remove_prefix(std::max<size_t>(n, 1));
    }
  }
};

bool continues(char c) { return ((uint8_t)c & 0xc0) == 0x80; }

// `s` in at most `most` bytes (at least kCut's), without its middle.
void add_shortened(Sink& sink, std::string_view s, size_t most) {
  if (s.size() <= most) return sink.add_text(s);
  const size_t left = most - kCut.size();
  size_t head = left / 2, tail = s.size() - (left - head);
  while (head > 0 && continues(s[head])) --head;
  while (tail < s.size() && continues(s[tail])) ++tail;
  sink.add_text(s.substr(0, head));
  sink.add(kCut);
  sink.add_text(s.substr(tail));
}

// One number: the specification is handed to the C library with the type that it names.
template <class T>
void add_number(Sink& sink, const char* spec, T value) {
  char text[512];  // %f of the largest double has 309 digits
  const int n = std::snprintf(text, sizeof text, spec, value);
  if (n > 0) sink.add({text, std::min((size_t)n, sizeof text - 1)});
}

void write(Sink& sink, const char* format, va_list a, size_t most) {
  for (const char* f = format; *f;) {
    if (*f != '%') {
      const size_t n = std::strcspn(f, "%");
      sink.add({f, n});
      f += n;
      continue;
    }
    char spec[40] = "%";
    size_t n = 1;
    int64_t precision = -1;
    const char* const begin = f++;
    for (; *f && std::strchr("-+ #0123456789.*", *f) && n < 24; ++f) {
      const bool point = f > begin + 1 && f[-1] == '.';
      if (*f == '*') {
        const int given = va_arg(a, int);
        n += (size_t)std::snprintf(spec + n, 12, "%d", given);
        if (point) precision = given;
      } else {
        if (point) precision = std::atoi(f);
        spec[n++] = *f;
      }
    }
    const char* const length = f;
    while (*f && std::strchr("hljzt", *f)) spec[n++] = *f++;
    const bool large = f > length && *length != 'h';  // every type above int has 64 bits, or is as wide as size_t
    const bool pointer_wide = large && (*length == 'z' || *length == 't' || (*length == 'l' && f - length == 1));
    if (!*f) return;
    spec[n++] = *f;
    spec[n] = 0;
    switch (*f++) {
      case '%': sink.add("%"); break;
      case 's': {
        const char* s = va_arg(a, const char*);
        if (!s) s = "(null)";
        add_shortened(sink, {s, precision >= 0 ? strnlen(s, (size_t)precision) : std::strlen(s)}, most);
        break;
      }
      case 'c': {
        const char c = (char)va_arg(a, int);
        sink.add_text({&c, 1});
        break;
      }
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o':
        if (pointer_wide) add_number(sink, spec, va_arg(a, size_t));
        else if (large) add_number(sink, spec, va_arg(a, uint64_t));
        else add_number(sink, spec, va_arg(a, unsigned));
        break;
      case 'p': add_number(sink, spec, va_arg(a, void*)); break;
      default: add_number(sink, spec, va_arg(a, double));
    }
  }
}

}  // namespace

void format_text(char* out, size_t size, const char* format, va_list arguments) {
  Sink sink{out, size - 1};
  for (size_t most = SIZE_MAX;;) {
    va_list a;
    va_copy(a, arguments);
    sink.length = 0;
    write(sink, format, a, most);
    va_end(a);
    if (sink.length < size || most <= 2 * kCut.size()) break;
    most = most == SIZE_MAX ? size : most * 7 / 8;
  }
  size_t end = std::min(sink.length, size - 1);
  if (end < sink.length)  // many short arguments: the end goes
    while (end > 0 && continues(out[end])) --end;
  out[end] = 0;
}

void set_text(char* out, size_t size, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  format_text(out, size, format, arguments);
  va_end(arguments);
}

void add_to_error(const char* format, ...) {
  tern_error& e = thread_error();
  char before[sizeof e.message], more[sizeof e.message];
  std::memcpy(before, e.message, sizeof before);
  va_list arguments;
  va_start(arguments, format);
  format_text(more, sizeof more, format, arguments);
  va_end(arguments);
  set_text(e.message, sizeof e.message, "%s%s", before, more);
}

}  // namespace tern
