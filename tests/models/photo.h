// SPDX-License-Identifier: Apache-2.0
// Photographs for tests of real models: read, cut, turned, moved.
#pragma once
#include <cmath>
#include <cstring>

#include "image.h"
#include "models/support.h"

namespace tern::test {

using Vision = std::unique_ptr<tern_vision, Release<tern_vision_release>>;

struct Photo {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;

  tern_picture picture() const {
    tern_picture p = TERN_PICTURE_INIT;
    p.format = TERN_PICTURE_RGB8;
    p.width = width, p.height = height;
    p.planes[0] = rgb.data();
    p.strides[0] = 3 * (int64_t)width;
    return p;
  }
  const uint8_t* at(int x, int y) const { return rgb.data() + ((size_t)y * (size_t)width + (size_t)x) * 3; }
};

inline std::string image_path(const std::string& name) { return cache_folder() + "/images/" + name; }

inline void read_photo(const std::string& name, Photo* out) {
  unsigned char* rgb = image_read(image_path(name).c_str(), &out->width, &out->height);
  ASSERT_TRUE(rgb) << image_error();
  out->rgb.assign(rgb, rgb + (size_t)out->width * (size_t)out->height * 3);
  free(rgb);
}

inline Photo cut(const Photo& from, int x0, int y0, int x1, int y1) {
  Photo to{x1 - x0, y1 - y0, {}};
  for (int y = y0; y < y1; ++y) to.rgb.insert(to.rgb.end(), from.at(x0, y), from.at(x0, y) + 3 * (x1 - x0));
  return to;
}

// A quarter clockwise.
inline Photo turn(const Photo& from) {
  Photo to{from.height, from.width, {}};
  for (int y = 0; y < to.height; ++y)
    for (int x = 0; x < to.width; ++x) {
      const uint8_t* p = from.at(y, from.height - 1 - x);
      to.rgb.insert(to.rgb.end(), p, p + 3);
    }
  return to;
}

// Two of one height.
inline Photo beside(const Photo& a, const Photo& b) {
  Photo to{a.width + b.width, a.height, {}};
  for (int y = 0; y < to.height; ++y) {
    to.rgb.insert(to.rgb.end(), a.at(0, y), a.at(0, y) + 3 * a.width);
    to.rgb.insert(to.rgb.end(), b.at(0, y), b.at(0, y) + 3 * b.width);
  }
  return to;
}

// What a camera sees that looks at the photograph's point (x, y), magnified; the border repeats.
inline Photo view(const Photo& from, int width, int height, double x, double y, double zoom) {
  Photo to{width, height, std::vector<uint8_t>((size_t)width * (size_t)height * 3)};
  for (int v = 0; v < height; ++v)
    for (int u = 0; u < width; ++u) {
      const double sx = std::clamp(x + (u + 0.5 - width / 2.0) / zoom - 0.5, 0.0, from.width - 1.0),
                   sy = std::clamp(y + (v + 0.5 - height / 2.0) / zoom - 0.5, 0.0, from.height - 1.0);
      const int i = std::min((int)sx, from.width - 2), j = std::min((int)sy, from.height - 2);
      const double a = sx - i, b = sy - j;
      for (int c = 0; c < 3; ++c)
        to.rgb[((size_t)v * (size_t)width + (size_t)u) * 3 + (size_t)c] =
            (uint8_t)std::lround((1 - b) * ((1 - a) * from.at(i, j)[c] + a * from.at(i + 1, j)[c]) +
                                 b * ((1 - a) * from.at(i, j + 1)[c] + a * from.at(i + 1, j + 1)[c]));
    }
  return to;
}

}  // namespace tern::test
