// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/conv.h"

#include "kernels/cpu/epilogue.h"
#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {

extern const MatmulKernels matmul_kernels;

namespace {

int64_t round16(int64_t floats) { return (floats + 15) / 16 * 16; }

void zero(float* p, int64_t n) { __builtin_memset(p, 0, (size_t)n * sizeof(float)); }

TERN_INLINE void copy(float* out, const float* in, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, load(in + i));
  if (i < n) store_part(out + i, load_part(in + i, (int)(n - i)), (int)(n - i));
}

// ---- rows with their padding

// The input rows that one output row reads, padded left and right with zeros. Rows are copied once into a ring, unless
// they need no padding. Rows outside the picture are one row of zeros.
struct Ring {
  const ConvArgs& a;
  int64_t span, floats, height;  // columns of a padded row, its floats rounded up, rows of the ring
  bool in_place;
  float *zeros, *rows;
  int64_t image = -1, next = 0;  // rows before `next` of that picture are in the ring

  Ring(const ConvArgs& args, float* scratch) : a(args) {
    span = (a.out_w - 1) * a.stride_w + (int64_t)(a.kernel_w - 1) * a.dilation_w + 1;
    floats = round16(span * a.in_c);
    height = (int64_t)(a.kernel_h - 1) * a.dilation_h + 1;
    in_place = a.pad_left == 0 && span <= a.in_w && a.x_pixel == a.in_c;
    zeros = scratch, rows = scratch + floats;
    zero(zeros, floats);
  }

  float* slot(int64_t iy) const { return rows + iy % height * floats; }

  void copy_row(int64_t iy) {
    float* out = slot(iy);
    const int64_t c = a.in_c, left = a.pad_left < span ? a.pad_left : span;
    const int64_t columns = span - left < a.in_w ? span - left : a.in_w;
    const float* in = a.x + (image * a.in_h + iy) * a.in_w * a.x_pixel;
    zero(out, left * c);
    if (a.x_pixel == c) copy(out + left * c, in, columns * c);
    else
      for (int64_t x = 0; x < columns; ++x) copy(out + (left + x) * c, in + x * a.x_pixel, c);
    zero(out + (left + columns) * c, (span - left - columns) * c);
  }

  // Pointers to the first float of each run of output row oy; returns the number of runs. Valid until the next call.
  int64_t runs(int64_t unit, const float** p) {
    const int64_t oy = unit % a.out_h, first = oy * a.stride_h - a.pad_top, last = first + height - 1;
    if (image != unit / a.out_h) image = unit / a.out_h, next = 0;
    if (!in_place) {
      if (next < first) next = first;
      for (; next <= last && next < a.in_h; ++next) copy_row(next);
    }
    int64_t n = 0;
    for (int64_t ky = 0; ky < a.kernel_h; ++ky) {
      const int64_t iy = first + ky * a.dilation_h;
      const float* row = zeros;
      if (iy >= 0 && iy < a.in_h) row = in_place ? a.x + (image * a.in_h + iy) * a.in_w * a.x_pixel : slot(iy);
      if (whole_runs()) p[n++] = row;
      else
        for (int64_t kx = 0; kx < a.kernel_w; ++kx) p[n++] = row + kx * a.dilation_w * a.in_c;
    }
    return n;
  }

  bool whole_runs() const { return a.dilation_w == 1 && a.groups == 1; }
  int64_t run_length() const { return whole_runs() ? a.kernel_w * a.in_c : a.in_c / a.groups; }
};

void conv_rows(const ConvArgs& a, int64_t begin, int64_t end, float* scratch) {
  const int64_t c = a.in_c / a.groups, n = a.out_c / a.groups, k = (int64_t)a.kernel_h * a.kernel_w * c;
  const int64_t elements = panel_elements(n, k);  // of a group's weights
  Ring ring(a, scratch);
  float* free = scratch + (ring.height + 1) * ring.floats;
  PanelRows p;
  p.w_half = a.w_half;
  const char* w = (const char*)a.w;
  if (conv_widens_all(a, k)) {
    matmul_kernels.widen(a.w_half, a.w, free, a.groups * elements);
    w = (const char*)free, p.w_half = 0;
    free += round16(a.groups * elements);
  }
  p.panel = free;
  const float** pointers = (const float**)((char*)free + panel_scratch_bytes(k, a.w_half));
  p.a = pointers, p.run_length = ring.run_length(), p.a_stride = a.stride_w * a.in_c, p.rows = a.out_w;
  p.n = n, p.n_end = n, p.k = k, p.y_stride = a.y_pixel;
  for (int64_t unit = begin; unit < end; ++unit) {
    p.runs = ring.runs(unit, pointers);
    for (int64_t group = 0; group < a.groups; ++group) {
      const Epilogue e = epilogue_at(a.epilogue, unit * a.out_w, group * n);
      p.w = w + group * elements * (p.w_half ? 2 : 4);
      p.y = a.y + unit * a.out_w * a.y_pixel + group * n, p.epilogue = &e;
      matmul_kernels.panel_rows(p);
      for (int64_t i = 0; i < p.runs; ++i) pointers[i] += c;
    }
  }
}

// ---- one to four outputs: lanes run along the channels, and are added up for kLanes pixels at a time

// Dot products of kLanes pixels, `step` floats apart, with w[runs][length]. PART: only the first `pixels` exist.
template <bool PART>
Vec dots(const float* const* runs, int64_t n_runs, int64_t length, const float* w, int64_t offset, int64_t step,
         int pixels) {
  Vec acc[kLanes];
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) acc[i] = splat(0);
  for (int64_t r = 0; r < n_runs; ++r, w += length) {
    const float* p = runs[r] + offset;
    int64_t t = 0;
    for (; t + kLanes <= length; t += kLanes, p += kLanes) {
      const Vec v = load(w + t);
      const float* q[4] = {p, p + 4 * step, p + 8 * step, p + 12 * step};
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i)
        if (!PART || i < pixels) acc[i] = fma(load(q[i / 4] + i % 4 * step), v, acc[i]);
    }
    if (t < length) {
      const int lanes = (int)(length - t);
      const Vec v = load_part(w + t, lanes);
      const float* q[4] = {p, p + 4 * step, p + 8 * step, p + 12 * step};
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i)
        if (!PART || i < pixels) acc[i] = fma(load_part(q[i / 4] + i % 4 * step, lanes), v, acc[i]);
    }
  }
  return sum_each(acc);
}

void conv_head(const ConvArgs& a, int64_t begin, int64_t end, float* scratch) {
  const int64_t k = (int64_t)a.kernel_h * a.kernel_w * a.in_c, width = panel_width(a.out_c, 0);
  Ring ring(a, scratch);
  float* w = scratch + (ring.height + 1) * ring.floats;  // [out_c][k]
  float* sums = w + round16(a.out_c * k);                // [out_w][out_c]
  const float** pointers = (const float**)(sums + round16(a.out_w * a.out_c));
  for (int64_t t = 0; t < k; ++t) {
    alignas(64) float column[8];
    if (a.w_half) matmul_kernels.widen(a.w_half, (const uint16_t*)a.w + t * width, column, 8);
    else copy(column, (const float*)a.w + t * width, 8);
    for (int64_t n = 0; n < a.out_c; ++n) w[n * k + t] = column[n];
  }
  Epilogue rest = a.epilogue;  // behind the bias
  rest.scale = nullptr;
  // One output, side by side: pixels take the place of channels.
  const bool is_flat =
      a.out_c == 1 && a.y_pixel == 1 && !rest.out_scale && (!rest.residual || rest.residual_stride == 1);
  if (is_flat && rest.activation.kind == Elementwise::prelu)
    rest.activation = {Elementwise::leaky_relu, rest.slope[0]}, rest.slope = nullptr;

  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t runs = ring.runs(unit, pointers);
    const int64_t step = a.stride_w * a.in_c, length = ring.run_length();
    for (int64_t x0 = 0; x0 < a.out_w; x0 += kLanes) {
      const int pixels = a.out_w < kLanes ? (int)a.out_w : kLanes;
      // the last block is moved back: the same bits again
      const int64_t x = x0 + pixels <= a.out_w ? x0 : a.out_w - pixels;
      for (int64_t n = 0; n < a.out_c; ++n) {
        const Vec d = pixels == kLanes ? dots<false>(pointers, runs, length, w + n * k, x * step, step, pixels)
                                       : dots<true>(pointers, runs, length, w + n * k, x * step, step, pixels);
        alignas(64) float r[kLanes];
        const Vec bias = splat(a.epilogue.bias ? a.epilogue.bias[n] : 0);
        store(r, a.epilogue.scale ? fma(d, splat(a.epilogue.scale[n]), bias) : d + bias);
        for (int i = 0; i < pixels; ++i) sums[(x + i) * a.out_c + n] = r[i];
      }
    }
    const int64_t pixel = unit * a.out_w;
    const Epilogue e = epilogue_at(rest, pixel, 0);
    if (is_flat) matmul_kernels.finish_rows({sums, a.y + pixel, 0, 0, 1, a.out_w, &e});
    else matmul_kernels.finish_rows({sums, a.y + pixel * a.y_pixel, a.out_c, a.y_pixel, a.out_w, a.out_c, &e});
  }
}

// ---- any shape: the inputs of some pixels side by side

// out[kernel_h][kernel_w][c]: what output pixel (oy, ox) of a picture reads of channels [first, first + c)
void gather_pixel(const ConvArgs& a, const float* picture, int64_t oy, int64_t ox, int64_t first, int64_t c,
                  float* out) {
  const int64_t ix0 = ox * a.stride_w - a.pad_left;
  const bool adjacent = a.dilation_w == 1 && a.x_pixel == c && ix0 >= 0 && ix0 + a.kernel_w <= a.in_w;
  for (int64_t ky = 0; ky < a.kernel_h; ++ky) {
    const int64_t iy = oy * a.stride_h - a.pad_top + ky * a.dilation_h;
    const float* row = picture + iy * a.in_w * a.x_pixel + first;
    if (iy < 0 || iy >= a.in_h) {
      zero(out, a.kernel_w * c);
    } else if (adjacent) {
      copy(out, row + ix0 * c, a.kernel_w * c);
    } else {
      for (int64_t kx = 0; kx < a.kernel_w; ++kx) {
        const int64_t ix = ix0 + kx * a.dilation_w;
        if (ix < 0 || ix >= a.in_w) zero(out + kx * c, c);
        else copy(out + kx * c, row + ix * a.x_pixel, c);
      }
    }
    out += a.kernel_w * c;
  }
}

void conv_gather(const ConvArgs& a, int64_t begin, int64_t end, float* scratch) {
  const int64_t c = a.in_c / a.groups, n = a.out_c / a.groups, k = (int64_t)a.kernel_h * a.kernel_w * c;
  const ConvGatherUnits u = conv_gather_split(a);
  const int64_t pixels = a.batch * a.out_h * a.out_w;
  const bool in_place = a.kernel_h == 1 && a.kernel_w == 1 && a.stride_h == 1 && a.stride_w == 1 && a.pad_top == 0 &&
                        a.pad_left == 0 && a.out_h == a.in_h && a.out_w == a.in_w;
  PanelRows p;
  p.w_half = a.w_half, p.n = n, p.k = k, p.run_length = k, p.y_stride = a.y_pixel;
  p.panel = scratch + round16(conv_gather_rows(k) * k);
  int64_t gathered = -1;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t block = unit / u.panel_groups, group = block / u.blocks;  // block counts over groups
    const int64_t pixel = block % u.blocks * u.rows_per_block;
    p.rows = pixels - pixel < u.rows_per_block ? pixels - pixel : u.rows_per_block;
    const float* first = scratch;
    p.a_stride = k;
    if (in_place) {
      first = a.x + pixel * a.x_pixel + group * c;
      p.a_stride = a.x_pixel;
    } else if (gathered != block) {
      for (int64_t i = 0; i < p.rows; ++i) {
        const int64_t row = (pixel + i) / a.out_w, image = row / a.out_h;
        gather_pixel(a, a.x + image * a.in_h * a.in_w * a.x_pixel, row % a.out_h, (pixel + i) % a.out_w, group * c, c,
                     scratch + i * k);
      }
      gathered = block;
    }
    const Epilogue e = epilogue_at(a.epilogue, pixel, group * n);
    p.a = &first, p.epilogue = &e;
    p.w = (const char*)a.w + group * panel_elements(n, k) * (a.w_half ? 2 : 4);
    p.n_begin = unit % u.panel_groups * u.panels_per_group * kPanelWidth;
    p.n_end = p.n_begin + u.panels_per_group * kPanelWidth < n ? p.n_begin + u.panels_per_group * kPanelWidth : n;
    p.y = a.y + pixel * a.y_pixel + group * n;
    matmul_kernels.panel_rows(p);
  }
}

// ---- Winograd: output tiles of M x M from input tiles of P x P; points 0, 1, -1, infinity

constexpr int M = kWinogradTile, P = M + 2;

TERN_INLINE void input_transform(const Vec* d, Vec* o) {
  o[0] = d[0] - d[2], o[1] = d[1] + d[2], o[2] = d[2] - d[1], o[3] = d[1] - d[3];
}

TERN_INLINE void output_transform(const Vec* x, Vec* o) { o[0] = x[0] + x[1] + x[2], o[1] = x[1] - x[2] - x[3]; }

// in: P x P pixels, `row` and `pixel` floats apart; v: P * P points, `point` floats apart
template <bool PART>
TERN_INLINE void input_tile(const float* in, int64_t row, int64_t pixel, float* v, int64_t point, int lanes) {
  Vec d[P][P];
#pragma GCC unroll 6
  for (int x = 0; x < P; ++x) {
    Vec column[P], o[P];
#pragma GCC unroll 6
    for (int y = 0; y < P; ++y)
      column[y] = PART ? load_part(in + y * row + x * pixel, lanes) : load(in + y * row + x * pixel);
    input_transform(column, o);
#pragma GCC unroll 6
    for (int y = 0; y < P; ++y) d[y][x] = o[y];
  }
#pragma GCC unroll 6
  for (int y = 0; y < P; ++y) {
    Vec o[P];
    input_transform(d[y], o);
#pragma GCC unroll 6
    for (int x = 0; x < P; ++x) {
      float* p = v + (y * P + x) * point;
      if (PART) store_part(p, o[x], lanes);
      else store(p, o[x]);
    }
  }
}

struct OutputTile {
  const ConvArgs* a;
  const Ending* end;
  float* sums;  // [M * M][sums_stride]: where outputs go that finish_rows has still to finish; or NULL
  int64_t sums_stride;
  int64_t pixel;      // of the tile's first output
  int rows, columns;  // that lie in the picture
};

// sums: P * P points, `point` floats apart, of outputs [n, n + lanes)
template <bool PART>
TERN_INLINE void output_tile(const OutputTile& t, const float* sums, int64_t point, int64_t n, int lanes) {
  const ConvArgs& a = *t.a;
  const auto get = [&](const float* p) __attribute__((always_inline)) { return PART ? load_part(p, lanes) : load(p); };
  const auto put = [&](float* p, Vec v) __attribute__((always_inline)) {
    PART ? store_part(p, v, lanes) : store(p, v);
  };
  Vec d[M][P], o[M * M];
#pragma GCC unroll 6
  for (int x = 0; x < P; ++x) {
    Vec column[P], r[M];
#pragma GCC unroll 6
    for (int y = 0; y < P; ++y) column[y] = get(sums + (y * P + x) * point);
    output_transform(column, r);
#pragma GCC unroll 4
    for (int y = 0; y < M; ++y) d[y][x] = r[y];
  }
  const Vec bias = t.end->bias ? get(t.end->bias + n) : splat(0);
#pragma GCC unroll 4
  for (int y = 0; y < M; ++y) {
    output_transform(d[y], o + y * M);
#pragma GCC unroll 4
    for (int x = 0; x < M; ++x) o[y * M + x] = o[y * M + x] + bias;
  }
  const auto each = [&](auto f) __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (int i = 0; i < M * M; ++i) o[i] = f(o[i], 0);
  };
  const auto add_residual = [&]() __attribute__((always_inline)) {
    for (int y = 0; y < t.rows; ++y)
      for (int x = 0; x < t.columns; ++x)
        o[y * M + x] = o[y * M + x] + get(t.end->residual + (t.pixel + y * a.out_w + x) * t.end->residual_stride + n);
  };
  finish(
      *t.end, each, [&](const float* p, int) __attribute__((always_inline)) { return get(p + n); }, add_residual);
  for (int y = 0; y < t.rows; ++y)
    for (int x = 0; x < t.columns; ++x) {
      const int64_t pixel = t.pixel + y * a.out_w + x;
      put(t.sums ? t.sums + (y * M + x) * t.sums_stride + n : a.y + pixel * a.y_pixel + n, o[y * M + x]);
    }
}

void conv_winograd(const ConvArgs& a, int64_t begin, int64_t end, float* scratch) {
  const int64_t block = conv_winograd_block(a), tiles = conv_winograd_tiles(a), c = a.in_c,
                n_padded = (a.out_c + 7) / 8 * 8;
  const int64_t tiles_x = (a.out_w + M - 1) / M, tiles_y = (a.out_h + M - 1) / M;
  float *v = scratch, *sums = v + P * P * block * c, *patch = sums + P * P * block * n_padded;
  const Ending ending = ending_of(a.epilogue);
  const Epilogue none;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t first = unit * block, count = tiles - first < block ? tiles - first : block;
    const int64_t point = count * c, sums_point = count * n_padded;
    for (int64_t t = 0; t < count; ++t) {
      const int64_t row = (first + t) / tiles_x, image = row / tiles_y;
      const int64_t iy = row % tiles_y * M - a.pad_top, ix = (first + t) % tiles_x * M - a.pad_left;
      const float* picture = a.x + image * a.in_h * a.in_w * a.x_pixel;
      const float* in = picture + (iy * a.in_w + ix) * a.x_pixel;
      int64_t in_row = a.in_w * a.x_pixel, in_pixel = a.x_pixel;
      if (iy < 0 || ix < 0 || iy + P > a.in_h || ix + P > a.in_w) {
        for (int y = 0; y < P; ++y)
          for (int x = 0; x < P; ++x) {
            const bool inside = iy + y >= 0 && iy + y < a.in_h && ix + x >= 0 && ix + x < a.in_w;
            if (inside) copy(patch + (y * P + x) * c, picture + ((iy + y) * a.in_w + ix + x) * a.x_pixel, c);
            else zero(patch + (y * P + x) * c, c);
          }
        in = patch, in_row = P * c, in_pixel = c;
      }
      int64_t i = 0;
      for (; i + kLanes <= c; i += kLanes) input_tile<false>(in + i, in_row, in_pixel, v + t * c + i, point, kLanes);
      if (i < c) input_tile<true>(in + i, in_row, in_pixel, v + t * c + i, point, (int)(c - i));
    }
    for (int64_t i = 0; i < P * P; ++i) {
      const float* rows = v + i * point;
      PanelRows p;
      p.a = &rows, p.run_length = c, p.a_stride = c, p.rows = count;
      p.w = (const float*)a.w + i * panel_elements(a.out_c, c), p.n = a.out_c, p.n_end = a.out_c, p.k = c;
      p.y = sums + i * sums_point, p.y_stride = n_padded, p.epilogue = &none;
      matmul_kernels.panel_rows(p);
    }
    for (int64_t t = 0; t < count; ++t) {
      const int64_t row = (first + t) / tiles_x, image = row / tiles_y, oy = row % tiles_y * M,
                    ox = (first + t) % tiles_x * M;
      float* later = ending.kind == Finish::later ? patch : nullptr;
      OutputTile tile = {&a, &ending, later, n_padded, (image * a.out_h + oy) * a.out_w + ox, M, M};
      if (a.out_h - oy < M) tile.rows = (int)(a.out_h - oy);
      if (a.out_w - ox < M) tile.columns = (int)(a.out_w - ox);
      int64_t i = 0;
      for (; i + kLanes <= a.out_c; i += kLanes)
        output_tile<false>(tile, sums + t * n_padded + i, sums_point, i, kLanes);
      if (i < a.out_c) output_tile<true>(tile, sums + t * n_padded + i, sums_point, i, (int)(a.out_c - i));
      for (int y = 0; later && y < tile.rows; ++y) {
        const int64_t pixel = tile.pixel + y * a.out_w;
        const Epilogue e = epilogue_at(a.epilogue, pixel, 0);
        matmul_kernels.finish_rows(
            {later + y * M * n_padded, a.y + pixel * a.y_pixel, n_padded, a.y_pixel, tile.columns, a.out_c, &e});
      }
    }
  }
}

void winograd_weights(const void* args, int64_t begin, int64_t end, void*) {
  static constexpr double g[P][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
  const ConvWinogradWeightsArgs& a = *(const ConvWinogradWeightsArgs*)args;
  const int64_t elements = panel_elements(a.out_c, a.in_c), k = 9 * a.in_c;
  for (int64_t panel = begin; panel < end; ++panel) {
    const int64_t n0 = panel * kPanelWidth, width = panel_width(a.out_c, n0);
    for (int64_t c = 0; c < a.in_c; ++c)
      for (int64_t i = 0; i < width; ++i) {
        double w[3][3], gw[P][3];
        for (int y = 0; y < 3; ++y)
          for (int x = 0; x < 3; ++x) {
            const int64_t at = n0 * k + ((y * 3 + x) * a.in_c + c) * width + i;
            w[y][x] = weight_at(a.w_half, a.w, at);
          }
        for (int p = 0; p < P; ++p)
          for (int x = 0; x < 3; ++x) gw[p][x] = g[p][0] * w[0][x] + g[p][1] * w[1][x] + g[p][2] * w[2][x];
        for (int p = 0; p < P; ++p)
          for (int q = 0; q < P; ++q)
            a.u[(p * P + q) * elements + n0 * a.in_c + c * width + i] =
                (float)(gw[p][0] * g[q][0] + gw[p][1] * g[q][1] + gw[p][2] * g[q][2]);
      }
  }
}

void conv(const void* args, int64_t begin, int64_t end, void* scratch) {
  const ConvArgs& a = *(const ConvArgs*)args;
  switch (conv_path(a)) {
    case ConvPath::pointwise: {
      PanelMatmulArgs m;
      m.x = a.x, m.w = a.w, m.y = a.y, m.rows = a.batch * a.out_h * a.out_w, m.n = a.out_c, m.k = a.in_c;
      m.x_stride = a.x_pixel, m.y_stride = a.y_pixel, m.w_half = a.w_half, m.epilogue = a.epilogue;
      return matmul_kernels.panel_matmul(&m, begin, end, scratch);
    }
    case ConvPath::head: return conv_head(a, begin, end, (float*)scratch);
    case ConvPath::rows: return conv_rows(a, begin, end, (float*)scratch);
    case ConvPath::gather: return conv_gather(a, begin, end, (float*)scratch);
    case ConvPath::winograd: return conv_winograd(a, begin, end, (float*)scratch);
  }
}

}  // namespace

extern const ConvKernels conv_kernels;
const ConvKernels conv_kernels = {conv, winograd_weights};

}  // namespace tern::cpu::TERN_ISA
