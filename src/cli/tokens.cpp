// SPDX-License-Identifier: Apache-2.0
#include "cli/tokens.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cmath>
#include <cstdlib>
#include <cstring>

namespace tern::cli {
namespace {

constexpr size_t kMostGrammarBytes = 4 << 20;
constexpr int64_t kLookAhead = 4;  // with a draft

}  // namespace

bool read_ids(const std::string& text, const char* what, std::vector<int32_t>* ids) {
  for (const char* p = text.c_str(); *p;) {
    if (*p == ' ' || *p == ',' || *p == '\n' || *p == '\r' || *p == '\t' || *p == '[' || *p == ']') {
      ++p;
      continue;
    }
    char* end = nullptr;
    errno = 0;
    const long long id = std::strtoll(p, &end, 10);
    if (end == p || errno || id < 0 || id > INT_MAX)
      return complain("%s: '%s' is no token id", what, printable(p, 20).c_str()), false;
    ids->push_back((int32_t)id);
    p = end;
  }
  return true;
}

tern_status encode_text(const tern_tokenizer* tokenizer, const std::string& text, uint32_t flags,
                        std::vector<int32_t>* ids) {
  size_t count = 0;
  ids->resize(text.size() + 128);
  for (;;) {
    if (const tern_status s =
            tern_tokenizer_encode(tokenizer, text.data(), text.size(), flags, ids->data(), ids->size(), &count))
      return s;
    const bool all = count <= ids->size();
    ids->resize(count);
    if (all) return TERN_OK;
  }
}

std::string token_text(const tern_tokenizer* tokenizer, int32_t id) {
  tern_token_info info = TERN_TOKEN_INFO_INIT;
  if (tern_tokenizer_get_token(tokenizer, id, &info)) return "";
  return std::string(info.text, info.text_bytes);
}

int set_grammar(const Arguments& a, tern_generator* generator, const tern_tokenizer* tokenizer, int64_t most_tokens,
                bool* set) {
  const char *grammar = a.value("--grammar"), *schema = a.value("--schema"), *file = grammar ? grammar : schema;
  if (grammar && schema) return complain("one of --grammar and --schema at most"), kUsage;
  *set = file != nullptr;
  if (!file) return kDone;
  std::string text;
  if (!read_whole_file(file, kMostGrammarBytes, &text)) return bad_file_code(file);
  const int32_t kind = grammar ? TERN_GRAMMAR_GBNF : TERN_GRAMMAR_JSON_SCHEMA;
  if (const tern_status s =
          tern_generator_set_grammar(generator, tokenizer, kind, text.data(), text.size(), most_tokens))
    return report(s, file);
  return kDone;
}

int set_bias(const Arguments& a, tern_generator* generator, const tern_tokenizer* tokenizer) {
  std::vector<int32_t> tokens;
  std::vector<float> values;
  for (const std::string& pair : a.values("--logit-bias")) {
    std::string name, value;
    if (!split_pair(pair, &name, &value) || name.empty() || value.empty())
      return complain("--logit-bias: '%s' is not TOKEN=VALUE", pair.c_str()), kUsage;
    char* end = nullptr;
    const double v = std::strtod(value.c_str(), &end);
    if (*end || std::isnan(v) || v > 1e30)
      return complain("--logit-bias: '%s' is no number (or -inf, which forbids the token)", value.c_str()), kUsage;
    const long long id = std::strtoll(name.c_str(), &end, 10);
    int32_t token = 0;
    if (!*end && id >= 0 && id <= INT32_MAX) token = (int32_t)id;
    else if (!tokenizer)
      return complain("--logit-bias: '%s' is no number of a token, and with --tokens there is no text", name.c_str()),
             kUsage;
    else if (const tern_status s = tern_tokenizer_find_token(tokenizer, name.data(), name.size(), &token))
      return report(s, "--logit-bias");
    tokens.push_back(token), values.push_back((float)v);
  }
  if (const tern_status s = tern_generator_set_bias(generator, tokens.data(), values.data(), (int64_t)tokens.size()))
    return report(s, "--logit-bias");
  return kDone;
}

int set_draft(const Arguments& a, tern_context* context, tern_generator* generator, Draft* out) {
  const char* file = a.value("--draft");
  if (!file) return kDone;
  if (const int code = load_model(context, file, 0, &out->model)) return code;
  tern_generator_options options = TERN_GENERATOR_OPTIONS_INIT;
  options.backends = a.value("--backend");
  tern_generator* made = nullptr;
  if (const tern_status s = tern_generator_create(out->model.get(), &options, &made)) return report(s, file);
  out->generator.reset(made);
  if (const tern_status s = tern_generator_set_draft(generator, made)) return report(s, file);
  return kDone;
}

bool read_sampler(const Arguments& a, tern_generator_options* out) {
  int64_t top_k = 0, seed = 0, look_ahead = 0;
  double temperature = 0, top_p = 1, min_p = 0, penalty = 1;
  if (!a.number("--top-k", 0, INT32_MAX, &top_k) || !a.number("--seed", 0, INT64_MAX, &seed) ||
      !a.number("--look-ahead", 0, 64, &look_ahead) || !a.real("--temp", 0, 1000, &temperature) ||
      !a.real("--top-p", 1e-6, 1, &top_p) || !a.real("--min-p", 0, 1, &min_p) ||
      !a.real("--repetition-penalty", 0.01, 100, &penalty))
    return false;
  if (a.has("--draft") && !a.has("--look-ahead")) look_ahead = kLookAhead;
  if (a.has("--draft") && look_ahead == 0)
    return complain("--draft needs a --look-ahead of 1 at least: so many tokens it guesses"), false;
  out->backends = a.value("--backend");
  out->top_k = (int32_t)top_k, out->seed = (uint64_t)seed;
  out->temperature = (float)temperature, out->top_p = (float)top_p, out->min_p = (float)min_p;
  out->repetition_penalty = (float)penalty;
  out->look_ahead = look_ahead;
  return true;
}

std::vector<Option> sampler_options() {
  return {
      {"--temp", "T", "temperature; the default 0 takes the most probable token each time"},
      {"--top-k", "K", "draws among the K most probable ones only"},
      {"--top-p", "P", "draws among the fewest whose probabilities reach P"},
      {"--min-p", "P", "draws among those with at least P times the largest probability"},
      {"--repetition-penalty", "X", "makes tokens less probable that are there already"},
      {"--seed", "S", "another seed draws other tokens"},
      {"--look-ahead", "N",
       "guesses N tokens where the text repeats itself and computes them together: the same text, sooner"},
      {"--draft", "FILE",
       "a smaller model of the same vocabulary guesses the --look-ahead tokens (then 4): the same text, sooner"},
      {"--grammar", "FILE", "the text is one of this grammar (GBNF); it is closed within the -n tokens"},
      {"--schema", "FILE", "the text is JSON of this JSON schema"},
      {"--logit-bias", "TOKEN=VALUE", "added to the logit of a token, an id or a text; -inf forbids it; may repeat"},
      {"--stop", "TEXT", "ends before this text; may be given several times"},
      {"--threads", "N", "threads; the default is all CPUs"},
      {"--backend", "NAME", "where to run, see tern devices"}};
}

tern_status set_stops(const Arguments& a, tern_detokenizer* text) {
  const std::vector<std::string> stops = a.values("--stop");
  std::vector<const char*> list;
  for (const std::string& s : stops) list.push_back(s.c_str());
  return tern_detokenizer_set_stops(text, list.data(), list.size());
}

}  // namespace tern::cli
