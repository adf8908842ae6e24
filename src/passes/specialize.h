// SPDX-License-Identifier: Apache-2.0
// From the canonical graph of a signature to the graph of a plan: all dims fixed, everything that follows from constants
// and dims computed.
#pragma once
#include "ops/op.h"

namespace tern {

// input_shapes: one per canonical.inputs (scalars: rank 0). Shapes are inferred anew; values whose content is known become
// constants and the nodes that computed them are gone, as far as out->budget lasts, of which the rest stays there. Fails
// where an operator refuses the shapes.
tern_status specialize(const Graph& canonical, std::span<const Shape> input_shapes, Graph* out);

}  // namespace tern
