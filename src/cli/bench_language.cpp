// SPDX-License-Identifier: Apache-2.0
// tern bench of a language model: tokens in a second.
#include "cli/bench_language.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <thread>

namespace tern::cli {
namespace {

// Bytes in a second that so many threads read together, from memory that no cache holds: the best of some passes.
double read_rate(int32_t threads) {
  constexpr size_t kBytes = (size_t)256 << 20, kWords = kBytes / 8;
  const std::unique_ptr<uint64_t[]> memory(new uint64_t[kWords]);
  for (size_t i = 0; i < kWords; ++i) memory[i] = i;
  double best = 0;
  uint64_t kept = 0;
  for (int pass = 0; pass < 7; ++pass) {
    std::vector<uint64_t> sums((size_t)threads);
    const double begin = now_seconds();
    std::vector<std::thread> list;
    for (int32_t t = 0; t < threads; ++t)
      list.emplace_back([&, t] {
        const uint64_t* p = memory.get();
        uint64_t sums_of[8] = {};
        constexpr size_t kStreams = 4;  // more of them keep more of the memory busy than one
        const size_t part = kWords / (size_t)threads / kStreams / 8 * 8;
        p += part * kStreams * (size_t)t;
        for (size_t i = 0; i < part; i += 8)
          for (size_t s = 0; s < kStreams; ++s) {
            __builtin_prefetch(p + s * part + i + 512, 0, 2);  // the processor itself looks ahead within a page only
            for (size_t k = 0; k < 8; ++k) sums_of[k] += p[s * part + i + k];
          }
        for (const uint64_t s : sums_of) sums[(size_t)t] += s;
      });
    for (std::thread& t : list) t.join();
    best = std::max(best, (double)kBytes / (now_seconds() - begin));
    for (const uint64_t s : sums) kept += s;
  }
  return kept == 1 ? 0 : best;  // the sums are of use
}

// What a token reads: all weights, once.
double weight_bytes(const tern_model* model) {
  double bytes = 0;
  for (int32_t i = 0; i < tern_model_num_tensors(model, 0, TERN_ROLE_PARAMETER); ++i) {
    tern_tensor_info info = TERN_TENSOR_INFO_INIT;
    if (tern_model_get_tensor(model, 0, TERN_ROLE_PARAMETER, i, &info) == TERN_OK) bytes += (double)info.bytes;
  }
  return bytes;
}

}  // namespace

bool is_language_model(const tern_model* model) {
  int32_t index = 0;
  return tern_model_find_signature(model, "prefill", &index) == TERN_OK &&
         tern_model_find_signature(model, "decode", &index) == TERN_OK;
}

int bench_language(const Arguments& a, tern_model* model) {
  int64_t prompt = 512, generate = 128, threads = 0, rounds = 3;
  if (!a.number("--prompt", 1, 1 << 20, &prompt) || !a.number("--generate", 1, 1 << 20, &generate) ||
      !a.number("--threads", 1, 256, &threads) || !a.number("--runs", 1, 1000, &rounds))
    return kUsage;
  if (threads == 0) threads = std::max(1u, std::thread::hardware_concurrency());
  tern_generator_options options = TERN_GENERATOR_OPTIONS_INIT;
  options.backends = a.value("--backend");
  tern_generator* made = nullptr;
  if (const tern_status s = tern_generator_create(model, &options, &made)) return report(s, a.words()[0]);
  const Handle<tern_generator> generator(made);
  std::vector<int32_t> tokens((size_t)prompt);
  for (size_t i = 0; i < tokens.size(); ++i)
    tokens[i] = (int32_t)((uint64_t)i * 2654435761u % (uint64_t)tern_generator_vocabulary(made));
  tern_run_options run = TERN_RUN_OPTIONS_INIT;
  run.cancel = interrupt();
  std::vector<double> prompts, tokens_each;
  double bandwidth = read_rate((int32_t)threads);      // here and behind: others may use the machine, too
  for (int64_t round = 0; round <= rounds; ++round) {  // the first one makes the plans
    progress("round %lld of %lld", (long long)round, (long long)rounds);
    tern_status s = tern_generator_truncate(made, 0);
    const double begin = now_seconds();
    if (!s) s = tern_generator_feed(made, tokens.data(), prompt, &run);
    const double fed = now_seconds();
    int32_t token = 0;
    for (int64_t i = 0; !s && i <= generate; ++i) s = tern_generator_next(made, &token, &run);
    if (s) return progress("%s", ""), report(s, a.words()[0]);
    if (round == 0) continue;
    prompts.push_back(fed - begin);
    tokens_each.push_back((now_seconds() - fed) / (double)generate);
  }
  progress("%s", "");
  bandwidth = std::max(bandwidth, read_rate((int32_t)threads));
  std::sort(prompts.begin(), prompts.end());
  std::sort(tokens_each.begin(), tokens_each.end());
  const double prompt_rate = (double)prompt / prompts[prompts.size() / 2],
               rate = 1 / tokens_each[tokens_each.size() / 2], bytes = weight_bytes(model), bound = bandwidth / bytes;
  if (a.has("--json")) {
    Json j;
    j.begin_object().add("file", a.words()[0]).add("threads", threads).add("prompt", prompt).add("generate", generate);
    j.add("prompt_tokens_per_second", prompt_rate).add("tokens_per_second", rate);
    j.add("weight_bytes", bytes).add("read_bytes_per_second", bandwidth).add("bound_tokens_per_second", bound);
    j.print();
    return kDone;
  }
  std::printf("%s: %lld thread%s\n", a.words()[0].c_str(), (long long)threads, threads == 1 ? "" : "s");
  std::printf("  prompt     %.1f tokens a second (%lld tokens)\n", prompt_rate, (long long)prompt);
  std::printf(
      "  after it   %.1f tokens a second (%lld tokens): %.0f %% of the %.1f that reading %s of weights for each\n"
      "             allows at %.1f GB a second, as measured here\n",
      rate, (long long)generate, 100 * rate / bound, bound, bytes_text(bytes).c_str(), bandwidth * 1e-9);
  return kDone;
}

}  // namespace tern::cli
