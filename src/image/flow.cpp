// SPDX-License-Identifier: Apache-2.0
#include "image/flow.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace tern::image {
namespace {

constexpr int32_t kLeastSide = 16;

void repeat_borders(Pyramid::Level& l) {
  constexpr int kMargin = Pyramid::kMargin;
  for (int32_t y = 0; y < l.height; ++y) {
    float* row = l.row(y);
    std::fill(row - kMargin, row, row[0]);
    std::fill(row + l.width, row + l.width + kMargin, row[l.width - 1]);
  }
  const size_t bytes = (size_t)l.stride * sizeof(float);
  for (int32_t y = 1; y <= kMargin; ++y) {
    std::memcpy(l.row(-y) - kMargin, l.row(0) - kMargin, bytes);
    std::memcpy(l.row(l.height - 1 + y) - kMargin, l.row(l.height - 1) - kMargin, bytes);
  }
}

void resize(Pyramid::Level& l, int32_t width, int32_t height) {
  l.width = width, l.height = height;
  l.stride = width + 2 * Pyramid::kMargin;
  l.memory.resize((size_t)l.stride * (size_t)(height + 2 * Pyramid::kMargin));
}

}  // namespace

void Pyramid::build(const float* pixels, int32_t width, int32_t height) {
  resize(level_[0], width, height);
  for (int32_t y = 0; y < height; ++y)
    std::memcpy(level_[0].row(y), pixels + (ptrdiff_t)y * width, (size_t)width * sizeof(float));
  repeat_borders(level_[0]);
  for (levels_ = 1; levels_ < kLevels; ++levels_) {
    const Level& fine = level_[levels_ - 1];
    Level& coarse = level_[levels_];
    if (std::min(fine.width, fine.height) / 2 < kLeastSide) break;
    resize(coarse, fine.width / 2, fine.height / 2);
    for (int32_t y = 0; y < coarse.height; ++y) {
      const float *p = fine.row(2 * y), *q = fine.row(2 * y + 1);
      float* out = coarse.row(y);
      for (int32_t x = 0; x < coarse.width; ++x) out[x] = 0.25f * (p[2 * x] + p[2 * x + 1] + q[2 * x] + q[2 * x + 1]);
    }
    repeat_borders(coarse);
  }
}

// ---- corners ----

const std::vector<Point>& Corners::find(const Pyramid& picture, int32_t most, double distance,
                                        std::span<const Box> leave_out) {
  constexpr float kQuality = 0.01f;  // of the strongest corner
  constexpr float kLeast = 4;        // a difference of about two grey levels over the window
  constexpr int32_t kBorder = 4;     // pixels in which nothing is looked for
  const Pyramid::Level& l = picture.level(0);
  const int32_t w = l.width, h = l.height;
  // The smaller eigenvalue of the sum of products of gradients over 3 x 3 pixels.
  strength_.assign((size_t)w * (size_t)h, 0);
  products_.resize(9 * (size_t)w);  // three rows of xx, xy, yy
  const auto fill_products = [&](int32_t y) {
    float* xx = products_.data() + (size_t)(y % 3) * 3 * (size_t)w;
    float *xy = xx + w, *yy = xy + w;
    const float *a = l.row(y - 1), *b = l.row(y), *c = l.row(y + 1);
    for (int32_t x = 0; x < w; ++x) {
      const float gx = 0.125f * (a[x + 1] - a[x - 1] + 2 * (b[x + 1] - b[x - 1]) + c[x + 1] - c[x - 1]);
      const float gy = 0.125f * (c[x - 1] - a[x - 1] + 2 * (c[x] - a[x]) + c[x + 1] - a[x + 1]);
      xx[x] = gx * gx, xy[x] = gx * gy, yy[x] = gy * gy;
    }
  };
  float strongest = 0;
  for (int32_t y = kBorder - 1; y < kBorder + 1; ++y) fill_products(y);
  for (int32_t y = kBorder; y < h - kBorder; ++y) {
    fill_products(y + 1);
    const float *p = products_.data(), *q = p + 3 * w, *r = q + 3 * w;
    float* out = strength_.data() + (ptrdiff_t)y * w;
    for (int32_t x = kBorder; x < w - kBorder; ++x) {
      const auto sum = [&](ptrdiff_t plane) {
        const ptrdiff_t i = plane * w + x;
        return p[i - 1] + p[i] + p[i + 1] + q[i - 1] + q[i] + q[i + 1] + r[i - 1] + r[i] + r[i + 1];
      };
      const float xx = sum(0), xy = sum(1), yy = sum(2), half = 0.5f * (xx - yy);
      out[x] = 0.5f * (xx + yy) - std::sqrt(half * half + xy * xy);
    }
  }
  for (const float v : strength_) strongest = std::max(strongest, v);
  found_.clear();
  candidates_.clear();
  const float least = std::max(kLeast, kQuality * strongest);
  for (int32_t y = kBorder; y < h - kBorder; ++y) {
    const float* s = strength_.data() + (ptrdiff_t)y * w;
    for (int32_t x = kBorder; x < w - kBorder; ++x) {
      const float v = s[x];
      // One of equal neighbours only.
      if (v >= least && v > s[x - 1] && v >= s[x + 1] && v > s[x - w] && v > s[x - w - 1] && v > s[x - w + 1] &&
          v >= s[x + w] && v >= s[x + w - 1] && v >= s[x + w + 1])
        candidates_.push_back({v, x, y});
    }
  }
  std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
    return a.strength != b.strength ? a.strength > b.strength : a.y != b.y ? a.y < b.y : a.x < b.x;
  });
  // A cell is so large that two neighbouring corners are in neighbouring cells, and so small that it holds one of them.
  const double side = std::max(1.0, distance / std::sqrt(2.0));
  const int32_t columns = (int32_t)(w / side) + 1, rows = (int32_t)(h / side) + 1;
  cells_.assign((size_t)columns * (size_t)rows, -1);
  for (const Candidate& c : candidates_) {
    if ((int32_t)found_.size() >= most) break;
    const Point p = {c.x + 0.5, c.y + 0.5};
    if (std::any_of(leave_out.begin(), leave_out.end(),
                    [&](const Box& b) { return p.x >= b.x0 && p.x <= b.x1 && p.y >= b.y0 && p.y <= b.y1; }))
      continue;
    const int32_t column = (int32_t)(p.x / side), row = (int32_t)(p.y / side);
    bool alone = true;
    for (int32_t v = std::max(0, row - 2); v <= std::min(rows - 1, row + 2); ++v)
      for (int32_t u = std::max(0, column - 2); u <= std::min(columns - 1, column + 2); ++u)
        if (const int32_t other = cells_[(size_t)v * (size_t)columns + (size_t)u]; other >= 0)
          alone = alone && std::hypot(found_[(size_t)other].x - p.x, found_[(size_t)other].y - p.y) >= distance;
    if (!alone) continue;
    cells_[(size_t)row * (size_t)columns + (size_t)column] = (int32_t)found_.size();
    found_.push_back(p);
  }
  return found_;
}

// ---- the same point in another picture ----

namespace {

constexpr int kRadius = 7, kSide = 2 * kRadius + 1, kRow = 16;  // pixels of the window; floats of a row of it

// Blends a window of pixels around a point, which lies in the picture: from kReach to the left of it and above.
template <int kReach, int kColumns>
void blend(const Pyramid::Level& l, double x, double y, float* out, int stride) {
  static_assert(kColumns - kReach <= Pyramid::kMargin && kReach + 2 <= Pyramid::kMargin);
  const int32_t x0 = (int32_t)std::floor(x - 0.5), y0 = (int32_t)std::floor(y - 0.5);
  const float u = (float)(x - 0.5 - x0), v = (float)(y - 0.5 - y0);
  const float a = (1 - u) * (1 - v), b = u * (1 - v), c = (1 - u) * v, d = u * v;
  for (int i = 0; i <= 2 * kReach; ++i) {
    const float *p = l.row(y0 - kReach + i) + x0 - kReach, *q = p + l.stride;
    for (int k = 0; k < kColumns; ++k) out[i * stride + k] = a * p[k] + b * p[k + 1] + c * q[k] + d * q[k + 1];
  }
}

bool inside(const Pyramid::Level& l, double x, double y) { return x >= 0 && y >= 0 && x < l.width && y < l.height; }

}  // namespace

bool follow(const Pyramid& a, const Pyramid& b, Point from, Point* to) {
  constexpr int kMostSteps = 20;
  constexpr double kStill = 0.02, kStillCoarse = 0.1;  // pixels: a step that small is the last
  constexpr double kLeastHold = 0.25;                  // smaller eigenvalue by pixel of the window
  constexpr double kMostDifference = 20;               // mean, in grey levels
  if (!inside(a.level(0), from.x, from.y)) return false;
  double dx = 0, dy = 0;  // at the present level
  for (int level = a.levels() - 1; level >= 0; --level) {
    const Pyramid::Level &la = a.level(level), &lb = b.level(level);
    const double scale = 1.0 / (1 << level);
    // A row or column that does not fill a pixel of a coarse level is cut off there.
    const double x = std::min(from.x * scale, la.width - 1e-3), y = std::min(from.y * scale, la.height - 1e-3);
    dx *= 2, dy *= 2;
    // Rows are whole vectors: the gradients in the 16th column stay 0, so that it does not count.
    alignas(32) float window[kSide][kRow] = {}, gx[kSide][kRow] = {}, gy[kSide][kRow] = {}, other[kSide][kRow] = {};
    float wide[kSide + 2][kSide + 2];
    blend<kRadius + 1, kSide + 2>(la, x, y, wide[0], kSide + 2);
    double xx = 0, xy = 0, yy = 0;
    for (int i = 0; i < kSide; ++i)
      for (int k = 0; k < kSide; ++k) {
        const float *p = wide[i] + k, *q = wide[i + 1] + k, *r = wide[i + 2] + k;
        window[i][k] = q[1];
        gx[i][k] = (3 * (p[2] - p[0]) + 10 * (q[2] - q[0]) + 3 * (r[2] - r[0])) / 32;
        gy[i][k] = (3 * (r[0] - p[0]) + 10 * (r[1] - p[1]) + 3 * (r[2] - p[2])) / 32;
        xx += (double)gx[i][k] * gx[i][k], xy += (double)gx[i][k] * gy[i][k], yy += (double)gy[i][k] * gy[i][k];
      }
    const double hold = (xx + yy) / 2 - std::sqrt((xx - yy) * (xx - yy) / 4 + xy * xy), whole = xx * yy - xy * xy;
    if (!(hold > kLeastHold * kSide * kSide && whole > 0)) {
      if (level == 0) return false;
      continue;
    }
    for (int step = 0; step < kMostSteps; ++step) {
      if (!inside(lb, x + dx, y + dy)) return false;
      blend<kRadius, kRow>(lb, x + dx, y + dy, other[0], kRow);
      float sum_x[kRow] = {}, sum_y[kRow] = {};
      for (int i = 0; i < kSide; ++i)
        for (int k = 0; k < kRow; ++k) {
          const float e = other[i][k] - window[i][k];
          sum_x[k] += e * gx[i][k];
          sum_y[k] += e * gy[i][k];
        }
      double ex = 0, ey = 0;
      for (int k = 0; k < kRow; ++k) ex += sum_x[k], ey += sum_y[k];
      const double step_x = (xy * ey - yy * ex) / whole, step_y = (xy * ex - xx * ey) / whole;
      dx += step_x, dy += step_y;
      if (step_x * step_x + step_y * step_y < (level == 0 ? kStill * kStill : kStillCoarse * kStillCoarse)) break;
    }
    if (!inside(lb, x + dx, y + dy)) return false;
    if (level > 0) continue;
    double difference = 0;
    for (int i = 0; i < kSide; ++i)
      for (int k = 0; k < kSide; ++k) difference += std::fabs(other[i][k] - window[i][k]);
    if (difference > kMostDifference * kSide * kSide) return false;
  }
  *to = {from.x + dx, from.y + dy};
  return true;
}

}  // namespace tern::image
