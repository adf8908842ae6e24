// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/pool_grad.h"

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

void check(const Kernels& k, PoolGradArgs a, bool ceil_mode, uint64_t seed) {
  for (int d = 0; d < 2; ++d) {
    const int64_t span = (a.kernel[d] - 1) * a.dilation[d] + 1, room = a.in[d] + a.pad[d] + a.pad_end[d] - span;
    if (room < 0) return;
    a.windows[d] = (ceil_mode ? (room + a.stride[d] - 1) / a.stride[d] : room / a.stride[d]) + 1;
  }
  const int64_t in = a.in[0] * a.in[1], windows = a.windows[0] * a.windows[1];
  Guarded<float> x((size_t)(a.batch * in * a.channels)), z(x.size()), dy((size_t)(a.batch * windows * a.channels));
  Random random(seed);
  for (size_t i = 0; i < x.size(); ++i) x[i] = random.integer(0, 30) ? (float)random.integer(-3, 3) : NAN;
  fill(z, random), fill(dy, random);
  const bool adds = pool_grad_adds(a);
  Guarded<float> out(adds ? x.size() : dy.size());
  Guarded<int64_t> winners(dy.size());
  a.x = x.data(), a.dy = adds ? dy.data() : z.data(), a.out = out.data(), a.winners = winners.data();
  std::vector<double> want(out.size(), 0);
  std::vector<int64_t> places(dy.size(), 0);
  for (size_t i = 0; i < dy.size(); ++i) {
    const int64_t c = (int64_t)i % a.channels, p = (int64_t)i / a.channels, b = p / windows;
    const int64_t o[2] = {p / a.windows[1] % a.windows[0], p % a.windows[1]};
    std::vector<int64_t> cells;
    double padded = 0;
    int64_t winner = -1;
    for (int64_t t = 0; t < a.kernel[0] * a.kernel[1]; ++t) {
      const int64_t tap[2] = {t / a.kernel[1], t % a.kernel[1]};
      int64_t at = b;
      bool in_picture = true, in_pad = true;
      for (int d = 0; d < 2; ++d) {
        const int64_t j = o[d] * a.stride[d] - a.pad[d] + tap[d] * a.dilation[d];
        in_picture &= j >= 0 && j < a.in[d];
        in_pad &= j < a.in[d] + a.pad_end[d];
        at = at * a.in[d] + j;
      }
      padded += in_pad;
      if (!in_picture) continue;
      cells.push_back(at * a.channels + c);
      const float v = x[(size_t)cells.back()], best = winner < 0 ? 0 : x[(size_t)winner];
      if (winner < 0 || v > best || (std::isnan(v) && !std::isnan(best))) winner = cells.back();
    }
    if (winner >= 0) places[i] = winner / a.channels % in;
    if (a.kind == PoolGrad::pick) want[i] = winner >= 0 ? z[(size_t)winner] : 0;
    if (a.kind == PoolGrad::max && winner >= 0) want[(size_t)winner] += dy[i];
    if (a.kind == PoolGrad::average || a.kind == PoolGrad::average_include_pad)
      for (const int64_t cell : cells)
        want[(size_t)cell] += dy[i] / (a.kind == PoolGrad::average ? (double)cells.size() : padded);
  }
  if (a.kind == PoolGrad::index) {
    run(k.pool_grad->pool_grad, &a, pool_grad_units(a), 0, winners.data(), winners.bytes());
    for (size_t i = 0; i < places.size(); ++i) ASSERT_EQ(winners[i], places[i]) << i;
  } else {
    run(k.pool_grad->pool_grad, &a, pool_grad_units(a), 0, out.data(), out.bytes());
    expect_close(out.data(), want.data(), (int64_t)want.size(), 1e-6, 1e-5);
  }
}

TEST(PoolGradKernels, EqualTheWindows) {
  for_each_set([](const Kernels& k) {
    Random random(5);
    for (int i = 0; i < 400; ++i) {
      PoolGradArgs a;
      a.kind = (PoolGrad)(i % 5);
      a.batch = random.integer(0, 2), a.channels = random.integer(1, i % 3 ? 20 : 90);
      for (int d = 0; d < 2; ++d) {
        a.in[d] = random.integer(1, 9), a.kernel[d] = random.integer(1, 4), a.stride[d] = random.integer(1, 3);
        a.dilation[d] = random.integer(1, 2), a.pad[d] = random.integer(0, a.kernel[d] - 1),
        a.pad_end[d] = random.integer(0, a.kernel[d] - 1);
      }
      check(k, a, i % 2, (uint64_t)i);
    }
  });
}

}  // namespace
}  // namespace tern::cpu::test
