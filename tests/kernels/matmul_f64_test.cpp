// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/matmul_f64.h"

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

void matmul_case(const Kernels& kernels, int64_t m, int64_t n, int64_t k, bool ta, bool tb, int variant) {
  SCOPED_TRACE(testing::Message() << m << "x" << n << "x" << k << (ta ? " T" : " N") << (tb ? "T" : "N") << " variant "
                                  << variant);
  Random random((uint64_t)(m * 1000003 + n * 1009 + k + variant));
  const int64_t outer = variant % 3 == 1 ? 2 : 1, inner = variant % 3 == 1 ? 3 : 1;
  const int64_t a_columns = ta ? m : k, b_columns = tb ? k : n;
  // b repeats per inner batch
  Guarded<double> x((size_t)(outer * inner * m * k)), b((size_t)(outer * n * k)), bias((size_t)n),
      y((size_t)(outer * inner * m * n));
  fill(x, random), fill(b, random), fill(bias, random);
  for (size_t i = 0; i < x.size(); ++i) x[i] /= 3;  // more digits than a float has
  MatmulF64Args a;
  a.a = x.data(), a.b = b.data(), a.y = y.data(), a.m = m, a.n = n, a.k = k;
  a.bias = variant % 2 ? bias.data() : nullptr;
  a.a_stride = a_columns, a.b_stride = b_columns, a.y_stride = n;
  a.batch[0] = outer, a.batch[1] = inner;
  a.a_batch[0] = inner * m * k, a.a_batch[1] = m * k, a.b_batch[0] = n * k, a.y_batch[0] = inner * m * n,
  a.y_batch[1] = m * n;
  a.a_transposed = ta, a.b_transposed = tb;
  run(kernels.matmul_f64->matmul, &a, units(a), matmul_f64_scratch_bytes(), y.data(), y.bytes());
  for (int64_t i = 0; i < outer * inner * m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      const int64_t batch = i / m, r = i % m;
      double s = a.bias ? bias[(size_t)j] : 0, size = std::fabs(s);
      for (int64_t q = 0; q < k; ++q) {
        const double t = x[(size_t)(batch * m * k + (ta ? q * m + r : r * k + q))] *
                         b[(size_t)(batch / inner * n * k + (tb ? j * k + q : q * n + j))];
        s += t, size += std::fabs(t);
      }
      ASSERT_NEAR(y[(size_t)(i * n + j)], s, 4e-15 * size) << i << "," << j;
    }
}

TEST(MatmulF64, EqualsPlainLoops) {
  for_each_set([](const Kernels& kernels) {
    int variant = 0;
    for (bool ta : {false, true})
      for (bool tb : {false, true}) {
        for (int64_t s : {1, 2, 3, 5, 6, 8, 13, 17, 33})
          matmul_case(kernels, s, 1 + s * 5 % 71, 1 + s * 7 % 29, ta, tb, variant++);
        for (int64_t n = 1; n < 20; ++n) matmul_case(kernels, 7, n, 5, ta, tb, variant++);
        matmul_case(kernels, 200, 150, 20, ta, tb, variant++);
        matmul_case(kernels, 15, 40, 600, ta, tb, variant++);
        matmul_case(kernels, 15, 40, 257, ta, tb, variant++);
        matmul_case(kernels, 4, 6, 0, ta, tb, 1);
        matmul_case(kernels, 0, 6, 3, ta, tb, 0);
        for (int64_t s : {1, 2, 3}) matmul_case(kernels, s, 128 + 5 * s, 300 + s, ta, tb, variant++);
      }
    matmul_case(kernels, 2, 3, 9000, true, true, 1);
  });
}

}  // namespace
}  // namespace tern::cpu::test
