// SPDX-License-Identifier: Apache-2.0
// rms_norm: y = x / sqrt(mean of x^2 + epsilon) * scale, over the dims from `axis` to the last
//   x  float; scale  optional, same type, broadcasts to the dims from `axis` on     y  like x
#include "ops/normalize.h"
#include "ops/reduce.h"
#include "ops/unary.h"

namespace tern {
namespace {

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const DType dtype = g.value(a.in(0)).dtype;
  const ValueId x = widened(g, a.in(0));
  if (g.status != TERN_OK) return;
  const LayerNormAttrs& p = a.attrs<LayerNormAttrs>();
  const int rank = g.value(x).shape.rank;
  const IntList axes = axis_range((int)(p.axis < 0 ? p.axis + rank : p.axis), rank);
  const ValueId power = emit(g, "reduce_mean", {square(g, x)}, ReduceAttrs{.axes = axes, .keep_dims = 1});
  a.set(0, narrowed(g, scale_and_bias(a, divide_by_root(g, x, power, p.epsilon), 1, 2), dtype));
}

void vjp(VjpArgs& a) { layer_norm_vjp(a, false); }

constexpr Case kCases[] = {
    {"plain", "f32[4,7]"},
    {"scale", "f32[3,131] f32[131]:0.5..2"},
    {"all", "f32[2,3,4] f32[2,1,4]", "axis=0"},
    {"epsilon", "f32[2,9]", "epsilon=0.5"},
    {"empty", "f32[0,3] f32[3]"},
    {"one", "f32[3,1] f32[1]"},
    {"axis_range", "f32[3]", "axis=1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"scalar", "f32[]", "", 0, TERN_ERR_INVALID_ARGUMENT},
    {"too_wide", "f32[2,3] f32[4]", "", 0, TERN_ERR_SHAPE},
    {"stretches", "f32[2,1] f32[3]", "", 0, TERN_ERR_SHAPE},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
    {"scale_type", "f32[3] f16[3]", "", 0, TERN_ERR_TYPE},
    {"axis", "f32[2,3,4] f32[3,4]", "axis=1"},
    {"half", "f16[3,33] f16[33]", "", 4e-3},
    {"rank5", "f32[2,1,3,2,5] f32[5]"},
};

}  // namespace

extern constinit const Op op_rms_norm = checked_op({.name = "rms_norm",
                                                    .max_in = 2,
                                                    .attributes = attr_schema<LayerNormAttrs>(kLayerNormFields),
                                                    .infer = infer_layer_norm,
                                                    .vjp = vjp,
                                                    .decompose = decompose,
                                                    .cases = TERN_CASES(kCases)});

}  // namespace tern
