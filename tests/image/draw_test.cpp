// SPDX-License-Identifier: Apache-2.0
#include "image/draw.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace tern::image {
namespace {

// A canvas inside a larger block; bytes between the rows and around them must stay as they are.
struct Sheet {
  static constexpr uint8_t kGuard = 0xA5;
  int width, height;
  size_t stride;
  std::vector<uint8_t> bytes;

  Sheet(int w, int h) : width(w), height(h), stride(size_t(w) * 3 + 7), bytes(stride * size_t(h + 2), kGuard) {
    for (int y = 0; y < h; ++y) std::memset(row(y), 0, size_t(w) * 3);
  }
  uint8_t* row(int y) { return bytes.data() + stride * size_t(y + 1); }
  Canvas canvas() { return {row(0), width, height, stride}; }
  bool guards_hold() {
    for (size_t i = 0; i < bytes.size(); ++i) {
      const size_t y = i / stride, x = i % stride;
      const bool pixel = y >= 1 && y <= size_t(height) && x < size_t(width) * 3;
      if (!pixel && bytes[i] != kGuard) return false;
    }
    return true;
  }
  int64_t sum() {
    int64_t s = 0;
    for (int y = 0; y < height; ++y)
      for (int i = 0; i < width * 3; ++i) s += row(y)[i];
    return s;
  }
};

const Colour kWhite = {255, 255, 255};

void draw_all(const Canvas& c, const double* v, const char* text) {
  const DrawStyle odd = {v[4], v[5], v[6]};
  draw_box(c, {v[0], v[1], v[2], v[3]}, v[4], kWhite);
  draw_line(c, {v[0], v[1]}, {v[2], v[3]}, v[5], kWhite, v[6]);
  draw_disc(c, {v[0], v[1]}, v[4], kWhite, v[7]);
  draw_text(c, {v[2], v[3]}, text, v[5], kWhite);
  draw_label(c, {v[0], v[1], v[2], v[3]}, text, odd, palette_colour(int64_t(v[7] == v[7] ? 3 : 4)));
  const Point points[] = {{v[0], v[1]}, {v[2], v[3]}, {v[4], v[5]}};
  const Limb limbs[] = {{0, 1}, {1, 2}, {-1, 0}, {0, 3}, {INT32_MAX, INT32_MIN}};
  draw_skeleton(c, points, limbs, odd, kWhite);
}

TEST(Draw, StaysInsideTheCanvas) {
  std::mt19937 random(5);
  std::uniform_real_distribution<double> place(-60, 120), size(-3, 40);
  for (int i = 0; i < 300; ++i) {
    Sheet s(1 + int(random() % 60), 1 + int(random() % 50));
    double v[8];
    for (int k = 0; k < 8; ++k) v[k] = k < 4 ? place(random) : size(random) / (k == 5 ? 10 : 1);
    draw_all(s.canvas(), v, "dog 0.87 gjpqy");
    ASSERT_TRUE(s.guards_hold()) << i;
  }
}

TEST(Draw, IgnoresNanAndHugeNumbers) {
  const double bad[] = {std::numeric_limits<double>::quiet_NaN(),
                        std::numeric_limits<double>::infinity(),
                        -std::numeric_limits<double>::infinity(),
                        1e300,
                        -1e300,
                        1e18,
                        2147483648.0};
  for (const double b : bad) {
    Sheet s(40, 30);
    const double all[8] = {b, b, b, b, b, b, b, b};
    draw_all(s.canvas(), all, "text");
    EXPECT_EQ(s.sum(), 0) << b;
    for (int k = 0; k < 8; ++k) {
      double v[8] = {3, 4, 20, 15, 3, 1.5, 1, 0.5};
      v[k] = b;
      draw_all(s.canvas(), v, "text");
    }
    EXPECT_TRUE(s.guards_hold()) << b;
  }
}

TEST(Draw, LongLinesAcrossTheCanvas) {
  Sheet s(40, 30);
  draw_line(s.canvas(), {-9e6, -9e6}, {9e6, 9e6}, 2, kWhite);
  EXPECT_GT(s.row(10)[10 * 3], 200);
  EXPECT_EQ(s.row(10)[30 * 3], 0);
  EXPECT_TRUE(s.guards_hold());
}

TEST(Draw, LeavesAnUnusableCanvasAlone) {
  Sheet s(20, 20);
  const double v[8] = {3, 4, 15, 15, 3, 1.5, 1, 1};
  for (const Canvas& c :
       {Canvas{nullptr, 20, 20, s.stride}, Canvas{s.row(0), 0, 20, s.stride}, Canvas{s.row(0), 20, -1, s.stride},
        Canvas{s.row(0), 20, 20, 59}, Canvas{s.row(0), kMaxSide + 1, 20, size_t(1) << 30}})
    draw_all(c, v, "text");
  draw_text(s.canvas(), {1, 1}, nullptr, 2, kWhite);
  draw_label(s.canvas(), {1, 1, 5, 5}, nullptr, draw_style(20, 20), kWhite);
  EXPECT_EQ(s.sum(), 0);
  EXPECT_EQ(text_width(nullptr, 2), 0);
}

TEST(Draw, BoxHasTheThicknessAskedFor) {
  Sheet s(40, 40);
  draw_box(s.canvas(), {10, 10, 30, 30}, 4, kWhite);
  for (int x = 0; x < 40; ++x) {
    const bool line = (x >= 8 && x < 12) || (x >= 28 && x < 32);
    EXPECT_EQ(s.row(20)[x * 3], line ? 255 : 0) << x;
    EXPECT_EQ(s.row(x)[20 * 3], line ? 255 : 0) << x;
  }
  Sheet t(40, 40);
  draw_box(t.canvas(), {30, 30, 10, 10}, 4, kWhite);
  EXPECT_EQ(s.bytes, t.bytes);
}

TEST(Draw, DiscCoversItsArea) {
  Sheet s(60, 60);
  draw_disc(s.canvas(), {30.3, 29.6}, 17.5, kWhite);
  EXPECT_NEAR(double(s.sum()) / (3 * 255), std::acos(-1.0) * 17.5 * 17.5, 4);
  Sheet line(80, 60);
  draw_line(line.canvas(), {20, 15}, {60, 45}, 6, kWhite);
  EXPECT_NEAR(double(line.sum()) / (3 * 255), 50 * 6 + std::acos(-1.0) * 9, 3);
}

TEST(Draw, EveryLetterIsDifferentAndSpaceIsEmpty) {
  std::vector<std::vector<uint8_t>> seen;
  for (char c = ' '; c <= '~'; ++c) {
    Sheet s(24, 32);
    const char text[2] = {c, 0};
    draw_text(s.canvas(), {2, 2}, text, 3, kWhite);
    EXPECT_EQ(s.sum() == 0, c == ' ') << c;
    for (const auto& other : seen) EXPECT_NE(other, s.bytes) << c;
    seen.push_back(s.bytes);
  }
}

TEST(Draw, TextMayHoldAnyBytes) {
  std::mt19937 random(9);
  for (int i = 0; i < 50; ++i) {
    Sheet s(50, 20);
    std::string text;
    for (int k = 0; k < 30; ++k) text += char(random());
    draw_text(s.canvas(), {-20, 2}, text.c_str(), 1.5, kWhite);
    draw_label(s.canvas(), {5, 5, 20, 20}, text.c_str(), draw_style(50, 20), kWhite);
    EXPECT_TRUE(s.guards_hold());
  }
  EXPECT_EQ(text_width("\xC3\xA9", 2), text_width("e", 2));
  EXPECT_EQ(text_width("\xE2\x82", 2), text_width("e", 2));  // cut in the middle
  EXPECT_EQ(text_width("ab", 2), 22);
}

TEST(Draw, LabelStaysVisibleAtEachBorder) {
  for (const Box& b : {Box{-50, -50, 20, 20}, Box{180, 0, 300, 50}, Box{50, 90, 80, 200}, Box{-10, 50, 5, 60}}) {
    Sheet s(200, 100);
    const DrawStyle style = draw_style(200, 100);
    draw_label(s.canvas(), b, "cat 0.5", style, kWhite);
    // The tag is white with black text: most of its area counts.
    EXPECT_GT(s.sum() / (3 * 255), int64_t(text_width("cat 0.5", style.glyph) * 7 * style.glyph * 0.6));
  }
}

TEST(Draw, LabelFillsItsBox) {
  for (const Box& b : {Box{-50, -50, 20, 20}, Box{180, 0, 300, 50}, Box{50, 90, 80, 200}, Box{60, 50, 70, 60}}) {
    const DrawStyle style = draw_style(200, 100);
    Sheet s(200, 100);
    const Box tag = label_box(s.canvas(), b, "cat", style);
    ASSERT_TRUE(tag.x0 >= 0 && tag.y0 >= 0 && tag.x1 <= 200 && tag.y1 <= 100 && tag.x1 > tag.x0 && tag.y1 > tag.y0);
    draw_label(s.canvas(), b, "cat", style, kWhite);
    // White to its edges, and nothing outside.
    for (int y = 0; y < 100; ++y)
      for (int x = 0; x < 200; ++x) {
        const bool inside = x >= tag.x0 && x < tag.x1 && y >= tag.y0 && y < tag.y1;
        const bool edge = inside && (x == tag.x0 || x == tag.x1 - 1 || y == tag.y0 || y == tag.y1 - 1);
        const int value = s.row(y)[3 * x];
        if (edge) ASSERT_EQ(value, 255) << x << " " << y;
        if (!inside) ASSERT_EQ(value, 0) << x << " " << y;
      }
  }
  const Canvas none = {nullptr, 0, 0, 0};
  const Box nothing = label_box(none, {1, 1, 5, 5}, "cat", draw_style(20, 20));
  EXPECT_EQ(nothing.x1 - nothing.x0, 0);
}

TEST(Draw, StyleGrowsWithThePicture) {
  const DrawStyle small = draw_style(640, 480), large = draw_style(4000, 3000), none = draw_style(-1, 0);
  EXPECT_NEAR(large.glyph / small.glyph, 4000.0 / 640, 0.5);
  EXPECT_GT(large.line, 5 * small.line);
  EXPECT_GT(none.glyph, 1);
}

TEST(Draw, PaletteTakesAnyIndex) {
  const Colour a = palette_colour(0), b = palette_colour(20), c = palette_colour(-20);
  EXPECT_TRUE(a.r == b.r && a.g == b.g && a.b == b.b && a.r == c.r);
  palette_colour(INT64_MIN);
  palette_colour(INT64_MAX);
}

}  // namespace
}  // namespace tern::image
