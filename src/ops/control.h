// SPDX-License-Identifier: Apache-2.0
// Operators with sub-graphs.
#pragma once
#include "ops/op.h"

namespace tern {

struct LoopAttrs {
  int64_t num_carried = 0;
  // 1: carried values may change their shape, and scanned values have as many rows as there were iterations. Such a
  // loop runs between plans (passes/specialize.h); where shapes are inferred without a run it made one iteration.
  int64_t grows = 0;
};

}  // namespace tern
