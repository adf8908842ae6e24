// SPDX-License-Identifier: Apache-2.0
// Convolutions and matrix products with their epilogue, as backends read them.
#pragma once
#include "ops/fused.h"

namespace tern {

// A product (conv2d, linear, ...) with what was fused behind it (Place), in terms of the plan's graph.
struct Product {
  // A step per channel (the last dim): mul by a, add a, or batch_norm with scale a, bias b, mean c, variance d.
  struct Affine {
    enum Kind : uint8_t { mul, add, batch_norm } kind;
    ValueId a, b, c, d;
    double epsilon;
  };

  const Node* node = nullptr;              // the product itself
  const Graph* graph = nullptr;            // where its values live: the plan's or a sub-graph
  std::vector<ValueId> outer;              // per value of `graph`: the plan's value, or kNoValue
  Shape shape;                             // of the result
  std::vector<Affine> affine, out_affine;  // of the sums and of the activation's result; operands are the plan's values
  ValueId bias = kNoValue, residual = kNoValue, slope = kNoValue;  // slope: of prelu
  bool residual_first = false;                                     // before the activation
  ElementwiseStep activation, last_clip;                           // kind none: there is none

  ValueId in(int i) const {
    return i < (int)node->in.size() && node->in[(size_t)i] != kNoValue ? outer[(size_t)node->in[(size_t)i]] : kNoValue;
  }
};

// Reads a plain product node or a fused one. `outer` maps the values of the graph that holds `n` (empty: the plan's
// graph).
Product read_product(const Graph& g, const Node& n, const std::vector<ValueId>& outer = {});

}  // namespace tern
