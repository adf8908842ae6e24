// SPDX-License-Identifier: Apache-2.0
// panel_int8: tiles are widened for the shared product; rows that are rounded to 16 bits have kernels of their own
// (rounded_int8.h).
#include "kernels/cpu/panel_codes.h"

namespace tern::cpu::TERN_ISA {

static constexpr PanelCodes kCodes{8, false};
extern const EncodedKernels enc_panel_int8_kernels;
const EncodedKernels enc_panel_int8_kernels = {.unpack = unpack_codes<8, false>, .codes = &kCodes};

}  // namespace tern::cpu::TERN_ISA
