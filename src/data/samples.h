// SPDX-License-Identifier: Apache-2.0
// Samples in an order. The order has no state but a position, the number of samples drawn so far: from it and the seed
// follow epoch, sample and augmentation, so that a run that goes on from a checkpoint draws what it would have drawn.
#pragma once
#include "data/augment.h"

namespace tern::data {

struct Order {
  uint64_t seed = 0;
  bool shuffled = true;
  bool drops_last = false;  // a batch that would reach into the next epoch begins with it
};

struct Samples {
  std::shared_ptr<const Source> source;
  std::shared_ptr<const std::vector<int64_t>> picked;  // which of the source, in its order; NULL: all
  Order order;
  Augmentation augmentation;

  int64_t size() const { return picked ? (int64_t)picked->size() : source->count; }
  // Of the source: the sample that is i-th without shuffling, i < size(), and the one that is drawn at a position.
  int64_t at(int64_t i) const { return picked ? (*picked)[(size_t)i] : i; }
  int64_t drawn(int64_t position) const;
  // Where a batch that is drawn at a position begins. Errors: TERN_ERR_LIMIT (no such batch fits into an epoch).
  tern_status begin_batch(int64_t position, int64_t batch, int64_t* begin) const;
};

// Parts samples into two, each in the source's order; `validation` gets round(share * size()) of them, at least one and
// not all, and is neither shuffled nor augmented. Errors: TERN_ERR_INVALID_ARGUMENT.
tern_status split(const Samples& samples, double share, uint64_t seed, Samples* train, Samples* validation);

}  // namespace tern::data
