// SPDX-License-Identifier: Apache-2.0
// instance_norm: y = (x - mean) / sqrt(variance + epsilon) * scale + bias, per picture and channel
//   x  float [batch, ..., channels], at least 3 dims; scale, bias  same type, [channels]     y  like x
//   mean, variance (biased)  over the dims between the first and the last
#include "ops/normalize.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) { return infer_channel_norm(a, 3); }

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const DType dtype = g.value(a.in(0)).dtype;
  const ValueId x = widened(g, a.in(0));
  if (g.status != TERN_OK) return;
  const Moments m = moments(g, x, axis_range(1, g.value(x).shape.rank - 1));
  const ValueId y = divide_by_root(g, m.centered, m.variance, a.attrs<BatchNormAttrs>().epsilon);
  a.set(0, narrowed(g, scale_and_bias(a, y, 1, 2), dtype));
}

constexpr Case kCases[] = {
    {"image", "f32[2,3,4,5] f32[5] f32[5]"},
    {"row", "f32[2,7,5] f32[5] f32[5]", "epsilon=0.1"},
    {"rank5", "f32[2,2,1,3,5] f32[5] f32[5]"},
    {"half", "f16[2,9,5] f16[5] f16[5]", "", 1e-2},
    {"empty", "f32[0,3,5] f32[5] f32[5]"},
    {"rows", "f32[3,5] f32[5] f32[5]", "", 0, TERN_ERR_SHAPE},
    {"channels", "f32[2,3,4] f32[5] f32[5]", "", 0, TERN_ERR_SHAPE},
    {"type", "f16[2,3,5] f32[5] f32[5]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_instance_norm = checked_op({.name = "instance_norm",
                                                         .min_in = 3,
                                                         .max_in = 3,
                                                         .attributes = attr_schema<BatchNormAttrs>(kBatchNormFields),
                                                         .infer = infer,
                                                         .decompose = decompose,
                                                         .cases = TERN_CASES(kCases)});

}  // namespace tern
