// SPDX-License-Identifier: Apache-2.0
// adamw_update: Adam with decoupled weight decay, as PyTorch's AdamW
//   m = m + (1 - beta1) (gradient - m);  v = beta2 v + (1 - beta2) gradient^2
//   p = p (1 - rate weight_decay factor) - rate / (1 - beta1^step) m / (sqrt(v) / sqrt(1 - beta2^step) + epsilon)
//   p, m, v  states (ops/update.h); gradient; rate f32 scalar; step i64 scalar from 1 on; factor f32 scalar, optional,
//   1 if absent     y  the new p, m and v
#include "ops/update.h"

#include <cstddef>

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  TERN_TRY(infer_update(a, 2));
  TERN_TRY(require_scalar(a, 5, TERN_DTYPE_I64));
  return require_scalar(a, 6, TERN_DTYPE_F32);
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const AdamwUpdateAttrs& t = a.attrs<AdamwUpdateAttrs>();
  const ValueId p = read_f32(a, 0), old = read_f32(a, 1), gradient = read_f32(a, 3), rate = a.in(4), step = a.in(5);
  const ValueId m = add_product(g, old, sub(g, gradient, old), constant_f32(g, 1 - t.beta1));
  const ValueId v = add(g, mul(g, read_f32(a, 2), constant_f32(g, t.beta2)),
                        mul(g, mul(g, gradient, gradient), constant_f32(g, 1 - t.beta2)));
  const ValueId root = emit(g, "sqrt", {bias_correction(g, t.beta2, step)});
  const ValueId size = add(g, div(g, emit(g, "sqrt", {v}), root), constant_f32(g, t.epsilon));
  const ValueId length = div(g, rate, bias_correction(g, t.beta1, step));
  write_f32(a, 0, sub(g, decayed(a, p, rate, t.weight_decay, 6), mul(g, length, div(g, m, size))));
  write_f32(a, 1, m);
  write_f32(a, 2, v);
}

constexpr AttrField kFields[] = {TERN_ATTR(AdamwUpdateAttrs, beta1, number, 0, 0.99999999),
                                 TERN_ATTR(AdamwUpdateAttrs, beta2, number, 0, 0.99999999),
                                 TERN_ATTR(AdamwUpdateAttrs, epsilon, number, 1e-30, 1),
                                 TERN_ATTR(AdamwUpdateAttrs, weight_decay, number, 0, 1e18)};

constexpr Case kCases[] = {
    {"small", "f32[4,7] f32[4,7] f32[4,7]:0..2 f32[4,7] f32[]{0.1} i64[]{3}"},
    {"first", "f32[131] f32[131]{0} f32[131]{0} f32[131] f32[]{0.1} i64[]{1} f32[]{0.5}", "weight_decay=0.1"},
    {"far", "f32[9] f32[9] f32[9]:0..2 f32[9] f32[]{0.1} i64[]{1000000}", "beta1=0.8 beta2=0.95 epsilon=1e-6"},
    {"rank5", "f32[2,1,3,2,2] f32[2,1,3,2,2] f32[2,1,3,2,2]:0..2 f32[2,1,3,2,2] f32[]{0.01} i64[]{2}",
     "weight_decay=0"},
    {"panels", "f32[70,5]@panel32 f32[70,5]@panel32 f32[70,5]@panel32:0..2 f32[70,5] f32[]{0.1} i64[]{3}"},
    {"panels_alike",
     "f32[70,5]@panel32 f32[70,5]@panel32 f32[70,5]@panel32:0..2 f32[70,5]@panel32 f32[]{0.1} i64[]{3}"},
    {"plain_moments", "f32[9,3,2,2]@panel32 f32[9,3,2,2] f32[9,3,2,2]:0..2 f32[9,3,2,2] f32[]{0.1} i64[]{3}"},
    {"brain_panels", "bf16[40,6]@panel32 f32[40,6] f32[40,6]:0..2 bf16[40,6] f32[]{0.1} i64[]{3}", "", 1e-2},
    {"blocks", "f32[9,40]@panel_int8 f32[9,40] f32[9,40]:0..2 f32[9,40] f32[]{0.1} i64[]{3}", "", 1e-5},
    {"half", "f16[9] f32[9] f32[9]:0..2 f16[9] f32[]{0.1} i64[]{3}", "", 4e-3},
    {"half_moments", "bf16[300] bf16[300] f16[300]:0..2 f32[300] f32[]{0.1} i64[]{3}", "", 2e-2},
    {"long", "f32[5000] f32[5000] f32[5000]:0..2 f32[5000] f32[]{0.1} i64[]{7}"},
    {"scalar", "f32[] f32[] f32[]:0..2 f32[] f32[]{0.1} i64[]{3}"},
    {"empty", "f32[0,3] f32[0,3] f32[0,3] f32[0,3] f32[] i64[]"},
    {"shape", "f32[3] f32[3] f32[1] f32[3] f32[] i64[]", "", 0, TERN_ERR_SHAPE},
    {"step_type", "f32[3] f32[3] f32[3] f32[3] f32[] i32[]", "", 0, TERN_ERR_TYPE},
    {"factor", "f32[3] f32[3] f32[3] f32[3] f32[] i64[] f32[1]", "", 0, TERN_ERR_SHAPE},
    {"double", "f32[3] f32[3] f64[3] f32[3] f32[] i64[]", "", 0, TERN_ERR_TYPE},
    {"epsilon", "f32[3] f32[3] f32[3] f32[3] f32[] i64[]", "epsilon=0", 0, TERN_ERR_INVALID_ARGUMENT},
};

}  // namespace

extern constinit const Op op_adamw_update = checked_op({.name = "adamw_update",
                                                        .min_in = 6,
                                                        .max_in = 7,
                                                        .num_out = 3,
                                                        .flags = kWritesState,
                                                        .capability = Capability::training,
                                                        .encoded_in = 15,
                                                        .attributes = attr_schema<AdamwUpdateAttrs>(kFields),
                                                        .infer = infer,
                                                        .no_gradient_because = NoGradient::input_output,
                                                        .decompose = decompose,
                                                        .cases = TERN_CASES(kCases)});

}  // namespace tern
