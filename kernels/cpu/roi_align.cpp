// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/roi_align.h"

#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {
namespace {

TERN_INLINE Vec read(const float* p, int lanes) { return lanes == kLanes ? load(p) : load_part(p, lanes); }
TERN_INLINE void write(float* p, Vec v, int lanes) { lanes == kLanes ? store(p, v) : store_part(p, v, lanes); }

// f(first channel, lanes) for vectors of channels.
template <class F>
TERN_INLINE void each_vector(int64_t channels, F f) {
  for (int64_t c = 0; c < channels; c += kLanes) f(c, channels - c < kLanes ? (int)(channels - c) : kLanes);
}

void mix(const RoiSample& s, const float* x, float* sum, int64_t channels) {
  each_vector(channels, [&](int64_t c, int lanes) {
    Vec v = read(sum + c, lanes);
    for (int k = 0; k < 4; ++k) v = fma(splat(s.weight[k]), read(x + s.at[k] + c, lanes), v);
    write(sum + c, v, lanes);
  });
}

void largest(const RoiSample& s, const float* x, const float* values, float* best, float* sum, int64_t channels,
             bool first) {
  each_vector(channels, [&](int64_t c, int lanes) {
    Vec most = splat(0), kept = splat(0);
    if (!first) most = read(best + c, lanes), kept = read(sum + c, lanes);
    for (int k = 0; k < 4; ++k) {
      const Vec w = splat(s.weight[k]), v = w * read(x + s.at[k] + c, lanes), u = w * read(values + s.at[k] + c, lanes);
      if (first && k == 0) {
        most = v, kept = u;
        continue;
      }
      const Mask more = v > most;
      most = select(more, v, most), kept = select(more, u, kept);
    }
    write(best + c, most, lanes);
    write(sum + c, kept, lanes);
  });
}

void spread(const RoiSample& s, const float* d, float* dx, int64_t channels) {
  each_vector(channels, [&](int64_t c, int lanes) {
    const Vec v = read(d + c, lanes);
    for (int k = 0; k < 4; ++k) {
      float* to = dx + s.at[k] + c;
      write(to, fma(splat(s.weight[k]), v, read(to, lanes)), lanes);
    }
  });
}

}  // namespace

extern const RoiAlignKernels roi_align_kernels;
const RoiAlignKernels roi_align_kernels = {mix, largest, spread};

}  // namespace tern::cpu::TERN_ISA
