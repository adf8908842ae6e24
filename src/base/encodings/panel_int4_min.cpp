// SPDX-License-Identifier: Apache-2.0
// panel_int4_min: 4 bits, a scale and a least value for 32 numbers, in panels (encodings/panel_codes.h). The value's
// dtype is f32.
#include "base/encodings/panel_codes.h"

namespace tern {
namespace {

// 15 steps from the least to the greatest number; fewer, where all numbers lie on such a grid, as those of a quantised
// model do: they stay what they are.
void encode_block(const float* x, int n, CodedBlock* b) {
  const float most = 65504.0f * 8;
  float least = most, greatest = -most;
  for (int i = 0; i < n; ++i) {
    least = x[i] < least ? x[i] : least;  // not a NaN
    greatest = x[i] > greatest ? x[i] : greatest;
  }
  if (least > greatest) least = greatest = 0;
  least = least < -most ? -most : least, greatest = greatest > most ? most : greatest;
  const float range = greatest - least, first = least;
  float step = range / 15, lost = INFINITY;
  for (int steps = 15; steps > 0 && range > 0; --steps) {
    const float grid = range / (float)steps;
    if (!lie_on(x, n, first, grid)) continue;
    for (int code = 0; code + steps <= 15; ++code) {  // of the least number
      const float from = first - (float)code * grid,
                  loses = lost_as_f16(grid) * (float)(code + steps) + lost_as_f16(from);
      if (loses < lost) step = grid, least = from, lost = loses;
    }
  }
  b->scale = finite_f16(step), b->least = finite_f16(least);
  step = f16_to_f32(b->scale), least = f16_to_f32(b->least);
  const int zero = step > 0 ? nearest_code(-least / step, 0) : 0;
  for (int i = 0; i < (int)kCodedBlock; ++i)
    b->codes[i] = i < n && step > 0 ? nearest_code((x[i] - least) / step, zero) : (uint8_t)0;
}

void encode_row(MatrixSize size, const float* row, int64_t i, void* data) {
  panel_codes_encode_row<4, true>(size, row, i, data, encode_block);
}

}  // namespace

extern constinit const EncodingInfo encoding_panel_int4_min = {.name = "panel_int4_min",
                                                               .dtypes = 1u << TERN_DTYPE_F32,
                                                               .bytes = panel_codes_bytes<4, true>,
                                                               .load = panel_codes_load<4, true>,
                                                               .encode_row = encode_row};

}  // namespace tern
