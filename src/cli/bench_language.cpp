// SPDX-License-Identifier: Apache-2.0
// tern bench of a language model: tokens in a second.
#include "cli/bench_language.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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

// What a token reads: all weights, once, but of a table of tokens that is not the head, too, a row only; and keys and
// values of the positions before it.
struct Read {
  double file = 0;  // bytes of all weights
  double weights = 0, position = 0;
};
Read read_bytes(const tern_model* model) {
  Read r;
  double table = 0;
  bool head = false;
  tern_tensor_info info = TERN_TENSOR_INFO_INIT;
  for (int32_t i = 0; i < tern_model_num_tensors(model, 0, TERN_ROLE_PARAMETER); ++i) {
    if (tern_model_get_tensor(model, 0, TERN_ROLE_PARAMETER, i, &info) != TERN_OK) continue;
    r.file += (double)info.bytes;
    const std::string_view name = info.name;
    if (name == "head") head = true;
    if (name == "embed" && info.dims[0] > 0) table = (double)info.bytes * (1 - 1 / (double)info.dims[0]);
  }
  r.weights = r.file - (head ? table : 0);
  for (int32_t i = 0; i < tern_model_num_tensors(model, 0, TERN_ROLE_STATE); ++i)
    if (tern_model_get_tensor(model, 0, TERN_ROLE_STATE, i, &info) == TERN_OK && info.rank > 0 && info.dims[0] > 0)
      r.position += (double)info.bytes / (double)info.dims[0];
  return r;
}

}  // namespace

double process_bytes(const char* which) {
  FILE* f = std::fopen("/proc/self/status", "r");
  char line[256];
  double kilobytes = 0;
  while (f && std::fgets(line, sizeof line, f))
    if (std::strncmp(line, which, std::strlen(which)) == 0) kilobytes = std::atof(line + std::strlen(which));
  if (f) std::fclose(f);
  return kilobytes * 1024;
}

bool is_language_model(const tern_model* model) {
  int32_t index = 0;
  return tern_model_find_signature(model, "prefill", &index) == TERN_OK &&
         tern_model_find_signature(model, "decode", &index) == TERN_OK;
}

int bench_language(const Arguments& a, tern_model* model, double begin_load) {
  int64_t prompt = 512, generate = 128, threads = 0, rounds = 3;
  if (!a.number("--prompt", 1, 1 << 20, &prompt) || !a.number("--generate", 1, 1 << 20, &generate) ||
      !a.number("--threads", 1, 256, &threads) || !a.number("--runs", 1, 1000, &rounds))
    return kUsage;
  const double loaded = now_seconds();
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
  int32_t token = 0;
  const double ready = now_seconds();
  tern_status first = tern_generator_feed(made, tokens.data(), 1, &run);
  if (!first) first = tern_generator_next(made, &token, &run);
  if (first) return report(first, a.words()[0]);
  const double started = now_seconds();
  std::vector<double> prompts, tokens_each;
  double bandwidth = read_rate((int32_t)threads);      // here and behind: others may use the machine, too
  for (int64_t round = 0; round <= rounds; ++round) {  // the first one makes the plans
    progress("round %lld of %lld", (long long)round, (long long)rounds);
    tern_status s = tern_generator_truncate(made, 0);
    const double begin = now_seconds();
    if (!s) s = tern_generator_feed(made, tokens.data(), prompt, &run);
    const double fed = now_seconds();
    for (int64_t i = 0; !s && i <= generate; ++i) s = tern_generator_next(made, &token, &run);
    if (s) return progress("%s", ""), report(s, a.words()[0]);
    if (round == 0) continue;
    prompts.push_back(fed - begin);
    tokens_each.push_back((now_seconds() - fed) / (double)generate);
  }
  progress("%s", "");
  const double resident = process_bytes("VmRSS:");
  bandwidth = std::max(bandwidth, read_rate((int32_t)threads));
  std::sort(prompts.begin(), prompts.end());
  std::sort(tokens_each.begin(), tokens_each.end());
  const double prompt_rate = (double)prompt / prompts[prompts.size() / 2],
               rate = 1 / tokens_each[tokens_each.size() / 2];
  const Read read = read_bytes(model);
  // On average: half of what is generated is there already. Memory comes in pages of 64 positions.
  const double behind = (double)prompt + (double)(generate + 1) / 2, cache = read.position * behind,
               bound = bandwidth / (read.weights + cache),
               held = read.position * (double)((prompt + generate + 1 + 63) / 64 * 64),
               load_ms = 1e3 * (loaded - begin_load), ready_ms = 1e3 * (ready - begin_load),
               first_ms = 1e3 * (started - begin_load);
  if (a.has("--json")) {
    Json j;
    j.begin_object().add("file", a.words()[0]).add("threads", threads).add("prompt", prompt).add("generate", generate);
    j.add("prompt_tokens_per_second", prompt_rate).add("tokens_per_second", rate);
    j.add("weight_bytes", read.weights).add("key_value_bytes", cache);
    j.add("read_bytes_per_second", bandwidth).add("bound_tokens_per_second", bound);
    j.add("load_ms", load_ms).add("ready_ms", ready_ms).add("first_token_ms", first_ms);
    j.add("resident_bytes", resident).add("file_weight_bytes", read.file).add("held_key_value_bytes", held);
    j.print();
    return kDone;
  }
  std::printf("%s: %lld thread%s\n", a.words()[0].c_str(), (long long)threads, threads == 1 ? "" : "s");
  std::printf("  prompt     %.1f tokens a second (%lld tokens)\n", prompt_rate, (long long)prompt);
  std::printf(
      "  after it   %.1f tokens a second (%lld tokens): %.0f %% of the %.1f that reading %s for each allows at\n"
      "             %.1f GB a second, as measured here: %s of weights, %s of keys and values of %.0f positions\n",
      rate, (long long)generate, 100 * rate / bound, bound, bytes_text(read.weights + cache).c_str(), bandwidth * 1e-9,
      bytes_text(read.weights).c_str(), bytes_text(cache).c_str(), behind);
  std::printf("  start      load %.1f ms, load until it can compute %.1f ms, until the first token is there %.1f ms\n",
              load_ms, ready_ms, first_ms);
  std::printf("  memory     %s: %s of weights, %s of keys and values, %s beside them\n", bytes_text(resident).c_str(),
              bytes_text(read.file).c_str(), bytes_text(held).c_str(), bytes_text(resident - read.file - held).c_str());
  return kDone;
}

}  // namespace tern::cli
