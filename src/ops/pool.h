// SPDX-License-Identifier: Apache-2.0
// Attributes of the pooling family, NHWC.
#pragma once
#include "ops/conv2d.h"

namespace tern {

struct MaxPool2dAttrs {  // max_pool2d, max_pool2d_grad, max_pool2d_pick
  IntList kernel = {1, 1}, strides = {1, 1}, pads = {0, 0, 0, 0};  // pads: top, left, bottom, right
  int64_t dilation_h = 1, dilation_w = 1, ceil_mode = 0;
};

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

}  // namespace tern
