// SPDX-License-Identifier: Apache-2.0
// Scaled dot-product attention, streamed over the keys: no matrix of scores is stored.
#pragma once
#include "kernels/cpu/kernel.h"
#include "kernels/cpu/strides.h"

namespace tern::cpu {

constexpr int64_t kAttentionQueries = 16;  // queries of one unit
constexpr int64_t kAttentionKeys = 64;     // keys taken in one step

// y[b, h, i, :] = sum over j of softmax_j(q[b, h, i, :] . k[b, g, j, :] * scale + mask[b, h, i, j]) * v[b, g, j, :],
// with g = h / (heads / kv_heads), f32. Strides in floats from one batch / head / token to the next; the last dim is
// contiguous. mask: NULL, or strides may be 0 to broadcast, the key stride is 1; -inf hides a key.
// Keys j >= *kv_valid are not read (NULL: all kv_tokens). causal: query i sees the keys j <= *position + i (NULL:
// position = valid - tokens). kv_valid and position are read when the kernel runs, one value for the whole batch.
// A query that sees no key gives zeros. A query's result does not depend on the other queries of the call, nor on keys
// beyond its valid or causal limit, in any bit (a key that only the mask hides must hold finite values).
// Units: batch * heads * blocks of kAttentionQueries queries. Scratch: attention_scratch bytes.
// Cost per unit: 2 * 16 * keys * (dim + v_dim) flop.
struct AttentionArgs {
  const float* q = nullptr;
  const float* k = nullptr;
  const float* v = nullptr;
  const float* mask = nullptr;
  float* y = nullptr;
  int64_t batch = 0, heads = 0, kv_heads = 1, tokens = 0, kv_tokens = 0, dim = 0, v_dim = 0;
  int64_t q_batch = 0, q_head = 0, q_token = 0;
  int64_t k_batch = 0, k_head = 0, k_token = 0;
  int64_t v_batch = 0, v_head = 0, v_token = 0;
  int64_t y_batch = 0, y_head = 0, y_token = 0;
  int64_t mask_batch = 0, mask_head = 0, mask_token = 0;
  float scale = 1;
  int32_t causal = 0;
  const int64_t* kv_valid = nullptr;
  const int64_t* position = nullptr;
};
inline int64_t units(const AttentionArgs& a) { return a.batch * a.heads * ceil_div(a.tokens, kAttentionQueries); }
inline size_t attention_scratch(const AttentionArgs& a) {  // keys transposed, scores, sums
  return (size_t)((a.dim + kAttentionQueries) * kAttentionKeys + kAttentionQueries * (a.v_dim + 16)) * sizeof(float);
}

struct AttentionKernels {
  KernelFn attention;  // AttentionArgs
};

}  // namespace tern::cpu
