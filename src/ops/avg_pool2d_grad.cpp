// SPDX-License-Identifier: Apache-2.0
// avg_pool2d_grad: dx of y = avg_pool2d(x): each dy, divided by its number of cells, is added to all x of its window
//   dy [N, OH, OW, C] float; height, width of x (OH and OW may be rounded up)     dx [N, height, width, C]
//   ddy = avg_pool2d(ddx)
#include <vector>

#include "ops/move.h"
#include "ops/pool.h"

namespace tern {
namespace {

// Whether the sizes are those of ceil_mode; -1 = they are of neither mode.
int rounded_up(const AvgPool2dGradAttrs& p, const Shape& dy) {
  Shape floor, ceil;
  const Shape x{dy[0], p.height, p.width, dy[3]};
  if (pool_output("avg_pool2d_grad", p, x, false, &floor) || pool_output("avg_pool2d_grad", p, x, true, &ceil))
    return -1;
  return dy == floor ? 0 : dy == ceil ? 1 : -1;
}

tern_status infer(InferArgs& a) {
  const AvgPool2dGradAttrs& p = a.attrs<AvgPool2dGradAttrs>();
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_rank(a, 0, 4));
  const Shape& dy = a.in(0).shape;
  Shape y;
  TERN_TRY(pool_output("avg_pool2d_grad", p, Shape{dy[0], p.height, p.width, dy[3]}, false, &y));
  if (rounded_up(p, dy) < 0)
    return TERN_FAIL(TERN_ERR_SHAPE, "avg_pool2d_grad: %" PRId64 " x %" PRId64 " pixels do not give %s", p.height,
                     p.width, to_string(dy).c_str());
  a.set(0, a.in(0).dtype, Shape{dy[0], p.height, p.width, dy[3]});
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const AvgPool2dGradAttrs& p = a.attrs<AvgPool2dGradAttrs>();
  const RefTensor &dy = a.in(0), &x = a.out(0);
  const Window wy = pool_window(p, 0, p.height, dy.shape[1]), wx = pool_window(p, 1, p.width, dy.shape[2]);
  std::vector<double> sum((size_t)x.elements(), 0.0);
  for (Coordinates c(dy.shape); c.valid(); c.next()) {
    const double count = (double)pool_count(p, 0, wy, c.at[1]) * (double)pool_count(p, 1, wx, c.at[2]);
    if (!(count > 0)) continue;
    for (int64_t ky = wy.first(c.at[1]); ky < wy.last(c.at[1]); ++ky)
      for (int64_t kx = wx.first(c.at[2]); kx < wx.last(c.at[2]); ++kx)
        sum[(size_t)(((c.at[0] * wy.in + wy.at(c.at[1], ky)) * wx.in + wx.at(c.at[2], kx)) * x.shape[3] + c.at[3])] +=
            dy.load(c.flat) / count;
  }
  for (int64_t i = 0; i < x.elements(); ++i) x.store(i, sum[(size_t)i]);
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  const AvgPool2dGradAttrs& p = a.attrs<AvgPool2dGradAttrs>();
  const int64_t ceil_mode = rounded_up(p, a.g.value(a.in(0)).shape) == 1;
  a.set(0,
        emit(a.g, "avg_pool2d", {a.dout(0)},
             AvgPool2dAttrs{p.kernel, p.strides, p.pads, p.dilation_h, p.dilation_w, ceil_mode, p.count_include_pad}));
}

using Attrs = AvgPool2dGradAttrs;
constexpr AttrField kFields[] = {
    TERN_ATTR(Attrs, kernel, integers, 1, INT32_MAX),    TERN_ATTR(Attrs, strides, integers, 1, INT32_MAX),
    TERN_ATTR(Attrs, pads, integers, 0, INT32_MAX),      TERN_ATTR(Attrs, dilation_h, integer, 1, INT32_MAX),
    TERN_ATTR(Attrs, dilation_w, integer, 1, INT32_MAX), TERN_ATTR(Attrs, count_include_pad, integer, 0, 1),
    TERN_ATTR(Attrs, height, integer, 1, 1e15),          TERN_ATTR(Attrs, width, integer, 1, 1e15)};

constexpr Case kCases[] = {
    {"2x2", "f32[1,3,2,3]", "kernel=2,2 strides=2,2 height=6 width=4"},
    {"overlap", "f32[2,5,5,2]", "kernel=3,3 pads=1,1,1,1 height=5 width=5"},
    {"counted", "f32[1,5,5,2]", "kernel=3,3 pads=1,1,1,1 count_include_pad=1 height=5 width=5"},
    {"ceil", "f32[1,3,3,2]", "kernel=3,2 strides=2,2 height=6 width=5"},
    {"dilated", "f32[1,5,5,2]", "kernel=2,3 dilation_h=3 dilation_w=2 height=8 width=9"},
    {"half", "f16[1,2,2,4]", "kernel=2,2 strides=2,2 height=4 width=4", 2e-3},
    {"empty", "f32[0,3,3,1]", "kernel=2,2 height=4 width=4"},
    {"size", "f32[1,3,3,1]", "kernel=2,2 height=5 width=4", 0, TERN_ERR_SHAPE},
    {"rank", "f32[3,3,1]", "height=3 width=3", 0, TERN_ERR_SHAPE},
    {"integers", "i32[1,3,3,1]", "height=3 width=3", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_avg_pool2d_grad = checked_op({.name = "avg_pool2d_grad",
                                                           .capability = Capability::training,
                                                           .attributes = attr_schema<Attrs>(kFields),
                                                           .infer = infer,
                                                           .reference = reference,
                                                           .vjp = vjp,
                                                           .cases = TERN_CASES(kCases)});

}  // namespace tern
