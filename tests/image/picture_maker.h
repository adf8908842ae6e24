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
                                  Format::kNv12, Format::kNv21, Format::kI420};

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
  const bool yuv = format >= Format::kNv12;
  const int planes = !yuv ? 1 : format == Format::kI420 ? 3 : 2;
  for (int i = 0; i < planes; ++i) {
    int row = width, rows = height;
    if (format == Format::kRgb8 || format == Format::kBgr8) row = width * 3;
    if (format == Format::kRgba8) row = width * 4;
    if (i > 0) {
      row = format == Format::kI420 ? width / 2 : width;
      rows = height / 2;
    }
    const size_t stride = size_t(row + extra_stride + 2 * i);  // all three strides differ
    t.planes[i].resize(stride * size_t(rows - 1) + size_t(row));
    for (uint8_t& b : t.planes[i]) b = uint8_t(random());
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
  if (p.format == Format::kRgba8)
    return {double(at(0, x * 4, y)), double(at(0, x * 4 + 1, y)), double(at(0, x * 4 + 2, y))};
  const double luma = at(0, x, y);
  if (p.format == Format::kGrey8) return {luma, luma, luma};
  double u, v;
  if (p.format == Format::kI420) {
    u = at(1, x / 2, y / 2);
    v = at(2, x / 2, y / 2);
  } else {
    u = at(1, x / 2 * 2 + (p.format == Format::kNv12 ? 0 : 1), y / 2);
    v = at(1, x / 2 * 2 + (p.format == Format::kNv12 ? 1 : 0), y / 2);
  }
  // Factors are stated with 13 fraction bits.
  const auto k = [](double factor) { return std::round(factor * 8192) / 8192; };
  const auto cut = [](double c) { return std::clamp(std::floor(c + 0.5), 0.0, 255.0); };
  const double l = k(1.164384) * (luma - 16);
  return {cut(l + k(1.596027) * (v - 128)), cut(l - k(0.391762) * (u - 128) - k(0.812968) * (v - 128)),
          cut(l + k(2.017232) * (u - 128))};
}

// Turns by walking, one quarter turn clockwise after the other.
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
  *width = w;
  *height = h;
  return pixels;
}

}  // namespace tern::image
