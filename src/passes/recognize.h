// SPDX-License-Identifier: Apache-2.0
// Finds operators that a model spells out in smaller ones.
#pragma once
#include "ops/op.h"

namespace tern {

// hard_sigmoid, hard_swish, silu and prelu from their usual spellings. The results differ from the spelled-out form by
// rounding only.
void recognize_activations(Graph& g);

}  // namespace tern
