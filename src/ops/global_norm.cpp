// SPDX-License-Identifier: Apache-2.0
// global_norm: y = sqrt(sum of all squares of all inputs), for clipping: gradient * min(1, bound / (y + 1e-6))
//   x..  floats of any types and shapes, at least one     y  f32 scalar, summed input by input
//   dx = dy x / y
#include "ops/reduce.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  bool wide = false;
  for (int i = 0; i < a.num_in(); ++i) {
    TERN_TRY(require_float(a, i));
    wide = wide || a.in(i).dtype == TERN_DTYPE_F64;
  }
  a.set(0, wide ? TERN_DTYPE_F64 : TERN_DTYPE_F32, {});
  return TERN_OK;
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  DType type = TERN_DTYPE_F32;
  for (const ValueId x : a.node.in)
    if (g.value(x).dtype == TERN_DTYPE_F64) type = TERN_DTYPE_F64;
  ValueId sum = kNoValue;
  for (const ValueId in : a.node.in) {
    const ValueId x = g.value(in).dtype == type ? in : cast(g, in, type);
    const ValueId own = reduce_sum(g, mul(g, x, x), {}, false);
    sum = sum == kNoValue ? own : add(g, sum, own);
  }
  a.set(0, emit(g, "sqrt", {sum}));
}

constexpr Case kCases[] = {
    {"one", "f32[4,7]"},
    {"three", "f32[4,7] f32[] f32[131]"},
    {"mixed", "f16[9] f32[2,1,3,2,2] bf16[5]", "", 1e-4},
    {"double", "f64[3] f32[2]"},
    {"large", "f32[3]:900..1000 f32[2]"},
    {"empty", "f32[0,3] f32[2]"},
    {"integer", "f32[3] i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_global_norm = checked_op({.name = "global_norm",
                                                       .min_in = 1,
                                                       .max_in = -1,
                                                       .capability = Capability::training,
                                                       .infer = infer,
                                                       .decompose = decompose,
                                                       .cases = TERN_CASES(kCases)});

}  // namespace tern
