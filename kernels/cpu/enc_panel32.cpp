// SPDX-License-Identifier: Apache-2.0
// panel32: products read the panels as they lie; tiles are turned back into rows.
#include "kernels/cpu/encoded.h"
#include "kernels/cpu/matmul.h"

namespace tern::cpu::TERN_ISA {

extern const MatmulKernels matmul_kernels;

namespace {

void unpack(const EncodedMatrix& w, int64_t row, int64_t rows, int64_t col, int64_t cols, float* out, int64_t stride) {
  constexpr int64_t kCols = 32;  // of 16-bit numbers that are widened at a time
  alignas(64) float wide[kCols * kPanelWidth];
  while (rows > 0) {
    const int64_t n0 = row / kPanelWidth * kPanelWidth, width = panel_width(w.rows, n0), in_panel = row - n0,
                  here = rows < kPanelWidth - in_panel ? rows : kPanelWidth - in_panel, at = n0 * w.cols + col * width;
    if (w.dtype == TERN_DTYPE_F32) {
      matmul_kernels.transpose((const float*)w.data + at + in_panel, width, cols, here, out, stride);
    } else {
      for (int64_t j = 0; j < cols; j += kCols) {
        const int64_t n = cols - j < kCols ? cols - j : kCols;
        matmul_kernels.widen(half_of(w.dtype), (const uint16_t*)w.data + at + j * width, wide, n * width);
        matmul_kernels.transpose(wide + in_panel, width, n, here, out + j, stride);
      }
    }
    row += here, rows -= here, out += here * stride;
  }
}

}  // namespace

extern const EncodedKernels enc_panel32_kernels;
const EncodedKernels enc_panel32_kernels = {.unpack = unpack, .panels = true};

}  // namespace tern::cpu::TERN_ISA
