// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/depthwise.h"

#include "dense_test.h"

namespace tern::cpu::test {
namespace {

struct Shape {
  int64_t batch, h, w, c;
  int multiplier, kh, kw, sh, sw, dh, dw, pt, pl, pb, pr;
  int depth = 1;  // inputs of a group
  bool transposed = false;
};

void depthwise_case(const Kernels& kernels, const Shape& s, int32_t half, int variant, int64_t gap) {
  if (half == kF16 && variant % 3 == 0) depthwise_case(kernels, s, kBf16, variant, gap);
  SCOPED_TRACE(testing::Message() << s.batch << "x" << s.h << "x" << s.w << "x" << s.c << " x" << s.multiplier << " k"
                                  << s.kh << "x" << s.kw << " s" << s.sh << "x" << s.sw << " d" << s.dh << "x" << s.dw
                                  << " p" << s.pt << "," << s.pl << "," << s.pb << "," << s.pr
                                  << (half == kBf16 ? " bf16"
                                      : half        ? " f16"
                                                    : " f32")
                                  << " variant " << variant << " gap " << gap << " groups of " << s.depth
                                  << (s.transposed ? " transposed" : ""));
  const auto out_size = [&](int64_t in, int k, int st, int d, int p) {
    if (s.transposed) return std::max<int64_t>((in - 1) * st + (int64_t)(k - 1) * d + 1 - p, 0);
    const int64_t room = in + p - ((int64_t)(k - 1) * d + 1);
    return room < 0 ? 0 : room / st + 1;
  };
  DepthwiseArgs a;
  a.batch = s.batch, a.in_h = s.h, a.in_w = s.w, a.channels = s.c, a.multiplier = s.multiplier;
  a.group_in = s.depth, a.transposed = s.transposed;
  a.out_h = out_size(s.h, s.kh, s.sh, s.dh, s.pt + s.pb), a.out_w = out_size(s.w, s.kw, s.sw, s.dw, s.pl + s.pr);
  if (a.out_h == 0 || a.out_w == 0) return;
  a.kernel_h = s.kh, a.kernel_w = s.kw, a.stride_h = s.sh, a.stride_w = s.sw, a.dilation_h = s.dh, a.dilation_w = s.dw;
  a.pad_top = s.pt, a.pad_left = s.pl, a.x_pixel = s.c + gap;
  Random random((uint64_t)(s.h * 7919 + s.w * 104729 + s.c * 31 + variant));
  Guarded<float> x((size_t)((s.batch * s.h * s.w - 1) * a.x_pixel + s.c));
  fill(x, random);
  const int64_t n = s.c / s.depth * s.multiplier;
  const Weights w(random, 1, s.kh * s.kw * s.depth, n, half, false);
  Output out(random, s.batch * a.out_h * a.out_w, n, gap, variant);
  a.x = x.data(), a.w = w.data(), a.y = out.y.data(), a.w_half = half, a.y_pixel = out.stride, a.epilogue = out.e;
  out.run(kernels.depthwise->depthwise, &a, depthwise_units(a), depthwise_scratch_bytes(a));
  out.check(
      [&](int64_t pixel, int64_t j, double* size) {
        const int64_t ox = pixel % a.out_w, oy = pixel / a.out_w % a.out_h, image = pixel / a.out_w / a.out_h;
        double sum = 0;
        for (int64_t ky = 0; ky < s.kh; ++ky)
          for (int64_t kx = 0; kx < s.kw; ++kx) {
            int64_t iy = oy * s.sh - s.pt + ky * s.dh, ix = ox * s.sw - s.pl + kx * s.dw;
            if (s.transposed) {
              iy = oy + s.pt - ky * s.dh, ix = ox + s.pl - kx * s.dw;
              if (iy % s.sh != 0 || ix % s.sw != 0) continue;
              iy /= s.sh, ix /= s.sw;
            }
            if (iy < 0 || iy >= s.h || ix < 0 || ix >= s.w) continue;
            for (int64_t i = 0; i < s.depth; ++i) {
              const int64_t at = ((image * s.h + iy) * s.w + ix) * a.x_pixel + j / s.multiplier * s.depth + i;
              const double t = (double)x[(size_t)at] * w.plain[(size_t)(((ky * s.kw + kx) * s.depth + i) * n + j)];
              sum += t, *size += std::fabs(t);
            }
          }
        return sum;
      },
      1e-6);
}

TEST(Depthwise, TunedKernels) {
  for_each_set([](const Kernels& kernels) {
    int v = 0;
    for (int k : {3, 5})
      for (const auto& [sy, sx] : {std::pair(1, 1), std::pair(2, 2), std::pair(2, 1)})
        for (int64_t h : {1, 2, 5, 8})
          for (int64_t w : {1, 4, 7, 10, 21})
            for (int64_t c : {1, 8, 16, 24, 35}) {
              const int p = v % 4 ? k / 2 : v / 4 % 4;
              depthwise_case(kernels, {1 + v % 2, h, w, c, 1, k, k, sy, sx, 1, 1, p, p, p, p}, v % 2, v, v % 3 ? 0 : 3);
              ++v;
            }
    for (int i = 0; i < 84; ++i)
      depthwise_case(kernels, {1, 5, 12, 20, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, false, i, i % 2);
    for (int i = 0; i < 84; ++i) depthwise_case(kernels, {1, 5, 24, 8, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, false, i, 0);
  });
}

// Taps that lie apart, and rows of taps that slide over the inputs.
TEST(Depthwise, DilatedAndWide) {
  for_each_set([](const Kernels& kernels) {
    int v = 0;
    for (int k : {3, 5})
      for (int dh : {1, 2, 3, 17})
        for (int dw : {1, 2, 3, 5})
          for (int64_t w : {9, 16, 27})
            for (int64_t c : {3, 16, 35}) {
              if (dh * dw == 1) continue;
              const int p = v % 7, q = v % 5, wide = k / 2 * dw;
              depthwise_case(kernels,
                             {1 + v % 2, 7, w, c, 1, k, k, 1, 1, dh, dw, k / 2 * dh, v % 3 ? wide : p, k / 2 * dh + 1,
                              v % 3 ? wide : (k - 1) * dw + q},
                             v % 2, v, v % 3 ? 0 : 3);
              ++v;
            }
    for (int kw : {3, 7})
      for (int sx : {1, 2, 3})
        for (int dw : {1, 2})
          for (int multiplier : {1, 2})
            for (int64_t w : {8, 19, 40})
              for (int64_t c : {5, 16, 33}) {
                const int p = v % 4 ? kw / 2 * dw : v % 5;
                depthwise_case(kernels, {1, 6, w, c, multiplier, 1 + v % 7, kw, 1 + v % 2, sx, 1, dw, 3, p, 3, kw * dw},
                               v % 2, v, v % 3 ? 0 : 3);
                ++v;
              }
  });
}

// Filters of one tap, of groups that share a vector and of others.
TEST(Depthwise, Pointwise) {
  for_each_set([](const Kernels& kernels) {
    int v = 0;
    for (int depth : {1, 2, 3, 4, 8, 20})
      for (int multiplier : {1, 2, 4, 5, 18})
        for (int groups : {1, 3, 8})
          for (int s : {1, 2})
            for (int64_t w : {1, 7, 21}) {
              const int p = v % 5 == 4;
              depthwise_case(kernels,
                             {1 + v % 2, 5, w, groups * depth, multiplier, 1, 1, s, 3 - s, 1, 1, p, 0, 0, p, depth},
                             v % 2, v, v % 3 ? 0 : 3);
              ++v;
            }
  });
}

TEST(Depthwise, AnyShape) {
  for_each_set([](const Kernels& kernels) {
    Random random(5);
    for (int v = 0; v < 200; ++v) {
      const auto pick = [&](int lo, int hi) { return (int)random.integer(lo, hi); };
      depthwise_case(kernels,
                     {pick(1, 2), pick(1, 9), pick(1, 9), pick(1, 70), v % 4 ? 1 : pick(1, 3), pick(1, 7), pick(1, 7),
                      pick(1, 3), pick(1, 3), pick(1, 3), pick(1, 3), pick(0, 5), pick(0, 5), pick(0, 5), pick(0, 5)},
                     v % 2, v, pick(0, 3));
    }
    for (int v = 0; v < 300; ++v) {
      const auto pick = [&](int lo, int hi) { return (int)random.integer(lo, hi); };
      const int depth = v % 3 ? pick(1, 9) : 1;
      depthwise_case(
          kernels,
          {pick(1, 2), pick(1, 20), pick(1, 30), pick(1, 9) * depth, pick(1, 20), pick(1, 5), pick(1, 5), pick(1, 3),
           pick(1, 3), pick(1, 3), pick(1, 3), pick(0, 3), pick(0, 3), pick(0, 3), pick(0, 3), depth, v % 2 == 1},
          v % 5 == 0, v, pick(0, 3));
    }
    depthwise_case(kernels, {1, 7, 7, 512, 1, 7, 7, 1, 1, 1, 1, 0, 0, 0, 0}, true, 0, 0);  // one pixel of the whole map
  });
}

}  // namespace
}  // namespace tern::cpu::test
