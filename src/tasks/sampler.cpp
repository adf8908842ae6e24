// SPDX-License-Identifier: Apache-2.0
#include "tasks/sampler.h"

#include <algorithm>
#include <cmath>

namespace tern {
namespace {

// [0, 1) of a seed and a place (SplitMix64's output function).
double uniform(uint64_t seed, uint64_t place) {
  uint64_t x = seed + (place + 1) * 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return (double)((x ^ x >> 31) >> 11) * 0x1p-53;
}

}  // namespace

int64_t Sampler::pick(std::span<const float> logits, std::span<const int64_t> before, int64_t place) {
  const SamplerOptions& o = options_;
  const int64_t n = (int64_t)logits.size();
  const bool penalty = o.repetition_penalty != 1;
  if (penalty) {
    seen_.assign((size_t)n, 0);
    for (const int64_t t : before)
      if (t >= 0 && t < n) seen_[(size_t)t] = 1;
  }
  const auto logit = [&](int64_t t) {
    const float x = logits[(size_t)t];
    if (!penalty || !seen_[(size_t)t]) return x;
    return x > 0 ? x / o.repetition_penalty : x * o.repetition_penalty;
  };
  int64_t best = -1;
  for (int64_t t = 0; t < n; ++t)
    if (const float x = logit(t); x == x && (best < 0 || x > logit(best))) best = t;
  if (best < 0) return 0;
  if (o.temperature <= 0) return best;
  const float most = logit(best);
  // A token that is this far behind has a probability that double precision does not see.
  const float least = most - 80 * o.temperature;
  list_.clear();
  for (int64_t t = 0; t < n; ++t)
    if (const float x = logit(t); x >= least) list_.push_back({x, t});
  const auto greater = [](const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
  };
  if (o.top_k > 0 && (size_t)o.top_k < list_.size()) {
    std::nth_element(list_.begin(), list_.begin() + o.top_k, list_.end(), greater);
    list_.resize((size_t)o.top_k);
  }
  const auto weight = [&](const Candidate& c) {
    return std::exp(((double)c.logit - (double)most) / (double)o.temperature);
  };
  double sum = 0;
  for (const Candidate& c : list_) sum += weight(c);
  if (o.top_p < 1) {
    std::sort(list_.begin(), list_.end(), greater);
    double part = 0;
    size_t kept = 0;
    while (kept < list_.size() && part < (double)o.top_p * sum) part += weight(list_[kept++]);
    list_.resize(std::max<size_t>(kept, 1));
  }
  if (o.min_p > 0) std::erase_if(list_, [&](const Candidate& c) { return weight(c) < (double)o.min_p; });
  std::sort(list_.begin(), list_.end(), [](const Candidate& a, const Candidate& b) { return a.token < b.token; });
  sum = 0;
  for (const Candidate& c : list_) sum += weight(c);
  double left = uniform(o.seed, (uint64_t)place) * sum;
  for (const Candidate& c : list_)
    if ((left -= weight(c)) < 0) return c.token;
  return list_.empty() ? best : list_.back().token;
}

}  // namespace tern
