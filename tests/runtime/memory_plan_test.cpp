// SPDX-License-Identifier: Apache-2.0
// Properties of plan_memory over random lifetimes, and its refusals.
#include "runtime/memory_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace tern {
namespace {

struct Random {
  uint64_t state;
  uint64_t below(uint64_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % n;
  }
};

std::vector<Lifetime> random_items(Random& r, int count, int steps, uint64_t largest) {
  std::vector<Lifetime> items;
  for (int i = 0; i < count; ++i) {
    const int32_t first = (int32_t)r.below((uint64_t)steps),
                  length = (int32_t)(r.below(8) ? r.below(4) : r.below((uint64_t)steps));
    items.push_back({r.below(10) ? 1 + r.below(largest) : 0, first, std::min(first + length, steps - 1)});
  }
  return items;
}

bool meet(const Lifetime& a, const Lifetime& b) { return a.first <= b.last && b.first <= a.last; }

uint64_t aligned(uint64_t n, uint64_t alignment) { return (n + alignment - 1) / alignment * alignment; }

// Most bytes alive at one step, counted step by step.
uint64_t bound_of(const std::vector<Lifetime>& items, uint64_t alignment) {
  uint64_t most = 0;
  for (const Lifetime& at : items) {
    uint64_t alive = 0;
    for (const Lifetime& l : items)
      if (l.first <= at.first && at.first <= l.last) alive += aligned(l.bytes, alignment);
    most = std::max(most, alive);
  }
  return most;
}

void expect_valid(const std::vector<Lifetime>& items, uint64_t alignment, const MemoryPlan& plan) {
  ASSERT_EQ(plan.offsets.size(), items.size());
  uint64_t end = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    EXPECT_EQ(plan.offsets[i] % alignment, 0u);
    if (items[i].bytes == 0) {
      EXPECT_EQ(plan.offsets[i], 0u);
    } else {
      end = std::max(end, plan.offsets[i] + aligned(items[i].bytes, alignment));
    }
    for (size_t j = 0; j < i; ++j) {
      if (!meet(items[i], items[j]) || !items[i].bytes || !items[j].bytes) continue;
      EXPECT_TRUE(plan.offsets[i] + items[i].bytes <= plan.offsets[j] ||
                  plan.offsets[j] + items[j].bytes <= plan.offsets[i])
          << i << " and " << j << " overlap";
    }
  }
  EXPECT_EQ(plan.bytes, end);
  EXPECT_EQ(plan.bound, bound_of(items, alignment));
  EXPECT_GE(plan.bytes, plan.bound);
}

TEST(MemoryPlan, RandomLifetimes) {
  Random r{1};
  double sum = 0;
  constexpr int kRounds = 400;
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t alignment = round % 2 ? 64 : 256;
    const std::vector<Lifetime> items =
        random_items(r, 1 + (int)r.below(60), 1 + (int)r.below(40), 1u << (4 + r.below(16)));
    MemoryPlan plan;
    ASSERT_EQ(plan_memory(items, alignment, UINT64_MAX, &plan), TERN_OK);
    expect_valid(items, alignment, plan);
    const double ratio = plan.bound ? (double)plan.bytes / (double)plan.bound : 1;
    EXPECT_LE(ratio, 2.0);
    sum += ratio;
    MemoryPlan again;
    ASSERT_EQ(plan_memory(items, alignment, UINT64_MAX, &again), TERN_OK);
    EXPECT_EQ(again.offsets, plan.offsets);
  }
  EXPECT_LE(sum / kRounds, 1.1) << "far above what is alive at once";
}

// A chain of layers needs its two largest neighbours, no more.
TEST(MemoryPlan, ChainsReachTheBound) {
  Random r{2};
  for (int round = 0; round < 100; ++round) {
    std::vector<Lifetime> items;
    for (int32_t i = 0; i < 30; ++i) items.push_back({64 * (1 + r.below(100)), i, i + 1});
    MemoryPlan plan;
    ASSERT_EQ(plan_memory(items, 64, UINT64_MAX, &plan), TERN_OK);
    expect_valid(items, 64, plan);
    EXPECT_LE((double)plan.bytes, 1.5 * (double)plan.bound);
  }
}

// The least arena: items placed in every order, each at the lowest place that is free.
uint64_t least_bytes(const std::vector<Lifetime>& items, uint64_t alignment) {
  std::vector<size_t> order(items.size());
  std::iota(order.begin(), order.end(), size_t{0});
  uint64_t best = UINT64_MAX;
  do {
    std::vector<uint64_t> offset(items.size());
    uint64_t end = 0;
    for (size_t k = 0; k < order.size(); ++k) {
      const size_t i = order[k];
      if (!items[i].bytes) continue;
      std::vector<size_t> placed(order.begin(), order.begin() + (ptrdiff_t)k);
      std::sort(placed.begin(), placed.end(), [&](size_t a, size_t b) { return offset[a] < offset[b]; });
      uint64_t at = 0;
      for (const size_t j : placed) {
        if (!items[j].bytes || !meet(items[i], items[j])) continue;
        if (at + aligned(items[i].bytes, alignment) <= offset[j]) break;
        at = std::max(at, offset[j] + aligned(items[j].bytes, alignment));
      }
      offset[i] = at;
      end = std::max(end, at + aligned(items[i].bytes, alignment));
    }
    best = std::min(best, end);
  } while (std::next_permutation(order.begin(), order.end()));
  return best;
}

TEST(MemoryPlan, FewItemsAgainstAllOrders) {
  Random r{3};
  int equal = 0;
  constexpr int kRounds = 200;
  for (int round = 0; round < kRounds; ++round) {
    const std::vector<Lifetime> items = random_items(r, 1 + (int)r.below(6), 6, 2000);
    MemoryPlan plan;
    ASSERT_EQ(plan_memory(items, 64, UINT64_MAX, &plan), TERN_OK);
    expect_valid(items, 64, plan);
    const uint64_t least = least_bytes(items, 64);
    EXPECT_GE(plan.bytes, least);
    EXPECT_LE((double)plan.bytes, 1.5 * (double)least);
    equal += plan.bytes == least;
  }
  EXPECT_GE(equal, kRounds * 9 / 10);
}

TEST(MemoryPlan, Nothing) {
  MemoryPlan plan;
  ASSERT_EQ(plan_memory({}, 64, 0, &plan), TERN_OK);
  EXPECT_EQ(plan.bytes, 0u);
  EXPECT_EQ(plan.bound, 0u);
}

TEST(MemoryPlan, TheLimitIsExact) {
  const std::vector<Lifetime> items = {{100, 0, 1}, {100, 1, 2}, {100, 2, 3}};
  MemoryPlan plan;
  EXPECT_EQ(plan_memory(items, 64, 256, &plan), TERN_OK);
  EXPECT_EQ(plan.bytes, 256u);
  plan.bytes = 7;
  EXPECT_EQ(plan_memory(items, 64, 255, &plan), TERN_ERR_LIMIT);
  EXPECT_EQ(plan.bytes, 7u) << "an error leaves the plan alone";
}

TEST(MemoryPlan, SizesThatOverflow) {
  MemoryPlan plan;
  const uint64_t huge = UINT64_MAX;
  for (const uint64_t bytes : {huge, huge - 62}) {
    const Lifetime one[] = {{bytes, 0, 0}};
    EXPECT_EQ(plan_memory(one, 64, huge, &plan), TERN_ERR_LIMIT);
  }
  const Lifetime two[] = {{huge / 2 + 1, 0, 0}, {huge / 2 + 1, 1, 1}};
  EXPECT_EQ(plan_memory(two, 64, huge, &plan), TERN_ERR_LIMIT);
  // Close to the largest: the bound must not wrap.
  const Lifetime three[] = {{(huge >> 1) - 63, 0, 3}, {(huge >> 1) - 63, 2, 3}};
  const tern_status status = plan_memory(three, 64, huge, &plan);
  ASSERT_EQ(status, TERN_OK);
  EXPECT_EQ(plan.bound, 2 * ((huge >> 1) - 63));
  EXPECT_EQ(plan.bytes, plan.bound);
}

TEST(MemoryPlan, BadLifetimes) {
  MemoryPlan plan;
  for (const Lifetime& l :
       {Lifetime{1, -1, 0}, Lifetime{1, 2, 1}, Lifetime{1, INT32_MIN, 5}, Lifetime{1, 0, INT32_MAX}})
    EXPECT_EQ(plan_memory({&l, 1}, 64, UINT64_MAX, &plan), TERN_ERR_INVALID_ARGUMENT) << l.first << " to " << l.last;
}

}  // namespace
}  // namespace tern
