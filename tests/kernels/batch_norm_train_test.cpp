// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/batch_norm_train.h"

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

struct Inputs {
  Guarded<float> x, dy, gamma, beta, y, first, second, partial;
  BatchNormTrainArgs a;
  Inputs(int64_t rows, int64_t channels)
      : x((size_t)(rows * channels)),
        dy(x.size()),
        gamma((size_t)channels),
        beta((size_t)channels),
        y(x.size()),
        first((size_t)channels),
        second((size_t)channels),
        partial((size_t)(16 * kBatchNormSums * channels)) {
    Random random((uint64_t)(rows * 31 + channels));
    fill(x, random), fill(dy, random), fill(gamma, random), fill(beta, random);
    for (size_t i = 0; i < x.size(); ++i) x[i] += 20;  // a mean that hides the variance if it is not taken off first
    a.rows = rows, a.channels = channels, a.epsilon = 1e-3f;
    a.x = x.data(), a.gamma = gamma.data(), a.beta = beta.data(), a.y = y.data(), a.partial = partial.data();
    a.out[0] = first.data(), a.out[1] = second.data();
  }
  void compute(const Kernels& k) {
    const int64_t segments = batch_norm_segments(a);
    const BatchNormTrainKernels& b = *k.batch_norm_train;
    ASSERT_LE(segments, 16);
    run(b.sums, &a, segments, 0, nullptr, 0);
    run(b.products, &a, segments, batch_norm_scratch(a), nullptr, 0);
    run(b.apply, &a, segments, batch_norm_scratch(a), first.data(), first.bytes());
    run(b.apply, &a, segments, batch_norm_scratch(a), second.data(), second.bytes());
    run(b.apply, &a, segments, batch_norm_scratch(a), y.data(), y.bytes());
    Guarded<char> scratch(batch_norm_scratch(a), 64);
    b.apply(&a, 0, segments, scratch.data());
  }
};

void check(const Kernels& k, int64_t rows, int64_t channels) {
  SCOPED_TRACE(testing::Message() << rows << "x" << channels);
  Inputs s(rows, channels);
  std::vector<double> y(s.x.size()), dx(s.x.size()), mean((size_t)channels), variance(mean), dgamma(mean), dbeta(mean);
  for (int64_t c = 0; c < channels; ++c) {
    const auto at = [&](int64_t r) { return (size_t)(r * channels + c); };
    const size_t i = (size_t)c;
    for (int64_t r = 0; r < rows; ++r) mean[i] += s.x[at(r)] / (double)rows;
    for (int64_t r = 0; r < rows; ++r) variance[i] += (s.x[at(r)] - mean[i]) * (s.x[at(r)] - mean[i]) / (double)rows;
    const double root = 1 / std::sqrt(variance[i] + s.a.epsilon);
    const auto n = [&](int64_t r) { return (s.x[at(r)] - mean[i]) * root; };
    for (int64_t r = 0; r < rows; ++r) {
      y[at(r)] = n(r) * s.gamma[i] + s.beta[i];
      dgamma[i] += s.dy[at(r)] * n(r), dbeta[i] += s.dy[at(r)];
    }
    for (int64_t r = 0; r < rows; ++r)
      dx[at(r)] = s.gamma[i] * root * (s.dy[at(r)] - (dbeta[i] + n(r) * dgamma[i]) / (double)rows);
  }
  s.compute(k);
  expect_close(s.y.data(), y.data(), rows * channels, 1e-5, 2e-5);
  expect_close(s.first.data(), mean.data(), channels, 1e-6, 1e-6);
  expect_close(s.second.data(), variance.data(), channels, 1e-5, 1e-6);
  s.a.dy = s.dy.data(), s.a.beta = nullptr;
  s.compute(k);
  expect_close(s.y.data(), dx.data(), rows * channels, 1e-5, 4e-5);
  expect_close(s.first.data(), dgamma.data(), channels, 1e-5, 2e-6 * (double)rows + 2e-5);
  expect_close(s.second.data(), dbeta.data(), channels, 1e-5, 1e-6 * (double)rows);
}

TEST(BatchNormTrain, EqualsTheFormula) {
  for_each_set([](const Kernels& k) {
    check(k, 2, 5);
    check(k, 33, 16);
    check(k, 70, 35);
    check(k, 1000, 12);
    check(k, 5, 300);
  });
}

}  // namespace
}  // namespace tern::cpu::test
