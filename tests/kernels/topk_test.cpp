// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/topk.h"

#include <algorithm>

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

template <class T>
void check(int32_t dtype) {
  for_each_set([dtype](const Kernels& kernels) {
    for (const int64_t axis : {0, 1, 2, 17, 300})
      for (const int64_t inner : {1, 4})
        for (const int64_t part : {0, 1, 2, 3})
          for (const int least : {0, 1}) {
            const int64_t k = part == 0 ? 0 : part == 1 ? (axis > 0) : part == 2 ? axis / 2 : axis, outer = 3;
            Guarded<T> x(outer * axis * inner), values(outer * k * inner);
            Guarded<int64_t> indices(values.size());
            Random random(2);
            for (size_t i = 0; i < x.size(); ++i) x[i] = (T)random.integer(-20, 20);
            if constexpr ((T)0.5 != 0)
              if (x.size() > 40) x[11] = NAN, x[20] = INFINITY, x[21] = -INFINITY, x[5] = (T)-0.0;
            TopkArgs a;
            a.dtype = dtype, a.least = least, a.x = x.data(), a.values = values.data(), a.indices = indices.data();
            a.outer = outer, a.axis = axis, a.inner = inner, a.k = k;
            run(kernels.topk->topk, &a, units(a), topk_scratch(a), indices.data(), indices.bytes());
            for (int64_t o = 0; o < outer * inner; ++o) {
              const auto at = [&](int64_t i) { return x[(o / inner * axis + i) * inner + o % inner]; };
              std::vector<int64_t> order(axis);
              for (int64_t i = 0; i < axis; ++i) order[i] = i;
              std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) {
                const T p = least ? at(j) : at(i), q = least ? at(i) : at(j);
                return p != p ? q == q : p > q;  // NaN is the greatest
              });
              for (int64_t i = 0; i < k; ++i) {
                const int64_t to = (o / inner * k + i) * inner + o % inner;
                ASSERT_EQ(indices[to], order[i]) << "rank " << i;
                const T want = at(order[i]);
                ASSERT_EQ(std::memcmp(&values[to], &want, sizeof want), 0);
              }
            }
          }
  });
}
TEST(TopkKernels, F32) { check<float>(TERN_DTYPE_F32); }
TEST(TopkKernels, I32) { check<int32_t>(TERN_DTYPE_I32); }
TEST(TopkKernels, I64) { check<int64_t>(TERN_DTYPE_I64); }

}  // namespace
}  // namespace tern::cpu::test
