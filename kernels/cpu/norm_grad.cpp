// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/norm_grad.h"

#include <math.h>

#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {
namespace {

TERN_INLINE Vec read(const float* p, int lanes) { return lanes == kLanes ? load(p) : load_part(p, lanes); }
TERN_INLINE void write(float* p, Vec v, int lanes) { lanes == kLanes ? store(p, v) : store_part(p, v, lanes); }

template <class F>
TERN_INLINE void each_vector(int64_t n, F f) {
  for (int64_t i = 0; i < n; i += kLanes) f(i, n - i < kLanes ? (int)(n - i) : kLanes);
}

// Lanes beyond the row as zero, so that sums are those of the row.
TERN_INLINE Vec cut(Vec v, int lanes) {
  if (lanes == kLanes) return v;
  alignas(64) float t[kLanes] = {};
  store_part(t, v, lanes);
  return load(t);
}

void rows(const void* args, int64_t begin, int64_t end, void*) {
  const NormGradArgs& a = *(const NormGradArgs*)args;
  const int64_t segments = norm_grad_segments(a), channels = a.channels;
  for (int64_t u = begin; u < end; ++u) {
    float *dgamma = a.partial + 2 * u * channels, *dbeta = dgamma + channels;
    for (int64_t c = 0; c < 2 * channels; ++c) dgamma[c] = 0;
    for (int64_t row = a.rows * u / segments; row < a.rows * (u + 1) / segments; ++row) {
      const float *x = a.x + row * channels, *dy = a.dy + row * channels;
      float* dx = a.dx + row * channels;
      const float count = (float)channels;
      Vec sum = splat(0);
      if (a.center) each_vector(channels, [&](int64_t i, int n) { sum += read(x + i, n); });
      const Vec mean = splat(sum_lanes(sum) / count);
      sum = splat(0);
      each_vector(channels, [&](int64_t i, int n) {
        const Vec v = cut(read(x + i, n) - mean, n);
        sum = fma(v, v, sum);
      });
      const Vec r = splat(1.0f / sqrtf(sum_lanes(sum) / count + a.epsilon));
      const auto scaled = [&](int64_t i, int n) __attribute__((always_inline)) {
        const Vec d = read(dy + i, n);
        return a.gamma ? d * read(a.gamma + i, n) : d;
      };
      Vec sum_s = splat(0), sum_sn = splat(0);
      each_vector(channels, [&](int64_t i, int n) {
        const Vec s = scaled(i, n);
        sum_s += s;
        sum_sn = fma(s, (read(x + i, n) - mean) * r, sum_sn);
      });
      const Vec mean_s = splat(a.center ? sum_lanes(sum_s) / count : 0.0f), mean_sn = splat(sum_lanes(sum_sn) / count);
      each_vector(channels, [&](int64_t i, int n) {
        const Vec d = read(dy + i, n), norm = (read(x + i, n) - mean) * r;
        write(dgamma + i, fma(d, norm, read(dgamma + i, n)), n);
        write(dbeta + i, read(dbeta + i, n) + d, n);
        write(dx + i, r * (scaled(i, n) - mean_s - norm * mean_sn), n);
      });
    }
  }
}

void join(const void* args, int64_t begin, int64_t end, void*) {
  const NormGradArgs& a = *(const NormGradArgs*)args;
  const int64_t segments = norm_grad_segments(a), first = begin * kNormGradJoin,
                last = end * kNormGradJoin < a.channels ? end * kNormGradJoin : a.channels;
  each_vector(last - first, [&](int64_t i, int n) {
    Vec sums[2] = {splat(0), splat(0)};
    for (int64_t s = 0; s < segments; ++s)
      for (int k = 0; k < 2; ++k) sums[k] += read(a.partial + (2 * s + k) * a.channels + first + i, n);
    write(a.dgamma + first + i, sums[0], n);
    write(a.dbeta + first + i, sums[1], n);
  });
}

}  // namespace

extern const NormGradKernels norm_grad_kernels;
const NormGradKernels norm_grad_kernels = {rows, join};

}  // namespace tern::cpu::TERN_ISA
