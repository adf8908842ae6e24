// SPDX-License-Identifier: Apache-2.0
#include "tasks/camera_motion.h"

#include <algorithm>
#include <cmath>

#include "base/status.h"

namespace tern {
namespace {

using image::Point;

constexpr double kApart = 8;      // reduced pixels between two corners
constexpr double kNear = 1.5;     // reduced pixels within which a corner agrees
constexpr int kMostTries = 1000;  // pairs of points that are tried

// p -> (a, b) * p + (x, y), points as complex numbers
struct Similarity {
  double a = 1, b = 0, x = 0, y = 0;
  Point operator()(Point p) const { return {a * p.x - b * p.y + x, b * p.x + a * p.y + y}; }
};

double square(double x) { return x * x; }

// Least squares over some of the pairs, relative to their means. False if they are all in one point.
bool fit(std::span<const Point> from, std::span<const Point> to, const std::vector<int32_t>& of, Similarity* out) {
  Point p{0, 0}, q{0, 0};
  for (const int32_t i : of) {
    p.x += from[(size_t)i].x, p.y += from[(size_t)i].y;
    q.x += to[(size_t)i].x, q.y += to[(size_t)i].y;
  }
  const double n = (double)of.size();
  p.x /= n, p.y /= n, q.x /= n, q.y /= n;
  double along = 0, across = 0, whole = 0;
  for (const int32_t i : of) {
    const double u = from[(size_t)i].x - p.x, v = from[(size_t)i].y - p.y;
    const double s = to[(size_t)i].x - q.x, t = to[(size_t)i].y - q.y;
    along += u * s + v * t, across += u * t - v * s, whole += u * u + v * v;
  }
  if (!(whole > 1e-6)) return false;
  Similarity m{along / whole, across / whole, 0, 0};
  m.x = q.x - (m.a * p.x - m.b * p.y);
  m.y = q.y - (m.b * p.x + m.a * p.y);
  *out = m;
  return true;
}

}  // namespace

CameraMotion::Result fit_similarity(std::span<const Point> from, std::span<const Point> to, double near) {
  constexpr size_t kLeastCorners = 8;
  const size_t n = from.size(), least = std::max(kLeastCorners, n / 5);
  CameraMotion::Result result;
  if (n < kLeastCorners) return result;
  std::vector<int32_t> agree, best;
  const auto find_agreeing = [&](const Similarity& m) {
    agree.clear();
    for (size_t i = 0; i < n; ++i) {
      const Point p = m(from[i]);
      if (square(p.x - to[i].x) + square(p.y - to[i].y) <= square(near)) agree.push_back((int32_t)i);
    }
  };
  uint64_t state = 1;
  const auto pick = [&] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (int32_t)((state >> 33) % n);
  };
  Similarity m;
  int tries = kMostTries;
  for (int k = 0; k < tries; ++k) {
    const int32_t i = pick(), j = pick();
    // Two points that are close say little of a turn.
    if (square(from[(size_t)i].x - from[(size_t)j].x) + square(from[(size_t)i].y - from[(size_t)j].y) <
        square(8 * near))
      continue;
    if (!fit(from, to, {i, j}, &m)) continue;
    find_agreeing(m);
    if (agree.size() <= best.size()) continue;
    best = agree;
    // As many as find two that are right with a probability of 0.999.
    const double both = square((double)best.size() / (double)n);
    if (both > 0.999) break;
    tries = std::min(tries, std::max(20, (int)std::ceil(std::log(0.001) / std::log(1 - both))));
  }
  if (best.size() < least) return result;
  for (int k = 0; k < 5; ++k) {
    if (!fit(from, to, best, &m)) return result;
    find_agreeing(m);
    if (agree.size() < least) return result;
    if (agree == best) break;
    best = agree;
  }
  result.camera = {{m.a, -m.b, m.x, m.b, m.a, m.y}};
  result.corners = (int32_t)best.size();
  return result;
}

// Sampling takes no more than every second pixel; what is left to do is done by means of two.
tern_status CameraMotion::reduce(const image::Picture& picture, image::Pyramid* out) {
  const image::Size size = image::upright_size(picture);
  const double scale = std::min(1.0, o_.max_side / (double)std::max(size.width, size.height));
  const auto side = [&](int32_t whole) { return std::max(16, (int32_t)std::lround(whole * scale)); };
  const int32_t width = side(size.width), height = side(size.height);
  int32_t w = width, h = height;
  while (size.width > 2 * (int64_t)w) w *= 2;
  while (size.height > 2 * (int64_t)h) h *= 2;
  image::Mapping mapping;
  TERN_TRY(image::map_stretch(picture, w, h, &mapping));
  image::SampleOptions options;
  options.channels = 1;
  pixels_.resize((size_t)w * (size_t)h);
  scratch_.resize(image::sample_scratch_bytes(w, image::Filter::kBilinear));
  TERN_TRY(image::sample(picture, mapping, options, 0, h, pixels_.data(), scratch_.data(), scratch_.size()));
  for (; w > width; w /= 2)
    for (size_t i = 0; i < (size_t)w / 2 * (size_t)h; ++i) pixels_[i] = 0.5f * (pixels_[2 * i] + pixels_[2 * i + 1]);
  for (; h > height; h /= 2)
    for (size_t y = 0; y < (size_t)h / 2; ++y)
      for (size_t x = 0; x < (size_t)w; ++x)
        pixels_[y * (size_t)w + x] = 0.5f * (pixels_[2 * y * (size_t)w + x] + pixels_[(2 * y + 1) * (size_t)w + x]);
  scale_x_ = (double)width / size.width, scale_y_ = (double)height / size.height;
  out->build(pixels_.data(), width, height);
  return TERN_OK;
}

tern_status CameraMotion::update(const image::Picture& picture, std::span<const image::Box> leave_out, Result* result) {
  const image::Size size = image::upright_size(picture);
  TERN_TRY(reduce(picture, &now_));
  Result r;
  if (size.width == size_.width && size.height == size_.height) {
    from_.clear();
    to_.clear();
    for (const Point& p : corners_) {
      Point q;
      if (!image::follow(before_, now_, p, &q)) continue;
      from_.push_back({p.x / scale_x_, p.y / scale_y_});
      to_.push_back({q.x / scale_x_, q.y / scale_y_});
    }
    r = fit_similarity(from_, to_, kNear / std::min(scale_x_, scale_y_));
  }
  boxes_.clear();
  for (const image::Box& b : leave_out)
    boxes_.push_back({b.x0 * scale_x_, b.y0 * scale_y_, b.x1 * scale_x_, b.y1 * scale_y_});
  corners_ = finder_.find(now_, o_.max_corners, kApart, boxes_);
  std::swap(before_, now_);
  size_ = size;
  *result = r;
  return TERN_OK;
}

}  // namespace tern
