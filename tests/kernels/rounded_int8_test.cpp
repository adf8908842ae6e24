// SPDX-License-Identifier: Apache-2.0
// Matrices of 8-bit and 4-bit codes times rows that are rounded to 16 bits: what the definition says, and the same bits
// for any number of rows.
#include "kernels/cpu/rounded_int8.h"

#include "base/encoding.h"
#include "kernel_test.h"
#include "kernels/cpu/matmul.h"

namespace tern::cpu::test {
namespace {

constexpr Encoding kEncodings[] = {Encoding::panel_int8, Encoding::panel_int4, Encoding::panel_int4_min};

struct Codes {
  Encoding encoding;
  int64_t n, k;
  Guarded<uint8_t> data;
  Codes(Encoding e, int64_t rows, int64_t cols, Random& random)
      : encoding(e), n(rows), k(cols), data(bytes_of(e, rows, cols), 64) {
    std::vector<float> w((size_t)(n * k));
    for (float& v : w) v = (float)random.integer(-1000, 1000) * 0.001f;
    encode(encoding, TERN_DTYPE_F32, Shape{n, k}, w.data(), data.data());
  }
  static uint64_t bytes_of(Encoding e, int64_t n, int64_t k) {
    uint64_t bytes = 0;
    EXPECT_EQ(encoded_bytes(e, TERN_DTYPE_F32, Shape{n, k}, &bytes), TERN_OK);
    return bytes;
  }
  double at(int64_t i, int64_t j) const {
    return load_encoded(encoding, TERN_DTYPE_F32, Shape{n, k}, data.data(), i * k + j);
  }
};

// The sum before its epilogue, and the sum of magnitudes, of which f32 keeps a part.
double expected(const Codes& w, const float* x, int64_t i, double* magnitude) {
  double sum = 0;
  *magnitude = 0;
  for (int64_t first = 0; first < w.k; first += 32) {
    const int64_t end = std::min<int64_t>(first + 32, w.k);
    float most = 1e-30f;
    for (int64_t j = first; j < end; ++j) most = std::fmax(most, std::fabs(x[j]));
    for (int64_t j = first; j < end; ++j) {
      const double term = (double)std::nearbyintf(x[j] * (32385.0f / most)) * (double)(most / 32385.0f) * w.at(i, j);
      sum += term;
      *magnitude += std::fabs(term);
    }
  }
  return sum;
}

struct Product {
  RoundedArgs a;
  Guarded<uint8_t> rows;
  Product(const Kernels& k, const Codes& w, const Guarded<float>& x, float* y, int64_t m)
      : rows((size_t)(m * rounded_row_bytes(w.k)), 64) {
    a.codes = *k.of(w.encoding).codes;
    a.w = w.data.data(), a.m = m, a.n = w.n, a.k = w.k, a.x = x.data(), a.y = y, a.y_stride = w.n;
    a.rows = rows.data(), a.finish = k.matmul->finish_rows;
  }
  void run(const Kernels& k, Guarded<float>& y) {
    if (a.m > kRoundedFew) test::run(k.rounded_int8->quantize, &a, a.m, 0, rows.data(), rows.bytes());
    test::run(k.rounded_int8->matmul, &a, units(a), rounded_scratch_bytes(a), y.data(), y.bytes());
  }
};

void fill_rows(Guarded<float>& x, int64_t k, Random& random) {
  fill(x, random);
  const int64_t m = k ? (int64_t)x.size() / k : 0;
  for (int64_t j = 0; j < k; ++j) {
    if (m > 1) x[(size_t)(k + j)] = random.integer(0, 1) ? 0.5f : -0.5f;  // all integers are 32385 or -32385
    if (m > 2 && j % 7 == 3) x[(size_t)(2 * k + j)] *= 100;
    if (m > 3) x[(size_t)(3 * k + j)] = 0;
  }
}

TEST(RoundedKernels, FollowTheDefinition) {
  for_each_set([](const Kernels& k) {
    for (const Encoding e : kEncodings)
      for (const int64_t n : {1, 5, 32, 33, 70})
        for (const int64_t cols : {0, 1, 31, 32, 70, 300})
          for (const int64_t m : {0, 1, 2, 4, 5, 13}) {
            SCOPED_TRACE(std::string(encoding_name(e)) + " " + std::to_string(m) + " x " + std::to_string(n) + " x " +
                         std::to_string(cols));
            Random random((uint64_t)(m + 31 * n + 7 * cols));
            const Codes w(e, n, cols, random);
            Guarded<float> x((size_t)(m * cols)), y((size_t)(m * n)), bias((size_t)n);
            fill_rows(x, cols, random), fill(bias, random);
            Product p(k, w, x, y.data(), m);
            p.a.epilogue.bias = bias.data();
            p.run(k, y);
            for (int64_t i = 0; i < m * n; ++i) {
              double magnitude = 0;
              const double sum = expected(w, x.data() + i / n * cols, i % n, &magnitude);
              // What a least value adds is as large as the sums, and takes part of them away.
              ASSERT_NEAR(y[(size_t)i], sum + (double)bias[(size_t)(i % n)], 4e-6 * magnitude + 1e-6)
                  << i / n << ", " << i % n;
            }
          }
  });
}

TEST(RoundedKernels, SameBitsForAnyNumberOfRows) {
  for_each_set([](const Kernels& k) {
    for (const Encoding e : kEncodings) {
      constexpr int64_t most = kRoundedRows + 23, n = 70, cols = 200;
      Random random(5);
      const Codes w(e, n, cols, random);
      Guarded<float> x(most * cols), all(most * n), residual(most * n);
      fill_rows(x, cols, random), fill(residual, random);
      Product p(k, w, x, all.data(), most);
      p.a.epilogue.residual = residual.data(), p.a.epilogue.residual_stride = n;
      p.run(k, all);
      for (const int64_t m : {1, 3, 6, 11}) {
        Guarded<float> y((size_t)(m * n));
        Product some(k, w, x, y.data(), m);
        some.a.epilogue.residual = residual.data(), some.a.epilogue.residual_stride = n;
        some.run(k, y);
        for (int64_t i = 0; i < m * n; ++i) ASSERT_EQ(y[(size_t)i], all[(size_t)i]) << m << " rows, " << i;
      }
    }
  });
}

// Sums as large as they become: every byte that a file may hold, and all activations at their limit.
TEST(RoundedKernels, LargestSums) {
  for_each_set([](const Kernels& k) {
    constexpr int64_t n = 33, cols = 64;
    for (const Encoding e : kEncodings)
      for (const uint8_t byte : {0x00, 0x7f, 0x80, 0x81, 0xff})
        for (const int64_t m : {1, 6}) {
          Random random(1);
          Codes w(e, n, cols, random);
          const PanelCodes c = *k.of(e).codes;
          for (int64_t b = 0; b < 4; ++b)
            std::memset(w.data.data() + b * c.block_bytes(), byte, (size_t)c.code_bytes());
          Guarded<float> x((size_t)(m * cols)), y((size_t)(m * n));
          for (size_t i = 0; i < x.size(); ++i) x[i] = i / cols % 2 ? -3.0f : 3.0f;
          Product p(k, w, x, y.data(), m);
          p.run(k, y);
          for (int64_t i = 0; i < m * n; ++i) {
            double magnitude = 0;
            const double sum = expected(w, x.data() + i / n * cols, i % n, &magnitude);
            ASSERT_NEAR(y[(size_t)i], sum, 4e-6 * magnitude + 1e-6) << i << " of bytes " << (int)byte;
          }
        }
  });
}

TEST(RoundedKernels, WhatIsNoNumber) {
  for_each_set([](const Kernels& k) {
    constexpr int64_t n = 33, cols = 50;
    for (const Encoding e : kEncodings)
      for (const int64_t m : {3, 8}) {
        Random random(2);
        const Codes w(e, n, cols, random);
        Guarded<float> x((size_t)(m * cols)), y((size_t)(m * n));
        fill(x, random);
        x[cols + 7] = NAN, x[2 * cols + 49] = -INFINITY;
        Product p(k, w, x, y.data(), m);
        p.run(k, y);
        for (int64_t i = 0; i < m * n; ++i) ASSERT_EQ(std::isnan(y[(size_t)i]), i / n == 1 || i / n == 2) << i;
      }
  });
}

}  // namespace
}  // namespace tern::cpu::test
