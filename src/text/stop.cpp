// SPDX-License-Identifier: Apache-2.0
#include "text/stop.h"

namespace tern::tokens {

std::string_view StopStrings::add(std::string_view piece) {
  given_.clear();
  held_.append(piece);
  // The first place where a string stands, or could once more has come.
  size_t at = 0;
  for (; at < held_.size() && !stopped_; ++at) {
    const std::string_view rest = std::string_view(held_).substr(at);
    bool begun = false;
    for (const std::string& s : strings_) {
      if (rest.substr(0, s.size()) == s) stopped_ = true;
      begun = begun || rest == std::string_view(s).substr(0, rest.size());
    }
    if (stopped_ || begun) break;
  }
  given_.assign(held_, 0, at);
  if (stopped_) held_.clear();
  else held_.erase(0, at);
  return given_;
}

std::string_view StopStrings::end() {
  given_.swap(held_);
  held_.clear();
  stopped_ = false;
  return given_;
}

}  // namespace tern::tokens
