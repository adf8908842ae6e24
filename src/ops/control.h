// SPDX-License-Identifier: Apache-2.0
// Operators with sub-graphs.
#pragma once
#include "ops/op.h"

namespace tern {

struct LoopAttrs {
  int64_t num_carried = 0;
  // 1: carried values may change their shape, and scanned values have as many rows as there were iterations. Such a
  // loop runs between plans (passes/specialize.h); where shapes are inferred without a run it made one iteration.
  int64_t grows = 0;
};

// What a plan joined. The sub-graph says all; the pattern tells a backend which kernel to look at.
enum class FusedPattern : int64_t {
  chain = 0,              // element-wise nodes of one shape (with broadcast operands)
  conv2d = 1,             // conv2d (+ batch norm) (+ bias) (+ add) + element-wise tail
  linear = 2,             // linear or matmul + element-wise tail
  inverted_residual = 3,  // rows streamed through 1x1 -> depthwise -> 1x1 (+ add)
  normalize = 4,          // a normalisation that was spelled out
  attention = 5,          // an attention that was spelled out
};
inline constexpr const char* kFusedPatterns[] = {"chain",     "conv2d",   "linear", "inverted_residual",
                                                 "normalize", "attention"};

struct FusedAttrs {
  int64_t pattern = 0;  // FusedPattern
};
inline bool is_fused(const Node& n, FusedPattern pattern) {
  return n.subgraphs.size() == 1 && std::string_view(n.op->name) == "fused" &&
         n.attrs<FusedAttrs>().pattern == (int64_t)pattern;
}

}  // namespace tern
