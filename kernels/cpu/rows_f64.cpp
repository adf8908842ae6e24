// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/rows_f64.h"

#include <math.h>

#include "kernels/cpu/formulas.h"

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
#pragma GCC unroll 2
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
      case RowNorm::rms: length = ::sqrt(squares / (double)n + a.epsilon); break;
      case RowNorm::l2: length = ::sqrt(squares) < a.epsilon ? a.epsilon : ::sqrt(squares); break;
      case RowNorm::l2_inside: length = ::sqrt(squares < a.epsilon ? a.epsilon : squares); break;
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

// ---- reductions ----

template <Reduce op, class V>
TERN_INLINE V join(V m, V v) {
  if constexpr (op == Reduce::sum) return m + v;
  else if constexpr (op == Reduce::prod) return m * v;
  else if constexpr (__is_same(V, double)) return (op == Reduce::max ? v > m : v < m) || v != v ? v : m;
  else return select(op == Reduce::max ? v > m : v < m, v, select(v == v, m, v));  // NaN wins and stays
}

// One row of n numbers.
template <Reduce op>
[[gnu::noinline]] double run(const double* x, int64_t n, double first) {
  VecD part[4] = {VecD(first), VecD(first), VecD(first), VecD(first)};
  int64_t i = 0;
  for (; i + 4 * kLanesD <= n; i += 4 * kLanesD)
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) part[k] = join<op>(part[k], load(x + i + k * kLanesD));
  alignas(64) double lane[kLanesD];
  store(lane, join<op>(join<op>(part[0], part[1]), join<op>(part[2], part[3])));
  double total = first;
  for (const double v : lane) total = join<op>(total, v);
  for (; i < n; ++i) total = join<op>(total, x[i]);
  return total;
}

// total = total joined with row, for n columns.
template <Reduce op>
[[gnu::noinline]] void add_row(const double* row, int64_t n, double* total) {
  int64_t i = 0;
  for (; i + kLanesD <= n; i += kLanesD) store(total + i, join<op>(load(total + i), load(row + i)));
  if (const int left = (int)(n - i))
    store_part(total + i, join<op>(load_part(total + i, left), load_part(row + i, left)), left);
}

struct Join {
  double first;
  double (*run)(const double* x, int64_t n, double first);
  void (*add_row)(const double* row, int64_t n, double* total);
};
template <Reduce op>
constexpr Join kJoin = {op == Reduce::max   ? -__builtin_inf()
                        : op == Reduce::min ? __builtin_inf()
                                            : op == Reduce::prod,
                        run<op>, add_row<op>};

void reduce(const void* args, int64_t begin, int64_t end, void*) {
  const ReduceArgs& a = *(const ReduceArgs*)args;
  const Join& join = a.op == Reduce::max    ? kJoin<Reduce::max>
                     : a.op == Reduce::min  ? kJoin<Reduce::min>
                     : a.op == Reduce::prod ? kJoin<Reduce::prod>
                                            : kJoin<Reduce::sum>;
  const int64_t blocks = a.inner_reduced ? 1 : (a.inner + kReduceCols - 1) / kReduceCols;
  const double count = (double)(a.reduced_count * (a.inner_reduced ? a.inner : 1));
  for (int64_t u = begin; u < end; ++u) {
    const int64_t kept = u / blocks, col = u % blocks * kReduceCols;
    const int64_t n = a.inner_reduced ? 1 : a.inner - col < kReduceCols ? a.inner - col : kReduceCols;
    const double* x = (const double*)a.x + kept_offset(a, kept) + col;
    double* y = (double*)a.y + (a.inner_reduced ? kept : kept * a.inner + col);
    alignas(64) double total[kReduceCols];
    for (double& t : total) t = join.first;
    ReducedIndices at = {a};
    for (int64_t r = 0; r < a.reduced_count; ++r, at.next()) {
      const double row = a.inner_reduced ? join.run(x + at.offset, a.inner, join.first) : 0;
      join.add_row(a.inner_reduced ? &row : x + at.offset, n, total);
    }
    for (int64_t i = 0; i < n; ++i) y[i] = a.op == Reduce::mean ? total[i] / count : total[i];
  }
}

// ---- element by element ----

void unary_row(const ElementwiseStep& op, const double* x, double* y, int64_t n) {
  const VecD p0(op.p0), p1(op.p1);
  with_formula(
      op.kind, [=](auto formula) __attribute__((always_inline)) {
        if constexpr (formula.form == Form::unary && takes_doubles(formula))
          each_vector(
              n, [=](int64_t i, int m)
                     __attribute__((always_inline)) { write(y + i, apply(formula.f, read(x + i, m), p0, p1), m); });
      });
}

void binary_row(Elementwise op, const double* a, int a_scalar, const double* b, int b_scalar, double* y, int64_t n) {
  double one[2][kLanesD];  // a scalar is a row that the loop does not move along
  if (n <= 0) return;
  const int64_t a_step = a_scalar ? 0 : 1, b_step = b_scalar ? 0 : 1;
  for (int i = 0; i < kLanesD; ++i) one[0][i] = *a, one[1][i] = *b;
  if (a_scalar) a = one[0];
  if (b_scalar) b = one[1];
  with_formula(
      op, [=](auto formula) __attribute__((always_inline)) {
        if constexpr (formula.form == Form::binary) {
          int64_t i = 0;
          for (; i + kLanesD <= n; i += kLanesD) store(y + i, formula.f(load(a + i * a_step), load(b + i * b_step)));
          const int left = (int)(n - i);
          if (left)
            store_part(y + i, formula.f(load_part(a + i * a_step, left), load_part(b + i * b_step, left)), left);
        }
        if constexpr (formula.form == Form::pair_by_pair)
          for (int64_t i = 0; i < n; ++i) y[i] = formula.f(a[i * a_step], b[i * b_step]);
      });
}

}  // namespace

extern const RowsF64Kernels rows_f64_kernels;
const RowsF64Kernels rows_f64_kernels = {softmax, row_norm, reduce, unary_row, binary_row};

}  // namespace tern::cpu::TERN_ISA
