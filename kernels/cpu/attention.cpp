// SPDX-License-Identifier: Apache-2.0
// Keys are taken 64 at a time: transposed once for the 16 queries of a unit, so that a vector holds the scores of
// neighbouring keys and every score is one sum over dim in order. The running maximum, the sum of weights and the
// weighted sum of values are rescaled when the maximum grows. A query's arithmetic is the same alone or in a tile.
#include "kernels/cpu/attention.h"

#include "kernels/cpu/online_softmax.h"

namespace tern::cpu::TERN_ISA {
namespace {

constexpr int kQueries = (int)kAttentionQueries, kKeys = (int)kAttentionKeys;
constexpr int kTile = 4;                      // queries side by side in registers
constexpr int kPairs = kKeys / (2 * kLanes);  // pairs of score vectors

struct State {  // of the queries of a unit
  float greatest[kQueries], sum[kQueries];
  int64_t limit[kQueries];  // keys that the query sees
};

// keys[d][j] = k[j][d]; keys past n are zero.
void transpose_keys(const float* k, int64_t stride, int64_t dim, int n, float* keys) {
  for (int64_t d = 0; d < dim; d += 8) {
    const int64_t width = dim - d < 8 ? dim - d : 8;
    for (int j = 0; j < n; ++j)
      for (int64_t i = 0; i < width; ++i) keys[(d + i) * kKeys + j] = k[j * stride + d + i];
    for (int64_t i = 0; i < width; ++i)
      for (int j = n; j < kKeys; ++j) keys[(d + i) * kKeys + j] = 0;
  }
}

template <int tile>
void score_tile(const float* q, int64_t q_stride, const float* keys, int64_t dim, float scale, float* scores) {
  for (int pair = 0; pair < kPairs; ++pair) {
    Vec s[tile][2];
    for (int t = 0; t < tile; ++t) s[t][0] = s[t][1] = splat(0.0f);
    const float* k = keys + pair * 2 * kLanes;
    for (int64_t d = 0; d < dim; ++d, k += kKeys) {
      const Vec k0 = load(k), k1 = load(k + kLanes);
      for (int t = 0; t < tile; ++t) {
        const Vec v = splat(q[t * q_stride + d]);
        s[t][0] = fma(v, k0, s[t][0]);
        s[t][1] = fma(v, k1, s[t][1]);
      }
    }
    for (int t = 0; t < tile; ++t) {
      store(scores + t * kKeys + pair * 2 * kLanes, s[t][0] * splat(scale));
      store(scores + t * kKeys + pair * 2 * kLanes + kLanes, s[t][1] * splat(scale));
    }
  }
}

// Turns the scores of the n seen keys into weights relative to the running maximum; returns the factor for what was
// summed before. The weights of the other keys become zero.
float weigh(float* scores, int n, const float* mask, float* greatest, float* sum) {
  for (int j = n; j < kKeys; ++j) scores[j] = -__builtin_inff();
  if (mask)
    for (int j = 0; j < n; ++j) scores[j] += mask[j];
  return weigh_scores<kKeys>(scores, greatest, sum);
}

// sums[t][:] = sums[t][:] * factor[t] + sum over j < n of weights[t][j] * v[j][:], in the order of j.
template <int tile>
void add_values(const float* weights, const float* factor, const float* v, int64_t stride, int n, int64_t dim,
                int64_t sums_stride, float* sums) {
  int64_t d = 0;
  for (; d + 2 * kLanes <= dim; d += 2 * kLanes) {
    Vec s[tile][2];
    for (int t = 0; t < tile; ++t)
      for (int i = 0; i < 2; ++i) s[t][i] = load(sums + t * sums_stride + d + i * kLanes) * splat(factor[t]);
    const float* p = v + d;
    for (int j = 0; j < n; ++j, p += stride) {
      const Vec v0 = load(p), v1 = load(p + kLanes);
      for (int t = 0; t < tile; ++t) {
        const Vec w = splat(weights[t * kKeys + j]);
        s[t][0] = fma(w, v0, s[t][0]);
        s[t][1] = fma(w, v1, s[t][1]);
      }
    }
    for (int t = 0; t < tile; ++t)
      for (int i = 0; i < 2; ++i) store(sums + t * sums_stride + d + i * kLanes, s[t][i]);
  }
  for (; d < dim; d += kLanes) {
    const int left = dim - d < kLanes ? (int)(dim - d) : kLanes;
    Vec s[tile];
    for (int t = 0; t < tile; ++t) s[t] = load(sums + t * sums_stride + d) * splat(factor[t]);
    const float* p = v + d;
    for (int j = 0; j < n; ++j, p += stride) {
      const Vec v0 = left == kLanes ? load(p) : load_part(p, left);
      for (int t = 0; t < tile; ++t) s[t] = fma(splat(weights[t * kKeys + j]), v0, s[t]);
    }
    for (int t = 0; t < tile; ++t) store(sums + t * sums_stride + d, s[t]);  // rows are padded to whole vectors
  }
}

void attention(const void* args, int64_t begin, int64_t end, void* scratch) {
  const AttentionArgs& a = *(const AttentionArgs*)args;
  const int64_t blocks = (a.tokens + kQueries - 1) / kQueries, sums_stride = (a.v_dim + 15) / 16 * 16;
  float* keys = (float*)scratch;
  float* scores = keys + a.dim * kKeys;
  float* sums = scores + kQueries * kKeys;
  // A length beyond the keys still says where the queries stand; from all on it makes no difference.
  const int64_t given = a.kv_valid ? *a.kv_valid : a.kv_tokens, all = a.kv_tokens + a.tokens;
  const int64_t length = given < 0 ? 0 : given < all ? given : all, valid = length < a.kv_tokens ? length : a.kv_tokens;
  const int64_t position = a.position ? *a.position : length - a.tokens;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t first = u % blocks * kQueries, head = u / blocks % a.heads, batch = u / blocks / a.heads;
    const int64_t kv_head = head / (a.heads / a.kv_heads);
    const int queries = (int)(a.tokens - first < kQueries ? a.tokens - first : kQueries);
    const float* q = a.q + batch * a.q_batch + head * a.q_head + first * a.q_token;
    const float* k = a.k + batch * a.k_batch + kv_head * a.k_head;
    const float* v = a.v + batch * a.v_batch + kv_head * a.v_head;
    const float* mask = a.mask ? a.mask + batch * a.mask_batch + head * a.mask_head + first * a.mask_token : nullptr;
    float* y = a.y + batch * a.y_batch + head * a.y_head + first * a.y_token;
    State state;
    int64_t most = 0;
    for (int i = 0; i < queries; ++i) {
      state.greatest[i] = -__builtin_inff();
      state.sum[i] = 0;
      int64_t limit = valid;
      if (a.causal) limit = position + first + i + 1 < valid ? position + first + i + 1 : valid;
      state.limit[i] = limit < 0 ? 0 : limit;
      if (state.limit[i] > most) most = state.limit[i];
      for (int64_t d = 0; d < sums_stride; ++d) sums[i * sums_stride + d] = 0;
    }
    for (int64_t start = 0; start < most; start += kKeys) {
      const int n = (int)(most - start < kKeys ? most - start : kKeys);
      transpose_keys(k + start * a.k_token, a.k_token, a.dim, n, keys);
      float factor[kQueries];
      int seen[kQueries];
      for (int i = 0; i < queries;) {
        const int tile = queries - i >= kTile ? kTile : 1;
        if (tile == kTile) score_tile<kTile>(q + i * a.q_token, a.q_token, keys, a.dim, a.scale, scores + i * kKeys);
        else score_tile<1>(q + i * a.q_token, a.q_token, keys, a.dim, a.scale, scores + i * kKeys);
        for (int t = i; t < i + tile; ++t) {
          const int64_t left = state.limit[t] - start;
          seen[t] = left < 0 ? 0 : left < n ? (int)left : n;
          factor[t] = seen[t] == 0
                          ? 1.0f
                          : weigh(scores + t * kKeys, seen[t], mask ? mask + t * a.mask_token + start : nullptr,
                                  &state.greatest[t], &state.sum[t]);
        }
        i += tile;
      }
      const float* values = v + start * a.v_token;
      for (int i = 0; i < queries;) {
        const bool even =
            queries - i >= kTile && seen[i] == n && seen[i + 1] == n && seen[i + 2] == n && seen[i + 3] == n;
        float* to = sums + i * sums_stride;
        if (even) add_values<kTile>(scores + i * kKeys, factor + i, values, a.v_token, n, a.v_dim, sums_stride, to);
        else if (seen[i] > 0)
          add_values<1>(scores + i * kKeys, factor + i, values, a.v_token, seen[i], a.v_dim, sums_stride, to);
        i += even ? kTile : 1;
      }
    }
    for (int i = 0; i < queries; ++i) {
      const Vec scale = splat(state.sum[i] > 0 ? 1.0f / state.sum[i] : state.sum[i] == 0 ? 0.0f : state.sum[i]);
      for (int64_t d = 0; d < a.v_dim; d += kLanes) {
        const int left = a.v_dim - d < kLanes ? (int)(a.v_dim - d) : kLanes;
        store_part(y + i * a.y_token + d, load(sums + i * sums_stride + d) * scale, left);
      }
    }
  }
}

}  // namespace

extern const AttentionKernels attention_kernels;
const AttentionKernels attention_kernels = {attention};

}  // namespace tern::cpu::TERN_ISA
