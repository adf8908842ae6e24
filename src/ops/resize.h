// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ops/op.h"

namespace tern {

enum class ResizeMode : int64_t { nearest = 0, linear = 1, cubic = 2 };
enum class ResizeCoordinates : int64_t {
  half_pixel = 0,
  align_corners = 1,
  asymmetric = 2,
  pytorch_half_pixel = 3,
  half_pixel_symmetric = 4,
  tf_half_pixel = 5
};
enum class ResizeNearest : int64_t { round_prefer_floor = 0, round_prefer_ceil = 1, floor = 2, ceil = 3 };
inline constexpr const char* kResizeModes[] = {"nearest", "linear", "cubic"};
inline constexpr const char* kResizeCoordinates[] = {"half_pixel",         "align_corners",        "asymmetric",
                                                     "pytorch_half_pixel", "half_pixel_symmetric", "tf_half_pixel"};
inline constexpr const char* kResizeNearest[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};

struct ResizeAttrs {
  // of y, one per axis of x; used where input 1 is absent. Only axes 1 and 2 may change
  IntList sizes;
  double scale_h = 0, scale_w = 0;  // size out / size in, used to map coordinates; 0 = from the sizes
  int64_t mode = 0, coordinates = 0, nearest = 0;
  double cubic_coeff = -0.75;
  int64_t exclude_outside = 0;  // cubic: taps outside get no weight, the others are scaled up to sum 1
};

// resize_grad: height and width of x
struct ResizeGradAttrs {
  int64_t height = 1, width = 1;
  double scale_h = 0, scale_w = 0;
  int64_t mode = 0, coordinates = 0, nearest = 0;
  double cubic_coeff = -0.75;
  int64_t exclude_outside = 0;
};

// The source pixels of one output pixel along one axis, and their weights.
struct ResizeTaps {
  int count = 0;
  int64_t index[4] = {};
  double weight[4] = {};
};
// in >= 1, out > i. scale 0 = out / in.
ResizeTaps resize_taps(const ResizeGradAttrs& p, double scale, int64_t in, int64_t out, int64_t i);
// The part of a resize that does not depend on the sizes of y.
ResizeGradAttrs resize_rule(const ResizeAttrs& p, int64_t height, int64_t width);

}  // namespace tern
