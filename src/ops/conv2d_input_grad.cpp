// SPDX-License-Identifier: Apache-2.0
// conv2d_input_grad: dx of y = conv2d(x, w): dx[n, iy, ix, c] = sum over the oy, ox, o, ky, kx that read it of dy * w
//   dy [N, OH, OW, O] float; w [O, kh, kw, C / groups] as for conv2d; height, width of x    dx [N, height, width, C]
//   ddy = conv2d(ddx, w), dw = conv2d_weight_grad(ddx, dy)
#include <cstddef>
#include <vector>

#include "base/checked.h"
#include "ops/conv2d.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const Conv2dInputGradAttrs& p = a.attrs<Conv2dInputGradAttrs>();
  const Shape &dy = a.in(0).shape, &w = a.in(1).shape;
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_rank(a, 0, 4));
  TERN_TRY(check_conv_lists("conv2d_input_grad", p.strides, p.pads, p.dilations));
  TERN_TRY(require_conv_weight(a, 0, 1, p.groups));
  if (dy[3] != w[0])
    return TERN_FAIL(TERN_ERR_SHAPE, "conv2d_input_grad: %" PRId64 " channels for %" PRId64 " filters", dy[3], w[0]);
  const int64_t size[2] = {p.height, p.width};
  Shape x{dy[0], p.height, p.width, 0};
  if (!checked_mul(w[3], p.groups, &x[3])) return TERN_FAIL(TERN_ERR_LIMIT, "conv2d_input_grad: too many channels");
  for (int i = 0; i < 2; ++i) {
    int64_t out = 0;
    TERN_TRY(window_output("conv2d_input_grad", size[i], w[1 + i], p.strides[i], p.pads[i], p.pads[2 + i],
                           p.dilations[i], false, &out));
    if (out != dy[1 + i])
      return TERN_FAIL(TERN_ERR_SHAPE, "conv2d_input_grad: %" PRId64 " pixels give %" PRId64 ", not %" PRId64, size[i],
                       out, dy[1 + i]);
  }
  a.set(0, a.in(0).dtype, x);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const Conv2dInputGradAttrs& p = a.attrs<Conv2dInputGradAttrs>();
  const RefTensor &dy = a.in(0), &w = a.in(1), &x = a.out(0);
  const Window wy = conv_window(p, 0, p.height, dy.shape[1], w.shape[1]),
               wx = conv_window(p, 1, p.width, dy.shape[2], w.shape[2]);
  const int64_t channels = w.shape[3], outputs = dy.shape[3], group_out = outputs / p.groups;
  std::vector<double> sum((size_t)x.elements(), 0.0);
  const int64_t pictures = dy.elements() ? dy.shape[0] : 0;
  for (int64_t n = 0; n < pictures; ++n)
    for (int64_t oy = 0; oy < wy.out; ++oy)
      for (int64_t ox = 0; ox < wx.out; ++ox)
        for (int64_t o = 0; o < outputs; ++o) {
          const double d = dy.load(((n * wy.out + oy) * wx.out + ox) * outputs + o);
          for (int64_t ky = wy.first(oy); ky < wy.last(oy); ++ky)
            for (int64_t kx = wx.first(ox); kx < wx.last(ox); ++kx) {
              const int64_t at =
                  ((n * wy.in + wy.at(oy, ky)) * wx.in + wx.at(ox, kx)) * x.shape[3] + o / group_out * channels;
              for (int64_t c = 0; c < channels; ++c)
                sum[(size_t)(at + c)] += d * w.load(((o * wy.kernel + ky) * wx.kernel + kx) * channels + c);
            }
        }
  for (int64_t i = 0; i < x.elements(); ++i) x.store(i, sum[(size_t)i]);
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  const Conv2dInputGradAttrs& p = a.attrs<Conv2dInputGradAttrs>();
  const Shape w = a.g.value(a.in(1)).shape;
  if (a.wanted(0))
    a.set(0, emit(a.g, "conv2d", {a.dout(0), a.in(1)}, Conv2dAttrs{p.strides, p.pads, p.dilations, p.groups}));
  if (a.wanted(1))
    a.set(1, emit(a.g, "conv2d_weight_grad", {a.dout(0), a.in(0)},
                  Conv2dWeightGradAttrs{p.strides, p.pads, p.dilations, p.groups, w[1], w[2]}));
}

using Attrs = Conv2dInputGradAttrs;
constexpr AttrField kFields[] = {
    TERN_ATTR(Attrs, strides, integers, 1, INT32_MAX),   TERN_ATTR(Attrs, pads, integers, 0, INT32_MAX),
    TERN_ATTR(Attrs, dilations, integers, 1, INT32_MAX), TERN_ATTR(Attrs, groups, integer, 1, INT32_MAX),
    TERN_ATTR(Attrs, height, integer, 1, 1e15),          TERN_ATTR(Attrs, width, integer, 1, 1e15)};

constexpr Case kCases[] = {
    {"pointwise", "f32[1,4,5,9] f32[9,1,1,7]", "height=4 width=5"},
    {"3x3", "f32[2,5,6,4] f32[4,3,3,3]", "pads=1,1,1,1 height=5 width=6"},
    {"stride", "f32[1,4,3,8] f32[8,3,3,3]", "strides=2,2 pads=0,0,1,1 height=9 width=7"},
    {"unread_rest", "f32[1,2,2,2] f32[2,2,2,3]", "strides=3,3 height=7 width=6"},
    {"depthwise", "f32[1,6,7,8] f32[8,3,3,1]", "pads=1,1,1,1 groups=8 height=6 width=7"},
    {"groups", "f32[1,4,4,6] f32[6,3,3,2]", "groups=2 pads=1,0,0,1 height=5 width=5"},
    {"dilated", "f32[1,5,5,3] f32[3,3,2,2]", "dilations=2,3 height=9 width=8"},
    {"half", "f16[1,3,3,4] f16[4,3,3,3]", "height=5 width=5", 2e-2},
    {"half_weight", "f32[1,3,3,4] f16[4,3,3,3]", "height=5 width=5"},
    {"panels", "f32[1,3,3,37] f32[37,1,1,5]@panel32", "height=3 width=3"},
    {"empty", "f32[0,3,3,4] f32[4,1,1,2]", "height=3 width=3"},
    {"no_filters_but_rows", "f32[1,4294967295,1,0] f32[0,1,1,2]", "pads=2147483647,0,2147483647,0 height=1 width=1"},
    {"size", "f32[1,3,3,4] f32[4,1,1,2]", "height=4 width=3", 0, TERN_ERR_SHAPE},
    {"filters", "f32[1,3,3,4] f32[5,1,1,2]", "height=3 width=3", 0, TERN_ERR_SHAPE},
    {"groups_do_not_divide", "f32[1,3,3,4] f32[4,1,1,2]", "groups=3 height=3 width=3", 0, TERN_ERR_SHAPE},
    {"list", "f32[1,3,3,4] f32[4,1,1,2]", "strides=1 height=3 width=3", 0, TERN_ERR_INVALID_ARGUMENT},
};

}  // namespace

extern constinit const Op op_conv2d_input_grad = checked_op({.name = "conv2d_input_grad",
                                                             .min_in = 2,
                                                             .max_in = 2,
                                                             .encoded_in = 1u << 1,
                                                             .attributes = attr_schema<Attrs>(kFields),
                                                             .infer = infer,
                                                             .reference = reference,
                                                             .vjp = vjp,
                                                             .cases = TERN_CASES(kCases)});

}  // namespace tern
