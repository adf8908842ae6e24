// SPDX-License-Identifier: Apache-2.0
// dequantize_linear: y = (x - zero point) * scale
//   x  integer; scale  float, one or (rank 1) one per index of `axis`; zero_point  optional, shape of the scale, type
//     of x
//   y  type of the scale, shape of x
//   dscale = dy * (x - zero point)
#include <cstddef>

#include "ops/quantize.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  TERN_TRY(require_integer(a, 0));
  TERN_TRY(check_scales(a, a.attrs<DequantizeLinearAttrs>().axis));
  if (a.has(2)) TERN_TRY(require_same_dtype(a, 2, 0));
  a.set(0, a.in(1).dtype, a.in(0).shape);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const RefTensor &x = a.in(0), &scale = a.in(1), &y = a.out(0);
  const ScaleIndex index(x.shape, scale.shape, a.attrs<DequantizeLinearAttrs>().axis);
  for (int64_t i = 0, n = y.elements(); i < n; ++i) {
    const double zero = a.has(2) ? a.in(2).load(index(i)) : 0;
    y.store(i, (x.load(i) - zero) * scale.load(index(i)));
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  if (!a.wanted(1)) return;
  Graph& g = a.g;
  const DType dtype = g.value(a.dout(0)).dtype;
  const Shape x = g.value(a.in(0)).shape, scale = g.value(a.in(1)).shape;
  const int64_t axis_attr = a.attrs<DequantizeLinearAttrs>().axis;
  const int axis = (int)(axis_attr < 0 ? axis_attr + x.rank : axis_attr);
  // One scale or one per index of the axis, as a shape that broadcasts against x and as the axes to sum over.
  const bool each = is_per_axis(scale);
  Shape stretched;
  IntList axes;
  for (int i = 0; each && i < x.rank; ++i) stretched.push(i == axis ? x[i] : 1);
  for (int i = 0; i < x.rank; ++i)
    if (!each || i != axis) axes[axes.count++] = i;
  ValueId code = cast(g, a.in(0), dtype);
  if (a.has(2)) code = sub(g, code, cast(g, reshape(g, a.in(2), stretched), dtype));
  ValueId d = mul(g, a.dout(0), code);
  if (axes.count > 0) d = reduce_sum(g, d, {axes.begin(), axes.end()}, false);
  a.set(1, reshape(g, d, scale));
}

constexpr AttrField kFields[] = {TERN_ATTR(DequantizeLinearAttrs, axis, integer, -kMaxRank, kMaxRank - 1)};

constexpr Case kCases[] = {
    {"small", "u8[4,7]:0..255 f32[]{0.5}"},
    {"zero_point", "u8[131]:0..255 f32[]{0.3} u8[]{128}"},
    {"signed", "i8[33] f32[]{0.4} i8[]{-5}"},
    {"axis", "i8[2,3,4] f32[3]:0.1..1 i8[3]{0,100,-128}"},
    {"first", "i8[3,4] f32[3]:0.1..1 i8[3]{0,100,-128}", "axis=0"},
    {"last", "i8[2,3] f32[3]:0.1..1", "axis=-1"},
    {"vector", "i8[3] f32[3]:0.1..1 i8[3]", "axis=0"},
    {"one_scale", "i8[2,3] f32[1]{0.7} i8[1]{3}"},
    {"wide", "i32[5]{2147483647,-2147483648,0,1,2} f32[]{0.5} i32[]{-1}"},
    {"short", "i16[5] f32[]{0.5}"},
    {"half", "i8[9] f16[]{0.5}", "", 1e-3},
    {"rank5", "i8[2,1,3,2,2] f32[3]:0.5..1", "axis=2"},
    {"scalar", "u8[] f32[]{0.5} u8[]{3}"},
    {"scalar_one", "u8[] f32[1]{0.5} u8[1]{3}"},
    {"empty", "u8[0,3] f32[]{1}"},
    {"zero_type", "u8[3] f32[] i8[]", "", 0, TERN_ERR_TYPE},
    {"zero_shape", "u8[2,3] f32[3] u8[]", "", 0, TERN_ERR_SHAPE},
    {"scales", "u8[2,3] f32[2]", "", 0, TERN_ERR_SHAPE},
    {"axis_range", "u8[3] f32[3]", "axis=1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"type", "f32[3] f32[]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_dequantize_linear = checked_op({.name = "dequantize_linear",
                                                             .min_in = 2,
                                                             .max_in = 3,
                                                             .flags = kDecodes,
                                                             .attributes = attr_schema<DequantizeLinearAttrs>(kFields),
                                                             .infer = infer,
                                                             .reference = reference,
                                                             .vjp = vjp,
                                                             .cases = TERN_CASES(kCases)});

}  // namespace tern
