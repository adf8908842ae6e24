// SPDX-License-Identifier: Apache-2.0
// scatter_elements: y = x, then for each element of indices: y[i, .., indices[i, j, ..] along `axis`, ..] (reduction)=
// updates[i, j, ..]
//   x, updates any type, the same; updates and indices of one shape, x's rank. Updates apply in row-major order
//   Negative indices count from the end; outside: TERN_ERR_INDEX
//   gradients: see scatter_vjp
#include "ops/scatter.h"

#include <cstddef>

#include "ops/gather.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const Shape &x = a.in(0).shape, &ids = a.in(1).shape;
  int axis;
  TERN_TRY(require_axis(a, a.attrs<ScatterElementsAttrs>().axis, x.rank, &axis));
  TERN_TRY(require_integer(a, 1));
  TERN_TRY(require_same_dtype(a, 0, 2));
  TERN_TRY(require_elementwise_indices(a, x, ids, axis));
  if (!(a.in(2).shape == ids))
    return TERN_FAIL(TERN_ERR_SHAPE, "scatter_elements: updates %s and indices %s differ",
                     to_string(a.in(2).shape).c_str(), to_string(ids).c_str());
  return infer_unary(a);
}

tern_status reference(RefArgs& a) {
  const ScatterElementsAttrs& p = a.attrs<ScatterElementsAttrs>();
  const RefTensor &x = a.in(0), &ids = a.in(1), &y = a.out(0);
  int axis;
  TERN_TRY(normalize_axis(p.axis, x.shape.rank, &axis));
  for (int64_t i = 0, n = y.elements(); i < n; ++i) copy_element(y, i, x, i);
  int64_t to[kMaxRank];
  for (Coordinates c(ids.shape); c.valid(); c.next()) {
    for (int i = 0; i < x.shape.rank; ++i) to[i] = c.at[i];
    to[axis] = wrap_index(ids.load_int(c.flat), x.shape[axis]);
    if (to[axis] < 0) return bad_index(a, 1, ids.load_int(c.flat), x.shape[axis]);
    scatter_one((ScatterReduction)p.reduction, y, offset_of(x.shape, to), a.in(2), c.flat);
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  const ScatterElementsAttrs& p = a.attrs<ScatterElementsAttrs>();
  scatter_vjp(
      a, (ScatterReduction)p.reduction,
      [&](ValueId v) {
        return emit(a.g, "gather_elements", {v, a.in(1)}, GatherAttrs{p.axis});
      },
      [&](ValueId into, ValueId updates, ScatterReduction r) {
        return emit(a.g, "scatter_elements", {into, a.in(1), updates}, ScatterElementsAttrs{p.axis, (int64_t)r});
      });
}

constexpr AttrField kFields[] = {TERN_ATTR(ScatterElementsAttrs, axis, integer, -8, 7),
                                 TERN_ATTR(ScatterElementsAttrs, reduction, choice, 0, 4, kScatterReductions)};

constexpr Case kCases[] = {
    {"rows", "f32[4,3] i64[2,3]{0,-1,2,3,2,1} f32[2,3]"},
    {"columns", "f32[2,5] i32[2,2]{0,4,-1,1} f32[2,2]", "axis=1"},
    {"add", "f32[3,2] i64[3,2]{0,0,0,1,2,1} f32[3,2]", "reduction=add"},
    {"mul", "f32[3] i64[4]{0,0,2,-1} f32[4]:0.5..2", "reduction=mul"},
    {"mul_zero", "f32[3] i64[5]{0,0,1,1,1} f32[5]{2,0,0,3,0}", "reduction=mul"},
    {"max", "f32[3] i64[4]{0,0,2,2} f32[4]", "reduction=max"},
    {"min", "f32[2,2] i64[2,2]{1,1,1,0} f32[2,2]", "reduction=min axis=-1"},
    {"half", "f16[3] i64[2]{0,2} f16[2]", "reduction=add", 2e-3},
    {"integers", "i64[3] i64[2]{1,1} i64[2]", "reduction=add"},
    {"bytes", "u8[3]:0..9 i64[2]{1,1} u8[2]:0..9", "reduction=max"},
    {"bool", "bool[3] i64[1]{1} bool[1]"},
    {"rank5", "f32[1,2,1,3,2] i64[1,2,1,1,2]{0,1,2,2} f32[1,2,1,1,2]", "axis=3"},
    {"nothing", "f32[3,2] i64[0,2] f32[0,2]"},
    {"empty", "f32[0,2] i64[0,2] f32[0,2]"},
    {"n", "f32[3] i64[1]{3} f32[1]", "", 0, TERN_ERR_INDEX},
    {"too_far_back", "f32[3] i64[1]{-4} f32[1]", "", 0, TERN_ERR_INDEX},
    {"huge", "f32[3] i64[1]{9223372036854775807} f32[1]", "", 0, TERN_ERR_INDEX},
    {"into_nothing", "f32[0] i64[1]{0} f32[1]", "", 0, TERN_ERR_INDEX},
    {"shapes", "f32[3] i64[1]{0} f32[2]", "", 0, TERN_ERR_SHAPE},
    {"larger", "f32[2,2] i64[1,3]{0,0,0} f32[1,3]", "", 0, TERN_ERR_SHAPE},
    {"types", "f32[3] i64[1]{0} f16[1]", "", 0, TERN_ERR_TYPE},
    {"float_index", "f32[3] f32[1] f32[1]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_scatter_elements = checked_op({.name = "scatter_elements",
                                                            .min_in = 3,
                                                            .max_in = 3,
                                                            .flags = kInPlace,
                                                            .attributes = attr_schema<ScatterElementsAttrs>(kFields),
                                                            .infer = infer,
                                                            .reference = reference,
                                                            .vjp = vjp,
                                                            .cases = TERN_CASES(kCases)});

}  // namespace tern
