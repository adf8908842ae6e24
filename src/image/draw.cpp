// SPDX-License-Identifier: Apache-2.0
#include "image/draw.h"

#include <algorithm>
#include <cmath>

#include "image/font.h"

namespace tern::image {
namespace {

constexpr double kFarthest = 1e7;  // pixels

// False for NaN as well.
bool drawable(double v) { return std::fabs(v) <= kFarthest; }
bool drawable(Point p) { return drawable(p.x) && drawable(p.y); }
bool drawable(const Box& b) { return drawable(b.x0) && drawable(b.y0) && drawable(b.x1) && drawable(b.y1); }

bool drawable(const Canvas& c) {
  return c.pixels != nullptr && c.width >= 1 && c.height >= 1 && c.width <= kMaxSide && c.height <= kMaxSide &&
         c.stride >= size_t(c.width) * 3;
}

struct Segment {
  Point a, b;
};

// A range of pixels inside the canvas; empty when begin >= end.
struct Range {
  int32_t begin, end;
};

// Pixels that the stretch [low, high] touches.
Range touched(double low, double high, int32_t size) {
  return {int32_t(std::clamp(std::floor(low), 0.0, double(size))),
          int32_t(std::clamp(std::ceil(high), 0.0, double(size)))};
}

void put_pixel(const Canvas& canvas, int32_t x, int32_t y, Colour colour, double opacity) {
  uint8_t* p = canvas.pixels + size_t(y) * canvas.stride + size_t(x) * 3;
  const uint8_t c[3] = {colour.r, colour.g, colour.b};
  for (int i = 0; i < 3; ++i) p[i] = uint8_t(std::lround(p[i] + opacity * (double(c[i]) - p[i])));
}

// How far the pixel's centre is from the segment.
double distance(const Segment& s, Point p) {
  const double dx = s.b.x - s.a.x, dy = s.b.y - s.a.y, square = dx * dx + dy * dy;
  const double along = square > 0 ? ((p.x - s.a.x) * dx + (p.y - s.a.y) * dy) / square : 0;
  const double t = std::clamp(along, 0.0, 1.0);
  const double x = p.x - s.a.x - t * dx, y = p.y - s.a.y - t * dy;
  return std::sqrt(x * x + y * y);
}

// Part of a pixel that a round stroke covers when the pixel's centre is this far from its middle line.
double coverage(double radius, double away) { return std::clamp(radius + 0.5 - away, 0.0, 1.0); }

// The columns of row y that may be nearer to the segment than `reach`.
Range row_range(const Segment& s, double y, double reach, int32_t width) {
  double t0 = 0, t1 = 1;
  const double dy = s.b.y - s.a.y;
  if (std::fabs(dy) > 1e-6) {
    const double ta = (y - reach - s.a.y) / dy, tb = (y + reach - s.a.y) / dy;
    t0 = std::clamp(std::min(ta, tb), 0.0, 1.0);
    t1 = std::clamp(std::max(ta, tb), 0.0, 1.0);
  }
  const double xa = s.a.x + t0 * (s.b.x - s.a.x), xb = s.a.x + t1 * (s.b.x - s.a.x);
  return touched(std::min(xa, xb) - reach, std::max(xa, xb) + reach, width);
}

void stroke(const Canvas& canvas, const Segment& s, double radius, Colour colour, double opacity) {
  if (!drawable(canvas) || !drawable(s.a) || !drawable(s.b) || !(radius > 0) || !drawable(radius) || !(opacity > 0))
    return;
  const double reach = radius + 0.5, alpha = std::min(opacity, 1.0);
  const Range rows = touched(std::min(s.a.y, s.b.y) - reach, std::max(s.a.y, s.b.y) + reach, canvas.height);
  for (int32_t y = rows.begin; y < rows.end; ++y) {
    const Range columns = row_range(s, y + 0.5, reach, canvas.width);
    for (int32_t x = columns.begin; x < columns.end; ++x) {
      const double part = coverage(radius, distance(s, {x + 0.5, y + 0.5}));
      if (part > 0) put_pixel(canvas, x, y, colour, part * alpha);
    }
  }
}

// Whole pixels whose centre is inside.
void fill_rect(const Canvas& canvas, const Box& b, Colour colour) {
  const auto edge = [](double v, int32_t size) { return int32_t(std::clamp(std::round(v), 0.0, double(size))); };
  const Range columns = {edge(b.x0, canvas.width), edge(b.x1, canvas.width)};
  const Range rows = {edge(b.y0, canvas.height), edge(b.y1, canvas.height)};
  for (int32_t y = rows.begin; y < rows.end; ++y)
    for (int32_t x = columns.begin; x < columns.end; ++x) put_pixel(canvas, x, y, colour, 1);
}

bool dot_at(const uint8_t* glyph, int32_t column, int32_t row) {
  if (column < 0 || column >= kGlyphColumns || row >= kGlyphRows) return false;
  return glyph[row] >> (kGlyphColumns - 1 - column) & 1;
}

// a dot, and its ways right, down and to both diagonals
constexpr int32_t kMaxStrokes = kGlyphColumns * kGlyphRows * 5;

// Turns dots into strokes: neighbours are joined, diagonal ones only where no straight way joins them. So letters are
// smooth at every size. Returns the number of strokes; unit: cells.
int32_t trace_glyph(const uint8_t* glyph, Segment* out) {
  int32_t n = 0;
  for (int32_t row = 0; row < kGlyphRows; ++row) {
    for (int32_t column = 0; column < kGlyphColumns; ++column) {
      if (!dot_at(glyph, column, row)) continue;
      const Point here = {column + 0.5, row + 0.5};
      const bool right = dot_at(glyph, column + 1, row), below = dot_at(glyph, column, row + 1);
      const bool left = dot_at(glyph, column - 1, row);
      out[n++] = {here, here};
      if (right) out[n++] = {here, {here.x + 1, here.y}};
      if (below) out[n++] = {here, {here.x, here.y + 1}};
      if (!right && !below && dot_at(glyph, column + 1, row + 1)) out[n++] = {here, {here.x + 1, here.y + 1}};
      if (!left && !below && dot_at(glyph, column - 1, row + 1)) out[n++] = {here, {here.x - 1, here.y + 1}};
    }
  }
  return n;
}

void draw_glyph(const Canvas& canvas, Point at, const uint8_t* glyph, double cell, Colour colour) {
  Segment strokes[kMaxStrokes];
  const int32_t n = trace_glyph(glyph, strokes);
  const double radius = 0.47 * cell;
  const Range rows = touched(at.y - 1, at.y + kGlyphRows * cell + 1, canvas.height);
  const Range columns = touched(at.x - 1, at.x + kGlyphColumns * cell + 1, canvas.width);
  for (int32_t y = rows.begin; y < rows.end; ++y) {
    for (int32_t x = columns.begin; x < columns.end; ++x) {
      const Point p = {(x + 0.5 - at.x) / cell, (y + 0.5 - at.y) / cell};
      double nearest = kFarthest;
      for (int32_t i = 0; i < n; ++i) nearest = std::min(nearest, distance(strokes[i], p));
      const double part = coverage(radius, nearest * cell);
      if (part > 0) put_pixel(canvas, x, y, colour, part);
    }
  }
}

// The next character as an index of kGlyphs; moves *text past it. UTF-8 goes on with bytes 10xxxxxx.
int32_t next_glyph(const char** text) {
  const char c = *(*text)++;
  if (c >= kFirstGlyph && c <= kLastGlyph) return c - kFirstGlyph;
  while ((uint8_t(**text) & 0xC0) == 0x80) ++*text;
  return '?' - kFirstGlyph;
}

constexpr int32_t kAdvance = kGlyphColumns + 1;  // cells from one character to the next

}  // namespace

Colour palette_colour(int64_t index) {
  // Each is the one farthest from all before it in OKLab, among colours neither pale nor dark.
  constexpr Colour kPalette[] = {
      {255, 150, 0},   {30, 60, 255}, {255, 0, 225},   {0, 255, 0},     {75, 210, 240},
      {30, 120, 0},    {165, 60, 90}, {255, 180, 255}, {135, 45, 195},  {45, 105, 165},
      {180, 225, 135}, {255, 0, 0},   {150, 105, 15},  {150, 135, 255}, {255, 105, 165},
      {0, 180, 135},   {90, 195, 15}, {180, 0, 150},   {0, 255, 210},   {180, 105, 180},
  };
  constexpr int64_t n = int64_t(sizeof kPalette / sizeof kPalette[0]);
  return kPalette[((index % n) + n) % n];
}

DrawStyle draw_style(int32_t width, int32_t height) {
  const double side = std::clamp(std::max(width, height), 1, kMaxSide);
  return {std::max(2.0, std::round(side / 260)), std::max(2.5, side / 190), std::max(1.25, side / 420)};
}

void draw_box(const Canvas& canvas, const Box& box, double thickness, Colour colour) {
  if (!drawable(canvas) || !drawable(box) || !(thickness > 0) || !drawable(thickness)) return;
  const double width = std::max(1.0, std::round(thickness)), half = std::floor(width / 2);
  const double x0 = std::round(std::min(box.x0, box.x1)) - half, x1 = std::round(std::max(box.x0, box.x1)) + half;
  const double y0 = std::round(std::min(box.y0, box.y1)) - half, y1 = std::round(std::max(box.y0, box.y1)) + half;
  const double inner_y0 = std::min(y0 + width, y1), inner_y1 = std::max(y1 - width, inner_y0);
  fill_rect(canvas, {x0, y0, x1, inner_y0}, colour);
  fill_rect(canvas, {x0, inner_y1, x1, y1}, colour);
  fill_rect(canvas, {x0, inner_y0, std::min(x0 + width, x1), inner_y1}, colour);
  fill_rect(canvas, {std::max(x1 - width, x0), inner_y0, x1, inner_y1}, colour);
}

void draw_line(const Canvas& canvas, Point from, Point to, double thickness, Colour colour, double opacity) {
  stroke(canvas, {from, to}, thickness / 2, colour, opacity);
}

void draw_disc(const Canvas& canvas, Point centre, double radius, Colour colour, double opacity) {
  stroke(canvas, {centre, centre}, radius, colour, opacity);
}

double text_width(const char* text, double glyph) {
  int64_t n = 0;
  if (text == nullptr) return 0;
  while (*text != 0) {
    next_glyph(&text);
    ++n;
  }
  return n == 0 ? 0 : (double(n) * kAdvance - 1) * glyph;
}

void draw_text(const Canvas& canvas, Point at, const char* text, double glyph, Colour colour) {
  if (!drawable(canvas) || !drawable(at) || text == nullptr || !(glyph > 0) || !drawable(glyph)) return;
  for (; *text != 0 && at.x < canvas.width; at.x += kAdvance * glyph)
    draw_glyph(canvas, at, kGlyphs[next_glyph(&text)], glyph, colour);
}

Box label_box(const Canvas& canvas, const Box& box, const char* text, const DrawStyle& style) {
  const double cell = style.glyph;
  if (!drawable(canvas) || !drawable(box) || text == nullptr || *text == 0 || !(cell > 0) || !drawable(cell)) return {};
  const double margin = std::round(2 * cell), width = std::ceil(text_width(text, cell)) + 2 * margin;
  const double height = std::round((kGlyphRows - 0.5) * cell) + margin;
  const double half = std::floor(std::max(1.0, std::round(style.line)) / 2);
  double left = std::round(std::min(box.x0, box.x1)) - half, top = std::round(std::min(box.y0, box.y1)) - half - height;
  if (top < 0) top = std::max(top + height, 0.0);
  left = std::max(0.0, std::min(left, canvas.width - width));
  top = std::min(top, std::max(0.0, canvas.height - height));
  return {left, top, left + width, top + height};
}

void draw_label(const Canvas& canvas, const Box& box, const char* text, const DrawStyle& style, Colour colour) {
  const Box tag = label_box(canvas, box, text, style);
  if (!(tag.x1 > tag.x0)) return;
  fill_rect(canvas, tag, colour);
  const double luma = 0.299 * colour.r + 0.587 * colour.g + 0.114 * colour.b;
  const Colour ink = luma > 128 ? Colour{0, 0, 0} : Colour{255, 255, 255};
  const double margin = std::round(2 * style.glyph);
  draw_text(canvas, {tag.x0 + margin, tag.y0 + margin * 0.75}, text, style.glyph, ink);
}

void draw_skeleton(const Canvas& canvas, std::span<const Point> points, std::span<const Limb> limbs,
                   const DrawStyle& style, Colour colour) {
  const int64_t n = int64_t(points.size());
  constexpr Colour kDark = {20, 20, 20}, kLight = {255, 255, 255};
  // A dark rim first, so that the skeleton stands out on any ground.
  for (const bool rim : {true, false}) {
    for (const Limb& limb : limbs) {
      if (limb.from < 0 || limb.to < 0 || limb.from >= n || limb.to >= n) continue;
      draw_line(canvas, points[size_t(limb.from)], points[size_t(limb.to)], style.line * (rim ? 1.8 : 1.0),
                rim ? kDark : colour, rim ? 0.5 : 1.0);
    }
  }
  for (const Point& p : points) {
    draw_disc(canvas, p, style.dot * 1.35, kDark, 0.6);
    draw_disc(canvas, p, style.dot, kLight);
    draw_disc(canvas, p, style.dot * 0.6, colour);
  }
}

}  // namespace tern::image
