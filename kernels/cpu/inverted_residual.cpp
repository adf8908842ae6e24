// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/inverted_residual.h"

#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {

extern const MatmulKernels matmul_kernels;
extern const DepthwiseKernels depthwise_kernels;

namespace {

int64_t round16(int64_t floats) { return (floats + 15) / 16 * 16; }

// y[rows][n] = layer(x[rows][k]); the epilogue's residual starts at row 0
void pointwise(const PointwiseLayer& layer, const Epilogue& e, const float* x, int64_t x_stride, int64_t rows,
               int64_t k, int64_t n, float* y, int64_t y_stride, float* panel) {
  PanelRows p;
  p.a = &x, p.run_length = k, p.a_stride = x_stride, p.rows = rows;
  p.w = layer.w, p.w_half = layer.w_half, p.n = n, p.n_end = n, p.k = k;
  p.y = y, p.y_stride = y_stride, p.epilogue = &e, p.panel = panel;
  matmul_kernels.panel_rows(p);
}

void inverted_residual(const void* args, int64_t begin, int64_t end, void* scratch) {
  const InvertedResidualArgs& a = *(const InvertedResidualArgs*)args;
  DepthwiseArgs d = a.depthwise;
  const int64_t middle = depthwise_outputs(d), ring_rows = inverted_residual_ring_rows(a);
  d.x_pixel = a.expand.w ? d.channels : a.x_pixel;
  d.y_pixel = a.project.w ? middle : a.y_pixel;

  char* free = (char*)scratch;
  const float* filters = (const float*)d.w;
  if (d.w_half) {
    matmul_kernels.widen(d.w_half, d.w, (float*)free, d.kernel_h * d.kernel_w * middle);
    filters = (const float*)free;
    free += depthwise_filter_bytes(d);
  }
  const auto take = [&](int64_t floats) {
    float* p = (float*)free;
    free += round16(floats) * (int64_t)sizeof(float);
    return p;
  };
  const int64_t row = d.in_w * d.x_pixel;
  float* zeros = take(row);
  __builtin_memset(zeros, 0, (size_t)row * sizeof(float));
  float* ring = a.expand.w ? take(ring_rows * row) : nullptr;
  float* mid = a.project.w ? take(kInvertedResidualRows * d.out_w * middle) : nullptr;
  float* block = (float*)free;
  free += depthwise_block_bytes(d);
  const float** pointers = (const float**)free;
  float* panel = (float*)(free + ((size_t)depthwise_input_rows(d) * sizeof(void*) + 63) / 64 * 64);

  const int64_t steps = (d.out_h + kInvertedResidualRows - 1) / kInvertedResidualRows;
  int64_t image = -1, next = 0;  // expanded rows before `next` of that picture are in the ring
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t y0 = unit % steps * kInvertedResidualRows;
    const int64_t rows = d.out_h - y0 < kInvertedResidualRows ? d.out_h - y0 : kInvertedResidualRows;
    if (image != unit / steps) image = unit / steps, next = 0;
    const float* x = a.x + image * d.in_h * d.in_w * a.x_pixel;
    if (a.expand.w) {
      const int64_t first = y0 * d.stride_h - d.pad_top;
      int64_t last = first + (rows - 1) * d.stride_h + (int64_t)(d.kernel_h - 1) * d.dilation_h + 1;
      if (last > d.in_h) last = d.in_h;
      if (next < first) next = first;
      while (next < last) {  // in two pieces where the ring ends
        const int64_t slot = next % ring_rows, n = last - next < ring_rows - slot ? last - next : ring_rows - slot;
        pointwise(a.expand, a.expand.epilogue, x + next * d.in_w * a.x_pixel, a.x_pixel, n * d.in_w, a.in_c, d.channels,
                  ring + slot * row, d.channels, panel);
        next += n;
      }
    }
    const int64_t pixel = (image * d.out_h + y0) * d.out_w;
    for (int64_t i = 0; i < rows; i += 2) {
      DepthwiseRows r;
      r.x = pointers, r.w = filters, r.shape = &d, r.scratch = block, r.rows = rows - i < 2 ? 1 : 2;
      const int64_t top = (y0 + i) * d.stride_h - d.pad_top;
      const int64_t inputs = (r.rows - 1) * d.stride_h + (int64_t)(d.kernel_h - 1) * d.dilation_h + 1;
      for (int64_t q = 0; q < inputs; ++q) {
        const int64_t iy = top + q;
        pointers[q] = iy < 0 || iy >= d.in_h ? zeros : a.expand.w ? ring + iy % ring_rows * row : x + iy * row;
      }
      const int64_t line = i * d.out_w;
      r.y = a.project.w ? mid + line * middle : a.y + (pixel + line) * a.y_pixel;
      r.residual_offset = (pixel + line) * d.epilogue.residual_stride;
      depthwise_kernels.rows(r);
    }
    if (a.project.w) {
      const Epilogue e = epilogue_at(a.project.epilogue, pixel, 0);
      pointwise(a.project, e, mid, middle, rows * d.out_w, middle, a.out_c, a.y + pixel * a.y_pixel, a.y_pixel, panel);
    }
  }
}

}  // namespace

extern const InvertedResidualKernels inverted_residual_kernels;
const InvertedResidualKernels inverted_residual_kernels = {inverted_residual};

}  // namespace tern::cpu::TERN_ISA
