// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/depthwise.h"

#include "kernels/cpu/epilogue.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {

extern const MatmulKernels matmul_kernels;

namespace {

// Output rows under computation, with everything that tiles need.
struct Job {
  const float* const* x;
  const float* w;
  float* y[2];
  Epilogue epilogue[2];  // of each row
  int64_t in_w, channels, x_pixel, y_pixel;
  int32_t pad_left;
  Ending end;
};

// TY x TX outputs of kLanes channels of a K x K kernel with strides SY and SX: each input vector is loaded once and
// used by every output that it touches. EDGE: columns may lie outside the picture.
template <int K, int SY, int SX, int TY, int TX, bool EDGE>
TERN_INLINE void outputs(const Job& j, int64_t ox, int64_t c) {
  constexpr int kRows = (TY - 1) * SY + K, kColumns = (TX - 1) * SX + K;
  const int64_t ix0 = ox * SX - j.pad_left;
  const float* w = j.w + c;
  Vec acc[TY * TX];
  const Vec bias = j.end.bias ? load(j.end.bias + c) : splat(0);
#pragma GCC unroll 8
  for (int i = 0; i < TY * TX; ++i) acc[i] = bias;
#pragma GCC unroll 16
  for (int iy = 0; iy < kRows; ++iy) {
    const float* p = j.x[iy] + ix0 * j.x_pixel + c;
#pragma GCC unroll 16
    for (int ix = 0; ix < kColumns; ++ix) {
      if (EDGE && (uint64_t)(ix0 + ix) >= (uint64_t)j.in_w) continue;
      const Vec v = load(p + ix * j.x_pixel);
#pragma GCC unroll 8
      for (int y = 0; y < TY; ++y)
#pragma GCC unroll 8
        for (int x = 0; x < TX; ++x) {
          const int ky = iy - y * SY, kx = ix - x * SX;
          if (ky >= 0 && ky < K && kx >= 0 && kx < K)
            acc[y * TX + x] = fma(v, load(w + (ky * K + kx) * j.channels), acc[y * TX + x]);
        }
    }
  }
  finish_all<TY * TX>(
      acc, j.end, [c](const float* p) __attribute__((always_inline)) { return load(p + c); });
#pragma GCC unroll 8
  for (int y = 0; y < TY; ++y)
#pragma GCC unroll 8
    for (int x = 0; x < TX; ++x) store(j.y[y] + (ox + x) * j.y_pixel + c, acc[y * TX + x]);
}

// The last vector of channels is moved back over some that are already done: the same bits again.
template <int K, int SY, int SX, int TY, int TX, bool EDGE>
void pixels(const Job& j, int64_t ox) {
  for (int64_t c = 0; c < j.channels; c += kLanes) {
    outputs<K, SY, SX, TY, TX, EDGE>(j, ox, c + kLanes <= j.channels ? c : j.channels - kLanes);
  }
}

#if defined(__AVX512BW__)
// 3x3, stride 1, 8 channels side by side: a vector is two pixels, taps are loads 8 floats apart. 2 rows x 8 pixels.
void pixels_of_8(const Job& j, int64_t ox) {
  const auto twice = [](const float* p) { return Vec(_mm512_broadcast_f32x8(_mm256_loadu_ps(p))); };
  const Vec bias = j.end.bias ? twice(j.end.bias) : splat(0);
  Vec w[9], acc[2][4];
  for (int k = 0; k < 9; ++k) w[k] = twice(j.w + 8 * k);
  for (int y = 0; y < 2; ++y)
    for (int x = 0; x < 4; ++x) acc[y][x] = bias;
  const int64_t ix0 = ox - j.pad_left;
#pragma GCC unroll 4
  for (int iy = 0; iy < 4; ++iy)
#pragma GCC unroll 9
    for (int ix = 0; ix < 9; ++ix) {
      const Vec v = load(j.x[iy] + (ix0 + ix) * 8);
#pragma GCC unroll 2
      for (int y = 0; y < 2; ++y)
#pragma GCC unroll 4
        for (int x = 0; x < 4; ++x) {
          const int ky = iy - y, kx = ix - 2 * x;
          if (ky >= 0 && ky < 3 && kx >= 0 && kx < 3) acc[y][x] = fma(v, w[ky * 3 + kx], acc[y][x]);
        }
    }
  finish_all<8>(acc[0], j.end, twice);
#pragma GCC unroll 2
  for (int y = 0; y < 2; ++y)
#pragma GCC unroll 4
    for (int x = 0; x < 4; ++x) store(j.y[y] + (ox + 2 * x) * 8, acc[y][x]);
}
#endif

// Any kernel, stride, dilation and epilogue: pixels [ox, end) of one output row, four vectors of channels at a time.
void any_pixels(const Job& j, const DepthwiseArgs& a, int y, int64_t ox, int64_t end) {
  const int64_t channels = j.channels;
  for (; ox < end; ++ox) {
    const int64_t ix0 = ox * a.stride_w - a.pad_left;
    const int64_t kx0 = ix0 >= 0 ? 0 : (-ix0 + a.dilation_w - 1) / a.dilation_w;
    for (int64_t c0 = 0; c0 < channels; c0 += 4 * kLanes) {
      const int64_t left = channels - c0 < 4 * kLanes ? channels - c0 : 4 * kLanes;
      const int vecs = (int)((left + kLanes - 1) / kLanes), last = (int)(left - (vecs - 1) * kLanes);
      Vec acc[4] = {splat(0), splat(0), splat(0), splat(0)};
      const auto each = [&](auto f) __attribute__((always_inline)) {  // f(vector, channel, lanes)
        for (int v = 0; v < vecs; ++v) acc[v] = f(acc[v], c0 + v * kLanes, v + 1 < vecs ? kLanes : last);
      };
      if (j.end.bias)
        each([&](Vec, int64_t c, int n) __attribute__((always_inline)) { return load_part(j.end.bias + c, n); });
      for (int64_t ky = 0; ky < a.kernel_h; ++ky)
        for (int64_t kx = kx0; kx < a.kernel_w; ++kx) {
          const int64_t ix = ix0 + kx * a.dilation_w;
          if (ix >= a.in_w) break;
          const float* p = j.x[y * a.stride_h + ky * a.dilation_h] + ix * j.x_pixel;
          const float* w = j.w + (ky * a.kernel_w + kx) * channels;
          if (left == 4 * kLanes) {
#pragma GCC unroll 4
            for (int v = 0; v < 4; ++v) acc[v] = fma(load(p + c0 + v * kLanes), load(w + c0 + v * kLanes), acc[v]);
          } else {
            each([&](Vec s, int64_t c, int n)
                     __attribute__((always_inline)) { return fma(load_part(p + c, n), load_part(w + c, n), s); });
          }
        }
      alignas(64) float sums[4 * kLanes];
      for (int v = 0; v < 4; ++v) store(sums + v * kLanes, acc[v]);
      const Epilogue e = epilogue_at(j.epilogue[y], ox, c0);
      matmul_kernels.finish_rows({sums, j.y[y] + ox * j.y_pixel + c0, 0, 0, 1, left, &e});
    }
  }
}

// A row (or two) in tiles of TX pixels; the last tile is moved back, too.
template <int K, int SY, int SX, int TY, int TX>
void row(const Job& j, const DepthwiseArgs& a) {
  for (int64_t ox = 0; ox < a.out_w;) {
#if defined(__AVX512BW__)
    if (K == 3 && SY == 1 && SX == 1 && j.channels < kLanes) {
      if (TY == 2 && j.x_pixel == 8 && j.y_pixel == 8 && ox >= j.pad_left && ox + 8 <= a.out_w &&
          ox - j.pad_left + 10 <= j.in_w) {
        pixels_of_8(j, ox);
        ox += 8;
      } else {
        for (int y = 0; y < TY; ++y) any_pixels(j, a, y, ox, ox + 1);
        ox += 1;
      }
      continue;
    }
#endif
    if (ox + TX > a.out_w) ox = a.out_w - TX;
    const int64_t ix = ox * SX - j.pad_left;
    if (ix >= 0 && ix + (TX - 1) * SX + K <= j.in_w) pixels<K, SY, SX, TY, TX, false>(j, ox);
    else pixels<K, SY, SX, TY, TX, true>(j, ox);
    ox += TX;
  }
}

// Several filters a channel: plain loops over one output row.
void multiplied_row(const Job& j, const DepthwiseArgs& a, int y) {
  constexpr int64_t kBlock = 64;
  const int64_t outputs = a.channels * a.multiplier;
  for (int64_t ox = 0; ox < a.out_w; ++ox)
    for (int64_t o0 = 0; o0 < outputs; o0 += kBlock) {
      const int64_t n = outputs - o0 < kBlock ? outputs - o0 : kBlock;
      float sums[kBlock];
      for (int64_t o = 0; o < n; ++o) sums[o] = j.end.bias ? j.end.bias[o0 + o] : 0;
      for (int64_t ky = 0; ky < a.kernel_h; ++ky)
        for (int64_t kx = 0; kx < a.kernel_w; ++kx) {
          const int64_t ix = ox * a.stride_w - a.pad_left + kx * a.dilation_w;
          if (ix < 0 || ix >= a.in_w) continue;
          const float* p = j.x[y * a.stride_h + ky * a.dilation_h] + ix * j.x_pixel;
          const float* w = j.w + (ky * a.kernel_w + kx) * outputs + o0;
          for (int64_t o = 0; o < n; ++o) sums[o] += p[(o0 + o) / a.multiplier] * w[o];
        }
      const Epilogue e = epilogue_at(j.epilogue[y], ox, o0);
      matmul_kernels.finish_rows({sums, j.y[y] + ox * j.y_pixel + o0, 0, 0, 1, n, &e});
    }
}

void rows(const DepthwiseRows& r) {
  const DepthwiseArgs& a = *r.shape;
  Job j;
  j.x = r.x, j.w = r.w, j.in_w = a.in_w, j.channels = a.channels, j.x_pixel = a.x_pixel, j.y_pixel = a.y_pixel,
  j.pad_left = a.pad_left;
  j.end = ending_of(a.epilogue);
  for (int y = 0; y < r.rows; ++y) {
    j.y[y] = r.y[y];
    j.epilogue[y] = a.epilogue;
    if (a.epilogue.residual) j.epilogue[y].residual += r.residual_offset[y];
  }
  if (a.multiplier != 1) {
    for (int y = 0; y < r.rows; ++y) multiplied_row(j, a, y);
    return;
  }
  const bool square = a.kernel_h == a.kernel_w && a.dilation_h == 1 && a.dilation_w == 1;
  // sums first, then what follows them while the row is in the cache
  const bool twice = j.end.kind == Finish::later || a.epilogue.residual;
  const bool narrow = a.channels == 8 && !twice;  // any_pixels would finish its part itself
  const bool in_place = a.epilogue.residual && j.epilogue[0].residual == j.y[0];  // sums would overwrite it
  const bool tiles = square && !in_place && a.out_w >= 4 && (a.channels >= kLanes || narrow);
  if (tiles && twice) j.end = only_sums(j.end);
  const bool two = r.rows == 2, wide = tiles && a.channels >= kLanes;
  const auto is = [&](int k, int sy, int sx) { return a.kernel_h == k && a.stride_h == sy && a.stride_w == sx; };
  if (tiles && is(3, 1, 1)) two ? row<3, 1, 1, 2, 4>(j, a) : row<3, 1, 1, 1, 4>(j, a);
  else if (wide && is(3, 2, 2)) two ? row<3, 2, 2, 2, 4>(j, a) : row<3, 2, 2, 1, 4>(j, a);
  else if (wide && is(5, 1, 1)) two ? row<5, 1, 1, 2, 4>(j, a) : row<5, 1, 1, 1, 4>(j, a);
  else if (wide && is(5, 2, 2)) two ? row<5, 2, 2, 2, 2>(j, a) : row<5, 2, 2, 1, 2>(j, a);
  else if (wide && (is(3, 2, 1) || is(5, 2, 1))) {  // text lines: their height is halved alone
    for (int y = 0; y < r.rows; ++y) {
      Job one = j;
      one.x = j.x + 2 * y, one.y[0] = j.y[y];
      a.kernel_h == 3 ? row<3, 2, 1, 1, 4>(one, a) : row<5, 2, 1, 1, 4>(one, a);
    }
  } else {
    for (int y = 0; y < r.rows; ++y) any_pixels(j, a, y, 0, a.out_w);
    return;
  }
  if (twice)
    for (int y = 0; y < r.rows; ++y)
      matmul_kernels.finish_rows({r.y[y], r.y[y], a.y_pixel, a.y_pixel, a.out_w, a.channels, &j.epilogue[y]});
}

void depthwise(const void* args, int64_t begin, int64_t end, void* scratch) {
  const DepthwiseArgs& a = *(const DepthwiseArgs*)args;
  char* free = (char*)scratch;
  const float* w = (const float*)a.w;
  if (a.w_half) {
    matmul_kernels.widen(a.w_half, a.w, (float*)free, (int64_t)a.kernel_h * a.kernel_w * a.channels * a.multiplier);
    w = (const float*)free;
    free += depthwise_filter_bytes(a);
  }
  float* zeros = (float*)free;
  const int64_t row_floats = a.in_w * a.x_pixel;
  for (int64_t i = 0; i < row_floats; ++i) zeros[i] = 0;
  const float** x = (const float**)(free + ((size_t)row_floats * sizeof(float) + 63) / 64 * 64);

  const int64_t pairs = (a.out_h + 1) / 2;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t image = unit / pairs, oy = unit % pairs * 2;
    DepthwiseRows r;
    r.x = x, r.w = w, r.shape = &a, r.rows = a.out_h - oy < 2 ? 1 : 2;
    const int64_t inputs = (r.rows - 1) * a.stride_h + (int64_t)(a.kernel_h - 1) * a.dilation_h + 1;
    for (int64_t i = 0; i < inputs; ++i) {
      const int64_t iy = oy * a.stride_h - a.pad_top + i;
      x[i] = iy < 0 || iy >= a.in_h ? zeros : a.x + (image * a.in_h + iy) * row_floats;
    }
    for (int i = 0; i < r.rows; ++i) {
      const int64_t pixel = (image * a.out_h + oy + i) * a.out_w;
      r.y[i] = a.y + pixel * a.y_pixel;
      r.residual_offset[i] = pixel * a.epilogue.residual_stride;
    }
    rows(r);
  }
}

}  // namespace

extern const DepthwiseKernels depthwise_kernels;
const DepthwiseKernels depthwise_kernels = {depthwise, rows};

}  // namespace tern::cpu::TERN_ISA
