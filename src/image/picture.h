// SPDX-License-Identifier: Apache-2.0
// A view of a picture in the caller's memory, in one of the formats that cameras and decoders give.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tern/status.h"

namespace tern::image {

// 8 bits per sample everywhere.
//
// The three YUV formats have one chroma pair for each 2x2 block of pixels; each of the four pixels uses that pair
// as it is. They are BT.601 with limited range (Y 16..235, U and V 16..240):
//   R = 1.164384 (Y-16)                     + 1.596027 (V-128)
//   G = 1.164384 (Y-16) - 0.391762 (U-128)  - 0.812968 (V-128)
//   B = 1.164384 (Y-16) + 2.017232 (U-128)
// with factors rounded to 13 fraction bits, the sum rounded to the nearest integer and cut to 0..255.
enum class Format : int32_t {
  kRgb8 = 0,   // plane 0: R G B
  kBgr8 = 1,   // plane 0: B G R
  kRgba8 = 2,  // plane 0: R G B A; A is ignored
  kGrey8 = 3,  // plane 0: Y, full range 0..255; R = G = B = Y
  kNv12 = 4,   // plane 0: Y, plane 1: U V pairs
  kNv21 = 5,   // plane 0: Y, plane 1: V U pairs
  kI420 = 6,   // plane 0: Y, plane 1: U, plane 2: V
};

constexpr int32_t kMaxSide = 65536;  // pixels; the largest width and height, of pictures and of sampled tensors

// Borrowed memory; whoever fills the struct keeps it alive. "Stored" pixels are those in memory; "upright" pixels are
// what a viewer sees after the rotation. The upright width is the stored height for rotations of 90 and 270 degrees.
struct Picture {
  Format format = Format::kRgb8;
  int32_t width = 0, height = 0;                          // stored pixels, 1..kMaxSide; even for YUV formats
  int32_t rotation = 0;                                   // 0, 90, 180, 270: clockwise turn that makes it upright
  const uint8_t* plane[3] = {nullptr, nullptr, nullptr};  // planes that the format does not have are ignored
  size_t stride[3] = {0, 0, 0};                           // bytes from one row to the next, at least one row
};

struct Size {
  int32_t width, height;
};

// Proves that every pixel of the picture can be addressed.
// Errors  TERN_ERR_INVALID_ARGUMENT  unknown format or rotation, missing plane, stride below one row, size of 0 or
// less,
//                                    odd size of a YUV format
//         TERN_ERR_LIMIT             more than kMaxSide pixels a side, or a plane too large for the address space
tern_status check_picture(const Picture& picture);

// Size as seen, after the rotation. The picture has been checked.
Size upright_size(const Picture& picture);

}  // namespace tern::image
