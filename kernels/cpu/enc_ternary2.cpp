// SPDX-License-Identifier: Apache-2.0
// ternary2: tiles are widened for the shared product; rows that are rounded to 8 bits have kernels of their own
// (ternary_int8.h).
#include "base/encodings/ternary2.h"
#include "kernels/cpu/encoded.h"
#include "kernels/cpu/simd.h"

namespace tern::cpu::TERN_ISA {
namespace {

void unpack(const EncodedMatrix& m, int64_t row, int64_t rows, int64_t col, int64_t cols, float* out, int64_t stride) {
  const Ternary w = ternary_view(m.data, m.rows, m.cols);
  for (int64_t i = 0; i < rows; ++i, out += stride)
    for (int64_t j = 0; j < cols; j += 4) {
      const uint8_t* bytes = w.codes + ternary_byte(w.lines, row + i, col + j);
      const int shift = ternary_shift(col + j), n = cols - j < 4 ? (int)(cols - j) : 4;
      for (int k = 0; k < n; ++k) out[j + k] = (float)ternary_value(bytes[k], shift) * w.scales[row + i];
    }
}

}  // namespace

extern const EncodedKernels enc_ternary2_kernels;
const EncodedKernels enc_ternary2_kernels = {.unpack = unpack, .ternary = true};

}  // namespace tern::cpu::TERN_ISA
