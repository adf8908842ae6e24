// SPDX-License-Identifier: Apache-2.0
// Random pictures in every format for the tests, and the colour of each upright pixel computed the plain way.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "image/picture.h"

namespace tern::image {

using Rgb = std::array<double, 3>;

constexpr Format kAllFormats[] = {Format::kRgb8, Format::kBgr8, Format::kRgba8, Format::kGrey8,
                                  Format::kNv12, Format::kNv21, Format::kI420,  Format::kBgra8};

// Owns the planes. Each is a heap block of its own that ends with the last pixel, so that the address sanitizer sees a
// read beyond it.
struct TestPicture {
  Picture view;
  std::vector<uint8_t> planes[3];
};

inline TestPicture make_picture(Format format, int width, int height, int rotation, uint32_t seed,
                                int extra_stride = 5) {
  TestPicture t;
  t.view.format = format;
  t.view.width = width;
  t.view.height = height;
  t.view.rotation = rotation;
  std::mt19937 random(seed);
  const int planes = !is_yuv(format) ? 1 : format == Format::kI420 ? 3 : 2;
  for (int i = 0; i < planes; ++i) {
    int row = width, rows = height;
    if (format == Format::kRgb8 || format == Format::kBgr8) row = width * 3;
    if (has_alpha(format)) row = width * 4;
    if (i > 0) {
      row = (width + 1) / 2 * (format == Format::kI420 ? 1 : 2);
      rows = (height + 1) / 2;
    }
    const size_t stride = size_t(row + extra_stride + 2 * i);  // all three strides differ
    t.planes[i].resize(stride * size_t(rows - 1) + size_t(row));
    for (uint8_t& b : t.planes[i]) b = uint8_t(random());
    if (has_alpha(format))  // the ends are the usual values of alpha
      for (size_t k = 3; k < t.planes[i].size(); k += 4)
        if (random() % 3 == 0) t.planes[i][k] = random() % 2 ? 255 : 0;
    t.view.stride[i] = stride;
    t.view.plane[i] = t.planes[i].data();
  }
  return t;
}

inline Rgb stored_pixel(const Picture& p, int x, int y) {
  const auto at = [&](int plane, int column, int row) {
    return int(p.plane[plane][size_t(row) * p.stride[plane] + size_t(column)]);
  };
  if (p.format == Format::kRgb8)
    return {double(at(0, x * 3, y)), double(at(0, x * 3 + 1, y)), double(at(0, x * 3 + 2, y))};
  if (p.format == Format::kBgr8)
    return {double(at(0, x * 3 + 2, y)), double(at(0, x * 3 + 1, y)), double(at(0, x * 3, y))};
  if (has_alpha(p.format)) {
    const double alpha = at(0, x * 4 + 3, y);
    Rgb out;
    for (int c = 0; c < 3; ++c) {
      const double colour = at(0, x * 4 + (p.format == Format::kRgba8 ? c : 2 - c), y);
      const double behind = p.background[c] * (255 - alpha) / 255;
      out[size_t(c)] = p.alpha == Alpha::kIgnored    ? colour
                       : p.alpha == Alpha::kStraight ? std::floor(colour * alpha / 255 + behind + 0.5)
                                                     : std::min(255.0, colour + std::floor(behind + 0.5));
    }
    return out;
  }
  const double luma = at(0, x, y);
  if (p.format == Format::kGrey8) return {luma, luma, luma};
  const int cx = (x + p.block_x) / 2, cy = (y + p.block_y) / 2;
  double u, v;
  if (p.format == Format::kI420) {
    u = at(1, cx, cy);
    v = at(2, cx, cy);
  } else {
    u = at(1, cx * 2 + (p.format == Format::kNv12 ? 0 : 1), cy);
    v = at(1, cx * 2 + (p.format == Format::kNv12 ? 1 : 0), cy);
  }
  // From the parts of red and blue in the luma, as the standards define them; factors have 13 fraction bits.
  const bool full = p.range == Range::kFull;
  const double red = p.matrix == Matrix::kBt601 ? 0.299 : 0.2126, blue = p.matrix == Matrix::kBt601 ? 0.114 : 0.0722;
  const double green = 1 - red - blue, chroma = full ? 1 : 255.0 / 224;
  const auto k = [](double factor) { return std::round(factor * 8192) / 8192; };
  const auto cut = [](double c) { return std::clamp(std::floor(c + 0.5), 0.0, 255.0); };
  const double l = k(full ? 1 : 255.0 / 219) * (luma - (full ? 0 : 16));
  return {cut(l + k(2 * (1 - red) * chroma) * (v - 128)),
          cut(l - k(2 * (1 - blue) * blue / green * chroma) * (u - 128) -
              k(2 * (1 - red) * red / green * chroma) * (v - 128)),
          cut(l + k(2 * (1 - blue) * chroma) * (u - 128))};
}

// Turns by walking, one quarter turn clockwise after the other; then swaps left and right.
inline std::vector<Rgb> upright_pixels(const Picture& p, int* width, int* height) {
  int w = p.width, h = p.height;
  std::vector<Rgb> pixels;
  for (int y = 0; y < h; ++y)
    for (int x = 0; x < w; ++x) pixels.push_back(stored_pixel(p, x, y));
  for (int turn = 0; turn < p.rotation / 90; ++turn) {
    std::vector<Rgb> next(pixels.size());
    for (int y = 0; y < h; ++y)
      for (int x = 0; x < w; ++x)
        next[size_t(x) * size_t(h) + size_t(h - 1 - y)] = pixels[size_t(y) * size_t(w) + size_t(x)];
    pixels = next;
    std::swap(w, h);
  }
  if (p.mirrored)
    for (int y = 0; y < h; ++y) std::reverse(pixels.begin() + ptrdiff_t(y) * w, pixels.begin() + ptrdiff_t(y + 1) * w);
  *width = w;
  *height = h;
  return pixels;
}

}  // namespace tern::image
