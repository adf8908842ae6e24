// SPDX-License-Identifier: Apache-2.0
// Outputs whose column has the same remainder by the stride are reached by the same taps, from inputs side by side: a
// product over runs, one run per tap. Columns near the border have fewer taps and form products of their own.
#include "kernels/cpu/conv_transpose.h"

#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {

extern const MatmulKernels matmul_kernels;

namespace {

struct Taps {
  const float** x;   // first input pixel of each tap
  int64_t* w_first;  // its weights, counted in inputs of the product
};

// Columns ox = first, first + stride_w, ... of output row oy in one picture and group.
void columns(const ConvTransposeArgs& a, const PanelRows& base, const Taps& taps, const float* picture, int64_t oy,
             int64_t first, const Epilogue& e, float* y, int64_t y_pixel, int64_t c) {
  const int64_t count = (a.out_w - first + a.stride_w - 1) / a.stride_w;
  for (int64_t j = 0; j < count;) {
    int64_t n = 0, end = count;  // taps valid at column j, and the next column where that changes
    for (int64_t ky = 0; ky < a.kernel_h; ++ky) {
      const int64_t down = oy + a.pad_top - ky * a.dilation_h;
      if (down < 0 || down % a.stride_h != 0 || down / a.stride_h >= a.in_h) continue;
      for (int64_t kx = 0; kx < a.kernel_w; ++kx) {
        const int64_t across = first + a.pad_left - kx * a.dilation_w;
        if (across % a.stride_w != 0) continue;
        const int64_t ix = across / a.stride_w + j;
        if (ix >= a.in_w) continue;
        const int64_t change = ix < 0 ? j - ix : j + a.in_w - ix;
        if (change < end) end = change;
        if (ix < 0) continue;
        taps.x[n] = picture + (down / a.stride_h * a.in_w + ix) * a.x_pixel;
        taps.w_first[n] = (ky * a.kernel_w + kx) * c;
        ++n;
      }
    }
    const int64_t ox = first + j * a.stride_w;
    Epilogue here = epilogue_at(e, ox, 0);
    here.residual_stride *= a.stride_w;
    PanelRows p = base;
    p.a = taps.x, p.w_first = taps.w_first, p.runs = n, p.run_length = c, p.rows = end - j;
    p.y = y + ox * y_pixel, p.y_stride = a.stride_w * y_pixel, p.epilogue = &here;
    matmul_kernels.panel_rows(p);
    j = end;
  }
}

// y[ix * kernel_w + kx][n] = x[ix] * w[n][ky][kx]: a product with kernel_w * out_c columns, kx-major.
void side_by_side(const ConvTransposeArgs& a, int64_t begin, int64_t end, float* scratch) {
  const int64_t used = a.out_c * a.kernel_w, columns = (used + 7) / 8 * 8,
                k = (int64_t)a.kernel_h * a.kernel_w * a.in_c;
  float *w = scratch, *sums = scratch + columns * a.in_c;
  alignas(64) float bias[kPanelWidth] = {}, scale[kPanelWidth] = {};
  for (int64_t i = 0; i < used && a.epilogue.bias; ++i) bias[i] = a.epilogue.bias[i % a.out_c];
  for (int64_t i = 0; i < used && a.epilogue.scale; ++i) scale[i] = a.epilogue.scale[i % a.out_c];
  Epilogue sum;
  sum.bias = bias, sum.scale = a.epilogue.scale ? scale : nullptr;
  int64_t packed = -1;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t image = unit / a.out_h, oy = unit % a.out_h, ky = oy % a.stride_h;
    if (packed != ky)
      for (int64_t c = 0; c < a.in_c; ++c)
        for (int64_t i = 0; i < columns; ++i) {
          const int64_t at = panel_index(i % a.out_c, (ky * a.kernel_w + i / a.out_c) * a.in_c + c, a.out_c, k);
          w[c * columns + i] = i >= used ? 0 : weight_at(a.w_half, a.w, at);
        }
    packed = ky;
    const float* x = a.x + (image * a.in_h + oy / a.stride_h) * a.in_w * a.x_pixel;
    PanelRows p;
    p.a = &x, p.run_length = a.in_c, p.a_stride = a.x_pixel, p.rows = (a.out_w + a.stride_w - 1) / a.stride_w;
    p.w = w, p.n = columns, p.n_end = columns, p.k = a.in_c, p.y = sums, p.y_stride = columns, p.epilogue = &sum;
    matmul_kernels.panel_rows(p);
    for (int64_t ix = 0; ix < p.rows; ++ix)  // the gaps between input pixels close: [out_w][out_c]
      for (int64_t i = 0; i < used; ++i) sums[ix * used + i] = sums[ix * columns + i];
    Epilogue e = epilogue_at(a.epilogue, unit * a.out_w, 0);
    e.scale = nullptr;
    float* y = a.y + unit * a.out_w * a.y_pixel;
    const bool flat = a.out_c == 1 && a.y_pixel == 1 && !e.out_scale && (!e.residual || e.residual_stride == 1);
    if (flat && e.activation.kind == Elementwise::prelu)
      e.activation = {Elementwise::leaky_relu, e.slope[0]}, e.slope = nullptr;
    if (flat) matmul_kernels.finish_rows({sums, y, 0, 0, 1, a.out_w, &e});
    else matmul_kernels.finish_rows({sums, y, a.out_c, a.y_pixel, a.out_w, a.out_c, &e});
  }
}

void conv_transpose(const void* args, int64_t begin, int64_t end, void* scratch) {
  const ConvTransposeArgs& a = *(const ConvTransposeArgs*)args;
  if (conv_transpose_side_by_side(a)) return side_by_side(a, begin, end, (float*)scratch);
  const int64_t taps = (int64_t)a.kernel_h * a.kernel_w, c = a.in_c / a.groups, n = a.out_c / a.groups, k = taps * c;
  const int64_t weights = conv_transpose_weights(a);
  char* free = (char*)scratch;
  PanelRows p;
  p.w = a.w, p.w_half = a.w_half, p.n = n, p.n_end = n, p.k = k, p.a_stride = a.x_pixel;
  if (a.w_half) {
    if (weights <= kConvTransposeWidenFloats) {
      matmul_kernels.widen(a.w_half, a.w, (float*)free, weights);
      p.w = free, p.w_half = 0;
      free += (size_t)(weights + 15) / 16 * 64;
    } else {
      p.panel = (float*)free;
      free += panel_scratch_bytes(k, 1);
    }
  }
  const Taps t = {(const float**)free, (int64_t*)(free + (size_t)taps * sizeof(void*))};
  const char* const w = (const char*)p.w;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t image = unit / a.out_h, oy = unit % a.out_h;
    for (int64_t group = 0; group < a.groups; ++group) {
      p.w = w + group * panel_elements(n, k) * (p.w_half ? 2 : 4);
      const Epilogue e = epilogue_at(a.epilogue, unit * a.out_w, group * n);
      const float* picture = a.x + image * a.in_h * a.in_w * a.x_pixel + group * c;
      for (int64_t first = 0; first < a.stride_w && first < a.out_w; ++first)
        columns(a, p, t, picture, oy, first, e, a.y + unit * a.out_w * a.y_pixel + group * n, a.y_pixel, c);
    }
  }
}

}  // namespace

extern const ConvTransposeKernels conv_transpose_kernels;
const ConvTransposeKernels conv_transpose_kernels = {conv_transpose};

}  // namespace tern::cpu::TERN_ISA
