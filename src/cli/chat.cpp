// SPDX-License-Identifier: Apache-2.0
// tern chat: a conversation with a language model.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "cli/tokens.h"

namespace tern::cli {
namespace {

constexpr const char* kHelp =
    "  /reset         begins a new conversation\n"
    "  /system TEXT   begins one with this system message; without TEXT with the model's own\n"
    "  /quit          leaves, as Ctrl-D does\n"
    "  //text         sends a line that begins with /\n"
    "A line that ends with \\ goes on in the next one. Ctrl-C ends an answer.\n";
constexpr size_t kMostBytes = size_t(1) << 24;  // of a message

// A line without its end, and those that it goes on in. False: there is none.
bool read_line(bool prompt, std::string* out) {
  out->clear();
  if (prompt) std::fputs("> ", stderr);
  bool any = false;
  for (int c; (c = std::fgetc(stdin)) != EOF;) {
    any = true;
    if (c != '\n') {
      if (out->size() < kMostBytes) *out += (char)c;
      continue;
    }
    if (!out->empty() && out->back() == '\r') out->pop_back();
    if (out->empty() || out->back() != '\\') return true;
    out->back() = '\n';
    if (prompt) std::fputs("| ", stderr);
  }
  return any;
}

struct Message {
  std::string role, content;
};

// A conversation beside its tokens in the file of a session, as bindings/python/tern/_generator.py has it, too:
// messages that are among the tokens, the template's name, then role, bytes and content of each message.
std::string write_messages(const std::vector<Message>& messages, size_t done, const char* form) {
  std::string text = "chat " + std::to_string(done) + " " + form + "\n";
  for (const Message& m : messages) text += m.role + " " + std::to_string(m.content.size()) + "\n" + m.content + "\n";
  return text;
}

bool read_messages(const std::string& text, std::vector<Message>* messages, size_t* done, std::string* form) {
  size_t at = 0;
  // "WORD NUMBER", then what `last` ends.
  const auto head = [&](std::string* word, size_t* number, char last) {
    const size_t space = text.find(' ', at), end = text.find(last, space == text.npos ? space : space + 1);
    if (end == text.npos) return false;
    *word = text.substr(at, space - at);
    const std::string digits = text.substr(space + 1, end - space - 1);
    if (digits.empty() || digits.size() > 9 || digits.find_first_not_of("0123456789") != digits.npos) return false;
    *number = (size_t)std::stoul(digits);
    at = end + 1;
    return true;
  };
  std::string word;
  if (!head(&word, done, ' ') || word != "chat") return false;
  const size_t end = text.find('\n', at);
  if (end == text.npos) return false;
  *form = text.substr(at, end - at);
  for (at = end + 1; at < text.size();) {
    size_t bytes = 0;
    if (!head(&word, &bytes, '\n') || bytes >= text.size() - at || text[at + bytes] != '\n') return false;
    messages->push_back({word, text.substr(at, bytes)});
    at += bytes + 1;
  }
  return *done <= messages->size();
}

class Talk {
 public:
  int begin(const Arguments& a);
  int go();
  // To the file of --session; code: how the command ends otherwise.
  int save(int code);

 private:
  void forget();
  int restore(const Arguments& a, const tern_generator_options& options);
  tern_status encode(std::vector<int32_t>* ids) const;
  int answer(const std::string& question);

  std::string file_, session_;
  Handle<tern_context> context_;
  Handle<tern_model> model_;
  Handle<tern_tokenizer> tokenizer_;
  Handle<tern_detokenizer> text_;
  Handle<tern_chat> chat_;
  Draft draft_;
  Handle<tern_generator> generator_;
  bool constrained_ = false;  // by a grammar or a schema
  std::string system_;        // "": the model's own
  int64_t most_ = 1024;
  bool json_ = false;
  std::vector<Message> messages_;
  size_t done_ = 0;            // messages that are among the tokens
  std::vector<int32_t> held_;  // tokens of the generator
};

int Talk::begin(const Arguments& a) {
  tern_generator_options options = TERN_GENERATOR_OPTIONS_INIT;
  if (!a.number("-n", 1, 1 << 24, &most_) || !read_sampler(a, &options)) return kUsage;
  file_ = a.words()[0];
  json_ = a.has("--json");
  if (a.value("--session")) session_ = a.value("--session");
  if (a.value("--system")) system_ = a.value("--system");
  if (const int code = make_context(a, &context_)) return code;
  if (const int code = load_model(context_.get(), file_, 0, &model_)) return code;
  tern_tokenizer* tokenizer = nullptr;
  if (const tern_status s = tern_tokenizer_create_from_model(model_.get(), &tokenizer)) return report(s, file_);
  tokenizer_.reset(tokenizer);
  tern_chat_options form = TERN_CHAT_OPTIONS_INIT;
  form.template_name = a.value("--template");
  form.flags = a.has("--no-thinking") ? TERN_CHAT_NO_THINKING : 0;
  tern_chat* chat = nullptr;
  const char* source = tern_model_find_metadata(model_.get(), "language.chat_template");
  if (const tern_status s = tern_chat_create(tokenizer, source, &form, &chat)) return report(s, file_);
  chat_.reset(chat);
  tern_detokenizer* text = nullptr;
  if (const tern_status s = tern_detokenizer_create(tokenizer, TERN_DECODE_SKIP_SPECIAL, &text))
    return report(s, file_);
  text_.reset(text);
  if (const tern_status s = set_stops(a, text)) return report(s, "--stop");
  tern_generator* generator = nullptr;
  if (const tern_status s = tern_generator_create(model_.get(), &options, &generator)) return report(s, file_);
  generator_.reset(generator);
  if (const int code = set_draft(a, context_.get(), generator, &draft_)) return code;
  if (const int code = set_grammar(a, generator, tokenizer, most_, &constrained_)) return code;
  if (const int code = set_bias(a, generator, tokenizer)) return code;
  forget();
  return session_.empty() ? kDone : restore(a, options);
}

// Goes on with the conversation of the session's file; makes one now if there is none, since at the end it is too late
// to hear that it cannot be.
int Talk::restore(const Arguments& a, const tern_generator_options& options) {
  if (::access(session_.c_str(), F_OK) != 0 && errno == ENOENT) return save(kDone);
  tern_generator* const g = generator_.get();
  const void* data = nullptr;
  size_t bytes = 0;
  if (const tern_status s = tern_generator_load(g, session_.c_str(), &data, &bytes)) return report(s, session_);
  std::vector<Message> messages;
  std::string form;
  if (!read_messages(std::string((const char*)data, bytes), &messages, &done_, &form))
    return complain("%s: a session without a conversation", session_.c_str()), kBadFile;
  const std::string system = !messages.empty() && messages[0].role == "system" ? messages[0].content : "";
  if (a.has("--system") && system != system_)
    return complain("%s: a conversation with another system message than --system: give another file",
                    session_.c_str()),
           kUsage;
  system_ = system;
  messages_ = std::move(messages);
  if (form != tern_chat_template(chat_.get())) done_ = 0;
  held_.resize((size_t)tern_generator_length(g));
  int64_t count = 0;
  if (const tern_status s = tern_generator_get_tokens(g, held_.data(), (int64_t)held_.size(), &count))
    return report(s, session_);
  // What the command line says of choosing tokens takes the place of what the file says.
  for (const char* name : {"--temp", "--top-k", "--top-p", "--min-p", "--repetition-penalty", "--seed"})
    if (a.has(name)) {
      const tern_status s = tern_generator_set_sampler(g, &options);
      return s ? report(s, session_) : kDone;
    }
  return kDone;
}

int Talk::save(int code) {
  if (session_.empty()) return code;
  const std::string text = write_messages(messages_, done_, tern_chat_template(chat_.get()));
  const tern_status s = tern_generator_save(generator_.get(), session_.c_str(), text.data(), text.size());
  return s ? report(s, session_) : code;
}

void Talk::forget() {
  messages_.clear();
  done_ = 0;
  if (!system_.empty()) messages_.push_back({"system", system_});
}

tern_status Talk::encode(std::vector<int32_t>* ids) const {
  std::vector<tern_chat_message> list;
  for (const Message& m : messages_) {
    tern_chat_message one = TERN_CHAT_MESSAGE_INIT;
    one.role = m.role.c_str(), one.content = m.content.data(), one.content_bytes = m.content.size();
    list.push_back(one);
  }
  for (size_t count = 256;;) {
    ids->resize(count);
    if (const tern_status s = tern_chat_encode(chat_.get(), list.data(), list.size(), done_, TERN_CHAT_ANSWER,
                                               ids->data(), ids->size(), &count))
      return s;
    const bool all = count <= ids->size();
    ids->resize(count);
    if (all) return TERN_OK;
  }
}

// Prints the answer to one more message.
int Talk::answer(const std::string& question) {
  tern_generator* const g = generator_.get();
  tern_run_options run = TERN_RUN_OPTIONS_INIT;
  run.cancel = interrupt();
  reset_interrupt(true);
  messages_.push_back({"user", question});
  std::vector<int32_t> ids;
  // As if it had not been asked; what is there by then is found again by its tokens.
  const auto failed = [&](tern_status s) {
    messages_.pop_back();
    done_ = 0;
    return report(s, file_);
  };
  if (const tern_status s = encode(&ids)) return failed(s);
  if (done_ == 0) {  // what is there already and the same is not computed again
    const size_t same = (size_t)(std::mismatch(ids.begin(), ids.end(), held_.begin(), held_.end()).first - ids.begin());
    if (const tern_status s = tern_generator_truncate(g, (int64_t)same)) return failed(s);
    ids.erase(ids.begin(), ids.begin() + (ptrdiff_t)same);
    held_.resize(same);
  }
  const auto full = [&] {
    complain("the context of %lld tokens is full: /reset begins a new conversation, or ask for less",
             (long long)tern_generator_capacity(g));
    return kNoResource;
  };
  tern_status status = tern_generator_feed(g, ids.data(), (int64_t)ids.size(), &run);
  if (status) {
    if (status != TERN_ERR_LIMIT && status != TERN_ERR_CANCELLED) return failed(status);
    messages_.pop_back();
    return status == TERN_ERR_LIMIT ? full() : kInterrupted;
  }
  held_.insert(held_.end(), ids.begin(), ids.end());

  const int32_t* ends = nullptr;
  size_t num_ends = 0;
  if (const tern_status s = tern_chat_get_ends(chat_.get(), &ends, &num_ends)) return failed(s);
  std::string answer;
  const auto say = [&](const char* piece, size_t bytes) {
    answer.append(piece, bytes);
    if (!json_) std::fwrite(piece, 1, bytes, stdout), std::fflush(stdout);
  };
  const char *piece = nullptr, *why = "length";
  size_t bytes = 0;
  int64_t count = 0;
  const double begin = now_seconds();
  // A grammar allows no special token but one that ends its text, which may be another one than the template's.
  const auto ends_answer = [&](int32_t token) {
    tern_token_info info = TERN_TOKEN_INFO_INIT;
    return std::find(ends, ends + num_ends, token) != ends + num_ends ||
           (constrained_ && !tern_tokenizer_get_token(tokenizer_.get(), token, &info) &&
            (info.flags & TERN_TOKEN_SPECIAL));
  };
  while (count < most_) {
    int32_t token = 0;
    if ((status = tern_generator_next(g, &token, &run))) break;
    if (ends_answer(token)) {
      why = "end";
      status = tern_generator_truncate(g, tern_generator_length(g) - 1);  // the next turn brings it
      break;
    }
    ++count;
    held_.push_back(token);
    if (tern_detokenizer_add(text_.get(), token, &piece, &bytes) == TERN_OK) say(piece, bytes);
    if (tern_detokenizer_stopped(text_.get())) {
      why = "stop";
      break;
    }
  }
  const double seconds = now_seconds() - begin;
  if (constrained_ && status == TERN_ERR_STATE && count > 0) why = "end", status = TERN_OK;  // no token ends texts
  if (tern_detokenizer_end(text_.get(), &piece, &bytes) == TERN_OK) say(piece, bytes);
  if (status == TERN_ERR_CANCELLED) why = "interrupt";
  if (status == TERN_ERR_LIMIT) why = "full";
  if (json_) {
    Json json(true);
    json.begin_object().add("text", answer).add("end", why).add("prompt_tokens", (uint64_t)ids.size());
    json.add("tokens", count).add("tokens_per_second", count ? (double)count / seconds : 0.0);
    json.print();
    std::fflush(stdout);
  } else {
    std::printf("\n");
    std::fflush(stdout);
  }
  if (status && status != TERN_ERR_CANCELLED && status != TERN_ERR_LIMIT) return failed(status);
  if (!json_ && why == std::string("length")) complain("the answer was cut after %lld tokens (-n)", (long long)count);
  // Templates leave thoughts out of earlier answers: the next turn begins from the first message again.
  const bool thought = answer.find("</think>") != std::string::npos;
  messages_.push_back({"assistant", std::move(answer)});
  done_ = thought ? 0 : messages_.size();
  if (status == TERN_ERR_LIMIT) return full();
  return status == TERN_ERR_CANCELLED ? kInterrupted : kDone;
}

int Talk::go() {
  const bool person = isatty(STDIN_FILENO) != 0;
  if (person) std::fprintf(stderr, "chat template: %s; /help tells what there is\n", tern_chat_template(chat_.get()));
  int code = kDone;
  if (!session_.empty()) interrupt();  // at the prompt, it ends the command behind the save
  for (std::string line; read_line(person, &line) && !interrupted();) {
    if (line.find_first_not_of(" \t\n") == line.npos) continue;
    if (line.size() >= kMostBytes) {
      complain("a message of more than %zu bytes", kMostBytes - 1), code = kNoResource;
      continue;
    }
    if (line[0] != '/' || line.compare(0, 2, "//") == 0) {
      const int now = answer(line[0] == '/' ? line.substr(1) : line);
      reset_interrupt(!session_.empty());
      if (now == kInterrupted && person) continue;
      if (now != kDone) code = now;
      if (now == kInterrupted) return code;
      continue;
    }
    const std::string word = line.substr(0, line.find(' '));
    if (word == "/quit" || word == "/exit") return code;
    if (word == "/reset") {
      forget();
    } else if (word == "/system") {
      system_ = line.size() > word.size() ? line.substr(word.size() + 1) : "";
      forget();
    } else {
      if (word != "/help") complain("there is no %s, but", printable(word.c_str(), 40).c_str());
      std::fputs(kHelp, stderr);
    }
  }
  if (person) std::fputs("\n", stderr);
  return code;
}

int run(const Arguments& a) {
  Talk talk;
  if (const int code = talk.begin(a)) return code;
  const int code = talk.go();
  const bool stopped = interrupted() && code != kInterrupted;
  const int saved = talk.save(code);
  if (!stopped || saved != code) return saved;
  reset_interrupt(false);
  std::raise(SIGINT);
  return kInterrupted;
}

}  // namespace

const Command& chat_command() {
  static const Command command = [] {
    Command c = {
        "chat",
        "FILE",
        "talks with a language model",
        "Each line of the standard input is a message; answers are printed as they come. Ctrl-C ends an answer, a "
        "second\n"
        "one or one between answers the command, as Ctrl-D does. Lines that begin with / are for the command: /help.\n",
        "  tern chat smollm2.tern\n"
        "  tern chat smollm2.tern --system 'You are a poet.' --temp 0.7 --top-p 0.9\n"
        "  tern chat smollm2.tern --schema answer.json     # each answer is JSON of this schema\n"
        "  tern chat smollm2.tern --session tea.session    # goes on there the next time\n"
        "  tern chat qwen3-8b.tern --draft qwen3-0.6b.tern\n"
        "  echo 'What is the capital of France?' | tern chat smollm2.tern --json\n",
        {{"--system", "TEXT", "a system message; the default is what the model's template has"},
         {"--template", "NAME",
          "how messages are written, where the model does not say it or says it in a way that is not known: chatml, "
          "llama3, llama2, mistral, gemma, bitnet, zephyr"},
         {"--no-thinking", nullptr, "answers without thinking first, where the template knows that"},
         {"--session", "FILE",
          "goes on with the conversation in this file, if it is there, and keeps it there at the end"},
         {"-n", "N", "how many tokens an answer has at most; the default is 1024"},
         {"--json", nullptr, "a line for each answer, for programs"}},
        1,
        1,
        run};
    for (const Option& o : sampler_options()) c.options.push_back(o);
    return c;
  }();
  return command;
}

}  // namespace tern::cli
