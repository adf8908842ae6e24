// SPDX-License-Identifier: Apache-2.0
// scale_gradient: y = x; a factor of -1 reverses the gradient, as domain-adversarial training has it
//   x  float; factor  f32 scalar     y  like x
//   dx = factor dy; no gradient for the factor
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  TERN_TRY(require_rank(a, 1, 0));
  if (a.in(1).dtype != TERN_DTYPE_F32)
    return TERN_FAIL(TERN_ERR_TYPE, "scale_gradient: the factor is %s, f32 is needed", dtype_name(a.in(1).dtype));
  return infer_unary_float(a);
}

void vjp(VjpArgs& a) {
  const ValueId dy = widened(a.g, a.dout(0));
  a.set(0, narrowed(a.g, mul(a.g, dy, cast(a.g, a.in(1), a.g.value(dy).dtype)), a.g.value(a.in(0)).dtype));
}

void decompose(DecomposeArgs& a) { a.set(0, emit(a.g, "stop_gradient", {a.in(0)})); }

constexpr Case kCases[] = {
    {"small", "f32[4,7] f32[]"},
    {"half", "f16[33] f32[]", "", 4e-3},
    {"scalar", "f32[] f32[]"},
    {"empty", "f32[0,3] f32[]"},
    {"double", "f64[3] f32[]"},
    {"integer", "i32[3] f32[]", "", 0, TERN_ERR_TYPE},
    {"factor_type", "f16[3] f16[]", "", 0, TERN_ERR_TYPE},
    {"factor_shape", "f32[3] f32[3]", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_scale_gradient = checked_op({.name = "scale_gradient",
                                                          .min_in = 2,
                                                          .max_in = 2,
                                                          .capability = Capability::training,
                                                          .infer = infer,
                                                          .vjp = vjp,
                                                          .decompose = decompose,
                                                          .cases = TERN_CASES(kCases)});

}  // namespace tern
