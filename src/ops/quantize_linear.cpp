// SPDX-License-Identifier: Apache-2.0
// quantize_linear: y = saturate(round(x / scale) + zero point), half to even; NaN gives the zero point
//   x  float or i32; scale  float, one or (rank 1) one per index of `axis`; zero_point  optional, shape of the scale,
//     type of y
//   y  u8, i8, u16 or i16 (dtype), shape of x. The quotient is taken in f32 (f64 for an x of f64)
#include <cstddef>

#include "ops/quantize.h"
#include "ops/reduce.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const QuantizeLinearAttrs& p = a.attrs<QuantizeLinearAttrs>();
  if (a.in(0).dtype != TERN_DTYPE_I32) TERN_TRY(require_float(a, 0));
  TERN_TRY(check_scales(a, p.axis));
  if (a.has(2) && a.in(2).dtype != p.dtype)
    return TERN_FAIL(TERN_ERR_TYPE, "quantize_linear: the zero point is %s, the result %s", dtype_name(a.in(2).dtype),
                     dtype_name((DType)p.dtype));
  a.set(0, (DType)p.dtype, a.in(0).shape);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const RefTensor &x = a.in(0), &scale = a.in(1), &y = a.out(0);
  const int64_t low = lowest_integer(y.dtype), high = highest_integer(y.dtype);
  const ScaleIndex index(x.shape, scale.shape, a.attrs<QuantizeLinearAttrs>().axis);
  for (int64_t i = 0, n = y.elements(); i < n; ++i) {
    double v = x.load(i) / scale.load(index(i));
    if (x.dtype != TERN_DTYPE_F64) v = (float)v;
    const double code = (v == v ? round_half_even(v) : 0) + (a.has(2) ? (double)a.in(2).load_int(index(i)) : 0);
    y.store(i, between(code, (double)low, (double)high));
  }
  return TERN_OK;
}

constexpr AttrField kFields[] = {TERN_ATTR(QuantizeLinearAttrs, axis, integer, -kMaxRank, kMaxRank - 1),
                                 TERN_ATTR(QuantizeLinearAttrs, dtype, integer, TERN_DTYPE_I8, TERN_DTYPE_U16)};

constexpr Case kCases[] = {
    {"small", "f32[4,7]:-50..50 f32[]{0.5}"},
    {"zero_point", "f32[131]:-50..50 f32[]{0.3} u8[]{128}"},
    {"signed", "f32[33]:-50..50 f32[]{0.4} i8[]{-5}", "dtype=5"},
    {"axis", "f32[2,3,4]:-50..50 f32[3]:0.1..1 u8[3]{0,100,255}"},
    {"last", "f32[2,3]:-50..50 f32[3]:0.1..1", "axis=-1"},
    {"one_scale", "f32[2,3]:-50..50 f32[1]{0.7} u8[1]{3}"},
    {"ties", "f32[6]{-2.5,-1.5,-0.5,0.5,1.5,2.5} f32[]{1} u8[]{10}"},
    {"far", "f32[4]{inf,-inf,nan,1e30} f32[]{1} u8[]{7}"},
    {"odd_scales", "f32[1,6]{1,1,1,1,1,0} f32[6]{nan,inf,-inf,1e-40,-0.5,1e-40} u8[6]{1,2,3,4,5,6}"},
    {"zero_scale", "f32[3]{1,-1,0} f32[]{0} u8[]{7}"},
    {"integer", "i32[9] f32[]{2}", "dtype=5"},
    {"words", "f32[33]:-70000..70000 f32[]{1.5} u16[]{32768}", "dtype=8"},
    {"signed_words", "f32[33]:-70000..70000 f32[]{1.5}", "dtype=7"},
    {"half", "f16[9] f16[]{0.5}"},
    {"rank5", "f32[2,1,3,2,2]:-50..50 f32[3]:0.5..1", "axis=2"},
    {"scalar", "f32[] f32[]{0.5}"},
    {"empty", "f32[0,3] f32[]{1}"},
    {"zero_type", "f32[3] f32[] i8[]", "", 0, TERN_ERR_TYPE},
    {"zero_shape", "f32[2,3] f32[3] u8[]", "", 0, TERN_ERR_SHAPE},
    {"scales", "f32[2,3] f32[2]", "", 0, TERN_ERR_SHAPE},
    {"axis_range", "f32[3] f32[3]", "axis=1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"scale_type", "f32[3] i32[]", "", 0, TERN_ERR_TYPE},
    {"type", "u8[3] f32[]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_quantize_linear = checked_op({.name = "quantize_linear",
                                                           .min_in = 2,
                                                           .max_in = 3,
                                                           .attributes = attr_schema<QuantizeLinearAttrs>(kFields),
                                                           .infer = infer,
                                                           .reference = reference,
                                                           .no_gradient_because = NoGradient::integer_output,
                                                           .cases = TERN_CASES(kCases)});

}  // namespace tern
