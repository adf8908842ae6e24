// SPDX-License-Identifier: Apache-2.0
#include "data/samples.h"

#include <algorithm>
#include <cmath>

#include "data/random.h"

namespace tern::data {

int64_t Samples::drawn(int64_t position) const {
  const int64_t n = size(), epoch = position / n, i = position % n;
  return at(order.shuffled ? (int64_t)permuted((uint64_t)i, (uint64_t)n, random_bits(order.seed, (uint64_t)epoch)) : i);
}

tern_status Samples::begin_batch(int64_t position, int64_t batch, int64_t* begin) const {
  const int64_t n = size();
  *begin = position;
  if (!order.drops_last) return TERN_OK;
  if (batch > n)
    return TERN_FAIL(TERN_ERR_LIMIT,
                     "a batch of %" PRId64 ": there are %" PRId64 " samples, and batches are not filled up", batch, n);
  const int64_t left = n - position % n;
  if (left < batch) *begin += left;
  return TERN_OK;
}

tern_status split(const Samples& samples, double share, uint64_t seed, Samples* train, Samples* validation) {
  const int64_t n = samples.size();
  if (!(share > 0 && share < 1))
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "a share of %g: it is more than 0 and less than 1", share);
  if (n < 2) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "one sample cannot be split");
  const int64_t count = std::clamp<int64_t>(std::llround(share * (double)n), 1, n - 1);
  std::vector<bool> taken((size_t)n);
  for (int64_t i = 0; i < count; ++i) taken[(size_t)permuted((uint64_t)i, (uint64_t)n, mix(seed))] = true;
  const auto parts = {std::make_shared<std::vector<int64_t>>(), std::make_shared<std::vector<int64_t>>()};
  for (int64_t i = 0; i < n; ++i) (*(parts.begin() + taken[(size_t)i]))->push_back(samples.at(i));
  *train = *validation = samples;
  train->picked = *parts.begin();
  validation->picked = *(parts.begin() + 1);
  validation->order.shuffled = false;
  validation->augmentation = {};
  return TERN_OK;
}

}  // namespace tern::data
