// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/axis_sums.h"

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

// Random lists: some places of y get nothing, some places of x go nowhere.
struct Lists {
  std::vector<int64_t> first{0}, index;
  std::vector<float> weight;
  Lists(Random& random, int64_t size, int64_t x_size) {
    for (int64_t i = 0; i < size; ++i) {
      for (int64_t n = random.integer(0, 3); n > 0; --n) {
        index.push_back(random.integer(0, x_size - 1));
        weight.push_back(random.uniform(-1, 1));
      }
      first.push_back((int64_t)index.size());
    }
  }
};

TEST(AxisSums, EqualTheDefinition) {
  for_each_set([](const Kernels& k) {
    Random random(9);
    for (int round = 0; round < 120; ++round) {
      AxisSumsArgs a;
      a.rank = (int32_t)random.integer(1, 4);
      a.channels = round % 3 ? random.integer(1, 40) : 1;
      std::vector<Lists> lists;
      lists.reserve((size_t)a.rank);
      int64_t x_elements = a.channels, y_elements = a.channels;
      for (int d = 0; d < a.rank; ++d) {
        AxisLists& l = a.axes[d];
        l.size = random.integer(0, 4), l.x_size = random.integer(1, 4);
        lists.emplace_back(random, l.size, l.x_size);
        l.first = lists.back().first.data(), l.index = lists.back().index.data();
        l.weight = random.integer(0, 1) ? lists.back().weight.data() : nullptr;
        x_elements *= l.x_size, y_elements *= l.size;
      }
      Guarded<float> x((size_t)x_elements), y((size_t)y_elements);
      fill(x, random);
      a.x = x.data(), a.y = y.data();
      std::vector<double> want((size_t)y_elements, 0);
      for (int64_t i = 0; i < y_elements; ++i) {
        int64_t places[kMaxRank], rest = i / a.channels;
        for (int d = a.rank - 1; d >= 0; --d) places[d] = rest % a.axes[d].size, rest /= a.axes[d].size;
        std::vector<std::pair<int64_t, double>> terms = {{0, 1.0}};
        for (int d = 0; d < a.rank; ++d) {
          std::vector<std::pair<int64_t, double>> longer;
          for (const auto& [at, weight] : terms)
            for (int64_t e = a.axes[d].first[places[d]]; e < a.axes[d].first[places[d] + 1]; ++e)
              longer.push_back({at * a.axes[d].x_size + a.axes[d].index[e],
                                weight * (a.axes[d].weight ? a.axes[d].weight[e] : 1.0f)});
          terms = longer;
        }
        for (const auto& [at, weight] : terms)
          want[(size_t)i] += weight * x[(size_t)(at * a.channels + i % a.channels)];
      }
      run(k.axis_sums->axis_sums, &a, units(a), 0, y.data(), y.bytes());
      expect_close(y.data(), want.data(), y_elements, 1e-5, 1e-5);
    }
  });
}

}  // namespace
}  // namespace tern::cpu::test
