// SPDX-License-Identifier: Apache-2.0
// Convolutions and matrix products with their epilogue, as backends read them.
#pragma once
#include "passes/epilogue.h"

namespace tern {

// A product (conv2d, linear, ...) with what was fused behind it, in terms of the plan's graph.
struct Product {
  const Node* node = nullptr;                             // the product itself
  const Graph* graph = nullptr;                           // where its values live: the plan's or a sub-graph
  std::vector<ValueId> outer;                             // per value of `graph`: the plan's value, or kNoValue
  Shape shape;                                            // of the result
  std::vector<EpilogueMatch::Affine> affine, out_affine;  // operands are values of the plan
  ValueId bias = kNoValue, residual = kNoValue, slope = kNoValue;
  bool residual_first = false;
  const Node* activation = nullptr;
  const Node* last_clip = nullptr;

  ValueId in(int i) const {
    return i < (int)node->in.size() && node->in[(size_t)i] != kNoValue ? outer[(size_t)node->in[(size_t)i]] : kNoValue;
  }
};

// Reads a plain product node or a fused one. `outer` maps the values of the graph that holds `n` (empty: the plan's
// graph).
// False if the chain is not one that kernels know.
bool read_product(const Graph& g, const Node& n, const std::vector<ValueId>& outer, Product* out);

}  // namespace tern
