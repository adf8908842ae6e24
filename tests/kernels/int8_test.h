// SPDX-License-Identifier: Apache-2.0
// What the tests of 8-bit products share.
#pragma once
#include "kernel_test.h"
#include "kernels/cpu/matmul_int8.h"

namespace tern::cpu::test {

inline int32_t value_of(uint8_t code, bool is_signed) { return is_signed ? (int8_t)code : code; }

// What an ending makes of a sum.
inline void expect_result(const Int8Ending& e, const uint8_t* got, int64_t column, int64_t sum) {
  const int32_t s = (int32_t)(sum + (e.bias ? e.bias[column] : 0));
  if (e.y_dtype == TERN_DTYPE_I32) {
    int32_t v;
    std::memcpy(&v, got, 4);
    ASSERT_EQ(v, s);
    return;
  }
  float want = (float)s * e.scale[e.scale_step ? column : 0];
  if (e.shift) want = want + e.shift[column];
  if (e.y_dtype == TERN_DTYPE_F32) {
    float v;
    std::memcpy(&v, got, 4);
    ASSERT_EQ(v, want);
    return;
  }
  const float q = std::nearbyintf(want) + (float)e.points[0];
  const float code = q < (float)e.points[1] ? (float)e.points[1] : q > (float)e.points[2] ? (float)e.points[2] : q;
  ASSERT_EQ(value_of(*got, e.y_dtype == TERN_DTYPE_I8), (int)code);
}

// Weights, endings and zero points of n outputs of k terms, extremes too. small_weights: of 7 bits.
struct Given {
  Guarded<int8_t> w, packed;
  Guarded<int32_t> w_zero, bias, points;
  Guarded<float> scale, shift;
  Given(int64_t n, int64_t k, int64_t groups, bool small_weights, Random& random)
      : w((size_t)(groups * n * k)),
        packed((size_t)(groups * packed_int8_bytes(n, k)), 64),
        w_zero((size_t)(groups * n)),
        bias((size_t)(groups * n)),
        points(3),
        scale((size_t)(groups * n)),
        shift((size_t)(groups * n)) {
    for (size_t i = 0; i < w.size(); ++i)
      w[i] = small_weights          ? (int8_t)random.integer(-64, 64)
             : random.integer(0, 3) ? (int8_t)random.next()
                                    : (int8_t)-128;
    for (size_t i = 0; i < w_zero.size(); ++i)
      w_zero[i] = (int32_t)random.integer(-5, 5), bias[i] = (int32_t)random.integer(-1000, 1000);
    fill(scale, random, 1e-5f, 1e-3f), fill(shift, random, -9, 9);
  }
  Int8Ending ending(int32_t y_dtype, bool all) {
    Int8Ending e;
    e.y_dtype = y_dtype;
    e.scale = scale.data(), e.scale_step = all;
    if (all) e.bias = bias.data(), e.shift = shift.data();
    points[0] = 3, points[1] = y_dtype == TERN_DTYPE_U8 ? 0 : -128, points[2] = y_dtype == TERN_DTYPE_U8 ? 250 : 127;
    e.points = points.data();
    return e;
  }
};
inline void fill_codes(Guarded<uint8_t>& x, bool is_signed, Random& random) {
  for (size_t i = 0; i < x.size(); ++i) x[i] = random.integer(0, 3) ? (uint8_t)random.next() : is_signed ? 0x80 : 0xff;
}

struct Picture {
  int64_t batch, h, w, channels, outputs, groups;
  int32_t kernel_h, kernel_w, stride, dilation, pad;
};
inline Int8Window window_of(const Picture& p) {
  Int8Window w;
  w.batch = p.batch, w.in_h = p.h, w.in_w = p.w, w.in_c = p.channels;
  w.kernel_h = p.kernel_h, w.kernel_w = p.kernel_w;
  w.stride_h = w.stride_w = p.stride, w.dilation_h = w.dilation_w = p.dilation, w.pad_top = w.pad_left = p.pad;
  w.out_h = (p.h + 2 * p.pad - (p.kernel_h - 1) * p.dilation - 1) / p.stride + 1;
  w.out_w = (p.w + 2 * p.pad - (p.kernel_w - 1) * p.dilation - 1) / p.stride + 1;
  return w;
}
// The sum of one output; v(i): weight i, in the order of [outputs][kernel_h][kernel_w][channels / groups].
template <class Weight>
int64_t sum_of_window(const Picture& p, const Int8Window& w, const Guarded<uint8_t>& x, bool is_signed, int32_t zero,
                      int64_t pixel, int64_t output, Weight v) {
  const int64_t ox = pixel % w.out_w, oy = pixel / w.out_w % w.out_h, b = pixel / w.out_w / w.out_h;
  const int64_t inputs = p.channels / p.groups, group = output / (p.outputs / p.groups);
  int64_t sum = 0;
  for (int64_t ky = 0; ky < p.kernel_h; ++ky)
    for (int64_t kx = 0; kx < p.kernel_w; ++kx)
      for (int64_t c = 0; c < inputs; ++c) {
        const int64_t iy = oy * p.stride - p.pad + ky * p.dilation, ix = ox * p.stride - p.pad + kx * p.dilation;
        if (iy < 0 || iy >= p.h || ix < 0 || ix >= p.w) continue;
        const size_t at = (size_t)(((b * p.h + iy) * p.w + ix) * p.channels + group * inputs + c);
        sum += (value_of(x[at], is_signed) - zero) * v(((output * p.kernel_h + ky) * p.kernel_w + kx) * inputs + c);
      }
  return sum;
}

}  // namespace tern::cpu::test
