// SPDX-License-Identifier: Apache-2.0
// panel_int8: 8 bits and a scale for 32 numbers, in panels (encodings/panel_codes.h). The value's dtype is f32.
#include "base/encodings/panel_codes.h"

namespace tern {
namespace {

// Scale = max|w| / 127, rounded to f16 before the codes are taken; a block of zeros has scale 0.
void encode_block(const float* x, int n, CodedBlock* b) {
  float greatest = 0;
  for (int i = 0; i < n; ++i) greatest = std::fmax(greatest, std::fabs(x[i]));
  b->scale = finite_f16(greatest / 127.0f);
  const float scale = f16_to_f32(b->scale);
  for (int i = 0; i < (int)kCodedBlock; ++i) {
    const float q = i < n && scale > 0 && x[i] == x[i] ? std::nearbyint(x[i] / scale) : 0.0f;
    b->codes[i] = (uint8_t)(int8_t)(q > 127 ? 127 : q < -127 ? -127 : q);
  }
}

void encode_row(MatrixSize size, const float* row, int64_t i, void* data) {
  panel_codes_encode_row<8, false>(size, row, i, data, encode_block);
}

}  // namespace

extern constinit const EncodingInfo encoding_panel_int8 = {.name = "panel_int8",
                                                           .dtypes = 1u << TERN_DTYPE_F32,
                                                           .bytes = panel_codes_bytes<8, false>,
                                                           .load = panel_codes_load<8, false>,
                                                           .encode_row = encode_row};

}  // namespace tern
