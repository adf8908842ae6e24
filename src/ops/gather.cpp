// SPDX-License-Identifier: Apache-2.0
// gather: y[a.., i.., b..] = x[a.., indices[i..], b..] with `axis` between a and b
//   x any type; indices integers of any shape, negative ones count from the end; outside [-n, n): TERN_ERR_INDEX
//   dx = gather_grad(dy, indices)
#include "ops/gather.h"

#include <cstddef>

#include "ops/move.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const Shape& x = a.in(0).shape;
  int axis;
  TERN_TRY(require_axis(a, a.attrs<GatherAttrs>().axis, x.rank, &axis));
  TERN_TRY(require_integer(a, 1));
  Shape y;
  TERN_TRY(append_dims(a, x, 0, axis, &y));
  TERN_TRY(append_dims(a, a.in(1).shape, 0, a.in(1).shape.rank, &y));
  TERN_TRY(append_dims(a, x, axis + 1, x.rank, &y));
  a.set(0, a.in(0).dtype, y);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const RefTensor &x = a.in(0), &ids = a.in(1);
  int axis;
  TERN_TRY(normalize_axis(a.attrs<GatherAttrs>().axis, x.shape.rank, &axis));
  int64_t outer = 1, inner = 1, i = 0;
  const int64_t dim = x.shape[axis];
  for (int k = 0; k < axis; ++k) outer *= x.shape[k];
  for (int k = axis + 1; k < x.shape.rank; ++k) inner *= x.shape[k];
  for (int64_t k = 0; k < ids.elements(); ++k)
    if (wrap_index(ids.load_int(k), dim) < 0) return bad_index(a, 1, ids.load_int(k), dim);
  if (a.out(0).elements() == 0) return TERN_OK;  // outer may be any number
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t k = 0; k < ids.elements(); ++k)
      for (int64_t j = 0; j < inner; ++j)
        copy_element(a.out(0), i++, x, (o * dim + wrap_index(ids.load_int(k), dim)) * inner + j);
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  const Shape x = a.g.value(a.in(0)).shape;
  int axis;
  if (normalize_axis(a.attrs<GatherAttrs>().axis, x.rank, &axis) != TERN_OK) return;
  a.set(0, emit(a.g, "gather_grad", {a.dout(0), a.in(1)}, GatherGradAttrs{axis, x[axis]}));
}

constexpr AttrField kFields[] = {TERN_ATTR(GatherAttrs, axis, integer, -8, 7)};

constexpr Case kCases[] = {
    {"rows", "f32[5,3] i64[4]{4,0,-1,-5}"},
    {"columns", "f32[3,5] i32[2,2]{0,1,4,4}", "axis=1"},
    {"scalar_index", "f32[4,3] i64[]{2}"},
    {"last", "f16[2,3,4] i64[3]{3,3,0}", "axis=-1"},
    {"integers", "i64[5] i64[2]{1,-2}"},
    {"bool", "bool[5] u8[2]{4,0}"},
    {"rank5", "f32[2,1,3,1,2] i64[2]{2,1}", "axis=2"},
    {"no_ids", "f32[3,2] i64[0]"},
    {"empty", "f32[3,0] i64[2]{0,2}"},
    {"minus_one_too_far", "f32[3] i64[1]{-4}", "", 0, TERN_ERR_INDEX},
    {"n", "f32[3] i64[1]{3}", "", 0, TERN_ERR_INDEX},
    {"huge", "f32[3] i64[1]{9223372036854775807}", "", 0, TERN_ERR_INDEX},
    {"lowest", "f32[3] i64[1]{-9223372036854775808}", "", 0, TERN_ERR_INDEX},
    {"of_nothing", "f32[0,2] i64[1]{0}", "", 0, TERN_ERR_INDEX},
    {"of_nothing_wide", "f32[2,0] i64[1]{2}", "", 0, TERN_ERR_INDEX},
    {"scalar", "f32[] i64[1]{0}", "", 0, TERN_ERR_INVALID_ARGUMENT},
    {"float_index", "f32[3] f32[1]", "", 0, TERN_ERR_TYPE},
    {"too_many_dims", "f32[1,1,1,1,1] i64[1,1,1,1,1]{0}", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_gather = checked_op({.name = "gather",
                                                  .min_in = 2,
                                                  .max_in = 2,
                                                  .attributes = attr_schema<GatherAttrs>(kFields),
                                                  .infer = infer,
                                                  .reference = reference,
                                                  .vjp = vjp,
                                                  .cases = TERN_CASES(kCases)});

}  // namespace tern
