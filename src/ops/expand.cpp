// SPDX-License-Identifier: Apache-2.0
// expand: x broadcast with a shape
//   x any type; shape integers (optional, known when the plan is made, wins over the attribute)
//   y: the broadcast of x's shape and `shape`, as in ONNX: a 1 in `shape` keeps x's dim
//   dx = dy (summed to x's shape)
#include "ops/expand.h"

#include <cstddef>

#include "ops/move.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  IntList list = a.attrs<ExpandAttrs>().shape;
  if (a.has(1)) TERN_TRY(require_integers(a, 1, &list));
  Shape target, y;
  for (int64_t d : list) {
    if (d < 0) return TERN_FAIL(TERN_ERR_SHAPE, "expand: a dim of the shape is %" PRId64, d);
    target.push(d);
  }
  TERN_TRY(broadcast_shapes(a.in(0).shape, target, &y));
  a.set(0, a.in(0).dtype, y);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const RefTensor &x = a.in(0), &y = a.out(0);
  for (int64_t i = 0, n = y.elements(); i < n; ++i) copy_element(y, i, x, broadcast_offset(y.shape, x.shape, i));
  return TERN_OK;
}

void vjp(VjpArgs& a) { a.set(0, a.dout(0)); }

constexpr AttrField kFields[] = {TERN_ATTR(ExpandAttrs, shape, integers, 0, 1e18)};

constexpr Case kCases[] = {
    {"rows", "f32[3,1]", "shape=3,4"},
    {"new_dims", "f32[3]", "shape=2,1,3"},
    {"keeps", "f32[3,4]", "shape=1,1"},
    {"scalar", "f32[]", "shape=2,3"},
    {"same", "f16[2,3]", "shape=2,3"},
    {"input", "i64[2,1] i64[3]{3,1,5}"},
    {"rank5", "f32[1,2,1,1,3]", "shape=2,1,2,3,1"},
    {"empty", "f32[1,3]", "shape=0,3"},
    {"bool", "bool[1,2]", "shape=3,2"},
    {"nothing", "f32[3]", "shape="},
    {"dims", "f32[3]", "shape=4", 0, TERN_ERR_SHAPE},
    {"negative", "f32[3] i64[1]{-1}", "", 0, TERN_ERR_SHAPE},
    {"huge", "f32[1]", "shape=1000000000000000000,1000", 0, TERN_ERR_LIMIT},
};

}  // namespace

extern constinit const Op op_expand = checked_op({.name = "expand",
                                                  .max_in = 2,
                                                  .attributes = attr_schema<ExpandAttrs>(kFields),
                                                  .infer = infer,
                                                  .reference = reference,
                                                  .vjp = vjp,
                                                  .cases = TERN_CASES(kCases)});

}  // namespace tern
