// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/pool_grad.h"

#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {
namespace {

// Taps [first, last) of a window that lie in the picture, and how many lie in the padded one.
struct Range {
  int64_t start, first, last, padded;
};

Range range(const PoolGradArgs& a, int axis, int64_t window) {
  const int64_t start = window * a.stride[axis] - a.pad[axis], step = a.dilation[axis], kernel = a.kernel[axis];
  const auto taps_before = [&](int64_t end) {  // those whose place is before `end`
    const int64_t n = end <= start ? 0 : (end - 1 - start) / step + 1;
    return n < kernel ? n : kernel;
  };
  Range r = {start, taps_before(0), taps_before(a.in[axis]), taps_before(a.in[axis] + a.pad_end[axis])};
  if (r.last < r.first) r.last = r.first;
  return r;
}

struct Window {
  Range y, x;
  int64_t first, row, column;  // element of its first tap; elements from one tap to the next
  int64_t rows() const { return y.last - y.first; }
  int64_t columns() const { return x.last - x.first; }
};

Window window(const PoolGradArgs& a, int64_t picture, const Range& y, int64_t ox) {
  Window w = {y, range(a, 1, ox), 0, a.dilation[0] * a.in[1] * a.channels, a.dilation[1] * a.channels};
  w.first =
      ((picture * a.in[0] + y.start + y.first * a.dilation[0]) * a.in[1] + w.x.start + w.x.first * a.dilation[1]) *
      a.channels;
  return w;
}

TERN_INLINE Vec read(const float* p, int lanes) { return lanes == kLanes ? load(p) : load_part(p, lanes); }
TERN_INLINE void write(float* p, Vec v, int lanes) { lanes == kLanes ? store(p, v) : store_part(p, v, lanes); }

// Which tap of the window wins, counted from its first one.
TERN_INLINE Vec winner(const Window& w, const float* x, int lanes) {
  Vec best = splat(-__builtin_inff()), at = splat(0), tap = splat(0);
  for (int64_t i = 0; i < w.rows(); ++i)
    for (int64_t j = 0; j < w.columns(); ++j) {
      const Vec v = read(x + i * w.row + j * w.column, lanes);
      const Mask wins = (v > best) | (!(v == v) & (best == best));  // v != v is false for NaN in xsimd 8.1
      best = select(wins, v, best);
      at = select(wins, tap, at);
      tap += splat(1);
    }
  return at;
}

void add_windows(const PoolGradArgs& a, int64_t unit) {
  const int64_t blocks = (a.channels + kPoolGradChannels - 1) / kPoolGradChannels, picture = unit / blocks,
                c0 = unit % blocks * kPoolGradChannels,
                stop = c0 + kPoolGradChannels < a.channels ? c0 + kPoolGradChannels : a.channels;
  for (int64_t p = 0; p < a.in[0] * a.in[1]; ++p)
    for (int64_t c = c0; c < stop; ++c) a.out[(picture * a.in[0] * a.in[1] + p) * a.channels + c] = 0;
  for (int64_t oy = 0; oy < a.windows[0]; ++oy) {
    const Range y = range(a, 0, oy);
    for (int64_t ox = 0; ox < a.windows[1]; ++ox) {
      const Window w = window(a, picture, y, ox);
      if (w.rows() == 0 || w.columns() == 0) continue;
      const float* dy = a.dy + ((picture * a.windows[0] + oy) * a.windows[1] + ox) * a.channels;
      const int64_t count = a.kind == PoolGrad::average_include_pad ? w.y.padded * w.x.padded : w.rows() * w.columns();
      for (int64_t c = c0; c < stop; c += kLanes) {
        const int lanes = stop - c < kLanes ? (int)(stop - c) : kLanes;
        Vec d = read(dy + c, lanes), at = splat(0), tap = splat(0);
        if (a.kind == PoolGrad::max) at = winner(w, a.x + w.first + c, lanes);
        else d = d / splat((float)count);
        for (int64_t i = 0; i < w.rows(); ++i)
          for (int64_t j = 0; j < w.columns(); ++j) {
            float* to = a.out + w.first + i * w.row + j * w.column + c;
            write(to, read(to, lanes) + (a.kind == PoolGrad::max ? select(at == tap, d, splat(0)) : d), lanes);
            tap += splat(1);
          }
      }
    }
  }
}

void find_winners(const PoolGradArgs& a, int64_t unit) {
  const int64_t picture = unit / a.windows[0];
  const Range y = range(a, 0, unit % a.windows[0]);
  for (int64_t ox = 0; ox < a.windows[1]; ++ox) {
    const Window w = window(a, picture, y, ox);
    const int64_t to = (unit * a.windows[1] + ox) * a.channels;
    const bool empty = w.rows() == 0 || w.columns() == 0;
    for (int64_t c = 0; c < a.channels; c += kLanes) {
      const int lanes = a.channels - c < kLanes ? (int)(a.channels - c) : kLanes;
      alignas(64) float at[kLanes];
      store(at, empty ? splat(0) : winner(w, a.x + w.first + c, lanes));
      for (int k = 0; k < lanes; ++k) {
        const int64_t tap = (int64_t)at[k], i = empty ? 0 : tap / w.columns(), j = empty ? 0 : tap % w.columns();
        if (a.kind == PoolGrad::index) {
          const int64_t row = w.y.start + (w.y.first + i) * a.dilation[0],
                        column = w.x.start + (w.x.first + j) * a.dilation[1];
          a.winners[to + c + k] = empty ? 0 : row * a.in[1] + column;
        } else {
          a.out[to + c + k] = empty ? 0 : a.dy[w.first + i * w.row + j * w.column + c + k];
        }
      }
    }
  }
}

void pool_grad(const void* args, int64_t begin, int64_t end, void*) {
  const PoolGradArgs& a = *(const PoolGradArgs*)args;
  for (int64_t u = begin; u < end; ++u) pool_grad_adds(a) ? add_windows(a, u) : find_winners(a, u);
}

}  // namespace

extern const PoolGradKernels pool_grad_kernels;
const PoolGradKernels pool_grad_kernels = {pool_grad};

}  // namespace tern::cpu::TERN_ISA
