// SPDX-License-Identifier: Apache-2.0
// attention: y[b, h, t] = sum over s of softmax over s of (q[b, h, t] . k[b, g, s] * scale + mask[b, h, t, s]) * v[b,
// g, s]
//   q  float [batch, heads, tokens, dim]; k  same type, [batch, kv_heads, kv_tokens, dim]; v  same type, [batch,
//     kv_heads,
//   kv_tokens, value_dim]; kv_heads divides heads, g = h / (heads / kv_heads)
//   mask  optional, broadcasts to [batch, heads, tokens, kv_tokens]: bool (false hides the key) or the type of q
//         (added)
//   valid_length  optional i64 scalar: keys from there on are hidden. causal: token t sees the keys up to t +
//                 valid_length - tokens
//   y  same type, [batch, heads, tokens, value_dim]. A token that sees no key gives zeros. scale = 0 means 1 /
//      sqrt(dim)
#include <limits>

#include "ops/attention.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  TERN_TRY(require_float(a, 0));
  for (int i = 0; i < 3; ++i) {
    TERN_TRY(require_rank(a, i, 4));
    TERN_TRY(require_same_dtype(a, 0, i));
  }
  const Shape &q = a.in(0).shape, &k = a.in(1).shape, &v = a.in(2).shape;
  const bool heads_fit = k[1] == 0 ? q[1] == 0 : q[1] % k[1] == 0;
  if (!heads_fit || q[0] != k[0] || q[3] != k[3] || k[0] != v[0] || k[1] != v[1] || k[2] != v[2])
    return TERN_FAIL(TERN_ERR_SHAPE, "attention: q %s, k %s and v %s do not fit", to_string(q).c_str(),
                     to_string(k).c_str(), to_string(v).c_str());
  if (a.has(3)) {
    const Shape scores = {q[0], q[1], q[2], k[2]};
    Shape s;
    if (a.in(3).dtype != TERN_DTYPE_BOOL) TERN_TRY(require_same_dtype(a, 0, 3));
    if (broadcast_shapes(scores, a.in(3).shape, &s) != TERN_OK || !(s == scores))
      return TERN_FAIL(TERN_ERR_SHAPE, "attention: a mask of shape %s does not broadcast to %s",
                       to_string(a.in(3).shape).c_str(), to_string(scores).c_str());
  }
  if (a.has(4)) {
    TERN_TRY(require_rank(a, 4, 0));
    if (a.in(4).dtype != TERN_DTYPE_I64)
      return TERN_FAIL(TERN_ERR_TYPE, "attention: the valid length is %s, i64 is needed", dtype_name(a.in(4).dtype));
  }
  a.set(0, a.in(0).dtype, {q[0], q[1], q[2], v[3]});
  return TERN_OK;
}

ValueId integer(Graph& g, int64_t value) { return add_constant(g, TERN_DTYPE_I64, Shape{}, &value); }
ValueId count_to(Graph& g, int64_t n) { return emit(g, "range", {integer(g, 0), integer(g, n), integer(g, 1)}); }

// Where keys may be seen, as a bool that broadcasts to the scores: the mask and valid_length and causal; kNoValue =
// everywhere.
ValueId visible_keys(DecomposeArgs& a, ValueId visible, int64_t tokens, int64_t keys) {
  Graph& g = a.g;
  const bool causal = a.attrs<AttentionAttrs>().causal != 0;
  if (!a.has(4) && !causal) return visible;
  const auto also = [&](ValueId v) { visible = visible == kNoValue ? v : emit(g, "logical_and", {visible, v}); };
  const ValueId key = count_to(g, keys), length = a.has(4) ? a.in(4) : integer(g, keys);
  if (a.has(4)) also(emit(g, "less", {key, length}));
  if (causal) {
    const ValueId token = reshape(g, count_to(g, tokens), {tokens, 1});
    also(emit(g, "less_equal", {key, add(g, token, sub(g, length, integer(g, tokens)))}));
  }
  return visible;
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const AttentionParts p = attention_parts(a);
  ValueId y = emit(g, "matmul", {p.weights, p.v});
  if (g.status != TERN_OK) return;
  const Shape q = g.value(a.in(0)).shape;
  if (g.value(y).shape.rank != 4) y = reshape(g, y, {q[0], q[1], q[2], g.value(a.in(2)).shape[3]});
  a.set(0, narrowed(g, y, g.value(a.in(0)).dtype));
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  const auto input = [&](int i) { return a.has(i) ? a.in(i) : kNoValue; };
  Node n;
  n.op = find_op("attention_grad");
  n.in = {a.in(0), a.in(1), a.in(2), a.dout(0), input(3), input(4)};
  n.attrs<AttentionAttrs>() = a.attrs<AttentionAttrs>();
  std::vector<ValueId> outs;
  emit_node(g, std::move(n), 3, &outs);
  for (int i = 0; i < 3 && g.status == TERN_OK; ++i) a.set(i, outs[(size_t)i]);
  if (!a.wanted(3)) return;
  DecomposeArgs steps{g, a.node, nullptr};
  const ValueId d = attention_scores_grad(g, attention_parts(steps), a.dout(0));
  if (g.status != TERN_OK) return;
  const Shape q = g.value(a.in(0)).shape;
  a.set(3, narrowed(g, reshape(g, d, {q[0], q[1], q[2], g.value(a.in(1)).shape[2]}), g.value(a.in(3)).dtype));
}

constexpr Case kCases[] = {
    {"plain", "f32[2,2,3,4] f32[2,2,5,4] f32[2,2,5,4]"},
    {"odd", "f32[1,1,7,9] f32[1,1,33,9] f32[1,1,33,9]"},
    {"causal", "f32[1,2,5,4] f32[1,2,5,4] f32[1,2,5,4]", "causal=1"},
    {"causal_tail", "f32[1,2,2,4] f32[1,2,5,4] f32[1,2,5,4]", "causal=1"},
    {"scale", "f32[2,2,3,4] f32[2,2,5,4] f32[2,2,5,4]", "scale=0.25"},
    {"mask", "f32[2,2,3,4] f32[2,2,5,4] f32[2,2,5,4] f32[3,5]"},
    {"mask_inf", "f32[1,1,2,3] f32[1,1,3,3] f32[1,1,3,3] f32[2,3]{-inf,0,1,-inf,-inf,-inf}"},
    {"mask_bool", "f32[2,2,3,4] f32[2,2,5,4] f32[2,2,5,4] bool[2,1,3,5]"},
    {"mask_hides_all", "f32[1,1,2,3] f32[1,1,3,3] f32[1,1,3,3] bool[2,3]{1,0,1,0,0,0}"},
    {"valid", "f32[2,2,3,4] f32[2,2,5,4] f32[2,2,5,4] - i64[]{3}"},
    {"valid_causal", "f32[1,2,2,4] f32[1,2,9,4] f32[1,2,9,4] - i64[]{6}", "causal=1"},
    {"valid_mask", "f32[2,2,3,4] f32[2,2,5,4] f32[2,2,5,4] bool[3,5] i64[]{4}"},
    {"valid_none", "f32[2,2,3,4] f32[2,2,5,4] f32[2,2,5,4] - i64[]{0}"},
    {"valid_negative", "f32[2,2,3,4] f32[2,2,5,4] f32[2,2,5,4] - i64[]{-7}"},
    {"valid_huge", "f32[2,2,3,4] f32[2,2,5,4] f32[2,2,5,4] - i64[]{9223372036854775807}"},
    {"valid_beyond_causal", "f32[1,1,2,4] f32[1,1,3,4] f32[1,1,3,4] - i64[]{4}", "causal=1"},
    {"causal_before", "f32[1,1,4,2] f32[1,1,3,2] f32[1,1,3,2] - i64[]{2}", "causal=1"},
    {"groups", "f32[2,6,3,4] f32[2,2,5,4] f32[2,2,5,4] f32[3,5]"},
    {"one_group", "f32[1,3,2,4] f32[1,1,5,4] f32[1,1,5,4] - i64[]{4}", "causal=1"},
    {"value_dim", "f32[2,2,3,4] f32[2,2,5,4] f32[2,2,5,7]"},
    {"value_dim_groups", "f32[1,4,3,4] f32[1,2,5,4] f32[1,2,5,3]", "causal=1"},
    {"half", "f16[1,2,3,8] f16[1,2,5,8] f16[1,2,5,8]", "", 4e-3},
    {"empty", "f32[0,2,3,4] f32[0,2,5,4] f32[0,2,5,4]"},
    {"no_keys", "f32[1,2,3,4] f32[1,2,0,4] f32[1,2,0,4]"},
    {"no_dim", "f32[1,1,2,0] f32[1,1,3,0] f32[1,1,3,0]"},
    {"heads", "f32[1,3,2,4] f32[1,2,5,4] f32[1,2,5,4]", "", 0, TERN_ERR_SHAPE},
    {"no_heads", "f32[1,3,2,4] f32[1,0,5,4] f32[1,0,5,4]", "", 0, TERN_ERR_SHAPE},
    {"dim", "f32[1,1,2,4] f32[1,1,5,3] f32[1,1,5,3]", "", 0, TERN_ERR_SHAPE},
    {"values", "f32[1,1,2,4] f32[1,1,5,4] f32[1,1,6,4]", "", 0, TERN_ERR_SHAPE},
    {"rank", "f32[2,2,4] f32[2,5,4] f32[2,5,4]", "", 0, TERN_ERR_SHAPE},
    {"mask_shape", "f32[2,2,3,4] f32[2,2,5,4] f32[2,2,5,4] f32[2,5]", "", 0, TERN_ERR_SHAPE},
    {"mask_rank5", "f32[2,2,3,4] f32[2,2,5,4] f32[2,2,5,4] f32[1,1,1,3,5]", "", 0, TERN_ERR_SHAPE},
    {"mask_type", "f32[2,2,3,4] f32[2,2,5,4] f32[2,2,5,4] i32[3,5]", "", 0, TERN_ERR_TYPE},
    {"valid_type", "f32[2,2,3,4] f32[2,2,5,4] f32[2,2,5,4] - i32[]{3}", "", 0, TERN_ERR_TYPE},
    {"type", "f32[1,1,2,4] f16[1,1,5,4] f16[1,1,5,4]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

AttentionParts attention_parts(DecomposeArgs& a) {
  constexpr AttentionParts kNone = {1, kNoValue, kNoValue, kNoValue, kNoValue};
  Graph& g = a.g;
  if (g.status != TERN_OK) return kNone;
  const AttentionAttrs& attrs = a.attrs<AttentionAttrs>();
  const Shape q_shape = g.value(a.in(0)).shape, k_shape = g.value(a.in(1)).shape;
  const int64_t value_dim = g.value(a.in(2)).shape[3];
  const int64_t batch = q_shape[0], heads = q_shape[1], tokens = q_shape[2], dim = q_shape[3], kv_heads = k_shape[1],
                keys = k_shape[2];
  AttentionParts p = {attrs.scale != 0 ? attrs.scale
                      : dim > 0        ? 1 / std::sqrt((double)dim)
                                       : 1,
                      widened(g, a.in(0)), widened(g, a.in(1)), widened(g, a.in(2)), kNoValue};
  const bool grouped = kv_heads != heads;  // the heads of a group are one more dim, over which k and v broadcast
  if (grouped) {
    p.q = reshape(g, p.q, {batch, kv_heads, heads / kv_heads, tokens, dim});
    p.k = reshape(g, p.k, {batch, kv_heads, 1, keys, dim});
    p.v = reshape(g, p.v, {batch, kv_heads, 1, keys, value_dim});
  }
  if (g.status != TERN_OK) return kNone;
  p.q = scaled(g, p.q, p.scale);
  ValueId scores = emit(g, "matmul", {p.q, p.k}, MatmulAttrs{.transpose_b = 1});
  if (grouped) scores = reshape(g, scores, {batch, heads, tokens, keys});

  const bool bool_mask = a.has(3) && g.value(a.in(3)).dtype == TERN_DTYPE_BOOL;
  const ValueId visible = visible_keys(a, bool_mask ? a.in(3) : kNoValue, tokens, keys);
  if (a.has(3) && !bool_mask) scores = add(g, scores, widened(g, a.in(3)));
  if (g.status != TERN_OK) return kNone;
  const ValueId hidden = scalar_like(g, scores, -std::numeric_limits<double>::infinity());
  if (visible != kNoValue) scores = emit(g, "where", {visible, scores, hidden});
  if (a.has(3) || visible != kNoValue) {
    // A finite score in place of -inf keeps a token without keys from giving NaN.
    const ValueId finite = emit(g, "clip", {scores}, ClipAttrs{.min = -std::numeric_limits<float>::max()});
    p.weights = masked(g, emit(g, "greater", {scores, hidden}), emit(g, "softmax", {finite}));
  } else {
    p.weights = emit(g, "softmax", {scores});
  }
  if (grouped) p.weights = reshape(g, p.weights, {batch, kv_heads, heads / kv_heads, tokens, keys});
  return g.status == TERN_OK ? p : kNone;
}

ValueId attention_scores_grad(Graph& g, const AttentionParts& p, ValueId dy) {
  if (g.status != TERN_OK) return kNoValue;
  dy = widened(g, dy);
  if (g.status != TERN_OK) return kNoValue;
  Shape like = g.value(p.q).shape;
  const Shape v = g.value(p.v).shape;
  like[like.rank - 1] = v[v.rank - 1];
  if (like.rank != 4) dy = reshape(g, dy, like);
  return emit(g, "softmax_grad", {p.weights, emit(g, "matmul", {dy, p.v}, MatmulAttrs{.transpose_b = 1})},
              SoftmaxGradAttrs{});
}

extern constinit const Op op_attention = checked_op({.name = "attention",
                                                     .min_in = 3,
                                                     .max_in = 5,
                                                     .attributes = attr_schema<AttentionAttrs>(kAttentionFields),
                                                     .infer = infer,
                                                     .vjp = vjp,
                                                     .decompose = decompose,
                                                     .cases = TERN_CASES(kCases)});

}  // namespace tern
