// SPDX-License-Identifier: Apache-2.0
// Scores lie transposed, [keys][queries]: the lanes of a vector are neighbouring queries, so the sums over keys of a
// softmax and of its gradient need no sum across lanes, and all five products read one operand as scalars and the other
// as rows.
#include "kernels/cpu/attention_grad.h"

#include "kernels/cpu/math.h"

namespace tern::cpu::TERN_ISA {
namespace {

constexpr int kQueries = (int)kAttentionGradQueries;

struct Product {  // c[m][n] (+)= factor * sum over k of a[m * a_row + k * a_step] * b[k * b_row + n]
  const float *a, *b;
  float* c;
  int64_t a_row, a_step, b_row, c_row, m, n, k;
  float factor;
  bool adds;
};

template <int rows, int vectors>
TERN_INLINE void product_tile(const Product& p, int64_t row, int64_t col, int lanes) {
  const auto read = [&](const float* x) __attribute__((always_inline)) {
    return vectors > 1 || lanes == kLanes ? load(x) : load_part(x, lanes);
  };
  Vec s[rows][vectors];
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) s[r][v] = splat(0.0f);
  const float *a = p.a + row * p.a_row, *b = p.b + col;
  for (int64_t k = 0; k < p.k; ++k, a += p.a_step, b += p.b_row) {
    Vec x[vectors];
    for (int v = 0; v < vectors; ++v) x[v] = read(b + v * kLanes);
    for (int r = 0; r < rows; ++r) {
      const Vec y = splat(a[r * p.a_row]);
      for (int v = 0; v < vectors; ++v) s[r][v] = fma(y, x[v], s[r][v]);
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) {
      float* c = p.c + (row + r) * p.c_row + col + v * kLanes;
      Vec y = s[r][v] * splat(p.factor);
      if (p.adds) y += read(c);
      vectors > 1 || lanes == kLanes ? store(c, y) : store_part(c, y, lanes);
    }
}

template <int vectors>
TERN_INLINE void product_columns(const Product& p, int64_t col, int lanes) {
  int64_t row = 0;
  for (; row + 4 <= p.m; row += 4) product_tile<4, vectors>(p, row, col, lanes);
  for (; row < p.m; ++row) product_tile<1, vectors>(p, row, col, lanes);
}

__attribute__((noinline)) void product(const Product& p) {
  int64_t col = 0;
  for (; col + 2 * kLanes <= p.n; col += 2 * kLanes) product_columns<2>(p, col, kLanes);
  for (; col < p.n; col += kLanes) product_columns<1>(p, col, p.n - col < kLanes ? (int)(p.n - col) : kLanes);
}

// to[d][i] = rows[i][d]; queries past n are zero.
void transpose(const float* rows, int n, int64_t dim, float* to) {
  for (int64_t d = 0; d < dim; ++d)
    for (int i = 0; i < kQueries; ++i) to[d * kQueries + i] = i < n ? rows[i * dim + d] : 0;
}

// Scores of the keys that each query sees become weights; those of the others zero. limit[i]: keys that query i sees.
void weigh(float* scores, int64_t keys, const float* limit) {
  for (int v = 0; v < kQueries; v += kLanes) {
    const Vec seen = load(limit + v);
    const auto each = [&](auto f) __attribute__((always_inline)) {
      for (int64_t j = 0; j < keys; ++j) {
        float* p = scores + j * kQueries + v;
        f(p, select(splat((float)j) < seen, load(p), splat(-__builtin_inff())));
      }
    };
    Vec most = splat(-__builtin_inff()), sum = splat(0), middle = splat(0);
    each([&](float*, Vec s) __attribute__((always_inline)) { most = max(most, s); });
    const Vec shift = select(most == splat(-__builtin_inff()), splat(0), most);
    int terms = 0;
    each([&](float* p, Vec s) __attribute__((always_inline)) {
      const Vec e = vexp_negative(s - shift);
      store(p, e);
      sum += e;
      if (++terms == 64) middle += sum, sum = splat(0), terms = 0;
    });
    sum += middle;
    const Vec scale = select(sum == splat(0), splat(0), splat(1) / sum);
    for (int64_t j = 0; j < keys; ++j) {
      float* p = scores + j * kQueries + v;
      store(p, load(p) * scale);
    }
  }
}

// d = weights * (d - the sum over keys of d * weights)
void through_softmax(const float* weights, int64_t keys, float* d) {
  for (int v = 0; v < kQueries; v += kLanes) {
    Vec sum = splat(0), middle = splat(0);
    for (int64_t j = 0; j < keys; ++j) {
      sum = fma(load(weights + j * kQueries + v), load(d + j * kQueries + v), sum);
      if (j % 64 == 63) middle += sum, sum = splat(0);
    }
    sum += middle;
    for (int64_t j = 0; j < keys; ++j) {
      float* p = d + j * kQueries + v;
      store(p, load(weights + j * kQueries + v) * (load(p) - sum));
    }
  }
}

void block(const AttentionGradArgs& a, int64_t batch, int64_t head, int64_t first, float* dk, float* dv,
           float* scratch) {
  const int64_t kv = batch * a.kv_heads + head / (a.heads / a.kv_heads),
                row = (batch * a.heads + head) * a.tokens + first;
  const int n = (int)(a.tokens - first < kQueries ? a.tokens - first : kQueries);
  const float *q = a.q + row * a.dim, *dy = a.dy + row * a.v_dim, *k = a.k + kv * a.kv_tokens * a.dim,
              *v = a.v + kv * a.kv_tokens * a.v_dim;
  float *const weights = scratch, *const d = weights + a.kv_tokens * kQueries, *const q_t = d + a.kv_tokens * kQueries,
               *const dy_t = q_t + a.dim * kQueries;
  const int64_t given = a.kv_valid ? *a.kv_valid : a.kv_tokens, all = a.kv_tokens + a.tokens;
  const int64_t length = given < 0 ? 0 : given < all ? given : all, valid = length < a.kv_tokens ? length : a.kv_tokens;
  alignas(64) float limit[kQueries];
  int64_t keys = 0;
  for (int i = 0; i < kQueries; ++i) {
    int64_t seen = a.causal && length - a.tokens + first + i + 1 < valid ? length - a.tokens + first + i + 1 : valid;
    seen = seen < 0 || i >= n ? 0 : seen;
    limit[i] = (float)seen;
    if (seen > keys) keys = seen;
  }
  transpose(q, n, a.dim, q_t);
  transpose(dy, n, a.v_dim, dy_t);
  product({k, q_t, weights, a.dim, 1, kQueries, kQueries, keys, kQueries, a.dim, a.scale, false});
  product({v, dy_t, d, a.v_dim, 1, kQueries, kQueries, keys, kQueries, a.v_dim, 1, false});
  if (a.mask) {
    const float* mask = a.mask + batch * a.mask_batch + head * a.mask_head + first * a.mask_token;
    for (int i = 0; i < n; ++i)
      for (int64_t j = 0; j < keys; ++j) weights[j * kQueries + i] += mask[i * a.mask_token + j];
  }
  weigh(weights, keys, limit);
  through_softmax(weights, keys, d);
  product({d, k, a.dq + row * a.dim, 1, kQueries, a.dim, a.dim, n, a.dim, keys, a.scale, false});
  product({d, q, dk, kQueries, 1, a.dim, a.dim, keys, a.dim, n, a.scale, true});
  product({weights, dy, dv, kQueries, 1, a.v_dim, a.v_dim, keys, a.v_dim, n, 1, true});
}

void blocks(const void* args, int64_t begin, int64_t end, void* scratch) {
  const AttentionGradArgs& a = *(const AttentionGradArgs*)args;
  const int64_t segments = attention_grad_segments(a), blocks = attention_grad_blocks(a), groups = a.batch * a.kv_heads,
                in_head = (a.tokens + kQueries - 1) / kQueries, shared = a.heads / a.kv_heads;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t kv = u / segments, segment = u % segments;
    float *dk = a.dk, *dv = a.dv;
    if (segments > 1) dk = a.partial + segment * attention_grad_elements(a), dv = dk + groups * a.kv_tokens * a.dim;
    dk += kv * a.kv_tokens * a.dim, dv += kv * a.kv_tokens * a.v_dim;
    for (int64_t i = 0; i < a.kv_tokens * a.dim; ++i) dk[i] = 0;
    for (int64_t i = 0; i < a.kv_tokens * a.v_dim; ++i) dv[i] = 0;
    for (int64_t b = blocks * segment / segments; b < blocks * (segment + 1) / segments; ++b)
      block(a, kv / a.kv_heads, kv % a.kv_heads * shared + b / in_head, b % in_head * kQueries, dk, dv,
            (float*)scratch);
  }
}

void join(const void* args, int64_t begin, int64_t end, void*) {
  const AttentionGradArgs& a = *(const AttentionGradArgs*)args;
  const int64_t segments = attention_grad_segments(a), n = attention_grad_elements(a),
                of_k = a.batch * a.kv_heads * a.kv_tokens * a.dim;
  for (int64_t i = begin * kAttentionGradJoin; i < n && i < end * kAttentionGradJoin; ++i) {
    float sum = 0;
    for (int64_t s = 0; s < segments; ++s) sum += a.partial[s * n + i];
    *(i < of_k ? a.dk + i : a.dv + (i - of_k)) = sum;
  }
}

}  // namespace

extern const AttentionGradKernels attention_grad_kernels;
const AttentionGradKernels attention_grad_kernels = {blocks, join};

}  // namespace tern::cpu::TERN_ISA
