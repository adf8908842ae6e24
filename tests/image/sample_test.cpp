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
  std::vector<char> scratch(sample_scratch_bytes(m.model_width) + 1);
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
          const TestPicture t = make_picture(format, 38, 22, rotation, ++seed);
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
    const int side = format >= Format::kNv12 ? 2 : 1;
    for (const int rotation : {0, 90, 180, 270}) {
      for (int kind = 0; kind < kMappings; ++kind) {
        const TestPicture t = make_picture(format, side, side, rotation, 7, 0);
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
  for (int kind = 0; kind < kMappings; ++kind) {
    const TestPicture t = make_picture(Format::kI420, 50, 40, 90, 11);
    const Mapping m = make_mapping(t.view, kind, 33, 29);
    SampleOptions o;
    o.border = Border::kConstant;
    const std::vector<float> whole = run(t.view, m, o);
    std::vector<float> parts(whole.size(), -1);
    std::vector<char> scratch(sample_scratch_bytes(33));
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
      }
    }
  }
}

TEST(Sample, RefusesBadArguments) {
  const TestPicture t = make_picture(Format::kRgb8, 16, 8, 0, 5);
  Mapping m;
  ASSERT_EQ(map_stretch(t.view, 10, 10, &m), TERN_OK);
  std::vector<float> out(300, 7.0f);
  std::vector<char> scratch(sample_scratch_bytes(10));
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
  other.stored.width = 17;
  EXPECT_EQ(call(t.view, other, o, 0, 10, bytes), TERN_ERR_INVALID_ARGUMENT);
  other = m;
  other.model_width = 0;
  EXPECT_EQ(call(t.view, other, o, 0, 10, bytes), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(sample(t.view, m, o, 0, 10, nullptr, scratch.data(), bytes), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(sample(t.view, m, o, 0, 10, out.data(), nullptr, bytes), TERN_ERR_INVALID_ARGUMENT);
  for (const float v : out) ASSERT_EQ(v, 7.0f);
  EXPECT_EQ(sample_scratch_bytes(0), 0u);
  EXPECT_EQ(sample_scratch_bytes(-5), 0u);
  EXPECT_EQ(sample_scratch_bytes(kMaxSide + 1), 0u);
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
    const bool yuv = format >= Format::kNv12;
    EXPECT_EQ(with([](Picture& p) { p.width = 15; }), yuv ? TERN_ERR_INVALID_ARGUMENT : TERN_OK);
    EXPECT_EQ(with([](Picture& p) { p.height = 7; }), yuv ? TERN_ERR_INVALID_ARGUMENT : TERN_OK);
  }
  Picture p = make_picture(Format::kRgb8, 4, 4, 0, 1).view;
  p.format = Format(7);
  EXPECT_EQ(check_picture(p), TERN_ERR_INVALID_ARGUMENT);
  p.format = Format(-1);
  EXPECT_EQ(check_picture(p), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(check_picture({}), TERN_ERR_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace tern::image
