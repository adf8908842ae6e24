// SPDX-License-Identifier: Apache-2.0
// Chat templates: messages in, ids out. The template of a model is a program in Jinja; it is not run, but recognised by
// what it contains, and its family is written here by hand.
#pragma once
#include <span>

#include "text/tokenizer.h"

namespace tern::tokens {

struct ChatMessage {
  std::string_view role, content;  // role: "system", "user" or "assistant"
};

struct ChatOptions {
  std::string_view name;     // of a family; "": recognised
  std::string_view date;     // "26 Jul 2024", for templates that tell it; "": today's
  bool no_thinking = false;  // answers begin behind an empty thought, where the template knows that
};

// Immutable; any number of threads.
class Chat {
 public:
  // source: the template as the model carries it, or "".
  // Errors  TERN_ERR_NOT_FOUND         neither source nor name
  //         TERN_ERR_INVALID_ARGUMENT  no family of this name
  //         TERN_ERR_UNSUPPORTED       the source is of no family; the vocabulary lacks what ends a turn
  static tern_status create(std::shared_ptr<const Tokenizer> tokenizer, std::string_view source,
                            const ChatOptions& options, std::unique_ptr<Chat>* out);

  const char* name() const;
  // Tokens that end an answer.
  const std::vector<int32_t>& ends() const { return ends_; }
  // Appends what all messages have behind the first `done` of them, and with `answer` the beginning of an answer. If
  // the last one of those is an answer, it is ended first: what is there of it must lack the token that ends it.
  // Errors  TERN_ERR_INVALID_ARGUMENT (roles, their order), and those of Tokenizer::encode
  tern_status encode(std::span<const ChatMessage> messages, size_t done, bool answer, std::vector<int32_t>* ids) const;

 private:
  class Writer;
  enum class Family : uint8_t;
  struct Form;
  static const Form kForms[];
  Chat() = default;
  static std::string known();
  void read_source(std::string_view source);
  int32_t token(std::string_view text) const;
  tern_status check(std::span<const ChatMessage> messages, size_t done) const;
  void begin_answer(Writer& w) const;

  std::shared_ptr<const Tokenizer> tokenizer_;
  Family family_{};
  int32_t begin_ = -1, end_ = -1;  // of a sequence (-1: none), of a turn
  std::vector<int32_t> ends_;
  std::string default_system_, date_;  // date_: empty where the template tells none
  bool thinks_ = false, no_thinking_ = false, always_thinks_ = false;
  // Mistral: a blank behind [INST], before [/INST], before and behind answers; system text goes into the last message.
  bool blank_in_ = true, blank_out_ = true, blank_answer_ = false, blank_end_ = false, trims_ = false,
       system_last_ = false;
};

}  // namespace tern::tokens
