// SPDX-License-Identifier: Apache-2.0
// Attributes and geometry of the convolution family. Pictures are NHWC; weights are [O, kh, kw, C / groups].
#pragma once
#include <cstddef>

#include "ops/op.h"

namespace tern {

struct Conv2dAttrs {
  IntList strides = {1, 1};     // y, x
  IntList pads = {0, 0, 0, 0};  // top, left, bottom, right
  IntList dilations = {1, 1};
  int64_t groups = 1;
};

inline constexpr AttrField kConv2dFields[] = {
    TERN_ATTR(Conv2dAttrs, strides, integers, 1, INT32_MAX), TERN_ATTR(Conv2dAttrs, pads, integers, 0, INT32_MAX),
    TERN_ATTR(Conv2dAttrs, dilations, integers, 1, INT32_MAX), TERN_ATTR(Conv2dAttrs, groups, integer, 1, INT32_MAX)};

// conv2d_input_grad: height and width of x
struct Conv2dInputGradAttrs {
  IntList strides = {1, 1}, pads = {0, 0, 0, 0}, dilations = {1, 1};
  int64_t groups = 1, height = 1, width = 1;
};

// conv2d_weight_grad: kernel_h and kernel_w are those of w
struct Conv2dWeightGradAttrs {
  IntList strides = {1, 1}, pads = {0, 0, 0, 0}, dilations = {1, 1};
  int64_t groups = 1, kernel_h = 1, kernel_w = 1;
};

struct ConvTranspose2dAttrs {
  IntList strides = {1, 1}, pads = {0, 0, 0, 0}, dilations = {1, 1};
  int64_t groups = 1, output_pad_h = 0, output_pad_w = 0;
};

// A window that slides over one axis: a pixel o of the output reads the pixels o * stride - pad + k * dilation.
struct Window {
  int64_t in = 0, out = 0, kernel = 1, stride = 1, pad = 0, dilation = 1;
  // Position read by output o at tap k, or -1 in the padding.
  int64_t at(int64_t o, int64_t k) const {
    const int64_t i = o * stride - pad + k * dilation;
    return i >= 0 && i < in ? i : -1;
  }
  // Taps [first, last) of output o that do not lie in the padding: a huge kernel costs no more than the input has
  // pixels.
  int64_t first(int64_t o) const {
    const int64_t before = pad - o * stride;
    return before <= 0 ? 0 : (before - 1) / dilation + 1;
  }
  int64_t last(int64_t o) const {
    const int64_t room = in - 1 + pad - o * stride;
    return room < 0 ? 0 : room / dilation + 1 < kernel ? room / dilation + 1 : kernel;
  }
};

// Size of the output of such a window; every argument may be hostile. Fails with TERN_ERR_SHAPE when the kernel does
// not fit into the padded input. ceil_mode rounds up, but drops windows that would begin in the padding behind.
tern_status window_output(const char* op, int64_t in, int64_t kernel, int64_t stride, int64_t pad_before,
                          int64_t pad_after, int64_t dilation, bool ceil_mode, int64_t* out);

// Checks the lengths of the three lists.
tern_status check_conv_lists(const char* op, const IntList& strides, const IntList& pads, const IntList& dilations);

// Axis 0 = y, 1 = x. Works for all attribute structs of the family.
template <class Attrs>
Window conv_window(const Attrs& p, int axis, int64_t in, int64_t out, int64_t kernel) {
  return {in, out, kernel, p.strides[axis], p.pads[axis], p.dilations[axis]};
}

// Weight and bias may have x's type, or be f16 / bf16 when x is f32.
tern_status require_weight(const InferArgs& a, int x, int w);
// A bias: a weight of shape [n], plain.
tern_status require_bias(const InferArgs& a, int x, int bias, int64_t n);
// A convolution's weight w [O, kh, kw, C / groups], plain or a permutation of it (that with groups 1 only).
tern_status require_conv_weight(const InferArgs& a, int x, int w, int64_t groups);

}  // namespace tern
