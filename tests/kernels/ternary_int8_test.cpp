// SPDX-License-Identifier: Apache-2.0
// Ternary matrices times rows that are rounded to 8 bits: exactly what the definition says, on every instruction set
// and for any number of rows.
#include "kernels/cpu/ternary_int8.h"

#include "base/encoding.h"
#include "kernel_test.h"
#include "kernels/cpu/matmul.h"

namespace tern::cpu::test {
namespace {

struct Ternaries {
  int64_t n, k;
  Guarded<uint8_t> data;
  static uint64_t bytes_of(int64_t n, int64_t k) {
    uint64_t bytes = 0;
    EXPECT_EQ(encoded_bytes(Encoding::ternary2, TERN_DTYPE_F32, Shape{n, k}, &bytes), TERN_OK);
    return bytes;
  }
  Ternaries(int64_t rows, int64_t cols, Random& random) : n(rows), k(cols), data(bytes_of(rows, cols), 64) {
    std::vector<float> w((size_t)(n * k));
    for (int64_t i = 0; i < n * k; ++i) w[(size_t)i] = (float)random.integer(-1, 1) * (0.01f + 0.001f * (float)(i / k));
    encode(Encoding::ternary2, TERN_DTYPE_F32, Shape{n, k}, w.data(), data.data());
  }
  Ternary view() const { return ternary_view(data.data(), n, k); }
  int code(int64_t i, int64_t j) const {
    const Ternary w = view();
    return ternary_value(w.codes[ternary_byte(w.lines, i, j)], ternary_shift(j));
  }
};

void fill_rows(Guarded<float>& x, int64_t k, Random& random) {
  fill(x, random);
  const int64_t m = k ? (int64_t)x.size() / k : 0;
  for (int64_t j = 0; j < k; ++j) {
    if (m > 1) x[(size_t)(k + j)] = random.integer(0, 1) ? 0.5f : -0.5f;  // all codes are 127 or -127
    if (m > 2 && j % 7 == 3) x[(size_t)(2 * k + j)] *= 100;
    if (m > 3) x[(size_t)(3 * k + j)] = 0;
    if (m > 4) x[(size_t)(4 * k + j)] *= 1e-6f;  // below the least scale
  }
}

// One output before its epilogue.
float expected(const Ternaries& w, const float* x, int64_t i) {
  float most = 1e-5f;
  for (int64_t j = 0; j < w.k; ++j) most = std::fmax(most, std::fabs(x[j]));
  const float scale = 127.0f / most;
  int64_t sum = 0;
  for (int64_t j = 0; j < w.k; ++j) sum += (int64_t)std::nearbyintf(x[j] * scale) * w.code(i, j);
  return (float)sum * w.view().scales[i] * (most / 127.0f);
}

struct Product {
  TernaryArgs a;
  Guarded<uint8_t> codes;
  Product(const Kernels& k, const MatmulInt8Kernels& products, const Ternaries& w, const Guarded<float>& x, float* y,
          int64_t m)
      : codes((size_t)(m * (ternary_stride(w.k) + (int64_t)sizeof(float))), 64) {
    a.w = w.data.data(), a.m = m, a.n = w.n, a.k = w.k, a.x = x.data(), a.y = y, a.y_stride = w.n;
    a.codes = codes.data(), a.factor_offset = m * ternary_stride(w.k);
    a.product = products.matmul, a.finish = k.matmul->finish_rows;
  }
  void run(const Kernels& k, Guarded<float>& y) {
    if (a.m > kTernaryFew) test::run(k.ternary_int8->quantize, &a, a.m, 0, codes.data(), codes.bytes());
    test::run(k.ternary_int8->matmul, &a, units(a), ternary_scratch_bytes(a), y.data(), y.bytes());
  }
};

// Every number of rows with its kernels, and those of them that other sets of products bring.
TEST(TernaryKernels, AreExact) {
  for_each_set([](const Kernels& k) {
    for (const int64_t n : {1, 5, 16, 17, 33, 70})
      for (const int64_t cols : {0, 1, 15, 33, 64, 300, 2100})
        for (const int64_t m : {0, 1, 2, 3, 4, 5, 9}) {
          SCOPED_TRACE(std::to_string(m) + " x " + std::to_string(n) + " x " + std::to_string(cols));
          Random random((uint64_t)(m + 31 * n + 7 * cols));
          const Ternaries w(n, cols, random);
          Guarded<float> x((size_t)(m * cols)), y((size_t)(m * n)), bias((size_t)n);
          fill_rows(x, cols, random), fill(bias, random);
          Product p(k, *k.matmul_int8, w, x, y.data(), m);
          p.a.epilogue.bias = bias.data();
          p.run(k, y);
          for (int64_t i = 0; i < m * n; ++i)
            ASSERT_EQ(y[(size_t)i], expected(w, x.data() + i / n * cols, i % n) + bias[(size_t)(i % n)])
                << i / n << ", " << i % n;
        }
  });
}

// More rows than a block; y is the residual, too.
TEST(TernaryKernels, ManyRowsOnTopOfTheResidual) {
  for_each_set([](const Kernels& k) {
    constexpr int64_t m = kTernaryBlock + 100, n = 40, cols = 200;
    Random random(5);
    const Ternaries w(n, cols, random);
    Guarded<float> x(m * cols), y(m * n), residual(m * n);
    fill_rows(x, cols, random), fill(residual, random);
    Product p(k, *k.matmul_int8, w, x, y.data(), m);
    p.a.epilogue.residual = y.data(), p.a.epilogue.residual_stride = n;
    run(k.ternary_int8->quantize, &p.a, m, 0, p.codes.data(), p.codes.bytes());
    run(k.ternary_int8->matmul, &p.a, units(p.a), ternary_scratch_bytes(p.a), y.data(), y.bytes(), residual.data());
    for (int64_t i = 0; i < m * n; ++i)
      ASSERT_EQ(y[(size_t)i], expected(w, x.data() + i / n * cols, i % n) + residual[(size_t)i]) << i;
  });
}

// Sums as large as they become: all codes 2 (or, in a file that nobody wrote, 3) and all activations at their limit.
TEST(TernaryKernels, LargestSums) {
  for_each_set([](const Kernels& k) {
    constexpr int64_t n = 20, cols = 6000;
    for (const uint8_t byte : {0x00, 0xaa, 0xff})
      for (const int64_t m : {1, 6}) {
        Random random(1);
        Ternaries w(n, cols, random);
        std::memset(w.data.data(), byte, (size_t)(2 * w.view().lines * kTernaryLine));
        Guarded<float> x((size_t)(m * cols)), y((size_t)(m * n));
        for (size_t i = 0; i < x.size(); ++i) x[i] = i / cols % 2 ? -3.0f : 3.0f;
        Product p(k, *k.matmul_int8, w, x, y.data(), m);
        p.run(k, y);
        for (int64_t i = 0; i < m * n; ++i)
          ASSERT_EQ(y[(size_t)i], expected(w, x.data() + i / n * cols, i % n)) << i << " of bytes " << (int)byte;
      }
  });
}

TEST(TernaryKernels, WhatIsNoNumber) {
  for_each_set([](const Kernels& k) {
    constexpr int64_t n = 33, cols = 50;
    Random random(2);
    const Ternaries w(n, cols, random);
    for (const int64_t m : {3, 8}) {
      Guarded<float> x((size_t)(m * cols)), y((size_t)(m * n));
      fill(x, random);
      x[cols + 7] = NAN, x[2 * cols + 49] = -INFINITY;
      Product p(k, *k.matmul_int8, w, x, y.data(), m);
      p.run(k, y);
      for (int64_t i = 0; i < m * n; ++i) {
        if (i / n == 1 || i / n == 2) ASSERT_TRUE(std::isnan(y[(size_t)i])) << i;
        else ASSERT_EQ(y[(size_t)i], expected(w, x.data() + i / n * cols, i % n)) << i;
      }
    }
  });
}

}  // namespace
}  // namespace tern::cpu::test
