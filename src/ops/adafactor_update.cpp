// SPDX-License-Identifier: Apache-2.0
// adafactor_update: second moments by row and column (Shazeer and Stern 2018), as PyTorch's Adafactor
//   d = step^decay, a = max(epsilon2, rms(p)) min(rate, 1 / sqrt(step));  p = p (1 - rate weight_decay factor)
//   r = r + d (mean of gradient^2 over the columns - r);  c = c + d (mean of gradient^2 over the rows - c)
//   u = gradient / max(epsilon1, sqrt(r c / max(epsilon1, mean of r)))
//   p = p - a u / max(1, rms(u) / threshold)
//   p  state [.., rows, columns] (ops/update.h); r, c  float states [.., rows, 1], [.., 1, columns]; gradient like p;
//   rate f32 scalar; step i64 scalar from 1 on; factor f32 scalar, optional, 1 if absent     y  the new p, r and c
#include <cstddef>

#include "ops/reduce.h"
#include "ops/update.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const Value& p = a.in(0);
  for (int i = 0; i < 4; ++i) {
    const Value& v = a.in(i);
    TERN_TRY(require_float(a, i));
    if (v.dtype == TERN_DTYPE_F64)
      return TERN_FAIL(TERN_ERR_TYPE, "adafactor_update: input %d is f64; the arithmetic is f32", i);
    Shape wanted = p.shape;
    if (wanted.rank < 2)
      return TERN_FAIL(TERN_ERR_SHAPE, "adafactor_update: a parameter of shape %s has no rows and columns",
                       to_string(wanted).c_str());
    if (i == 1 || i == 2) wanted[wanted.rank - i] = 1;
    if (!(v.shape == wanted))
      return TERN_FAIL(TERN_ERR_SHAPE, "adafactor_update: input %d has shape %s, %s is needed", i,
                       to_string(v.shape).c_str(), to_string(wanted).c_str());
    if (!is_plain(v.encoding) && v.encoding != p.encoding)
      return TERN_FAIL(TERN_ERR_TYPE, "adafactor_update: input %d is encoded as %s, the parameter is not", i,
                       encoding_name(v.encoding));
  }
  TERN_TRY(require_scalar(a, 4, TERN_DTYPE_F32));
  TERN_TRY(require_scalar(a, 5, TERN_DTYPE_I64));
  TERN_TRY(require_scalar(a, 6, TERN_DTYPE_F32));
  set_written(a);
  return TERN_OK;
}

ValueId mean(Graph& g, ValueId x, int64_t axis) {
  return emit(g, "reduce_mean", {x}, ReduceAttrs{.axes = {axis}, .keep_dims = 1});
}

ValueId root_mean_square(Graph& g, ValueId x) {
  return emit(g, "sqrt", {emit(g, "reduce_mean", {mul(g, x, x)}, ReduceAttrs{})});
}

ValueId power_of_step(Graph& g, ValueId step, double exponent) {
  const ValueId t = cast(g, step, TERN_DTYPE_F64);
  return cast(g, emit(g, "pow", {t, scalar_like(g, t, exponent)}), TERN_DTYPE_F32);
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const AdafactorUpdateAttrs& t = a.attrs<AdafactorUpdateAttrs>();
  const ValueId p = read_f32(a, 0), gradient = read_f32(a, 3), rate = a.in(4), step = a.in(5);
  const ValueId share = power_of_step(g, step, t.decay), square = mul(g, gradient, gradient),
                epsilon = constant_f32(g, t.epsilon1);
  ValueId moments[2];
  for (int k = 0; k < 2; ++k) {
    const ValueId old = read_f32(a, 1 + k);
    moments[k] = add_product(g, old, sub(g, mean(g, square, -1 - k), old), share);
  }
  const ValueId variance = div(g, mul(g, moments[0], moments[1]), emit(g, "max", {mean(g, moments[0], -2), epsilon}));
  const ValueId u = div(g, gradient, emit(g, "max", {emit(g, "sqrt", {variance}), epsilon}));
  const ValueId excess =
      emit(g, "max", {constant_f32(g, 1), div(g, root_mean_square(g, u), constant_f32(g, t.threshold))});
  const ValueId length = mul(g, emit(g, "max", {constant_f32(g, t.epsilon2), root_mean_square(g, p)}),
                             emit(g, "min", {rate, power_of_step(g, step, -0.5)}));
  write_f32(a, 0, sub(g, decayed(a, p, rate, t.weight_decay, 6), mul(g, div(g, length, excess), u)));
  for (int k = 0; k < 2; ++k) write_f32(a, 1 + k, moments[k]);
}

constexpr AttrField kFields[] = {TERN_ATTR(AdafactorUpdateAttrs, decay, number, -8, 0),
                                 TERN_ATTR(AdafactorUpdateAttrs, epsilon1, number, 1e-30, 1),
                                 TERN_ATTR(AdafactorUpdateAttrs, epsilon2, number, 0, 1e18),
                                 TERN_ATTR(AdafactorUpdateAttrs, threshold, number, 1e-18, 1e18),
                                 TERN_ATTR(AdafactorUpdateAttrs, weight_decay, number, 0, 1e18)};

constexpr Case kCases[] = {
    {"small", "f32[4,7] f32[4,1]:0.1..2 f32[1,7]:0.1..2 f32[4,7] f32[]{0.1} i64[]{3}"},
    {"first", "f32[4,7] f32[4,1]{0} f32[1,7]{0} f32[4,7] f32[]{0.01} i64[]{1} f32[]{0.5}", "weight_decay=0.1"},
    {"bounded", "f32[3,5] f32[3,1]:0.1..2 f32[1,5]:0.1..2 f32[3,5]:-9..9 f32[]{0.9} i64[]{100}",
     "threshold=0.5 epsilon2=2 decay=-0.5"},
    {"batch", "f32[2,1,3,4] f32[2,1,3,1]:0.1..2 f32[2,1,1,4]:0.1..2 f32[2,1,3,4] f32[]{0.01} i64[]{2}"},
    {"panels", "f32[70,5]@panel32 f32[70,1]:0.1..2 f32[1,5]:0.1..2 f32[70,5] f32[]{0.1} i64[]{3}"},
    {"half", "f16[3,5] f32[3,1]:0.1..2 f32[1,5]:0.1..2 f16[3,5] f32[]{0.1} i64[]{3}", "", 4e-3},
    {"empty", "f32[0,3] f32[0,1] f32[1,3] f32[0,3] f32[]{0.1} i64[]{3}"},
    {"rank", "f32[3] f32[3] f32[1] f32[3] f32[] i64[]", "", 0, TERN_ERR_SHAPE},
    {"column", "f32[3,4] f32[3,1] f32[4,1] f32[3,4] f32[] i64[]", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_adafactor_update = checked_op({.name = "adafactor_update",
                                                            .min_in = 6,
                                                            .max_in = 7,
                                                            .num_out = 3,
                                                            .flags = kWritesState,
                                                            .capability = Capability::training,
                                                            .encoded_in = 9,
                                                            .attributes = attr_schema<AdafactorUpdateAttrs>(kFields),
                                                            .infer = infer,
                                                            .no_gradient_because = NoGradient::input_output,
                                                            .decompose = decompose,
                                                            .cases = TERN_CASES(kCases)});

}  // namespace tern
