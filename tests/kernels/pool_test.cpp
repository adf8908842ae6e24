// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/pool.h"

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

void check(const Kernels& k, PoolArgs a, bool ceil_mode) {
  for (int d = 0; d < 3; ++d) {
    const int64_t span = (a.kernel[d] - 1) * a.dilation[d] + 1, room = a.in[d] + a.pad[d] + a.pad_end[d] - span;
    if (room < 0) return;
    a.out[d] = (ceil_mode ? (room + a.stride[d] - 1) / a.stride[d] : room / a.stride[d]) + 1;
  }
  const int64_t in = a.in[0] * a.in[1] * a.in[2], out = a.out[0] * a.out[1] * a.out[2];
  Guarded<float> x(a.batch * in * a.channels), y(a.batch * out * a.channels);
  Random random(1);
  for (size_t i = 0; i < x.size(); ++i) x[i] = (float)random.integer(-9, 9);
  a.x = x.data(), a.y = y.data();
  run(k.pool->pool, &a, units(a), 0, y.data(), y.bytes());
  std::vector<double> want(y.size());
  for (size_t i = 0; i < y.size(); ++i) {
    const int64_t c = (int64_t)i % a.channels, p = (int64_t)i / a.channels;
    const int64_t o[3] = {p / a.out[2] / a.out[1] % a.out[0], p / a.out[2] % a.out[1], p % a.out[2]}, b = p / out;
    double m = a.kind == Pool::max ? -INFINITY : 0, inside = 0, padded = 0;
    for (int64_t w = 0; w < a.kernel[0] * a.kernel[1] * a.kernel[2]; ++w) {
      const int64_t kk[3] = {w / a.kernel[2] / a.kernel[1], w / a.kernel[2] % a.kernel[1], w % a.kernel[2]};
      int64_t at = 0;
      bool in_picture = true, in_pad = true;
      for (int d = 0; d < 3; ++d) {
        const int64_t j = o[d] * a.stride[d] - a.pad[d] + kk[d] * a.dilation[d];
        in_picture &= j >= 0 && j < a.in[d];
        in_pad &= j < a.in[d] + a.pad_end[d];
        at = at * a.in[d] + j;
      }
      padded += in_pad;
      if (!in_picture) continue;
      ++inside;
      const double v = x[(b * in + at) * a.channels + c];
      if (a.kind == Pool::max) {
        if (v > m) m = v;
      } else {
        m += a.kind == Pool::lp2 ? v * v : v;
      }
    }
    if (a.kind == Pool::average && inside > 0) m /= inside;
    if (a.kind == Pool::average_include_pad) m /= padded > 0 ? padded : 1;
    if (a.kind == Pool::lp2) m = std::sqrt(m);
    want[i] = m;
  }
  expect_close(y.data(), want.data(), (int64_t)want.size(), 1e-6, 1e-6);
}

TEST(PoolKernels, TwoAxes) {
  for_each_set([](const Kernels& k) {
    Random random(5);
    for (int i = 0; i < 300; ++i) {
      PoolArgs a;
      a.kind = (Pool)(i % 4);
      a.batch = random.integer(0, 2), a.channels = random.integer(1, i % 3 ? 20 : 150);
      for (int d = 1; d < 3; ++d) {
        a.in[d] = random.integer(1, 9), a.kernel[d] = random.integer(1, 4), a.stride[d] = random.integer(1, 3);
        a.dilation[d] = random.integer(1, 2), a.pad[d] = random.integer(0, a.kernel[d] - 1),
        a.pad_end[d] = random.integer(0, a.kernel[d] - 1);
      }
      check(k, a, i % 2);
    }
  });
}

TEST(PoolKernels, ThreeAxesAndGlobal) {
  for_each_set([](const Kernels& k) {
    for (int kind = 0; kind < 4; ++kind) {
      PoolArgs a;
      a.kind = (Pool)kind, a.batch = 2, a.channels = 5;
      for (int d = 0; d < 3; ++d) a.in[d] = 4 + d, a.kernel[d] = 2, a.stride[d] = 2, a.pad[d] = 1;
      check(k, a, true);
      for (int d = 0; d < 3; ++d) a.kernel[d] = a.in[d], a.pad[d] = 0;
      check(k, a, false);
    }
  });
}

}  // namespace
}  // namespace tern::cpu::test
