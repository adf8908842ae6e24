// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/norm_grad.h"

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

void check(const Kernels& k, int64_t rows, int64_t channels, bool center, bool scaled) {
  SCOPED_TRACE(testing::Message() << rows << "x" << channels << " center " << center << " scaled " << scaled);
  NormGradArgs a;
  a.rows = rows, a.channels = channels, a.center = center, a.epsilon = 1e-3f;
  const int64_t segments = norm_grad_segments(a);
  Random random((uint64_t)(rows * 31 + channels));
  Guarded<float> x((size_t)(rows * channels)), dy(x.size()), dx(x.size()), gamma((size_t)channels),
      dgamma((size_t)channels), dbeta((size_t)channels), partial((size_t)(2 * segments * channels));
  fill(x, random), fill(dy, random), fill(gamma, random);
  a.x = x.data(), a.dy = dy.data(), a.gamma = scaled ? gamma.data() : nullptr;
  a.dx = dx.data(), a.dgamma = dgamma.data(), a.dbeta = dbeta.data(), a.partial = partial.data();
  std::vector<double> want(x.size()), want_gamma((size_t)channels, 0), want_beta((size_t)channels, 0);
  for (int64_t r = 0; r < rows; ++r) {
    const float *px = &x[(size_t)(r * channels)], *pdy = &dy[(size_t)(r * channels)];
    double mean = 0, variance = 0, mean_s = 0, mean_sn = 0;
    for (int64_t c = 0; c < channels && center; ++c) mean += px[c] / (double)channels;
    for (int64_t c = 0; c < channels; ++c) variance += (px[c] - mean) * (px[c] - mean) / (double)channels;
    const double root = 1 / std::sqrt(variance + a.epsilon);
    const auto s = [&](int64_t c) { return (double)pdy[c] * (scaled ? gamma[(size_t)c] : 1.0f); };
    for (int64_t c = 0; c < channels; ++c) {
      const double n = (px[c] - mean) * root;
      if (center) mean_s += s(c) / (double)channels;
      mean_sn += s(c) * n / (double)channels;
      want_gamma[(size_t)c] += pdy[c] * n;
      want_beta[(size_t)c] += pdy[c];
    }
    for (int64_t c = 0; c < channels; ++c)
      want[(size_t)(r * channels + c)] = root * (s(c) - mean_s - (px[c] - mean) * root * mean_sn);
  }
  run(k.norm_grad->rows, &a, segments, 0, dx.data(), dx.bytes());
  expect_close(dx.data(), want.data(), rows * channels, 1e-5, 2e-5);
  run(k.norm_grad->join, &a, norm_grad_join_units(a), 0, dgamma.data(), dgamma.bytes());
  run(k.norm_grad->join, &a, norm_grad_join_units(a), 0, dbeta.data(), dbeta.bytes());
  k.norm_grad->join(&a, 0, norm_grad_join_units(a), nullptr);
  expect_close(dgamma.data(), want_gamma.data(), channels, 1e-5, 1e-5 * (double)rows);
  expect_close(dbeta.data(), want_beta.data(), channels, 1e-5, 1e-5 * (double)rows);
}

TEST(NormGrad, EqualsTheFormula) {
  for_each_set([](const Kernels& k) {
    for (const bool center : {true, false})
      for (const bool scaled : {true, false}) {
        check(k, 1, 5, center, scaled);
        check(k, 40, 33, center, scaled);
        check(k, 300, 16, center, scaled);
        check(k, 3, 2100, center, scaled);
      }
  });
}

}  // namespace
}  // namespace tern::cpu::test
