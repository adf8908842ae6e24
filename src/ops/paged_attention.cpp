// SPDX-License-Identifier: Apache-2.0
// paged_attention: y[r, h] = sum over j of softmax over j of cap(q[r, h] . k[s, j, g] * scale) * v[s, j, g]
//   s = sequence[r], over the positions max(0, p - window + 1) <= j <= p with p = position[r] (window = 0: from 0 on);
//   cap(x) = softcap * tanh(x / softcap), or x if softcap = 0
//   q  float [rows, heads, dim]; k, v  floats [positions, kv_heads, dim] and [positions, kv_heads, value_dim] in pages
//   of any one encoding, or plain tensors, which may have a dim of sequences in front; kv_heads divides heads,
//   g = h / (heads / kv_heads)
//   sequence  i32 [rows]; position  i64 [rows]. A row with a negative position gives zeros. A sequence that is not
//   there gives TERN_ERR_INDEX, a position from the capacity on TERN_ERR_LIMIT
//   y  type of q, [rows, heads, value_dim]. scale = 0 means 1 / sqrt(dim)
//   What a state holds is not differentiated: models are trained on whole sequences, with `attention`
#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstddef>

#include "ops/pages.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  TERN_TRY(require_rank(a, 0, 3));
  for (int i = 0; i < 3; ++i) TERN_TRY(require_float(a, i));
  for (int i = 1; i < 3; ++i) TERN_TRY(require_positions(a, i));
  TERN_TRY(require_same_dtype(a, 1, 2));
  const Shape& q = a.in(0).shape;
  const PositionsShape k(a.in(1).shape), v(a.in(2).shape);
  const bool heads_fit = k.heads == 0 ? q[1] == 0 : q[1] % k.heads == 0;
  if (!heads_fit || q[2] != k.dim || k.heads != v.heads || k.capacity != v.capacity || k.sequences != v.sequences ||
      a.in(1).paged != a.in(2).paged || a.in(1).encoding != a.in(2).encoding)
    return TERN_FAIL(TERN_ERR_SHAPE, "paged_attention: q %s, k %s and v %s do not fit", to_string(q).c_str(),
                     to_string(a.in(1).shape).c_str(), to_string(a.in(2).shape).c_str());
  TERN_TRY(require_rows(a, 3, 4, q[0]));
  a.set(0, a.in(0).dtype, {q[0], q[1], v.dim});
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const PagedAttentionAttrs& p = a.attrs<PagedAttentionAttrs>();
  const RefTensor &q = a.in(0), &y = a.out(0);
  const RefPositions k(a.in(1)), v(a.in(2));
  const int64_t heads = q.shape[1], dim = q.shape[2], value_dim = y.shape[2];
  const double scale = p.scale != 0 ? p.scale : dim > 0 ? 1 / std::sqrt((double)dim) : 1;
  std::vector<double> weights;
  for (int64_t r = 0; r < q.shape[0]; ++r) {
    const int64_t sequence = a.in(3).load_int(r), position = a.in(4).load_int(r);
    const int64_t first = p.window > 0 && position >= p.window ? position - p.window + 1 : 0;
    if (position >= 0) {
      TERN_TRY(k.check("paged_attention", sequence, position));
      for (int64_t j = first; j <= position; j = (j / kPagePositions + 1) * kPagePositions)
        for (const RefPositions* x : {&k, &v}) TERN_TRY(x->check("paged_attention", sequence, j));
    }
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t g = h / (heads / k.shape.heads);
      double most = -HUGE_VAL, sum = 0;
      weights.clear();
      for (int64_t j = first; j <= position; ++j) {
        double score = 0;
        for (int64_t d = 0; d < dim; ++d) score += q.load((r * heads + h) * dim + d) * k.load(sequence, j, g, d);
        score *= scale;
        weights.push_back(p.softcap > 0 ? p.softcap * std::tanh(score / p.softcap) : score);
        most = std::max(most, weights.back());
      }
      for (double& w : weights) sum += w = std::exp(w - most);
      for (int64_t d = 0; d < value_dim; ++d) {
        double value = 0;
        for (size_t j = 0; j < weights.size(); ++j)
          value += weights[j] / sum * v.load(sequence, first + (int64_t)j, g, d);
        y.store((r * heads + h) * value_dim + d, value);
      }
    }
  }
  return TERN_OK;
}

constexpr AttrField kFields[] = {TERN_ATTR(PagedAttentionAttrs, scale, number, -1e6, 1e6),
                                 TERN_ATTR(PagedAttentionAttrs, window, integer, 0, 1e15),
                                 TERN_ATTR(PagedAttentionAttrs, softcap, number, 0, 1e6)};

constexpr Case kCases[] = {
    {"one", "f32[1,2,4] f32[9,2,4] f32[9,2,4] i32[1]{0} i64[1]{5}"},
    {"first", "f32[1,2,4] f32[9,2,4] f32[9,2,4] i32[1]{0} i64[1]{0}"},
    {"chunk", "f32[5,2,4] f32[9,2,4] f32[9,2,4] i32[5]{0} i64[5]{3,4,5,6,7}"},
    {"sequences", "f32[4,2,4] f32[3,70,2,4] f32[3,70,2,4] i32[4]{0,2,2,1} i64[4]{1,65,69,63}"},
    {"skipped", "f32[3,2,4] f32[9,2,4] f32[9,2,4] i32[3]{0,9,0} i64[3]{2,-1,8}"},
    {"groups", "f32[3,6,4] f32[9,2,4] f32[9,2,4] i32[3]{0} i64[3]{2,5,8}"},
    {"one_group", "f32[2,5,8] f32[200,1,8] f32[200,1,8] i32[2]{0} i64[2]{130,199}"},
    {"value_dim", "f32[2,4,5] f32[2,9,2,5] f32[2,9,2,7] i32[2]{1,0} i64[2]{8,3}"},
    {"window", "f32[4,2,4] f32[150,1,4] f32[150,1,4] i32[4]{0} i64[4]{1,69,70,149}", "window=70"},
    {"window_one", "f32[2,2,4] f32[9,1,4] f32[9,1,4] i32[2]{0} i64[2]{0,8}", "window=1"},
    {"scale", "f32[2,2,4] f32[9,2,4] f32[9,2,4] i32[2]{0} i64[2]{5,6}", "scale=0.25"},
    {"softcap", "f32[2,2,4] f32[9,2,4] f32[9,2,4] i32[2]{0} i64[2]{5,6}", "softcap=1.5 scale=2"},
    {"parts", "f32[3,2,4] f32[1300,1,4] f32[1300,1,4] i32[3]{0} i64[3]{1023,1024,1299}"},
    {"half_cache", "f32[3,4,33] f16[90,2,33] f16[90,2,33] i32[3]{0} i64[3]{2,64,89}"},
    {"half", "f16[2,2,8] f16[9,2,8] f16[9,2,8] i32[2]{0} i64[2]{5,6}", "", 2e-3},
    {"wide", "f32[2,2,130] f32[70,1,130] f32[70,1,130] i32[2]{0} i64[2]{5,69}"},
    {"nothing", "f32[0,2,4] f32[9,2,4] f32[9,2,4] i32[0] i64[0]"},
    {"no_dim", "f32[1,1,0] f32[9,1,0] f32[9,1,0] i32[1]{0} i64[1]{3}"},
    {"no_sequence", "f32[1,2,4] f32[9,2,4] f32[9,2,4] i32[1]{1} i64[1]{5}", "", 0, TERN_ERR_INDEX},
    {"sequence_huge", "f32[1,2,4] f32[9,2,4] f32[9,2,4] i32[1]{-2147483648} i64[1]{5}", "", 0, TERN_ERR_INDEX},
    {"over", "f32[1,2,4] f32[9,2,4] f32[9,2,4] i32[1]{0} i64[1]{9}", "", 0, TERN_ERR_LIMIT},
    {"huge", "f32[1,2,4] f32[9,2,4] f32[9,2,4] i32[1]{0} i64[1]{9223372036854775807}", "", 0, TERN_ERR_LIMIT},
    {"heads", "f32[1,3,4] f32[9,2,4] f32[9,2,4] i32[1]{0} i64[1]{5}", "", 0, TERN_ERR_SHAPE},
    {"no_heads", "f32[1,3,4] f32[9,0,4] f32[9,0,4] i32[1]{0} i64[1]{5}", "", 0, TERN_ERR_SHAPE},
    {"dim", "f32[1,2,4] f32[9,2,3] f32[9,2,3] i32[1]{0} i64[1]{5}", "", 0, TERN_ERR_SHAPE},
    {"values", "f32[1,2,4] f32[9,2,4] f32[8,2,4] i32[1]{0} i64[1]{5}", "", 0, TERN_ERR_SHAPE},
    {"rank", "f32[1,8] f32[9,2,4] f32[9,2,4] i32[1]{0} i64[1]{5}", "", 0, TERN_ERR_SHAPE},
    {"rows", "f32[2,2,4] f32[9,2,4] f32[9,2,4] i32[2]{0} i64[1]{5}", "", 0, TERN_ERR_SHAPE},
    {"type", "f32[1,2,4] f32[9,2,4] f16[9,2,4] i32[1]{0} i64[1]{5}", "", 0, TERN_ERR_TYPE},
    {"integers", "f32[1,2,4] i32[9,2,4] i32[9,2,4] i32[1]{0} i64[1]{5}", "", 0, TERN_ERR_TYPE},
    {"position_type", "f32[1,2,4] f32[9,2,4] f32[9,2,4] i32[1]{0} i32[1]{5}", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_paged_attention = checked_op({.name = "paged_attention",
                                                           .min_in = 5,
                                                           .max_in = 5,
                                                           .capability = Capability::text,
                                                           .encoded_in = 1u << 1 | 1u << 2,
                                                           .paged_in = 1u << 1 | 1u << 2,
                                                           .attributes = attr_schema<PagedAttentionAttrs>(kFields),
                                                           .infer = infer,
                                                           .reference = reference,
                                                           .no_gradient_because = NoGradient::input_output,
                                                           .cases = TERN_CASES(kCases)});

}  // namespace tern
