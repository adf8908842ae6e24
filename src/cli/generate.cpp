// SPDX-License-Identifier: Apache-2.0
// tern generate: goes on with a text.
#include <cstdio>

#include "cli/tokens.h"

namespace tern::cli {
namespace {

// What tern_generator_log_probabilities lent after a token.
struct Logs {
  std::vector<int32_t> tokens;
  std::vector<float> values;
};

void add_logs(const std::vector<Logs>& list, const tern_tokenizer* tokenizer, Json* json) {
  json->begin_list("logprobs");
  for (const Logs& logs : list) {
    json->begin_object();
    for (size_t i = 0; i < logs.tokens.size(); ++i) {
      if (i == 1) json->begin_list("top");
      if (i > 0) json->begin_object();
      json->add("token", logs.tokens[i]);
      if (tokenizer) json->add("text", token_text(tokenizer, logs.tokens[i]));
      json->add("logprob", (double)logs.values[i]);
      if (i > 0) json->end();
    }
    if (logs.tokens.size() > 1) json->end();
    json->end();
  }
  json->end();
}

int run(const Arguments& a) {
  tern_generator_options options = TERN_GENERATOR_OPTIONS_INIT;
  int64_t count = 128, logs_wanted = 0;
  if (!a.number("-n", 1, 1 << 24, &count) || !a.number("--logprobs", 1, 1000, &logs_wanted) ||
      !read_sampler(a, &options))
    return kUsage;
  options.log_probabilities = (int32_t)logs_wanted;
  const bool json_wanted = a.has("--json");
  if (logs_wanted && !json_wanted) return complain("--logprobs is for --json"), kUsage;
  std::vector<int32_t> tokens;
  const char *list = a.value("--tokens"), *prompt = a.value("--prompt");
  if (!list == !prompt) return complain("one of --prompt and --tokens is needed"), kUsage;
  if (list && (a.has("--grammar") || a.has("--schema")))
    return complain("--grammar and --schema need --prompt: with --tokens there is no text"), kUsage;
  if (list && a.has("--stop")) return complain("--stop needs --prompt: of --tokens no text is made"), kUsage;
  if (list && !read_ids(list, "--tokens", &tokens)) return kUsage;
  Handle<tern_context> context;
  Handle<tern_model> model;
  if (const int code = make_context(a, &context)) return code;
  if (const int code = load_model(context.get(), a.words()[0], 0, &model)) return code;
  Draft draft;
  Handle<tern_tokenizer> tokenizer;
  Handle<tern_detokenizer> text;
  if (prompt) {
    tern_tokenizer* t = nullptr;
    if (const tern_status s = tern_tokenizer_create_from_model(model.get(), &t)) return report(s, a.words()[0]);
    tokenizer.reset(t);
    tern_detokenizer* d = nullptr;
    // Where a grammar says what the text is, the token that ends it is none of it.
    const uint32_t shown = a.has("--grammar") || a.has("--schema") ? (uint32_t)TERN_DECODE_SKIP_SPECIAL : 0;
    if (const tern_status s = tern_detokenizer_create(t, shown, &d)) return report(s, a.words()[0]);
    text.reset(d);
    if (const tern_status s = set_stops(a, d)) return report(s, "--stop");
    constexpr uint32_t kFlags = TERN_ENCODE_ADD_SPECIAL | TERN_ENCODE_PARSE_SPECIAL;
    if (const tern_status s = encode_text(t, prompt, kFlags, &tokens)) return report(s, "--prompt");
  }
  if (tokens.empty()) return complain("the prompt is empty"), kUsage;
  tern_generator* made = nullptr;
  if (const tern_status s = tern_generator_create(model.get(), &options, &made)) return report(s, a.words()[0]);
  const Handle<tern_generator> generator(made);
  if (const int code = set_draft(a, context.get(), made, &draft)) return code;
  tern_run_options run = TERN_RUN_OPTIONS_INIT;
  run.cancel = interrupt();
  const double begin = now_seconds();
  if (const tern_status s = tern_generator_feed(made, tokens.data(), (int64_t)tokens.size(), &run))
    return report(s, a.words()[0]);
  bool constrained = false;
  if (const int code = set_grammar(a, made, tokenizer.get(), count, &constrained)) return code;
  if (const int code = set_bias(a, made, tokenizer.get())) return code;
  const double fed = now_seconds();
  const int32_t end_of_text = tokenizer ? tern_tokenizer_get_role(tokenizer.get(), TERN_TOKEN_ROLE_END) : -1;
  std::string answer;
  std::vector<int32_t> given;
  std::vector<Logs> logs;
  tern_status status = TERN_OK;
  const auto say = [&](const char* piece, size_t bytes) {
    answer.append(piece, bytes);
    if (!json_wanted) std::fwrite(piece, 1, bytes, stdout), std::fflush(stdout);
  };
  while ((int64_t)given.size() < count) {
    int32_t token = 0;
    if ((status = tern_generator_next(made, &token, &run))) break;
    given.push_back(token);
    const int32_t* log_tokens = nullptr;
    const float* log_values = nullptr;
    int64_t num_logs = 0;
    if (logs_wanted && !tern_generator_log_probabilities(made, &log_tokens, &log_values, &num_logs))
      logs.push_back({{log_tokens, log_tokens + num_logs}, {log_values, log_values + num_logs}});
    if (token == end_of_text) break;
    const char* piece = nullptr;
    size_t bytes = 0;
    if (text && tern_detokenizer_add(text.get(), token, &piece, &bytes) == TERN_OK) say(piece, bytes);
    if (text && tern_detokenizer_stopped(text.get())) break;
    if (!text && !json_wanted) std::printf("%s%d", given.size() > 1 ? "," : "", token), std::fflush(stdout);
  }
  if (constrained && status == TERN_ERR_STATE && !given.empty()) status = TERN_OK;  // the text is complete
  const double end = now_seconds();
  const char* rest = nullptr;
  size_t rest_bytes = 0;
  if (text && tern_detokenizer_end(text.get(), &rest, &rest_bytes) == TERN_OK) say(rest, rest_bytes);
  if (!json_wanted) std::printf("\n");
  if (status && status != TERN_ERR_CANCELLED) return report(status, a.words()[0]);
  const double prompt_rate = (double)tokens.size() / (fed - begin), rate = (double)given.size() / (end - fed);
  int64_t guesses = 0, right = 0;
  if (const tern_status s = tern_generator_guesses(made, &guesses, &right)) return report(s, a.words()[0]);
  if (json_wanted) {
    Json json;
    json.begin_object();
    if (text) json.add("text", answer);
    json.add_numbers("tokens", std::vector<double>(given.begin(), given.end()));
    if (logs_wanted) add_logs(logs, tokenizer.get(), &json);
    json.add("prompt_tokens_per_second", prompt_rate).add("tokens_per_second", rate);
    if (options.look_ahead) json.add("guesses", guesses).add("right_guesses", right);
    json.print();
  } else {
    std::fprintf(stderr, "%zu tokens of prompt at %.1f a second, %zu more at %.1f", tokens.size(), prompt_rate,
                 given.size(), rate);
    if (options.look_ahead) std::fprintf(stderr, ", %lld of %lld guesses right", (long long)right, (long long)guesses);
    std::fprintf(stderr, "\n");
  }
  return status == TERN_ERR_CANCELLED ? kInterrupted : kDone;
}

}  // namespace

const Command& generate_command() {
  static const Command command = [] {
    Command c = {"generate",
                 "FILE",
                 "goes on with a text, with a language model",
                 "The text is printed as it comes; the rate goes to stderr. Ctrl-C ends it.\n",
                 "  tern generate smollm2.tern --prompt 'The capital of France is' -n 20\n"
                 "  tern generate smollm2.tern --prompt 'Once upon a time' --temp 0.8 --top-p 0.95 --seed 7 --json\n"
                 "  tern generate smollm2.tern --prompt '1. red' --stop 6. --stop $'\\n\\n'\n"
                 "  tern generate smollm2.tern --prompt 'A person as JSON: ' --schema person.json -n 100\n"
                 "  tern generate qwen3-8b.tern --draft qwen3-0.6b.tern --prompt 'Once upon a time'\n",
                 {{"--prompt", "TEXT", "what to go on from; special tokens in it (\"<|im_start|>\") count as such"},
                  {"--tokens", "LIST", "the same as numbers of tokens, separated by commas; tokens are printed, too"},
                  {"-n", "N", "how many tokens to make at most; the default is 128"},
                  {"--logprobs", "N", "with --json: of each token the logarithm of its probability, and the N largest"},
                  {"--json", nullptr, "for programs"}},
                 1,
                 1,
                 run};
    for (const Option& o : sampler_options()) c.options.push_back(o);
    return c;
  }();
  return command;
}

}  // namespace tern::cli
