// SPDX-License-Identifier: Apache-2.0
// Chooses the next token from logits.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace tern {

// In this order: the penalty, the temperature, the `top_k` largest, of these the fewest whose probabilities reach
// top_p, of these those with at least min_p times the largest probability. What is left is drawn from.
struct SamplerOptions {
  float temperature = 0;         // 0: the largest; of equal ones the first
  int32_t top_k = 0;             // 0: all
  float top_p = 1, min_p = 0;    // of probabilities
  float repetition_penalty = 1;  // logits of tokens that were there: divided by it if positive, else multiplied
  uint64_t seed = 0;
};

class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options) : options_(options) {}
  const SamplerOptions& options() const { return options_; }
  // before: the tokens that count as repeated. place: how many tokens there are; the draw depends on it and the seed
  // alone. Logits that are no number are not chosen; with no other, 0 is.
  int64_t pick(std::span<const float> logits, std::span<const int64_t> before, int64_t place);

 private:
  struct Candidate {
    float logit;
    int64_t token;
  };
  SamplerOptions options_;
  std::vector<Candidate> list_;
  std::vector<char> seen_;
};

}  // namespace tern
