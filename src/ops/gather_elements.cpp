// SPDX-License-Identifier: Apache-2.0
// gather_elements: y[i, j, ..] = x[i, j, .., with indices[i, j, ..] in place of the coordinate along `axis`]
//   x any type; indices integers of x's rank, no larger than x but for the axis; negative ones count from the end;
//   outside
//   [-n, n): TERN_ERR_INDEX
//   dx = dy added into zeros (scatter_elements)
#include <cstddef>

#include "ops/gather.h"
#include "ops/move.h"
#include "ops/scatter.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const Shape &x = a.in(0).shape, &ids = a.in(1).shape;
  int axis;
  TERN_TRY(require_axis(a, a.attrs<GatherAttrs>().axis, x.rank, &axis));
  TERN_TRY(require_integer(a, 1));
  TERN_TRY(require_elementwise_indices(a, x, ids, axis));
  a.set(0, a.in(0).dtype, ids);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const RefTensor &x = a.in(0), &ids = a.in(1);
  int axis;
  TERN_TRY(normalize_axis(a.attrs<GatherAttrs>().axis, x.shape.rank, &axis));
  int64_t from[kMaxRank];
  for (Coordinates c(ids.shape); c.valid(); c.next()) {
    for (int i = 0; i < x.shape.rank; ++i) from[i] = c.at[i];
    from[axis] = wrap_index(ids.load_int(c.flat), x.shape[axis]);
    if (from[axis] < 0) return bad_index(a, 1, ids.load_int(c.flat), x.shape[axis]);
    copy_element(a.out(0), c.flat, x, offset_of(x.shape, from));
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  const Value x = a.g.value(a.in(0));
  a.set(0, emit(a.g, "scatter_elements", {filled(a.g, x.dtype, x.shape, 0), a.in(1), a.dout(0)},
                ScatterElementsAttrs{a.attrs<GatherAttrs>().axis, (int64_t)ScatterReduction::add}));
}

constexpr AttrField kFields[] = {TERN_ATTR(GatherAttrs, axis, integer, -8, 7)};

constexpr Case kCases[] = {
    {"rows", "f32[4,3] i64[2,3]{0,-1,2,3,3,-4}"},
    {"columns", "f32[2,3] i32[2,4]{0,1,2,0,-1,-1,-2,1}", "axis=1"},
    {"smaller", "f32[3,4] i64[1,2]{2,1}"},
    {"half", "f16[2,2] i64[2,2]{1,1,0,0}", "axis=-1"},
    {"integers", "i64[3] i64[2]{1,1}"},
    {"bool", "bool[3] u8[2]{1,2}"},
    {"rank5", "f32[1,2,1,3,2] i64[1,2,1,1,2]{0,1,2,2}", "axis=3"},
    {"empty", "f32[3,2] i64[0,2]"},
    {"n", "f32[3] i64[1]{3}", "", 0, TERN_ERR_INDEX},
    {"too_far_back", "f32[3] i64[1]{-4}", "", 0, TERN_ERR_INDEX},
    {"huge", "f32[3] i64[1]{-9223372036854775808}", "", 0, TERN_ERR_INDEX},
    {"of_nothing", "f32[0] i64[1]{0}", "", 0, TERN_ERR_INDEX},
    {"larger", "f32[2,2] i64[1,3]{0,0,0}", "", 0, TERN_ERR_SHAPE},
    {"ranks", "f32[3,2] i64[2]{0,1}", "", 0, TERN_ERR_SHAPE},
    {"float_index", "f32[3] f32[1]", "", 0, TERN_ERR_TYPE},
    {"scalar", "f32[] i64[]{0}", "", 0, TERN_ERR_INVALID_ARGUMENT},
};

}  // namespace

extern constinit const Op op_gather_elements = checked_op({.name = "gather_elements",
                                                           .min_in = 2,
                                                           .max_in = 2,
                                                           .attributes = attr_schema<GatherAttrs>(kFields),
                                                           .infer = infer,
                                                           .reference = reference,
                                                           .vjp = vjp,
                                                           .cases = TERN_CASES(kCases)});

}  // namespace tern
