// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/conv.h"

#include "dense_test.h"

namespace tern::cpu::test {
namespace {

struct Shape {
  int64_t batch, h, w, c, n;
  int kh, kw, sh, sw, dh, dw, pt, pl, pb, pr, groups;
};

int64_t out_size(int64_t in, int k, int s, int d, int p0, int p1) {
  const int64_t span = (int64_t)(k - 1) * d + 1, room = in + p0 + p1 - span;
  return room < 0 ? 0 : room / s + 1;
}

void conv_case(const Kernels& kernels, const Shape& s, ConvMethod method, int32_t half, int variant) {
  if (half == kF16 && variant % 3 == 0) conv_case(kernels, s, method, kBf16, variant);
  SCOPED_TRACE(testing::Message() << s.batch << "x" << s.h << "x" << s.w << "x" << s.c << "->" << s.n << " k" << s.kh
                                  << "x" << s.kw << " s" << s.sh << "x" << s.sw << " d" << s.dh << "x" << s.dw << " p"
                                  << s.pt << "," << s.pl << "," << s.pb << "," << s.pr << " g" << s.groups << " method "
                                  << (int)method
                                  << (half == kBf16 ? " bf16"
                                      : half        ? " f16"
                                                    : " f32")
                                  << " variant " << variant);
  ConvArgs a;
  a.batch = s.batch, a.in_h = s.h, a.in_w = s.w, a.in_c = s.c, a.out_c = s.n;
  a.out_h = out_size(s.h, s.kh, s.sh, s.dh, s.pt, s.pb), a.out_w = out_size(s.w, s.kw, s.sw, s.dw, s.pl, s.pr);
  if (a.out_h == 0 || a.out_w == 0) return;
  a.kernel_h = s.kh, a.kernel_w = s.kw, a.stride_h = s.sh, a.stride_w = s.sw, a.dilation_h = s.dh, a.dilation_w = s.dw;
  a.pad_top = s.pt, a.pad_left = s.pl, a.groups = s.groups, a.method = method;
  a.x_pixel = s.c + variant % 3 * 2;
  Random random((uint64_t)(s.h * 7919 + s.w * 104729 + s.c * 31 + s.n + variant));
  Guarded<float> x((size_t)((s.batch * s.h * s.w - 1) * a.x_pixel + s.c));
  fill(x, random);
  const int64_t c = s.c / s.groups, n = s.n / s.groups, k = (int64_t)s.kh * s.kw * c;
  const Weights w(random, s.groups, n, k, half);
  a.x = x.data(), a.w = w.data(), a.w_half = half;
  Guarded<float> u(method == ConvMethod::direct ? 0 : (size_t)conv_winograd_elements(n, c), 64);
  if (method != ConvMethod::direct) {
    ConvWinogradWeightsArgs t;
    t.w = w.data(), t.u = u.data(), t.out_c = n, t.in_c = c, t.w_half = half;
    run(kernels.conv->winograd_weights, &t, conv_winograd_weights_units(t), 0, u.data(), u.bytes());
    a.w = u.data(), a.w_half = 0;
  }
  Output out(random, s.batch * a.out_h * a.out_w, s.n, variant % 2 * 5, variant);
  a.y = out.y.data(), a.y_pixel = out.stride, a.epilogue = out.e;
  out.run(kernels.conv->conv, &a, conv_units(a), conv_scratch_bytes(a));
  out.check(
      [&](int64_t pixel, int64_t j, double* size) {
        const int64_t ox = pixel % a.out_w, oy = pixel / a.out_w % a.out_h, image = pixel / a.out_w / a.out_h,
                      g = j / n;
        double sum = 0;
        for (int64_t ky = 0; ky < s.kh; ++ky)
          for (int64_t kx = 0; kx < s.kw; ++kx) {
            const int64_t iy = oy * s.sh - s.pt + ky * s.dh, ix = ox * s.sw - s.pl + kx * s.dw;
            if (iy < 0 || iy >= s.h || ix < 0 || ix >= s.w) continue;
            for (int64_t i = 0; i < c; ++i) {
              const double t = (double)x[(size_t)(((image * s.h + iy) * s.w + ix) * a.x_pixel + g * c + i)] *
                               w.plain[(size_t)(j * k + (ky * s.kw + kx) * c + i)];
              sum += t, *size += std::fabs(t);
            }
          }
        return sum;
      },
      method == ConvMethod::winograd ? 4e-6 : 1e-6);
}

TEST(Conv, PointwiseAndStrided) {
  for_each_set([](const Kernels& kernels) {
    int v = 0;
    for (int64_t c : {1, 3, 8, 17})
      for (int64_t n : {5, 16, 24, 70}) {
        conv_case(kernels, {2, 5, 7, c, n, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1}, ConvMethod::direct, v % 2, v);
        ++v;
        conv_case(kernels, {1, 6, 9, c, n, 1, 1, 2, 2, 1, 1, 0, 0, 0, 0, 1}, ConvMethod::direct, v % 2, v);
        ++v;
      }
    conv_case(kernels, {1, 1, 1, 33, 65, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1}, ConvMethod::direct, true, 1);
    conv_case(kernels, {1, 4, 4, 12, 18, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 3}, ConvMethod::direct, true, 2);
    conv_case(kernels, {1, 3, 3, 4, 6, 1, 1, 1, 1, 1, 1, 1, 2, 2, 1, 1}, ConvMethod::direct, false, 2);
  });
}

TEST(Conv, RowsOfLargeMaps) {
  for_each_set([](const Kernels& kernels) {
    int v = 0;
    for (int64_t c : {1, 2, 3, 4, 9})
      for (int k : {2, 3, 5})
        for (int s : {1, 2, 3}) {
          conv_case(kernels, {1 + v % 2, 9, 26 * s, c, 5 + v % 40, k, k, s, s, 1, 1, k / 2, k / 2, k / 2, k / 2, 1},
                    ConvMethod::direct, v % 2, v);
          ++v;
        }
    conv_case(kernels, {2, 9, 31, 6, 12, 3, 3, 1, 1, 2, 2, 2, 2, 2, 2, 1}, ConvMethod::direct, true, 0);
    // rows used in place
    conv_case(kernels, {1, 9, 30, 6, 12, 3, 2, 1, 1, 1, 1, 0, 0, 0, 0, 1}, ConvMethod::direct, true, 0);
    conv_case(kernels, {1, 9, 30, 6, 12, 3, 2, 4, 1, 1, 1, 0, 0, 0, 0, 1}, ConvMethod::direct, false, 1);
    // more padding than rows
    conv_case(kernels, {1, 2, 24, 3, 6, 3, 3, 1, 1, 1, 1, 5, 4, 5, 6, 1}, ConvMethod::direct, false, 0);
    conv_case(kernels, {1, 1, 1, 3, 6, 3, 3, 1, 1, 1, 1, 9, 30, 9, 9, 1}, ConvMethod::direct, false, 3);
    // widened panel by panel
    conv_case(kernels, {1, 5, 24, 96, 90, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1}, ConvMethod::direct, true, 1);
  });
}

TEST(Conv, GatheredPixelsAndGroups) {
  for_each_set([](const Kernels& kernels) {
    Random random(3);
    for (int v = 0; v < 120; ++v) {
      const auto pick = [&](int lo, int hi) { return (int)random.integer(lo, hi); };
      const int groups = v % 3 == 0 ? pick(2, 4) : 1;
      const Shape s = {pick(1, 2),           pick(1, 9), pick(1, 9), groups * pick(1, 9),
                       groups * pick(1, 40), pick(1, 4), pick(1, 4), pick(1, 3),
                       pick(1, 3),           pick(1, 2), pick(1, 2), pick(0, 4),
                       pick(0, 4),           pick(0, 4), pick(0, 4), groups};
      conv_case(kernels, s, ConvMethod::direct, v % 2, v);
    }
    // groups of panels
    conv_case(kernels, {1, 6, 6, 300, 200, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1}, ConvMethod::direct, true, 0);
    conv_case(kernels, {1, 7, 7, 8, 8, 7, 7, 1, 1, 1, 1, 0, 0, 0, 0, 1}, ConvMethod::direct, false, 0);
  });
}

TEST(Conv, FewOutputs) {
  for_each_set([](const Kernels& kernels) {
    int v = 0;
    for (int64_t n : {1, 2, 3, 4})
      for (int64_t c : {3, 8, 16, 33})
        for (int64_t w : {1, 5, 16, 37}) {
          conv_case(kernels, {1 + v % 2, 4, w, c, n, 3, 3, 1 + v % 3 / 2, 1 + v % 3 / 2, 1, 1, 1, 1, 1, 1, 1},
                    ConvMethod::direct, v % 2, v);
          ++v;
        }
    conv_case(kernels, {1, 5, 20, 8, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1}, ConvMethod::direct, true, 4);
    conv_case(kernels, {1, 7, 20, 9, 2, 3, 3, 1, 1, 2, 2, 2, 2, 2, 2, 1}, ConvMethod::direct, true, 4);
    for (int i = 0; i < 84; ++i)
      conv_case(kernels, {1, 3, 11, 8, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1}, ConvMethod::direct, i % 2, i * 6);
    for (int i = 0; i < 24; ++i)
      conv_case(kernels, {1, 3, 11, 8, 2, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1}, ConvMethod::direct, i % 2, i);
  });
}

TEST(Conv, Winograd) {
  for_each_set([](const Kernels& kernels) {
    int v = 0;
    for (int64_t h : {1, 2, 3, 5, 8})
      for (int64_t w : {1, 4, 7, 13})
        for (int p : {0, 1, 2}) {
          conv_case(kernels, {1 + v % 2, h, w, 1 + v * 5 % 35, 1 + v * 7 % 45, 3, 3, 1, 1, 1, 1, p, p, p, p, 1},
                    ConvMethod::winograd, v % 2, v);
          ++v;
        }
    for (int i = 0; i < 84; ++i)
      conv_case(kernels, {1, 5, 6, 7, 20, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1}, ConvMethod::winograd, i % 2, i);
    conv_case(kernels, {2, 20, 22, 40, 48, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1}, ConvMethod::winograd, false, 1);
  });
}

}  // namespace
}  // namespace tern::cpu::test
