// SPDX-License-Identifier: Apache-2.0
// tern perplexity: how well a language model foretells a text.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "cli/bench_language.h"
#include "cli/tokens.h"

namespace tern::cli {
namespace {

constexpr size_t kMostText = (size_t)1 << 29;

// Of the token that follows: minus the logarithm of its probability.
double surprise(const float* logits, int64_t vocabulary, int32_t token) {
  float most = logits[0];
  for (int64_t i = 1; i < vocabulary; ++i) most = std::fmax(most, logits[i]);
  double sum = 0;
  for (int64_t i = 0; i < vocabulary; ++i) sum += std::exp((double)(logits[i] - most));
  return std::log(sum) + (double)most - (double)logits[token];
}

struct Result {
  double sum = 0, squares = 0, bytes = 0;  // of all tokens that were scored
  int64_t tokens = 0;
  double mean() const { return sum / (double)tokens; }
  double perplexity() const { return std::exp(mean()); }
  // Of the perplexity, from the spread of the tokens.
  double error() const {
    if (tokens < 2) return NAN;
    const double variance = squares / (double)tokens - mean() * mean();
    return perplexity() * std::sqrt(std::fmax(variance, 0) / (double)(tokens - 1));
  }
  double bits_per_byte() const { return sum / std::log(2.0) / bytes; }
};

// Rows that are computed at a time: enough for products at full speed; their logits take rows * vocabulary * 4 bytes.
constexpr size_t kRows = 128;

struct Scorer {
  tern_context* context;
  tern_session* session;
  int32_t signature;  // "prefill"
  const tern_tokenizer* tokenizer;
  tern_run_options run = TERN_RUN_OPTIONS_INIT;
  Result result = {};

  tern_status numbers(const std::vector<int64_t>& list, Handle<tern_tensor>* out) const {
    const int64_t dims[] = {(int64_t)list.size()};
    tern_tensor* made = nullptr;
    if (const tern_status s = tern_tensor_create(context, TERN_DTYPE_I64, dims, 1, &made)) return s;
    out->reset(made);
    std::memcpy(tern_tensor_data(made), list.data(), list.size() * sizeof(int64_t));
    return TERN_OK;
  }

  // A chunk, of which the tokens from number `from` >= 1 on are scored.
  tern_status score(const std::vector<int64_t>& tokens, size_t from) {
    if (const tern_status s = tern_state_truncate(tern_session_state(session), 0)) return s;
    for (size_t at = 0; at + 1 < tokens.size(); at += kRows) {
      const size_t end = std::min(at + kRows, tokens.size() - 1);  // the row of a token foretells the next one
      std::vector<int64_t> picks;
      for (size_t i = std::max(at, from - 1); i < end; ++i) picks.push_back((int64_t)(i - at));
      const bool scored = !picks.empty();
      if (!scored) picks.push_back(0);
      Handle<tern_tensor> rows, picked;
      if (const tern_status s = numbers({tokens.begin() + (ptrdiff_t)at, tokens.begin() + (ptrdiff_t)end}, &rows))
        return s;
      if (const tern_status s = numbers(picks, &picked)) return s;
      const tern_tensor *inputs[] = {rows.get(), nullptr, nullptr, picked.get()}, *output = nullptr;
      if (const tern_status s = tern_session_run(session, signature, inputs, 4, &output, 1, &run)) return s;
      const Handle<const tern_tensor> logits(output);
      const int64_t vocabulary = tern_tensor_dim(output, 1);
      for (size_t k = 0; scored && k < picks.size(); ++k) {
        const int32_t token = (int32_t)tokens[at + (size_t)picks[k] + 1];
        const double x =
            surprise((const float*)tern_tensor_const_data(output) + (int64_t)k * vocabulary, vocabulary, token);
        result.sum += x, result.squares += x * x, ++result.tokens;
        tern_token_info info = TERN_TOKEN_INFO_INIT;
        if (!tern_tokenizer_get_token(tokenizer, token, &info)) result.bytes += (double)info.text_bytes;
      }
    }
    return TERN_OK;
  }
};

int run(const Arguments& a) {
  int64_t context_size = 512, stride = 0;
  if (!a.number("--context", 4, 1 << 20, &context_size) || !a.number("--stride", 1, 1 << 20, &stride)) return kUsage;
  if (stride >= context_size)
    return complain("--stride %lld: it is less than --context %lld", (long long)stride, (long long)context_size),
           kUsage;
  Handle<tern_context> context;
  Handle<tern_model> model;
  if (const int code = make_context(a, &context)) return code;
  const std::string &file = a.words()[0], &text_file = a.words()[1];
  if (const int code = load_model(context.get(), file, 0, &model)) return code;
  tern_tokenizer* t = nullptr;
  if (const tern_status s = tern_tokenizer_create_from_model(model.get(), &t)) return report(s, file);
  const Handle<tern_tokenizer> tokenizer(t);
  std::string text;
  if (!read_whole_file(text_file, kMostText, &text)) return bad_file_code(text_file);
  std::vector<int32_t> tokens;
  if (const tern_status s = encode_text(t, text, TERN_ENCODE_ADD_SPECIAL, &tokens)) return report(s, text_file);
  // Whether texts begin with a token for that: then each chunk does, too.
  std::vector<int32_t> nothing;
  if (const tern_status s = encode_text(t, "", TERN_ENCODE_ADD_SPECIAL, &nothing)) return report(s, text_file);
  const int32_t begin_token = tern_tokenizer_get_role(t, TERN_TOKEN_ROLE_BEGIN);
  const int32_t first = !nothing.empty() && nothing[0] == begin_token ? begin_token : -1;

  int32_t signature = 0;
  if (!is_language_model(model.get())) return complain("%s: this is no language model", file.c_str()), kUsage;
  if (const tern_status s = tern_model_find_signature(model.get(), "prefill", &signature)) return report(s, file);
  Handle<tern_session> session;
  if (const int code = make_session(model.get(), a.value("--backend"), 0, &session)) return code;
  // Without a stride: chunks beside each other, and the second half of each is scored. With one: chunks that begin so
  // many tokens after each other, and their last `stride` tokens are scored.
  const size_t size = (size_t)context_size, step = stride ? (size_t)stride : size;
  const size_t before = stride ? size - step : size / 2 + 1;  // the token at half of a chunk is foretold by none of it
  if (tokens.size() < size)
    return complain("%s: %zu tokens are fewer than one chunk of %zu: give more text or a smaller --context",
                    text_file.c_str(), tokens.size(), size),
           kUsage;
  const size_t chunks = (tokens.size() - size) / step + 1;
  Scorer scorer = {context.get(), session.get(), signature, t};
  scorer.run.cancel = interrupt();
  const Result& result = scorer.result;
  const double start = now_seconds();
  size_t done = 0;
  tern_status status = TERN_OK;
  for (; done < chunks; ++done) {
    const size_t at = done * step;
    std::vector<int64_t> chunk(tokens.begin() + (ptrdiff_t)at, tokens.begin() + (ptrdiff_t)(at + size));
    if (first >= 0) chunk[0] = first;
    if ((status = scorer.score(chunk, before))) break;
    const double spent = now_seconds() - start, rate = (double)((done + 1) * size) / spent;
    progress("chunk %zu of %zu, perplexity %.4f, %.0f tokens a second, %.0f s left", done + 1, chunks,
             result.perplexity(), rate, spent / (double)(done + 1) * (double)(chunks - done - 1));
  }
  progress("%s", "");
  const double spent = now_seconds() - start;
  if (status && status != TERN_ERR_CANCELLED) return report(status, file);
  if (result.tokens == 0) return kInterrupted;
  if (a.has("--json")) {
    Json j;
    j.begin_object().add("file", file).add("text", text_file).add("context", context_size);
    if (stride) j.add("stride", stride);
    j.add("chunks", (uint64_t)done).add("tokens", (uint64_t)result.tokens).add("perplexity", result.perplexity());
    j.add("error", result.error()).add("bits_per_byte", result.bits_per_byte());
    j.add("tokens_per_second", (double)(done * size) / spent).print();
  } else {
    std::printf("perplexity %.4f +- %.4f, %.4f bits a byte (%zu chunks of %zu tokens, %lld scored, %.0f a second)\n",
                result.perplexity(), result.error(), result.bits_per_byte(), done, size, (long long)result.tokens,
                (double)(done * size) / spent);
  }
  return status == TERN_ERR_CANCELLED ? kInterrupted : kDone;
}

}  // namespace

const Command& perplexity_command() {
  static const Command command = {
      "perplexity",
      "FILE TEXT",
      "how well a language model foretells a text",
      "The text is cut into chunks of --context tokens; what is left at its end is not used. In each, the tokens of "
      "the\n"
      "second half are scored, each with all that come before it in the chunk. Where texts begin with a token for "
      "that,\n"
      "it takes the place of the first token of each chunk. The perplexity is e to the mean of -ln p; llama.cpp's\n"
      "llama-perplexity means the same by default. Bits a byte count the bytes of the scored tokens, so that models\n"
      "with other tokens can be compared. Ctrl-C gives the result so far.\n",
      "  tern perplexity smollm2.tern wiki.test.raw\n"
      "  tern perplexity smollm2.tern book.txt --context 1024 --stride 512 --json\n",
      {{"--context", "N", "tokens of a chunk; the default is 512"},
       {"--stride", "S", "chunks begin S tokens after each other, and the last S of each are scored"},
       {"--threads", "N", "threads; the default is all CPUs"},
       {"--backend", "NAME", "where to run, see tern devices"},
       {"--json", nullptr, "for programs"}},
      2,
      2,
      run};
  return command;
}

}  // namespace tern::cli
