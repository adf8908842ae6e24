// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/rows_f64.h"

#include <algorithm>

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

TEST(RowsF64, Softmax) {
  for_each_set([](const Kernels& k) {
    for (const int64_t outer : {0, 1, 3})
      for (const int64_t axis : {0, 1, 2, 15, 16, 17, 1000})
        for (const int64_t inner : {1, 3, 16, 70})
          for (const int log : {0, 1}) {
            Guarded<double> x(outer * axis * inner), y(x.size());
            Random random(1);
            fill(x, random, -20, 20);
            if (x.size() > 5) x[3] = -INFINITY, x[4] = 1000;
            if (x.size() > 90) x[x.size() - 1] = NAN;
            SoftmaxF64Args a;
            a.x = x.data(), a.y = y.data(), a.outer = outer, a.axis = axis, a.inner = inner, a.log = log;
            run(k.rows_f64->softmax, &a, units(a), 0, y.data(), y.bytes());
            std::vector<double> want(x.size());
            for (int64_t o = 0; o < outer * inner; ++o) {
              const auto at = [&](int64_t i) { return (o / inner * axis + i) * inner + o % inner; };
              double m = -INFINITY, sum = 0;
              for (int64_t i = 0; i < axis; ++i) m = std::fmax(m, x[at(i)]);
              for (int64_t i = 0; i < axis; ++i) sum += std::exp(x[at(i)] - m);
              for (int64_t i = 0; i < axis; ++i)
                want[at(i)] = log ? x[at(i)] - m - std::log(sum) : std::exp(x[at(i)] - m) / sum;
            }
            expect_close(y.data(), want.data(), (int64_t)want.size(), 1e-14, log ? 1e-14 : 0);
          }
  });
}

TEST(RowsF64, Norms) {
  for_each_set([](const Kernels& k) {
    for (const int64_t rows : {0, 1, 5})
      for (const int64_t channels : {0, 1, 3, 16, 31, 100, 4100})
        for (const RowNorm kind : {RowNorm::layer, RowNorm::rms, RowNorm::l2, RowNorm::l2_inside})
          for (const bool affine : {false, true}) {
            Guarded<double> x(rows * channels), y(rows * channels), gamma(channels), beta(channels);
            Random random(1);
            fill(x, random, 3, 5), fill(gamma, random), fill(beta, random);
            for (int64_t c = 0; c < channels && rows > 1; ++c) x[c] *= 1e-4;  // shorter than epsilon
            RowNormF64Args a;
            a.kind = kind, a.epsilon = 1e-3, a.x = x.data(), a.y = y.data(), a.rows = rows, a.channels = channels;
            if (affine) a.gamma = gamma.data(), a.beta = beta.data();
            run(k.rows_f64->row_norm, &a, units(a), 0, y.data(), y.bytes());
            std::vector<double> want(x.size());
            for (int64_t r = 0; r < rows && channels; ++r) {
              double sum = 0, squares = 0;
              for (int64_t c = 0; c < channels; ++c) sum += x[r * channels + c];
              const double m = kind == RowNorm::layer ? sum / (double)channels : 0;
              for (int64_t c = 0; c < channels; ++c) squares += std::pow(x[r * channels + c] - m, 2);
              double f = 1 / std::sqrt(squares / (double)channels + a.epsilon);
              if (kind == RowNorm::l2) f = 1 / std::fmax(std::sqrt(squares), a.epsilon);
              if (kind == RowNorm::l2_inside) f = 1 / std::sqrt(std::fmax(squares, a.epsilon));
              for (int64_t c = 0; c < channels; ++c) {
                double& v = want[r * channels + c];
                v = (x[r * channels + c] - m) * f;
                if (affine) v = v * gamma[c] + beta[c];
              }
            }
            expect_close(y.data(), want.data(), (int64_t)want.size(), 1e-13, 1e-13);
          }
  });
}

}  // namespace
}  // namespace tern::cpu::test
