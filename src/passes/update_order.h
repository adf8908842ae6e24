// SPDX-License-Identifier: Apache-2.0
// Gradients in the order of what they change.
#pragma once
#include "ops/op.h"

namespace tern {

// A result that only an update of an encoded parameter or state reads is written in that one's order (of the first, if
// it changes several), where the encoding is a permutation and both operators take it: the update is then a loop over
// storage.
void match_update_orders(Graph& g);

}  // namespace tern
