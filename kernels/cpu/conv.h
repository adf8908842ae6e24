// SPDX-License-Identifier: Apache-2.0
// Convolution, NHWC f32, zero padding.
//   x [batch, in_h, in_w, in_c]    pixel p (counted over batch, rows and columns) at x + p * x_pixel
//   w panel order of [out_c / groups][kernel_h][kernel_w][in_c / groups], the groups one after another; f32 or f16
//   y [batch, out_h, out_w, out_c] pixel p at y + p * y_pixel: a slice of channels of a wider tensor is written in
//   place
//   residual of the epilogue: pixel p at residual + p * residual_stride
// y may be the residual, but must not overlap x or w.
#pragma once
#include "base/panel.h"
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/matmul.h"

namespace tern::cpu {

enum class ConvMethod : int32_t {
  direct,    // every shape
  winograd,  // F(2,3): stride 1, dilation 1, 3x3, groups 1; w are weights from winograd_weights. Error as direct
};

struct ConvArgs {
  const float* x = nullptr;
  const void* w = nullptr;
  float* y = nullptr;
  int64_t batch = 1, in_h = 0, in_w = 0, in_c = 0, out_h = 0, out_w = 0, out_c = 0;
  int64_t x_pixel = 0, y_pixel = 0;  // floats, >= in_c, >= out_c
  int32_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int32_t pad_top = 0, pad_left = 0;  // >= 0; bottom and right follow from out_h and out_w
  int32_t groups = 1;                 // divides in_c and out_c
  int32_t w_half = 0;                 // winograd: always f32
  ConvMethod method = ConvMethod::direct;
  Epilogue epilogue;
};

// Winograd computes tiles of 2 x 2 outputs from 4 x 4 inputs. Weights: a matrix [out_c][in_c] in panel order for each
// of these points, one after another, f32.
constexpr int64_t kWinogradTile = 2, kWinogradPoints = 16;
static inline int64_t conv_winograd_elements(int64_t out_c, int64_t in_c) {
  return kWinogradPoints * panel_elements(out_c, in_c);
}
struct ConvWinogradWeightsArgs {
  const void* w = nullptr;  // panel order of [out_c][3][3][in_c]
  float* u = nullptr;       // conv_winograd_elements floats
  int64_t out_c = 0, in_c = 0;
  int32_t w_half = 0;
};
static inline int64_t conv_winograd_weights_units(const ConvWinogradWeightsArgs& a) {
  return (a.out_c + kPanelWidth - 1) / kPanelWidth;
}

// How a direct convolution is computed.
enum class ConvPath : int32_t {
  pointwise,  // 1x1 without padding: a matrix product over all pixels
  head,       // up to kConvHeadOutputs outputs: dot products along the channels. Unit: an output row
  rows,       // rows are copied once, with their padding, into a ring; tiles of pixels read it. Unit: an output row
  // the inputs of a block of pixels are copied side by side. Unit: a block of pixels times a group of panels
  gather,
  winograd,  // unit: a block of output tiles
};
constexpr int64_t kConvHeadOutputs = 4;
constexpr int64_t kConvGroupRowFloats = 1 << 15;  // of a row with all its groups
static inline ConvPath conv_path(const ConvArgs& a) {
  if (a.method != ConvMethod::direct) return ConvPath::winograd;
  const bool same_size = a.out_h == a.in_h && a.out_w == a.in_w;
  if (a.groups == 1 && a.out_c <= kConvHeadOutputs && (int64_t)a.kernel_w * a.in_c >= 8) return ConvPath::head;
  if (a.kernel_h == 1 && a.kernel_w == 1 && a.stride_h == 1 && a.stride_w == 1 && a.pad_top == 0 && a.pad_left == 0 &&
      same_size && a.groups == 1)
    return ConvPath::pointwise;
  // What is gathered of a group serves its few outputs only.
  const bool grouped = a.groups > 1 && (a.kernel_h > 1 || a.kernel_w > 1) && a.out_w >= 12 &&
                       a.out_c / a.groups <= 32 && a.in_w * a.in_c <= kConvGroupRowFloats;
  return grouped || (a.groups == 1 && a.out_w >= 24 && a.out_c <= 96) ? ConvPath::rows : ConvPath::gather;
}

constexpr int64_t kConvGatherRows = 112;  // pixels gathered at a time, fewer when kernel_h * kernel_w * in_c is large
constexpr int64_t kConvGatherFloats = 1 << 17;
static inline int64_t conv_gather_rows(int64_t k) {
  int64_t rows = kConvGatherRows;
  while (rows > 28 && rows * k > kConvGatherFloats) rows -= 14;
  return rows;
}
struct ConvGatherUnits {
  int64_t blocks, rows_per_block, panel_groups, panels_per_group;  // per group of channels
};
static inline ConvGatherUnits conv_gather_split(const ConvArgs& a) {
  const int64_t n = a.out_c / a.groups, k = (int64_t)a.kernel_h * a.kernel_w * (a.in_c / a.groups);
  const int64_t pixels = a.batch * a.out_h * a.out_w, panels = (n + kPanelWidth - 1) / kPanelWidth;
  ConvGatherUnits u;
  u.rows_per_block = conv_gather_rows(k);
  u.blocks = (pixels + u.rows_per_block - 1) / u.rows_per_block;
  u.panels_per_group = panels;
  if (u.blocks * a.groups < 16 && panels > 2) {  // few blocks: split the outputs too, which gathers again
    const int64_t pieces = 16 / (u.blocks * a.groups);
    u.panels_per_group = (panels + pieces - 1) / pieces < 2 ? 2 : (panels + pieces - 1) / pieces;
  }
  u.panel_groups = panels == 0 ? 0 : (panels + u.panels_per_group - 1) / u.panels_per_group;
  return u;
}

static inline int64_t conv_winograd_tiles(const ConvArgs& a) {
  constexpr int64_t m = kWinogradTile;
  return a.batch * ((a.out_h + m - 1) / m) * ((a.out_w + m - 1) / m);
}
// Output tiles that are transformed together: a multiple of 14 whose transforms stay in the cache.
static inline int64_t conv_winograd_block(const ConvArgs& a) {
  const int64_t floats = kWinogradPoints * (a.in_c + (a.out_c + 7) / 8 * 8);
  int64_t tiles = 14;
  while (tiles < 56 && (tiles + 14) * floats <= (int64_t)160 << 10) tiles += 14;
  return tiles;
}

static inline int64_t conv_units(const ConvArgs& a) {
  switch (conv_path(a)) {
    case ConvPath::pointwise: {
      const PanelMatmulUnits u = panel_matmul_split(a.batch * a.out_h * a.out_w, a.out_c, a.in_c);
      return u.row_blocks * u.panel_groups;
    }
    case ConvPath::gather: {
      const ConvGatherUnits u = conv_gather_split(a);
      return a.groups * u.blocks * u.panel_groups;
    }
    case ConvPath::winograd: return (conv_winograd_tiles(a) + conv_winograd_block(a) - 1) / conv_winograd_block(a);
    case ConvPath::head:
    case ConvPath::rows: break;
  }
  return a.batch * a.out_h;
}

// Multiply-adds of the plain formula, times two; Winograd counts its products.
static inline double conv_unit_flops(const ConvArgs& a) {
  const int64_t units = conv_units(a);
  if (units == 0) return 0;
  const double outputs = (double)(a.batch * a.out_h * a.out_w) * (double)a.out_c;
  double flops = 2.0 * outputs * (double)(a.in_c / a.groups) * a.kernel_h * a.kernel_w;
  if (a.method == ConvMethod::winograd) flops /= 2.25;
  return flops / (double)units;
}

// f16 weights of the rows path are widened once per call when they fit into so many floats, otherwise panel by panel.
constexpr int64_t kConvWidenFloats = 1 << 16;
static inline bool conv_widens_all(const ConvArgs& a, int64_t k) {
  return a.w_half && a.groups * panel_elements(a.out_c / a.groups, k) <= kConvWidenFloats;
}

static inline size_t conv_scratch_bytes(const ConvArgs& a) {
  const int64_t c = a.in_c / a.groups, k = (int64_t)a.kernel_h * a.kernel_w * c;
  const int64_t span_w = (a.out_w - 1) * a.stride_w + (int64_t)(a.kernel_w - 1) * a.dilation_w + 1;
  const int64_t ring_rows = (int64_t)(a.kernel_h - 1) * a.dilation_h + 1;
  const auto round = [](int64_t floats) { return (floats + 15) / 16 * 16; };
  int64_t floats = 0;
  switch (conv_path(a)) {
    case ConvPath::pointwise: break;
    case ConvPath::head: floats = (ring_rows + 1) * round(span_w * c) + round(a.out_c * k) + a.out_w * a.out_c; break;
    case ConvPath::rows:
      floats = (ring_rows + 1) * round(span_w * a.in_c) +
               (conv_widens_all(a, k) ? round(a.groups * panel_elements(a.out_c / a.groups, k)) : 0);
      break;
    case ConvPath::gather: floats = conv_gather_rows(k) * k; break;
    case ConvPath::winograd: {
      const int64_t n = (a.out_c + 7) / 8 * 8;
      const int64_t one_tile = kWinogradPoints * c, outputs = kWinogradTile * kWinogradTile * n;
      return (size_t)(conv_winograd_block(a) * kWinogradPoints * (c + n) + (one_tile > outputs ? one_tile : outputs)) *
             sizeof(float);
    }
  }
  return (size_t)round(floats) * sizeof(float) + panel_scratch_bytes(k, a.w_half) +
         (size_t)a.kernel_h * a.kernel_w * sizeof(void*);
}

struct ConvKernels {
  KernelFn conv;
  KernelFn winograd_weights;  // unit: a panel of outputs; no scratch
};

}  // namespace tern::cpu
