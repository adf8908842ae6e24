// SPDX-License-Identifier: Apache-2.0
// l2_normalize: y = x / max(length of x along the axis, epsilon)
//   x  float     y  like x
#include <cstddef>

#include "ops/move.h"
#include "ops/normalize.h"
#include "ops/reduce.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  int axis = 0;
  TERN_TRY(require_axis(a, a.attrs<L2NormalizeAttrs>().axis, a.in(0).shape.rank, &axis));
  return infer_unary_float(a);
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const L2NormalizeAttrs& p = a.attrs<L2NormalizeAttrs>();
  const DType dtype = g.value(a.in(0)).dtype;
  const ValueId x = widened(g, a.in(0)), sum = reduce_axis(g, "reduce_sum", square(g, x), p.axis);
  // The root is taken after the bound, so that its gradient is finite for a vector of zeros.
  if (g.status != TERN_OK) return;
  const ValueId bounded = emit(g, "max", {sum, scalar_like(g, sum, p.epsilon * p.epsilon)});
  a.set(0, narrowed(g, mul(g, x, emit(g, "rsqrt", {bounded})), dtype));
}

constexpr AttrField kFields[] = {TERN_ATTR(L2NormalizeAttrs, axis, integer, -kMaxRank, kMaxRank - 1),
                                 TERN_ATTR(L2NormalizeAttrs, epsilon, number, 1e-15, 1e3)};

constexpr Case kCases[] = {
    {"last", "f32[4,7]"},
    {"first", "f32[4,7]", "axis=0"},
    {"middle", "f32[2,5,3]", "axis=1"},
    {"rank5", "f32[2,1,3,2,2]", "axis=2"},
    {"bound", "f32[2,3]{0.1,0.2,0.1,3,4,0}", "epsilon=1"},
    {"zeros", "f32[2]{0,0}", "epsilon=1"},
    {"half", "f16[3,33]", "", 4e-3},
    {"empty", "f32[0,3]"},
    {"empty_axis", "f32[3,0]"},
    {"axis", "f32[3]", "axis=1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"scalar", "f32[]", "", 0, TERN_ERR_INVALID_ARGUMENT},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_l2_normalize = checked_op({.name = "l2_normalize",
                                                        .attributes = attr_schema<L2NormalizeAttrs>(kFields),
                                                        .infer = infer,
                                                        .decompose = decompose,
                                                        .cases = TERN_CASES(kCases)});

}  // namespace tern
