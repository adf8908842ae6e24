// SPDX-License-Identifier: Apache-2.0
// plain: rows of f32, or of f16 and bf16 that are widened.
#include <string.h>

#include "kernels/cpu/encoded.h"
#include "kernels/cpu/matmul.h"

namespace tern::cpu::TERN_ISA {

extern const MatmulKernels matmul_kernels;

namespace {

void unpack(const EncodedMatrix& w, int64_t row, int64_t rows, int64_t col, int64_t cols, float* out, int64_t stride) {
  for (int64_t i = 0; i < rows; ++i, out += stride) {
    const int64_t at = (row + i) * w.cols + col;
    if (w.dtype == TERN_DTYPE_F32) memcpy(out, (const float*)w.data + at, (size_t)cols * sizeof(float));
    else matmul_kernels.widen(half_of(w.dtype), (const uint16_t*)w.data + at, out, cols);
  }
}

}  // namespace

extern const EncodedKernels enc_plain_kernels;
const EncodedKernels enc_plain_kernels = {.unpack = unpack};

}  // namespace tern::cpu::TERN_ISA
