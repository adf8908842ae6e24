// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/normalize.h"

#include <math.h>

#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {
namespace {

constexpr int kLevel = 64;  // terms of one partial sum

TERN_INLINE Vec read(const float* p, int n) { return n == kLanes ? load(p) : load_part(p, n); }
TERN_INLINE void write(float* p, Vec v, int n) {
  if (n == kLanes) store(p, v);
  else store_part(p, v, n);
}
TERN_INLINE int lanes_left(int64_t n, int64_t i) { return n - i < kLanes ? (int)(n - i) : kLanes; }

// Where the values of a mean are measured from, so that its error follows their spread and not their size: one of them.
TERN_INLINE float origin_of(float x) { return x > -1e30f && x < 1e30f ? x : 0; }

// Sum of f(x[i]); the lanes past the end are set to zero after f.
template <class F>
float sum_row(const float* x, int64_t n, F f) {
  Vec low[2] = {splat(0.0f), splat(0.0f)}, high = splat(0.0f);
  int terms = 0;
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    low[0] += f(load(x + i));
    low[1] += f(load(x + i + kLanes));
    if (++terms == kLevel) high += low[0] + low[1], low[0] = low[1] = splat(0.0f), terms = 0;
  }
  for (; i < n; i += kLanes) {
    const int left = lanes_left(n, i);
    Vec v = f(read(x + i, left));
    if (left < kLanes) {
      alignas(64) float t[kLanes];
      store(t, v);
      for (int k = left; k < kLanes; ++k) t[k] = 0;
      v = load(t);
    }
    low[0] += v;
  }
  return sum_lanes((low[0] + low[1]) + high);
}

void row_norm(const void* args, int64_t begin, int64_t end, void*) {
  const RowNormArgs& a = *(const RowNormArgs*)args;
  const int64_t n = a.channels;
  if (n == 0) return;
  for (int64_t r = begin; r < end; ++r) {
    const float* x = a.x + r * n;
    float* y = a.y + r * n;
    const float origin = origin_of(x[0]);
    const Vec shift = splat(origin);
    const float mean =
        a.kind == RowNorm::layer ? sum_row(x, n, [shift](Vec v) { return v - shift; }) / (float)n + origin : 0.0f;
    const Vec center = splat(mean);
    const float squares = sum_row(x, n, [center](Vec v) {
      const Vec d = v - center;
      return d * d;
    });
    float factor = 0;
    switch (a.kind) {
      case RowNorm::layer:
      case RowNorm::rms: factor = 1.0f / sqrtf(squares / (float)n + a.epsilon); break;
      case RowNorm::l2: {
        const float length = sqrtf(squares);
        factor = 1.0f / (length < a.epsilon ? a.epsilon : length);
        break;
      }
      case RowNorm::l2_inside: factor = 1.0f / sqrtf(squares < a.epsilon ? a.epsilon : squares); break;
    }
    const Vec scale = splat(factor);
    for (int64_t i = 0; i < n; i += kLanes) {
      const int left = lanes_left(n, i);
      Vec v = (read(x + i, left) - center) * scale;
      if (a.gamma) v = v * read(a.gamma + i, left);
      if (a.beta) v = v + read(a.beta + i, left);
      write(y + i, v, left);
    }
    if (a.mean) a.mean[r] = mean;
    if (a.rstd) a.rstd[r] = factor;
  }
}

// sums[c] = sum over rows of x - centers[c], or of its square, for n columns, n a run of at most kLanes.
template <bool squared>
void sum_columns(const float* x, int64_t rows, int64_t stride, int n, const float* centers, float* sums) {
  Vec low = splat(0.0f), middle = splat(0.0f), high = splat(0.0f);
  const Vec center = read(centers, n);
  int in_low = 0, in_middle = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const Vec d = read(x + r * stride, n) - center;
    low += squared ? d * d : d;
    if (++in_low == kLevel) {
      middle += low, low = splat(0.0f), in_low = 0;
      if (++in_middle == kLevel) high += middle, middle = splat(0.0f), in_middle = 0;
    }
  }
  write(sums, (low + middle) + high, n);
}

// The same for any number of columns: four vectors at a time share one walk over the rows.
template <bool squared>
void sum_all_columns(const float* x, int64_t rows, int64_t stride, int64_t cols, const float* centers, float* sums) {
  int64_t c = 0;
  for (; c + 4 * kLanes <= cols; c += 4 * kLanes) {
    Vec low[4], middle[4], high[4], center[4];
    for (int k = 0; k < 4; ++k) {
      low[k] = middle[k] = high[k] = splat(0.0f);
      center[k] = load(centers + c + k * kLanes);
    }
    int in_low = 0, in_middle = 0;
    for (int64_t r = 0; r < rows; ++r) {
      for (int k = 0; k < 4; ++k) {
        const Vec d = load(x + r * stride + c + k * kLanes) - center[k];
        low[k] += squared ? d * d : d;
      }
      if (++in_low == kLevel) {
        for (int k = 0; k < 4; ++k) middle[k] += low[k], low[k] = splat(0.0f);
        in_low = 0;
        if (++in_middle == kLevel) {
          for (int k = 0; k < 4; ++k) high[k] += middle[k], middle[k] = splat(0.0f);
          in_middle = 0;
        }
      }
    }
    for (int k = 0; k < 4; ++k) store(sums + c + k * kLanes, (low[k] + middle[k]) + high[k]);
  }
  for (; c < cols; c += kLanes) sum_columns<squared>(x + c, rows, stride, lanes_left(cols, c), centers + c, sums + c);
}

void group_norm(const void* args, int64_t begin, int64_t end, void* scratch) {
  const GroupNormArgs& a = *(const GroupNormArgs*)args;
  const int64_t per_group = a.channels / a.groups, unit_groups = (kNormCols + per_group - 1) / per_group < a.groups
                                                                     ? (kNormCols + per_group - 1) / per_group
                                                                     : a.groups;
  const int64_t blocks = (a.groups + unit_groups - 1) / unit_groups;
  const float count = (float)a.pixels * (float)per_group;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t picture = u / blocks, group = u % blocks * unit_groups, first = group * per_group;
    const int64_t groups = a.groups - group < unit_groups ? a.groups - group : unit_groups, cols = groups * per_group;
    float* means = (float*)scratch;  // [cols]
    float* factors = means + unit_groups * per_group;
    const float* x = a.x + picture * a.pixels * a.channels + first;
    float* y = a.y + picture * a.pixels * a.channels + first;
    for (int64_t c = 0; c < cols; ++c) factors[c] = origin_of(a.pixels ? x[c - c % per_group] : 0.0f);
    sum_all_columns<false>(x, a.pixels, a.channels, cols, factors, means);
    for (int64_t g = 0; g < groups; ++g) {
      float sum = 0;
      for (int64_t c = 0; c < per_group; ++c) sum += means[g * per_group + c];
      const float mean = sum / count + factors[g * per_group];
      for (int64_t c = 0; c < per_group; ++c) means[g * per_group + c] = mean;
      if (a.mean) a.mean[picture * a.groups + group + g] = mean;
    }
    sum_all_columns<true>(x, a.pixels, a.channels, cols, means, factors);
    for (int64_t g = 0; g < groups; ++g) {
      float sum = 0;
      for (int64_t c = 0; c < per_group; ++c) sum += factors[g * per_group + c];
      const float factor = 1.0f / sqrtf(sum / count + a.epsilon);
      if (a.rstd) a.rstd[picture * a.groups + group + g] = factor;
      for (int64_t c = g * per_group; c < (g + 1) * per_group; ++c)
        factors[c] = factor * (a.gamma ? a.gamma[first + c] : 1.0f);
    }
    for (int64_t p = 0; p < a.pixels; ++p)
      for (int64_t c = 0; c < cols; c += kLanes) {
        const int left = lanes_left(cols, c);
        const Vec v = (read(x + p * a.channels + c, left) - read(means + c, left)) * read(factors + c, left);
        write(y + p * a.channels + c, a.beta ? v + read(a.beta + first + c, left) : v, left);
      }
  }
}

void scale_shift(const void* args, int64_t begin, int64_t end, void*) {
  const ScaleShiftArgs& a = *(const ScaleShiftArgs*)args;
  const int64_t n = a.channels, block = scale_shift_rows(a);
  for (int64_t u = begin; u < end; ++u) {
    const int64_t row = u * block, rows = a.rows - row < block ? a.rows - row : block;
    const float* x = a.x + row * n;
    float* y = a.y + row * n;
    for (int64_t c = 0; c < n; c += kLanes) {  // constants stay in registers, rows stay in the first-level cache
      const int left = lanes_left(n, c);
      const Vec scale = read(a.scale + c, left), shift = a.shift ? read(a.shift + c, left) : splat(0.0f);
      const Vec center = a.center ? read(a.center + c, left) : splat(0.0f);
      if (left == kLanes) {
        for (int64_t r = 0; r < rows; ++r) store(y + r * n + c, fma(load(x + r * n + c) - center, scale, shift));
      } else {
        for (int64_t r = 0; r < rows; ++r)
          store_part(y + r * n + c, fma(load_part(x + r * n + c, left) - center, scale, shift), left);
      }
    }
  }
}

}  // namespace

extern const NormalizeKernels normalize_kernels;
const NormalizeKernels normalize_kernels = {row_norm, group_norm, scale_shift};

}  // namespace tern::cpu::TERN_ISA
