// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>

#include "ops/op.h"

namespace tern {

struct AttentionAttrs {
  double scale = 0;  // of the products q.k; 0 = 1 / sqrt(dim)
  int64_t causal = 0;
};

inline constexpr AttrField kAttentionFields[] = {TERN_ATTR(AttentionAttrs, scale, number, -1e6, 1e6),
                                                 TERN_ATTR(AttentionAttrs, causal, integer, 0, 1)};

// The inputs of attention in f32 or wider, [batch, heads, ..], or [batch, kv_heads, heads of a group, ..] where heads
// share keys; q times `scale`; weights [.., tokens, kv_tokens].
struct AttentionParts {
  double scale;
  ValueId q, k, v, weights;
};
// a: a node of attention, or with its inputs. All kNoValue on failure.
AttentionParts attention_parts(DecomposeArgs& a);
// The gradient of the scores, like the weights, from the gradient of the result. The mask's is the same, summed.
ValueId attention_scores_grad(Graph& g, const AttentionParts& p, ValueId dy);

}  // namespace tern
