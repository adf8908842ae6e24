// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ops/op.h"

namespace tern {

struct QuantizeLinearAttrs {
  int64_t axis = 1;                // of the scales, where there is more than one
  int64_t dtype = TERN_DTYPE_U8;   // of the result: TERN_DTYPE_U8 or TERN_DTYPE_I8
};
struct DequantizeLinearAttrs {
  int64_t axis = 1;
};

}  // namespace tern
