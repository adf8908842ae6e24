// SPDX-License-Identifier: Apache-2.0
// Fills a tensor from a picture: resize, letter-box and rotated crop in one pass, from any format and rotation.
#pragma once

#include "image/mapping.h"

namespace tern::image {

enum class Border : int32_t {
  kReplicate = 0,  // pixels outside equal the nearest one inside
  kConstant = 1,   // pixels outside equal `fill`; at the border it blends with the picture
  kPad = 2,        // an output pixel whose centre lies outside is `fill`; one inside never sees it (letter-box). On the
                   // border itself: left and top are inside, right and bottom outside, to 1e-6 pixels
};

// What an output pixel takes from the picture.
enum class Filter : int32_t {
  kBilinear = 0,  // the four pixels around its centre: a large reduction skips pixels
  kArea = 1,      // all that it covers, see `sample`
};

struct SampleOptions {
  int32_t channels = 3;  // 3, or 1: grey = 0.299 R + 0.587 G + 0.114 B
  bool bgr = false;      // order of 3 channels: B, G, R instead of R, G, B
  Border border = Border::kReplicate;
  Filter filter = Filter::kBilinear;
  float fill[3] = {0, 0, 0};   // per output channel, in the unit of a pixel (0..255), before scale and offset
  float scale[3] = {1, 1, 1};  // per output channel: value = pixel * scale + offset, pixel in 0..255
  float offset[3] = {0, 0, 0};
};

// Bytes of scratch that one call of `sample` needs for tensors of this width; 0 when the width is out of range.
size_t sample_scratch_bytes(int32_t width, Filter filter);

// Writes the rows [y0, y1) of the tensor.
//
// The centre of output pixel (x, y) is mapped to the upright picture and the pixels around it are blended bilinearly:
//   (u, v) = to_upright(x + 0.5, y + 0.5) - 0.5,  weights u - floor(u) and v - floor(v) in f32.
// A stretch thus is u = (x + 0.5) * scale - 0.5.
// Filter::kArea makes a difference where the tensor has fewer pixels than the picture:
//   - Axes parallel to the picture's: along an axis that shrinks, a pixel is the mean of what it covers, pixels in part
//     covered by their part; the other axis stays bilinear. Ends are rounded to 1/4096 of a pixel of the picture (1/64
//     from a reduction by 4095 on). What a pixel covers is cut one picture's size beyond the border.
//   - Any other matrix: a pixel is the mean of n x m bilinear samples, evenly spread over it, at most a picture's pixel
//     apart; n and m are at most 32.
//
// Blending and means are of colours as converted from YUV and laid on the background.
//
// picture  as the mapping was made from: same size, rotation and mirroring.
// out      [model_height, model_width, channels] f32, the whole tensor; rows outside [y0, y1) are not touched.
// scratch  at least sample_scratch_bytes(model_width, filter), any alignment; contents do not matter before and after.
// Errors   TERN_ERR_INVALID_ARGUMENT  an option or a row range that does not exist, a pointer that is NULL, another
//                                     picture than the mapping's, scratch too small; and those of check_picture.
//                                     Nothing has been written.
// Threads  any number at the same time on disjoint row ranges, each with its own scratch; values do not depend on how
//          the rows are divided. No memory is allocated.
tern_status sample(const Picture& picture, const Mapping& mapping, const SampleOptions& options, int32_t y0, int32_t y1,
                   float* out, void* scratch, size_t scratch_bytes);

}  // namespace tern::image
