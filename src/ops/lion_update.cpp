// SPDX-License-Identifier: Apache-2.0
// lion_update: the sign of an average (Chen et al. 2023)
//   p = p (1 - rate weight_decay factor) - rate sign(beta1 m + (1 - beta1) gradient)
//   m = beta2 m + (1 - beta2) gradient
//   p, m  states (ops/update.h); gradient; rate f32 scalar; factor f32 scalar, optional, 1 if absent
//   y  the new p and m
#include "ops/update.h"

#include <cstddef>

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  TERN_TRY(infer_update(a, 1));
  return require_scalar(a, 4, TERN_DTYPE_F32);
}

ValueId average(Graph& g, double beta, ValueId m, ValueId gradient) {
  return add_product(g, mul(g, m, constant_f32(g, beta)), gradient, constant_f32(g, 1 - beta));
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const LionUpdateAttrs& t = a.attrs<LionUpdateAttrs>();
  const ValueId p = read_f32(a, 0), m = read_f32(a, 1), gradient = read_f32(a, 2), rate = a.in(3);
  const ValueId direction = emit(g, "sign", {average(g, t.beta1, m, gradient)});
  write_f32(a, 0, sub(g, decayed(a, p, rate, t.weight_decay, 4), mul(g, rate, direction)));
  write_f32(a, 1, average(g, t.beta2, m, gradient));
}

constexpr AttrField kFields[] = {TERN_ATTR(LionUpdateAttrs, beta1, number, 0, 1),
                                 TERN_ATTR(LionUpdateAttrs, beta2, number, 0, 1),
                                 TERN_ATTR(LionUpdateAttrs, weight_decay, number, 0, 1e18)};

constexpr Case kCases[] = {
    {"small", "f32[4,7] f32[4,7] f32[4,7] f32[]{0.1}"},
    {"decay", "f32[131] f32[131] f32[131] f32[]{0.1} f32[]{0.5}", "beta1=0.8 beta2=0.95 weight_decay=0.1"},
    {"first", "f32[9] f32[9]{0} f32[9]{0,1,-1} f32[]{0.1}"},
    {"rank5", "f32[2,1,3,2,2] f32[2,1,3,2,2] f32[2,1,3,2,2] f32[]{0.01}"},
    {"panels_alike", "f32[70,5]@panel32 f32[70,5]@panel32 f32[70,5]@panel32 f32[]{0.1}"},
    {"plain_moment", "f32[70,5]@panel32 f32[70,5] f32[70,5] f32[]{0.1}"},
    {"blocks", "f32[9,40]@panel_int8 f32[9,40] f32[9,40] f32[]{0.1}", "", 1e-5},
    {"half", "f16[9] f32[9] f16[9] f32[]", "", 4e-3},
    {"long", "f32[5000] f32[5000] f32[5000] f32[]{0.1}"},
    {"scalar", "f32[] f32[] f32[] f32[]"},
    {"empty", "f32[0,3] f32[0,3] f32[0,3] f32[]"},
    {"shape", "f32[3] f32[3] f32[4] f32[]", "", 0, TERN_ERR_SHAPE},
    {"factor", "f32[3] f32[3] f32[3] f32[] i64[]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_lion_update = checked_op({.name = "lion_update",
                                                       .min_in = 4,
                                                       .max_in = 5,
                                                       .num_out = 2,
                                                       .flags = kWritesState,
                                                       .capability = Capability::training,
                                                       .encoded_in = 7,
                                                       .attributes = attr_schema<LionUpdateAttrs>(kFields),
                                                       .infer = infer,
                                                       .no_gradient_because = NoGradient::input_output,
                                                       .decompose = decompose,
                                                       .cases = TERN_CASES(kCases)});

}  // namespace tern
