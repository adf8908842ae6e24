// SPDX-License-Identifier: Apache-2.0
#include "image/mapping.h"

#include <algorithm>
#include <cmath>

#include "base/status.h"

namespace tern::image {
namespace {

constexpr double kLargest = 1e9, kSmallest = 1e-9;

// False for NaN as well.
bool in_range(double v) { return std::fabs(v) <= kLargest; }

tern_status check_target(const Picture& picture, int32_t width, int32_t height) {
  TERN_TRY(check_picture(picture));
  if (width < 1 || height < 1)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "sampling: tensor of %d x %d pixels; both must be at least 1", width,
                     height);
  if (width > kMaxSide || height > kMaxSide)
    return TERN_FAIL(TERN_ERR_LIMIT, "sampling: tensor of %d x %d pixels; at most %d a side", width, height, kMaxSide);
  return TERN_OK;
}

Point upright_to_stored(const Mapping& map, Point p) {
  const double w = map.stored.width, h = map.stored.height;
  if (map.mirrored) p.x = (map.rotation % 180 == 0 ? w : h) - p.x;
  switch (map.rotation) {
    case 90: return {p.y, h - p.x};
    case 180: return {w - p.x, h - p.y};
    case 270: return {w - p.y, p.x};
    default: return p;
  }
}

Point stored_to_upright(const Mapping& map, Point p) {
  const double w = map.stored.width, h = map.stored.height;
  Point turned = p;
  switch (map.rotation) {
    case 90: turned = {h - p.y, p.x}; break;
    case 180: turned = {w - p.x, h - p.y}; break;
    case 270: turned = {p.y, w - p.x}; break;
  }
  if (map.mirrored) turned.x = (map.rotation % 180 == 0 ? w : h) - turned.x;
  return turned;
}

Box around_corners(const Mapping& map, const Box& b, Point (*move)(const Mapping&, Point)) {
  const Point first = move(map, {b.x0, b.y0});
  Box out = {first.x, first.y, first.x, first.y};
  for (const Point corner : {Point{b.x1, b.y0}, Point{b.x0, b.y1}, Point{b.x1, b.y1}}) {
    const Point p = move(map, corner);
    out = {std::min(out.x0, p.x), std::min(out.y0, p.y), std::max(out.x1, p.x), std::max(out.y1, p.y)};
  }
  return out;
}

}  // namespace

Point apply(const Affine& a, Point p) {
  return {a.m[0] * p.x + a.m[1] * p.y + a.m[2], a.m[3] * p.x + a.m[4] * p.y + a.m[5]};
}

tern_status map_affine(const Picture& picture, int32_t width, int32_t height, const Affine& a, Mapping* out) {
  TERN_TRY(check_target(picture, width, height));
  for (const double v : a.m)
    if (!in_range(v))
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "sampling: matrix element %g is not a usable number", v);
  const double* m = a.m;
  const double det = m[0] * m[4] - m[1] * m[3];
  if (!(std::fabs(det) >= kSmallest * kSmallest))
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "sampling: the matrix has no inverse (determinant %g)", det);
  const Affine inverse = {{m[4] / det, -m[1] / det, (m[1] * m[5] - m[4] * m[2]) / det,  //
                           -m[3] / det, m[0] / det, (m[3] * m[2] - m[0] * m[5]) / det}};
  *out = {width, height, {picture.width, picture.height}, picture.rotation, picture.mirrored, a, inverse};
  return TERN_OK;
}

tern_status map_stretch(const Picture& picture, int32_t width, int32_t height, Mapping* out) {
  TERN_TRY(check_target(picture, width, height));
  const Size size = upright_size(picture);
  return map_affine(picture, width, height, {{double(size.width) / width, 0, 0, 0, double(size.height) / height, 0}},
                    out);
}

tern_status map_letterbox(const Picture& picture, int32_t width, int32_t height, const LetterBox& how, Mapping* out) {
  TERN_TRY(check_target(picture, width, height));
  const Size size = upright_size(picture);
  const double shrink = std::min(double(width) / size.width, double(height) / size.height);
  double content_w = size.width * shrink, content_h = size.height * shrink;
  if (how.whole_pixels) {
    // As the two families do that letter-box to whole pixels: YOLOX cuts off, Ultralytics rounds halves to even.
    const auto whole = [&](double v) {
      const double down = std::floor(v + (how.top_left ? 1e-9 : 0)), rest = v - down;
      return how.top_left || rest < 0.5 || (rest == 0.5 && std::fmod(down, 2) == 0) ? down : down + 1;
    };
    content_w = std::clamp(whole(content_w), 1.0, double(width));
    content_h = std::clamp(whole(content_h), 1.0, double(height));
  }
  double left = how.top_left ? 0 : (width - content_w) / 2, top = how.top_left ? 0 : (height - content_h) / 2;
  if (how.whole_pixels) {
    left = std::floor(left);
    top = std::floor(top);
  }
  const double sx = how.whole_pixels ? size.width / content_w : 1 / shrink;
  const double sy = how.whole_pixels ? size.height / content_h : 1 / shrink;
  return map_affine(picture, width, height, {{sx, 0, -left * sx, 0, sy, -top * sy}}, out);
}

tern_status map_crop(const Picture& picture, int32_t width, int32_t height, const CropRect& r, Mapping* out) {
  TERN_TRY(check_target(picture, width, height));
  if (!in_range(r.centre_x) || !in_range(r.centre_y) || !in_range(r.width) || !in_range(r.height) ||
      !in_range(r.angle) || r.width < kSmallest || r.height < kSmallest)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                     "sampling: crop of %g x %g pixels at (%g, %g) turned by %g is not usable", r.width, r.height,
                     r.centre_x, r.centre_y, r.angle);
  const double c = std::cos(r.angle), s = std::sin(r.angle), sx = r.width / width, sy = r.height / height;
  return map_affine(picture, width, height,
                    {{c * sx, -s * sy, r.centre_x - (c * r.width - s * r.height) / 2,  //
                      s * sx, c * sy, r.centre_y - (s * r.width + c * r.height) / 2}},
                    out);
}

Point model_to_upright(const Mapping& map, Point p) { return apply(map.to_upright, p); }
Point upright_to_model(const Mapping& map, Point p) { return apply(map.from_upright, p); }
Point model_to_stored(const Mapping& map, Point p) { return upright_to_stored(map, model_to_upright(map, p)); }
Point stored_to_model(const Mapping& map, Point p) { return upright_to_model(map, stored_to_upright(map, p)); }

Box model_box_to_upright(const Mapping& map, const Box& b) { return around_corners(map, b, model_to_upright); }
Box upright_box_to_model(const Mapping& map, const Box& b) { return around_corners(map, b, upright_to_model); }
Box model_box_to_stored(const Mapping& map, const Box& b) { return around_corners(map, b, model_to_stored); }
Box stored_box_to_model(const Mapping& map, const Box& b) { return around_corners(map, b, stored_to_model); }

}  // namespace tern::image
