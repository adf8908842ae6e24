// SPDX-License-Identifier: Apache-2.0
// momentum_update: gradient descent with momentum, as PyTorch's SGD
//   g = gradient + weight_decay factor p
//   b = momentum b + (1 - dampening) g;  where a step is given, b = g in step 1
//   p = p - rate (g + momentum b with nesterov, else b)
//   p, b  states (ops/update.h); gradient; rate f32 scalar; step i64 scalar from 1 on, optional; factor f32 scalar,
//   optional, 1 if absent     y  the new p and b
#include "ops/update.h"

#include <cstddef>

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  TERN_TRY(infer_update(a, 1));
  TERN_TRY(require_scalar(a, 4, TERN_DTYPE_I64));
  return require_scalar(a, 5, TERN_DTYPE_F32);
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const MomentumUpdateAttrs& t = a.attrs<MomentumUpdateAttrs>();
  const ValueId p = read_f32(a, 0), rate = a.in(3), momentum = constant_f32(g, t.momentum);
  ValueId gradient = read_f32(a, 2);
  if (t.weight_decay != 0) {
    const ValueId decay = constant_f32(g, t.weight_decay);
    gradient = add_product(g, gradient, p, a.has(5) ? mul(g, decay, a.in(5)) : decay);
  }
  ValueId b = add_product(g, mul(g, gradient, constant_f32(g, 1 - t.dampening)), momentum, read_f32(a, 1));
  if (a.has(4)) {
    const int64_t one = 1;
    const ValueId first = emit(g, "equal", {a.in(4), add_constant(g, TERN_DTYPE_I64, {}, &one)});
    b = emit(g, "where", {first, gradient, b});
  }
  const ValueId direction = t.nesterov ? add_product(g, gradient, momentum, b) : b;
  write_f32(a, 0, sub(g, p, mul(g, rate, direction)));
  write_f32(a, 1, b);
}

constexpr AttrField kFields[] = {TERN_ATTR(MomentumUpdateAttrs, momentum, number, 0, 1),
                                 TERN_ATTR(MomentumUpdateAttrs, dampening, number, 0, 1),
                                 TERN_ATTR(MomentumUpdateAttrs, weight_decay, number, 0, 1e18),
                                 TERN_ATTR(MomentumUpdateAttrs, nesterov, integer, 0, 1)};

constexpr Case kCases[] = {
    {"small", "f32[4,7] f32[4,7] f32[4,7] f32[]{0.1}"},
    {"all", "f32[131] f32[131] f32[131] f32[]{0.1} i64[]{2} f32[]{0.5}", "momentum=0.8 dampening=0.3 weight_decay=0.1"},
    {"first", "f32[9] f32[9] f32[9] f32[]{0.1} i64[]{1}", "dampening=0.3 nesterov=1"},
    {"nesterov", "f32[2,1,3,2,2] f32[2,1,3,2,2] f32[2,1,3,2,2] f32[]{0.01} - f32[]{2}", "nesterov=1 weight_decay=0.1"},
    {"panels", "f32[70,5]@panel32 f32[70,5]@panel32 f32[70,5] f32[]{0.1}"},
    {"panels_alike", "f32[70,5]@panel32 f32[70,5]@panel32 f32[70,5]@panel32 f32[]{0.1}"},
    {"plain_moment", "f32[70,300]@panel32 f32[70,300] f32[70,300] f32[]{0.1}"},
    {"brain_panels", "bf16[40,6]@panel32 f32[40,6] bf16[40,6] f32[]{0.1}", "", 1e-2},
    {"blocks", "f32[9,40]@panel_int8 f32[9,40] f32[9,40] f32[]{0.1}", "", 1e-5},
    {"half", "f16[9] f32[9] f16[9] f32[]", "", 4e-3},
    {"half_moment", "bf16[300] f16[300] f32[300] f32[]", "", 2e-2},
    {"scalar", "f32[] f32[] f32[] f32[]"},
    {"long", "f32[5000] f32[5000] f32[5000] f32[]{0.1}"},
    {"empty", "f32[0,3] f32[0,3] f32[0,3] f32[]"},
    {"shape", "f32[3] f32[1] f32[3] f32[]", "", 0, TERN_ERR_SHAPE},
    {"encodings", "f32[70,5] f32[70,5]@panel32 f32[70,5] f32[]", "", 0, TERN_ERR_TYPE},
    {"rate", "f32[3] f32[3] f32[3] f32[1]", "", 0, TERN_ERR_SHAPE},
    {"rate_type", "f32[3] f32[3] f32[3] f16[]", "", 0, TERN_ERR_TYPE},
    {"step_type", "f32[3] f32[3] f32[3] f32[] f32[]", "", 0, TERN_ERR_TYPE},
    {"integer", "f32[3] i32[3] f32[3] f32[]", "", 0, TERN_ERR_TYPE},
    {"double", "f64[3] f32[3] f32[3] f32[]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_momentum_update = checked_op({.name = "momentum_update",
                                                           .min_in = 4,
                                                           .max_in = 6,
                                                           .num_out = 2,
                                                           .flags = kWritesState,
                                                           .capability = Capability::training,
                                                           .encoded_in = 7,
                                                           .attributes = attr_schema<MomentumUpdateAttrs>(kFields),
                                                           .infer = infer,
                                                           .no_gradient_because = NoGradient::input_output,
                                                           .decompose = decompose,
                                                           .cases = TERN_CASES(kCases)});

}  // namespace tern
