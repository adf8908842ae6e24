// SPDX-License-Identifier: Apache-2.0
// conv_transpose2d: y = conv2d_input_grad(x, w) + bias, that is, each pixel of x adds its w to y
//   x [N, H, W, C] float; w [C, kh, kw, O / groups] as for conv2d; bias [O] optional
//   y [N, OH, OW, O], OH = (H - 1) * stride + dilation * (kh - 1) + 1 + output_pad - pad_top - pad_bottom
#include <cstddef>

#include "base/checked.h"
#include "ops/conv2d.h"

namespace tern {
namespace {

tern_status output_size(const ConvTranspose2dAttrs& p, int axis, int64_t in, int64_t kernel, int64_t* out) {
  const int64_t extra = axis == 0 ? p.output_pad_h : p.output_pad_w;
  int64_t n, span;
  if (in < 1 || kernel < 1)
    return TERN_FAIL(TERN_ERR_SHAPE, "conv_transpose2d: a kernel of %" PRId64 " over %" PRId64 " pixels", kernel, in);
  // Rows that no window reaches belong to the next window.
  if (extra >= p.strides[axis])
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "conv_transpose2d: the output padding must be smaller than the stride");
  if (!checked_mul_add(in - 1, p.strides[axis], extra + 1, &n) || !checked_mul(kernel - 1, p.dilations[axis], &span) ||
      !checked_add(n, span, &n))
    return TERN_FAIL(TERN_ERR_LIMIT, "conv_transpose2d: the result is too large");
  n -= p.pads[axis] + p.pads[axis + 2];
  if (n < 1) return TERN_FAIL(TERN_ERR_SHAPE, "conv_transpose2d: the pads leave %" PRId64 " pixels", n);
  *out = n;
  return TERN_OK;
}

tern_status infer(InferArgs& a) {
  const ConvTranspose2dAttrs& p = a.attrs<ConvTranspose2dAttrs>();
  const Shape &x = a.in(0).shape, &w = a.in(1).shape;
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_rank(a, 0, 4));
  TERN_TRY(check_conv_lists("conv_transpose2d", p.strides, p.pads, p.dilations));
  TERN_TRY(require_conv_weight(a, 0, 1, p.groups));
  if (x[3] != w[0])
    return TERN_FAIL(TERN_ERR_SHAPE, "conv_transpose2d: %" PRId64 " channels for a weight of %" PRId64, x[3], w[0]);
  Shape y{x[0], 0, 0, 0};
  if (!checked_mul(w[3], p.groups, &y[3])) return TERN_FAIL(TERN_ERR_LIMIT, "conv_transpose2d: too many channels");
  if (a.has(2)) TERN_TRY(require_bias(a, 0, 2, y[3]));
  for (int i = 0; i < 2; ++i) TERN_TRY(output_size(p, i, x[1 + i], w[1 + i], &y[1 + i]));
  a.set(0, a.in(0).dtype, y);
  return TERN_OK;
}

void decompose(DecomposeArgs& a) {
  const ConvTranspose2dAttrs& p = a.attrs<ConvTranspose2dAttrs>();
  const Shape x = a.g.value(a.in(0)).shape, w = a.g.value(a.in(1)).shape;
  Conv2dInputGradAttrs q{p.strides, p.pads, p.dilations, p.groups, 0, 0};
  if ((a.g.status = output_size(p, 0, x[1], w[1], &q.height)) != TERN_OK) return;
  if ((a.g.status = output_size(p, 1, x[2], w[2], &q.width)) != TERN_OK) return;
  ValueId y = emit(a.g, "conv2d_input_grad", {a.in(0), a.in(1)}, q);
  if (a.has(2)) {
    const bool same = a.g.value(a.in(2)).dtype == a.g.value(a.in(0)).dtype;
    y = add(a.g, y, same ? a.in(2) : cast(a.g, a.in(2), a.g.value(a.in(0)).dtype));
  }
  a.set(0, y);
}

using Attrs = ConvTranspose2dAttrs;
constexpr AttrField kFields[] = {
    TERN_ATTR(Attrs, strides, integers, 1, INT32_MAX),     TERN_ATTR(Attrs, pads, integers, 0, INT32_MAX),
    TERN_ATTR(Attrs, dilations, integers, 1, INT32_MAX),   TERN_ATTR(Attrs, groups, integer, 1, INT32_MAX),
    TERN_ATTR(Attrs, output_pad_h, integer, 0, INT32_MAX), TERN_ATTR(Attrs, output_pad_w, integer, 0, INT32_MAX)};

constexpr Case kCases[] = {
    {"double", "f32[1,3,4,5] f32[5,2,2,3] f32[3]", "strides=2,2"},
    {"overlap", "f32[2,3,3,2] f32[2,3,3,4]", "strides=2,2 pads=1,1,1,1"},
    {"output_pad", "f32[1,3,3,2] f32[2,3,3,4] f32[4]", "strides=2,2 pads=1,1,1,1 output_pad_h=1 output_pad_w=1"},
    {"groups", "f32[1,3,3,4] f32[4,3,3,3]", "groups=2"},
    {"groups_of_40", "f32[1,3,3,80] f32[80,2,2,40]", "strides=2,2 groups=2", 1e-4},
    {"groups_of_16", "f32[1,3,5,32] f32[32,3,3,16] f32[32]", "pads=1,1,1,1 groups=2", 1e-4},
    {"depthwise", "f32[1,5,6,9] f32[9,4,4,1] f32[9]", "strides=2,2 pads=1,1,1,1 groups=9"},
    {"depthwise_multiplier", "f32[2,3,7,5] f32[5,3,2,3]", "strides=3,2 output_pad_w=1 groups=5"},
    {"depthwise_dilated", "f32[1,4,5,6] f32[6,3,3,1]", "strides=2,3 pads=1,2,0,1 dilations=3,2 groups=6"},
    {"half_depthwise", "f32[1,4,5,9] f16[9,3,3,1] f16[9]", "groups=9"},
    {"dilated", "f32[1,3,2,2] f32[2,2,3,2]", "dilations=3,2"},
    {"same", "f32[1,4,4,3] f32[3,3,3,2]", "pads=1,1,1,1"},
    {"half", "f16[1,3,3,2] f16[2,2,2,3] f16[3]", "strides=2,2", 2e-2},
    {"half_weight", "f32[1,3,3,2] f16[2,2,2,3] f16[3]", "strides=2,2"},
    {"stride_over_kernel", "f32[1,2,3,2] f32[2,1,1,2]", "strides=3,2"},
    {"one_channel", "f32[1,5,5,8] f32[8,2,2,1] f32[1]", "strides=2,2"},
    {"empty", "f32[0,3,3,2] f32[2,2,2,3]"},
    {"pads_too_large", "f32[1,2,2,2] f32[2,2,2,3]", "pads=2,0,1,0", 0, TERN_ERR_SHAPE},
    {"channels", "f32[1,3,3,4] f32[3,2,2,3]", "", 0, TERN_ERR_SHAPE},
    {"bias", "f32[1,3,3,2] f32[2,2,2,3] f32[2]", "", 0, TERN_ERR_SHAPE},
    {"output_pad_too_large", "f32[1,3,3,2] f32[2,2,2,3]", "output_pad_h=1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"huge", "f32[1,3,3,2] f32[2,2,2,3]", "strides=2147483647,2147483647", 0, TERN_ERR_LIMIT},
    {"groups_do_not_divide", "f32[1,3,3,4] f32[4,2,2,3]", "groups=3", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_conv_transpose2d = checked_op({.name = "conv_transpose2d",
                                                            .min_in = 2,
                                                            .max_in = 3,
                                                            .attributes = attr_schema<Attrs>(kFields),
                                                            .infer = infer,
                                                            .decompose = decompose,
                                                            .cases = TERN_CASES(kCases)});

}  // namespace tern
