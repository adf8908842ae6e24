// SPDX-License-Identifier: Apache-2.0
// scatter_nd: y = x, then for each tuple of coordinates: y[b.., indices[b.., i..], r..] (reduction)= updates[b.., i..,
// r..]
//   x, updates any type, the same; indices as of gather_nd. Updates apply in row-major order
//   Negative coordinates count from the end; outside: TERN_ERR_INDEX
//   gradients: see scatter_vjp
#include "ops/scatter.h"

#include <cstddef>

#include "ops/gather.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const int64_t batch = a.attrs<ScatterNdAttrs>().batch_dims;
  const Shape &x = a.in(0).shape, &ids = a.in(1).shape;
  TERN_TRY(require_integer(a, 1));
  TERN_TRY(require_same_dtype(a, 0, 2));
  TERN_TRY(require_nd_indices(a, x, ids, batch));
  Shape updates;
  TERN_TRY(append_dims(a, ids, 0, ids.rank - 1, &updates));
  TERN_TRY(append_dims(a, x, (int)(batch + ids[ids.rank - 1]), x.rank, &updates));
  if (!(a.in(2).shape == updates))
    return TERN_FAIL(TERN_ERR_SHAPE, "scatter_nd: updates have shape %s, %s is needed",
                     to_string(a.in(2).shape).c_str(), to_string(updates).c_str());
  return infer_unary(a);
}

tern_status reference(RefArgs& a) {
  const ScatterNdAttrs& p = a.attrs<ScatterNdAttrs>();
  const RefTensor &x = a.in(0), &y = a.out(0);
  const NdIndices nd(x.shape, a.in(1).shape, p.batch_dims);
  for (int64_t i = 0, n = y.elements(); i < n; ++i) copy_element(y, i, x, i);
  for (int64_t i = 0; i < nd.tuples; ++i) {
    int64_t to = 0;
    TERN_TRY(nd.offset(a, 1, i, &to));
    for (int64_t k = 0; k < nd.inner; ++k)
      scatter_one((ScatterReduction)p.reduction, y, to + k, a.in(2), i * nd.inner + k);
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  const ScatterNdAttrs& p = a.attrs<ScatterNdAttrs>();
  scatter_vjp(
      a, (ScatterReduction)p.reduction,
      [&](ValueId v) {
        return emit(a.g, "gather_nd", {v, a.in(1)}, GatherNdAttrs{p.batch_dims});
      },
      [&](ValueId into, ValueId updates, ScatterReduction r) {
        return emit(a.g, "scatter_nd", {into, a.in(1), updates}, ScatterNdAttrs{(int64_t)r, p.batch_dims});
      });
}

constexpr AttrField kFields[] = {TERN_ATTR(ScatterNdAttrs, reduction, choice, 0, 4, kScatterReductions),
                                 TERN_ATTR(ScatterNdAttrs, batch_dims, integer, 0, 7)};

constexpr Case kCases[] = {
    {"elements", "f32[3,4] i64[3,2]{0,0,2,-1,1,3} f32[3]"},
    {"rows", "f32[3,4] i64[2,1]{2,0} f32[2,4]"},
    {"add", "f32[3,2] i64[3,1]{2,2,0} f32[3,2]", "reduction=add"},
    {"mul", "f32[3] i64[3,1]{2,2,0} f32[3]:0.5..2", "reduction=mul"},
    {"max", "f32[3] i64[3,1]{2,2,0} f32[3]", "reduction=max"},
    {"min", "f32[3,2] i64[3,1]{2,2,0} f32[3,2]", "reduction=min"},
    {"batch", "f32[2,3,2] i64[2,2,1]{2,0,1,1} f32[2,2,2]", "batch_dims=1 reduction=add"},
    {"one", "f32[3,4] i32[2]{1,2} f32[]"},
    {"all", "f32[2,2] i64[0] f32[2,2]"},
    {"half", "f16[3] i64[2,1]{0,2} f16[2]"},
    {"integers", "i64[3] i64[2,1]{1,1} i64[2]", "reduction=mul"},
    {"bool", "bool[2,2] i64[1,2]{1,0} bool[1]"},
    {"rank5", "f32[2,1,2,1,3] i64[2,2]{1,0,0,0} f32[2,2,1,3]"},
    {"no_tuples", "f32[3] i64[0,1] f32[0]"},
    {"n", "f32[3,4] i64[1,2]{0,4} f32[1]", "", 0, TERN_ERR_INDEX},
    {"too_far_back", "f32[3] i64[1,1]{-4} f32[1]", "", 0, TERN_ERR_INDEX},
    {"huge", "f32[3] i64[1,1]{9223372036854775807} f32[1]", "", 0, TERN_ERR_INDEX},
    {"updates", "f32[3,4] i64[2,1]{2,0} f32[2,3]", "", 0, TERN_ERR_SHAPE},
    {"too_many", "f32[3] i64[1,2]{0,0} f32[1]", "", 0, TERN_ERR_SHAPE},
    {"types", "f32[3] i64[1,1]{0} f16[1]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_scatter_nd = checked_op({.name = "scatter_nd",
                                                      .min_in = 3,
                                                      .max_in = 3,
                                                      .flags = kInPlace,
                                                      .attributes = attr_schema<ScatterNdAttrs>(kFields),
                                                      .infer = infer,
                                                      .reference = reference,
                                                      .vjp = vjp,
                                                      .cases = TERN_CASES(kCases)});

}  // namespace tern
