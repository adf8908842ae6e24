// SPDX-License-Identifier: Apache-2.0
#include "tasks/region.h"

#include <algorithm>
#include <numbers>

namespace tern {

tern_status RegionRule::read(const TaskMetadata& m, int32_t points, RegionRule* out) {
  RegionRule r;
  r.from_points = m.choice("region.from") == 1;
  r.centre = (int32_t)m.integer("region.centre"), r.edge = (int32_t)m.integer("region.edge");
  const std::vector<double> turn = m.numbers("region.turn"), scale = m.numbers("region.scale"),
                            shift = m.numbers("region.shift");
  if ((!turn.empty() && turn.size() != 2) || scale.empty() || scale.size() > 2 || shift.size() != 2)
    return TERN_FAIL(TERN_ERR_CORRUPT,
                     "metadata 'region.turn' and 'region.shift' need 2 numbers, 'region.scale' 1 or 2");
  if (!turn.empty()) r.turn_from = (int32_t)turn[0], r.turn_to = (int32_t)turn[1];
  else if (r.from_points) r.turn_from = r.centre, r.turn_to = r.edge;
  for (const int32_t p : {r.from_points ? r.centre : 0, r.from_points ? r.edge : 0, r.turn_from, r.turn_to})
    if (p >= std::max(points, 1))
      return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'region.*' names point %d of %d", p, points);
  r.angle = m.number("region.angle") * std::numbers::pi / 180;
  r.scale_x = scale[0], r.scale_y = scale.back();
  r.shift_x = shift[0], r.shift_y = shift[1];
  r.square = m.choice("region.square") == 1;
  *out = r;
  return TERN_OK;
}

bool RegionRule::apply(const image::Box& box, std::span<const BoxPoint> points, image::CropRect* out) const {
  constexpr double pi = std::numbers::pi;
  double angle = 0;
  if (turn_from >= 0) {
    const BoxPoint &a = points[(size_t)turn_from], &b = points[(size_t)turn_to];
    angle = this->angle - std::atan2(-(b.y - a.y), b.x - a.x);
    angle -= 2 * pi * std::floor((angle + pi) / (2 * pi));
  }
  image::CropRect r;
  if (from_points) {
    const BoxPoint &a = points[(size_t)centre], &b = points[(size_t)edge];
    const double side = 2 * std::hypot(b.x - a.x, b.y - a.y);
    r = {a.x, a.y, side, side, angle};
  } else {
    r = {(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, box.x1 - box.x0, box.y1 - box.y0, angle};
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
