// SPDX-License-Identifier: Apache-2.0
// panel_int8: 8 bits and a scale for 32 numbers, in panels (encodings/panel_codes.h). The value's dtype is f32.
#include "base/encodings/block_int8.h"
#include "base/encodings/panel_codes.h"

namespace tern {
namespace {

void encode_block(const float* x, int n, CodedBlock* b) { block_int8_encode_row(x, n, (int8_t*)b->codes, &b->scale); }

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
