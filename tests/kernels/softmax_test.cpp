// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/softmax.h"

#include <algorithm>

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

TEST(SoftmaxKernels, MatchesDouble) {
  for_each_set([](const Kernels& k) {
    for (const int64_t outer : {0, 1, 3})
      for (const int64_t axis : {0, 1, 2, 15, 16, 17, 1000, 5000})
        for (const int64_t inner : {1, 3, 16, 70})
          for (const int log : {0, 1}) {
            if (axis * inner > 20000) continue;
            Guarded<float> x(outer * axis * inner), y(x.size());
            Random random(1);
            fill(x, random, -20, 20);
            if (x.size() > 5) x[3] = -INFINITY, x[4] = 1000;
            SoftmaxArgs a;
            a.x = x.data(), a.y = y.data(), a.outer = outer, a.axis = axis, a.inner = inner, a.log = log;
            run(k.softmax->softmax, &a, units(a), 0, y.data(), y.bytes());
            std::vector<double> want(x.size());
            for (int64_t o = 0; o < outer * inner; ++o) {
              const auto at = [&](int64_t i) { return (o / inner * axis + i) * inner + o % inner; };
              double m = -INFINITY, sum = 0;
              for (int64_t i = 0; i < axis; ++i) m = std::max(m, (double)x[at(i)]);
              for (int64_t i = 0; i < axis; ++i) sum += std::exp(x[at(i)] - m);
              for (int64_t i = 0; i < axis; ++i)
                want[at(i)] = log ? x[at(i)] - m - std::log(sum) : std::exp(x[at(i)] - m) / sum;
            }
            // x - max is rounded: up to half a unit of 32 here, which the exponential turns into a relative error
            expect_close(y.data(), want.data(), (int64_t)want.size(), 3e-6, log ? 2e-6 : 1e-30);
          }
  });
}

TEST(SoftmaxKernels, GradientsMatchDouble) {
  for_each_set([](const Kernels& k) {
    for (const int64_t axis : {1, 2, 15, 16, 17, 1000})
      for (const int64_t inner : {1, 3, 16, 70})
        for (const int log : {0, 1}) {
          if (axis * inner > 20000) continue;
          Guarded<float> y((size_t)(3 * axis * inner)), dy(y.size()), dx(y.size());
          Random random(1);
          fill(y, random, log ? -20.0f : 0.0f, log ? 0.0f : 1.0f), fill(dy, random);
          SoftmaxGradArgs a;
          a.y = y.data(), a.dy = dy.data(), a.dx = dx.data();
          a.outer = 3, a.axis = axis, a.inner = inner, a.log = log;
          run(k.softmax->gradient, &a, units(a), 0, dx.data(), dx.bytes());
          std::vector<double> want(y.size());
          for (int64_t o = 0; o < 3 * inner; ++o) {
            const auto at = [&](int64_t i) { return (size_t)((o / inner * axis + i) * inner + o % inner); };
            double sum = 0;
            for (int64_t i = 0; i < axis; ++i) sum += (double)dy[at(i)] * (log ? 1 : (double)y[at(i)]);
            for (int64_t i = 0; i < axis; ++i)
              want[at(i)] = log ? dy[at(i)] - std::exp(y[at(i)]) * sum : y[at(i)] * (dy[at(i)] - sum);
          }
          expect_close(dx.data(), want.data(), (int64_t)want.size(), 1e-6, 1e-5 + 2e-7 * (double)axis);
        }
  });
}

}  // namespace
}  // namespace tern::cpu::test
