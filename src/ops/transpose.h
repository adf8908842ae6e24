// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ops/op.h"

namespace tern {

struct TransposeAttrs {
  IntList permutation;  // y's axis i is x's axis permutation[i]; empty reverses the axes
};

}  // namespace tern
