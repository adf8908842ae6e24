// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/encoded.h"

#include "base/encoding.h"
#include "kernels/cpu/matmul.h"

namespace tern::cpu::TERN_ISA {

extern const MatmulKernels matmul_kernels;

namespace {

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

void unpack_by_loops(const EncodedMatrix& w, int64_t row, int64_t rows, int64_t col, int64_t cols, float* out,
                     int64_t stride) {
  const EncodingInfo& info = encoding_info(w.encoding);
  const MatrixSize size = info.any_rank ? MatrixSize{1, w.rows * w.cols} : MatrixSize{w.rows, w.cols};
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < cols; ++j) {
      const int64_t r = info.any_rank ? 0 : row + i, c = info.any_rank ? (row + i) * w.cols + col + j : col + j;
      out[i * stride + j] = (float)(info.position ? load_element(w.dtype, w.data, info.position(size, r, c))
                                                  : info.load(size, w.data, r, c));
    }
}

// Runs of units that share their part of W: f(part, first row of x, rows).
template <class F>
void each_part(const EncodedArgs& a, int64_t begin, int64_t end, F f) {
  const int64_t blocks = ceil_div(a.m, kEncodedRows);
  while (begin < end) {
    const int64_t part = begin / blocks, first = begin % blocks, count = least(end - begin, blocks - first);
    f(part, first * kEncodedRows, least(count * kEncodedRows, a.m - first * kEncodedRows));
    begin += count;
  }
}

// Rows [begin, end) of W to panel order, all columns; `block` holds kEncodedDepth columns of them.
void unpack_panel(const EncodedArgs& a, int64_t begin, int64_t end, float* panel, float* block) {
  const int64_t rows = end - begin, width = panel_width(rows, 0);
  for (int64_t col = 0; col < a.w.cols; col += kEncodedDepth) {
    const int64_t cols = least(kEncodedDepth, a.w.cols - col);
    a.kernels->unpack(a.w, begin, rows, col, cols, block, kEncodedDepth);
    float* to = panel + col * width;
    matmul_kernels.transpose(block, kEncodedDepth, rows, cols, to, width);
    for (int64_t j = 0; rows < width && j < cols; ++j)
      for (int64_t i = rows; i < width; ++i) to[j * width + i] = 0;
  }
}

void matmul(const void* args, int64_t begin, int64_t end, void* scratch) {
  const EncodedArgs& a = *(const EncodedArgs*)args;
  each_part(a, begin, end, [&](int64_t part, int64_t first, int64_t rows) {
    const int64_t r0 = part * kEncodedTile, r1 = least(r0 + kEncodedTile, a.w.rows);
    const Epilogue e = epilogue_at(a.epilogue, first, r0);
    float* panel = (float*)scratch;
    unpack_panel(a, r0, r1, panel, panel + a.w.cols * kEncodedTile);
    const float* x = a.x + first * a.x_stride;
    PanelRows t;
    t.a = &x, t.run_length = a.w.cols, t.a_stride = a.x_stride, t.rows = rows;
    t.w = panel, t.n = t.n_end = r1 - r0, t.k = a.w.cols;
    t.y = a.y + first * a.y_stride + r0, t.y_stride = a.y_stride, t.epilogue = &e;
    matmul_kernels.panel_rows(t);
  });
}

void matmul_t(const void* args, int64_t begin, int64_t end, void* scratch) {
  const EncodedArgs& a = *(const EncodedArgs*)args;
  each_part(a, begin, end, [&](int64_t part, int64_t first, int64_t rows) {
    const int64_t c0 = part * kEncodedColumns, c1 = least(c0 + kEncodedColumns, a.w.cols);
    const Epilogue none;
    int64_t row = 0;
    do {  // at least once: W may have no rows
      const int64_t depth = least(kEncodedDepth, a.w.rows - row);
      float* panel = (float*)scratch;
      for (int64_t col = c0; col < c1; col += kEncodedTile) {  // rows of W are what panels have as columns
        const int64_t cols = least(kEncodedTile, c1 - col), width = panel_width(cols, 0);
        a.kernels->unpack(a.w, row, depth, col, cols, panel, width);
        for (int64_t i = 0; cols < width && i < depth; ++i)
          for (int64_t j = cols; j < width; ++j) panel[i * width + j] = 0;
        panel += depth * width;
      }
      const float* x = a.x + first * a.x_stride + row;
      PanelRows t;
      t.a = &x, t.run_length = depth, t.a_stride = a.x_stride, t.rows = rows;
      t.w = scratch, t.n = t.n_end = c1 - c0, t.k = depth;
      t.y = a.y + first * a.y_stride + c0, t.y_stride = a.y_stride, t.epilogue = &none;
      t.load_y = row > 0, t.store_sums = row + depth < a.w.rows;
      matmul_kernels.panel_rows(t);
      row += depth;
    } while (row < a.w.rows);
  });
}

}  // namespace

extern const EncodedProducts encoded_kernels;
const EncodedProducts encoded_kernels = {matmul, matmul_t, {.unpack = unpack_by_loops}};

}  // namespace tern::cpu::TERN_ISA
