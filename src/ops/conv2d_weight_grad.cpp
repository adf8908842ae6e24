// SPDX-License-Identifier: Apache-2.0
// conv2d_weight_grad: dw of y = conv2d(x, w): dw[o, ky, kx, c] = sum over n, oy, ox of dy[n, oy, ox, o] * the x it
// meets
//   x [N, H, W, C], dy [N, OH, OW, O] float, same type; kernel_h, kernel_w of w     dw [O, kernel_h, kernel_w, C /
//     groups]
//   dx = conv2d_input_grad(dy, ddw), ddy = conv2d(x, ddw)
#include <cstddef>

#include "ops/conv2d.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const Conv2dWeightGradAttrs& p = a.attrs<Conv2dWeightGradAttrs>();
  const Shape &x = a.in(0).shape, &dy = a.in(1).shape;
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_same_dtype(a, 0, 1));
  TERN_TRY(require_rank(a, 0, 4));
  TERN_TRY(require_rank(a, 1, 4));
  TERN_TRY(check_conv_lists("conv2d_weight_grad", p.strides, p.pads, p.dilations));
  const int64_t kernel[2] = {p.kernel_h, p.kernel_w};
  if (x[3] % p.groups != 0 || dy[3] % p.groups != 0 || x[0] != dy[0])
    return TERN_FAIL(TERN_ERR_SHAPE, "conv2d_weight_grad: %s and %s with %" PRId64 " groups", to_string(x).c_str(),
                     to_string(dy).c_str(), p.groups);
  for (int i = 0; i < 2; ++i) {
    int64_t out = 0;
    TERN_TRY(window_output("conv2d_weight_grad", x[1 + i], kernel[i], p.strides[i], p.pads[i], p.pads[2 + i],
                           p.dilations[i], false, &out));
    if (out != dy[1 + i])
      return TERN_FAIL(TERN_ERR_SHAPE, "conv2d_weight_grad: %" PRId64 " pixels give %" PRId64 ", not %" PRId64,
                       x[1 + i], out, dy[1 + i]);
  }
  a.set(0, a.in(0).dtype, Shape{dy[3], p.kernel_h, p.kernel_w, x[3] / p.groups});
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const Conv2dWeightGradAttrs& p = a.attrs<Conv2dWeightGradAttrs>();
  const RefTensor &x = a.in(0), &dy = a.in(1), &w = a.out(0);
  clear_padding(w);
  const Window wy = conv_window(p, 0, x.shape[1], dy.shape[1], p.kernel_h),
               wx = conv_window(p, 1, x.shape[2], dy.shape[2], p.kernel_w);
  const int64_t channels = w.shape[3], outputs = dy.shape[3], group_out = outputs / p.groups;
  int64_t i = 0;
  for (int64_t o = 0; o < outputs; ++o)
    for (int64_t ky = 0; ky < wy.kernel; ++ky)
      for (int64_t kx = 0; kx < wx.kernel; ++kx)
        for (int64_t c = 0; c < channels; ++c) {
          double sum = 0;
          for (int64_t n = 0; n < x.shape[0]; ++n)
            for (int64_t oy = 0; oy < wy.out; ++oy)
              for (int64_t ox = 0; ox < wx.out; ++ox) {
                const int64_t iy = wy.at(oy, ky), ix = wx.at(ox, kx);
                if (iy < 0 || ix < 0) continue;
                sum += x.load(((n * wy.in + iy) * wx.in + ix) * x.shape[3] + o / group_out * channels + c) *
                       dy.load(((n * wy.out + oy) * wx.out + ox) * outputs + o);
              }
          w.store(i++, sum);
        }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  const Conv2dWeightGradAttrs& p = a.attrs<Conv2dWeightGradAttrs>();
  const Shape x = a.g.value(a.in(0)).shape;
  if (a.wanted(0))
    a.set(0, emit(a.g, "conv2d_input_grad", {a.in(1), a.dout(0)},
                  Conv2dInputGradAttrs{p.strides, p.pads, p.dilations, p.groups, x[1], x[2]}));
  if (a.wanted(1))
    a.set(1, emit(a.g, "conv2d", {a.in(0), a.dout(0)}, Conv2dAttrs{p.strides, p.pads, p.dilations, p.groups}));
}

using Attrs = Conv2dWeightGradAttrs;
constexpr AttrField kFields[] = {
    TERN_ATTR(Attrs, strides, integers, 1, INT32_MAX),   TERN_ATTR(Attrs, pads, integers, 0, INT32_MAX),
    TERN_ATTR(Attrs, dilations, integers, 1, INT32_MAX), TERN_ATTR(Attrs, groups, integer, 1, INT32_MAX),
    TERN_ATTR(Attrs, kernel_h, integer, 1, 1e15),        TERN_ATTR(Attrs, kernel_w, integer, 1, 1e15)};

constexpr Case kCases[] = {
    {"pointwise", "f32[1,4,5,7] f32[1,4,5,9]", "", 1e-4},
    {"3x3", "f32[2,5,6,3] f32[2,5,6,4]", "pads=1,1,1,1 kernel_h=3 kernel_w=3", 1e-4},
    {"stride", "f32[1,9,7,3] f32[1,4,3,8]", "strides=2,2 pads=0,0,1,1 kernel_h=3 kernel_w=3"},
    {"depthwise", "f32[1,6,7,8] f32[1,6,7,8]", "pads=1,1,1,1 groups=8 kernel_h=3 kernel_w=3"},
    {"groups", "f32[1,5,5,4] f32[1,4,4,6]", "groups=2 pads=1,0,0,1 kernel_h=3 kernel_w=3"},
    {"dilated", "f32[1,9,8,2] f32[1,5,5,3]", "dilations=2,3 kernel_h=3 kernel_w=2"},
    {"half", "f16[1,5,5,3] f16[1,3,3,4]", "kernel_h=3 kernel_w=3", 2e-2},
    {"no_picture", "f32[0,3,3,2] f32[0,3,3,4]"},
    {"size", "f32[1,5,5,3] f32[1,4,3,4]", "kernel_h=3 kernel_w=3", 0, TERN_ERR_SHAPE},
    {"batch", "f32[1,5,5,3] f32[2,5,5,4]", "", 0, TERN_ERR_SHAPE},
    {"groups_do_not_divide", "f32[1,5,5,3] f32[1,5,5,4]", "groups=2", 0, TERN_ERR_SHAPE},
    {"types", "f32[1,5,5,3] f16[1,5,5,4]", "", 0, TERN_ERR_TYPE},
    {"huge_kernel", "f32[1,5,5,3] f32[1,5,5,4]", "kernel_h=1000000000000000", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_conv2d_weight_grad = checked_op({.name = "conv2d_weight_grad",
                                                              .min_in = 2,
                                                              .max_in = 2,
                                                              .flags = kAnyOrder,
                                                              .capability = Capability::training,
                                                              .attributes = attr_schema<Attrs>(kFields),
                                                              .infer = infer,
                                                              .reference = reference,
                                                              .vjp = vjp,
                                                              .cases = TERN_CASES(kCases)});

}  // namespace tern
