// SPDX-License-Identifier: Apache-2.0
// Matrix products in f32.
//   panel_matmul   weights in panel order (base/panel.h), f32, f16 or bf16, read as they lie in the model file
//   matmul         both factors are run-time matrices, row-major, either may be transposed, batches with strides
// Each output is one chain of fused multiply-adds over k in ascending order, whatever the number of rows: a row's
// result does not depend on its neighbours, nor on the split over threads.
// Any alignment works; weights that start at a multiple of 64 bytes are up to a third faster.
#pragma once
#include "base/panel.h"
#include "kernels/cpu/kernel.h"

namespace tern::cpu {

// y[rows][n] = epilogue(x[rows][k] * w[n][k]^T). y may be the residual of its epilogue, but not overlap x or w.
struct PanelMatmulArgs {
  const float* x = nullptr;  // row r at x + r * x_stride
  const void* w = nullptr;   // panel order of [n][k]; float, or 16 bits when w_half
  float* y = nullptr;        // row r at y + r * y_stride
  int64_t rows = 0, n = 0, k = 0;
  int64_t x_stride = 0, y_stride = 0;  // floats
  int32_t w_half = 0;
  Epilogue epilogue;
};

// A unit is a block of rows with all panels, so that a thread has the same rows of a picture from layer to layer. Where
// the weights are more than the rows it is a block times a group of panels, groups varying slowest: a thread has its
// weights.
struct PanelMatmulUnits {
  int64_t row_blocks, rows_per_block, panel_groups, panels_per_group;
};
static inline PanelMatmulUnits panel_matmul_split(int64_t rows, int64_t n, int64_t k) {
  constexpr int64_t kRows = 28;
  constexpr int64_t kWork = 1 << 18;  // multiply-adds that a unit should have: a few microseconds
  PanelMatmulUnits u;
  const int64_t panels = (n + kPanelWidth - 1) / kPanelWidth;
  u.panels_per_group = panels;
  const bool more_weights = rows < kRows || (double)n * (double)k > (double)rows * ((double)n + (double)k);
  const int64_t blocks = more_weights ? (rows + kRows - 1) / kRows : rows < 8 * kRows ? 8 : rows / kRows;
  u.rows_per_block = blocks > 1 ? (rows + blocks - 1) / blocks : rows > 0 ? rows : 1;
  if (more_weights) {
    const int64_t work = u.rows_per_block * kPanelWidth * (k > 0 ? k : 1);
    u.panels_per_group = work >= kWork ? 1 : (kWork + work - 1) / work;
    if (u.panels_per_group > panels) u.panels_per_group = panels > 0 ? panels : 1;
  }
  u.row_blocks = (rows + u.rows_per_block - 1) / u.rows_per_block;
  u.panel_groups = panels == 0 ? 0 : (panels + u.panels_per_group - 1) / u.panels_per_group;
  return u;
}
static inline int64_t panel_matmul_units(const PanelMatmulArgs& a) {
  const PanelMatmulUnits u = panel_matmul_split(a.rows, a.n, a.k);
  return u.row_blocks * u.panel_groups;
}
static inline double panel_matmul_unit_flops(const PanelMatmulArgs& a) {
  const int64_t units = panel_matmul_units(a);
  return units ? 2.0 * (double)a.rows * (double)a.n * (double)a.k / (double)units : 0;
}
// Scratch for one panel of 16-bit weights widened to f32.
static inline size_t panel_scratch_bytes(int64_t k, int32_t w_half) {
  return w_half ? (size_t)k * kPanelWidth * sizeof(float) : 0;
}
static inline size_t panel_matmul_scratch_bytes(const PanelMatmulArgs& a) { return panel_scratch_bytes(a.k, a.w_half); }

// y = epilogue(op(a) * op(b)), [m][n] per batch; with accumulate: y += op(a) * op(b), and no epilogue.
// op(a) is [m][k]: stored so, or with a_transposed as [k][m]. op(b) is [k][n]: stored so, or with b_transposed as
// [n][k].
// The batch has two levels (as batch and heads); a stride of 0 repeats a factor. A residual needs batch 1 and is not y.
struct MatmulArgs {
  const float *a = nullptr, *b = nullptr;
  float* y = nullptr;
  int64_t m = 0, n = 0, k = 0;
  int64_t a_stride = 0, b_stride = 0, y_stride = 0;                       // floats from one stored row to the next
  int64_t batch[2] = {1, 1};                                              // outer, inner
  int64_t a_batch[2] = {0, 0}, b_batch[2] = {0, 0}, y_batch[2] = {0, 0};  // floats from one matrix to the next
  int32_t a_transposed = 0, b_transposed = 0;
  int32_t accumulate = 0;
  Epilogue epilogue;
};

// of one unit; k is cut into pieces of at most this depth, of which a packed block of B fits into 512 KiB of cache
constexpr int64_t kMatmulRows = 112, kMatmulColumns = 128, kMatmulDepth = 768;
static inline int64_t matmul_units(const MatmulArgs& a) {
  return a.batch[0] * a.batch[1] * ((a.m + kMatmulRows - 1) / kMatmulRows) *
         ((a.n + kMatmulColumns - 1) / kMatmulColumns);
}
static inline double matmul_unit_flops(const MatmulArgs& a) {
  const int64_t units = matmul_units(a);
  return units ? 2.0 * (double)(a.batch[0] * a.batch[1]) * (double)a.m * (double)a.n * (double)a.k / (double)units : 0;
}
static inline int64_t matmul_depth(const MatmulArgs& a) {
  const int64_t pieces = (a.k + kMatmulDepth - 1) / kMatmulDepth;
  return pieces > 1 ? (a.k + pieces - 1) / pieces : a.k;
}
// A packed block of B, or sums of two rows; then a block of A where that is transposed.
static inline size_t matmul_scratch_bytes(const MatmulArgs& a) {
  const int64_t depth = matmul_depth(a) > 2 ? matmul_depth(a) : 2;
  return (size_t)((kMatmulColumns + (a.a_transposed ? kMatmulRows : 0)) * depth) * sizeof(float);
}

// ---- for other kernels of the same set

// Rows of a product whose left factor is a sum over runs of contiguous floats (one for a matrix, kernel_h for a
// convolution):
//   y[r][j] = epilogue(sum over i < runs, t < run_length of a[i][r * a_stride + t] * w[j][w_first[i] + t])
struct PanelRows {
  const float* const* a = nullptr;  // runs pointers, each to its first float of row 0
  // first input of each run within w's k inputs; NULL: runs follow one another from 0
  const int64_t* w_first = nullptr;
  int64_t runs = 1, run_length = 0, a_stride = 0, rows = 0;
  const void* w = nullptr;
  int64_t n = 0, k = 0;            // of w
  int64_t n_begin = 0, n_end = 0;  // outputs to compute; n_begin a multiple of 32, n_end too or n
  int32_t w_half = 0;
  int32_t load_y = 0;      // sums start from y instead of the bias
  int32_t store_sums = 0;  // store sums as they are: the epilogue follows in a later call
  float* y = nullptr;      // [row 0][output 0]
  int64_t y_stride = 0;
  const Epilogue* epilogue = nullptr;  // lists of output 0, residual of row 0
  float* panel = nullptr;              // panel_scratch_bytes(k, w_half); NULL if 0
};

// y[rows][n] = what follows the sums[rows][n] of an epilogue: they hold its bias unless it has a scale. Lists and
// residual as in PanelRows.
// y may be sums or the residual.
struct FinishRows {
  const float* sums = nullptr;
  float* y = nullptr;
  int64_t sums_stride = 0, y_stride = 0, rows = 0, n = 0;
  const Epilogue* epilogue = nullptr;
};

struct MatmulKernels {
  KernelFn panel_matmul, matmul;
  void (*panel_rows)(const PanelRows&);
  void (*finish_rows)(const FinishRows&);
  void (*widen)(int32_t half, const void* w, float* out, int64_t n);  // kF16 or kBf16 to f32
  // out[j][i] = in[i][j] for i < rows, j < columns; strides in floats
  void (*transpose)(const float* in, int64_t in_stride, int64_t rows, int64_t columns, float* out, int64_t out_stride);
};

}  // namespace tern::cpu
