// SPDX-License-Identifier: Apache-2.0
// A view of a picture in the caller's memory, in one of the formats that cameras and decoders give.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tern/status.h"

namespace tern::image {

// 8 bits per sample everywhere.
//
// The three YUV formats have one chroma pair for each 2x2 block of pixels, fewer at the right and lower border of odd
// sizes; each pixel of a block uses its pair as it is.
enum class Format : int32_t {
  kRgb8 = 0,   // plane 0: R G B
  kBgr8 = 1,   // plane 0: B G R
  kRgba8 = 2,  // plane 0: R G B A
  kGrey8 = 3,  // plane 0: Y, full range 0..255; R = G = B = Y
  kNv12 = 4,   // plane 0: Y, plane 1: U V pairs
  kNv21 = 5,   // plane 0: Y, plane 1: V U pairs
  kI420 = 6,   // plane 0: Y, plane 1: U, plane 2: V
  kBgra8 = 7,  // plane 0: B G R A
};
inline bool is_yuv(Format f) { return f == Format::kNv12 || f == Format::kNv21 || f == Format::kI420; }
inline bool has_alpha(Format f) { return f == Format::kRgba8 || f == Format::kBgra8; }

enum class Matrix : int32_t { kBt601 = 0, kBt709 = 1 };
enum class Range : int32_t { kLimited = 0, kFull = 1 };

// YUV to RGB, in 1/8192: c = Y - black, R = luma c + red_v (V-128), G = luma c - green_u (U-128) - green_v (V-128),
// B = luma c + blue_u (U-128), each rounded to the nearest integer and cut to 0..255.
struct YuvFactors {
  int16_t black, luma, red_v, green_u, green_v, blue_u;
};
const YuvFactors& yuv_factors(Matrix matrix, Range range);

// What the byte A of a pixel does. `Straight`: (colour A + background (255 - A)) / 255; premultiplied: colour +
// background (255 - A) / 255, at most 255; both rounded to the nearest integer.
enum class Alpha : int32_t { kStraight = 0, kPremultiplied = 1, kIgnored = 2 };

constexpr int32_t kMaxSide = 65536;  // pixels; the largest width and height, of pictures and of sampled tensors

// Borrowed memory; whoever fills the struct keeps it alive. "Stored" pixels are those in memory; "upright" pixels are
// what a viewer sees after the rotation and then the mirroring. The upright width is the stored height for rotations of
// 90 and 270 degrees.
struct Picture {
  Format format = Format::kRgb8;
  int32_t width = 0, height = 0;                          // stored pixels, 1..kMaxSide
  int32_t rotation = 0;                                   // 0, 90, 180, 270: clockwise turn that makes it upright
  bool mirrored = false;                                  // left and right are swapped after the rotation
  const uint8_t* plane[3] = {nullptr, nullptr, nullptr};  // planes that the format does not have are ignored
  size_t stride[3] = {0, 0, 0};                           // bytes from one row to the next, at least one row
  Matrix matrix = Matrix::kBt601;                         // of YUV formats
  Range range = Range::kLimited;
  Alpha alpha = Alpha::kStraight;           // of RGBA and BGRA
  uint8_t background[3] = {255, 255, 255};  // R, G, B
  int32_t block_x = 0, block_y = 0;  // YUV: where the first pixel is in its 2x2 block, 0 or 1; a region may begin amid
};

struct Region {
  int32_t x, y, width, height;  // stored pixels
};

struct Size {
  int32_t width, height;
};

// Proves that every pixel of the picture can be addressed.
// Errors  TERN_ERR_INVALID_ARGUMENT  unknown format, rotation, matrix, range, alpha or place in a block, missing plane,
//                                    stride below one row, size of 0 or less
//         TERN_ERR_LIMIT             more than kMaxSide pixels a side, or a plane too large for the address space
tern_status check_picture(const Picture& picture);

// Leaves a region of a checked picture, without a copy.
// Errors  TERN_ERR_INVALID_ARGUMENT  the region is empty or not within the picture, which then stays as it is
tern_status cut_picture(const Region& region, Picture* picture);

// Size as seen, after the rotation. The picture has been checked.
Size upright_size(const Picture& picture);

}  // namespace tern::image
