// SPDX-License-Identifier: Apache-2.0
#include "train/names.h"

#include <cstdint>

namespace tern {
namespace {

// `work`: steps that are left, so that no pattern takes for ever.
bool matches(std::string_view p, std::string_view s, int32_t& work) {
  while (!p.empty()) {
    if (--work < 0) return false;
    if (p[0] == '*') {
      for (size_t i = 0; i <= s.size(); ++i)
        if (matches(p.substr(1), s.substr(i), work)) return true;
      return false;
    }
    const size_t close = p[0] == '{' ? p.find('}') : std::string_view::npos;
    if (close != std::string_view::npos) {
      const std::string_view rest = p.substr(close + 1);
      for (std::string_view list = p.substr(1, close - 1);;) {
        const size_t comma = list.find(',');
        const std::string_view choice = list.substr(0, comma);
        if (s.starts_with(choice) && matches(rest, s.substr(choice.size()), work)) return true;
        if (comma == std::string_view::npos) return false;
        list = list.substr(comma + 1);
      }
    }
    if (s.empty() || (p[0] != '?' && p[0] != s[0])) return false;
    p = p.substr(1), s = s.substr(1);
  }
  return s.empty();
}

}  // namespace

bool matches_name(std::string_view patterns, std::string_view name) {
  while (!patterns.empty()) {
    const size_t space = patterns.find(' ');
    const std::string_view one = patterns.substr(0, space);
    int32_t work = 1 << 20;
    if (!one.empty() && matches(one, name, work)) return true;
    patterns = space == std::string_view::npos ? std::string_view() : patterns.substr(space + 1);
  }
  return false;
}

}  // namespace tern
