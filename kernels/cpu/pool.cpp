// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/pool.h"

#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {
namespace {

// The window positions k in [first, stop) of one axis that lie in the picture, and how many lie in the padded picture.
struct Range {
  int64_t start, first, stop, padded;
};

Range window(int64_t out, int64_t in, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad, int64_t pad_end) {
  Range r = {out * stride - pad, 0, kernel, kernel};
  const int64_t last = r.start + (kernel - 1) * dilation;
  if (r.start >= 0 && last < in) return r;
  while (r.first < kernel && r.start + r.first * dilation < 0) ++r.first;
  while (r.stop > r.first && r.start + (r.stop - 1) * dilation >= in) --r.stop;
  while (r.padded > 0 && r.start + (r.padded - 1) * dilation >= in + pad_end) --r.padded;
  return r;
}

struct Window {
  const float* x;                 // first channel of the picture
  int64_t row, column, channels;  // floats from one depth / row to the next; channels of a pixel
  Range d, h, w;
};

template <Pool kind>
TERN_INLINE Vec join(Vec m, Vec v) {
  if constexpr (kind == Pool::max) return select(v > m, v, select(v == v, m, v));
  else if constexpr (kind == Pool::lp2) return fma(v, v, m);
  else return m + v;
}

template <Pool kind>
void pixel(const PoolArgs& a, const Window& p, float* y) {
  const Vec start = splat(kind == Pool::max ? -__builtin_inff() : 0.0f);
  const int64_t inside = (p.d.stop - p.d.first) * (p.h.stop - p.h.first) * (p.w.stop - p.w.first);
  const int64_t count = kind == Pool::average ? inside : p.d.padded * p.h.padded * p.w.padded;
  const Vec divisor = splat(count > 0 ? (float)count : 1.0f);
  const int64_t step_w = a.dilation[2] * p.channels;
  for (int64_t c = 0; c < p.channels;) {
    const int64_t left = p.channels - c;
    const int vectors = left >= 4 * kLanes ? 4 : 1, n = left < kLanes ? (int)left : kLanes;
    Vec m[4] = {start, start, start, start};
    for (int64_t kd = p.d.first; kd < p.d.stop; ++kd)
      for (int64_t kh = p.h.first; kh < p.h.stop; ++kh) {
        const float* x = p.x + (p.d.start + kd * a.dilation[0]) * p.row + (p.h.start + kh * a.dilation[1]) * p.column +
                         (p.w.start + p.w.first * a.dilation[2]) * p.channels + c;
        for (int64_t kw = p.w.first; kw < p.w.stop; ++kw, x += step_w) {
          if (vectors == 4) {
            for (int k = 0; k < 4; ++k) m[k] = join<kind>(m[k], load(x + k * kLanes));
          } else {
            m[0] = join<kind>(m[0], n == kLanes ? load(x) : load_part(x, n));
          }
        }
      }
    for (int k = 0; k < vectors; ++k) {
      Vec v = m[k];
      if constexpr (kind == Pool::average || kind == Pool::average_include_pad) v = v / divisor;
      if constexpr (kind == Pool::lp2) v = sqrt(v);
      if (n == kLanes) store(y + c + k * kLanes, v);
      else store_part(y + c, v, n);
    }
    c += vectors == 4 ? 4 * kLanes : n;
  }
}

void pool(const void* args, int64_t begin, int64_t end, void*) {
  const PoolArgs& a = *(const PoolArgs*)args;
  Window p;
  p.channels = a.channels;
  p.column = a.in[2] * a.channels;
  p.row = a.in[1] * p.column;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t oh = u % a.out[1], od = u / a.out[1] % a.out[0], picture = u / a.out[1] / a.out[0];
    p.x = a.x + picture * a.in[0] * p.row;
    p.d = window(od, a.in[0], a.kernel[0], a.stride[0], a.dilation[0], a.pad[0], a.pad_end[0]);
    p.h = window(oh, a.in[1], a.kernel[1], a.stride[1], a.dilation[1], a.pad[1], a.pad_end[1]);
    for (int64_t ow = 0; ow < a.out[2]; ++ow) {
      p.w = window(ow, a.in[2], a.kernel[2], a.stride[2], a.dilation[2], a.pad[2], a.pad_end[2]);
      const int64_t at = (u * a.out[2] + ow) * a.channels;
      switch (a.kind) {
        case Pool::max: pixel<Pool::max>(a, p, a.y + at); break;
        case Pool::average: pixel<Pool::average>(a, p, a.y + at); break;
        case Pool::average_include_pad: pixel<Pool::average_include_pad>(a, p, a.y + at); break;
        case Pool::lp2: pixel<Pool::lp2>(a, p, a.y + at); break;
      }
    }
  }
}

}  // namespace

extern const PoolKernels pool_kernels;
const PoolKernels pool_kernels = {pool};

}  // namespace tern::cpu::TERN_ISA
