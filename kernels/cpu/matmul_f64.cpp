// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/matmul_f64.h"

#include "kernels/cpu/simd_double.h"

namespace tern::cpu::TERN_ISA {
namespace {

#if defined(__AVX512BW__) || (defined(__aarch64__) && TERN_SIMD_XSIMD)
constexpr int kVecs = 4;  // 24 accumulators of 32 registers
#else
constexpr int kVecs = 2;  // 12 of 16
#endif
constexpr int kRows = 6, kWidth = kVecs * kLanesD;
static_assert(kMatmulF64Columns % kWidth == 0 && kWidth <= kMatmulF64Panel);

struct Tile {
  const double* a;
  int64_t a_row, a_k;  // from one row and one k to the next
  const double* b;
  int64_t b_k;
  double* y;
  int64_t y_stride, depth;
  int columns;          // to be stored
  const double* start;  // sums start from here, each row `start_row` further; NULL: from zero
  int64_t start_row;
};

// One way out for tiles of all sizes: it takes a small part of their time.
[[gnu::noinline]] void store_sums(const Tile& t, const double* sums, int rows, int width) {
  for (int r = 0; r < rows; ++r)
    for (int i = 0; i < t.columns; i += kLanesD) {
      const int left = t.columns - i < kLanesD ? t.columns - i : kLanesD;
      VecD s = load(sums + r * width + i);
      if (t.start) s = s + load_part(t.start + r * t.start_row + i, left);
      double* y = t.y + r * t.y_stride + i;
      if (left == kLanesD) store(y, s);
      else store_part(y, s, left);
    }
}

template <int ROWS, int NV>
void tile(const Tile& t) {
  VecD acc[ROWS][NV];
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) acc[r][v] = VecD(0.0);
  const double *a = t.a, *b = t.b;
  for (int64_t k = 0; k < t.depth; ++k, a += t.a_k, b += t.b_k) {
    VecD w[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) w[v] = load(b + v * kLanesD);
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r) {
      const VecD x(a[r * t.a_row]);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) acc[r][v] = fma(x, w[v], acc[r][v]);
    }
  }
  alignas(64) double sums[ROWS][NV * kLanesD];
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) store(sums[r] + v * kLanesD, acc[r][v]);
  store_sums(t, sums[0], ROWS, NV * kLanesD);
}

template <int NV>
void rows_of_tiles(Tile t, int64_t rows) {
  while (rows > 0) {
    const int n = rows >= kRows ? kRows : rows >= 3 && NV > 1 ? 3 : 1;
    if (n == kRows) tile<kRows, NV>(t);
    else if (n == 1) tile<1, NV>(t);
    if constexpr (NV > 1)
      if (n == 3) tile<3, NV>(t);
    t.a += n * t.a_row, t.y += n * t.y_stride;
    if (t.start) t.start += n * t.start_row;
    rows -= n;
  }
}

// [depth][columns] of op(b) to a panel of `width`, filled up with zeros.
[[gnu::noinline]] void pack(const double* b, int64_t b_k, int64_t b_column, int64_t depth, int columns, int width,
                            double* panel) {
  if (b_column == 1) {
    for (int64_t k = 0; k < depth; ++k)
      for (int i = 0; i < width; i += kLanesD) {
        const int left = columns - i < kLanesD ? columns - i : kLanesD;
        const double* p = b + k * b_k + i;
        store(panel + k * width + i, left == kLanesD ? load(p) : left > 0 ? load_part(p, left) : VecD(0.0));
      }
    return;
  }
  int i = 0;
#if defined(__AVX2__)
  for (; i + 4 <= columns; i += 4) {
    const double* p = b + i * b_column;
    double* q = panel + i;
    int64_t k = 0;
    for (; k + 4 <= depth; k += 4, p += 4, q += 4 * width) {
      const __m256d r0 = _mm256_loadu_pd(p), r1 = _mm256_loadu_pd(p + b_column), r2 = _mm256_loadu_pd(p + 2 * b_column),
                    r3 = _mm256_loadu_pd(p + 3 * b_column);
      const __m256d s0 = _mm256_unpacklo_pd(r0, r1), s1 = _mm256_unpackhi_pd(r0, r1), s2 = _mm256_unpacklo_pd(r2, r3),
                    s3 = _mm256_unpackhi_pd(r2, r3);
      _mm256_storeu_pd(q, _mm256_permute2f128_pd(s0, s2, 0x20));
      _mm256_storeu_pd(q + width, _mm256_permute2f128_pd(s1, s3, 0x20));
      _mm256_storeu_pd(q + 2 * width, _mm256_permute2f128_pd(s0, s2, 0x31));
      _mm256_storeu_pd(q + 3 * width, _mm256_permute2f128_pd(s1, s3, 0x31));
    }
    for (; k < depth; ++k, ++p, q += width)
      for (int c = 0; c < 4; ++c) q[c] = p[c * b_column];
  }
#endif
  for (; i < width; ++i)
    for (int64_t k = 0; k < depth; ++k) panel[k * width + i] = i < columns ? b[i * b_column + k] : 0;
}

// One row of a times rows of b that lie as k runs: to pack b would take longer.
[[gnu::noinline]] void dots(const MatmulF64Args& a, const double* x, int64_t x_k, const double* b, int64_t n,
                            const double* bias, double* y, double* row) {
  if (x_k != 1) {
    for (int64_t k = 0; k < a.k; ++k) row[k] = x[k * x_k];
    x = row;
  }
  for (int64_t j = 0; j < n; j += 4) {
    const double* w[4];
    VecD s[4];
    for (int c = 0; c < 4; ++c) w[c] = b + (j + c < n ? j + c : n - 1) * a.b_stride, s[c] = VecD(0.0);
    int64_t k = 0;
    for (; k + kLanesD <= a.k; k += kLanesD) {
      const VecD v = load(x + k);
      for (int c = 0; c < 4; ++c) s[c] = fma(v, load(w[c] + k), s[c]);
    }
    if (const int left = (int)(a.k - k)) {
      const VecD v = load_part(x + k, left);
      for (int c = 0; c < 4; ++c) s[c] = fma(v, load_part(w[c] + k, left), s[c]);
    }
    for (int c = 0; c < 4 && j + c < n; ++c) y[j + c] = sum_lanes(s[c]) + (bias ? bias[j + c] : 0);
  }
}

void matmul(const void* args, int64_t begin, int64_t end, void* scratch) {
  const MatmulF64Args& a = *(const MatmulF64Args*)args;
  double* panel = (double*)scratch;
  const int64_t row_blocks = (a.m + kMatmulF64Rows - 1) / kMatmulF64Rows,
                column_blocks = (a.n + kMatmulF64Columns - 1) / kMatmulF64Columns;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t m0 = unit % row_blocks * kMatmulF64Rows, n0 = unit / row_blocks % column_blocks * kMatmulF64Columns,
                  batch = unit / row_blocks / column_blocks, outer = batch / a.batch[1], inner = batch % a.batch[1];
    const int64_t rows = a.m - m0 < kMatmulF64Rows ? a.m - m0 : kMatmulF64Rows,
                  n = a.n - n0 < kMatmulF64Columns ? a.n - n0 : kMatmulF64Columns;
    Tile t;
    t.a_row = a.a_transposed ? 1 : a.a_stride, t.a_k = a.a_transposed ? a.a_stride : 1;
    const int64_t b_k = a.b_transposed ? 1 : a.b_stride, b_column = a.b_transposed ? a.b_stride : 1;
    const double* x = a.a + outer * a.a_batch[0] + inner * a.a_batch[1] + m0 * t.a_row;
    const double* b = a.b + outer * a.b_batch[0] + inner * a.b_batch[1] + n0 * b_column;
    double* y = a.y + outer * a.y_batch[0] + inner * a.y_batch[1] + m0 * a.y_stride + n0;
    const double* bias = a.bias ? a.bias + n0 : nullptr;
    t.y_stride = a.y_stride;
    if (a.m <= 2 && a.b_transposed && (t.a_k == 1 || a.k <= kMatmulF64Panel * kMatmulF64Depth)) {
      for (int64_t r = 0; r < rows; ++r) dots(a, x + r * t.a_row, t.a_k, b, n, bias, y + r * a.y_stride, panel);
      continue;
    }
    int64_t k0 = 0;
    do {  // at least once: k may be 0
      t.depth = a.k - k0 < kMatmulF64Depth ? a.k - k0 : kMatmulF64Depth;
      for (int64_t c = 0; c < n; c += t.columns) {
        const bool few = n - c <= 2 * kLanesD;  // rather than to compute as many zeros
        const int width = few ? kLanesD : kWidth;
        t.columns = n - c < width ? (int)(n - c) : width;
        t.b = b + k0 * b_k + c * b_column, t.b_k = b_k;
        if (b_column != 1 || t.columns < width || rows > kRows) {  // else each part of b is read once
          pack(t.b, b_k, b_column, t.depth, t.columns, width, panel);
          t.b = panel, t.b_k = width;
        }
        t.a = x + k0 * t.a_k;
        t.y = y + c;
        t.start = k0 ? t.y : bias ? bias + c : nullptr, t.start_row = k0 ? a.y_stride : 0;
        few ? rows_of_tiles<1>(t, rows) : rows_of_tiles<kVecs>(t, rows);
      }
      k0 += t.depth;
    } while (k0 < a.k);
  }
}

}  // namespace

extern const MatmulF64Kernels matmul_f64_kernels;
const MatmulF64Kernels matmul_f64_kernels = {matmul};

}  // namespace tern::cpu::TERN_ISA
