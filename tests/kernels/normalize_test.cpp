// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/normalize.h"

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

TEST(NormalizeKernels, Rows) {
  for_each_set([](const Kernels& k) {
    for (const int64_t rows : {0, 1, 5})
      for (const int64_t channels : {0, 1, 3, 16, 31, 100, 4100})
        for (const RowNorm kind : {RowNorm::layer, RowNorm::rms, RowNorm::l2, RowNorm::l2_inside})
          for (const bool affine : {false, true}) {
            Guarded<float> x(rows * channels), y(rows * channels), gamma(channels), beta(channels), mean(rows),
                rstd(rows);
            Random random(1);
            fill(x, random, 3, 5), fill(gamma, random), fill(beta, random);
            for (int64_t c = 0; c < channels && rows > 1; ++c) x[c] *= 1e-4f;  // shorter than epsilon
            RowNormArgs a;
            a.kind = kind, a.epsilon = 1e-3f, a.x = x.data(), a.y = y.data(), a.rows = rows, a.channels = channels;
            if (affine) a.gamma = gamma.data(), a.beta = beta.data(), a.mean = mean.data(), a.rstd = rstd.data();
            run(k.normalize->row_norm, &a, units(a), 0, y.data(), y.bytes());
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
              if (affine) {
                EXPECT_NEAR(mean[r], m, 1e-5);
              }
              if (affine) {
                EXPECT_NEAR(rstd[r] / f, 1, 1e-5);
              }
            }
            expect_close(y.data(), want.data(), (int64_t)want.size(), 3e-6, 1e-5);
          }
  });
}

TEST(NormalizeKernels, Groups) {
  struct Case {
    int64_t batch, pixels, channels, groups;
  };
  const Case cases[] = {{1, 1, 1, 1},      {2, 9, 12, 12},  {2, 9, 12, 4},    {1, 700, 96, 3},
                        {3, 20, 100, 100}, {1, 50, 130, 1}, {1, 33, 200, 40}, {0, 3, 4, 2}};
  for_each_set([&](const Kernels& k) {
    for (const Case& s : cases)
      for (const bool affine : {false, true}) {
        const int64_t n = s.batch * s.pixels * s.channels, per = s.channels / s.groups;
        Guarded<float> x(n), y(n), gamma(s.channels), beta(s.channels), mean(s.batch * s.groups),
            rstd(s.batch * s.groups);
        Random random(1);
        fill(x, random, 9, 12), fill(gamma, random), fill(beta, random);
        GroupNormArgs a;
        a.epsilon = 1e-5f, a.x = x.data(), a.y = y.data(), a.batch = s.batch, a.pixels = s.pixels,
        a.channels = s.channels, a.groups = s.groups;
        if (affine) a.gamma = gamma.data(), a.beta = beta.data(), a.mean = mean.data(), a.rstd = rstd.data();
        run(k.normalize->group_norm, &a, units(a), group_norm_scratch(a), y.data(), y.bytes());
        std::vector<double> want(n);
        for (int64_t g = 0; g < s.batch * s.groups; ++g) {
          const auto at = [&](int64_t p, int64_t c) {
            return (g / s.groups * s.pixels + p) * s.channels + g % s.groups * per + c;
          };
          double m = 0, v = 0;
          for (int64_t p = 0; p < s.pixels; ++p)
            for (int64_t c = 0; c < per; ++c) m += x[at(p, c)];
          m /= (double)(s.pixels * per);
          for (int64_t p = 0; p < s.pixels; ++p)
            for (int64_t c = 0; c < per; ++c) v += std::pow(x[at(p, c)] - m, 2);
          const double f = 1 / std::sqrt(v / (double)(s.pixels * per) + a.epsilon);
          for (int64_t p = 0; p < s.pixels; ++p)
            for (int64_t c = 0; c < per; ++c) {
              want[at(p, c)] = (x[at(p, c)] - m) * f;
              const int64_t channel = g % s.groups * per + c;
              if (affine) want[at(p, c)] = want[at(p, c)] * gamma[channel] + beta[channel];
            }
        }
        expect_close(y.data(), want.data(), n, 1e-5, 5e-5);
      }
  });
}

TEST(NormalizeKernels, ScaleShift) {
  for_each_set([](const Kernels& k) {
    for (const int64_t rows : {0, 1, 9, 500})
      for (const int64_t channels : {0, 1, 3, 24, 5000})
        for (const bool shifted : {false, true}) {
          if (rows * channels > 100000) continue;
          Guarded<float> x(rows * channels), y(x.size()), scale(channels), shift(channels);
          Random random(1);
          fill(x, random), fill(scale, random), fill(shift, random);
          ScaleShiftArgs a;
          a.x = x.data(), a.scale = scale.data(), a.shift = shifted ? shift.data() : nullptr, a.y = y.data();
          a.rows = rows, a.channels = channels;
          run(k.normalize->scale_shift, &a, units(a), 0, y.data(), y.bytes());
          std::vector<double> want(x.size());
          for (size_t i = 0; i < want.size(); ++i)
            want[i] = (double)x[i] * scale[i % channels] + (shifted ? shift[i % channels] : 0);
          expect_close(y.data(), want.data(), (int64_t)want.size(), 1e-6, 1e-6);
        }
  });
}

}  // namespace
}  // namespace tern::cpu::test
