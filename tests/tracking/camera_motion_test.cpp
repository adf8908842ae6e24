// SPDX-License-Identifier: Apache-2.0
// The motion of a camera is found from pictures, as well as OpenCV finds it (make_camera_motion.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

#include "samples/image.h"
#include "tern/tern.h"

namespace {

constexpr int kWidth = 512, kHeight = 384;
using Grey = std::vector<uint8_t>;  // [kHeight][kWidth]

struct Affine {
  double m[6];
  void apply(double x, double y, double* u, double* v) const {
    *u = m[0] * x + m[1] * y + m[2], *v = m[3] * x + m[4] * y + m[5];
  }
};
constexpr Affine kStill = {{1, 0, 0, 0, 1, 0}};

// About the middle of the picture.
Affine affine(double angle, double zoom, double x, double y) {
  const double turn = angle * std::acos(-1.0) / 180, a = zoom * std::cos(turn), b = zoom * std::sin(turn);
  const double cx = kWidth / 2.0, cy = kHeight / 2.0;
  return {{a, -b, cx - a * cx + b * cy + x, b, a, cy - b * cx - a * cy + y}};
}
Affine inverse(const Affine& f) {
  const double* m = f.m;
  const double d = m[0] * m[4] - m[1] * m[3], a = m[4] / d, b = -m[1] / d, c = -m[3] / d, e = m[0] / d;
  return {{a, b, -(a * m[2] + b * m[5]), c, e, -(c * m[2] + e * m[5])}};
}
// How far a corner of the picture lands from where it should, in pixels.
double distance(const Affine& a, const Affine& b) {
  double most = 0;
  for (const double x : {0, kWidth})
    for (const double y : {0, kHeight}) {
      double u, v, s, t;
      a.apply(x, y, &u, &v);
      b.apply(x, y, &s, &t);
      most = std::max(most, std::hypot(u - s, v - t));
    }
  return most;
}

struct Photo {
  int width = 0, height = 0;
  std::vector<double> grey;
  double at(int x, int y) const { return grey[(size_t)y * (size_t)width + (size_t)x]; }
};
const Photo& photo() {
  static const Photo p = [] {
    Photo made;
    unsigned char* rgb = image_read(TERN_SOURCE_DIR "/samples/dog.jpg", &made.width, &made.height);
    if (!rgb) std::abort();
    for (int i = 0; i < made.width * made.height; ++i)
      made.grey.push_back(std::floor(0.299 * rgb[3 * i] + 0.587 * rgb[3 * i + 1] + 0.114 * rgb[3 * i + 2] + 0.5));
    std::free(rgb);
    return made;
  }();
  return p;
}

double noise(int frame, int x, int y, int strength) {
  uint32_t h = (uint32_t)x * 374761393u + (uint32_t)y * 668265263u + (uint32_t)frame * 974634777u;
  h = (h ^ h >> 13) * 1274126177u;
  h ^= h >> 16;
  return (double)(h % (uint32_t)(2 * strength + 1)) - strength;
}

struct Scene {
  Grey pixels;
  std::vector<tern_detection> boxes;
};
// A part of the photo as the camera sees it, and things in it that move by themselves.
Scene look(const Affine& camera, int frame, int strength, int boxes, int box_width = 60, int box_height = 90) {
  Scene scene;
  const Photo& p = photo();
  const Affine back = inverse(camera);
  for (int y = 0; y < kHeight; ++y)
    for (int x = 0; x < kWidth; ++x) {
      double u, v;
      back.apply(x + 0.5, y + 0.5, &u, &v);
      u += (p.width - kWidth) / 2.0 - 0.5, v += (p.height - kHeight) / 2.0 - 0.5;
      const int i = (int)std::floor(u), j = (int)std::floor(v);
      const double s = u - i, t = v - j;
      double value = (1 - t) * ((1 - s) * p.at(i, j) + s * p.at(i + 1, j)) +
                     t * ((1 - s) * p.at(i, j + 1) + s * p.at(i + 1, j + 1));
      if (strength) value += noise(frame, x, y, strength);
      scene.pixels.push_back((uint8_t)std::clamp(std::floor(value + 0.5), 0.0, 255.0));
    }
  for (int k = 0; k < boxes; ++k) {
    const int left = std::clamp(60 + 150 * k + (11 - 6 * k) * frame, 0, kWidth - 1),
              top = std::clamp(90 + 60 * k + (5 * k - 8) * frame, 0, kHeight - 1);
    const int height = std::min(box_height, kHeight - top), width = std::min(box_width, kWidth - left);
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)
        scene.pixels[(size_t)((top + y) * kWidth + left + x)] =
            (uint8_t)p.at((300 + 60 * k + x) % p.width, (400 + y) % p.height);
    scene.boxes.push_back({(float)left, (float)top, (float)(left + width), (float)(top + height), 0.9f, 0});
  }
  return scene;
}

tern_picture view(const Grey& pixels, int width = kWidth, int height = kHeight) {
  tern_picture p = TERN_PICTURE_INIT;
  p.format = TERN_PICTURE_GREY8;
  p.width = width, p.height = height;
  p.planes[0] = pixels.data();
  p.strides[0] = width;
  return p;
}

struct Estimator {
  explicit Estimator(int32_t max_side = 0, int32_t max_corners = 0) {
    tern_camera_motion_options o = TERN_CAMERA_MOTION_OPTIONS_INIT;
    o.max_side = max_side, o.max_corners = max_corners;
    EXPECT_EQ(tern_camera_motion_create(&o, &p), TERN_OK) << tern_last_error_message();
  }
  ~Estimator() { tern_camera_motion_release(p); }
  Affine update(const tern_picture& picture, const std::vector<tern_detection>& boxes = {}) {
    float camera[6];
    EXPECT_EQ(tern_camera_motion_update(p, &picture, boxes.data(), (int32_t)boxes.size(), camera, &corners), TERN_OK)
        << tern_last_error_message();
    Affine a;
    for (int i = 0; i < 6; ++i) a.m[i] = camera[i];
    return a;
  }
  tern_camera_motion* p = nullptr;
  int32_t corners = -1;
};

bool stands(const Affine& a) { return std::equal(a.m, a.m + 6, kStill.m); }

TEST(CameraMotion, IsFoundAsOpenCvFindsIt) {
  std::ifstream file(TERN_SOURCE_DIR "/tests/tracking/camera_motion.txt");
  int lines = 0;
  double worst = 0, worst_small = 0, worst_opencv = 0;
  for (std::string line; std::getline(file, line); ++lines) {
    std::stringstream text(line);
    double angle, zoom, x, y;
    int strength, boxes;
    Affine opencv;
    text >> angle >> zoom >> x >> y >> strength >> boxes;
    for (double& v : opencv.m) text >> v;
    ASSERT_TRUE(text) << line;
    const Affine truth = affine(angle, zoom, x, y);
    const Scene first = look(kStill, 0, strength, 3 * boxes), second = look(truth, 1, strength, 3 * boxes);
    Estimator whole, small(256);
    whole.update(view(first.pixels), first.boxes);
    const Affine found = whole.update(view(second.pixels), second.boxes);
    EXPECT_LT(distance(found, truth), 0.1) << line;
    EXPECT_LT(distance(found, opencv), distance(truth, opencv) + 0.1) << line;
    EXPECT_GT(whole.corners, 100) << line;
    small.update(view(first.pixels), first.boxes);
    const Affine found_small = small.update(view(second.pixels), second.boxes);
    EXPECT_LT(distance(found_small, truth), 0.3) << line;
    worst = std::max(worst, distance(found, truth));
    worst_small = std::max(worst_small, distance(found_small, truth));
    worst_opencv = std::max(worst_opencv, distance(opencv, truth));
  }
  EXPECT_EQ(lines, 21);
  std::printf("worst corner: %.3f pixels, at half the size %.3f, OpenCV %.3f\n", worst, worst_small, worst_opencv);
}

// What moves by itself and fills most of the picture is only told from the camera's motion by its boxes.
TEST(CameraMotion, LeavesBoxesOut) {
  const Affine truth = affine(0.5, 1, 3, 1);
  const Scene first = look(kStill, 0, 2, 1, 400, 250), second = look(truth, 1, 2, 1, 400, 250);
  Estimator with, without;
  with.update(view(first.pixels), first.boxes);
  EXPECT_LT(distance(with.update(view(second.pixels), second.boxes), truth), 0.2);
  without.update(view(first.pixels));
  EXPECT_GT(distance(without.update(view(second.pixels)), truth), 5);
}

// Every format and rotation gives the motion of the upright picture; the same pictures give the same bits.
TEST(CameraMotion, OfAnyPicture) {
  const Affine truth = affine(1, 1.01, -4, 2.5);
  const Scene first = look(kStill, 0, 0, 0), second = look(truth, 1, 0, 0);
  Estimator grey, again, turned, colour;
  grey.update(view(first.pixels));
  again.update(view(first.pixels));
  const Affine found = grey.update(view(second.pixels)), same = again.update(view(second.pixels));
  EXPECT_TRUE(std::equal(found.m, found.m + 6, same.m));
  const auto lay = [](const Grey& g) {  // as a sensor that is turned a quarter sees it
    Grey out(g.size());
    for (int y = 0; y < kHeight; ++y)
      for (int x = 0; x < kWidth; ++x) out[(size_t)((kWidth - 1 - x) * kHeight + y)] = g[(size_t)(y * kWidth + x)];
    return out;
  };
  Affine of_turned = kStill, of_colour = kStill;
  for (const Scene* s : {&first, &second}) {
    const Grey stored = lay(s->pixels);
    tern_picture p = view(stored, kHeight, kWidth);
    p.rotation = 90;
    of_turned = turned.update(p);
    std::vector<uint8_t> rgb;
    for (const uint8_t v : s->pixels) rgb.insert(rgb.end(), 3, v);
    p = view(rgb);
    p.format = TERN_PICTURE_RGB8;
    p.strides[0] = 3 * kWidth;
    of_colour = colour.update(p);
  }
  EXPECT_LT(distance(of_turned, found), 1e-3);
  EXPECT_LT(distance(of_colour, found), 1e-2);
}

// A long way, frame by frame: errors do not add up to more than a pixel.
TEST(CameraMotion, AddsUp) {
  Estimator estimator(640, 200);
  Affine whole = kStill;
  for (int f = 0; f < 20; ++f) {
    const Scene s = look(affine(0.2 * f, 1 + 0.002 * f, 1.5 * f, -0.7 * f), f, 3, 2);
    const Affine step = estimator.update(view(s.pixels), s.boxes);
    EXPECT_EQ(estimator.corners == 0, f == 0);
    const double *a = step.m, b[6] = {whole.m[0], whole.m[1], whole.m[2], whole.m[3], whole.m[4], whole.m[5]};
    whole = {{a[0] * b[0] + a[1] * b[3], a[0] * b[1] + a[1] * b[4], a[0] * b[2] + a[1] * b[5] + a[2],
              a[3] * b[0] + a[4] * b[3], a[3] * b[1] + a[4] * b[4], a[3] * b[2] + a[4] * b[5] + a[5]}};
  }
  EXPECT_LT(distance(whole, affine(0.2 * 19, 1 + 0.002 * 19, 1.5 * 19, -0.7 * 19)), 1);
}

TEST(CameraMotion, StandsWhereNothingIsKnown) {
  const Scene scene = look(kStill, 0, 0, 0);
  Estimator e;
  const auto nothing = [&](const Affine& a) { return stands(a) && e.corners == 0; };
  EXPECT_TRUE(nothing(e.update(view(scene.pixels))));  // the first one
  EXPECT_FALSE(nothing(e.update(view(scene.pixels))));
  EXPECT_TRUE(nothing(e.update(view(scene.pixels, kWidth / 2))));  // another size
  EXPECT_TRUE(nothing(e.update(view(scene.pixels))));
  ASSERT_EQ(tern_camera_motion_reset(e.p), TERN_OK);
  EXPECT_TRUE(nothing(e.update(view(scene.pixels))));
  EXPECT_FALSE(nothing(e.update(view(scene.pixels))));
  const Grey flat(scene.pixels.size(), 90);
  EXPECT_TRUE(nothing(e.update(view(flat))));  // nothing looks like it did
  EXPECT_TRUE(nothing(e.update(view(flat))));  // nothing to hold on to
  EXPECT_TRUE(nothing(e.update(view(scene.pixels))));
  Grey other(scene.pixels.size());
  for (int y = 0; y < kHeight; ++y)
    for (int x = 0; x < kWidth; ++x) other[(size_t)(y * kWidth + x)] = (uint8_t)(128 + noise(1, x, y, 120));
  EXPECT_TRUE(nothing(e.update(view(other))));  // a cut
  const std::vector<tern_detection> all = {{-9, -9, 1e30f, 1e30f, 0, 0}};
  e.update(view(scene.pixels), all);
  EXPECT_TRUE(nothing(e.update(view(scene.pixels))));  // everything was left out
  for (const auto [width, height] : {std::pair{1, 1}, {1, 5000}, {5000, 1}, {17, 33}, {65536, 2}}) {
    const Grey strip((size_t)width * (size_t)height, 7);
    EXPECT_TRUE(nothing(e.update(view(strip, width, height)))) << width << " x " << height;
    EXPECT_TRUE(nothing(e.update(view(strip, width, height)))) << width << " x " << height;
  }
}

TEST(CameraMotion, RefusesWhatCannotBe) {
  const Scene scene = look(kStill, 0, 0, 0), moved = look(affine(0, 1, 2, 0), 1, 0, 0);
  Estimator e;
  e.update(view(scene.pixels));
  float camera[6] = {7, 7, 7, 7, 7, 7};
  tern_picture good = view(moved.pixels);
  const auto run = [&](const tern_picture* p, const tern_detection* boxes, int32_t n) {
    return tern_camera_motion_update(e.p, p, boxes, n, camera, nullptr);
  };
  EXPECT_EQ(run(nullptr, nullptr, 0), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(run(&good, nullptr, 1), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(run(&good, nullptr, -1), TERN_ERR_INVALID_ARGUMENT);
  const tern_detection bad = {0, 0, std::nanf(""), 1, 0, 0};
  EXPECT_EQ(run(&good, &bad, 1), TERN_ERR_INVALID_ARGUMENT);
  tern_picture wrong = good;
  wrong.strides[0] = 3;
  EXPECT_EQ(run(&wrong, nullptr, 0), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(tern_camera_motion_update(e.p, &good, nullptr, 0, nullptr, nullptr), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(tern_camera_motion_update(nullptr, &good, nullptr, 0, camera, nullptr), TERN_ERR_INVALID_ARGUMENT);
  EXPECT_EQ(camera[5], 7);
  // It is as it was.
  EXPECT_LT(distance(e.update(good), affine(0, 1, 2, 0)), 0.1);
  for (const auto [side, corners] : {std::pair{63, 0}, {4097, 0}, {-1, 0}, {0, 15}, {0, 10001}, {0, -1}}) {
    tern_camera_motion_options o = TERN_CAMERA_MOTION_OPTIONS_INIT;
    o.max_side = side, o.max_corners = corners;
    tern_camera_motion* made = nullptr;
    EXPECT_EQ(tern_camera_motion_create(&o, &made), TERN_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(made, nullptr);
  }
  EXPECT_EQ(tern_camera_motion_reset(nullptr), TERN_ERR_INVALID_ARGUMENT);
}

}  // namespace
