// SPDX-License-Identifier: Apache-2.0
#include "tasks/region.h"

#include <algorithm>
#include <numbers>

namespace tern {

tern_status RegionRule::read(const TaskMetadata& m, int32_t points, RegionRule* out) {
  RegionRule r;
  r.from = (From)m.choice("region.from");
  r.centre = (int32_t)m.integer("region.centre"), r.edge = (int32_t)m.integer("region.edge");
  const std::vector<double> turn = m.numbers("region.turn"), around = m.numbers("region.around"),
                            scale = m.numbers("region.scale"), shift = m.numbers("region.shift");
  if (turn.size() == 1 || scale.empty() || scale.size() > 2 || shift.size() != 2)
    return TERN_FAIL(TERN_ERR_CORRUPT,
                     "metadata 'region.turn' and 'region.shift' need 2 numbers, 'region.scale' 1 or 2");
  r.turn.assign(turn.begin(), turn.end());
  if (r.from == circle && turn.empty()) r.turn = {r.centre, r.edge};
  if (r.from >= keypoints) r.around.assign(around.begin(), around.end());
  std::vector<int32_t> named = r.turn;
  named.insert(named.end(), r.around.begin(), r.around.end());
  if (r.from == circle) named.insert(named.end(), {r.centre, r.edge});
  for (const int32_t p : named)
    if (p >= points) return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'region.*' names point %d of %d", p, points);
  r.angle = m.number("region.angle") * std::numbers::pi / 180;
  r.scale_x = scale[0], r.scale_y = scale.back();
  r.shift_x = shift[0], r.shift_y = shift[1];
  r.square = m.choice("region.square") == 1;
  *out = r;
  return TERN_OK;
}

bool RegionRule::apply(const image::Box& given, std::span<const BoxPoint> points, image::CropRect* out) const {
  constexpr double pi = std::numbers::pi;
  double angle = 0;
  if (!turn.empty()) {
    const BoxPoint& a = points[(size_t)turn[0]];
    double x = 0, y = 0;
    for (size_t i = 1; i < turn.size(); ++i) x += points[(size_t)turn[i]].x, y += points[(size_t)turn[i]].y;
    const double n = (double)turn.size() - 1;
    angle = this->angle - std::atan2(-(y / n - a.y), x / n - a.x);
    angle -= 2 * pi * std::floor((angle + pi) / (2 * pi));
  }
  image::CropRect r;
  if (from == circle) {
    const BoxPoint &a = points[(size_t)centre], &b = points[(size_t)edge];
    const double side = 2 * std::hypot(b.x - a.x, b.y - a.y);
    r = {a.x, a.y, side, side, angle};
  } else {
    image::Box b = given;
    const double turned = from == turned_keypoints ? angle : 0, c = std::cos(turned), s = std::sin(turned);
    if (!around.empty() || from == turned_keypoints) {
      b = {HUGE_VAL, HUGE_VAL, -HUGE_VAL, -HUGE_VAL};
      const auto add = [&](const BoxPoint& p) {
        const double x = p.x * c + p.y * s, y = p.y * c - p.x * s;
        b = {std::min(b.x0, x), std::min(b.y0, y), std::max(b.x1, x), std::max(b.y1, y)};
      };
      for (const int32_t i : around) add(points[(size_t)i]);
      if (around.empty()) std::for_each(points.begin(), points.end(), add);
    }
    const double x = (b.x0 + b.x1) / 2, y = (b.y0 + b.y1) / 2;
    r = {x * c - y * s, x * s + y * c, b.x1 - b.x0, b.y1 - b.y0, angle};
  }
  const double c = std::cos(angle), s = std::sin(angle);
  r.centre_x += r.width * shift_x * c - r.height * shift_y * s;
  r.centre_y += r.width * shift_x * s + r.height * shift_y * c;
  if (square) r.width = r.height = std::max(r.width, r.height);
  r.width *= scale_x, r.height *= scale_y;
  const auto good = [](double v) { return v > 1e-3 && v < 1e8; };
  if (!good(r.width) || !good(r.height) || !(std::fabs(r.centre_x) < 1e8) || !(std::fabs(r.centre_y) < 1e8) ||
      !std::isfinite(angle))
    return false;
  *out = r;
  return true;
}

}  // namespace tern
