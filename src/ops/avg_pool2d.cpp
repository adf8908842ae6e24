// SPDX-License-Identifier: Apache-2.0
// avg_pool2d: y[n, oy, ox, c] = sum of the x in the window / number of cells
//   x [N, H, W, C] float. Cells in the padding count as 0 if count_include_pad, else they do not take part
//   dx = avg_pool2d_grad(dy)
#include "ops/move.h"
#include "ops/pool.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const AvgPool2dAttrs& p = a.attrs<AvgPool2dAttrs>();
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_rank(a, 0, 4));
  Shape y;
  TERN_TRY(pool_output("avg_pool2d", p, a.in(0).shape, p.ceil_mode != 0, &y));
  a.set(0, a.in(0).dtype, y);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const AvgPool2dAttrs& p = a.attrs<AvgPool2dAttrs>();
  const RefTensor &x = a.in(0), &y = a.out(0);
  const Window wy = pool_window(p, 0, x.shape[1], y.shape[1]), wx = pool_window(p, 1, x.shape[2], y.shape[2]);
  for (Coordinates c(y.shape); c.valid(); c.next()) {
    double sum = 0;
    for (int64_t ky = wy.first(c.at[1]); ky < wy.last(c.at[1]); ++ky)
      for (int64_t kx = wx.first(c.at[2]); kx < wx.last(c.at[2]); ++kx)
        sum += x.load(((c.at[0] * wy.in + wy.at(c.at[1], ky)) * wx.in + wx.at(c.at[2], kx)) * x.shape[3] + c.at[3]);
    const double count = (double)pool_count(p, 0, wy, c.at[1]) * (double)pool_count(p, 1, wx, c.at[2]);
    y.store(c.flat, count > 0 ? sum / count : 0);
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  const AvgPool2dAttrs& p = a.attrs<AvgPool2dAttrs>();
  const Shape x = a.g.value(a.in(0)).shape;
  a.set(0, emit(a.g, "avg_pool2d_grad", {a.dout(0)},
                AvgPool2dGradAttrs{p.kernel, p.strides, p.pads, p.dilation_h, p.dilation_w, p.count_include_pad, x[1],
                                   x[2]}));
}

using Attrs = AvgPool2dAttrs;
constexpr AttrField kFields[] = {
    TERN_ATTR(Attrs, kernel, integers, 1, INT32_MAX),    TERN_ATTR(Attrs, strides, integers, 1, INT32_MAX),
    TERN_ATTR(Attrs, pads, integers, 0, INT32_MAX),      TERN_ATTR(Attrs, dilation_h, integer, 1, INT32_MAX),
    TERN_ATTR(Attrs, dilation_w, integer, 1, INT32_MAX), TERN_ATTR(Attrs, ceil_mode, integer, 0, 1),
    TERN_ATTR(Attrs, count_include_pad, integer, 0, 1)};

constexpr Case kCases[] = {
    {"2x2", "f32[1,6,4,3]", "kernel=2,2 strides=2,2"},
    {"3x3", "f32[2,7,6,5]", "kernel=3,3 strides=2,2 pads=1,1,1,1"},
    {"counted", "f32[1,5,5,2]", "kernel=3,3 pads=1,1,1,1 count_include_pad=1"},
    {"odd", "f32[1,5,7,1]", "kernel=2,3 strides=1,2 pads=0,1,1,0"},
    {"ceil", "f32[1,6,5,2]", "kernel=3,2 strides=2,2 ceil_mode=1"},
    {"ceil_counted", "f32[1,6,6,2]", "kernel=3,3 strides=2,2 pads=1,1,0,0 ceil_mode=1 count_include_pad=1"},
    {"dilated", "f32[1,8,9,2]", "kernel=2,3 dilation_h=3 dilation_w=2"},
    {"dilated_counted", "f32[1,4,4,1]", "kernel=2,2 pads=1,1,1,1 dilation_h=2 dilation_w=3 count_include_pad=1"},
    {"all", "f32[1,5,6,4]", "kernel=5,6"},
    {"half", "f16[1,4,4,8]", "kernel=2,2 strides=2,2", 2e-3},
    {"no_picture", "f32[0,4,4,1]", "kernel=2,2"},
    {"no_channels", "f32[1,4,4,0]", "kernel=2,2"},
    {"kernel_too_large", "f32[1,3,3,1]", "kernel=4,1", 0, TERN_ERR_SHAPE},
    {"pads_too_large", "f32[1,3,3,1]", "kernel=2,2 pads=0,0,0,2", 0, TERN_ERR_SHAPE},
    {"list", "f32[1,3,3,1]", "pads=1,1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"rank", "f32[3,3,1]", "kernel=2,2", 0, TERN_ERR_SHAPE},
    {"no_rows", "f32[1,0,3,1]", "", 0, TERN_ERR_SHAPE},
    {"integers", "i32[1,3,3,1]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_avg_pool2d = checked_op({.name = "avg_pool2d",
                                                      .attributes = attr_schema<Attrs>(kFields),
                                                      .infer = infer,
                                                      .reference = reference,
                                                      .vjp = vjp,
                                                      .cases = TERN_CASES(kCases)});

}  // namespace tern
