// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ops/op.h"

namespace tern {

struct GatherAttrs {  // gather, gather_elements
  int64_t axis = 0;
};

struct GatherNdAttrs {
  int64_t batch_dims = 0;
};

// gather_grad: dim = size of the axis of the tensor that was gathered from
struct GatherGradAttrs {
  int64_t axis = 0, dim = 0;
};

}  // namespace tern
