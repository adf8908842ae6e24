// SPDX-License-Identifier: Apache-2.0
#include "base/float16.h"
#include "base/panel.h"
#include "kernel_test.h"
#include "kernels/cpu/conv2d_input_grad.h"
#include "kernels/cpu/conv2d_weight_grad.h"

namespace tern::cpu::test {
namespace {

struct Sizes {
  int64_t batch, h, w, c, n;
  int kh, kw, sh, sw, dh, dw, pt, pl, groups;
};

template <class Args>
bool set_sizes(Args& a, const Sizes& s) {
  a.batch = s.batch, a.in_h = s.h, a.in_w = s.w;
  a.kernel_h = s.kh, a.kernel_w = s.kw, a.stride_h = s.sh, a.stride_w = s.sw, a.dilation_h = s.dh, a.dilation_w = s.dw;
  a.pad_top = s.pt, a.pad_left = s.pl;
  const int64_t room_h = s.h + s.pt - ((s.kh - 1) * s.dh + 1), room_w = s.w + s.pl - ((s.kw - 1) * s.dw + 1);
  a.out_h = room_h / s.sh + 1, a.out_w = room_w / s.sw + 1;
  return room_h >= 0 && room_w >= 0;
}

// Calls f(pixel of dy, pixel of x, tap) for everything that meets.
template <class Args, class F>
void for_each_tap(const Args& a, F f) {
  for (int64_t b = 0; b < a.batch; ++b)
    for (int64_t oy = 0; oy < a.out_h; ++oy)
      for (int64_t ox = 0; ox < a.out_w; ++ox)
        for (int64_t ky = 0; ky < a.kernel_h; ++ky)
          for (int64_t kx = 0; kx < a.kernel_w; ++kx) {
            const int64_t iy = oy * a.stride_h - a.pad_top + ky * a.dilation_h,
                          ix = ox * a.stride_w - a.pad_left + kx * a.dilation_w;
            if (iy >= 0 && iy < a.in_h && ix >= 0 && ix < a.in_w)
              f((b * a.out_h + oy) * a.out_w + ox, (b * a.in_h + iy) * a.in_w + ix, ky * a.kernel_w + kx);
          }
}

void weight_case(const Kernels& kernels, const Sizes& s, bool panels) {
  SCOPED_TRACE(testing::Message() << s.batch << "x" << s.h << "x" << s.w << "x" << s.c << "->" << s.n << " k" << s.kh
                                  << "x" << s.kw << " s" << s.sh << "x" << s.sw << " d" << s.dh << "x" << s.dw << " p"
                                  << s.pt << "," << s.pl << " g" << s.groups << (panels ? " panels" : ""));
  ConvWeightGradArgs a;
  if (!set_sizes(a, s)) return;
  a.in_c = s.c, a.out_c = s.n, a.groups = s.groups, a.panels = panels && s.groups == 1;
  Random random((uint64_t)(s.h * 7919 + s.w * 31 + s.c + s.n));
  Guarded<float> x((size_t)(s.batch * s.h * s.w * s.c)), dy((size_t)(s.batch * a.out_h * a.out_w * s.n));
  fill(x, random), fill(dy, random);
  const int64_t c = s.c / s.groups, n = s.n / s.groups, k = (int64_t)s.kh * s.kw * c;
  std::vector<double> plain((size_t)(s.n * k), 0);
  for_each_tap(a, [&](int64_t to, int64_t from, int64_t tap) {
    for (int64_t o = 0; o < s.n; ++o)
      for (int64_t i = 0; i < c; ++i)
        plain[(size_t)(o * k + tap * c + i)] +=
            (double)dy[(size_t)(to * s.n + o)] * x[(size_t)(from * s.c + o / n * c + i)];
  });
  const int64_t elements = conv_weight_grad_elements(a), segments = conv_weight_grad_segments(a);
  std::vector<double> want((size_t)elements, 0);
  for (int64_t o = 0; o < s.n; ++o)
    for (int64_t j = 0; j < k; ++j)
      want[(size_t)(a.panels ? panel_index(o, j, s.n, k) : o * k + j)] = plain[(size_t)(o * k + j)];
  Guarded<float> dw((size_t)elements), partial((size_t)(segments > 1 ? segments * elements : 0));
  a.x = x.data(), a.dy = dy.data(), a.dw = dw.data(), a.partial = partial.data();
  Guarded<float>& sums = segments > 1 ? partial : dw;
  run(kernels.conv2d_weight_grad->sums, &a, conv_weight_grad_units(a), conv_weight_grad_scratch_bytes(a), sums.data(),
      sums.bytes());
  if (segments > 1) run(kernels.conv2d_weight_grad->join, &a, conv_weight_grad_join_units(a), 0, dw.data(), dw.bytes());
  const double many = (double)(s.batch * a.out_h * a.out_w);
  expect_close(dw.data(), want.data(), elements, 1e-6, 4e-6 * std::sqrt(many) + 1e-6);
}

TEST(Conv2dGrad, WeightsEqualSums) {
  for_each_set([](const Kernels& kernels) {
    for (const bool panels : {false, true}) {
      weight_case(kernels, {4, 28, 28, 1, 12, 3, 3, 1, 1, 1, 1, 1, 1, 1}, panels);  // several segments
      weight_case(kernels, {1, 7, 6, 40, 130, 3, 3, 1, 1, 1, 1, 1, 1, 1}, panels);  // several blocks
      weight_case(kernels, {2, 40, 33, 5, 36, 2, 5, 2, 1, 1, 2, 0, 3, 1}, panels);
      weight_case(kernels, {1, 1, 1, 3, 33, 1, 1, 1, 1, 1, 1, 0, 0, 1}, panels);
    }
    weight_case(kernels, {2, 9, 8, 70, 70, 3, 3, 2, 1, 1, 2, 1, 0, 70}, false);  // depthwise
    weight_case(kernels, {4, 40, 20, 6, 6, 3, 2, 1, 1, 1, 1, 1, 1, 6}, false);   // in segments
    Random random(3);
    for (int v = 0; v < 60; ++v) {
      const auto pick = [&](int lo, int hi) { return (int)random.integer(lo, hi); };
      const int groups = v % 3 == 0 ? pick(2, 3) : 1;
      weight_case(kernels,
                  {pick(1, 2), pick(1, 9), pick(1, 20), groups * pick(1, 9), groups * pick(1, 40), pick(1, 4),
                   pick(1, 4), pick(1, 3), pick(1, 3), pick(1, 2), pick(1, 3), pick(0, 3), pick(0, 3), groups},
                  v % 3);
    }
  });
}

void input_case(const Kernels& kernels, const Sizes& s, int32_t format) {
  DepthwiseInputGradArgs a;
  if (!set_sizes(a, s)) return;
  a.channels = s.c, a.w_half = format;
  Random random((uint64_t)(s.h * 7919 + s.w * 31 + s.c));
  Guarded<float> dy((size_t)(s.batch * a.out_h * a.out_w * s.c)), w((size_t)(s.kh * s.kw * s.c)),
      dx((size_t)(s.batch * s.h * s.w * s.c));
  fill(dy, random), fill(w, random);
  Guarded<uint16_t> half(w.size());
  for (size_t i = 0; i < w.size() && format; ++i) {
    half[i] = format == kBf16 ? f32_to_bf16(w[i]) : f32_to_f16(w[i]);
    w[i] = format == kBf16 ? bf16_to_f32(half[i]) : f16_to_f32(half[i]);
  }
  std::vector<double> want(dx.size(), 0);
  for_each_tap(a, [&](int64_t to, int64_t from, int64_t tap) {
    for (int64_t i = 0; i < s.c; ++i)
      want[(size_t)(from * s.c + i)] += (double)dy[(size_t)(to * s.c + i)] * w[(size_t)(tap * s.c + i)];
  });
  a.dy = dy.data(), a.w = format ? (const void*)half.data() : w.data(), a.dx = dx.data();
  run(kernels.conv2d_input_grad->depthwise, &a, depthwise_input_grad_units(a), depthwise_input_grad_scratch_bytes(a),
      dx.data(), dx.bytes());
  expect_close(dx.data(), want.data(), (int64_t)dx.size(), 1e-6, 1e-5);
}

TEST(Conv2dGrad, DepthwiseInputsEqualSums) {
  for_each_set([](const Kernels& kernels) {
    Random random(4);
    for (int v = 0; v < 80; ++v) {
      const auto pick = [&](int lo, int hi) { return (int)random.integer(lo, hi); };
      const int c = pick(2, 37);
      input_case(kernels,
                 {pick(1, 2), pick(1, 9), pick(1, 12), c, c, pick(1, 4), pick(1, 4), pick(1, 3), pick(1, 3), pick(1, 2),
                  pick(1, 3), pick(0, 3), pick(0, 3), c},
                 v % 3);
    }
  });
}

}  // namespace
}  // namespace tern::cpu::test
