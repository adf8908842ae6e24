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

// What throws for want of memory comes before anything changes.
void Detokenizer::take(std::string&& bytes, const DecodeState& state, bool all) {
  text_.reserve(3 * bytes.size());
  text_.clear();
  std::string_view s = bytes;
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
  bytes.erase(0, bytes.size() - s.size());
  pending_.swap(bytes);
  state_ = state;
}

std::string_view Detokenizer::add(uint32_t id) {
  std::string bytes = pending_;
  DecodeState state = state_;
  if (!skip_special_ || !(tokenizer_->def().flags[id] & kTokenSpecial)) tokenizer_->decode(id, &state, &bytes);
  take(std::move(bytes), state, false);
  return text_;
}

std::string_view Detokenizer::end() {
  take(std::string(pending_), {}, true);
  return text_;
}

}  // namespace tern::tokens
