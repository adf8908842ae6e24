// SPDX-License-Identifier: Apache-2.0
// Sampling against a slow reference in double, for every format, rotation, border and kind of mapping.
#include "image/sample.h"

#include <gtest/gtest.h>

#include <limits>
#include <memory>

#include "picture_maker.h"

namespace tern::image {
namespace {

struct Scene {
  const std::vector<Rgb>* pixels;
  int width, height;
  const SampleOptions* options;
};

// One output pixel in picture units: R, G, B, or grey in the first.
Rgb reference_pixel(const Scene& s, Point centre) {
  const SampleOptions& o = *s.options;
  const Rgb fill = {o.fill[0], o.fill[1], o.fill[2]};
  const auto beyond = [](double at, int size) { return at < -1e-6 || at >= size - 1e-6; };
  if (o.border == Border::kPad && (beyond(centre.x, s.width) || beyond(centre.y, s.height))) return fill;
  const double u = centre.x - 0.5, v = centre.y - 0.5;
  Rgb sum = {0, 0, 0};
  for (int j = 0; j < 2; ++j) {
    for (int i = 0; i < 2; ++i) {
      const double x = std::floor(u) + i, y = std::floor(v) + j;
      const double weight =
          (i ? u - std::floor(u) : 1 - (u - std::floor(u))) * (j ? v - std::floor(v) : 1 - (v - std::floor(v)));
      Rgb tap;
      if (o.border == Border::kConstant && (x < 0 || y < 0 || x >= s.width || y >= s.height)) {
        tap = fill;
      } else {
        const int cx = int(std::clamp(x, 0.0, s.width - 1.0)), cy = int(std::clamp(y, 0.0, s.height - 1.0));
        tap = (*s.pixels)[size_t(cy) * size_t(s.width) + size_t(cx)];
        if (o.channels == 1) tap[0] = 0.299 * tap[0] + 0.587 * tap[1] + 0.114 * tap[2];
        if (o.channels == 3 && o.bgr) std::swap(tap[0], tap[2]);
      }
      for (int c = 0; c < 3; ++c) sum[size_t(c)] += weight * tap[size_t(c)];
    }
  }
  return sum;
}

std::vector<float> run(const Picture& p, const Mapping& m, const SampleOptions& o) {
  const size_t guard = 16;
  const float mark = 12345.5f;
  const size_t n = size_t(m.model_width) * size_t(m.model_height) * size_t(o.channels);
  std::vector<float> out(n + 2 * guard, mark);
  std::vector<char> scratch(sample_scratch_bytes(m.model_width, o.filter) + 1);
  EXPECT_EQ(sample(p, m, o, 0, m.model_height, out.data() + guard, scratch.data() + 1, scratch.size() - 1), TERN_OK);
  for (size_t i = 0; i < guard; ++i) {
    EXPECT_EQ(out[i], mark);
    EXPECT_EQ(out[guard + n + i], mark);
  }
  return {out.begin() + guard, out.begin() + ptrdiff_t(guard + n)};
}

void compare(const Picture& p, const Mapping& m, const SampleOptions& o, const std::string& what) {
  int w, h;
  const std::vector<Rgb> pixels = upright_pixels(p, &w, &h);
  const Scene scene = {&pixels, w, h, &o};
  const std::vector<float> got = run(p, m, o);
  for (int y = 0; y < m.model_height; ++y) {
    for (int x = 0; x < m.model_width; ++x) {
      const Rgb want = reference_pixel(scene, apply(m.to_upright, {x + 0.5, y + 0.5}));
      for (int c = 0; c < o.channels; ++c) {
        const double expected = want[size_t(c)] * o.scale[c] + o.offset[c];
        const double error =
            std::fabs(got[(size_t(y) * size_t(m.model_width) + size_t(x)) * size_t(o.channels) + size_t(c)] - expected);
        ASSERT_LE(error, 2e-4 * std::fabs(o.scale[c]) + 1e-5) << what << " at " << x << "," << y << " channel " << c;
      }
    }
  }
}

Mapping make_mapping(const Picture& p, int kind, int width, int height) {
  Mapping m = {};
  const Size size = upright_size(p);
  tern_status status = TERN_OK;
  switch (kind) {
    case 0: status = map_stretch(p, width, height, &m); break;
    case 1: status = map_letterbox(p, width, height, {}, &m); break;
    case 2: status = map_letterbox(p, width, height, {.top_left = true, .whole_pixels = true}, &m); break;
    case 3:
      status =
          map_crop(p, width, height, {size.width * 0.6, size.height * 0.4, size.width * 0.9, size.height * 0.7, 0}, &m);
      break;
    case 4:
      status = map_crop(p, width, height,
                        {size.width * 0.5, size.height * 0.5, size.width * 0.5, size.height * 0.4, 0.5}, &m);
      break;
    case 5:
      status = map_crop(p, width, height,
                        {size.width * 0.1, size.height * 0.9, size.width * 1.3, size.height * 0.8, -2.4}, &m);
      break;
    case 6:
      status = map_affine(p, width, height, {{-0.7, 0, double(size.width), 0, -1.3, double(size.height) + 1}}, &m);
      break;
    default: status = map_affine(p, width, height, {{0, 0.9, -3, 1.1, 0, 2}}, &m); break;
  }
  EXPECT_EQ(status, TERN_OK);
  return m;
}
constexpr int kMappings = 8;

TEST(Sample, EqualsReferenceForAllFormatsRotationsBordersAndMappings) {
  uint32_t seed = 1;
  for (const Format format : kAllFormats) {
    for (const int rotation : {0, 90, 180, 270}) {
      for (int kind = 0; kind < kMappings; ++kind) {
        for (const Border border : {Border::kReplicate, Border::kConstant, Border::kPad}) {
          TestPicture t = make_picture(format, 38 - int(seed % 2), 22 + int(seed % 5), rotation, seed + 1);
          ++seed;
          t.view.mirrored = seed % 7 < 3;
          t.view.alpha = Alpha(seed % 3);
          t.view.matrix = Matrix(seed / 2 % 2);
          t.view.range = Range(seed / 4 % 2);
          t.view.background[0] = uint8_t(seed);
          SampleOptions o;
          o.border = border;
          o.channels = seed % 4 == 0 ? 1 : 3;
          o.bgr = seed % 3 == 0;
          for (int c = 0; c < 3; ++c) {
            o.fill[c] = float(100 + 20 * c);
            o.scale[c] = (c == 1 ? -1.0f : 1.0f) / 127.5f;
            o.offset[c] = float(c) - 0.5f;
          }
          const int width = 5 + int(seed % 90), height = 3 + int(seed % 31);
          compare(t.view, make_mapping(t.view, kind, width, height), o,
                  "format " + std::to_string(int(format)) + " rotation " + std::to_string(rotation) + " mapping " +
                      std::to_string(kind) + " border " + std::to_string(int(border)));
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST(Sample, SmallestPictures) {
  for (const Format format : kAllFormats) {
    for (const int rotation : {0, 90, 180, 270}) {
      for (int kind = 0; kind < kMappings; ++kind) {
        const TestPicture t = make_picture(format, 1, 1, rotation, 7, 0);
        SampleOptions o;
        o.border = Border(kind % 3);
        compare(t.view, make_mapping(t.view, kind, 9, 1), o, "smallest " + std::to_string(int(format)));
      }
    }
  }
}

TEST(Sample, SameSizeCopiesPixels) {
  const TestPicture t = make_picture(Format::kBgr8, 31, 17, 0, 3);
  Mapping m;
  ASSERT_EQ(map_stretch(t.view, 31, 17, &m), TERN_OK);
  const std::vector<float> got = run(t.view, m, {});
  for (int y = 0; y < 17; ++y)
    for (int x = 0; x < 31; ++x)
      for (int c = 0; c < 3; ++c)
        ASSERT_EQ(got[size_t((y * 31 + x) * 3 + c)], float(stored_pixel(t.view, x, y)[size_t(c)]));
}

TEST(Sample, RowsMayBeDividedInAnyWay) {
  for (int kind = 0; kind < 2 * kMappings; ++kind) {
    const TestPicture t = make_picture(Format::kI420, 93, 87, 90, 11);
    const Mapping m = make_mapping(t.view, kind / 2, 33, 29);
    SampleOptions o;
    o.border = Border::kConstant;
    o.filter = Filter(kind % 2);
    const std::vector<float> whole = run(t.view, m, o);
    std::vector<float> parts(whole.size(), -1);
    std::vector<char> scratch(sample_scratch_bytes(33, o.filter));
    for (int y = 0; y < 29; y += 4)
      ASSERT_EQ(sample(t.view, m, o, y, std::min(y + 4, 29), parts.data(), scratch.data(), scratch.size()), TERN_OK);
    ASSERT_EQ(whole, parts);
    ASSERT_EQ(sample(t.view, m, o, 5, 5, parts.data(), scratch.data(), scratch.size()), TERN_OK);
  }
}

TEST(Sample, LetterBoxPadsOutsideAndNeverBlends) {
  TestPicture t = make_picture(Format::kGrey8, 40, 20, 0, 5, 0);
  std::fill(t.planes[0].begin(), t.planes[0].end(), uint8_t(200));
  Mapping m;
  ASSERT_EQ(map_letterbox(t.view, 64, 64, {}, &m), TERN_OK);
  SampleOptions o;
  o.border = Border::kPad;
  o.channels = 1;
  o.fill[0] = 114;
  const std::vector<float> got = run(t.view, m, o);
  for (int y = 0; y < 64; ++y)
    for (int x = 0; x < 64; ++x) ASSERT_EQ(got[size_t(y * 64 + x)], y >= 16 && y < 48 ? 200.0f : 114.0f) << y;
}

TEST(Sample, FarAwayMappingsAreSafe) {
  const TestPicture t = make_picture(Format::kNv12, 32, 32, 270, 5);
  for (const double far : {1e6, -1e6, 9e8, -9e8}) {
    for (const double turn : {0.0, 1e3}) {
      for (const Border border : {Border::kReplicate, Border::kConstant, Border::kPad}) {
        Mapping m;
        ASSERT_EQ(map_affine(t.view, 70, 3, {{1e5, turn, far, -turn, 1e5, -far}}, &m), TERN_OK);
        SampleOptions o;
        o.border = border;
        compare(t.view, m, o, "far");
        o.filter = Filter::kArea;
        run(t.view, m, o);
      }
    }
  }
  // A mapping that did not come from a map_ function may hold anything.
  Mapping m;
  ASSERT_EQ(map_stretch(t.view, 70, 3, &m), TERN_OK);
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), 1e308, -1e308}) {
    for (int i = 0; i < 6; ++i) {
      for (const Border border : {Border::kReplicate, Border::kConstant, Border::kPad}) {
        Mapping broken = m;
        broken.to_upright.m[i] = bad;
        SampleOptions o;
        o.border = border;
        run(t.view, broken, o);
        o.filter = Filter::kArea;
        run(t.view, broken, o);
      }
    }
  }
}

TEST(Sample, RefusesBadArguments) {
  const TestPicture t = make_picture(Format::kRgb8, 16, 8, 0, 5);
  Mapping m;
  ASSERT_EQ(map_stretch(t.view, 10, 10, &m), TERN_OK);
  std::vector<float> out(300, 7.0f);
  std::vector<char> scratch(sample_scratch_bytes(10, Filter::kBilinear));
  const auto call = [&](const Picture& p, const Mapping& map, const SampleOptions& o, int y0, int y1, size_t bytes) {
    return sample(p, map, o, y0, y1, out.data(), scratch.data(), bytes);
  };
  const size_t bytes = scratch.size();
  SampleOptions o;
  EXPECT_EQ(call(t.view, m, o, -1, 5, bytes), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(call(t.view, m, o, 0, 11, bytes), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(call(t.view, m, o, 6, 5, bytes), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(call(t.view, m, o, 0, 10, bytes - 1), TERN_ERR_INVALID_ARGUMENT);
  for (const int channels : {0, 2, 4, -1}) {
    o = {};
    o.channels = channels;
    EXPECT_EQ(call(t.view, m, o, 0, 10, bytes), TERN_ERR_INVALID_ARGUMENT);
  }
  o = {};
  o.border = Border(9);
  EXPECT_EQ(call(t.view, m, o, 0, 10, bytes), TERN_ERR_INVALID_ARGUMENT);
  o = {};
  o.filter = Filter(2);
  EXPECT_EQ(call(t.view, m, o, 0, 10, bytes), TERN_ERR_INVALID_ARGUMENT);
  o.filter = Filter::kArea;
  EXPECT_EQ(call(t.view, m, o, 0, 10, bytes), TERN_ERR_INVALID_ARGUMENT);  // which needs more scratch
  for (float* field : {&o.fill[2], &o.scale[1], &o.offset[0]}) {
    o = {};
    *field = std::numeric_limits<float>::quiet_NaN();
    EXPECT_EQ(call(t.view, m, o, 0, 10, bytes), TERN_ERR_INVALID_ARGUMENT);
  }
  o = {};
  Mapping other = m;
  other.rotation = 90;
  EXPECT_EQ(call(t.view, other, o, 0, 10, bytes), TERN_ERR_INVALID_ARGUMENT);
  other = m;
  other.mirrored = true;
  EXPECT_EQ(call(t.view, other, o, 0, 10, bytes), TERN_ERR_INVALID_ARGUMENT);
  other = m;
  other.stored.width = 17;
  EXPECT_EQ(call(t.view, other, o, 0, 10, bytes), TERN_ERR_INVALID_ARGUMENT);
  other = m;
  other.model_width = 0;
  EXPECT_EQ(call(t.view, other, o, 0, 10, bytes), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(sample(t.view, m, o, 0, 10, nullptr, scratch.data(), bytes), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(sample(t.view, m, o, 0, 10, out.data(), nullptr, bytes), TERN_ERR_INVALID_ARGUMENT);
  for (const float v : out) ASSERT_EQ(v, 7.0f);
  EXPECT_EQ(sample_scratch_bytes(0, Filter::kArea), 0u);
  EXPECT_EQ(sample_scratch_bytes(-5, Filter::kBilinear), 0u);
  EXPECT_EQ(sample_scratch_bytes(kMaxSide + 1, Filter::kArea), 0u);
}

// The upright region as plain RGB8.
TestPicture upright_copy(const Picture& p) {
  int w, h;
  const std::vector<Rgb> pixels = upright_pixels(p, &w, &h);
  TestPicture t = make_picture(Format::kRgb8, w, h, 0, 1, 0);
  for (size_t i = 0; i < pixels.size(); ++i)
    for (size_t c = 0; c < 3; ++c) t.planes[0][3 * i + c] = uint8_t(pixels[i][c]);
  return t;
}

// Every way of storing a picture gives the bits that a plain copy gives.
TEST(Sample, EqualsACopyToTheBit) {
  const Region regions[] = {{0, 0, 41, 37}, {1, 0, 40, 37}, {0, 1, 41, 36}, {3, 5, 33, 29}, {2, 2, 9, 31},
                            {7, 3, 1, 1},   {40, 36, 1, 1}, {5, 4, 36, 2},  {40, 1, 1, 33}};
  uint32_t seed = 3;
  for (const Format format : kAllFormats) {
    const int kinds = is_yuv(format) ? 4 : has_alpha(format) ? 3 : 1;
    for (int kind = 0; kind < kinds; ++kind) {
      for (const int turn : {0, 1, 2, 3, 4, 5, 6, 7}) {
        for (const Region& region : regions) {
          TestPicture t = make_picture(format, 41, 37, turn / 2 * 90, ++seed);
          t.view.mirrored = turn % 2 == 1;
          if (is_yuv(format)) t.view.matrix = Matrix(kind / 2), t.view.range = Range(kind % 2);
          if (has_alpha(format)) t.view.alpha = Alpha(kind);
          for (uint8_t& b : t.view.background) b = uint8_t(255 - seed * 7);
          ASSERT_EQ(check_picture(t.view), TERN_OK);
          ASSERT_EQ(cut_picture(region, &t.view), TERN_OK);
          ASSERT_EQ(check_picture(t.view), TERN_OK);
          const TestPicture copy = upright_copy(t.view);
          for (const Filter filter : {Filter::kBilinear, Filter::kArea}) {
            SampleOptions o;
            o.filter = filter;
            o.border = Border(seed % 3);
            o.bgr = seed % 2 == 0;
            o.channels = format != Format::kGrey8 && seed % 5 == 0 ? 1 : 3;
            o.fill[1] = 77;
            o.scale[2] = 0.3f;
            const int mapping = int(seed % kMappings);
            const std::vector<float> got = run(t.view, make_mapping(t.view, mapping, 8, 7), o);
            ASSERT_EQ(got, run(copy.view, make_mapping(copy.view, mapping, 8, 7), o))
                << "format " << int(format) << " kind " << kind << " turn " << turn << " region " << region.x << ","
                << region.y << " mapping " << mapping << " filter " << int(filter);
          }
        }
      }
    }
  }
}

// Mean of the upright picture over a rectangle, pixels outside as the border says.
Rgb mean_over(const Scene& s, double x0, double y0, double x1, double y1) {
  Rgb sum = {0, 0, 0};
  const SampleOptions& o = *s.options;
  for (int y = int(std::floor(y0)); y < y1; ++y) {
    for (int x = int(std::floor(x0)); x < x1; ++x) {
      const double weight =
          (std::min(x1, x + 1.0) - std::max(x0, double(x))) * (std::min(y1, y + 1.0) - std::max(y0, double(y)));
      const bool outside = x < 0 || y < 0 || x >= s.width || y >= s.height;
      Rgb pixel = {o.fill[0], o.fill[1], o.fill[2]};
      if (!outside || o.border != Border::kConstant) {
        const int cx = std::clamp(x, 0, s.width - 1), cy = std::clamp(y, 0, s.height - 1);
        pixel = (*s.pixels)[size_t(cy) * size_t(s.width) + size_t(cx)];
        if (o.channels == 1) pixel[0] = 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
        if (o.channels == 3 && o.bgr) std::swap(pixel[0], pixel[2]);
      }
      for (size_t c = 0; c < 3; ++c) sum[c] += weight * pixel[c] / ((x1 - x0) * (y1 - y0));
    }
  }
  return sum;
}

TEST(Sample, AreaIsTheMeanOfWhatAPixelCovers) {
  struct Case {
    int width, height, out_width, out_height;
    Affine map;
  };
  const Case cases[] = {
      {64, 48, 16, 12, {{4, 0, 0, 0, 4, 0}}},  // whole pixels
      {64, 48, 11, 9, {{64 / 11.0, 0, 0, 0, 48 / 9.0, 0}}},
      {64, 48, 63, 47, {{64 / 63.0, 0, 0, 0, 48 / 47.0, 0}}},
      {64, 48, 7, 90, {{64 / 7.0, 0, 0, 0, 48 / 90.0, 0}}},  // one axis grows: it stays bilinear
      {64, 48, 100, 5, {{0.64, 0, 0, 0, 9.6, 0}}},
      {40, 30, 9, 8, {{7, 0, -11.3, 0, 6, -9.4}}},  // over all borders
      {40, 30, 9, 8, {{-7, 0, 51, 0, -5.5, 38}}},   // turned upside down
      {3000, 3, 2, 3, {{1500, 0, 0, 0, 1, 0}}},     // one pixel covers more columns than are summed at once
      {3, 3000, 3, 2, {{1, 0, 0, 0, 1499.3, 0.7}}},
      {2500, 90, 2, 2, {{1250, 0, 0, 0, 45, 0}}},
      {20, 15, 3, 3, {{30, 0, -40, 0, 25, -31}}},  // far over the borders: what is beyond one picture's size is cut
  };
  uint32_t seed = 1;
  for (const Case& k : cases) {
    for (int variant = 0; variant < 12; ++variant) {
      const int rotation = variant % 4 * 90;
      const bool lies = rotation % 180 != 0;
      TestPicture t =
          make_picture(kAllFormats[++seed % 8], lies ? k.height : k.width, lies ? k.width : k.height, rotation, seed);
      t.view.mirrored = variant >= 6;
      SampleOptions o;
      o.filter = Filter::kArea;
      o.border = Border(variant % 3);
      o.channels = variant == 5 ? 1 : 3;
      o.bgr = variant % 2 == 0;
      o.fill[0] = 200, o.fill[2] = -31;
      Mapping m;
      ASSERT_EQ(map_affine(t.view, k.out_width, k.out_height, k.map, &m), TERN_OK);
      int w, h;
      const std::vector<Rgb> pixels = upright_pixels(t.view, &w, &h);
      ASSERT_TRUE(w == k.width && h == k.height);
      const Scene scene = {&pixels, w, h, &o};
      const std::vector<float> got = run(t.view, m, o);
      const double half_x = std::max(1.0, std::fabs(k.map.m[0])) / 2, half_y = std::max(1.0, std::fabs(k.map.m[4])) / 2;
      for (int y = 0; y < k.out_height; ++y) {
        for (int x = 0; x < k.out_width; ++x) {
          const Point c = apply(k.map, {x + 0.5, y + 0.5});
          const bool outside = c.x < -1e-6 || c.y < -1e-6 || c.x >= w - 1e-6 || c.y >= h - 1e-6;
          const auto cut = [](double at, int size) { return std::clamp(at, -double(size), 2.0 * size); };
          Rgb want =
              mean_over(scene, cut(c.x - half_x, w), cut(c.y - half_y, h), cut(c.x + half_x, w), cut(c.y + half_y, h));
          if (o.border == Border::kPad && outside) want = {o.fill[0], o.fill[1], o.fill[2]};
          // Ends are rounded by up to 1/8192 of a pixel, four of them; neighbours differ by up to 255.
          const double allowed = 2e-4 + 255 * 2.0 / 8192 * (0.5 / half_x + 0.5 / half_y);
          for (int i = 0; i < o.channels; ++i)
            ASSERT_NEAR(got[size_t((y * k.out_width + x) * o.channels + i)], want[size_t(i)], allowed)
                << k.out_width << " x " << k.out_height << " variant " << variant << " at " << x << "," << y;
        }
      }
    }
  }
}

TEST(Sample, AreaOfATurnedCropIsTheMeanOfSamples) {
  for (const Border border : {Border::kReplicate, Border::kConstant, Border::kPad}) {
    const TestPicture t = make_picture(Format::kNv21, 91, 75, 270, 5);
    SampleOptions o;
    o.border = border;
    o.fill[0] = 255;
    o.filter = Filter::kArea;
    for (const CropRect& rect : {CropRect{40, 45, 60.5, 41, 0.4}, CropRect{5, 80, 100, 77, -2}}) {
      // Three times as many samples along the first side, two times as many along the second.
      Mapping coarse, fine;
      ASSERT_EQ(map_crop(t.view, int(std::ceil(rect.width / 2.9)), int(std::ceil(rect.height / 1.9)), rect, &coarse),
                TERN_OK);
      ASSERT_EQ(map_crop(t.view, coarse.model_width * 3, coarse.model_height * 2, rect, &fine), TERN_OK);
      const std::vector<float> got = run(t.view, coarse, o);
      SampleOptions plain = o;
      plain.filter = Filter::kBilinear;
      if (border == Border::kPad) plain.border = Border::kReplicate;
      const std::vector<float> samples = run(t.view, fine, plain);
      for (int y = 0; y < coarse.model_height; ++y) {
        for (int x = 0; x < coarse.model_width; ++x) {
          const Point p = model_to_upright(coarse, {x + 0.5, y + 0.5});
          const bool fill = border == Border::kPad && (p.x < 0 || p.y < 0 || p.x >= 75 || p.y >= 91);
          for (int c = 0; c < 3; ++c) {
            double sum = 0;
            for (int j = 0; j < 2; ++j)
              for (int i = 0; i < 3; ++i) sum += samples[size_t(((y * 2 + j) * fine.model_width + x * 3 + i) * 3 + c)];
            ASSERT_NEAR(got[size_t((y * coarse.model_width + x) * 3 + c)], fill ? double(o.fill[c]) : sum / 6, 1e-3)
                << x << "," << y;
          }
        }
      }
    }
  }
}

TEST(Sample, AreaWithoutReductionIsBilinear) {
  const TestPicture t = make_picture(Format::kBgra8, 23, 19, 90, 5);
  for (const Affine& map : {Affine{{0.7, 0, 1, 0, 1, -2}}, Affine{{0.6, 0.5, 1, -0.5, 0.6, 3}}}) {
    Mapping m;
    ASSERT_EQ(map_affine(t.view, 31, 29, map, &m), TERN_OK);
    SampleOptions o, area;
    area.filter = Filter::kArea;
    EXPECT_EQ(run(t.view, m, o), run(t.view, m, area));
  }
}

// As long and as thin as pictures may be.
TEST(Sample, LongPictures) {
  for (const Format format : kAllFormats) {
    for (const int rotation : {0, 90, 180, 270}) {
      for (int k = (rotation / 90 + int(format)) % 2; k < 4; k += 2) {
        const int long_side = (k + int(format) / 2) % 2 ? kMaxSide : 65535;
        TestPicture t = make_picture(format, k < 2 ? long_side : 1, k < 2 ? 1 : long_side, rotation, 9, 0);
        t.view.mirrored = k % 2 == 0;
        const TestPicture copy = upright_copy(t.view);
        for (const Filter filter : {Filter::kBilinear, Filter::kArea}) {
          for (const int out : {1, 7}) {
            SampleOptions o;
            o.filter = filter;
            Mapping m, of_copy;
            ASSERT_EQ(map_stretch(t.view, out, out, &m), TERN_OK);
            ASSERT_EQ(map_stretch(copy.view, out, out, &of_copy), TERN_OK);
            ASSERT_EQ(run(t.view, m, o), run(copy.view, of_copy, o)) << int(format) << " " << rotation << " " << k;
          }
        }
      }
    }
  }
}

TEST(Picture, RefusesEachBadField) {
  for (const Format format : kAllFormats) {
    const TestPicture t = make_picture(format, 16, 8, 0, 5, 0);
    EXPECT_EQ(check_picture(t.view), TERN_OK);
    const auto with = [&](auto change) {
      Picture p = t.view;
      change(p);
      return check_picture(p);
    };
    EXPECT_EQ(with([](Picture& p) { p.width = 0; }), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(with([](Picture& p) { p.height = -2; }), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(with([](Picture& p) { p.width = INT32_MIN; }), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(with([](Picture& p) { p.width = 65538; }), TERN_ERR_LIMIT);
    EXPECT_EQ(with([](Picture& p) { p.height = INT32_MAX; }), TERN_ERR_LIMIT);
    EXPECT_EQ(with([](Picture& p) { p.rotation = 45; }), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(with([](Picture& p) { p.rotation = -90; }), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(with([](Picture& p) { p.rotation = 360; }), TERN_ERR_INVALID_ARGUMENT);
    for (int i = 0; i < 3 && t.view.plane[i] != nullptr; ++i) {
      EXPECT_EQ(with([i](Picture& p) { p.plane[i] = nullptr; }), TERN_ERR_INVALID_ARGUMENT);
      EXPECT_EQ(with([i](Picture& p) { p.stride[i] -= size_t(2 * i + 1); }), TERN_ERR_INVALID_ARGUMENT);
      EXPECT_EQ(with([i](Picture& p) { p.stride[i] = 0; }), TERN_ERR_INVALID_ARGUMENT);
      EXPECT_EQ(with([i](Picture& p) { p.stride[i] = SIZE_MAX / 2; }), TERN_ERR_LIMIT);
    }
    EXPECT_EQ(with([](Picture& p) { p.matrix = Matrix(2); }), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(with([](Picture& p) { p.range = Range(-1); }), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(with([](Picture& p) { p.alpha = Alpha(3); }), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(with([](Picture& p) { p.block_x = 2; }), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(with([](Picture& p) { p.block_y = -1; }), TERN_ERR_INVALID_ARGUMENT);
    if (is_yuv(format)) {  // nine samples a chroma row, of which there is room for eight
      const size_t room = format == Format::kI420 ? 8 : 16;
      EXPECT_EQ(with([&](Picture& p) { p.stride[0] = 17, p.stride[1] = room, p.width = 17; }),
                TERN_ERR_INVALID_ARGUMENT);
      EXPECT_EQ(with([&](Picture& p) { p.stride[1] = room, p.block_x = 1; }), TERN_ERR_INVALID_ARGUMENT);
    }
    EXPECT_EQ(with([](Picture& p) { p.width = 15; }), TERN_OK);
    EXPECT_EQ(with([](Picture& p) { p.height = 7; }), TERN_OK);
    for (const Region r : {Region{-1, 0, 1, 1}, Region{0, -1, 1, 1}, Region{0, 0, 0, 1}, Region{0, 0, 1, 0},
                           Region{16, 0, 1, 1}, Region{0, 8, 1, 1}, Region{1, 0, 16, 1}, Region{0, 1, 1, 8},
                           Region{1, 1, INT32_MAX, 1}, Region{INT32_MAX, 0, INT32_MAX, 1}, Region{0, 0, -3, -3}}) {
      Picture p = t.view;
      EXPECT_EQ(cut_picture(r, &p), TERN_ERR_INVALID_ARGUMENT);
      EXPECT_EQ(p.plane[0], t.view.plane[0]);
      EXPECT_EQ(p.width, 16);
    }
  }
  Picture p = make_picture(Format::kRgb8, 4, 4, 0, 1).view;
  p.format = Format(8);
  EXPECT_EQ(check_picture(p), TERN_ERR_INVALID_ARGUMENT);
  p.format = Format(-1);
  EXPECT_EQ(check_picture(p), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(check_picture({}), TERN_ERR_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace tern::image
