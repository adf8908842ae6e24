// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ops/op.h"

namespace tern {

struct MatmulAttrs {
  int64_t transpose_a = 0, transpose_b = 0;  // swap the last two dims; not for rank 1
};

}  // namespace tern
