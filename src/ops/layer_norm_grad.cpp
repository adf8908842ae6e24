// SPDX-License-Identifier: Apache-2.0
// layer_norm_grad: gradients of y = layer_norm(x, scale, bias), or with center = 0 of rms_norm(x, scale)
//   x, dy  float, same type and shape; scale  optional, same type, broadcasts to the dims from `axis` on
//   dx like x; dscale, dbias [dims from `axis` on]: what the sums over the dims before it give, to be summed to scale's
//   dx = (s - mean(s) - n mean(s n)) / root, s = dy scale, n = (x - mean) / root
//   rms_norm: without the means of x and s
#include "ops/move.h"
#include "ops/normalize.h"
#include "ops/reduce.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const Shape& x = a.in(0).shape;
  int axis = 0;
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_same_dtype(a, 0, 1));
  TERN_TRY(require_axis(a, a.attrs<LayerNormGradAttrs>().axis, x.rank, &axis));
  const Shape rows(std::span<const int64_t>(x.begin() + axis, x.end()));
  if (!(a.in(1).shape == x))
    return TERN_FAIL(TERN_ERR_SHAPE, "layer_norm_grad: a gradient of shape %s for %s", to_string(a.in(1).shape).c_str(),
                     to_string(x).c_str());
  if (a.has(2)) {
    Shape s;
    TERN_TRY(require_same_dtype(a, 0, 2));
    if (broadcast_shapes(rows, a.in(2).shape, &s) != TERN_OK || !(s == rows))
      return TERN_FAIL(TERN_ERR_SHAPE, "layer_norm_grad: a scale of shape %s does not broadcast to %s",
                       to_string(a.in(2).shape).c_str(), to_string(rows).c_str());
  }
  a.set(0, a.in(0).dtype, x);
  for (int i = 1; i < 3; ++i) a.set(i, a.in(0).dtype, rows);
  return TERN_OK;
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const LayerNormGradAttrs& p = a.attrs<LayerNormGradAttrs>();
  const DType dtype = g.value(a.in(0)).dtype;
  const ValueId x = widened(g, a.in(0)), dy = widened(g, a.in(1));
  if (g.status != TERN_OK) return;
  const int rank = g.value(x).shape.rank, first = (int)(p.axis < 0 ? p.axis + rank : p.axis);
  const ReduceAttrs rows{.axes = axis_range(first, rank), .keep_dims = 1};
  const auto mean = [&](ValueId v) { return emit(g, "reduce_mean", {v}, rows); };
  const Moments m = p.center ? moments(g, x, rows.axes) : Moments{x, kNoValue, mean(square(g, x))};
  const ValueId root = emit(g, "rsqrt", {plus(g, m.variance, p.epsilon)}), n = mul(g, m.centered, root);
  const ValueId s = a.has(2) ? mul(g, dy, widened(g, a.in(2))) : dy;
  ValueId dx = sub(g, s, mul(g, n, mean(mul(g, s, n))));
  if (p.center) dx = sub(g, dx, mean(s));
  a.set(0, narrowed(g, mul(g, dx, root), dtype));
  const IntList before = axis_range(0, first);
  const auto summed = [&](ValueId v) {
    return narrowed(g, first == 0 ? v : reduce_sum(g, v, {before.items, (size_t)before.count}, false), dtype);
  };
  a.set(1, summed(mul(g, dy, n)));
  a.set(2, first == 0 && dtype == g.value(dy).dtype ? reshape(g, dy, g.value(dy).shape) : summed(dy));
}

using Attrs = LayerNormGradAttrs;
constexpr AttrField kFields[] = {TERN_ATTR(Attrs, axis, integer, -kMaxRank, kMaxRank - 1),
                                 TERN_ATTR(Attrs, epsilon, number, 0, 1e3), TERN_ATTR(Attrs, center, integer, 0, 1)};

constexpr Case kCases[] = {
    {"plain", "f32[4,7] f32[4,7]"},
    {"scale", "f32[3,131] f32[3,131] f32[131]:0.5..2", "", 1e-4},
    {"rms", "f32[2,3,8] f32[2,3,8] f32[8]", "center=0"},
    {"rms_plain", "f32[5,33] f32[5,33]", "center=0"},
    {"axis", "f32[2,3,4] f32[2,3,4] f32[3,4]", "axis=1"},
    {"all", "f32[2,3,4] f32[2,3,4] f32[2,1,4]", "axis=0"},
    {"rows", "f32[70,5] f32[70,5] f32[5]", "", 1e-4},
    {"epsilon", "f32[2,9] f32[2,9]", "epsilon=0.5"},
    {"half", "f16[3,33] f16[3,33] f16[33]", "", 2e-2},
    {"empty", "f32[0,3] f32[0,3] f32[3]"},
    {"axis_range", "f32[3] f32[3]", "axis=1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"shape", "f32[2,3] f32[3]", "", 0, TERN_ERR_SHAPE},
    {"too_wide", "f32[2,3] f32[2,3] f32[4]", "", 0, TERN_ERR_SHAPE},
    {"type", "f32[3] f16[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_layer_norm_grad = checked_op({.name = "layer_norm_grad",
                                                           .min_in = 2,
                                                           .max_in = 3,
                                                           .num_out = 3,
                                                           .capability = Capability::training,
                                                           .attributes = attr_schema<Attrs>(kFields),
                                                           .infer = infer,
                                                           .decompose = decompose,
                                                           .cases = TERN_CASES(kCases)});

}  // namespace tern
