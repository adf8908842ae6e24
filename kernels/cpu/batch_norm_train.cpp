// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/batch_norm_train.h"

#include <math.h>

#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {
namespace {

constexpr int64_t kBlock = 32;  // rows summed in a register

TERN_INLINE Vec read(const float* p, int lanes) { return lanes == kLanes ? load(p) : load_part(p, lanes); }
TERN_INLINE void write(float* p, Vec v, int lanes) { lanes == kLanes ? store(p, v) : store_part(p, v, lanes); }

template <class F>
TERN_INLINE void each_vector(int64_t n, F f) {
  for (int64_t i = 0; i < n; i += kLanes) f(i, n - i < kLanes ? (int)(n - i) : kLanes);
}

// to = the sums of all segments from `first` on, `count` of them.
void join(const BatchNormTrainArgs& a, int first, int count, float* to) {
  for (int k = first; k < first + count; ++k)
    each_vector(a.channels, [&](int64_t i, int lanes) {
      Vec sum = splat(0);
      for (int64_t s = 0; s < batch_norm_segments(a); ++s)
        sum += read(a.partial + (s * kBatchNormSums + k) * a.channels + i, lanes);
      write(to + k * a.channels + i, sum, lanes);
    });
}

// Adds up count sums per channel, from `first` on: add(row, channel, lanes, sums).
template <int count, class F>
TERN_INLINE void sum_rows(const BatchNormTrainArgs& a, int64_t segment, int first, F add) {
  const int64_t segments = batch_norm_segments(a), stop = a.rows * (segment + 1) / segments;
  float* const partial = a.partial + (segment * kBatchNormSums + first) * a.channels;
  for (int64_t i = 0; i < count * a.channels; ++i) partial[i] = 0;
  for (int64_t row = a.rows * segment / segments; row < stop; row += kBlock) {
    const int64_t end = row + kBlock < stop ? row + kBlock : stop;
    each_vector(a.channels, [&](int64_t i, int lanes) {
      Vec sums[count];
      for (int k = 0; k < count; ++k) sums[k] = splat(0);
      for (int64_t r = row; r < end; ++r) add(r, i, lanes, sums);
      for (int k = 0; k < count; ++k) {
        float* p = partial + k * a.channels + i;
        write(p, read(p, lanes) + sums[k], lanes);
      }
    });
  }
}

void sums(const void* args, int64_t begin, int64_t end, void*) {
  const BatchNormTrainArgs& a = *(const BatchNormTrainArgs*)args;
  for (int64_t u = begin; u < end; ++u)
    sum_rows<1>(
        a, u, 0, [&](int64_t r, int64_t i, int lanes, Vec* sum) __attribute__((always_inline)) {
          sum[0] += read(a.x + r * a.channels + i, lanes);
        });
}

void products(const void* args, int64_t begin, int64_t end, void* scratch) {
  const BatchNormTrainArgs& a = *(const BatchNormTrainArgs*)args;
  float* const all = (float*)scratch;
  join(a, 0, 1, all);
  each_vector(a.channels,
              [&](int64_t i, int lanes) { write(all + i, read(all + i, lanes) / splat((float)a.rows), lanes); });
  for (int64_t u = begin; u < end; ++u) {
    const auto centered = [&](int64_t r, int64_t i, int lanes) __attribute__((always_inline)) {
      return read(a.x + r * a.channels + i, lanes) - read(all + i, lanes);
    };
    if (a.dy)
      sum_rows<3>(
          a, u, 1, [&](int64_t r, int64_t i, int lanes, Vec* sum) __attribute__((always_inline)) {
            const Vec c = centered(r, i, lanes), d = read(a.dy + r * a.channels + i, lanes);
            sum[0] = fma(c, c, sum[0]), sum[1] = fma(d, c, sum[1]), sum[2] += d;
          });
    else
      sum_rows<1>(
          a, u, 1, [&](int64_t r, int64_t i, int lanes, Vec* sum) __attribute__((always_inline)) {
            const Vec c = centered(r, i, lanes);
            sum[0] = fma(c, c, sum[0]);
          });
  }
}

// y = (x - mean) * of_x + beta, or (x - mean) * of_x + dy * of_dy + term
void apply(const void* args, int64_t begin, int64_t end, void* scratch) {
  const BatchNormTrainArgs& a = *(const BatchNormTrainArgs*)args;
  const int64_t segments = batch_norm_segments(a), n = a.channels;
  float* const all = (float*)scratch;
  join(a, 0, a.dy ? 4 : 2, all);
  const Vec count = splat((float)a.rows);
  float *const mean = all, *const of_x = all + n, *const of_dy = all + 2 * n, *const term = all + 3 * n;
  each_vector(n, [&](int64_t i, int lanes) {
    const Vec m = read(mean + i, lanes) / count, variance = read(of_x + i, lanes) / count,
              r = splat(1) / sqrt(variance + splat(a.epsilon)), gamma = read(a.gamma + i, lanes);
    write(mean + i, m, lanes);
    Vec first = m, second = variance;
    if (a.dy) {
      first = read(of_dy + i, lanes) * r, second = read(term + i, lanes);
      write(of_x + i, splat(0) - gamma * r * r * first / count, lanes);
      write(of_dy + i, gamma * r, lanes);
      write(term + i, splat(0) - gamma * r * second / count, lanes);
    } else {
      write(of_x + i, r * gamma, lanes);
    }
    if (begin == 0) write(a.out[0] + i, first, lanes), write(a.out[1] + i, second, lanes);
  });
  for (int64_t row = a.rows * begin / segments; row < a.rows * end / segments; ++row)
    each_vector(n, [&](int64_t i, int lanes) {
      const Vec c = read(a.x + row * n + i, lanes) - read(mean + i, lanes), f = read(of_x + i, lanes);
      const Vec y = a.dy
                        ? fma(c, f, fma(read(a.dy + row * n + i, lanes), read(of_dy + i, lanes), read(term + i, lanes)))
                        : fma(c, f, read(a.beta + i, lanes));
      write(a.y + row * n + i, y, lanes);
    });
}

}  // namespace

extern const BatchNormTrainKernels batch_norm_train_kernels;
const BatchNormTrainKernels batch_norm_train_kernels = {sums, products, apply};

}  // namespace tern::cpu::TERN_ISA
