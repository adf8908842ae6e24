// SPDX-License-Identifier: Apache-2.0
// Where the pixels of a model's input come from in a picture, and back: for sampling, and for boxes and key points.
//
// All coordinates are continuous and in pixels: (0, 0) is the outer corner of the first pixel and the centre of pixel
// (i, j) is (i + 0.5, j + 0.5), x to the right and y down. "Model" coordinates run over the tensor (0..width,
// 0..height), "upright" ones over the picture as seen, "stored" ones over the picture as it lies in memory.
#pragma once

#include "image/picture.h"

namespace tern::image {

struct Point {
  double x, y;
};

struct Box {
  double x0, y0, x1, y1;  // left, top, right, bottom
};

// x' = m[0] x + m[1] y + m[2],  y' = m[3] x + m[4] y + m[5]
struct Affine {
  double m[6];
};

struct Mapping {
  int32_t model_width, model_height;  // pixels of the tensor
  Size stored;                        // the picture
  int32_t rotation;                   // of the picture, degrees
  bool mirrored;                      // of the picture, after the rotation
  Affine to_upright, from_upright;    // model to upright picture and its inverse
};

// A rectangle on the upright picture. Its own x axis points to (cos angle, sin angle): a positive angle turns it
// clockwise as seen. It may reach over the border.
struct CropRect {
  double centre_x, centre_y;  // upright pixels
  double width, height;       // upright pixels, > 0, along the rectangle's own axes
  double angle;               // radians
};

struct LetterBox {
  bool top_left = false;      // content in the upper left corner; otherwise in the middle
  bool whole_pixels = false;  // content is rounded to whole pixels of the tensor, at least 1 (in the corner: down);
                              // otherwise the scale is the same in x and y to the last bit
};

// Each makes the mapping for a tensor of width x height pixels and leaves *out alone on error.
// Errors  those of check_picture
//         TERN_ERR_INVALID_ARGUMENT  width or height below 1; a number that is not finite, larger than 1e9 or smaller
//                                    than 1e-9 in a crop or matrix; a matrix without an inverse
//         TERN_ERR_LIMIT             width or height above kMaxSide
tern_status map_stretch(const Picture& picture, int32_t width, int32_t height, Mapping* out);
tern_status map_letterbox(const Picture& picture, int32_t width, int32_t height, const LetterBox& how, Mapping* out);
tern_status map_crop(const Picture& picture, int32_t width, int32_t height, const CropRect& rect, Mapping* out);
tern_status map_affine(const Picture& picture, int32_t width, int32_t height, const Affine& to_upright, Mapping* out);

Point apply(const Affine& affine, Point p);

// Points go both ways exactly. A box becomes the smallest upright-lying box around its four mapped corners; so under a
// turn that is no multiple of 90 degrees it grows. Nothing is cut at the picture's border.
Point model_to_upright(const Mapping& mapping, Point p);
Point model_to_stored(const Mapping& mapping, Point p);
Point upright_to_model(const Mapping& mapping, Point p);
Point stored_to_model(const Mapping& mapping, Point p);
Box model_box_to_upright(const Mapping& mapping, const Box& box);
Box model_box_to_stored(const Mapping& mapping, const Box& box);
Box upright_box_to_model(const Mapping& mapping, const Box& box);
Box stored_box_to_model(const Mapping& mapping, const Box& box);

}  // namespace tern::image
