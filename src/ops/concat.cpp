// SPDX-License-Identifier: Apache-2.0
// concat: y = the inputs one after another along `axis`
//   any type; all inputs have the same type and the same dims but for the axis
//   dx_i = the slice of dy that x_i filled
#include "ops/concat.h"

#include <cstddef>

#include "base/checked.h"
#include "ops/move.h"
#include "ops/slice.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  Shape y = a.in(0).shape;
  int axis;
  TERN_TRY(require_axis(a, a.attrs<ConcatAttrs>().axis, y.rank, &axis));
  for (int i = 1; i < a.num_in(); ++i) {
    if (!a.has(i)) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "concat: input %d must not be absent", i);
    TERN_TRY(require_same_dtype(a, 0, i));
    Shape x = a.in(i).shape;
    int64_t sum;
    if (x.rank != y.rank)
      return TERN_FAIL(TERN_ERR_SHAPE, "concat: shapes %s and %s do not fit", to_string(y).c_str(),
                       to_string(x).c_str());
    if (!checked_add(y[axis], x[axis], &sum)) return TERN_FAIL(TERN_ERR_LIMIT, "concat: the axis becomes too long");
    y[axis] = x[axis] = sum;
    if (!(x == y))
      return TERN_FAIL(TERN_ERR_SHAPE, "concat: input %d has shape %s, which does not fit the others", i,
                       to_string(a.in(i).shape).c_str());
  }
  a.set(0, a.in(0).dtype, y);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const RefTensor& y = a.out(0);
  int axis;
  TERN_TRY(normalize_axis(a.attrs<ConcatAttrs>().axis, y.shape.rank, &axis));
  int64_t begin = 0, to[kMaxRank];
  for (int i = 0; i < a.num_in(); ++i) {
    for (Coordinates c(a.in(i).shape); c.valid(); c.next()) {
      for (int k = 0; k < y.shape.rank; ++k) to[k] = c.at[k] + (k == axis ? begin : 0);
      copy_element(y, offset_of(y.shape, to), a.in(i), c.flat);
    }
    begin += a.in(i).shape[axis];
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  int axis;
  if (normalize_axis(a.attrs<ConcatAttrs>().axis, a.g.value(a.in(0)).shape.rank, &axis) != TERN_OK) return;
  int64_t begin = 0;
  for (int i = 0; a.has(i); ++i) {
    const int64_t end = begin + a.g.value(a.in(i)).shape[axis];
    SliceAttrs s;
    for (int k = 0; k < axis; ++k) s.ends[k] = INT64_MAX;
    s.starts[axis] = begin;
    s.ends[axis] = end;
    s.starts.count = s.ends.count = axis + 1;
    if (a.wanted(i)) a.set(i, emit(a.g, "slice", {a.dout(0)}, s));
    begin = end;
  }
}

constexpr AttrField kFields[] = {TERN_ATTR(ConcatAttrs, axis, integer, -8, 7)};

constexpr Case kCases[] = {
    {"rows", "f32[2,3] f32[4,3]"},
    {"columns", "f32[2,3] f32[2,5] f32[2,1]", "axis=1"},
    {"last", "f16[2,1,3] f16[2,1,4]", "axis=-1"},
    {"one", "f32[3,2]"},
    {"empty_part", "f32[0,3] f32[2,3]"},
    {"empty", "f32[2,0] f32[2,0]"},
    {"integers", "i64[3] i64[2]{9007199254740993,-1}"},
    {"rank5", "f32[2,1,3,2,2] f32[2,2,3,2,2]", "axis=1"},
    {"bool", "bool[3] bool[5]"},
    {"channels", "f32[1,5,5,8] f32[1,5,5,24]", "axis=3"},
    {"scalar", "f32[] f32[]", "", 0, TERN_ERR_INVALID_ARGUMENT},
    {"dims", "f32[2,3] f32[2,4]", "", 0, TERN_ERR_SHAPE},
    {"ranks", "f32[2,3] f32[3]", "", 0, TERN_ERR_SHAPE},
    {"types", "f32[2] i32[2]", "", 0, TERN_ERR_TYPE},
    {"axis", "f32[2] f32[2]", "axis=1", 0, TERN_ERR_INVALID_ARGUMENT},
};

}  // namespace

extern constinit const Op op_concat = checked_op({.name = "concat",
                                                  .max_in = -1,
                                                  .attributes = attr_schema<ConcatAttrs>(kFields),
                                                  .infer = infer,
                                                  .reference = reference,
                                                  .vjp = vjp,
                                                  .cases = TERN_CASES(kCases)});

}  // namespace tern
