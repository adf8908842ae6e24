// SPDX-License-Identifier: Apache-2.0
// conv2d_integer: y[n, oy, ox, o] = sum over ky, kx, c of (x[n, oy * s - pad + ky * d, ..., c] - zx) * (w[o, ky, kx, c]
// - zw[o])
//   x [N, H, W, C] i8 or u8; w [O, kh, kw, C / groups] i8 or u8; cells in the padding are zx
//   zx  optional, type of x: one;  zw  optional, type of w: one or [O]     y [N, OH, OW, O] i32; sums beyond its range
//                                                                          wrap
#include <cstddef>

#include "ops/conv2d.h"
#include "ops/gather.h"
#include "ops/move.h"
#include "ops/pad.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const Conv2dAttrs& p = a.attrs<Conv2dAttrs>();
  const Shape &x = a.in(0).shape, &w = a.in(1).shape;
  for (int i = 0; i < 2; ++i) {
    const DType t = a.in(i).dtype;
    if (t != TERN_DTYPE_U8 && t != TERN_DTYPE_I8)
      return TERN_FAIL(TERN_ERR_TYPE, "conv2d_integer: input %d is %s, u8 or i8 is needed", i, dtype_name(t));
    TERN_TRY(require_rank(a, i, 4));
  }
  TERN_TRY(check_conv_lists("conv2d_integer", p.strides, p.pads, p.dilations));
  if (w[0] % p.groups != 0 || x[3] % p.groups != 0 || w[3] != x[3] / p.groups)
    return TERN_FAIL(TERN_ERR_SHAPE,
                     "conv2d_integer: %" PRId64 " groups of %" PRId64 " channels for %" PRId64
                     " results, the input has %" PRId64,
                     p.groups, w[3], w[0], x[3]);
  for (int i = 2; i < 4; ++i) {
    if (!a.has(i)) continue;
    TERN_TRY(require_same_dtype(a, i, i - 2));
    const int64_t points = a.in(i).shape.elements();
    if (a.in(i).shape.rank > 1 || (points != 1 && (i == 2 || points != w[0])))
      return TERN_FAIL(TERN_ERR_SHAPE, "conv2d_integer: zero points of shape %s do not fit input %d of shape %s",
                       to_string(a.in(i).shape).c_str(), i - 2, to_string(a.in(i - 2).shape).c_str());
  }
  Shape y{x[0], 0, 0, w[0]};
  for (int i = 0; i < 2; ++i)
    TERN_TRY(window_output("conv2d_integer", x[1 + i], w[1 + i], p.strides[i], p.pads[i], p.pads[2 + i], p.dilations[i],
                           false, &y[1 + i]));
  a.set(0, TERN_DTYPE_I32, y);
  return TERN_OK;
}

struct Operands {
  ValueId x, w, zx, zw;  // zero points [] and [] or [O], or kNoValue
};

// Differences are at most 255 in magnitude: up to 258 products of them are summed exactly in f32.
constexpr int64_t kExactInF32 = (1 << 24) / (255 * 255);

ValueId without_point(Graph& g, ValueId v, ValueId zero, const Shape& shape) {
  const ValueId f = cast(g, v, TERN_DTYPE_F32);
  return zero == kNoValue ? f : sub(g, f, cast(g, reshape(g, zero, shape), TERN_DTYPE_F32));
}

// What each tap reads, for all outputs of one axis, whose last entry stands for the padding: the axis becomes [outputs
// * taps].
ValueId gather_taps(Graph& g, ValueId x, int axis, const Window& w) {
  std::vector<int64_t> at;
  for (int64_t o = 0; o < w.out; ++o)
    for (int64_t k = 0; k < w.kernel; ++k) at.push_back(w.at(o, k) < 0 ? w.in : w.at(o, k));
  return emit(g, "gather", {x, add_constant(g, TERN_DTYPE_I64, Shape{(int64_t)at.size()}, at.data())},
              GatherAttrs{.axis = axis});
}

// Signed bytes: those of u8 are moved down by 128, and their zero points too.
ValueId as_signed(Graph& g, ValueId v) {
  if (g.status != TERN_OK || g.value(v).dtype == TERN_DTYPE_I8) return v;
  return cast(g, plus(g, cast(g, v, TERN_DTYPE_I32), -128), TERN_DTYPE_I8);
}

// Every window as one row of a matrix.
void decompose_as_product(DecomposeArgs& a, const Operands& v, const Shape& xs, const Shape& ws, const Shape& ys) {
  Graph& g = a.g;
  const Conv2dAttrs& p = a.attrs<Conv2dAttrs>();
  const int64_t kh = ws[1], kw = ws[2], groups = p.groups, per_group = ws[3], outs = ws[0] / groups;
  ValueId x = v.x;
  bool as_they_lie = kh == 1 && kw == 1;
  for (const int64_t stride : p.strides) as_they_lie = as_they_lie && stride == 1;
  for (const int64_t pad : p.pads) as_they_lie = as_they_lie && pad == 0;
  if (!as_they_lie) {
    const PadAttrs edge{.before = {0, 0, 0, 0}, .after = {0, 1, 1, 0}};
    x = v.zx == kNoValue ? emit(g, "pad", {x}, edge) : emit(g, "pad", {x, kNoValue, v.zx}, edge);
    x = gather_taps(g, x, 1, conv_window(p, 0, xs[1], ys[1], kh));
    x = gather_taps(g, x, 2, conv_window(p, 1, xs[2], ys[2], kw));
  }
  const int64_t order[] = {4, 0, 2, 1, 3, 5};  // groups first, the taps behind the pixels
  x = transpose(g, reshape(g, x, {xs[0] * ys[1], kh, ys[2], kw, groups, per_group}), order);
  const int64_t pixels = xs[0] * ys[1] * ys[2], terms = kh * kw * per_group, swap[] = {0, 2, 1};
  x = reshape(g, x, {groups, pixels, terms});
  ValueId w = transpose(g, reshape(g, as_signed(g, v.w), {groups, outs, terms}), swap);
  ValueId zw = v.zw;
  if (g.status != TERN_OK) return;
  if (zw != kNoValue) zw = as_signed(g, zw);
  else if (g.value(v.w).dtype == TERN_DTYPE_U8) zw = scalar_like(g, w, -128);
  if (g.status != TERN_OK) return;
  if (groups == 1) {
    x = reshape(g, x, {pixels, terms});
    w = reshape(g, w, {terms, outs});
  } else if (zw != kNoValue && g.value(zw).shape.rank == 1) {
    zw = reshape(g, zw, {groups, 1, outs});
  }
  const ValueId y = emit(g, "matmul_integer", {x, w, v.zx, zw});
  if (groups == 1) return a.set(0, reshape(g, y, ys));
  const int64_t back[] = {1, 0, 2};
  a.set(0, reshape(g, transpose(g, y, back), ys));
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const Conv2dAttrs& p = a.attrs<Conv2dAttrs>();
  const Shape xs = g.value(a.in(0)).shape, ws = g.value(a.in(1)).shape;
  Shape ys{xs[0], 0, 0, ws[0]};
  for (int i = 0; i < 2; ++i)
    if (g.status == TERN_OK)
      g.status = window_output("conv2d_integer", xs[1 + i], ws[1 + i], p.strides[i], p.pads[i], p.pads[2 + i],
                               p.dilations[i], false, &ys[1 + i]);
  const auto points = [&](int i) {
    if (!a.has(i)) return kNoValue;
    return g.value(a.in(i)).shape.elements() == 1 ? reshape(g, a.in(i), Shape{}) : a.in(i);
  };
  const Operands v{a.in(0), a.in(1), points(2), points(3)};
  if (g.status != TERN_OK) return;
  // lists of taps may be long
  if (ys.elements() == 0 || ws.elements() == 0) return a.set(0, filled(g, TERN_DTYPE_I32, ys, 0));
  if (p.groups == 1 || ws[1] * ws[2] * ws[3] > kExactInF32) return decompose_as_product(a, v, xs, ws, ys);
  const bool one = v.zw == kNoValue || g.value(v.zw).shape.rank == 0;
  const ValueId x = without_point(g, v.x, v.zx, Shape{}),
                w = without_point(g, v.w, v.zw, one ? Shape{} : Shape{ws[0], 1, 1, 1});
  a.set(0, cast(g, emit(g, "conv2d", {x, w}, p), TERN_DTYPE_I32));
}

constexpr Case kCases[] = {
    {"3x3", "u8[1,5,6,3]:0..255 i8[4,3,3,3]:-128..127", "pads=1,1,1,1"},
    {"points", "u8[2,5,6,3]:0..255 u8[4,3,2,3]:0..255 u8[]{200} u8[]{7}", "pads=1,0,2,1 strides=2,1"},
    {"each", "i8[1,5,6,3]:-128..127 u8[4,3,3,3]:0..255 i8[1]{-128} u8[4]{0,255,128,3}", "pads=1,1,1,1"},
    {"pixels", "u8[1,4,3,70]:0..255 i8[33,1,1,70]:-128..127 u8[]{255}"},
    {"pixels_apart", "i8[1,4,3,2]:-128..127 u8[3,1,1,2]:0..255", "pads=2,1,1,1 strides=2,2"},
    {"dilated", "i8[1,8,9,2]:-128..127 i8[3,3,2,2]:-128..127 i8[]{5}", "dilations=3,2 pads=2,2,1,1"},
    {"depthwise", "u8[1,6,5,4]:0..255 i8[4,3,3,1]:-128..127 u8[]{3} i8[4]{1,2,3,-4}",
     "groups=4 pads=1,1,1,1 strides=2,2"},
    {"groups", "u8[1,3,3,6]:0..255 u8[4,2,2,3]:0..255 - u8[]{9}", "groups=2"},
    {"many_terms", "u8[1,3,3,70]:255..255 u8[2,3,3,70]:255..255"},
    {"many_terms_groups", "u8[1,3,3,70]:254..255 u8[4,3,3,35]:254..255 u8[] u8[4]{0,1,2,3}", "groups=2"},
    {"far_padding", "u8[1,3,3,2]:0..255 u8[1,2,2,2]:0..255 u8[]{7}", "pads=2147483647,0,5,1 strides=2147483647,1"},
    {"none", "u8[0,3,3,2] u8[1,2,2,2]"},
    {"no_channels", "u8[1,3,3,0] u8[2,2,2,0]"},
    {"type", "f32[1,3,3,2] u8[1,2,2,2]", "", 0, TERN_ERR_TYPE},
    {"point_type", "u8[1,3,3,2] u8[1,2,2,2] i8[]", "", 0, TERN_ERR_TYPE},
    {"point_shape", "u8[1,3,3,2] u8[3,2,2,2] u8[] u8[2]", "", 0, TERN_ERR_SHAPE},
    {"points_of_x", "u8[1,3,3,2] u8[3,2,2,2] u8[2]", "", 0, TERN_ERR_SHAPE},
    {"channels", "u8[1,3,3,2] u8[3,2,2,3]", "", 0, TERN_ERR_SHAPE},
    {"split", "u8[1,3,3,4] u8[3,2,2,2]", "groups=2", 0, TERN_ERR_SHAPE},
    {"kernel", "u8[1,3,3,2] u8[3,4,2,2]", "", 0, TERN_ERR_SHAPE},
    {"rank", "u8[3,3,2] u8[3,2,2,2]", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_conv2d_integer = checked_op({.name = "conv2d_integer",
                                                          .min_in = 2,
                                                          .max_in = 4,
                                                          .attributes = attr_schema<Conv2dAttrs>(kConv2dFields),
                                                          .infer = infer,
                                                          .no_gradient_because = NoGradient::integer_output,
                                                          .decompose = decompose,
                                                          .cases = TERN_CASES(kCases)});

}  // namespace tern
