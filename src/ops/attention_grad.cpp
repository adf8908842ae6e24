// SPDX-License-Identifier: Apache-2.0
// attention_grad: gradients of y = attention(q, k, v, mask, valid_length)
//   q, k, v, mask, valid_length  as there; dy like y     dq, dk, dv like q, k, v
//   dv = w^T dy, dk = ds^T q, dq = ds k; w: the weights, ds = scale w (dy v^T - sum of it times w)
#include "ops/attention.h"
#include "ops/matmul.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  Node n = a.node;
  n.op = find_op("attention");
  n.in = {a.node.in[0], a.node.in[1], a.node.in[2], a.has(4) ? a.node.in[4] : kNoValue,
          a.has(5) ? a.node.in[5] : kNoValue};
  Value y;
  InferArgs forward{a.g, n, &y};
  TERN_TRY(n.op->infer(forward));
  TERN_TRY(require_same_dtype(a, 0, 3));
  if (!(a.in(3).shape == y.shape))
    return TERN_FAIL(TERN_ERR_SHAPE, "attention_grad: a gradient of shape %s for %s", to_string(a.in(3).shape).c_str(),
                     to_string(y.shape).c_str());
  for (int i = 0; i < 3; ++i) a.set(i, a.in(i).dtype, a.in(i).shape);
  return TERN_OK;
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  Node n = a.node;
  n.in = {a.in(0), a.in(1), a.in(2), a.has(4) ? a.in(4) : kNoValue, a.has(5) ? a.in(5) : kNoValue};
  DecomposeArgs forward{g, n, nullptr};
  const AttentionParts p = attention_parts(forward);
  const ValueId ds = attention_scores_grad(g, p, a.in(3)), dy = widened(g, a.in(3));
  if (g.status != TERN_OK) return;
  const DType dtype = g.value(a.in(0)).dtype;
  const Shape q = g.value(a.in(0)).shape, k = g.value(a.in(1)).shape, v = g.value(a.in(2)).shape;
  // The tokens of a group's heads are rows that share their keys.
  const auto rows = [&](ValueId x, int64_t width) {
    return q[1] == k[1] ? x : reshape(g, x, {q[0], k[1], q[1] / k[1] * q[2], width});
  };
  const ValueId ds_rows = rows(ds, k[2]);
  const auto summed = [&](ValueId x, ValueId y) { return emit(g, "matmul", {x, y}, MatmulAttrs{.transpose_a = 1}); };
  a.set(0, narrowed(g, reshape(g, scaled(g, emit(g, "matmul", {ds, p.k}), p.scale), q), dtype));
  a.set(1, narrowed(g, summed(ds_rows, rows(p.q, q[3])), dtype));
  a.set(2, narrowed(g, summed(rows(p.weights, k[2]), rows(dy, v[3])), dtype));
}

constexpr Case kCases[] = {
    {"plain", "f32[2,2,3,4] f32[2,2,5,4] f32[2,2,5,4] f32[2,2,3,4]", "", 3e-5},
    {"odd", "f32[1,1,7,9] f32[1,1,33,9] f32[1,1,33,9] f32[1,1,7,9]", "", 3e-5},
    {"many", "f32[1,2,70,20] f32[1,1,70,20] f32[1,1,70,35] f32[1,2,70,35]", "causal=1", 1e-4},
    {"causal", "f32[1,2,5,4] f32[1,2,5,4] f32[1,2,5,4] f32[1,2,5,4]", "causal=1", 3e-5},
    {"causal_tail", "f32[1,2,2,4] f32[1,2,5,4] f32[1,2,5,4] f32[1,2,2,4]", "causal=1", 3e-5},
    {"scale", "f32[2,2,3,4] f32[2,2,5,4] f32[2,2,5,4] f32[2,2,3,4]", "scale=0.25", 3e-5},
    {"mask", "f32[2,2,3,4] f32[2,2,5,4] f32[2,2,5,4] f32[2,2,3,4] f32[3,5]", "", 3e-5},
    {"mask_inf", "f32[1,1,2,3] f32[1,1,3,3] f32[1,1,3,3] f32[1,1,2,3] f32[2,3]{-inf,0,1,-inf,-inf,-inf}", "", 3e-5},
    {"mask_bool", "f32[2,2,3,4] f32[2,2,5,4] f32[2,2,5,4] f32[2,2,3,4] bool[2,1,3,5]", "", 3e-5},
    {"valid", "f32[2,2,3,4] f32[2,2,5,4] f32[2,2,5,4] f32[2,2,3,4] - i64[]{3}", "", 3e-5},
    {"valid_causal", "f32[1,2,2,4] f32[1,2,9,4] f32[1,2,9,4] f32[1,2,2,4] - i64[]{6}", "causal=1", 3e-5},
    {"valid_none", "f32[2,2,3,4] f32[2,2,5,4] f32[2,2,5,4] f32[2,2,3,4] - i64[]{-7}"},
    {"causal_before", "f32[1,1,4,2] f32[1,1,3,2] f32[1,1,3,2] f32[1,1,4,2] - i64[]{2}", "causal=1", 3e-5},
    {"groups", "f32[2,6,3,4] f32[2,2,5,4] f32[2,2,5,7] f32[2,6,3,7] f32[3,5]", "", 3e-5},
    {"half", "f16[1,2,3,8] f16[1,2,5,8] f16[1,2,5,8] f16[1,2,3,8]", "", 2e-2},
    {"empty", "f32[0,2,3,4] f32[0,2,5,4] f32[0,2,5,4] f32[0,2,3,4]"},
    {"no_keys", "f32[1,2,3,4] f32[1,2,0,4] f32[1,2,0,4] f32[1,2,3,4]"},
    {"no_tokens", "f32[1,2,0,4] f32[1,2,3,4] f32[1,2,3,4] f32[1,2,0,4]"},
    {"no_dim", "f32[1,1,2,0] f32[1,1,3,0] f32[1,1,3,2] f32[1,1,2,2]"},
    {"gradient", "f32[1,1,2,4] f32[1,1,5,4] f32[1,1,5,3] f32[1,1,2,4]", "", 0, TERN_ERR_SHAPE},
    {"heads", "f32[1,3,2,4] f32[1,2,5,4] f32[1,2,5,4] f32[1,3,2,4]", "", 0, TERN_ERR_SHAPE},
    {"type", "f32[1,1,2,4] f32[1,1,5,4] f32[1,1,5,4] f16[1,1,2,4]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_attention_grad = checked_op({.name = "attention_grad",
                                                          .min_in = 4,
                                                          .max_in = 6,
                                                          .num_out = 3,
                                                          .capability = Capability::training,
                                                          .attributes = attr_schema<AttentionAttrs>(kAttentionFields),
                                                          .infer = infer,
                                                          .decompose = decompose,
                                                          .cases = TERN_CASES(kCases)});

}  // namespace tern
