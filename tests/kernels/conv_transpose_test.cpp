// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/conv_transpose.h"

#include "dense_test.h"

namespace tern::cpu::test {
namespace {

struct Shape {
  int64_t batch, h, w, c, n;
  int kh, kw, sh, sw, dh, dw, pt, pl;
  int extra_h, extra_w;  // rows and columns of the output beyond the full result less the padding at the top and left
  int groups;
};

void transpose_case(const Kernels& kernels, const Shape& s, int32_t half, int variant) {
  if (half == kF16 && variant % 3 == 0) transpose_case(kernels, s, kBf16, variant);
  SCOPED_TRACE(testing::Message() << s.batch << "x" << s.h << "x" << s.w << "x" << s.c << "->" << s.n << " k" << s.kh
                                  << "x" << s.kw << " s" << s.sh << "x" << s.sw << " d" << s.dh << "x" << s.dw << " p"
                                  << s.pt << "," << s.pl << " extra " << s.extra_h << "," << s.extra_w << " g"
                                  << s.groups
                                  << (half == kBf16 ? " bf16"
                                      : half        ? " f16"
                                                    : " f32")
                                  << " variant " << variant);
  ConvTransposeArgs a;
  a.batch = s.batch, a.in_h = s.h, a.in_w = s.w, a.in_c = s.c, a.out_c = s.n, a.groups = s.groups;
  a.out_h = (s.h - 1) * s.sh + (int64_t)(s.kh - 1) * s.dh + 1 - s.pt + s.extra_h;
  a.out_w = (s.w - 1) * s.sw + (int64_t)(s.kw - 1) * s.dw + 1 - s.pl + s.extra_w;
  if (a.out_h <= 0 || a.out_w <= 0) return;
  a.kernel_h = s.kh, a.kernel_w = s.kw, a.stride_h = s.sh, a.stride_w = s.sw, a.dilation_h = s.dh, a.dilation_w = s.dw;
  a.pad_top = s.pt, a.pad_left = s.pl, a.x_pixel = s.c + variant % 3, a.w_half = half;
  Random random((uint64_t)(s.h * 7919 + s.w * 104729 + s.c * 31 + s.n + variant));
  Guarded<float> x((size_t)((s.batch * s.h * s.w - 1) * a.x_pixel + s.c));
  fill(x, random);
  const int64_t c = s.c / s.groups, n = s.n / s.groups, k = (int64_t)s.kh * s.kw * c;
  const Weights w(random, s.groups, n, k, half);
  Output out(random, s.batch * a.out_h * a.out_w, s.n, variant % 2 * 5, variant);
  a.x = x.data(), a.w = w.data(), a.y = out.y.data(), a.y_pixel = out.stride, a.epilogue = out.e;

  std::vector<double> sums((size_t)(out.rows * s.n), 0), sizes(sums.size(), 0);  // scattered, as the definition says
  for (int64_t image = 0; image < s.batch; ++image)
    for (int64_t iy = 0; iy < s.h; ++iy)
      for (int64_t ix = 0; ix < s.w; ++ix)
        for (int64_t ky = 0; ky < s.kh; ++ky)
          for (int64_t kx = 0; kx < s.kw; ++kx) {
            const int64_t oy = iy * s.sh - s.pt + ky * s.dh, ox = ix * s.sw - s.pl + kx * s.dw;
            if (oy < 0 || oy >= a.out_h || ox < 0 || ox >= a.out_w) continue;
            for (int64_t j = 0; j < s.n; ++j)
              for (int64_t i = 0; i < c; ++i) {
                const double t = (double)x[(size_t)(((image * s.h + iy) * s.w + ix) * a.x_pixel + j / n * c + i)] *
                                 w.plain[(size_t)(j * k + (ky * s.kw + kx) * c + i)];
                const size_t at = (size_t)(((image * a.out_h + oy) * a.out_w + ox) * s.n + j);
                sums[at] += t, sizes[at] += std::fabs(t);
              }
          }
  out.run(kernels.conv_transpose->conv_transpose, &a, conv_transpose_units(a), conv_transpose_scratch_bytes(a));
  out.check(
      [&](int64_t pixel, int64_t j, double* size) {
        *size += sizes[(size_t)(pixel * s.n + j)];
        return sums[(size_t)(pixel * s.n + j)];
      },
      1e-6);
}

TEST(ConvTranspose, EqualsScatter) {
  for_each_set([](const Kernels& kernels) {
    transpose_case(kernels, {1, 5, 6, 24, 24, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0, 1}, false, 1);
    transpose_case(kernels, {2, 5, 6, 24, 1, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0, 1}, true, 0);
    transpose_case(kernels, {1, 5, 6, 9, 33, 4, 4, 2, 2, 1, 1, 1, 1, -1, -1, 1}, true, 2);
    transpose_case(kernels, {1, 5, 6, 9, 33, 3, 3, 2, 2, 1, 1, 1, 1, 0, 0, 1}, false, 3);
    // widened panel by panel
    transpose_case(kernels, {1, 2, 40, 130, 200, 4, 4, 2, 2, 1, 1, 1, 1, -1, -1, 1}, true, 9);
    for (int v = 0; v < 84; ++v)  // outputs side by side
      transpose_case(kernels, {1 + v % 2, 3, 9, 5, 1 + v % 4, 1 + v % 3, 2, 1 + v % 3, 2, 1, 1, 0, 0, 0, -(v % 2), 1},
                     v % 2, v * 3);
    Random random(11);
    for (int v = 0; v < 150; ++v) {
      const auto pick = [&](int lo, int hi) { return (int)random.integer(lo, hi); };
      const int groups = v % 3 == 0 ? pick(2, 3) : 1;
      transpose_case(
          kernels,
          {pick(1, 2), pick(1, 5), pick(1, 20), groups * pick(1, 9), groups * pick(1, 36), pick(1, 4), pick(1, 4),
           pick(1, 4), pick(1, 4), pick(1, 2), pick(1, 3), pick(0, 3), pick(0, 3), pick(-2, 2), pick(-2, 2), groups},
          v % 2, v);
    }
  });
}

}  // namespace
}  // namespace tern::cpu::test
