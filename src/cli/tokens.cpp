// SPDX-License-Identifier: Apache-2.0
#include "cli/tokens.h"

#include <cerrno>
#include <climits>
#include <cstdlib>

namespace tern::cli {

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

bool read_sampler(const Arguments& a, tern_generator_options* out) {
  int64_t top_k = 0, seed = 0, look_ahead = 0;
  double temperature = 0, top_p = 1, min_p = 0, penalty = 1;
  if (!a.number("--top-k", 0, INT32_MAX, &top_k) || !a.number("--seed", 0, INT64_MAX, &seed) ||
      !a.number("--look-ahead", 0, 64, &look_ahead) || !a.real("--temp", 0, 1000, &temperature) ||
      !a.real("--top-p", 1e-6, 1, &top_p) || !a.real("--min-p", 0, 1, &min_p) ||
      !a.real("--repetition-penalty", 0.01, 100, &penalty))
    return false;
  out->backends = a.value("--backend");
  out->top_k = (int32_t)top_k, out->seed = (uint64_t)seed;
  out->temperature = (float)temperature, out->top_p = (float)top_p, out->min_p = (float)min_p;
  out->repetition_penalty = (float)penalty;
  out->look_ahead = look_ahead;
  return true;
}

std::vector<Option> sampler_options() {
  return {{"--temp", "T", "temperature; the default 0 takes the most probable token each time"},
          {"--top-k", "K", "draws among the K most probable ones only"},
          {"--top-p", "P", "draws among the fewest whose probabilities reach P"},
          {"--min-p", "P", "draws among those with at least P times the largest probability"},
          {"--repetition-penalty", "X", "makes tokens less probable that are there already"},
          {"--seed", "S", "another seed draws other tokens"},
          {"--look-ahead", "N",
           "guesses N tokens where the text repeats itself and computes them together: the same text, sooner"},
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
