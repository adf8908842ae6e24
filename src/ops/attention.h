// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ops/op.h"

namespace tern {

struct AttentionAttrs {
  double scale = 0;  // of the products q.k; 0 = 1 / sqrt(dim)
  int64_t causal = 0;
};

}  // namespace tern
