// SPDX-License-Identifier: Apache-2.0
// Attributes of the pooling family, NHWC.
#pragma once
#include <cstddef>

#include "ops/conv2d.h"

namespace tern {

struct MaxPool2dAttrs {                                            // max_pool2d, max_pool2d_grad, max_pool2d_pick
  IntList kernel = {1, 1}, strides = {1, 1}, pads = {0, 0, 0, 0};  // pads: top, left, bottom, right
  int64_t dilation_h = 1, dilation_w = 1, ceil_mode = 0;
};

inline constexpr AttrField kMaxPool2dFields[] = {TERN_ATTR(MaxPool2dAttrs, kernel, integers, 1, INT32_MAX),
                                                 TERN_ATTR(MaxPool2dAttrs, strides, integers, 1, INT32_MAX),
                                                 TERN_ATTR(MaxPool2dAttrs, pads, integers, 0, INT32_MAX),
                                                 TERN_ATTR(MaxPool2dAttrs, dilation_h, integer, 1, INT32_MAX),
                                                 TERN_ATTR(MaxPool2dAttrs, dilation_w, integer, 1, INT32_MAX),
                                                 TERN_ATTR(MaxPool2dAttrs, ceil_mode, integer, 0, 1)};

struct AvgPool2dAttrs {
  IntList kernel = {1, 1}, strides = {1, 1}, pads = {0, 0, 0, 0};
  int64_t dilation_h = 1, dilation_w = 1, ceil_mode = 0;
  int64_t count_include_pad = 0;  // the divisor counts cells in the padding; cells beyond it (ceil_mode) never count
};

// avg_pool2d_grad: height and width of x
struct AvgPool2dGradAttrs {
  IntList kernel = {1, 1}, strides = {1, 1}, pads = {0, 0, 0, 0};
  int64_t dilation_h = 1, dilation_w = 1, count_include_pad = 0, height = 1, width = 1;
};

template <class Attrs>
Window pool_window(const Attrs& p, int axis, int64_t in, int64_t out) {
  return {in, out, p.kernel[axis], p.strides[axis], p.pads[axis], axis == 0 ? p.dilation_h : p.dilation_w};
}

// Checks lists and sizes of a pooling window over x [N, H, W, C] and gives the output's shape.
template <class Attrs>
tern_status pool_output(const char* op, const Attrs& p, const Shape& x, bool ceil_mode, Shape* y) {
  if (p.kernel.count != 2 || p.strides.count != 2 || p.pads.count != 4)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                     "%s: has %" PRId64 " kernel dims, %" PRId64 " strides and %" PRId64 " pads instead of 2, 2 and 4",
                     op, p.kernel.count, p.strides.count, p.pads.count);
  *y = x;
  for (int i = 0; i < 2; ++i) {
    // both are below 2^31
    const int64_t dilation = i == 0 ? p.dilation_h : p.dilation_w, span = (p.kernel[i] - 1) * dilation + 1;
    if (p.pads[i] >= span || p.pads[2 + i] >= span)
      return TERN_FAIL(TERN_ERR_SHAPE, "%s: the padding must be smaller than the kernel", op);
    TERN_TRY(window_output(op, x[1 + i], p.kernel[i], p.strides[i], p.pads[i], p.pads[2 + i], dilation, ceil_mode,
                           &(*y)[1 + i]));
  }
  return TERN_OK;
}

// Cells that the mean of output o divides by, along one axis.
template <class Attrs>
int64_t pool_count(const Attrs& p, int axis, const Window& w, int64_t o) {
  if (!p.count_include_pad) return w.last(o) - w.first(o);
  // cells beyond the padding do not count
  const int64_t room = w.in - 1 + p.pads[axis] + p.pads[2 + axis] - o * w.stride;
  return room < 0 ? 0 : room / w.dilation + 1 < w.kernel ? room / w.dilation + 1 : w.kernel;
}

}  // namespace tern
