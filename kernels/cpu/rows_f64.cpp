// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/rows_f64.h"

#include <math.h>

#include "kernels/cpu/simd_double.h"

namespace tern::cpu::TERN_ISA {
namespace {

// f(offset, lanes) for the vectors of n numbers.
template <class F>
TERN_INLINE void each_vector(int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanesD <= n; i += kLanesD) f(i, kLanesD);
  if (i < n) f(i, (int)(n - i));
}
TERN_INLINE VecD read(const double* p, int n) { return n == kLanesD ? load(p) : load_part(p, n); }
TERN_INLINE void write(double* p, VecD v, int n) {
  if (n == kLanesD) store(p, v);
  else store_part(p, v, n);
}

// `lines` lines of n numbers, `step` apart; along each column: y = exp(x - greatest) / sum, or its logarithm.
void softmax_columns(const double* x, double* y, int64_t lines, int64_t step, int n, bool log) {
  double greatest[kSoftmaxF64Cols], sum[kSoftmaxF64Cols];
  for (int i = 0; i < n; ++i) greatest[i] = -__builtin_inf(), sum[i] = 0;
  for (int64_t k = 0; k < lines; ++k)
    each_vector(n, [&](int64_t i, int m) {
      write(greatest + i, max(read(x + k * step + i, m), read(greatest + i, m)), m);  // passes over NaN
    });
  for (int64_t k = 0; k < lines; ++k)
    for (int i = 0; i < n; ++i) {
      const double e = exp(x[k * step + i] - greatest[i]);
      sum[i] += e;
      if (!log) y[k * step + i] = e;
    }
  if (log)
    for (int i = 0; i < n; ++i) sum[i] = ::log(sum[i]);
  for (int64_t k = 0; k < lines; ++k)
    each_vector(n, [&](int64_t i, int m) {
      const VecD s = read(sum + i, m);
      if (log) write(y + k * step + i, read(x + k * step + i, m) - read(greatest + i, m) - s, m);
      else write(y + k * step + i, read(y + k * step + i, m) / s, m);
    });
}

void softmax_row(const double* x, double* y, int64_t n, bool log) {
  alignas(64) double lane[kLanesD];
  VecD most(-__builtin_inf());
  int64_t whole = n - n % kLanesD;
  for (int64_t i = 0; i < whole; i += kLanesD) most = max(load(x + i), most);
  store(lane, most);
  double greatest = lane[0], sum = 0;
  for (const double v : lane) greatest = v > greatest ? v : greatest;
  for (; whole < n; ++whole) greatest = x[whole] > greatest ? x[whole] : greatest;
  for (int64_t i = 0; i < n; ++i) {
    const double e = exp(x[i] - greatest);
    sum += e;
    if (!log) y[i] = e;
  }
  const VecD by(log ? ::log(sum) : sum), shift(greatest);
  each_vector(n, [&](int64_t i, int m) { write(y + i, log ? read(x + i, m) - shift - by : read(y + i, m) / by, m); });
}

void softmax(const void* args, int64_t begin, int64_t end, void*) {
  const SoftmaxF64Args& a = *(const SoftmaxF64Args*)args;
  const int64_t blocks = (a.inner + kSoftmaxF64Cols - 1) / kSoftmaxF64Cols;
  for (int64_t u = begin; u < end && a.axis > 0; ++u) {
    const int64_t first = u % blocks * kSoftmaxF64Cols, left = a.inner - first,
                  at = u / blocks * a.axis * a.inner + first;
    if (a.inner == 1) softmax_row(a.x + at, a.y + at, a.axis, a.log != 0);
    else
      softmax_columns(a.x + at, a.y + at, a.axis, a.inner, (int)(left < kSoftmaxF64Cols ? left : kSoftmaxF64Cols),
                      a.log != 0);
  }
}

// Sum of (x - center) to the power of 1 or 2.
double sum_row(const double* x, int64_t n, double center, bool squared) {
  VecD sum[2] = {VecD(0.0), VecD(0.0)};
  const VecD c(center);
  int64_t i = 0;
  for (; i + 2 * kLanesD <= n; i += 2 * kLanesD)
    for (int k = 0; k < 2; ++k) {
      const VecD d = load(x + i + k * kLanesD) - c;
      sum[k] = sum[k] + (squared ? d * d : d);
    }
  double total = sum_lanes(sum[0] + sum[1]);
  for (; i < n; ++i) total += squared ? (x[i] - center) * (x[i] - center) : x[i] - center;
  return total;
}

void row_norm(const void* args, int64_t begin, int64_t end, void*) {
  const RowNormF64Args& a = *(const RowNormF64Args*)args;
  const int64_t n = a.channels;
  for (int64_t r = begin; r < end && n > 0; ++r) {
    const double* x = a.x + r * n;
    // Measured from one of the values, so that the mean of equal values is that value.
    const double origin = x[0] - x[0] == 0 ? x[0] : 0;
    const double mean = a.kind == RowNorm::layer ? sum_row(x, n, origin, false) / (double)n + origin : 0;
    const double squares = sum_row(x, n, mean, true);
    double length = 0;
    switch (a.kind) {
      case RowNorm::layer:
      case RowNorm::rms: length = sqrt(squares / (double)n + a.epsilon); break;
      case RowNorm::l2: length = sqrt(squares) < a.epsilon ? a.epsilon : sqrt(squares); break;
      case RowNorm::l2_inside: length = sqrt(squares < a.epsilon ? a.epsilon : squares); break;
    }
    const VecD center(mean), by(length);
    each_vector(n, [&](int64_t i, int m) {
      VecD v = (read(x + i, m) - center) / by;
      if (a.gamma) v = v * read(a.gamma + i, m);
      if (a.beta) v = v + read(a.beta + i, m);
      write(a.y + r * n + i, v, m);
    });
  }
}

}  // namespace

extern const RowsF64Kernels rows_f64_kernels;
const RowsF64Kernels rows_f64_kernels = {softmax, row_norm};

}  // namespace tern::cpu::TERN_ISA
