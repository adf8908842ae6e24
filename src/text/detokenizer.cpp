// SPDX-License-Identifier: Apache-2.0
#include "text/detokenizer.h"

#include "base/text.h"

namespace tern::tokens {
namespace {

// How many bytes at the begin of `s`, which is no character, could be the begin of one; `open`: nothing speaks against
// its coming to an end.
size_t begun(std::string_view s, bool* open) {
  const uint8_t c = (uint8_t)s[0];
  *open = false;
  if (c < 0xc2 || c > 0xf4) return 1;
  const size_t size = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
  size_t n = 1;
  for (; n < size && n < s.size(); ++n) {
    const uint8_t d = (uint8_t)s[n];
    uint8_t low = 0x80, high = 0xbf;
    if (n == 1 && c == 0xe0) low = 0xa0;
    if (n == 1 && c == 0xed) high = 0x9f;
    if (n == 1 && c == 0xf0) low = 0x90;
    if (n == 1 && c == 0xf4) high = 0x8f;
    if (d < low || d > high) return n;
  }
  *open = n == s.size();
  return n;
}

}  // namespace

void Detokenizer::take(bool all) {
  std::string_view s = pending_;
  text_.clear();
  while (!s.empty()) {
    size_t n = utf8_character(s);
    if (n > 0) {
      text_.append(s.substr(0, n));
    } else {
      bool open = false;
      n = begun(s, &open);
      if (open && !all) break;
      text_ += "\xef\xbf\xbd";
    }
    s.remove_prefix(n);
  }
  pending_.erase(0, pending_.size() - s.size());
}

std::string_view Detokenizer::add(uint32_t id) {
  if (!skip_special_ || !(tokenizer_->def().flags[id] & kTokenSpecial)) tokenizer_->decode(id, &state_, &pending_);
  take(false);
  return text_;
}

std::string_view Detokenizer::end() {
  take(true);
  state_ = {};
  return text_;
}

}  // namespace tern::tokens
