// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/cross_entropy.h"

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

void check(const Kernels& k, int64_t rows, int64_t classes, bool indices, bool wide) {
  SCOPED_TRACE(testing::Message() << rows << "x" << classes << (indices ? " labels" : " probabilities"));
  Random random((uint64_t)(rows * 131 + classes));
  Guarded<float> x((size_t)(rows * classes)), p(x.size()), dx(x.size()), dloss((size_t)rows), loss((size_t)rows);
  fill(x, random, -20, 20), fill(p, random, 0, 1), fill(dloss, random);
  Guarded<int64_t> labels((size_t)rows);
  Guarded<int32_t> narrow((size_t)rows);
  int32_t error = 0;
  CrossEntropyArgs a;
  a.x = x.data(), a.dloss = dloss.data(), a.error = &error, a.rows = rows, a.classes = classes;
  std::vector<double> want((size_t)rows, 0), want_dx(x.size());
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t label = random.integer(0, classes - 1);
    labels[(size_t)r] = r % 2 ? label - classes : label;
    narrow[(size_t)r] = (int32_t)labels[(size_t)r];
    const float* row = &x[(size_t)(r * classes)];
    double greatest = -INFINITY, sum = 0, all = 0;
    for (int64_t c = 0; c < classes; ++c) greatest = std::fmax(greatest, row[c]);
    for (int64_t c = 0; c < classes; ++c) sum += std::exp(row[c] - greatest);
    const auto target = [&](int64_t c) {
      return indices ? (double)(c == label) : (double)p[(size_t)(r * classes + c)];
    };
    for (int64_t c = 0; c < classes; ++c) all += target(c);
    for (int64_t c = 0; c < classes; ++c) {
      want[(size_t)r] -= target(c) * (row[c] - greatest - std::log(sum));
      want_dx[(size_t)(r * classes + c)] = dloss[(size_t)r] * (std::exp(row[c] - greatest) / sum * all - target(c));
    }
  }
  if (!indices) a.p = p.data();
  else if (wide) a.labels = labels.data();
  else a.labels = narrow.data(), a.label_dtype = TERN_DTYPE_I32;
  a.y = loss.data();
  run(k.cross_entropy->loss, &a, rows, 0, loss.data(), loss.bytes());
  expect_close(loss.data(), want.data(), rows, 2e-6, 1e-5);
  a.y = dx.data();
  run(k.cross_entropy->gradient, &a, rows, 0, dx.data(), dx.bytes());
  expect_close(dx.data(), want_dx.data(), rows * classes, 1e-5, 2e-6 * (indices ? 1 : (double)classes));
  EXPECT_EQ(error, 0);
  if (!indices) return;
  labels[0] = classes, narrow[0] = (int32_t)-classes - 1;
  k.cross_entropy->gradient(&a, 0, 1, nullptr);
  EXPECT_EQ(error, 1);
  for (int64_t c = 0; c < classes; ++c) EXPECT_EQ(dx[(size_t)c], 0);
}

TEST(CrossEntropy, EqualsTheFormula) {
  for_each_set([](const Kernels& k) {
    for (const int64_t classes : {1, 7, 16, 130, 3000})
      for (const bool indices : {true, false})
        for (const bool wide : {true, false}) check(k, 5, classes, indices, wide);
  });
}

}  // namespace
}  // namespace tern::cpu::test
