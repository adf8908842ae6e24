// SPDX-License-Identifier: Apache-2.0
#include "text/chat.h"

#include <cstdio>
#include <ctime>
#include <iterator>

#include "base/status.h"
#include "text/unicode.h"

namespace tern::tokens {

enum class Chat::Family : uint8_t { chatml, llama3, llama2, mistral, gemma, bitnet, zephyr };

struct Chat::Form {
  const char* name;
  const char* begin;  // token that begins a sequence, where the tokenizer's source does not say
  const char* end;    // token that ends a turn; NULL: the one that ends a text
  bool alternates;    // users and answers take turns, and a system text can only stand first
};

const Chat::Form Chat::kForms[] = {
    {"chatml", nullptr, "<|im_end|>", false},  {"llama3", "<|begin_of_text|>", "<|eot_id|>", false},
    {"llama2", "<s>", nullptr, true},          {"mistral", "<s>", nullptr, true},
    {"gemma", "<bos>", "<end_of_turn>", true}, {"bitnet", "<|begin_of_text|>", "<|eot_id|>", false},
    {"zephyr", nullptr, nullptr, false},
};

namespace {

bool has(std::string_view text, std::string_view what) { return text.find(what) != std::string_view::npos; }

// As Python's str.strip().
std::string_view trim(std::string_view s) {
  const auto *begin = (const uint8_t*)s.data(), *p = begin, *end = begin + s.size();
  const auto blank = [](const Char& c) { return (c.flags & kSpace) != 0 || (c.code >= 0x1c && c.code <= 0x1f); };
  for (Char c; p < end && (c = read_char(p, end), blank(c)); p += c.size) {
  }
  for (Char c; p < end && (c = read_char_before(p, end), blank(c)); end -= c.size) {
  }
  return {(const char*)p, (size_t)(end - p)};
}

std::string_view trim_lines(std::string_view s, bool left, bool right) {
  while (left && !s.empty() && s.front() == '\n') s.remove_prefix(1);
  while (right && !s.empty() && s.back() == '\n') s.remove_suffix(1);
  return s;
}

// The text of a template from `at` on, up to the end of the string that it is in, or of the text outside of any.
std::string literal(std::string_view source, size_t at, char quote) {
  const bool quoted = quote == '\'' || quote == '"';
  std::string out;
  for (; at < source.size() && source[at] != (quoted ? quote : '{'); ++at) {
    if (quoted && source[at] == '\\' && at + 1 < source.size()) {
      const char c = source[++at];
      out += c == 'n' ? '\n' : c == 't' ? '\t' : c;
    } else {
      out += source[at];
    }
  }
  return out;
}

// The system text of a ChatML template that it uses where there is none.
std::string find_default_system(std::string_view source) {
  constexpr std::string_view kMark = "<|im_start|>system", kEnd = "<|im_end|>";
  for (size_t at = source.find(kMark); at != source.npos; at = source.find(kMark, at + 1)) {
    const std::string text = literal(source, at + kMark.size(), at ? source[at - 1] : '\0');
    const size_t end = text.find(kEnd);
    if (end != text.npos && end > 1 && text[0] == '\n') return text.substr(1, end - 1);
  }
  return {};
}

// As strftime("%d %b %Y"), whatever the language of the process.
std::string today() {
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const time_t now = std::time(nullptr);
  struct tm t = {};
  localtime_r(&now, &t);
  char text[32];
  std::snprintf(text, sizeof text, "%02d %s %d", t.tm_mday, kMonths[(unsigned)t.tm_mon % 12], t.tm_year + 1900);
  return text;
}

// An answer without what was thought before it, and the thought.
std::string_view split_thought(std::string_view content, std::string_view* thought) {
  constexpr std::string_view kBegin = "<think>", kEnd = "</think>";
  *thought = {};
  if (!has(content, kEnd)) return content;
  std::string_view t = trim_lines(content.substr(0, content.find(kEnd)), false, true);
  if (const size_t begin = t.rfind(kBegin); begin != t.npos) t.remove_prefix(begin + kBegin.size());
  *thought = trim_lines(t, true, true);
  return trim_lines(content.substr(content.rfind(kEnd) + kEnd.size()), true, false);
}

}  // namespace

// Between two tokens of the frame, texts are one text: what it becomes may depend on all of it.
class Chat::Writer {
 public:
  Writer(const Chat& chat, bool begins, std::vector<int32_t>* ids) : chat_(chat), begins_(begins), ids_(ids) {}
  void text(std::string_view s) { run_.append(s); }
  // A word of the frame: its token, or its text where the vocabulary has none.
  void mark(std::string_view s) {
    if (const int32_t id = chat_.token(s); id >= 0) token(id);
    else text(s);
  }
  void token(int32_t id) {
    flush();
    ids_->push_back(id), begins_ = false;
  }
  tern_status end() {
    flush();
    return status_;
  }

 private:
  void flush() {
    if (run_.empty() || status_ != TERN_OK) return;
    // Special tokens that a content spells stay text: nobody can write another's turn into his own.
    status_ = chat_.tokenizer_->encode(run_, begins_ ? 0u : kContinued, ids_);
    run_.clear(), begins_ = false;
  }

  const Chat& chat_;
  bool begins_;
  std::vector<int32_t>* ids_;
  std::string run_;
  tern_status status_ = TERN_OK;
};

int32_t Chat::token(std::string_view text) const {
  const int32_t id = tokenizer_->find(text);
  return id >= 0 && tokenizer_->def().flags[(size_t)id] & (kTokenSpecial | kTokenAdded) ? id : -1;
}

std::string Chat::known() {
  std::string list;
  for (const Form& f : kForms) list += (list.empty() ? "" : ", ") + std::string(f.name);
  return list;
}

const char* Chat::name() const { return kForms[(size_t)family_].name; }

tern_status Chat::create(std::shared_ptr<const Tokenizer> tokenizer, std::string_view source,
                         const ChatOptions& options, std::unique_ptr<Chat>* out) {
  std::unique_ptr<Chat> chat(new Chat);
  chat->tokenizer_ = std::move(tokenizer);
  const auto fits = [&](Family f) {
    switch (f) {
      case Family::chatml:
        return has(source, "<|im_start|>") && has(source, "<|im_end|>") && !has(source, "<|im_sep|>") &&
               !has(source, "## Metadata");
      case Family::llama3: return has(source, "<|start_header_id|>") && has(source, "<|eot_id|>");
      case Family::llama2: return has(source, "<<SYS>>") && has(source, "[INST]");
      case Family::mistral: return has(source, "[INST]") && !has(source, "[SYSTEM_PROMPT]");
      case Family::gemma: return has(source, "<start_of_turn>");
      case Family::bitnet: return has(source, "capitalize") && has(source, "<|eot_id|>");
      case Family::zephyr:
        return (has(source, "<|user|>\n") || has(source, "<|user|>\\n")) && has(source, "eos_token") &&
               !has(source, "<|end|>");
    }
    return false;
  };
  if (source.empty() && options.name.empty())
    return TERN_FAIL(TERN_ERR_NOT_FOUND, "there is no chat template: name one that fits the model (--template), of %s",
                     known().c_str());
  constexpr size_t kFamilies = std::size(kForms);
  size_t i = 0;
  while (i < kFamilies && (options.name.empty() ? !fits((Family)i) : options.name != kForms[i].name)) ++i;
  if (i == kFamilies && !options.name.empty())
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "there is no chat template '%.40s', but %s",
                     std::string(options.name).c_str(), known().c_str());
  if (i == kFamilies)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "the chat template is none that is known: name one that fits the model (--template), of %s",
                     known().c_str());
  chat->family_ = (Family)i;
  const bool own = !source.empty() && fits((Family)i);  // a template of another family says nothing about this one
  const Form& form = kForms[i];
  const TokenizerDef& def = chat->tokenizer_->def();
  chat->end_ = form.end ? chat->token(form.end) : chat->token("</s>");
  if (chat->end_ < 0 && !form.end) chat->end_ = def.eos;
  if (chat->end_ < 0)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "the vocabulary has no token '%s', with which chat template '%s' ends turns",
                     form.end ? form.end : "</s>", form.name);
  const bool begins =
      own ? has(source, "bos_token") || (form.begin && has(source, form.begin)) : !def.before.empty() || form.begin;
  if (begins) {
    chat->begin_ = def.bos >= 0 ? def.bos : form.begin ? chat->token(form.begin) : -1;
    if (chat->begin_ < 0 && !def.before.empty()) chat->begin_ = (int32_t)def.before[0];
    if (chat->begin_ < 0)
      return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                       "the vocabulary has no token '%s', with which chat template '%s' begins a sequence",
                       form.begin ? form.begin : "bos", form.name);
  }
  chat->no_thinking_ = options.no_thinking;
  if (own) {
    chat->read_source(source);
    if (!chat->date_.empty()) {
      if (!options.date.empty()) chat->date_ = options.date;
      else if (has(source, "strftime_now")) chat->date_ = today();
    }
  } else if (chat->token("[INST]") >= 0) {
    chat->blank_out_ = false, chat->blank_answer_ = true;
  }
  chat->ends_.push_back(chat->end_);
  const auto add_end = [&](int32_t id) {
    for (const int32_t e : chat->ends_)
      if (e == id) return;
    if (id >= 0) chat->ends_.push_back(id);
  };
  add_end(def.eos);
  // Those that models use besides: for the end of a text, of a call of a tool.
  for (const char* text : {"<|endoftext|>", "<|end_of_text|>", "<|eom_id|>", "</s>", "<eos>"})
    add_end(chat->token(text));
  *out = std::move(chat);
  return TERN_OK;
}

void Chat::read_source(std::string_view source) {
  switch (family_) {
    case Family::chatml:
      default_system_ = find_default_system(source);
      always_thinks_ = has(source, "<|im_start|>assistant\\n<think>\\n");
      thinks_ = has(source, "</think>") && (always_thinks_ || has(source, "enable_thinking"));
      break;
    case Family::llama3:
      if (has(source, "Cutting Knowledge Date: December 2023")) date_ = "26 Jul 2024";
      break;
    case Family::mistral:
      blank_in_ = has(source, "[INST] ");
      blank_out_ = has(source, " [/INST]");
      blank_answer_ = has(source, "' ' + message") || has(source, "\" \" + message");
      trims_ = has(source, "|trim + eos_token") || has(source, "| trim + eos_token");
      blank_end_ = has(source, "eos_token + ' '") || has(source, "eos_token + \" \"");
      system_last_ = has(source, "loop.last and system_message");
      break;
    default: break;
  }
}

tern_status Chat::check(std::span<const ChatMessage> messages, size_t done) const {
  if (messages.empty()) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "there are no messages");
  if (done > messages.size())
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%zu of %zu messages are there already", done, messages.size());
  const bool alternates = kForms[(size_t)family_].alternates;
  const size_t system = messages[0].role == "system";
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string_view role = messages[i].role;
    if (role != "system" && role != "user" && role != "assistant")
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "message %zu has the role '%.*s', known are system, user, assistant",
                       i, (int)std::min<size_t>(role.size(), 40), role.data());
    if (!alternates || (system && i == 0)) continue;
    const char* wanted = (i - system) % 2 ? "assistant" : "user";
    if (role != wanted)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                       "message %zu has the role '%.*s', but chat template '%s' wants '%s' here: user and assistant "
                       "take turns, after at most one system message",
                       i, (int)role.size(), role.data(), name(), wanted);
  }
  if (alternates && messages.size() == system)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                     "chat template '%s' puts the system message into the user's: there is none", name());
  return TERN_OK;
}

void Chat::begin_answer(Writer& w) const {
  switch (family_) {
    case Family::chatml:
      w.mark("<|im_start|>"), w.text("assistant\n");
      if (always_thinks_) w.text("<think>\n");
      else if (thinks_ && no_thinking_) w.text("<think>\n\n</think>\n\n");
      break;
    case Family::llama3:
      w.mark("<|start_header_id|>"), w.text("assistant"), w.mark("<|end_header_id|>"), w.text("\n\n");
      break;
    case Family::gemma: w.mark("<start_of_turn>"), w.text("model\n"); break;
    case Family::bitnet: w.text("Assistant: "); break;
    case Family::zephyr: w.mark("<|assistant|>"), w.text("\n"); break;
    case Family::llama2:
    case Family::mistral: break;
  }
}

tern_status Chat::encode(std::span<const ChatMessage> messages, size_t done, bool answer,
                         std::vector<int32_t>* ids) const {
  TERN_TRY(check(messages, done));
  Writer w(*this, done == 0, ids);
  const bool lines = family_ == Family::chatml || family_ == Family::gemma || family_ == Family::zephyr;
  const auto end_turn = [&] {
    w.token(end_);
    if (lines) w.text("\n");
    if (family_ == Family::mistral && blank_end_) w.text(" ");
  };
  const bool system = messages[0].role == "system";
  size_t last_user = messages.size() - 1;
  for (size_t i = messages.size(); i-- > 0;)
    if (messages[i].role == "user") {
      last_user = i;
      break;
    }

  if (done && messages[done - 1].role == "assistant") end_turn();
  if (done == 0) {
    if (begin_ >= 0 && family_ != Family::llama2) w.token(begin_);
    if (!date_.empty()) {
      w.mark("<|start_header_id|>"), w.text("system"), w.mark("<|end_header_id|>");
      w.text("\n\nCutting Knowledge Date: December 2023\nToday Date: " + date_ + "\n\n");
      if (system) w.text(trim(messages[0].content)), done = 1;
      end_turn();
    } else if (!system && !default_system_.empty()) {
      w.mark("<|im_start|>"), w.text("system\n"), w.text(default_system_);
      end_turn();
    }
  }
  for (size_t i = done; i < messages.size(); ++i) {
    const std::string_view role = messages[i].role, content = messages[i].content;
    const bool user = role == "user", assistant = role == "assistant";
    // The system text as it stands in a user's message.
    const std::string_view above = messages[0].content;
    const bool has_above = system && i == (system_last_ ? last_user : 1);
    switch (family_) {
      case Family::chatml: {
        w.mark("<|im_start|>"), w.text(role), w.text("\n");
        std::string_view thought, text = content;
        if (assistant && thinks_) text = split_thought(content, &thought);
        if (assistant && thinks_ && i > last_user && (i + 1 == messages.size() || !thought.empty())) {
          w.text("<think>\n"), w.text(thought), w.text("\n</think>\n\n");
          text = trim_lines(text, true, false);
        }
        w.text(text);
        break;
      }
      case Family::llama3:
        w.mark("<|start_header_id|>"), w.text(role), w.mark("<|end_header_id|>");
        w.text("\n\n"), w.text(trim(content));
        break;
      case Family::gemma:
        if (role == "system") continue;
        w.mark("<start_of_turn>"), w.text(assistant ? "model\n" : "user\n");
        if (has_above) w.text(above), w.text("\n\n");
        w.text(trim(content));
        break;
      case Family::llama2: {
        if (role == "system") continue;
        if (assistant) {
          w.text(" "), w.text(trim(content)), w.text(" ");
          break;
        }
        if (begin_ >= 0) w.token(begin_);
        std::string all;
        if (has_above) all.append("<<SYS>>\n").append(above).append("\n<</SYS>>\n\n");
        all.append(content);
        w.mark("[INST]"), w.text(" "), w.text(trim(all)), w.text(" "), w.mark("[/INST]");
        continue;
      }
      case Family::mistral:
        if (role == "system") continue;
        if (assistant) {
          w.text(blank_answer_ ? " " : ""), w.text(trims_ ? trim(content) : content);
          break;
        }
        w.mark("[INST]"), w.text(blank_in_ ? " " : "");
        if (has_above) w.text(above), w.text("\n\n");
        w.text(content), w.text(blank_out_ ? " " : ""), w.mark("[/INST]");
        continue;
      case Family::bitnet:
        w.text(assistant ? "Assistant: " : user ? "User: " : "System: "), w.text(trim(content));
        break;
      case Family::zephyr:
        w.mark(assistant ? "<|assistant|>" : user ? "<|user|>" : "<|system|>"), w.text("\n"), w.text(content);
        break;
    }
    end_turn();
  }
  if (answer) begin_answer(w);
  return w.end();
}

}  // namespace tern::tokens
