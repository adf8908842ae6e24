// SPDX-License-Identifier: Apache-2.0
// resize_grad: dx of y = resize(x): each dy goes to the pixels that it was mixed from, by their weights
//   dy [N, OH, OW, C] float; height, width of x, the other attributes as of resize     dx [N, height, width, C]
//   ddy = resize(ddx)
#include <cstddef>
#include <vector>

#include "ops/move.h"
#include "ops/resize.h"

namespace tern {
namespace {

using Attrs = ResizeGradAttrs;

tern_status infer(InferArgs& a) {
  const Attrs& p = a.attrs<Attrs>();
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_rank(a, 0, 4));
  const Shape& dy = a.in(0).shape;
  if ((dy[1] == 0) != (p.height == 0) || (dy[2] == 0) != (p.width == 0))
    return TERN_FAIL(TERN_ERR_SHAPE, "resize_grad: %s cannot come from %" PRId64 " x %" PRId64 " pixels",
                     to_string(dy).c_str(), p.height, p.width);
  a.set(0, a.in(0).dtype, Shape{dy[0], p.height, p.width, dy[3]});
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const Attrs& p = a.attrs<Attrs>();
  const RefTensor &dy = a.in(0), &x = a.out(0);
  std::vector<double> sum((size_t)x.elements(), 0.0);
  for (Coordinates c(dy.shape); c.valid(); c.next()) {
    const ResizeTaps ty = resize_taps(p, p.scale_h, p.height, dy.shape[1], c.at[1]),
                     tx = resize_taps(p, p.scale_w, p.width, dy.shape[2], c.at[2]);
    for (int j = 0; j < ty.count; ++j)
      for (int i = 0; i < tx.count; ++i)
        sum[(size_t)(((c.at[0] * p.height + ty.index[j]) * p.width + tx.index[i]) * x.shape[3] + c.at[3])] +=
            ty.weight[j] * tx.weight[i] * dy.load(c.flat);
  }
  for (int64_t i = 0; i < x.elements(); ++i) x.store(i, sum[(size_t)i]);
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  const Attrs& p = a.attrs<Attrs>();
  const Shape dy = a.g.value(a.in(0)).shape;
  a.set(0, emit(a.g, "resize", {a.dout(0)},
                ResizeAttrs{{dy[0], dy[1], dy[2], dy[3]},
                            p.scale_h,
                            p.scale_w,
                            p.mode,
                            p.coordinates,
                            p.nearest,
                            p.cubic_coeff,
                            p.exclude_outside}));
}

constexpr AttrField kFields[] = {TERN_ATTR(Attrs, height, integer, 0, 1e15),
                                 TERN_ATTR(Attrs, width, integer, 0, 1e15),
                                 TERN_ATTR(Attrs, scale_h, number, 0, 1e9),
                                 TERN_ATTR(Attrs, scale_w, number, 0, 1e9),
                                 TERN_ATTR(Attrs, mode, choice, 0, 2, kResizeModes),
                                 TERN_ATTR(Attrs, coordinates, choice, 0, 5, kResizeCoordinates),
                                 TERN_ATTR(Attrs, nearest, choice, 0, 3, kResizeNearest),
                                 TERN_ATTR(Attrs, cubic_coeff, number, -10, 10),
                                 TERN_ATTR(Attrs, exclude_outside, integer, 0, 1)};

constexpr Case kCases[] = {
    {"nearest", "f32[1,7,8,2]", "height=3 width=4"},
    {"linear", "f32[2,6,5,3]", "height=3 width=7 mode=linear"},
    {"cubic", "f32[1,8,3,2]", "height=4 width=5 mode=cubic"},
    {"corners", "f32[1,9,1,1]", "height=4 width=5 mode=linear coordinates=align_corners"},
    {"half", "f16[1,4,4,2]", "height=2 width=2 mode=linear", 5e-3},
    {"empty", "f32[0,4,4,2]", "height=2 width=2"},
    {"no_rows", "f32[1,0,4,1]", "height=0 width=2"},
    {"from_nothing", "f32[1,4,4,1]", "height=0 width=4", 0, TERN_ERR_SHAPE},
    {"rank", "f32[4,4]", "", 0, TERN_ERR_SHAPE},
    {"integers", "u8[1,4,4,1]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_resize_grad = checked_op({.name = "resize_grad",
                                                       .capability = Capability::training,
                                                       .attributes = attr_schema<Attrs>(kFields),
                                                       .infer = infer,
                                                       .reference = reference,
                                                       .vjp = vjp,
                                                       .cases = TERN_CASES(kCases)});

}  // namespace tern
