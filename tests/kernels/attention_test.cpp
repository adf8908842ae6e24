// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/attention.h"

#include "kernel_test.h"

namespace tern::cpu::test {
namespace {

struct Case {
  int64_t batch, heads, kv_heads, tokens, kv_tokens, dim, v_dim, valid;  // valid -1: all
  int causal, mask;
};
const Case kCases[] = {{1, 1, 1, 1, 1, 1, 1, -1, 0, 0},     {2, 4, 2, 5, 7, 16, 16, -1, 0, 1},
                       {1, 2, 1, 33, 33, 24, 20, -1, 1, 0}, {1, 3, 3, 17, 200, 32, 40, 150, 1, 1},
                       {1, 1, 1, 16, 64, 64, 64, -1, 0, 0}, {2, 2, 2, 4, 130, 7, 3, 65, 1, 0},
                       {1, 1, 1, 3, 9, 8, 8, 0, 0, 0},      {1, 2, 2, 70, 70, 12, 33, -1, 1, 1},
                       {1, 1, 1, 0, 5, 4, 4, -1, 0, 0},     {1, 1, 1, 8, 5, 4, 4, -1, 1, 0}};

struct Inputs {  // tensors [batch, tokens, heads, dim], so strides are not the obvious ones
  Guarded<float> q, k, v, mask, y;
  int64_t valid;
  AttentionArgs a;
  explicit Inputs(const Case& c)
      : q(c.batch * c.tokens * c.heads * c.dim),
        k(c.batch * c.kv_tokens * c.kv_heads * c.dim),
        v(c.batch * c.kv_tokens * c.kv_heads * c.v_dim),
        mask(c.tokens * c.kv_tokens),
        y(c.batch * c.tokens * c.heads * c.v_dim),
        valid(c.valid) {
    Random random(3);
    fill(q, random), fill(k, random), fill(v, random), fill(mask, random);
    for (size_t i = 0; i < mask.size(); i += 3) mask[i] = -INFINITY;
    a.q = q.data(), a.k = k.data(), a.v = v.data(), a.y = y.data(), a.mask = c.mask ? mask.data() : nullptr;
    a.batch = c.batch, a.heads = c.heads, a.kv_heads = c.kv_heads, a.tokens = c.tokens, a.kv_tokens = c.kv_tokens,
    a.dim = c.dim, a.v_dim = c.v_dim;
    a.q_head = c.dim, a.q_token = c.heads * c.dim, a.q_batch = c.tokens * a.q_token;
    a.k_head = c.dim, a.k_token = c.kv_heads * c.dim, a.k_batch = c.kv_tokens * a.k_token;
    a.v_head = c.v_dim, a.v_token = c.kv_heads * c.v_dim, a.v_batch = c.kv_tokens * a.v_token;
    a.y_head = c.v_dim, a.y_token = c.heads * c.v_dim, a.y_batch = c.tokens * a.y_token;
    a.mask_token = c.kv_tokens, a.scale = 0.3f, a.causal = c.causal;
    if (c.valid >= 0) a.kv_valid = &valid;
  }
};

TEST(AttentionKernels, MatchesDouble) {
  for_each_set([](const Kernels& k) {
    for (const Case& c : kCases) {
      Inputs s(c);
      run(k.attention->attention, &s.a, units(s.a), attention_scratch(s.a), s.y.data(), s.y.bytes());
      const int64_t valid = c.valid < 0 ? c.kv_tokens : c.valid;
      std::vector<double> want(s.y.size());
      for (int64_t b = 0; b < c.batch; ++b)
        for (int64_t h = 0; h < c.heads; ++h)
          for (int64_t i = 0; i < c.tokens; ++i) {
            const int64_t g = h / (c.heads / c.kv_heads),
                          limit = c.causal ? std::fmin(valid, valid - c.tokens + i + 1) : valid;
            std::vector<double> p;
            double m = -INFINITY, sum = 0;
            for (int64_t j = 0; j < limit; ++j) {
              double d = 0;
              for (int64_t e = 0; e < c.dim; ++e)
                d += (double)s.q[b * s.a.q_batch + h * c.dim + i * s.a.q_token + e] *
                     s.k[b * s.a.k_batch + g * c.dim + j * s.a.k_token + e];
              p.push_back(d * s.a.scale + (c.mask ? s.mask[i * c.kv_tokens + j] : 0));
              m = std::fmax(m, p.back());
            }
            for (double& v : p) sum += v = m == -INFINITY ? 0 : std::exp(v - m);
            for (int64_t e = 0; e < c.v_dim && sum > 0; ++e)
              for (size_t j = 0; j < p.size(); ++j)
                want[b * s.a.y_batch + h * c.v_dim + i * s.a.y_token + e] +=
                    p[j] / sum * s.v[b * s.a.v_batch + g * c.v_dim + (int64_t)j * s.a.v_token + e];
          }
      expect_close(s.y.data(), want.data(), (int64_t)want.size(), 3e-6, 3e-6);
    }
  });
}

// One query at a time over a growing cache gives the bits of the whole causal pass, whatever lies beyond its limit.
TEST(AttentionKernels, StepsEqualTheWholePass) {
  for_each_set([](const Kernels& k) {
    const Case c = {1, 2, 1, 150, 150, 20, 36, -1, 1, 0};
    Inputs s(c);
    run(k.attention->attention, &s.a, units(s.a), attention_scratch(s.a), s.y.data(), s.y.bytes());
    Guarded<float> one(c.heads * c.v_dim), keys(s.k.size()), values(s.v.size());
    Guarded<char> scratch(attention_scratch(s.a), 64);
    for (size_t i = 0; i < keys.size(); ++i) keys[i] = NAN;
    for (size_t i = 0; i < values.size(); ++i) values[i] = NAN;
    for (int64_t t = 0; t < c.tokens; ++t) {
      std::memcpy(keys.data() + t * s.a.k_token, s.k.data() + t * s.a.k_token, s.a.k_token * 4);
      std::memcpy(values.data() + t * s.a.v_token, s.v.data() + t * s.a.v_token, s.a.v_token * 4);
      AttentionArgs a = s.a;
      int64_t valid = t + 1;
      a.tokens = 1, a.q = s.q.data() + t * s.a.q_token, a.k = keys.data(), a.v = values.data(), a.y = one.data(),
      a.kv_valid = &valid;
      k.attention->attention(&a, 0, units(a), scratch.data());
      ASSERT_EQ(std::memcmp(one.data(), s.y.data() + t * s.a.y_token, one.bytes()), 0) << "token " << t;
    }
    // The same in one call, with a position and a full cache.
    int64_t valid = c.kv_tokens, position = 40;
    AttentionArgs a = s.a;
    Guarded<float> part(30 * s.a.y_token);
    a.tokens = 30, a.q = s.q.data() + position * s.a.q_token, a.y = part.data(), a.kv_valid = &valid,
    a.position = &position;
    run(k.attention->attention, &a, units(a), attention_scratch(a), part.data(), part.bytes());
    EXPECT_EQ(std::memcmp(part.data(), s.y.data() + position * s.a.y_token, part.bytes()), 0);
  });
}

}  // namespace
}  // namespace tern::cpu::test
