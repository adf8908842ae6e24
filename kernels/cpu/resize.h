// SPDX-License-Identifier: Apache-2.0
// Resizing of pictures [batch, height, width, channels] by tables made at plan time: nearest, and separable filters of
// any number of taps (2 = bilinear, 4 = bicubic, more = antialias). Output pixel p is at y + p * y_pixel elements: a
// slice of the channels of a wider tensor is written in place.
#pragma once
#include <cmath>

#include "kernels/cpu/kernel.h"

namespace tern::cpu {

enum class ResizeCoordinate : int32_t {
  half_pixel,
  align_corners,
  asymmetric,
  pytorch_half_pixel,
  half_pixel_symmetric,
  tf_half_pixel
};
enum class ResizeRound : int32_t { prefer_floor, prefer_ceil, floor, ceil };

// Position in the source of output pixel i. scale = out / in unless the model gives its own.
inline double resize_position(ResizeCoordinate mode, int64_t i, int64_t in, int64_t out, double scale) {
  switch (mode) {
    case ResizeCoordinate::half_pixel: return ((double)i + 0.5) / scale - 0.5;
    case ResizeCoordinate::align_corners: return out > 1 ? (double)i * (double)(in - 1) / (double)(out - 1) : 0.0;
    case ResizeCoordinate::asymmetric: return (double)i / scale;
    case ResizeCoordinate::pytorch_half_pixel: return out > 1 ? ((double)i + 0.5) / scale - 0.5 : 0.0;
    case ResizeCoordinate::half_pixel_symmetric: {
      const double adjustment = (double)out / (scale * (double)in), center = (double)in / 2;
      return center * (1 - adjustment) + ((double)i + 0.5) / scale - 0.5;
    }
    case ResizeCoordinate::tf_half_pixel: return ((double)i + 0.5) / scale;
  }
  return 0;
}

// index[out]: source pixel of each output pixel, within [0, in). in >= 1.
inline void resize_nearest_table(ResizeCoordinate mode, ResizeRound round, int64_t in, int64_t out, double scale,
                                 int32_t* index) {
  for (int64_t i = 0; i < out; ++i) {
    const double p = resize_position(mode, i, in, out, scale);
    double r = 0;
    switch (round) {
      case ResizeRound::prefer_floor: r = std::ceil(p - 0.5); break;
      case ResizeRound::prefer_ceil: r = std::floor(p + 0.5); break;
      case ResizeRound::floor: r = std::floor(p); break;
      case ResizeRound::ceil: r = std::ceil(p); break;
    }
    index[i] = r < 0 ? 0 : r > (double)(in - 1) ? (int32_t)(in - 1) : (int32_t)r;
  }
}

// index[out][2], weight[out][2] of bilinear sampling; positions outside are clamped to the edge. in >= 1.
inline void resize_linear_table(ResizeCoordinate mode, int64_t in, int64_t out, double scale, int32_t* index,
                                float* weight) {
  for (int64_t i = 0; i < out; ++i) {
    double p = resize_position(mode, i, in, out, scale);
    p = p < 0 ? 0 : p > (double)(in - 1) ? (double)(in - 1) : p;
    const int64_t low = (int64_t)p, high = low + 1 < in ? low + 1 : in - 1;
    const float w = (float)(p - (double)low);
    index[2 * i] = (int32_t)low, index[2 * i + 1] = (int32_t)high;
    weight[2 * i] = 1 - w, weight[2 * i + 1] = w;
  }
}

// index[out][4], weight[out][4] of bicubic sampling with coefficient `a` (ONNX: -0.75). Neighbours outside are clamped
// to the edge, or left out and the rest made to sum to 1 if `exclude_outside`. in >= 1.
inline void resize_cubic_table(ResizeCoordinate mode, int64_t in, int64_t out, double scale, double a,
                               bool exclude_outside, int32_t* index, float* weight) {
  for (int64_t i = 0; i < out; ++i) {
    const double p = resize_position(mode, i, in, out, scale), base = std::floor(p), t = p - base;
    double w[4] = {((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a, ((a + 2) * t - (a + 3)) * t * t + 1,
                   ((a + 2) * (1 - t) - (a + 3)) * (1 - t) * (1 - t) + 1,
                   ((a * (2 - t) - 5 * a) * (2 - t) + 8 * a) * (2 - t) - 4 * a};
    double sum = 0;
    for (int k = 0; k < 4; ++k) {
      const double at = base - 1 + k;
      if (exclude_outside && (at < 0 || at > (double)(in - 1))) w[k] = 0;
      sum += w[k];
      index[4 * i + k] = at < 0 ? 0 : at > (double)(in - 1) ? (int32_t)(in - 1) : (int32_t)at;
    }
    for (int k = 0; k < 4; ++k) weight[4 * i + k] = (float)(exclude_outside && sum != 0 ? w[k] / sum : w[k]);
  }
}

// y[b, i, j, :] = x[b, row[i], col[j], :]. elem_size 1, 2, 4 or 8 bytes. Units: output rows, batch * out_height. No
// scratch.
struct ResizeNearestArgs {
  const void* x = nullptr;
  void* y = nullptr;
  int32_t elem_size = 4;
  int64_t batch = 0, height = 0, width = 0, channels = 0, out_height = 0, out_width = 0;
  int64_t y_pixel = 0;           // >= channels
  const int32_t* row = nullptr;  // [out_height]
  const int32_t* col = nullptr;  // [out_width]
};
inline int64_t units(const ResizeNearestArgs& a) { return a.batch * a.out_height; }

// y[b, i, j, :] = sum over k, l of row_weight[i, k] * col_weight[j, l] * x[b, row[i, k], col[j, l], :], f32; rows are
// blended first, then columns. Units: output rows. Scratch: resize_filter_scratch bytes (one blended row).
struct ResizeFilterArgs {
  const float* x = nullptr;
  float* y = nullptr;
  int64_t batch = 0, height = 0, width = 0, channels = 0, out_height = 0, out_width = 0;
  int64_t y_pixel = 0;  // >= channels
  int32_t row_taps = 2, col_taps = 2;
  const int32_t* row = nullptr;  // [out_height][row_taps]
  const float* row_weight = nullptr;
  const int32_t* col = nullptr;  // [out_width][col_taps]
  const float* col_weight = nullptr;
};
inline int64_t units(const ResizeFilterArgs& a) { return a.batch * a.out_height; }
inline size_t resize_filter_scratch(const ResizeFilterArgs& a) {
  return (size_t)(a.width * a.channels) * sizeof(float);
}

struct ResizeKernels {
  KernelFn nearest;  // ResizeNearestArgs
  KernelFn filter;   // ResizeFilterArgs
};

}  // namespace tern::cpu
