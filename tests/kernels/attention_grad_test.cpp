// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/attention_grad.h"

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

struct Case {
  int64_t batch, heads, kv_heads, tokens, kv_tokens, dim, v_dim, valid;  // valid -1: all
  int causal, mask;
};
const Case kCases[] = {{1, 1, 1, 1, 1, 1, 1, -1, 0, 0},     {2, 4, 2, 5, 7, 16, 16, -1, 0, 1},
                       {1, 2, 1, 33, 33, 24, 20, -1, 1, 0}, {1, 3, 3, 17, 200, 32, 40, 150, 1, 1},
                       {3, 3, 3, 40, 64, 64, 64, -1, 0, 0}, {2, 2, 2, 4, 130, 7, 3, 65, 1, 0},
                       {1, 1, 1, 3, 9, 8, 8, 0, 0, 0},      {1, 2, 2, 70, 70, 12, 33, -1, 1, 1},
                       {1, 1, 1, 0, 5, 4, 4, -1, 0, 0},     {1, 1, 1, 8, 5, 4, 4, -1, 1, 0}};

void check(const Kernels& k, const Case& c) {
  SCOPED_TRACE(testing::Message() << "case " << &c - kCases);
  AttentionGradArgs a;
  a.batch = c.batch, a.heads = c.heads, a.kv_heads = c.kv_heads, a.tokens = c.tokens, a.kv_tokens = c.kv_tokens;
  a.dim = c.dim, a.v_dim = c.v_dim, a.scale = 0.3f, a.causal = c.causal, a.mask_token = c.kv_tokens;
  const int64_t rows = c.batch * c.heads * c.tokens, keys = c.batch * c.kv_heads * c.kv_tokens;
  Guarded<float> q((size_t)(rows * c.dim)), keys_of((size_t)(keys * c.dim)), v((size_t)(keys * c.v_dim)),
      dy((size_t)(rows * c.v_dim)), mask((size_t)(c.tokens * c.kv_tokens)), dq(q.size()), dk(keys_of.size()),
      dv(v.size()), partial((size_t)(attention_grad_segments(a) * attention_grad_elements(a)));
  Random random(3);
  fill(q, random), fill(keys_of, random), fill(v, random), fill(dy, random), fill(mask, random);
  for (size_t i = 0; i < mask.size(); i += 3) mask[i] = -INFINITY;
  a.q = q.data(), a.k = keys_of.data(), a.v = v.data(), a.dy = dy.data(), a.mask = c.mask ? mask.data() : nullptr;
  a.dq = dq.data(), a.dk = dk.data(), a.dv = dv.data(), a.partial = partial.data();
  if (c.valid >= 0) a.kv_valid = &c.valid;
  const int64_t segments = attention_grad_segments(a), valid = c.valid < 0 ? c.kv_tokens : c.valid;

  std::vector<double> want_q(q.size()), want_k(dk.size()), want_v(dv.size());
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t i = row % c.tokens, head = row / c.tokens % c.heads, b = row / c.tokens / c.heads,
                  kv = (b * c.kv_heads + head / (c.heads / c.kv_heads)) * c.kv_tokens,
                  limit = c.causal ? std::min(valid, valid - c.tokens + i + 1) : valid;
    std::vector<double> p, dp;
    double most = -INFINITY, sum = 0, both = 0;
    for (int64_t j = 0; j < limit; ++j) {
      double s = 0, d = 0;
      for (int64_t e = 0; e < c.dim; ++e)
        s += (double)q[(size_t)(row * c.dim + e)] * keys_of[(size_t)((kv + j) * c.dim + e)];
      for (int64_t e = 0; e < c.v_dim; ++e)
        d += (double)dy[(size_t)(row * c.v_dim + e)] * v[(size_t)((kv + j) * c.v_dim + e)];
      p.push_back(s * a.scale + (c.mask ? mask[(size_t)(i * c.kv_tokens + j)] : 0));
      dp.push_back(d);
      most = std::max(most, p.back());
    }
    for (double& x : p) sum += x = most == -INFINITY ? 0 : std::exp(x - most);
    for (double& x : p) x = sum > 0 ? x / sum : 0;
    for (size_t j = 0; j < p.size(); ++j) both += p[j] * dp[j];
    for (size_t j = 0; j < p.size(); ++j) {
      const double ds = p[j] * (dp[j] - both) * a.scale;
      const size_t key = (size_t)kv + j;
      for (size_t e = 0; e < (size_t)c.dim; ++e) {
        want_q[(size_t)row * (size_t)c.dim + e] += ds * keys_of[key * (size_t)c.dim + e];
        want_k[key * (size_t)c.dim + e] += ds * q[(size_t)row * (size_t)c.dim + e];
      }
      for (size_t e = 0; e < (size_t)c.v_dim; ++e)
        want_v[key * (size_t)c.v_dim + e] += p[j] * dy[(size_t)row * (size_t)c.v_dim + e];
    }
  }
  const int64_t units = c.batch * c.kv_heads * segments,
                joins = (attention_grad_elements(a) + kAttentionGradJoin - 1) / kAttentionGradJoin;
  run(k.attention_grad->blocks, &a, units, attention_grad_scratch(a), dq.data(), dq.bytes());
  if (segments == 1) {
    run(k.attention_grad->blocks, &a, units, attention_grad_scratch(a), dk.data(), dk.bytes());
    run(k.attention_grad->blocks, &a, units, attention_grad_scratch(a), dv.data(), dv.bytes());
    Guarded<char> scratch(attention_grad_scratch(a), 64);
    k.attention_grad->blocks(&a, 0, units, scratch.data());
  } else {
    run(k.attention_grad->join, &a, joins, 0, dv.data(), dv.bytes());
    run(k.attention_grad->join, &a, joins, 0, dk.data(), dk.bytes());
    k.attention_grad->join(&a, 0, joins, nullptr);
  }
  expect_close(dq.data(), want_q.data(), (int64_t)dq.size(), 1e-5, 2e-5);
  expect_close(dk.data(), want_k.data(), (int64_t)dk.size(), 1e-5, 2e-5);
  expect_close(dv.data(), want_v.data(), (int64_t)dv.size(), 1e-5, 2e-5);
}

TEST(AttentionGradKernels, MatchDouble) {
  for_each_set([](const Kernels& k) {
    for (const Case& c : kCases) check(k, c);
  });
}

}  // namespace
}  // namespace tern::cpu::test
