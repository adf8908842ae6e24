// SPDX-License-Identifier: Apache-2.0
// softmax_grad: the gradient of y = softmax(x), or of y = log_softmax(x) if `log`
//   y, dy  float, same type and shape     dx like y
//   dx = y (dy - sum of dy y along the axis), or dy - e^y sum of dy
#include "ops/move.h"
#include "ops/reduce.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  int axis = 0;
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_same_dtype(a, 0, 1));
  TERN_TRY(require_axis(a, a.attrs<SoftmaxGradAttrs>().axis, a.in(0).shape.rank, &axis));
  if (!(a.in(0).shape == a.in(1).shape))
    return TERN_FAIL(TERN_ERR_SHAPE, "softmax_grad: a gradient of shape %s for %s", to_string(a.in(1).shape).c_str(),
                     to_string(a.in(0).shape).c_str());
  return infer_unary(a);
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const SoftmaxGradAttrs& p = a.attrs<SoftmaxGradAttrs>();
  const DType dtype = g.value(a.in(0)).dtype;
  const ValueId y = widened(g, a.in(0)), dy = widened(g, a.in(1));
  const auto sum = [&](ValueId v) { return reduce_axis(g, "reduce_sum", v, p.axis); };
  const ValueId dx =
      p.log ? sub(g, dy, mul(g, emit(g, "exp", {y}), sum(dy))) : mul(g, y, sub(g, dy, sum(mul(g, dy, y))));
  a.set(0, narrowed(g, dx, dtype));
}

constexpr AttrField kFields[] = {TERN_ATTR(SoftmaxGradAttrs, axis, integer, -kMaxRank, kMaxRank - 1),
                                 TERN_ATTR(SoftmaxGradAttrs, log, integer, 0, 1)};

constexpr Case kCases[] = {
    {"last", "f32[4,7] f32[4,7]"},
    {"odd", "f32[3,131] f32[3,131]", "", 3e-5},
    {"first", "f32[5,4] f32[5,4]", "axis=0"},
    {"middle", "f32[2,5,37] f32[2,5,37]", "axis=1"},
    {"log", "f32[4,7] f32[4,7]", "log=1"},
    {"log_odd", "f32[3,131] f32[3,131]", "log=1", 3e-5},
    {"log_middle", "f32[2,5,3] f32[2,5,3]", "axis=1 log=1"},
    {"log_far", "f32[1,3]{-1000,0,-88} f32[1,3]", "log=1"},
    {"half", "f16[3,33] f16[3,33]", "", 2e-2},
    {"empty", "f32[0,3] f32[0,3]"},
    {"empty_axis", "f32[3,0] f32[3,0]"},
    {"axis", "f32[3] f32[3]", "axis=1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"shape", "f32[2,3] f32[3]", "", 0, TERN_ERR_SHAPE},
    {"type", "f32[3] f16[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_softmax_grad = checked_op({.name = "softmax_grad",
                                                        .min_in = 2,
                                                        .max_in = 2,
                                                        .capability = Capability::training,
                                                        .attributes = attr_schema<SoftmaxGradAttrs>(kFields),
                                                        .infer = infer,
                                                        .decompose = decompose,
                                                        .cases = TERN_CASES(kCases)});

}  // namespace tern
