// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/resize.h"

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

struct Size {
  int64_t h, w, oh, ow;
};
const Size kSizes[] = {{1, 1, 1, 1}, {1, 1, 3, 4}, {5, 7, 10, 14}, {5, 7, 3, 2},
                       {4, 4, 4, 4}, {3, 8, 7, 5}, {6, 2, 1, 9}};
const ResizeCoordinate kModes[] = {ResizeCoordinate::half_pixel,           ResizeCoordinate::align_corners,
                                   ResizeCoordinate::asymmetric,           ResizeCoordinate::pytorch_half_pixel,
                                   ResizeCoordinate::half_pixel_symmetric, ResizeCoordinate::tf_half_pixel};

TEST(ResizeKernels, Nearest) {
  for_each_set([](const Kernels& k) {
    for (const Size& s : kSizes)
      for (const int size : {1, 2, 4, 8})
        for (const int64_t channels : {1, 3, 40})
          for (const ResizeRound round :
               {ResizeRound::prefer_floor, ResizeRound::prefer_ceil, ResizeRound::floor, ResizeRound::ceil}) {
            std::vector<int32_t> row(s.oh), col(s.ow);
            resize_nearest_table(ResizeCoordinate::half_pixel, round, s.h, s.oh, (double)s.oh / (double)s.h,
                                 row.data());
            resize_nearest_table(ResizeCoordinate::asymmetric, round, s.w, s.ow, (double)s.ow / (double)s.w,
                                 col.data());
            const int64_t pixel = channels + (channels == 3 ? 2 : 0);  // some outputs are slices of wider pixels
            Guarded<uint8_t> x(2 * s.h * s.w * channels * size), y((2 * s.oh * s.ow * pixel - pixel + channels) * size);
            Random random(1);
            for (size_t i = 0; i < x.size(); ++i) x[i] = (uint8_t)random.next();
            ResizeNearestArgs a;
            a.x = x.data(), a.y = y.data(), a.elem_size = size, a.batch = 2, a.height = s.h, a.width = s.w,
            a.channels = channels, a.y_pixel = pixel;
            a.out_height = s.oh, a.out_width = s.ow, a.row = row.data(), a.col = col.data();
            run(k.resize->nearest, &a, units(a), 0, y.data(), y.bytes());
            for (int64_t i = 0; i < 2 * s.oh * s.ow; ++i) {
              const int64_t from = (i / (s.oh * s.ow) * s.h + row[i / s.ow % s.oh]) * s.w + col[i % s.ow];
              ASSERT_EQ(std::memcmp(y.data() + i * pixel * size, x.data() + from * channels * size, channels * size),
                        0);
              for (int64_t c = channels * size; c < pixel * size && i + 1 < 2 * s.oh * s.ow; ++c)
                ASSERT_EQ(y[i * pixel * size + c], 0xa5) << "written between pixels";
            }
          }
  });
}

TEST(ResizeKernels, NearestTables) {
  int32_t t[4];
  resize_nearest_table(ResizeCoordinate::half_pixel, ResizeRound::prefer_floor, 2, 4, 2, t);
  EXPECT_EQ(t[0], 0);
  EXPECT_EQ(t[1], 0);
  EXPECT_EQ(t[2], 1);
  EXPECT_EQ(t[3], 1);
  resize_nearest_table(ResizeCoordinate::asymmetric, ResizeRound::prefer_floor, 2, 4, 2, t);  // 0, .5, 1, 1.5
  EXPECT_EQ(t[1], 0);
  EXPECT_EQ(t[3], 1);
  resize_nearest_table(ResizeCoordinate::asymmetric, ResizeRound::prefer_ceil, 2, 4, 2, t);
  EXPECT_EQ(t[1], 1);
  EXPECT_EQ(t[3], 1);
  resize_nearest_table(ResizeCoordinate::align_corners, ResizeRound::floor, 4, 2, 0.5, t);
  EXPECT_EQ(t[0], 0);
  EXPECT_EQ(t[1], 3);
}

// Value of the piecewise linear function through x at p, edges extended.
double linear_at(const float* x, int64_t n, int64_t step, double p) {
  p = std::fmin((double)(n - 1), std::fmax(0, p));
  const int64_t i = (int64_t)std::floor(p), j = i + 1 < n ? i + 1 : i;
  return x[i * step] * (1 - (p - (double)i)) + x[j * step] * (p - (double)i);
}

TEST(ResizeKernels, Bilinear) {
  for_each_set([](const Kernels& k) {
    for (const Size& s : kSizes)
      for (const int64_t channels : {1, 2, 3, 8, 16, 21, 24, 70})
        for (const ResizeCoordinate mode : kModes) {
          std::vector<int32_t> row(2 * s.oh), col(2 * s.ow);
          std::vector<float> rw(2 * s.oh), cw(2 * s.ow);
          const double sh = (double)s.oh / (double)s.h, sw = (double)s.ow / (double)s.w;
          resize_linear_table(mode, s.h, s.oh, sh, row.data(), rw.data());
          resize_linear_table(mode, s.w, s.ow, sw, col.data(), cw.data());
          const int64_t pixel = channels + (mode == ResizeCoordinate::half_pixel ? 3 : 0);
          Guarded<float> x(2 * s.h * s.w * channels), y(2 * s.oh * s.ow * pixel - pixel + channels);
          Random random(1);
          fill(x, random);
          ResizeFilterArgs a;
          a.x = x.data(), a.y = y.data(), a.batch = 2, a.height = s.h, a.width = s.w, a.channels = channels,
          a.out_height = s.oh, a.out_width = s.ow;
          a.row = row.data(), a.row_weight = rw.data(), a.col = col.data(), a.col_weight = cw.data(), a.y_pixel = pixel;
          run(k.resize->filter, &a, units(a), resize_filter_scratch(a), y.data(), y.bytes());
          std::vector<double> want((size_t)(2 * s.oh * s.ow * channels));
          std::vector<float> got(want.size());
          for (size_t i = 0; i < want.size(); ++i) {
            got[i] = y[i / (size_t)channels * (size_t)pixel + i % (size_t)channels];
            const int64_t c = (int64_t)i % channels, ox = (int64_t)i / channels % s.ow,
                          oy = (int64_t)i / channels / s.ow % s.oh;
            const int64_t b = (int64_t)i / channels / s.ow / s.oh;
            const double py = std::fmin((double)(s.h - 1), std::fmax(0, resize_position(mode, oy, s.h, s.oh, sh)));
            const int64_t y0 = (int64_t)py, y1 = y0 + 1 < s.h ? y0 + 1 : y0;
            const double px = resize_position(mode, ox, s.w, s.ow, sw), t = py - (double)y0;
            want[i] = (1 - t) * linear_at(x.data() + (b * s.h + y0) * s.w * channels + c, s.w, channels, px) +
                      t * linear_at(x.data() + (b * s.h + y1) * s.w * channels + c, s.w, channels, px);
          }
          expect_close(got.data(), want.data(), (int64_t)want.size(), 1e-6, 2e-6);
        }
  });
}

TEST(ResizeKernels, Bicubic) {
  for_each_set([](const Kernels& k) {
    for (const Size& s : kSizes)
      for (const int64_t channels : {1, 3, 20})
        for (const bool exclude : {false, true}) {
          std::vector<int32_t> row(4 * s.oh), col(4 * s.ow);
          std::vector<float> rw(4 * s.oh), cw(4 * s.ow);
          resize_cubic_table(ResizeCoordinate::half_pixel, s.h, s.oh, (double)s.oh / (double)s.h, -0.75, exclude,
                             row.data(), rw.data());
          resize_cubic_table(ResizeCoordinate::half_pixel, s.w, s.ow, (double)s.ow / (double)s.w, -0.75, exclude,
                             col.data(), cw.data());
          for (int64_t i = 0; i < s.oh; ++i)
            EXPECT_NEAR(rw[4 * i] + rw[4 * i + 1] + rw[4 * i + 2] + rw[4 * i + 3], 1, 1e-6);
          Guarded<float> x(s.h * s.w * channels), y(s.oh * s.ow * channels);
          Random random(1);
          fill(x, random);
          ResizeFilterArgs a;
          a.x = x.data(), a.y = y.data(), a.batch = 1, a.height = s.h, a.width = s.w, a.channels = channels,
          a.out_height = s.oh, a.out_width = s.ow;
          a.row_taps = a.col_taps = 4, a.y_pixel = channels, a.row = row.data(), a.row_weight = rw.data(),
          a.col = col.data(), a.col_weight = cw.data();
          run(k.resize->filter, &a, units(a), resize_filter_scratch(a), y.data(), y.bytes());
          std::vector<double> want(y.size());
          for (size_t i = 0; i < want.size(); ++i) {
            const int64_t c = (int64_t)i % channels, ox = (int64_t)i / channels % s.ow,
                          oy = (int64_t)i / channels / s.ow;
            for (int p = 0; p < 4; ++p)
              for (int q = 0; q < 4; ++q)
                want[i] += (double)rw[4 * oy + p] * cw[4 * ox + q] *
                           x[(row[4 * oy + p] * s.w + col[4 * ox + q]) * channels + c];
          }
          expect_close(y.data(), want.data(), (int64_t)want.size(), 1e-6, 3e-6);
        }
  });
}

}  // namespace
}  // namespace tern::cpu::test
