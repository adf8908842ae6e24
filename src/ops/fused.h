// SPDX-License-Identifier: Apache-2.0
// What a plan joined, so that a backend computes it in one pass. The sub-graph says all; the attributes say what a
// kernel needs to know of it, so that nobody looks through its nodes again.
#pragma once
#include "ops/op.h"
#include "ops/ops_generated.h"

namespace tern {

enum class FusedPattern : int64_t {
  chain = 0,              // element-wise nodes of one shape (with broadcast operands)
  product = 1,            // conv2d, conv_transpose2d or linear, and element-wise steps behind it
  inverted_residual = 2,  // rows streamed through 1x1 -> depthwise -> 1x1, each a product or a fused one
  int8_product = 3,       // a product of codes or of dequantised ones, and steps up to what quantises its result
};
inline constexpr const char* kFusedPatterns[] = {"chain", "product", "inverted_residual", "int8_product"};

// What a node behind a product does to the result so far. The steps are in this order, with one residual at most:
//   sums* -> [residual] -> [activation -> result*] -> [residual -> [clip]]
enum class Place : uint8_t {
  sums,        // a scale or a shift per channel (the last dim) of sums: add, mul or batch_norm
  result,      // the same of the activation's result
  activation,  // any element-wise operator of one operand, or prelu with a slope per channel
  residual,    // add of a tensor of the same shape
  clip,        // relu or clip behind a residual that an activation precedes
};

struct FusedAttrs {
  static constexpr size_t kMostAffine = 7;  // steps per channel, before and behind the activation each
  static constexpr size_t kMostNodes = 2 * kMostAffine + 4;
  int64_t pattern = 0;            // FusedPattern
  Place places[kMostNodes] = {};  // product: of each node of the sub-graph; the first's is not used
};

inline bool is_fused(const Node& n, FusedPattern pattern) {
  return n.op == &op_fused && n.subgraphs.size() == 1 && n.attrs<FusedAttrs>().pattern == (int64_t)pattern;
}

}  // namespace tern
