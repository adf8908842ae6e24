// SPDX-License-Identifier: Apache-2.0
// group_norm: y = (x - mean) / sqrt(variance + epsilon) * scale + bias, per picture and group of channels
//   x  float [batch, ..., channels], at least 3 dims; groups divides channels; scale, bias  same type, [channels]     y
//      like x
//   mean, variance (biased)  over the dims between the first and the last and the channels of the group
#include <cstddef>

#include "ops/normalize.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const int64_t groups = a.attrs<GroupNormAttrs>().groups;
  TERN_TRY(infer_channel_norm(a, 3));
  if (a.in(1).shape[0] % groups == 0) return TERN_OK;
  return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "group_norm: %" PRId64 " groups do not divide %" PRId64 " channels",
                   groups, a.in(1).shape[0]);
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const GroupNormAttrs& p = a.attrs<GroupNormAttrs>();
  const DType dtype = g.value(a.in(0)).dtype;
  const ValueId x = widened(g, a.in(0));
  if (g.status != TERN_OK) return;
  const Shape shape = g.value(x).shape;
  const int64_t channels = shape[shape.rank - 1];
  int64_t pixels = 1;
  for (int i = 1; i + 1 < shape.rank; ++i) pixels *= shape[i];
  const ValueId grouped = reshape(g, x, {shape[0], pixels, p.groups, channels / p.groups});
  const Moments m = moments(g, grouped, {1, 3});
  const ValueId y = reshape(g, divide_by_root(g, m.centered, m.variance, p.epsilon), shape);
  a.set(0, narrowed(g, scale_and_bias(a, y, 1, 2), dtype));
}

constexpr AttrField kFields[] = {TERN_ATTR(GroupNormAttrs, groups, integer, 1, 1 << 30),
                                 TERN_ATTR(GroupNormAttrs, epsilon, number, 0, 1e3)};

constexpr Case kCases[] = {
    {"image", "f32[2,3,4,6] f32[6] f32[6]", "groups=2"},
    {"row", "f32[2,7,6] f32[6] f32[6]", "groups=3 epsilon=0.1"},
    {"one", "f32[2,7,6] f32[6] f32[6]"},
    {"each", "f32[2,7,6] f32[6] f32[6]", "groups=6"},
    {"rank5", "f32[2,2,1,3,6] f32[6] f32[6]", "groups=2"},
    {"half", "f16[2,9,6] f16[6] f16[6]", "groups=2", 1e-2},
    {"empty", "f32[0,3,6] f32[6] f32[6]", "groups=2"},
    {"rows", "f32[3,6] f32[6] f32[6]", "", 0, TERN_ERR_SHAPE},
    {"uneven", "f32[2,3,6] f32[6] f32[6]", "groups=4", 0, TERN_ERR_INVALID_ARGUMENT},
    {"channels", "f32[2,3,4] f32[6] f32[6]", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_group_norm = checked_op({.name = "group_norm",
                                                      .min_in = 3,
                                                      .max_in = 3,
                                                      .attributes = attr_schema<GroupNormAttrs>(kFields),
                                                      .infer = infer,
                                                      .decompose = decompose,
                                                      .cases = TERN_CASES(kCases)});

}  // namespace tern
