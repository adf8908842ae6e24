// SPDX-License-Identifier: Apache-2.0
// From ids to text as they come: what is handed over are whole UTF-8 characters.
#pragma once
#include "text/tokenizer.h"

namespace tern::tokens {

class Detokenizer {
 public:
  Detokenizer(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special)
      : tokenizer_(std::move(tokenizer)), skip_special_(skip_special) {}

  // The text that is complete with one more token. Bytes that are no UTF-8 become U+FFFD, one for each piece of a
  // character. Lent until the next call. `id` < size().
  std::string_view add(uint32_t id);
  // What is left of a character that did not come to its end. The next token begins another text.
  std::string_view end();

 private:
  void take(std::string&& bytes, const DecodeState& state, bool all);

  std::shared_ptr<const Tokenizer> tokenizer_;
  bool skip_special_;
  DecodeState state_;
  std::string pending_, text_;
};

}  // namespace tern::tokens
