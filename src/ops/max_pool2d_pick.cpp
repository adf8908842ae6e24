// SPDX-License-Identifier: Apache-2.0
// max_pool2d_pick: the elements of z at the places where max_pool2d(x) found its results; the adjoint of
// max_pool2d_grad
//   x, z [N, H, W, C], y [N, OH, OW, C] float, same type     result [N, OH, OW, C]; 0 where a window is empty
//   dz = max_pool2d_grad(x, y, dout); x and y only choose, so their gradient is 0
#include "ops/max_pool2d_window.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  TERN_TRY(check_max_pool_inputs(a));
  a.set(0, a.in(0).dtype, a.in(1).shape);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  for (Coordinates c(a.out(0).shape); c.valid(); c.next()) {
    const int64_t at = first_largest(a.attrs<MaxPool2dAttrs>(), a.in(0), a.out(0).shape, c.at);
    a.out(0).store(c.flat, at >= 0 ? a.in(2).load(at) : 0);
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  if (a.wanted(2)) a.set(2, emit(a.g, "max_pool2d_grad", {a.in(0), a.in(1), a.dout(0)}, a.attrs<MaxPool2dAttrs>()));
}

constexpr Case kCases[] = {
    {"2x2", "f32[1,6,4,3] f32[1,3,2,3] f32[1,6,4,3]", "kernel=2,2 strides=2,2"},
    {"overlap", "f32[2,5,5,2] f32[2,5,5,2] f32[2,5,5,2]", "kernel=3,3 pads=1,1,1,1"},
    {"half", "f16[1,4,4,3] f16[1,3,3,3] f16[1,4,4,3]", "kernel=2,2"},
    {"empty", "f32[0,4,4,1] f32[0,3,3,1] f32[0,4,4,1]", "kernel=2,2"},
    {"shape", "f32[1,4,4,1] f32[1,3,3,1] f32[1,3,3,1]", "kernel=2,2", 0, TERN_ERR_SHAPE},
    {"types", "f32[1,4,4,1] f32[1,3,3,1] f16[1,4,4,1]", "kernel=2,2", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_max_pool2d_pick = checked_op({.name = "max_pool2d_pick",
                                                           .min_in = 3,
                                                           .max_in = 3,
                                                           .capability = Capability::training,
                                                           .attributes = attr_schema<MaxPool2dAttrs>(kMaxPool2dFields),
                                                           .infer = infer,
                                                           .reference = reference,
                                                           .vjp = vjp,
                                                           .cases = TERN_CASES(kCases)});

}  // namespace tern
