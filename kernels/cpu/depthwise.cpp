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

// An output row of few pixels, where sums of four vectors of channels keep the processor busier than those of pixels.
void few_pixels(const DepthwiseRows& r, const Ending& ending, const Epilogue& epilogue, int64_t y) {
  const DepthwiseArgs& a = *r.shape;
  const int64_t channels = a.channels;
  for (int64_t ox = 0; ox < a.out_w; ++ox) {
    const int64_t ix0 = ox * a.stride_w - a.pad_left;
    const int64_t kx0 = ix0 >= 0 ? 0 : (-ix0 + a.dilation_w - 1) / a.dilation_w;
    for (int64_t c0 = 0; c0 < channels; c0 += 4 * kLanes) {
      const int64_t left = channels - c0 < 4 * kLanes ? channels - c0 : 4 * kLanes;
      const int vecs = (int)((left + kLanes - 1) / kLanes), last = (int)(left - (vecs - 1) * kLanes);
      Vec acc[4] = {splat(0), splat(0), splat(0), splat(0)};
      const auto each = [&](auto f) __attribute__((always_inline)) {  // f(vector, channel, lanes)
        for (int v = 0; v < vecs; ++v) acc[v] = f(acc[v], c0 + v * kLanes, v + 1 < vecs ? kLanes : last);
      };
      if (ending.bias)
        each([&](Vec, int64_t c, int n) __attribute__((always_inline)) { return load_part(ending.bias + c, n); });
      for (int64_t ky = 0; ky < a.kernel_h; ++ky)
        for (int64_t kx = kx0; kx < a.kernel_w; ++kx) {
          const int64_t ix = ix0 + kx * a.dilation_w;
          if (ix >= a.in_w) break;
          const float* p = r.x[y * a.stride_h + ky * a.dilation_h] + ix * a.x_pixel;
          const float* w = r.w + (ky * a.kernel_w + kx) * channels;
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
      const Epilogue e = epilogue_at(epilogue, y * a.out_w + ox, c0);
      matmul_kernels.finish_rows({sums, r.y + (y * a.out_w + ox) * a.y_pixel + c0, 0, 0, 1, left, &e});
    }
  }
}

// One direction of a block of outputs, [first, first + outputs), and the lines (rows or columns) copied for it.
struct Axis {
  int64_t in, kernel, stride, dilation, pad;
  bool transposed, windows = false;
  int64_t first = 0, low = 0, lines = 0;

  void begin(int64_t o, int64_t outputs) {
    const int64_t reach = (kernel - 1) * dilation, back = o + pad - reach;
    first = o;
    windows = depthwise_windows(outputs, kernel, stride, dilation, transposed);
    low = !transposed ? o * stride - pad : back >= 0 ? back / stride : (back - stride + 1) / stride;
    lines = depthwise_lines(outputs, kernel, stride, dilation, transposed);
  }
  bool meets(int64_t o, int64_t k) const { return !transposed || (o + pad - k * dilation) % stride == 0; }
  int64_t input(int64_t o, int64_t k) const {
    return transposed ? (o + pad - k * dilation) / stride : o * stride - pad + k * dilation;
  }
  bool inside(int64_t i) const { return (uint64_t)i < (uint64_t)in; }
  int64_t line(int64_t o, int64_t k) const { return windows ? (o - first) * kernel + k : input(o, k) - low; }
  // The input that lies there, or what is outside.
  int64_t at(int64_t line) const {
    if (!windows) return low + line;
    const int64_t o = first + line / kernel, k = line % kernel;
    return meets(o, k) ? input(o, k) : -1;
  }
  // Outputs from one that meets the same taps to the next, and the lines between them.
  int64_t phases() const { return transposed ? stride : 1; }
  int64_t step() const { return windows ? phases() * kernel : transposed ? 1 : stride; }
};

// Output rows of one picture for any shape.
struct Part {
  const DepthwiseArgs& a;
  Axis down;             // of the picture, or of the rows listed
  int64_t first;         // of the rows
  const float* picture;  // or NULL, then
  const float* const* list;
  const void* w;
  int32_t w_half;
  float* y;  // of the first row
  Epilogue epilogue;
  float* scratch;
};

struct Tap {
  const float *x, *w;  // of the first input
};

// The vector of outputs from `first` on in one group's or several groups' filters.
struct Chunk {
  int64_t first;
  int lanes;
  int64_t input;            // first channel read
  int near;                 // channels from there on that a vector holds; 0: they are too many, and read one by one
  VecI order;               // the same in such a vector
  int64_t channel[kLanes];  // of input 0 of each output, from `input` on
};

[[gnu::noinline]] Chunk chunk_at(const DepthwiseArgs& a, int64_t first, bool splats) {
  const int64_t n = a.multiplier, end = splats ? first / n * n + n : depthwise_outputs(a);
  Chunk c;
  alignas(64) float order[kLanes];
  c.first = first, c.lanes = end - first < kLanes ? (int)(end - first) : kLanes;
  c.input = first / n * a.group_in;
  for (int i = 0; i < kLanes; ++i) {
    c.channel[i] = (first + (i < c.lanes ? i : c.lanes - 1)) / n * a.group_in;
    c.channel[i] -= c.input;
    order[i] = (float)c.channel[i];
  }
  c.order = to_int(load(order));
  const int64_t left = a.channels - c.input;
  c.near = c.channel[kLanes - 1] + a.group_in > kLanes ? 0 : left < kLanes ? (int)left : kLanes;
  return c;
}

// Inputs of a chunk in the order of its outputs, [row][column][group_in][kLanes]; one group alone, `splats`, as it is:
// [row][column][group_in].
[[gnu::noinline]] void copy_inputs(const Part& p, const Axis& down, const Axis& across, const Chunk& c, bool splats,
                                   float* out) {
  const DepthwiseArgs& a = p.a;
  const int64_t depth = a.group_in, pixel = splats ? depth : depth * kLanes;
  const auto zero = [&](int64_t columns) {
    __builtin_memset(out, 0, (size_t)(columns * pixel) * sizeof(float));
    out += columns * pixel;
  };
  const auto copy = [&](const float* x, int64_t columns) __attribute__((always_inline)) {
    const auto each = [&](auto f) __attribute__((always_inline)) {
      for (int64_t i = 0; i < columns; ++i, x += a.x_pixel, out += pixel) f();
    };
    if (splats) each([&]() __attribute__((always_inline)) { __builtin_memcpy(out, x, (size_t)depth * sizeof(float)); });
    else if (depth == 1 && a.multiplier == 1 && c.near == kLanes)
      each([&]() __attribute__((always_inline)) { store(out, load(x)); });
    else if (c.near)
      each([&]() __attribute__((always_inline)) {
        const Vec v = c.near == kLanes ? load(x) : load_part(x, c.near);
        for (int i = 0; i < depth; ++i) store(out + i * kLanes, permute(v, c.order + VecI(i)));
      });
    else
      each([&]() __attribute__((always_inline)) {
        for (int64_t i = 0; i < depth; ++i)
          for (int k = 0; k < kLanes; ++k) out[i * kLanes + k] = x[c.channel[k] + i];
      });
  };
  for (int64_t row = 0; row < down.lines; ++row) {
    const int64_t iy = down.at(row);
    if (!down.inside(iy)) {  // no tap reads it
      out += across.lines * pixel;
      continue;
    }
    const float* from = (p.picture ? p.picture + iy * a.in_w * a.x_pixel : p.list[iy]) + c.input;
    for (int64_t column = 0; column < across.lines;) {
      const int64_t ix = across.at(column), left = across.windows ? 1 : across.lines - column;
      const int64_t until = ix < 0 ? -ix : across.inside(ix) ? a.in_w - ix : left, n = until < left ? until : left;
      if (across.inside(ix)) copy(from + ix * a.x_pixel, n);
      else zero(n);
      column += n;
    }
  }
}

// Where sums go: with their ending, or as they are.
struct Target {
  float* y;
  int64_t y_step, residual_step;
  const float* residual;
  const Ending* end;
  int64_t channel;
  int lanes;
};

TERN_INLINE Vec read(const float* p, int lanes) { return lanes == kLanes ? load(p) : load_part(p, lanes); }

// Outputs of n vectors of sums from pixel `at` on.
[[gnu::noinline]] void finish_pixels(Vec* sums, int n, const Target& to, int64_t at) {
  const auto each = [&](auto f) __attribute__((always_inline)) {
    for (int x = 0; x < n; ++x) sums[x] = f(sums[x], 0);
  };
  const auto get = [&](const float* p, int) __attribute__((always_inline)) { return read(p + to.channel, to.lanes); };
  finish(
      *to.end, each, get, [&]() __attribute__((always_inline)) {
        const float* residual = to.residual + at * to.residual_step;
        for (int x = 0; x < n; ++x) sums[x] = sums[x] + read(residual + x * to.residual_step, to.lanes);
      });
  float* y = to.y + at * to.y_step;
  for (int x = 0; x < n; ++x, y += to.y_step) to.lanes == kLanes ? store(y, sums[x]) : store_part(y, sums[x], to.lanes);
}

template <bool SPLATS, int TX>
void sum_taps(const Tap* taps, int64_t n, int64_t depth, int64_t offset, int64_t step, const Target& to, int64_t at) {
  Vec acc[TX];
  const Vec bias = to.end->bias ? read(to.end->bias + to.channel, to.lanes) : splat(0);
#pragma GCC unroll 8
  for (int x = 0; x < TX; ++x) acc[x] = bias;
  for (int64_t t = 0; t < n; ++t) {
    const float *p = taps[t].x + offset, *w = taps[t].w;
    for (int64_t i = 0; i < depth; ++i, p += SPLATS ? 1 : kLanes, w += kLanes) {
      const Vec v = load(w);
      const float* q[2] = {p, p + 4 * step};
#pragma GCC unroll 8
      for (int x = 0; x < TX; ++x) {
        const float* in = q[x / 4] + x % 4 * step;
        acc[x] = fma(SPLATS ? splat(*in) : load(in), v, acc[x]);
      }
    }
  }
  Vec sums[TX];  // apart, so that the sums above stay in registers
#pragma GCC unroll 8
  for (int x = 0; x < TX; ++x) sums[x] = acc[x];
  finish_pixels(sums, TX, to, at);
}

// The same for outputs of which one lies STRIDE inputs behind the other, taps of a row being K inputs side by side:
// each input is loaded once and used by every output that it touches. n: rows of taps.
template <int K, int STRIDE>
void slide_taps(const Tap* rows, int64_t n, int64_t, int64_t offset, int64_t step, const Target& to, int64_t at) {
  constexpr int kOutputs = 8, kInputs = (kOutputs - 1) * STRIDE + K;
  Vec acc[kOutputs];
  const Vec bias = to.end->bias ? read(to.end->bias + to.channel, to.lanes) : splat(0);
#pragma GCC unroll 8
  for (int x = 0; x < kOutputs; ++x) acc[x] = bias;
  for (int64_t t = 0; t < n; ++t) {
    const float *p = rows[t].x + offset, *w = rows[t].w;
#pragma GCC unroll 32
    for (int i = 0; i < kInputs; ++i, p += step / STRIDE) {
      const Vec v = load(p);
#pragma GCC unroll 8
      for (int x = 0; x < kOutputs; ++x)
        if (i - x * STRIDE >= 0 && i - x * STRIDE < K) acc[x] = fma(v, load(w + (i - x * STRIDE) * kLanes), acc[x]);
    }
  }
  Vec sums[kOutputs];
#pragma GCC unroll 8
  for (int x = 0; x < kOutputs; ++x) sums[x] = acc[x];
  finish_pixels(sums, kOutputs, to, at);
}

using TapsFn = void (*)(const Tap*, int64_t, int64_t, int64_t, int64_t, const Target&, int64_t);
TapsFn slide_for(const DepthwiseArgs& a, const Axis& across) {
  if (a.group_in > 1 || a.transposed || across.windows || (a.stride_w > 1 && a.dilation_w > 1)) return nullptr;
  if (a.kernel_w == 3 && a.stride_w == 1) return slide_taps<3, 1>;
  if (a.kernel_w == 7 && a.stride_w <= 2) return a.stride_w == 1 ? slide_taps<7, 1> : slide_taps<7, 2>;
  return nullptr;
}

// Outputs [across.first, + columns) of one row.
template <bool SPLATS>
void sum_row(const DepthwiseArgs& a, const Axis& down, const Axis& across, int64_t oy, int64_t columns,
             const float* inputs, const float* w, Tap* taps, Target to) {
  const int64_t depth = a.group_in, pixel = SPLATS ? depth : depth * kLanes;
  const TapsFn slide = SPLATS || columns < 8 * a.dilation_w ? nullptr : slide_for(a, across);
  // Outputs that slide lie as far from one another as their taps do.
  const int64_t phases = slide ? a.dilation_w : across.phases(), apart = slide ? phases * a.stride_w : across.step();
  const Target first = to;
  to.y_step *= phases, to.residual_step *= phases;
  for (int64_t phase = 0; phase < phases && phase < columns; ++phase) {
    int64_t n = 0;
    for (int64_t ky = 0; ky < a.kernel_h; ++ky) {
      if (!down.meets(oy, ky) || !down.inside(down.input(oy, ky))) continue;
      for (int64_t kx = 0; kx < (slide ? 1 : a.kernel_w); ++kx)
        if (const int64_t ox = across.first + phase; across.meets(ox, kx))
          taps[n++] = {inputs + (down.line(oy, ky) * across.lines + across.line(ox, kx)) * pixel,
                       w + (ky * a.kernel_w + kx) * depth * kLanes};
    }
    to.y = first.y + phase * first.y_step, to.residual = first.residual + phase * first.residual_step;
    const int64_t count = (columns - phase + phases - 1) / phases, step = apart * pixel;
    const int64_t wide = count >= 8 ? 8 : count >= 4 ? 4 : 1;
    const TapsFn tile = slide       ? slide
                        : wide == 8 ? sum_taps<SPLATS, 8>
                        : wide == 4 ? sum_taps<SPLATS, 4>
                                    : sum_taps<SPLATS, 1>;
    for (int64_t i = 0; i < count; i += wide) {  // the last one is moved back: the same bits again
      const int64_t x = i + wide <= count ? i : count - wide;
      tile(taps, n, depth, x * step, step, to, x);
    }
  }
}

// Filters of one tap that never meets a column or row outside: the inputs of a vector of outputs are taken from where
// they lie, if one vector holds them.
bool is_pointwise(const DepthwiseArgs& a) {
  return a.kernel_h == 1 && a.kernel_w == 1 && !a.transposed && a.multiplier < kLanes && a.pad_top == 0 &&
         a.pad_left == 0 && (a.out_h - 1) * a.stride_h < a.in_h && (a.out_w - 1) * a.stride_w < a.in_w;
}

template <int TX>
void pointwise_tile(const DepthwiseArgs& a, const Chunk& c, const float* x, const float* w, const Target& to,
                    int64_t at) {
  Vec in[TX], acc[TX];
  const Vec bias = to.end->bias ? read(to.end->bias + to.channel, to.lanes) : splat(0);
  const int64_t step = a.stride_w * a.x_pixel;
  x += at * step;
#pragma GCC unroll 8
  for (int k = 0; k < TX; ++k) in[k] = read(x + k * step, c.near), acc[k] = bias;
  for (int i = 0; i < a.group_in; ++i) {
    const Vec v = load(w + i * kLanes);
    const VecI order = c.order + VecI(i);
#pragma GCC unroll 8
    for (int k = 0; k < TX; ++k) acc[k] = fma(permute(in[k], order), v, acc[k]);
  }
  Vec sums[TX];
#pragma GCC unroll 8
  for (int k = 0; k < TX; ++k) sums[k] = acc[k];
  finish_pixels(sums, TX, to, at);
}

// Outputs [begin, end) of some rows.
[[gnu::noinline]] void any_pixels(const Part& p, int64_t rows, int64_t begin, int64_t end) {
  const DepthwiseArgs& a = p.a;
  const DepthwiseBlock block = depthwise_block(a);
  const int64_t outputs = depthwise_outputs(a), taps = depthwise_taps(a);
  const bool splats = a.multiplier >= kLanes, pointwise = is_pointwise(a);
  const Ending ending = ending_of(p.epilogue), only = only_sums(ending);
  // sums for themselves where a tile that is moved back would find its results as the residual
  const bool twice = ending.kind == Finish::later || (p.epilogue.residual && p.epilogue.residual == p.y);
  Axis down = p.down, across = {a.in_w, a.kernel_w, a.stride_w, a.dilation_w, a.pad_left, a.transposed != 0};
  float *inputs = p.scratch, *w = inputs + block.floats, *sums = w + taps * kDepthwiseLanes;
  Tap* const tap = (Tap*)(sums + block.columns * kDepthwiseLanes);
  const auto sum = splats ? sum_row<true> : sum_row<false>;
  down.begin(p.first, rows);
  for (int64_t o = 0; o < outputs;) {
    const Chunk c = chunk_at(a, o, splats);
    o += c.lanes;
    for (int64_t t = 0; t < taps; ++t) {
      const int64_t at = t * outputs + c.first;
      store(w + t * kLanes, p.w_half ? splat(0) : load_part((const float*)p.w + at, c.lanes));
      if (p.w_half) matmul_kernels.widen(p.w_half, (const uint16_t*)p.w + at, w + t * kLanes, c.lanes);
    }
    for (int64_t x = begin; x < end; x += block.columns) {
      const int64_t columns = end - x < block.columns ? end - x : block.columns;
      across.begin(x, columns);
      const bool in_place = pointwise && c.near;
      if (!in_place) copy_inputs(p, down, across, c, splats, inputs);
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t pixel = r * a.out_w + x;
        float* y = p.y + pixel * a.y_pixel + c.first;
        const Epilogue e = epilogue_at(p.epilogue, pixel, c.first);
        const Target direct = {y, a.y_pixel, e.residual_stride, e.residual, &ending, c.first, c.lanes},
                     apart = {sums, kLanes, 0, nullptr, &only, c.first, c.lanes};
        const Target& to = twice ? apart : direct;
        if (in_place) {
          const int64_t iy = down.input(p.first + r, 0);
          const float* from =
              (p.picture ? p.picture + iy * a.in_w * a.x_pixel : p.list[iy]) + x * a.stride_w * a.x_pixel + c.input;
          int64_t i = 0;
          for (; i + 8 <= columns; i += 8) pointwise_tile<8>(a, c, from, w, to, i);
          for (; i < columns; ++i) pointwise_tile<1>(a, c, from, w, to, i);
        } else {
          sum(a, down, across, p.first + r, columns, inputs, w, tap, to);
        }
        if (twice) matmul_kernels.finish_rows({sums, y, kLanes, a.y_pixel, columns, c.lanes, &e});
      }
    }
  }
}

#if defined(__AVX2__) || defined(__aarch64__)
// A row (or two) in tiles of TX pixels; the last tile is moved back, too.
template <int K, int SY, int SX, int TY, int TX>
void row(const Job& j, int64_t out_w) {
  for (int64_t ox = 0; ox < out_w;) {
    if (ox + TX > out_w) ox = out_w - TX;
    const int64_t ix = ox * SX - j.pad_left;
    if (ix >= 0 && ix + (TX - 1) * SX + K <= j.in_w) pixels<K, SY, SX, TY, TX, false>(j, ox);
    else pixels<K, SY, SX, TY, TX, true>(j, ox);
    ox += TX;
  }
}

// An output row whose taps lie apart: every dilation_w-th output, with the inputs that these read, is a row of its own.
void dilated_row(const Job& j, const DepthwiseArgs& a, const float* const* x, float* y) {
  const int64_t apart = a.dilation_w;
  for (int64_t phase = 0; phase < apart; ++phase) {
    const int64_t first = phase - a.pad_left, back = first >= 0 ? first / apart : -((apart - 1 - first) / apart);
    const int64_t skipped = first - back * apart;  // columns before the first of these
    const float* rows[5] = {};
    Job one = j;
    for (int k = 0; k < a.kernel_h; ++k) rows[k] = x[k * a.dilation_h] + skipped * a.x_pixel;
    one.x = rows, one.y[0] = y + phase * a.y_pixel;
    one.in_w = (a.in_w - skipped + apart - 1) / apart, one.pad_left = (int32_t)-back;
    one.x_pixel = apart * a.x_pixel, one.y_pixel = apart * a.y_pixel;
    const int64_t outputs = (a.out_w - phase + apart - 1) / apart;
    a.kernel_h == 3 ? row<3, 1, 1, 1, 4>(one, outputs) : row<5, 1, 1, 1, 4>(one, outputs);
  }
}

// Rows in tiles, where the shape has one and the result may be written before its epilogue.
bool tiled_rows(const DepthwiseRows& r, const Epilogue& epilogue) {
  const DepthwiseArgs& a = *r.shape;
  if (!depthwise_tiled(a) || a.channels < kLanes || epilogue.residual == r.y) return false;
  Job j;
  j.x = r.x, j.w = r.w, j.in_w = a.in_w, j.channels = a.channels, j.x_pixel = a.x_pixel, j.y_pixel = a.y_pixel,
  j.pad_left = a.pad_left;
  j.y[0] = r.y, j.y[1] = r.y + a.out_w * a.y_pixel;
  j.end = ending_of(a.epilogue);
  // sums first, then what follows them while the row is in the cache
  const bool twice = j.end.kind == Finish::later || epilogue.residual, two = r.rows == 2;
  if (twice) j.end = only_sums(j.end);
  const auto is = [&](int k, int sy, int sx) { return a.kernel_h == k && a.stride_h == sy && a.stride_w == sx; };
  if (a.dilation_h > 1 || a.dilation_w > 1)
    for (int y = 0; y < r.rows; ++y) dilated_row(j, a, r.x + y, j.y[y]);
  else if (is(3, 1, 1)) two ? row<3, 1, 1, 2, 4>(j, a.out_w) : row<3, 1, 1, 1, 4>(j, a.out_w);
  else if (is(3, 2, 2)) two ? row<3, 2, 2, 2, 4>(j, a.out_w) : row<3, 2, 2, 1, 4>(j, a.out_w);
  else if (is(5, 1, 1)) two ? row<5, 1, 1, 2, 4>(j, a.out_w) : row<5, 1, 1, 1, 4>(j, a.out_w);
  else if (is(5, 2, 2)) two ? row<5, 2, 2, 2, 2>(j, a.out_w) : row<5, 2, 2, 1, 2>(j, a.out_w);
  else
    for (int y = 0; y < r.rows; ++y) {  // text lines: their height is halved alone
      Job one = j;
      one.x = j.x + 2 * y, one.y[0] = j.y[y];
      a.kernel_h == 3 ? row<3, 2, 1, 1, 4>(one, a.out_w) : row<5, 2, 1, 1, 4>(one, a.out_w);
    }
  if (twice) matmul_kernels.finish_rows({r.y, r.y, a.y_pixel, a.y_pixel, r.rows * a.out_w, a.channels, &epilogue});
  return true;
}
#else  // size before speed (sources.cmake)
bool tiled_rows(const DepthwiseRows&, const Epilogue&) { return false; }
#endif

void rows(const DepthwiseRows& r) {
  const DepthwiseArgs& a = *r.shape;
  Epilogue epilogue = a.epilogue;
  if (epilogue.residual) epilogue.residual += r.residual_offset;
  if (tiled_rows(r, epilogue)) return;
  if (depthwise_few_pixels(a)) {
    for (int y = 0; y < r.rows; ++y) few_pixels(r, ending_of(epilogue), epilogue, y);
    return;
  }
  const int64_t inputs = (r.rows - 1) * a.stride_h + (int64_t)(a.kernel_h - 1) * a.dilation_h + 1;
  int64_t begin = 0, end = a.out_w;
  const Part p = {
      a, {inputs, a.kernel_h, a.stride_h, a.dilation_h, 0, false}, 0, nullptr, r.x, r.w, 0, r.y, epilogue, r.scratch};
#if defined(__AVX512BW__)
  Job j;
  j.end = ending_of(epilogue);
  if (depthwise_tiled(a) && a.dilation_h == 1 && a.dilation_w == 1 && a.kernel_h == 3 && a.stride_h == 1 &&
      a.stride_w == 1 && r.rows == 2 && a.channels == 8 && a.x_pixel == 8 && a.y_pixel == 8 &&
      j.end.kind != Finish::later && !epilogue.residual) {
    j.x = r.x, j.w = r.w, j.in_w = a.in_w, j.channels = j.x_pixel = j.y_pixel = 8, j.pad_left = a.pad_left;
    j.y[0] = r.y, j.y[1] = r.y + a.out_w * 8;
    int64_t ox = a.pad_left;
    for (; ox + 8 <= a.out_w && ox - a.pad_left + 10 <= a.in_w; ox += 8) pixels_of_8(j, ox);
    if (ox > a.pad_left) {
      any_pixels(p, 2, 0, a.pad_left);
      begin = ox;
    }
  }
#endif
  any_pixels(p, r.rows, begin, end);
}

void depthwise(const void* args, int64_t begin, int64_t end, void* scratch) {
  const DepthwiseArgs& a = *(const DepthwiseArgs*)args;
  const int64_t pairs = (a.out_h + 1) / 2, row_floats = a.in_w * a.x_pixel;
  float* const block = (float*)scratch;
  const bool listed = depthwise_listed(a);
  const int64_t block_rows = listed ? 2 : depthwise_block(a).rows;
  DepthwiseRows r;
  r.w = (const float*)a.w, r.shape = &a, r.scratch = block;
  float* zeros = nullptr;
  const float** x = nullptr;
  if (listed) {
    char* free = (char*)scratch + depthwise_block_bytes(a);
    if (a.w_half) {
      matmul_kernels.widen(a.w_half, a.w, (float*)free, depthwise_taps(a) * a.channels);
      r.w = (const float*)free;
      free += depthwise_filter_bytes(a);
    }
    zeros = (float*)free;
    __builtin_memset(zeros, 0, (size_t)row_floats * sizeof(float));
    x = (const float**)(free + ((size_t)row_floats * sizeof(float) + 63) / 64 * 64);
    r.x = x;
  }
  for (int64_t unit = begin; unit < end;) {
    const int64_t image = unit / pairs, oy = unit % pairs * 2,
                  last = (image + 1) * pairs < end ? (image + 1) * pairs : end;
    const int64_t units = last - unit < block_rows / 2 ? last - unit : block_rows / 2;
    const int64_t rows_left = a.out_h - oy, pixel = (image * a.out_h + oy) * a.out_w;
    const int64_t n = rows_left < 2 * units ? rows_left : 2 * units;
    unit += units;
    if (listed) {
      r.rows = (int32_t)n;
      const int64_t inputs = (n - 1) * a.stride_h + (int64_t)(a.kernel_h - 1) * a.dilation_h + 1;
      for (int64_t i = 0; i < inputs; ++i) {
        const int64_t iy = oy * a.stride_h - a.pad_top + i;
        x[i] = iy < 0 || iy >= a.in_h ? zeros : a.x + (image * a.in_h + iy) * row_floats;
      }
      r.y = a.y + pixel * a.y_pixel, r.residual_offset = pixel * a.epilogue.residual_stride;
      rows(r);
      continue;
    }
    const Part p = {a,
                    {a.in_h, a.kernel_h, a.stride_h, a.dilation_h, a.pad_top, a.transposed != 0},
                    oy,
                    a.x + image * a.in_h * row_floats,
                    nullptr,
                    a.w,
                    a.w_half,
                    a.y + pixel * a.y_pixel,
                    epilogue_at(a.epilogue, pixel, 0),
                    block};
    any_pixels(p, n, 0, a.out_w);
  }
}

}  // namespace

extern const DepthwiseKernels depthwise_kernels;
const DepthwiseKernels depthwise_kernels = {depthwise, rows};

}  // namespace tern::cpu::TERN_ISA
