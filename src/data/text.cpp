// SPDX-License-Identifier: Apache-2.0
// Texts: documents are encoded one by one, joined, and cut into windows.
#include <algorithm>

#include "base/text.h"
#include "data/tokens.h"

namespace tern::data {

using tokens::Tokenizer;

tern_status begin_tokens(const Tokenizer& t, const TokenOptions& options, Source* source, int32_t* end) {
  if (options.length < 1 || options.length > kMostLength)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "samples of %" PRId64 " tokens: possible are 1 to %" PRId64,
                     options.length, kMostLength);
  const tokens::TokenizerDef& def = t.def();
  int32_t found = def.eos;
  // tokenizer.json does not say which token ends a text.
  for (const char* piece : {"<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|im_end|>", "[SEP]"}) {
    const int32_t id = found < 0 ? t.find(piece) : -1;
    if (id >= 0 && def.flags[(size_t)id] & (tokens::kTokenSpecial | tokens::kTokenAdded)) found = id;
  }
  if (options.ends && options.end) {
    found = t.find(options.end);
    if (found < 0)
      return TERN_FAIL(TERN_ERR_NOT_FOUND, "the vocabulary has no token '%.100s' to end a text with", options.end);
  }
  *end = options.ends ? found : -1;
  source->length = options.length;
  source->padding = def.pad >= 0 ? def.pad : std::max(found, 0);
  return TERN_OK;
}

void append_ids(std::span<const int32_t> ids, uint32_t learnt, std::vector<uint32_t>* to) {
  for (const int32_t id : ids) to->push_back((uint32_t)id | learnt);
}

bool goes_on(tern_status status, const TokenOptions& options, const char* name, int64_t line, Source* source) {
  if (status == TERN_OK) return true;
  if (options.skips && status != TERN_ERR_MEMORY) return ++source->skipped, true;
  add_to_error(" (%s, line %" PRId64 ")", name, line);
  return false;
}

namespace {

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == line.npos; }

// Takes documents off a text.
class Documents {
 public:
  Documents(std::string_view text, const char* separator) : rest_(text), separator_(separator) {}

  // False: there is none any more. `line`: where it begins.
  bool next(std::string_view* document, int64_t* line) {
    while (!rest_.empty()) {
      const std::string_view whole = separator_ ? take_part() : take_paragraph();
      std::string_view part = whole;
      while (!part.empty() && (part.back() == '\n' || part.back() == '\r')) part.remove_suffix(1);
      *line = line_;
      line_ += std::count(whole.begin(), whole.end(), '\n') + lines_behind_;
      while (!part.empty() && part.front() == '\n') part.remove_prefix(1), ++*line;
      if (part.empty()) continue;
      *document = part;
      return true;
    }
    return false;
  }

 private:
  std::string_view take_part() {
    const std::string_view by(separator_);
    const size_t end = by.empty() ? rest_.npos : rest_.find(by);
    const std::string_view part = rest_.substr(0, end);
    rest_.remove_prefix(end == rest_.npos ? rest_.size() : end + by.size());
    lines_behind_ = end == rest_.npos ? 0 : std::count(by.begin(), by.end(), '\n');
    return part;
  }
  // Up to a blank line, with the blank lines before it.
  std::string_view take_paragraph() {
    size_t at = 0, begin = 0;
    bool any = false;
    while (at < rest_.size()) {
      const size_t end = std::min(rest_.find('\n', at), rest_.size());
      const bool blank = is_blank(rest_.substr(at, end - at));
      if (blank && any) break;
      if (!blank && !any) begin = at, any = true;
      at = std::min(end + 1, rest_.size());
    }
    line_ += std::count(rest_.begin(), rest_.begin() + (ptrdiff_t)begin, '\n');
    const std::string_view part = any ? rest_.substr(begin, at - begin) : std::string_view();
    rest_.remove_prefix(at);
    return part;
  }

  std::string_view rest_;
  const char* const separator_;
  int64_t line_ = 1, lines_behind_ = 0;
};

tern_status check_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t n = (uint8_t)text[at] < 0x80 ? 1 : utf8_character(text.substr(at, 4));
    if (n == 0)
      return TERN_FAIL(TERN_ERR_CORRUPT, "byte %zu of a document, 0x%02x, is part of no character of UTF-8", at,
                       (uint8_t)text[at]);
    at += n;
  }
  return TERN_OK;
}

}  // namespace

tern_status read_text(std::string_view text, const char* name, std::shared_ptr<const Tokenizer> tokenizer,
                      const TokenOptions& options, Source* out) {
  int32_t end = -1;
  TERN_TRY(begin_tokens(*tokenizer, options, out, &end));
  if (text.substr(0, 3) == "\xef\xbb\xbf") text.remove_prefix(3);
  out->ids.reserve(text.size() / 4);  // most texts have fewer tokens: the list need not grow
  Documents documents(text, options.separator);
  std::string_view document;
  std::vector<int32_t> ids;
  for (int64_t line = 1; documents.next(&document, &line);) {
    ids.clear();
    tern_status status = check_utf8(document);
    if (status == TERN_OK) status = tokenizer->encode(document, tokens::kAddSpecial, &ids);
    if (!goes_on(status, options, name, line, out)) return status;
    if (status != TERN_OK) continue;
    if (end >= 0 && (ids.empty() || ids.back() != end)) ids.push_back(end);
    append_ids(ids, kLearnt, &out->ids);
  }
  const int64_t labels = (int64_t)out->ids.size() - 1;
  out->count = (labels + (options.pads_last ? options.length - 1 : 0)) / options.length;
  if (labels < 1 || out->count < 1)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: %zu tokens in all, a window of %" PRId64 " needs one more than that", name,
                     out->ids.size(), options.length);
  add_tokens(*out, "tokens", Content::tokens);
  add_tokens(*out, "labels", Content::next);
  return TERN_OK;
}

}  // namespace tern::data
