// SPDX-License-Identifier: Apache-2.0
// Gradients of attention (attention.h): the weights are computed again, 32 queries at a time; the scores of all queries
// are never stored.
#pragma once
#include "kernels/cpu/kernel.h"

namespace tern::cpu {

constexpr int64_t kAttentionGradQueries = 32;

// f32, dense: q, dq [batch, heads, tokens, dim]; dy [batch, heads, tokens, v_dim]; k, dk [batch, kv_heads, kv_tokens,
// dim]; v, dv [batch, kv_heads, kv_tokens, v_dim]. mask, its strides, scale, causal and kv_valid are as in
// AttentionArgs, with the position valid - tokens.
// Blocks of queries, those of all heads that share keys, are cut into `segments`, as many as the shape says; dk and dv
// are summed in order within a segment, then the segments.
struct AttentionGradArgs {
  const float *q = nullptr, *k = nullptr, *v = nullptr, *dy = nullptr, *mask = nullptr;
  float *dq = nullptr, *dk = nullptr, *dv = nullptr;
  float* partial = nullptr;  // [segments][k then v]; NULL if segments = 1
  int64_t batch = 0, heads = 0, kv_heads = 1, tokens = 0, kv_tokens = 0, dim = 0, v_dim = 0;
  int64_t mask_batch = 0, mask_head = 0, mask_token = 0;
  float scale = 1;
  int32_t causal = 0;
  const int64_t* kv_valid = nullptr;
};
static inline int64_t attention_grad_blocks(const AttentionGradArgs& a) {  // of those that share keys
  return a.heads / a.kv_heads * ((a.tokens + kAttentionGradQueries - 1) / kAttentionGradQueries);
}
static inline int64_t attention_grad_segments(const AttentionGradArgs& a) {
  const int64_t groups = a.batch * a.kv_heads, wanted = (7 + groups) / groups, blocks = attention_grad_blocks(a);
  return wanted < blocks ? wanted : blocks > 1 ? blocks : 1;
}
static inline int64_t attention_grad_elements(const AttentionGradArgs& a) {  // of dk and dv
  return a.batch * a.kv_heads * a.kv_tokens * (a.dim + a.v_dim);
}
inline size_t attention_grad_scratch(const AttentionGradArgs& a) {  // weights, their gradients, q and dy transposed
  return (size_t)((2 * a.kv_tokens + a.dim + a.v_dim) * kAttentionGradQueries) * sizeof(float);
}
constexpr int64_t kAttentionGradJoin = 4096;  // elements of a unit of `join`

struct AttentionGradKernels {
  static constexpr Capability capability = Capability::training;
  KernelFn blocks;  // AttentionGradArgs. Units: batch * kv_heads * segments
  KernelFn join;    // dk and dv from partial. Units: elements / kAttentionGradJoin, rounded up
};

}  // namespace tern::cpu
