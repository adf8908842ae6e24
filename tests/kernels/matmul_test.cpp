// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/matmul.h"

#include "dense_test.h"

namespace tern::cpu::test {
namespace {

TEST(Panel, ElementsIndexPackAndUnpack) {
  for (int64_t n : {0, 1, 7, 8, 9, 31, 32, 33, 40, 63, 64, 100})
    for (int64_t k : {0, 1, 5, 32}) {
      ASSERT_EQ(panel_elements(n, k), (n + 7) / 8 * 8 * k);
      std::vector<float> w((size_t)(n * k)), back(w.size(), -1), panels((size_t)panel_elements(n, k), -1);
      for (size_t i = 0; i < w.size(); ++i) w[i] = (float)i + 1;
      pack_panels(w.data(), n, k, panels.data());
      unpack_panels(panels.data(), n, k, back.data());
      EXPECT_EQ(w, back);
      double sum = 0;
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < k; ++j) {
          EXPECT_EQ(panels[(size_t)panel_index(i, j, n, k)], w[(size_t)(i * k + j)]);
          sum += w[(size_t)(i * k + j)];
        }
      for (float p : panels) sum -= p;
      EXPECT_EQ(sum, 0) << "columns past n are not zero";
    }
  EXPECT_EQ(panel_elements(INT64_MAX, 1), -1);
  EXPECT_EQ(panel_elements(INT64_MAX / 4, 8), -1);
  EXPECT_EQ(panel_elements(-1, 8), -1);
  EXPECT_EQ(panel_elements(INT64_MAX - 7, 1), INT64_MAX - 7);
}

void panel_case(const Kernels& kernels, int64_t m, int64_t n, int64_t k, int32_t half, int variant) {
  if (half == kF16 && variant % 3 == 0) panel_case(kernels, m, n, k, kBf16, variant);
  SCOPED_TRACE(testing::Message() << m << "x" << n << "x" << k
                                  << (half == kBf16 ? " bf16"
                                      : half        ? " f16"
                                                    : " f32")
                                  << " variant " << variant);
  Random random((uint64_t)(m * 1000003 + n * 1009 + k + variant));
  const int64_t x_gap = variant % 3, x_stride = k + x_gap;
  Guarded<float> x(m && k ? (size_t)((m - 1) * x_stride + k) : 0);
  fill(x, random);
  const Weights w(random, 1, n, k, half);
  Output out(random, m, n, variant % 2 * 3, variant);
  PanelMatmulArgs a;
  a.x = x.data(), a.w = w.data(), a.y = out.y.data(), a.rows = m, a.n = n, a.k = k, a.x_stride = x_stride,
  a.y_stride = out.stride;
  a.w_half = half, a.epilogue = out.e;
  out.run(kernels.matmul->panel_matmul, &a, panel_matmul_units(a), panel_matmul_scratch_bytes(a));
  out.check(
      [&](int64_t r, int64_t j, double* size) {
        double s = 0;
        for (int64_t i = 0; i < k; ++i) {
          const double t = (double)x[(size_t)(r * x_stride + i)] * w.plain[(size_t)(j * k + i)];
          s += t, *size += std::fabs(t);
        }
        return s;
      },
      1e-6);
}

TEST(PanelMatmul, EqualsPlainLoops) {
  for_each_set([](const Kernels& kernels) {
    int variant = 0;
    for (int64_t m = 1; m <= 30; ++m) panel_case(kernels, m, 1 + m * 7 % 41, 1 + m * 5 % 13, m % 2, variant++);
    for (int64_t n = 1; n <= 66; ++n) panel_case(kernels, 1 + n % 17, n, 9, n % 3 == 0, variant++);
    for (int64_t k : {0, 1, 2, 3, 4, 5, 31, 64, 300}) panel_case(kernels, 29, 33, k, k % 2, variant++);
    for (int v = 0; v < 84; ++v) panel_case(kernels, 16, 43, 6, v % 2, v);
    panel_case(kernels, 0, 5, 3, false, 0);
    panel_case(kernels, 5, 0, 3, false, 0);
    panel_case(kernels, 500, 40, 24, false, 2);
    panel_case(kernels, 460, 24, 8, true, 2);
    panel_case(kernels, 60, 300, 64, true, 4);
    panel_case(kernels, 1, 1000, 70, true, 2);
  });
}

// The same row gives the same bits, alone or among others.
TEST(PanelMatmul, RowsDoNotDependOnTheirNeighbours) {
  for_each_set([](const Kernels& kernels) {
    Random random(7);
    const int64_t m = 45, n = 72, k = 100;
    Guarded<float> x(m * k), all(m * n), one(n);
    fill(x, random);
    for (const int32_t half : {0, kF16, kBf16}) {
      const Weights w(random, 1, n, k, half);
      PanelMatmulArgs a;
      a.x = x.data(), a.w = w.data(), a.y = all.data(), a.rows = m, a.n = n, a.k = k, a.x_stride = k, a.y_stride = n,
      a.w_half = half;
      run(kernels.matmul->panel_matmul, &a, panel_matmul_units(a), panel_matmul_scratch_bytes(a), all.data(),
          all.bytes());
      for (int64_t r = 0; r < m; ++r) {
        a.x = x.data() + r * k, a.y = one.data(), a.rows = 1;
        run(kernels.matmul->panel_matmul, &a, panel_matmul_units(a), panel_matmul_scratch_bytes(a), one.data(),
            one.bytes());
        EXPECT_EQ(std::memcmp(one.data(), all.data() + r * n, one.bytes()), 0) << "row " << r;
      }
    }
  });
}

void matmul_case(const Kernels& kernels, int64_t m, int64_t n, int64_t k, bool ta, bool tb, int variant) {
  SCOPED_TRACE(testing::Message() << m << "x" << n << "x" << k << (ta ? " T" : " N") << (tb ? "T" : "N") << " variant "
                                  << variant);
  Random random((uint64_t)(m * 1000003 + n * 1009 + k + variant));
  const int64_t outer = variant % 3 == 1 ? 2 : 1, inner = variant % 3 == 1 ? 3 : 1;
  const int64_t a_rows = ta ? k : m, a_columns = ta ? m : k, b_rows = tb ? n : k, b_columns = tb ? k : n;
  // b repeats per inner batch
  Guarded<float> x((size_t)(outer * inner * a_rows * a_columns)), b((size_t)(outer * b_rows * b_columns));
  fill(x, random);
  fill(b, random);
  Output out(random, outer * inner * m, n, 0, outer == 1 ? variant : 2 + variant % 2 * 7);
  const bool accumulate = variant % 4 == 3;
  if (out.in_place) out.in_place = false, out.e.residual = out.residual.data();
  if (outer > 1 || accumulate) out.e = Epilogue{};
  if (accumulate) out.in_place = true;
  MatmulArgs a;
  a.a = x.data(), a.b = b.data(), a.y = out.y.data(), a.m = m, a.n = n, a.k = k;
  a.a_stride = a_columns, a.b_stride = b_columns, a.y_stride = n;
  a.batch[0] = outer, a.batch[1] = inner;
  a.a_batch[0] = inner * m * k, a.a_batch[1] = m * k, a.b_batch[0] = n * k, a.y_batch[0] = inner * m * n,
  a.y_batch[1] = m * n;
  a.a_transposed = ta, a.b_transposed = tb, a.accumulate = accumulate, a.epilogue = out.e;
  out.run(kernels.matmul->matmul, &a, matmul_units(a), matmul_scratch_bytes(a));
  out.check(
      [&](int64_t r, int64_t j, double* size) {
        const int64_t batch = r / m, i = r % m;
        double s = accumulate ? out.residual[(size_t)(r * n + j)] : 0;
        for (int64_t q = 0; q < k; ++q) {
          const double t = (double)x[(size_t)(batch * m * k + (ta ? q * m + i : i * k + q))] *
                           b[(size_t)(batch / inner * n * k + (tb ? j * k + q : q * n + j))];
          s += t, *size += std::fabs(t);
        }
        return s;
      },
      1e-6);
}

TEST(Matmul, EqualsPlainLoops) {
  for_each_set([](const Kernels& kernels) {
    int variant = 0;
    for (bool ta : {false, true})
      for (bool tb : {false, true}) {
        for (int64_t s : {1, 2, 5, 8, 13, 16, 17, 33})
          matmul_case(kernels, s, 1 + s * 3 % 37, 1 + s * 7 % 29, ta, tb, variant++);
        matmul_case(kernels, 130, 150, 20, ta, tb, variant++);
        matmul_case(kernels, 15, 40, 600, ta, tb, variant++);
        matmul_case(kernels, 15, 40, 257, ta, tb, variant++);
        matmul_case(kernels, 4, 6, 0, ta, tb, variant++);
        matmul_case(kernels, 0, 6, 3, ta, tb, 0);
        for (int every = 0; every < 24; ++every) matmul_case(kernels, 1 + every % 2, 9, 21, ta, tb, every);
        for (int64_t s : {1, 2, 3}) matmul_case(kernels, s, 128 + 5 * s, 300 + s, ta, tb, variant++);
      }
  });
}

}  // namespace
}  // namespace tern::cpu::test
