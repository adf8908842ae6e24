// SPDX-License-Identifier: Apache-2.0
#include "tasks/tracker.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace tern {

void AxisFilter::predict(double frames, double x_noise, double v_noise) {
  x += frames * v;
  xx += frames * (2 * xv + frames * vv) + frames * x_noise;
  xv += frames * vv;
  vv += frames * v_noise;
}

void AxisFilter::update(double seen, double noise) {
  const double of_x = xx / (xx + noise), of_v = xv / (xx + noise), off = seen - x;
  x += of_x * off;
  v += of_v * off;
  vv -= of_v * xv;
  xv *= 1 - of_x;
  xx *= 1 - of_x;
}

bool AxisFilter::sound() const {
  return std::isfinite(x) && std::isfinite(v) && std::isfinite(xx) && std::isfinite(xv) && std::isfinite(vv);
}

bool TrackBox::sound() const {
  for (const double v : {x0, y0, x1, y1})
    if (!(std::fabs(v) <= (double)std::numeric_limits<float>::max())) return false;
  return true;
}

void to_length_1(std::span<float> look) {
  double sum = 0;
  for (const float v : look) sum += (double)v * v;
  const double length = std::sqrt(sum);
  for (float& v : look) v = (float)(v / length);
}

double overlap(const TrackBox& a, const TrackBox& b, double margin) {
  const double w = std::min(a.x1, b.x1) - std::max(a.x0, b.x0) + margin;
  const double h = std::min(a.y1, b.y1) - std::max(a.y0, b.y0) + margin;
  if (!(w > 0 && h > 0)) return 0;
  const double both = w * h;
  return both / ((a.width() + margin) * (a.height() + margin) + (b.width() + margin) * (b.height() + margin) - both);
}

const std::vector<Overlaps::Pair>& Overlaps::find(std::span<const TrackBox> rows, std::span<const TrackBox> columns,
                                                  double margin) {
  pairs_.clear();
  const auto sorted = [](std::span<const TrackBox> boxes, std::vector<int32_t>* order) {
    order->resize(boxes.size());
    std::iota(order->begin(), order->end(), 0);
    std::sort(order->begin(), order->end(), [&](int32_t a, int32_t b) {
      return boxes[(size_t)a].x0 != boxes[(size_t)b].x0 ? boxes[(size_t)a].x0 < boxes[(size_t)b].x0 : a < b;
    });
  };
  sorted(rows, &row_order_);
  sorted(columns, &column_order_);
  // The columns that begin before this row ends, without those that end before it (and all later rows) begins.
  open_.clear();
  size_t next = 0;
  for (const int32_t r : row_order_) {
    const TrackBox& row = rows[(size_t)r];
    for (; next < column_order_.size() && columns[(size_t)column_order_[next]].x0 <= row.x1 + margin; ++next)
      open_.push_back(column_order_[next]);
    size_t kept = 0;
    for (const int32_t c : open_) {
      const TrackBox& column = columns[(size_t)c];
      if (column.x1 + margin < row.x0) continue;
      open_[kept++] = c;
      if (const double iou = overlap(row, column, margin); iou > 0) pairs_.push_back({r, c, iou});
    }
    open_.resize(kept);
    if (pairs_.size() > kMostPairs) break;
  }
  return pairs_;
}

}  // namespace tern
