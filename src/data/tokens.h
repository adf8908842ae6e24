// SPDX-License-Identifier: Apache-2.0
// Samples of token ids: a text that is cut into windows, or records of JSON, one a line. All is encoded when the source
// is made.
#pragma once
#include "data/source.h"
#include "text/tokenizer.h"

namespace tern::data {

enum class RecordKind : uint8_t { found, classes, chat, completion };  // found: by the keys of the first record

struct TokenOptions {
  int64_t length = 0;         // tokens of a sample
  bool skips = false;         // what is of no use is counted, not an error
  bool ends = true;           // a token stands behind each text
  const char* end = nullptr;  // which one, by its piece; NULL: the tokenizer's, if it has one

  // Texts.
  const char* separator = nullptr;  // between documents; NULL: blank lines, "": there is one document
  bool pads_last = false;           // the last window, if it is not full, is padded and not dropped

  // Records.
  RecordKind kind = RecordKind::found;
  const char *template_name = nullptr, *template_source = nullptr;  // of chats
  std::vector<std::string> classes;                                 // by label; empty: those that are in the file
  int64_t num_classes = 0;                                          // of labels that are numbers; 0: the largest + 1
};

constexpr int64_t kMostLength = 1 << 20;   // of a sample
constexpr uint64_t kMostLine = 64u << 20;  // bytes of a record
constexpr size_t kMostClasses = 1u << 16;

// `name` is the file's, for messages, which tell the line.
// Errors  TERN_ERR_CORRUPT           bad UTF-8 or JSON, a record without what its kind has, no sample at all
//         TERN_ERR_LIMIT             a document of 1 GiB and more, a line of more than kMostLine
//         TERN_ERR_INDEX             a label out of range
//         TERN_ERR_INVALID_ARGUMENT  length, the roles of a chat
//         TERN_ERR_NOT_FOUND         the vocabulary lacks the token that ends a text; no chat template
//         TERN_ERR_UNSUPPORTED       a character that is in no token; the chat template
tern_status read_text(std::string_view text, const char* name, std::shared_ptr<const tokens::Tokenizer> tokenizer,
                      const TokenOptions& options, Source* out);
tern_status read_records(std::string_view text, const char* name, std::shared_ptr<const tokens::Tokenizer> tokenizer,
                         const TokenOptions& options, Source* out);

// ---- shared by the two ----

// The token behind a text, -1: none. Also the padding, and the length's check.
tern_status begin_tokens(const tokens::Tokenizer& tokenizer, const TokenOptions& options, Source* source, int32_t* end);
// Appends ids; `learnt`: kLearnt or 0.
void append_ids(std::span<const int32_t> ids, uint32_t learnt, std::vector<uint32_t>* to);
// Adds the place to this thread's error, or counts what is skipped: whether the reading goes on.
bool goes_on(tern_status status, const TokenOptions& options, const char* name, int64_t line, Source* source);

}  // namespace tern::data
