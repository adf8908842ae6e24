// SPDX-License-Identifier: Apache-2.0
// Draws results onto a picture: boxes, labels, lines, key points.
//
// Coordinates are continuous pixels as in mapping.h. Everything is cut at the border of the canvas. A shape with a
// coordinate that is NaN, infinite or beyond 1e7 pixels is not drawn; nothing is an error. No memory is allocated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "image/mapping.h"

namespace tern::image {

// RGB8 pixels of the caller. A canvas without pixels, with a side outside 1..kMaxSide or a stride below 3 * width is
// left alone.
struct Canvas {
  uint8_t* pixels;
  int32_t width, height;
  size_t stride;  // bytes
};

struct Colour {
  uint8_t r, g, b;
};

// One of 20 colours that are as far apart as possible for the eye; any integer will do.
Colour palette_colour(int64_t index);

// Sizes in pixels that suit a picture of this size.
struct DrawStyle {
  double line;   // thickness of boxes and limbs
  double dot;    // radius of key points
  double glyph;  // side of one cell of the 5 x 7 letters
};
DrawStyle draw_style(int32_t width, int32_t height);

// Outline around the box, half of it inside; whole pixels. Corners may come in any order.
void draw_box(const Canvas& canvas, const Box& box, double thickness, Colour colour);

// Line with round ends, smooth edges; opacity 0..1.
void draw_line(const Canvas& canvas, Point from, Point to, double thickness, Colour colour, double opacity = 1);

void draw_disc(const Canvas& canvas, Point centre, double radius, Colour colour, double opacity = 1);

// Pixels that the text takes in width: 6 cells a character. Text is UTF-8; what is not ASCII 32..126 shows as "?".
double text_width(const char* text, double glyph);

// Text whose upper left corner is `at`; capitals are 7 cells high and two more are below the base line.
void draw_text(const Canvas& canvas, Point at, const char* text, double glyph, Colour colour);

// A filled tag with black or white text, whichever reads better. It sits on top of the box; where there is no room
// inside the canvas, it moves inside the box or sideways.
void draw_label(const Canvas& canvas, const Box& box, const char* text, const DrawStyle& style, Colour colour);
// The tag that draw_label would draw; without an area if it draws none.
Box label_box(const Canvas& canvas, const Box& box, const char* text, const DrawStyle& style);

struct Limb {
  int32_t from, to;  // indexes of key points; a limb with an index outside 0..n-1 is not drawn
};

// Limbs and key points. A point with NaN is missing: it is not drawn, nor are its limbs.
void draw_skeleton(const Canvas& canvas, std::span<const Point> points, std::span<const Limb> limbs,
                   const DrawStyle& style, Colour colour);

}  // namespace tern::image
