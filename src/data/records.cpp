// SPDX-License-Identifier: Apache-2.0
// JSON Lines: a record a line, each a sample.
//   classes     {"text": "...", "label": 3 or "name"}                      fields tokens, mask [length], label []
//   chat        {"messages": [{"role": "user", "content": "..."}, ...]}    fields tokens, labels [length]
//   completion  {"prompt": "...", "completion": "..."}                     fields tokens, labels [length]
#include <algorithm>
#include <map>

#include "base/text.h"
#include "data/tokens.h"
#include "text/chat.h"
#include "text/json.h"

namespace tern::data {
namespace {

using tokens::Tokenizer;

constexpr size_t kMostMessages = 256;  // each answer costs another encoding of what stands before it
constexpr size_t kBlurred = 2;         // tokens of an answer's beginning that its text may change

class Reader {
 public:
  Reader(std::shared_ptr<const Tokenizer> tokenizer, const TokenOptions& options, Source* source)
      : tokenizer_(std::move(tokenizer)), options_(options), source_(*source), kind_(options.kind) {}

  tern_status begin() {
    TERN_TRY(begin_tokens(*tokenizer_, options_, &source_, &end_));
    for (size_t i = 0; i < options_.classes.size(); ++i)
      if (!found_.emplace(options_.classes[i], (int64_t)i).second)
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "class '%.100s' is named twice", options_.classes[i].c_str());
    return TERN_OK;
  }
  // The kind, and what it needs, are settled by the first record.
  tern_status settle(JsonValue record) {
    if (kind_ == RecordKind::found) {
      if (record["messages"]) kind_ = RecordKind::chat;
      else if (record["completion"]) kind_ = RecordKind::completion;
      else if (record["label"]) kind_ = RecordKind::classes;
      else return TERN_FAIL(TERN_ERR_CORRUPT, "a record has neither 'messages' nor 'completion' nor 'label'");
    }
    if (kind_ != RecordKind::chat || chat_) return TERN_OK;
    tokens::ChatOptions own;
    if (options_.template_name) own.name = options_.template_name;
    const tern_status status =
        tokens::Chat::create(tokenizer_, options_.template_source ? options_.template_source : "", own, &chat_);
    unusable_ = status != TERN_OK;
    return status;
  }
  // Nothing can come of the other records either.
  bool unusable() const { return unusable_; }

  tern_status add(std::string_view line) {
    if (line.size() > kMostLine)
      return TERN_FAIL(TERN_ERR_LIMIT, "a record of %zu bytes, at most %" PRIu64 " are read", line.size(), kMostLine);
    Json json;
    TERN_TRY(json.parse(line, {.depth = 16, .values = 1u << 20, .bytes = kMostLine}));
    const JsonValue record = json.root();
    if (!record.is(JsonKind::object))
      return TERN_FAIL(TERN_ERR_CORRUPT, "a record is %s, not an object", json_kind_name(record.kind()));
    TERN_TRY(settle(record));
    marked_.clear();
    int64_t label = 0;
    switch (kind_) {
      case RecordKind::found: break;
      case RecordKind::classes: TERN_TRY(class_record(record, &label)); break;
      case RecordKind::chat: TERN_TRY(chat_record(record)); break;
      case RecordKind::completion: TERN_TRY(completion_record(record)); break;
    }
    if (kind_ == RecordKind::classes) labels_.push_back(label);
    source_.begins.push_back(source_.ids.size());
    source_.ids.insert(source_.ids.end(), marked_.begin(), marked_.end());
    ++source_.count;
    return TERN_OK;
  }

  tern_status end() {
    source_.begins.push_back(source_.ids.size());
    add_tokens(source_, "tokens", Content::tokens);
    if (kind_ != RecordKind::classes) return add_tokens(source_, "labels", Content::next), TERN_OK;
    add_tokens(source_, "mask", Content::mask);
    name_classes();
    auto labels = std::make_shared<std::vector<int64_t>>(std::move(labels_));
    const int64_t* data = labels->data();
    // The one field that is an array, as if it had been given.
    return add_array(source_, "label", TERN_DTYPE_I64, Shape{source_.count}, data, std::move(labels));
  }

 private:
  static tern_status text_of(JsonValue record, const char* key, std::string_view* out) {
    const JsonValue v = record[key];
    if (!v.is(JsonKind::string))
      return TERN_FAIL(TERN_ERR_CORRUPT, "'%s' of a record is %s, not a string", key, json_kind_name(v.kind()));
    *out = v.string();
    return TERN_OK;
  }

  // ---- classes ----

  tern_status class_record(JsonValue record, int64_t* label) {
    std::string_view text;
    TERN_TRY(text_of(record, "text", &text));
    ids_.clear();
    TERN_TRY(tokenizer_->encode(text, tokens::kAddSpecial, &ids_));
    TERN_TRY(label_of(record["label"], label));  // last: a record that is skipped adds no class
    // What stands behind a text stays there when the text is cut.
    const size_t length = (size_t)source_.length, behind = std::min(tokenizer_->def().after.size(), length);
    if (ids_.size() > length) ids_.erase(ids_.begin() + (ptrdiff_t)(length - behind), ids_.end() - (ptrdiff_t)behind);
    append_ids(ids_, 0, &marked_);
    return TERN_OK;
  }

  tern_status label_of(JsonValue v, int64_t* label) {
    const bool named = v.is(JsonKind::string);
    if (!named && !v.is(JsonKind::number))
      return TERN_FAIL(TERN_ERR_CORRUPT, "'label' of a record is %s, neither a number nor a string",
                       json_kind_name(v.kind()));
    if (named) {
      if (numbers_) return TERN_FAIL(TERN_ERR_CORRUPT, "'label' of a record is a string, of those before a number");
      const std::string name(v.string());
      const auto known = found_.find(name);
      if (known != found_.end()) return *label = known->second, names_ = true, TERN_OK;
      if (!options_.classes.empty() || options_.num_classes > 0)
        return TERN_FAIL(TERN_ERR_INDEX, "label '%.100s' is none of the classes that were given", name.c_str());
      if (found_.size() == kMostClasses) return TERN_FAIL(TERN_ERR_LIMIT, "more than %zu classes", kMostClasses);
      *label = (int64_t)found_.size();
      found_.emplace(name, *label);
      names_ = true;
      return TERN_OK;
    }
    if (names_) return TERN_FAIL(TERN_ERR_CORRUPT, "'label' of a record is a number, of those before a string");
    const int64_t given = options_.classes.empty() ? options_.num_classes : (int64_t)options_.classes.size();
    const int64_t most = given ? given : INT32_MAX;
    if (!v.integer(0, most - 1, label))
      return TERN_FAIL(TERN_ERR_INDEX, "'label' of a record is no whole number from 0 to %" PRId64, most - 1);
    numbers_ = true;
    return TERN_OK;
  }

  // Sorted by name, unless the caller has numbered them.
  void name_classes() {
    source_.classes = options_.classes;
    if (numbers_ || !source_.classes.empty()) {
      const int64_t largest = *std::max_element(labels_.begin(), labels_.end());
      source_.num_classes = !source_.classes.empty() ? (int64_t)source_.classes.size()
                            : options_.num_classes   ? options_.num_classes
                                                     : largest + 1;
      return;
    }
    std::vector<int64_t> place(found_.size());
    for (const auto& [name, label] : found_) {
      place[(size_t)label] = (int64_t)source_.classes.size();
      source_.classes.push_back(name);
    }
    for (int64_t& label : labels_) label = place[(size_t)label];
    source_.num_classes = (int64_t)source_.classes.size();
  }

  // ---- what is to be answered ----

  // Only as much as a sample holds; something of it must be learnt.
  tern_status finish(const char* what) {
    marked_.resize(std::min(marked_.size(), (size_t)source_.length + 1));
    for (size_t t = 1; t < marked_.size(); ++t)
      if (marked_[t] & kLearnt) return TERN_OK;
    return TERN_FAIL(TERN_ERR_CORRUPT, "nothing of %s lies within the first %" PRId64 " tokens", what, source_.length);
  }

  tern_status completion_record(JsonValue record) {
    std::string_view prompt, completion;
    TERN_TRY(text_of(record, "prompt", &prompt));
    TERN_TRY(text_of(record, "completion", &completion));
    ids_.clear();
    for (const uint32_t id : tokenizer_->def().before) ids_.push_back((int32_t)id);
    TERN_TRY(tokenizer_->encode(prompt, 0, &ids_));
    append_ids(ids_, 0, &marked_);
    const uint32_t flags = prompt.empty() ? 0u : (uint32_t)tokens::kContinued;
    ids_.clear();
    TERN_TRY(tokenizer_->encode(completion, flags, &ids_));
    if (end_ >= 0) ids_.push_back(end_);
    append_ids(ids_, kLearnt, &marked_);
    return finish("the completion");
  }

  tern_status chat_record(JsonValue record) {
    const JsonValue list = record["messages"];
    if (!list.is(JsonKind::list))
      return TERN_FAIL(TERN_ERR_CORRUPT, "'messages' of a record is %s, not a list", json_kind_name(list.kind()));
    if (list.size() > kMostMessages)
      return TERN_FAIL(TERN_ERR_LIMIT, "%u messages in a record, at most %zu are read", list.size(), kMostMessages);
    std::vector<tokens::ChatMessage> messages;
    for (JsonValue v = list.first(); v; v = v.next()) {
      tokens::ChatMessage m;
      if (!v.is(JsonKind::object))
        return TERN_FAIL(TERN_ERR_CORRUPT, "a message is %s, not an object", json_kind_name(v.kind()));
      TERN_TRY(text_of(v, "role", &m.role));
      TERN_TRY(text_of(v, "content", &m.content));
      messages.push_back(m);
    }
    ids_.clear();
    TERN_TRY(chat_->encode(messages, 0, false, &ids_));
    append_ids(ids_, 0, &marked_);
    const std::span<const tokens::ChatMessage> all(messages);
    for (size_t i = 1; i < messages.size(); ++i)
      if (messages[i].role == "assistant") TERN_TRY(mark_answer(all.first(i)));
    return finish("the answers");
  }

  // Marks the answer that follows these messages: from where their encoding, with the beginning of an answer, parts
  // from that of the whole chat, up to the token that ends the turn.
  tern_status mark_answer(std::span<const tokens::ChatMessage> before) {
    std::vector<int32_t> start;
    TERN_TRY(chat_->encode(before, 0, true, &start));
    size_t at = 0;
    while (at < start.size() && at < ids_.size() && start[at] == ids_[at]) ++at;
    // The template writes earlier turns another way when others follow: where this answer lies is not known.
    if (start.size() - at > kBlurred) return TERN_OK;
    const std::vector<int32_t>& ends = chat_->ends();
    for (bool more = true; more && at < marked_.size(); ++at) {
      more = std::find(ends.begin(), ends.end(), ids_[at]) == ends.end();
      marked_[at] |= kLearnt;
    }
    return TERN_OK;
  }

  const std::shared_ptr<const Tokenizer> tokenizer_;
  const TokenOptions& options_;
  Source& source_;
  RecordKind kind_;
  int32_t end_ = -1;
  std::unique_ptr<tokens::Chat> chat_;
  bool unusable_ = false;
  std::map<std::string, int64_t> found_;  // classes by name
  bool names_ = false, numbers_ = false;
  std::vector<int64_t> labels_;
  std::vector<int32_t> ids_;
  std::vector<uint32_t> marked_;
};

}  // namespace

tern_status read_records(std::string_view text, const char* name, std::shared_ptr<const Tokenizer> tokenizer,
                         const TokenOptions& options, Source* out) {
  Reader reader(std::move(tokenizer), options, out);
  TERN_TRY(reader.begin());
  if (text.substr(0, 3) == "\xef\xbb\xbf") text.remove_prefix(3);
  for (int64_t line = 1; !text.empty(); ++line) {
    const size_t end = text.find('\n');
    const std::string_view record = text.substr(0, end);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    if (record.find_first_not_of(" \t\r") == record.npos) continue;
    const tern_status status = reader.add(record);
    if (reader.unusable() || !goes_on(status, options, name, line, out)) return status;
  }
  if (out->count == 0)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: no record; %" PRId64 " were skipped", name, out->skipped);
  return reader.end();
}

}  // namespace tern::data
