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

}  // namespace

extern const SoftmaxKernels softmax_kernels;
const SoftmaxKernels softmax_kernels = {softmax};

}  // namespace tern::cpu::TERN_ISA
