// SPDX-License-Identifier: Apache-2.0
// WordPiece: the longest piece of the vocabulary that a word begins with, then the longest that goes on, to its end.
#include "base/status.h"
#include "text/algorithms.h"
#include "text/unicode.h"

namespace tern::tokens {

tern_status WordPiece::build(const TokenizerDef& def, const Vocabulary& vocabulary) {
  def_ = &def, vocabulary_ = &vocabulary;
  for (uint32_t id = 0; id < def.pieces.size(); ++id) longest_ = std::max(longest_, def.pieces[id].size());
  return TERN_OK;
}

tern_status WordPiece::encode(std::string_view piece, Scratch& s, Ids* ids) const {
  const uint8_t *const begin = (const uint8_t*)piece.data(), *const end = begin + piece.size();
  uint32_t chars = 0;
  for (const uint8_t* p = begin; p < end && chars <= def_->most_word_chars; p += read_char(p, end).size) ++chars;
  const size_t from = ids->size();
  bool known = chars <= def_->most_word_chars;
  for (const uint8_t* p = begin; known && p < end;) {
    std::string& text = s.texts[0];
    text.clear();
    if (p > begin) text = def_->word_prefix;
    const size_t prefix = text.size();
    text.append((const char*)p, std::min((size_t)(end - p), longest_));
    int32_t id = -1;
    while (text.size() > prefix && (id = vocabulary_->find(text)) < 0)
      text.resize(
          text.size() -
          read_char_before((const uint8_t*)text.data() + prefix, (const uint8_t*)text.data() + text.size()).size);
    if (id < 0) known = false;
    else ids->push_back(id), p += text.size() - prefix;
  }
  if (known) return TERN_OK;
  ids->resize(from);
  ids->push_back(def_->unknown);
  return TERN_OK;
}

}  // namespace tern::tokens
