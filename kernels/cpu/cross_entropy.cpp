// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/cross_entropy.h"

#include <math.h>

#include "kernels/cpu/math.h"

namespace tern::cpu::TERN_ISA {
namespace {

TERN_INLINE Vec read(const float* p, int lanes) { return lanes == kLanes ? load(p) : load_part(p, lanes); }

// f(first class, lanes) for vectors of a row.
template <class F>
TERN_INLINE void each_vector(int64_t n, F f) {
  for (int64_t i = 0; i < n; i += kLanes) f(i, n - i < kLanes ? (int)(n - i) : kLanes);
}

TERN_INLINE Vec cut(Vec v, int lanes) {  // lanes beyond the row as zero
  if (lanes == kLanes) return v;
  alignas(64) float t[kLanes] = {};
  store_part(t, v, lanes);
  return load(t);
}

// A sum of many terms: 64 vectors at a time.
struct LongSum {
  Vec sum = splat(0), middle = splat(0);
  int terms = 0;
  void add(Vec v) {
    sum += v;
    if (++terms == 64) middle += sum, sum = splat(0), terms = 0;
  }
  float total() const { return sum_lanes(sum + middle); }
};

struct Row {
  float greatest, sum;  // of e^(x - greatest)
};

Row measure(const float* x, int64_t n) {
  Vec m = splat(-__builtin_inff());
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) m = max(m, load(x + i));
  Row r = {max_lane(m), 0};
  for (; i < n; ++i) r.greatest = x[i] > r.greatest ? x[i] : r.greatest;
  LongSum sum;
  each_vector(
      n, [&](int64_t k, int lanes) { sum.add(cut(vexp_negative(read(x + k, lanes) - splat(r.greatest)), lanes)); });
  r.sum = sum.total();
  return r;
}

// The label of a row, or -1.
int64_t label_of(const CrossEntropyArgs& a, int64_t row) {
  int64_t v = a.label_dtype == TERN_DTYPE_I32 ? ((const int32_t*)a.labels)[row] : ((const int64_t*)a.labels)[row];
  if (v < 0) v += a.classes;
  if (v >= 0 && v < a.classes) return v;
  __atomic_store_n(a.error, 1, __ATOMIC_RELAXED);
  return -1;
}

void loss(const void* args, int64_t begin, int64_t end, void*) {
  const CrossEntropyArgs& a = *(const CrossEntropyArgs*)args;
  for (int64_t u = begin; u < end; ++u) {
    const float* x = a.x + u * a.classes;
    const Row r = measure(x, a.classes);
    const float log_sum = logf(r.sum);
    if (a.labels) {
      const int64_t label = label_of(a, u);
      a.y[u] = label < 0 ? 0 : log_sum - (x[label] - r.greatest);
      continue;
    }
    const float* p = a.p + u * a.classes;
    LongSum sum;
    each_vector(a.classes, [&](int64_t i, int n) {
      sum.add(cut(read(p + i, n) * (splat(log_sum) - (read(x + i, n) - splat(r.greatest))), n));
    });
    a.y[u] = sum.total();
  }
}

void gradient(const void* args, int64_t begin, int64_t end, void*) {
  const CrossEntropyArgs& a = *(const CrossEntropyArgs*)args;
  for (int64_t u = begin; u < end; ++u) {
    const float *x = a.x + u * a.classes, *p = a.p + u * a.classes;
    float* dx = a.y + u * a.classes;
    const int64_t label = a.labels ? label_of(a, u) : 0;
    const float d = label < 0 ? 0 : a.dloss[u];
    const Row r = measure(x, a.classes);
    float all = 1;  // of the probabilities
    if (!a.labels) {
      LongSum sum;
      each_vector(a.classes, [&](int64_t i, int n) { sum.add(read(p + i, n)); });
      all = sum.total();
    }
    const Vec factor = splat(d * all / r.sum);
    each_vector(a.classes, [&](int64_t i, int n) {
      Vec v = vexp_negative(read(x + i, n) - splat(r.greatest)) * factor;
      if (!a.labels) v = v - splat(d) * read(p + i, n);
      n == kLanes ? store(dx + i, v) : store_part(dx + i, v, n);
    });
    if (a.labels && label >= 0) dx[label] -= d;
  }
}

}  // namespace

extern const CrossEntropyKernels cross_entropy_kernels;
const CrossEntropyKernels cross_entropy_kernels = {loss, gradient};

}  // namespace tern::cpu::TERN_ISA
