// SPDX-License-Identifier: Apache-2.0
// max_pool2d_grad: dx of y = max_pool2d(x): each dy is added to the first largest element of its window (row by row)
//   x [N, H, W, C], y and dy [N, OH, OW, C] float, same type     dx [N, H, W, C]
//   ddy = max_pool2d_pick(x, y, ddx); x and y only choose, so their gradient is 0
#include <vector>

#include "ops/max_pool2d_window.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  TERN_TRY(check_max_pool_inputs(a));
  a.set(0, a.in(0).dtype, a.in(0).shape);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const RefTensor& dx = a.out(0);
  std::vector<double> sum((size_t)dx.elements(), 0.0);
  for (Coordinates c(a.in(2).shape); c.valid(); c.next()) {
    const int64_t at = first_largest(a.attrs<MaxPool2dAttrs>(), a.in(0), a.in(2).shape, c.at);
    if (at >= 0) sum[(size_t)at] += a.in(2).load(c.flat);
  }
  for (int64_t i = 0; i < dx.elements(); ++i) dx.store(i, sum[(size_t)i]);
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  if (a.wanted(2)) a.set(2, emit(a.g, "max_pool2d_pick", {a.in(0), a.in(1), a.dout(0)}, a.attrs<MaxPool2dAttrs>()));
}

constexpr Case kCases[] = {
    {"2x2", "f32[1,6,4,3] f32[1,3,2,3] f32[1,3,2,3]", "kernel=2,2 strides=2,2"},
    {"overlap", "f32[2,5,5,2] f32[2,5,5,2] f32[2,5,5,2]", "kernel=3,3 pads=1,1,1,1"},
    {"ties", "f32[1,2,2,1]{1,1,1,1} f32[1,1,1,1] f32[1,1,1,1]", "kernel=2,2"},
    {"ceil", "f32[1,6,5,2] f32[1,3,3,2] f32[1,3,3,2]", "kernel=3,2 strides=2,2 ceil_mode=1"},
    {"dilated", "f32[1,8,9,2] f32[1,5,5,2] f32[1,5,5,2]", "kernel=2,3 dilation_h=3 dilation_w=2"},
    {"half", "f16[1,4,4,3] f16[1,3,3,3] f16[1,3,3,3]", "kernel=2,2", 1e-2},
    {"empty", "f32[0,4,4,1] f32[0,3,3,1] f32[0,3,3,1]", "kernel=2,2"},
    {"shape", "f32[1,4,4,1] f32[1,3,3,1] f32[1,2,3,1]", "kernel=2,2", 0, TERN_ERR_SHAPE},
    {"types", "f32[1,4,4,1] f32[1,3,3,1] f16[1,3,3,1]", "kernel=2,2", 0, TERN_ERR_TYPE},
    {"integers", "i8[1,4,4,1] i8[1,3,3,1] i8[1,3,3,1]", "kernel=2,2", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_max_pool2d_grad = checked_op({.name = "max_pool2d_grad",
                                                           .min_in = 3,
                                                           .max_in = 3,
                                                           .capability = Capability::training,
                                                           .attributes = attr_schema<MaxPool2dAttrs>(kMaxPool2dFields),
                                                           .infer = infer,
                                                           .reference = reference,
                                                           .vjp = vjp,
                                                           .cases = TERN_CASES(kCases)});

}  // namespace tern
