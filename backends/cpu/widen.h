// SPDX-License-Identifier: Apache-2.0
// Computes in f32 what has no kernels in f16 and bf16.
#pragma once
#include "graph/graph.h"

namespace tern::cpu {

// Nodes that kernels do not take in f16 or bf16 get f32 instead, and what lies between them is never rounded: only what
// such nodes give to others (outputs, states, nodes that stay as they are). Weights of products stay as they are, and
// so does a cast to f16 or bf16 that the model itself has.
void widen_halves(Graph& g);

}  // namespace tern::cpu
