// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/softmax.h"

#include <math.h>

#include "kernels/cpu/math.h"

namespace tern::cpu::TERN_ISA {
namespace {

void softmax_row(const float* x, float* y, int64_t n, bool log) {
  Vec m = splat(-__builtin_inff());
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) m = max(m, load(x + i));
  float greatest = max_lane(m);
  for (int64_t k = i; k < n; ++k) greatest = x[k] > greatest ? x[k] : greatest;
  const Vec shift = splat(greatest);
  Vec sum = splat(0.0f), middle = splat(0.0f);
  int terms = 0;
  for (i = 0; i + kLanes <= n; i += kLanes) {
    const Vec e = vexp_negative(load(x + i) - shift);
    if (!log) store(y + i, e);
    sum += e;
    if (++terms == 64) middle += sum, sum = splat(0.0f), terms = 0;
  }
  const int tail = (int)(n - i);
  if (tail) {
    alignas(64) float t[kLanes];
    store(t, vexp_negative(load_part(x + i, tail) - shift));
    for (int k = tail; k < kLanes; ++k) t[k] = 0;
    const Vec e = load(t);
    if (!log) store_part(y + i, e, tail);
    sum += e;
  }
  const float total = sum_lanes(sum + middle);
  if (log) {
    const Vec lse = splat(logf(total));
    for (i = 0; i + kLanes <= n; i += kLanes) store(y + i, (load(x + i) - shift) - lse);
    if (tail) store_part(y + i, (load_part(x + i, tail) - shift) - lse, tail);
  } else {
    const Vec scale = splat(1.0f / total);
    for (i = 0; i + kLanes <= n; i += kLanes) store(y + i, load(y + i) * scale);
    if (tail) store_part(y + i, load_part(y + i, tail) * scale, tail);
  }
}

// n <= kLanes columns side by side.
void softmax_columns(const float* x, float* y, int64_t axis, int64_t step, int n, bool log) {
  Vec m = splat(-__builtin_inff()), sum = splat(0.0f), middle = splat(0.0f);
  const auto read = [n](const float* p) { return n == kLanes ? load(p) : load_part(p, n); };
  const auto write = [n](float* p, Vec v) { return n == kLanes ? store(p, v) : store_part(p, v, n); };
  for (int64_t k = 0; k < axis; ++k) m = max(m, read(x + k * step));
  int terms = 0;
  for (int64_t k = 0; k < axis; ++k) {
    const Vec e = vexp_negative(read(x + k * step) - m);
    if (!log) write(y + k * step, e);
    sum += e;
    if (++terms == 64) middle += sum, sum = splat(0.0f), terms = 0;
  }
  sum += middle;
  if (log) {
    const Vec lse = vlog(sum);
    for (int64_t k = 0; k < axis; ++k) write(y + k * step, (read(x + k * step) - m) - lse);
  } else {
    const Vec scale = splat(1.0f) / sum;
    for (int64_t k = 0; k < axis; ++k) write(y + k * step, read(y + k * step) * scale);
  }
}

void softmax(const void* args, int64_t begin, int64_t end, void*) {
  const SoftmaxArgs& a = *(const SoftmaxArgs*)args;
  if (a.axis == 0) return;
  if (a.inner == 1) {
    for (int64_t u = begin; u < end; ++u) softmax_row(a.x + u * a.axis, a.y + u * a.axis, a.axis, a.log != 0);
    return;
  }
  const int64_t blocks = (a.inner + kSoftmaxCols - 1) / kSoftmaxCols;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t first = u % blocks * kSoftmaxCols,
                  stop = first + kSoftmaxCols < a.inner ? first + kSoftmaxCols : a.inner;
    for (int64_t col = first; col < stop; col += kLanes) {
      const int64_t at = u / blocks * a.axis * a.inner + col;
      softmax_columns(a.x + at, a.y + at, a.axis, a.inner, (int)(stop - col < kLanes ? stop - col : kLanes),
                      a.log != 0);
    }
  }
}

// `lanes` rows side by side, or one row of vectors; steps [0, count) of `step` floats, the last one of `last` lanes.
void softmax_gradient(const SoftmaxGradArgs& a, int64_t at, int64_t count, int64_t step, int lanes, int last) {
  const auto each = [&](auto f) __attribute__((always_inline)) {
    for (int64_t k = 0; k < count; ++k) {
      const int n = k + 1 < count ? lanes : last;
      const auto read = [&](const float* p) __attribute__((always_inline)) {
        return n == kLanes ? load(p + at + k * step) : load_part(p + at + k * step, n);
      };
      f(k, n, read(a.y), read(a.dy));
    }
  };
  Vec sum = splat(0.0f), middle = splat(0.0f);
  int terms = 0;
  each([&](int64_t, int, Vec y, Vec dy) __attribute__((always_inline)) {
    sum = a.log ? sum + dy : fma(y, dy, sum);  // lanes that are not there are zero
    if (++terms == 64) middle += sum, sum = splat(0.0f), terms = 0;
  });
  sum += middle;
  if (a.inner == 1) sum = splat(sum_lanes(sum));
  each([&](int64_t k, int n, Vec y, Vec dy) __attribute__((always_inline)) {
    const Vec dx = a.log ? fnma(vexp(y), sum, dy) : y * (dy - sum);
    float* to = a.dx + at + k * step;
    n == kLanes ? store(to, dx) : store_part(to, dx, n);
  });
}

void gradient(const void* args, int64_t begin, int64_t end, void*) {
  const SoftmaxGradArgs& a = *(const SoftmaxGradArgs*)args;
  const int64_t blocks = (a.inner + kSoftmaxCols - 1) / kSoftmaxCols, vectors = (a.axis + kLanes - 1) / kLanes;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t row = u / blocks * a.axis * a.inner, first = u % blocks * kSoftmaxCols,
                  stop = first + kSoftmaxCols < a.inner ? first + kSoftmaxCols : a.inner;
    if (a.inner == 1) {
      softmax_gradient(a, row, vectors, kLanes, kLanes, (int)(a.axis - (vectors - 1) * kLanes));
      continue;
    }
    for (int64_t col = first; col < stop; col += kLanes) {
      const int lanes = (int)(stop - col < kLanes ? stop - col : kLanes);
      softmax_gradient(a, row + col, a.axis, a.inner, lanes, lanes);
    }
  }
}

}  // namespace

extern const SoftmaxKernels softmax_kernels;
const SoftmaxKernels softmax_kernels = {softmax, gradient};

}  // namespace tern::cpu::TERN_ISA
