// SPDX-License-Identifier: Apache-2.0
#include "image/mapping.h"

#include <gtest/gtest.h>

#include <limits>

#include "picture_maker.h"

namespace tern::image {
namespace {

void near(Point a, Point b, const char* what) {
  EXPECT_NEAR(a.x, b.x, 1e-9) << what;
  EXPECT_NEAR(a.y, b.y, 1e-9) << what;
}

TEST(Mapping, PointsGoThereAndBack) {
  for (const int rotation : {0, 90, 180, 270}) {
    TestPicture t = make_picture(Format::kRgb8, 48, 20, rotation, 1);
    t.view.mirrored = rotation % 180 != 0;
    Mapping maps[5];
    ASSERT_EQ(map_stretch(t.view, 30, 31, &maps[0]), TERN_OK);
    ASSERT_EQ(map_letterbox(t.view, 30, 31, {}, &maps[1]), TERN_OK);
    ASSERT_EQ(map_letterbox(t.view, 30, 31, {.top_left = false, .whole_pixels = true}, &maps[2]), TERN_OK);
    ASSERT_EQ(map_crop(t.view, 30, 31, {11, 9, 20, 5, 0.7}, &maps[3]), TERN_OK);
    ASSERT_EQ(map_affine(t.view, 30, 31, {{1, 2, 3, -4, 5, 6}}, &maps[4]), TERN_OK);
    for (const Mapping& m : maps) {
      for (const Point p : {Point{0, 0}, Point{30, 31}, Point{-7, 50}, Point{12.25, 3.5}}) {
        near(upright_to_model(m, model_to_upright(m, p)), p, "upright");
        near(stored_to_model(m, model_to_stored(m, p)), p, "stored");
      }
    }
  }
}

TEST(Mapping, StoredAndUprightNameTheSamePixel) {
  for (int k = 0; k < 8; ++k) {
    TestPicture t = make_picture(Format::kRgb8, 12, 7, k / 2 * 90, 2);
    t.view.mirrored = k % 2 == 1;
    int w, h;
    const std::vector<Rgb> upright = upright_pixels(t.view, &w, &h);
    ASSERT_EQ(upright_size(t.view).width, w);
    ASSERT_EQ(upright_size(t.view).height, h);
    Mapping m;
    ASSERT_EQ(map_stretch(t.view, w, h, &m), TERN_OK);
    for (int y = 0; y < h; ++y) {
      for (int x = 0; x < w; ++x) {
        const Point s = model_to_stored(m, {x + 0.5, y + 0.5});
        ASSERT_EQ(upright[size_t(y * w + x)], stored_pixel(t.view, int(std::floor(s.x)), int(std::floor(s.y))));
      }
    }
  }
}

TEST(Mapping, StretchAndLetterBoxHitTheCorners) {
  const TestPicture t = make_picture(Format::kRgb8, 60, 40, 90, 3);  // upright 40 x 60
  Mapping m;
  ASSERT_EQ(map_stretch(t.view, 300, 200, &m), TERN_OK);
  near(model_to_upright(m, {300, 200}), {40, 60}, "stretch");
  near(model_to_stored(m, {0, 0}), {0, 40}, "stretch, stored");
  ASSERT_EQ(map_letterbox(t.view, 120, 120, {}, &m), TERN_OK);
  near(upright_to_model(m, {0, 0}), {20, 0}, "letter-box");
  near(upright_to_model(m, {40, 60}), {100, 120}, "letter-box");
  ASSERT_EQ(map_letterbox(t.view, 120, 120, {.top_left = true, .whole_pixels = false}, &m), TERN_OK);
  near(upright_to_model(m, {40, 60}), {80, 120}, "letter-box at the corner");
}

TEST(Mapping, WholePixelLetterBoxIsWhole) {
  for (int side = 1; side < 90; side += 7) {
    const TestPicture t = make_picture(Format::kGrey8, side, 53, 0, 3);
    Mapping m;
    ASSERT_EQ(map_letterbox(t.view, 64, 48, {.top_left = false, .whole_pixels = true}, &m), TERN_OK);
    const Point a = upright_to_model(m, {0, 0}), b = upright_to_model(m, {double(side), 53});
    for (const double v : {a.x, a.y, b.x, b.y}) EXPECT_NEAR(v, std::round(v), 1e-9);
    EXPECT_TRUE(a.x >= -1e-9 && a.y >= -1e-9 && b.x <= 64 + 1e-9 && b.y <= 48 + 1e-9 && b.x - a.x > 0.5 &&
                b.y - a.y > 0.5);
  }
}

TEST(Mapping, CropPutsItsCornersOnTheTensor) {
  const TestPicture t = make_picture(Format::kRgb8, 60, 40, 0, 3);
  const double quarter = std::acos(-1.0) / 2;
  Mapping m;
  ASSERT_EQ(map_crop(t.view, 20, 10, {30, 20, 8, 4, quarter}, &m), TERN_OK);
  near(model_to_upright(m, {10, 5}), {30, 20}, "centre");
  near(model_to_upright(m, {20, 5}), {30, 24}, "a clockwise turn points the x axis down");
  near(model_to_upright(m, {10, 10}), {28, 20}, "and the y axis to the left");
}

TEST(Mapping, BoxesStayUprightAroundTheirCorners) {
  const TestPicture t = make_picture(Format::kRgb8, 60, 40, 90, 3);
  Mapping m;
  ASSERT_EQ(map_stretch(t.view, 40, 60, &m), TERN_OK);
  const Box b = model_box_to_stored(m, {1, 2, 5, 9});
  EXPECT_NEAR(b.x0, 2, 1e-9);
  EXPECT_NEAR(b.x1, 9, 1e-9);
  EXPECT_NEAR(b.y0, 35, 1e-9);
  EXPECT_NEAR(b.y1, 39, 1e-9);
  const Box back = stored_box_to_model(m, b);
  EXPECT_NEAR(back.x0, 1, 1e-9);
  EXPECT_NEAR(back.y1, 9, 1e-9);
}

TEST(Mapping, RefusesBadArguments) {
  const TestPicture t = make_picture(Format::kRgb8, 60, 40, 0, 3);
  Mapping m = {};
  m.model_width = 77;
  EXPECT_EQ(map_stretch(t.view, 0, 5, &m), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(map_letterbox(t.view, 5, -1, {}, &m), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(map_stretch(t.view, kMaxSide + 1, 5, &m), TERN_ERR_LIMIT);
  EXPECT_EQ(map_stretch({}, 5, 5, &m), TERN_ERR_INVALID_ARGUMENT);
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  for (const double bad : {nan, inf, -inf, 1e10}) {
    for (int i = 0; i < 6; ++i) {
      Affine a = {{1, 0, 0, 0, 1, 0}};
      a.m[i] = bad;
      EXPECT_EQ(map_affine(t.view, 5, 5, a, &m), TERN_ERR_INVALID_ARGUMENT);
    }
    EXPECT_EQ(map_crop(t.view, 5, 5, {bad, 1, 1, 1, 0}, &m), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(map_crop(t.view, 5, 5, {1, 1, bad, 1, 0}, &m), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(map_crop(t.view, 5, 5, {1, 1, 1, 1, bad}, &m), TERN_ERR_INVALID_ARGUMENT);
  }
  EXPECT_EQ(map_crop(t.view, 5, 5, {1, 1, 0, 1, 0}, &m), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(map_crop(t.view, 5, 5, {1, 1, 1, -2, 0}, &m), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(map_affine(t.view, 5, 5, {{1, 2, 0, 2, 4, 0}}, &m), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(m.model_width, 77);
}

}  // namespace
}  // namespace tern::image
