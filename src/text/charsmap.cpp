// SPDX-License-Identifier: Apache-2.0
#include "text/charsmap.h"

#include <algorithm>
#include <cstring>

#include "base/status.h"
#include "text/unicode.h"

namespace tern::tokens {
namespace {

constexpr size_t kMostReplacement = 64;  // bytes; the longest of Unicode's has 33

uint32_t read_u32(std::string_view s, size_t at) {
  uint32_t v;
  std::memcpy(&v, s.data() + at, sizeof v);
  return v;
}

struct Table {
  std::string_view units, replacements;

  explicit Table(std::string_view table)
      : units(table.substr(4, read_u32(table, 0))), replacements(table.substr(4 + units.size())) {}

  // False: `text` begins with nothing that the table has.
  bool find(std::string_view text, std::string_view* replacement) const {
    const size_t count = units.size() / 4;
    const auto jump = [](uint32_t unit) { return (size_t)(unit >> 10) << ((unit & 0x200) >> 6); };
    size_t at = jump(read_u32(units, 0));
    for (const char c : text) {
      if (c == 0) return false;
      at ^= (uint8_t)c;
      if (at >= count) return false;
      const uint32_t unit = read_u32(units, at * 4);
      if ((unit & 0x800000ff) != (uint8_t)c) return false;
      at ^= jump(unit);
      if (at >= count) return false;
      if (!(unit & 0x100)) continue;
      const size_t place = read_u32(units, at * 4) & 0x7fffffff;
      if (place > replacements.size()) return false;
      *replacement = replacements.substr(place, replacements.find('\0', place) - place);
      return true;
    }
    return false;
  }
};

// Belongs to the character before it.
bool joins(const Char& c) {
  return c.flags & kMark || c.code == 0x200c || c.code == 0x200d || (c.code >= 0x1f3fb && c.code <= 0x1f3ff);
}

}  // namespace

tern_status check_charsmap(std::string_view table) {
  if (table.size() > kMostCharsmap)
    return TERN_FAIL(TERN_ERR_LIMIT, "a table of characters has %zu bytes, at most %zu are read", table.size(),
                     kMostCharsmap);
  if (table.size() < 8 || read_u32(table, 0) < 4 || read_u32(table, 0) % 4 != 0 ||
      read_u32(table, 0) > table.size() - 4)
    return TERN_FAIL(TERN_ERR_CORRUPT, "a table of characters has %zu bytes and does not say how they are divided",
                     table.size());
  const Table t(table);
  for (size_t at = 0; at < t.replacements.size();) {
    const size_t end = std::min(t.replacements.find('\0', at), t.replacements.size());
    if (end - at > kMostReplacement)
      return TERN_FAIL(TERN_ERR_LIMIT, "a table of characters replaces one by %zu bytes, at most %zu are read",
                       end - at, kMostReplacement);
    at = end + 1;
  }
  return TERN_OK;
}

void apply_charsmap(std::string_view table, std::string_view text, std::string* out) {
  const Table t(table);
  const uint8_t *p = (const uint8_t*)text.data(), *const end = p + text.size();
  std::string_view replacement;
  while (p < end) {
    const Char first = read_char(p, end);
    const uint8_t* behind = p + first.size;
    if (first.code == '\r' && behind < end && *behind == '\n') ++behind;
    else if (!(first.flags & kControl))
      while (behind < end && joins(read_char(behind, end))) behind += read_char(behind, end).size;
    const std::string_view whole((const char*)p, (size_t)(behind - p));
    if (whole.size() < 6 && t.find(whole, &replacement)) {
      out->append(replacement);
      p = behind;
      continue;
    }
    while (p < behind) {
      const std::string_view one((const char*)p, read_char(p, end).size);
      out->append(t.find(one, &replacement) ? replacement : one);
      p += one.size();
    }
  }
}

}  // namespace tern::tokens
