// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/conv2d_weight_grad.h"

#include <string.h>

#include "kernels/cpu/matmul.h"
#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {

extern const MatmulKernels matmul_kernels;

namespace {

struct Span {
  int64_t begin, end;
};

Span segment(int64_t all, int64_t index, int64_t count) { return {all * index / count, all * (index + 1) / count}; }

// Outputs o of [begin, end) for which o * stride + offset lies in [0, in).
Span inside(int64_t begin, int64_t end, int64_t offset, int64_t stride, int64_t in) {
  const int64_t first = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  const int64_t last = in <= offset ? 0 : (in - offset + stride - 1) / stride;
  Span s = {begin > first ? begin : first, end < last ? end : last};
  if (s.end < s.begin) s.end = s.begin = begin > s.begin ? begin : s.begin < end ? s.begin : end;
  return s;
}

void copy_floats(const float* from, int64_t from_step, float* to, int64_t to_step, int64_t n, int64_t length) {
  if (length == 1) {
    for (int64_t i = 0; i < n; ++i, from += from_step, to += to_step) *to = *from;
    return;
  }
  for (int64_t i = 0; i < n; ++i, from += from_step, to += to_step) {
    int64_t j = 0;
    for (; j + kLanes <= length; j += kLanes) store(to + j, load(from + j));
    if (j < length) store_part(to + j, load_part(from + j, (int)(length - j)), (int)(length - j));
  }
}

void zero_floats(float* to, int64_t step, int64_t n, int64_t length) {
  for (int64_t i = 0; i < n; ++i, to += step)
    for (int64_t j = 0; j < length; ++j) to[j] = 0;
}

// to[p][..length] = the channels from `channel` on that a tap meets at the output pixels [first, first + count).
void gather_tap(const ConvWeightGradArgs& a, int64_t tap, int64_t channel, int64_t length, int64_t first, int64_t count,
                float* to, int64_t step) {
  const int64_t down = tap / a.kernel_w * a.dilation_h - a.pad_top,
                across = tap % a.kernel_w * a.dilation_w - a.pad_left;
  for (int64_t p = first; p < first + count;) {
    const int64_t row = p / a.out_w, ox = p % a.out_w, picture = row / a.out_h, oy = row % a.out_h;
    const int64_t end = a.out_w - ox < first + count - p ? a.out_w : ox + first + count - p;
    const int64_t iy = oy * a.stride_h + down;
    Span s = {ox, ox};
    if (iy >= 0 && iy < a.in_h) s = inside(ox, end, across, a.stride_w, a.in_w);
    zero_floats(to, step, s.begin - ox, length);
    if (s.end > s.begin)
      copy_floats(a.x + ((picture * a.in_h + iy) * a.in_w + s.begin * a.stride_w + across) * a.in_c + channel,
                  a.stride_w * a.in_c, to + (s.begin - ox) * step, step, s.end - s.begin, length);
    zero_floats(to + (s.end - ox) * step, step, end - s.end, length);
    to += (end - ox) * step;
    p += end - ox;
  }
}

// Columns [k0, k0 + columns) of what the pixels meet, as panels of [count][width].
void gather_panels(const ConvWeightGradArgs& a, int64_t group, int64_t first, int64_t count, int64_t k0,
                   int64_t columns, float* panels) {
  const int64_t c = a.in_c / a.groups;
  for (int64_t n0 = 0; n0 < columns; n0 += kPanelWidth) {
    const int64_t width = panel_width(columns, n0), used = columns - n0 < width ? columns - n0 : width;
    for (int64_t j = 0; j < used;) {
      const int64_t k = k0 + n0 + j, channel = k % c, length = c - channel < used - j ? c - channel : used - j;
      gather_tap(a, k / c, group * c + channel, length, first, count, panels + j, width);
      j += length;
    }
    zero_floats(panels + used, width, count, width - used);
    panels += count * width;
  }
}

// A block of dw, computed as [rows][columns].
void store_block(const ConvWeightGradArgs& a, float* dw, int64_t o0, int64_t rows, int64_t k, int64_t k0,
                 int64_t columns, const float* sums) {
  if (!a.panels) {
    for (int64_t r = 0; r < rows; ++r)
      memcpy(dw + (o0 + r) * k + k0, sums + r * kWeightGradColumns, (size_t)columns * sizeof(float));
    return;
  }
  const int64_t padded = (a.out_c + 7) / 8 * 8;
  for (int64_t r = 0; r < (o0 + rows < a.out_c ? rows : padded - o0); ++r) {
    const int64_t o = o0 + r, n0 = o / kPanelWidth * kPanelWidth, width = panel_width(a.out_c, n0);
    float* to = dw + n0 * k + k0 * width + (o - n0);
    for (int64_t j = 0; j < columns; ++j) to[j * width] = r < rows ? sums[r * kWeightGradColumns + j] : 0;
  }
}

void products(const ConvWeightGradArgs& a, int64_t block, Span pixels, float* dw, float* scratch) {
  const int64_t n = a.out_c / a.groups, k = (int64_t)a.kernel_h * a.kernel_w * (a.in_c / a.groups);
  const int64_t row_blocks = (n + kWeightGradRows - 1) / kWeightGradRows,
                column_blocks = (k + kWeightGradColumns - 1) / kWeightGradColumns;
  const int64_t k0 = block % column_blocks * kWeightGradColumns,
                n0 = block / column_blocks % row_blocks * kWeightGradRows, group = block / column_blocks / row_blocks;
  const int64_t rows = n - n0 < kWeightGradRows ? n - n0 : kWeightGradRows,
                columns = k - k0 < kWeightGradColumns ? k - k0 : kWeightGradColumns;
  float *left = scratch, *sums = left + kWeightGradRows * kWeightGradPixels,
        *right = sums + kWeightGradRows * kWeightGradColumns;
  const Epilogue none;
  if (pixels.begin == pixels.end) zero_floats(sums, kWeightGradColumns, rows, columns);
  for (int64_t p0 = pixels.begin; p0 < pixels.end; p0 += kWeightGradPixels) {
    const int64_t count = pixels.end - p0 < kWeightGradPixels ? pixels.end - p0 : kWeightGradPixels;
    matmul_kernels.transpose(a.dy + p0 * a.out_c + group * n + n0, a.out_c, count, rows, left, kWeightGradPixels);
    gather_panels(a, group, p0, count, k0, columns, right);
    const float* first = left;
    PanelRows p;
    p.a = &first, p.run_length = count, p.a_stride = kWeightGradPixels, p.rows = rows;
    p.w = right, p.n = p.n_end = (columns + 7) / 8 * 8, p.k = count;
    p.y = sums, p.y_stride = kWeightGradColumns, p.epilogue = &none;
    p.load_y = p0 > pixels.begin;
    matmul_kernels.panel_rows(p);
  }
  store_block(a, dw, group * n + n0, rows, k, k0, columns, sums);
}

// sums[tap][channel] over output rows, then to dw[channel][tap].
void depthwise(const ConvWeightGradArgs& a, int64_t block, Span rows, float* dw, float* sums) {
  const int64_t c0 = block * kDepthwiseGradChannels, taps = (int64_t)a.kernel_h * a.kernel_w,
                channels = a.in_c - c0 < kDepthwiseGradChannels ? a.in_c - c0 : kDepthwiseGradChannels;
  zero_floats(sums, kDepthwiseGradChannels, taps, kDepthwiseGradChannels);
  for (int64_t row = rows.begin; row < rows.end; ++row)
    for (int64_t tap = 0; tap < taps; ++tap) {
      const int64_t iy = row % a.out_h * a.stride_h + tap / a.kernel_w * a.dilation_h - a.pad_top,
                    across = tap % a.kernel_w * a.dilation_w - a.pad_left;
      if (iy < 0 || iy >= a.in_h) continue;
      const Span s = inside(0, a.out_w, across, a.stride_w, a.in_w);
      if (s.begin == s.end) continue;
      const float* x = a.x + ((row / a.out_h * a.in_h + iy) * a.in_w + s.begin * a.stride_w + across) * a.in_c + c0;
      const float* dy = a.dy + (row * a.out_w + s.begin) * a.out_c + c0;
      for (int64_t c = 0; c < channels; c += 4 * kLanes) {
        Vec sum[4];
        int lanes[4];
        for (int v = 0; v < 4; ++v) {
          const int64_t left = channels - c - v * kLanes;
          lanes[v] = left < 0 ? 0 : left < kLanes ? (int)left : kLanes;
          if (lanes[v]) sum[v] = load(sums + tap * kDepthwiseGradChannels + c + v * kLanes);
        }
        for (int64_t ox = 0; ox < s.end - s.begin; ++ox) {
          const float *px = x + ox * a.stride_w * a.in_c + c, *pdy = dy + ox * a.out_c + c;
          for (int v = 0; v < 4; ++v) {
            if (lanes[v] == kLanes) sum[v] = fma(load(px + v * kLanes), load(pdy + v * kLanes), sum[v]);
            else if (lanes[v])
              sum[v] = fma(load_part(px + v * kLanes, lanes[v]), load_part(pdy + v * kLanes, lanes[v]), sum[v]);
          }
        }
        for (int v = 0; v < 4; ++v)
          if (lanes[v]) store(sums + tap * kDepthwiseGradChannels + c + v * kLanes, sum[v]);
      }
    }
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t tap = 0; tap < taps; ++tap) dw[(c0 + c) * taps + tap] = sums[tap * kDepthwiseGradChannels + c];
}

void sums(const void* args, int64_t begin, int64_t end, void* scratch) {
  const ConvWeightGradArgs& a = *(const ConvWeightGradArgs*)args;
  const int64_t blocks = conv_weight_grad_blocks(a), segments = conv_weight_grad_segments(a);
  for (int64_t u = begin; u < end; ++u) {
    float* to = segments == 1 ? a.dw : a.partial + u / blocks * conv_weight_grad_elements(a);
    if (conv_weight_grad_depthwise(a))
      depthwise(a, u % blocks, segment(a.batch * a.out_h, u / blocks, segments), to, (float*)scratch);
    else products(a, u % blocks, segment(a.batch * a.out_h * a.out_w, u / blocks, segments), to, (float*)scratch);
  }
}

void join(const void* args, int64_t begin, int64_t end, void*) {
  const ConvWeightGradArgs& a = *(const ConvWeightGradArgs*)args;
  const int64_t elements = conv_weight_grad_elements(a), segments = conv_weight_grad_segments(a),
                stop = end * kWeightGradJoin < elements ? end * kWeightGradJoin : elements;
  for (int64_t i = begin * kWeightGradJoin; i < stop; i += kLanes) {
    const int lanes = stop - i < kLanes ? (int)(stop - i) : kLanes;
    Vec sum = load_part(a.partial + i, lanes);
    for (int64_t s = 1; s < segments; ++s) sum += load_part(a.partial + s * elements + i, lanes);
    store_part(a.dw + i, sum, lanes);
  }
}

}  // namespace

extern const Conv2dWeightGradKernels conv2d_weight_grad_kernels;
const Conv2dWeightGradKernels conv2d_weight_grad_kernels = {sums, join};

}  // namespace tern::cpu::TERN_ISA
