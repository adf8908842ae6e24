// SPDX-License-Identifier: Apache-2.0
// batch_norm_train_grad: gradients of y = batch_norm_train(x, scale, bias), where none arrives through the moments
//   x, dy  float [..., channels], at least 2 dims; scale  same type, [channels]
//   dx like x; dscale, dbias [channels]
//   dbias = sum of dy, dscale = sum of dy n over all dims but the last, n = (x - mean) / root
//   dx = scale / root (dy - (dbias + n dscale) / number of rows)
#include "ops/normalize.h"
#include "ops/reduce.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const Shape &x = a.in(0).shape, &scale = a.in(2).shape;
  TERN_TRY(require_float(a, 0));
  for (int i = 1; i < 3; ++i) TERN_TRY(require_same_dtype(a, 0, i));
  if (x.rank < 2 || !(a.in(1).shape == x) || !(scale == Shape{x[x.rank - 1]}))
    return TERN_FAIL(TERN_ERR_SHAPE, "batch_norm_train_grad: a gradient %s and a scale %s do not fit %s",
                     to_string(a.in(1).shape).c_str(), to_string(scale).c_str(), to_string(x).c_str());
  for (int i = 0; i < 3; ++i) a.set(i, a.in(0).dtype, i ? scale : x);
  return TERN_OK;
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const DType dtype = g.value(a.in(0)).dtype;
  const ValueId x = widened(g, a.in(0)), dy = widened(g, a.in(1));
  if (g.status != TERN_OK) return;
  const IntList rows = axis_range(0, g.value(x).shape.rank - 1);
  const auto summed = [&](ValueId v) { return reduce_sum(g, v, {rows.items, (size_t)rows.count}, false); };
  const Moments m = moments(g, x, rows);
  const ValueId root = emit(g, "rsqrt", {plus(g, m.variance, a.attrs<BatchNormAttrs>().epsilon)}),
                n = mul(g, m.centered, root), dbias = summed(dy), dscale = summed(mul(g, dy, n));
  const ValueId mean = mul(g, add(g, dbias, mul(g, n, dscale)), one_over_terms(g, x, dbias));
  // Without rows root is NaN: it multiplies nothing but rows.
  const ValueId dx = mul(g, mul(g, sub(g, dy, mean), root), widened(g, a.in(2)));
  a.set(0, narrowed(g, dx, dtype));
  a.set(1, narrowed(g, dscale, dtype));
  a.set(2, narrowed(g, dbias, dtype));
}

constexpr Case kCases[] = {
    {"image", "f32[2,3,4,5] f32[2,3,4,5] f32[5]"},
    {"rows", "f32[7,5] f32[7,5] f32[5]", "epsilon=0.1"},
    {"rank5", "f32[1,2,1,3,5] f32[1,2,1,3,5] f32[5]"},
    {"many_rows", "f32[3,30,29,17] f32[3,30,29,17] f32[17]", "", 1e-4},
    {"half", "f16[9,5] f16[9,5] f16[5]", "", 1e-2},
    {"no_channels", "f32[3,0] f32[3,0] f32[0]"},
    {"vector", "f32[5] f32[5] f32[5]", "", 0, TERN_ERR_SHAPE},
    {"gradient", "f32[3,5] f32[2,5] f32[5]", "", 0, TERN_ERR_SHAPE},
    {"channels", "f32[3,4] f32[3,4] f32[5]", "", 0, TERN_ERR_SHAPE},
    {"type", "f16[3,5] f16[3,5] f32[5]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_batch_norm_train_grad =
    checked_op({.name = "batch_norm_train_grad",
                .min_in = 3,
                .max_in = 3,
                .num_out = 3,
                .capability = Capability::training,
                .attributes = attr_schema<BatchNormAttrs>(kBatchNormFields),
                .infer = infer,
                .decompose = decompose,
                .cases = TERN_CASES(kCases)});

}  // namespace tern
