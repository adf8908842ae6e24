// SPDX-License-Identifier: Apache-2.0
// row_int8: tiles are widened for the shared product.
#include "base/encodings/coded_rows.h"
#include "kernels/cpu/encoded.h"
#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {
namespace {

void unpack(const EncodedMatrix& w, int64_t row, int64_t rows, int64_t col, int64_t cols, float* out, int64_t stride) {
  int64_t offset = 0, bytes = 0;
  coded_rows_layout(w.rows, w.cols, sizeof(float), &offset, &bytes);
  const float* scales = (const float*)((const char*)w.data + offset) + row;
  for (int64_t i = 0; i < rows; ++i, out += stride) {
    const int8_t* codes = (const int8_t*)w.data + (row + i) * w.cols + col;
    const Vec scale = splat(scales[i]);
    int64_t j = 0;
    for (; j + kLanes <= cols; j += kLanes) store(out + j, load_codes(codes + j) * scale);
    for (; j < cols; ++j) out[j] = (float)codes[j] * scales[i];
  }
}

}  // namespace

extern const EncodedKernels enc_row_int8_kernels;
const EncodedKernels enc_row_int8_kernels = {.unpack = unpack};

}  // namespace tern::cpu::TERN_ISA
