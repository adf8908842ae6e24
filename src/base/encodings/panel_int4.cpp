// SPDX-License-Identifier: Apache-2.0
// panel_int4: 4 bits and a scale for 32 numbers, in panels (encodings/panel_codes.h). The value's dtype is f32.
#include "base/encodings/panel_codes.h"

namespace tern {
namespace {

// The number of the largest magnitude becomes -8 steps. Numbers that lie on some other grid of at most 16 steps, as
// those of a quantised model do, stay what they are.
void encode_block(const float* x, int n, CodedBlock* b) {
  float most = 0;
  for (int i = 0; i < n; ++i)
    if (std::fabs(x[i]) > std::fabs(most)) most = x[i];  // not a NaN
  float step = most / -8, lost = INFINITY;
  for (int q = -8; q < 8 && most != 0; ++q) {
    const float grid = most / (float)q, loses = lost_as_f16(grid) / std::fabs(grid);
    if (q == 0 || !(loses < lost) || !lie_on(x, n, -8 * grid, grid)) continue;
    step = grid, lost = loses;
  }
  b->scale = finite_f16(step);
  step = f16_to_f32(b->scale);
  for (int i = 0; i < (int)kCodedBlock; ++i) b->codes[i] = i < n && step != 0 ? nearest_code(x[i] / step + 8, 8) : 8;
}

void encode_row(MatrixSize size, const float* row, int64_t i, void* data) {
  panel_codes_encode_row<4, false>(size, row, i, data, encode_block);
}

}  // namespace

extern constinit const EncodingInfo encoding_panel_int4 = {.name = "panel_int4",
                                                           .dtypes = 1u << TERN_DTYPE_F32,
                                                           .bytes = panel_codes_bytes<4, false>,
                                                           .load = panel_codes_load<4, false>,
                                                           .encode_row = encode_row};

}  // namespace tern
