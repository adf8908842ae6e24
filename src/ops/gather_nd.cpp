// SPDX-License-Identifier: Apache-2.0
// gather_nd: y[b.., i.., r..] = x[b.., indices[b.., i.., 0], indices[b.., i.., 1], .., r..]
//   x any type; the last dim of indices is the number of coordinates; batch_dims: leading dims b that x and indices
//   share
//   Negative coordinates count from the end; outside: TERN_ERR_INDEX
//   dx = dy added into zeros (scatter_nd)
#include <cstddef>

#include "ops/gather.h"
#include "ops/move.h"
#include "ops/scatter.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const Shape &x = a.in(0).shape, &ids = a.in(1).shape;
  const int64_t batch = a.attrs<GatherNdAttrs>().batch_dims;
  TERN_TRY(require_integer(a, 1));
  TERN_TRY(require_nd_indices(a, x, ids, batch));
  Shape y;
  TERN_TRY(append_dims(a, ids, 0, ids.rank - 1, &y));
  TERN_TRY(append_dims(a, x, (int)(batch + ids[ids.rank - 1]), x.rank, &y));
  a.set(0, a.in(0).dtype, y);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const RefTensor &x = a.in(0), &ids = a.in(1);
  const NdIndices nd(x.shape, ids.shape, a.attrs<GatherNdAttrs>().batch_dims);
  for (int64_t i = 0; i < nd.tuples; ++i) {
    int64_t from = 0;
    TERN_TRY(nd.offset(a, 1, i, &from));
    for (int64_t k = 0; k < nd.inner; ++k) copy_element(a.out(0), i * nd.inner + k, x, from + k);
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  const Value x = a.g.value(a.in(0));
  a.set(0, emit(a.g, "scatter_nd", {filled(a.g, x.dtype, x.shape, 0), a.in(1), a.dout(0)},
                ScatterNdAttrs{(int64_t)ScatterReduction::add, a.attrs<GatherNdAttrs>().batch_dims}));
}

constexpr AttrField kFields[] = {TERN_ATTR(GatherNdAttrs, batch_dims, integer, 0, 7)};

constexpr Case kCases[] = {
    {"elements", "f32[3,4] i64[3,2]{0,0,2,-1,1,3}"},
    {"rows", "f32[3,4] i64[2,1]{2,2}"},
    {"batch", "f32[2,3,2] i64[2,1]{2,0}", "batch_dims=1"},
    {"batch_tuples", "f32[2,3,2] i64[2,2,1]{2,0,1,1}", "batch_dims=1"},
    {"one", "f32[3,4] i32[2]{1,2}"},
    {"no_coordinates", "f32[2,2] i64[3,0]"},
    {"half", "f16[3] i64[2,1]{0,2}"},
    {"integers", "i64[3] i64[1,1]{1}"},
    {"bool", "bool[2,2] i64[1,2]{1,0}"},
    {"rank5", "f32[2,1,2,1,3] i64[2,2]{1,0,0,0}"},
    {"no_tuples", "f32[3] i64[0,1]"},
    {"n", "f32[3,4] i64[1,2]{0,4}", "", 0, TERN_ERR_INDEX},
    {"too_far_back", "f32[3] i64[1,1]{-4}", "", 0, TERN_ERR_INDEX},
    {"huge", "f32[3] i64[1,1]{9223372036854775807}", "", 0, TERN_ERR_INDEX},
    {"too_many", "f32[3] i64[1,2]{0,0}", "", 0, TERN_ERR_SHAPE},
    {"batches", "f32[2,3] i64[3,1]{0,0,0}", "batch_dims=1", 0, TERN_ERR_SHAPE},
    {"batch_too_large", "f32[2,3] i64[2,1]{0,0}", "batch_dims=2", 0, TERN_ERR_SHAPE},
    {"scalar_index", "f32[3] i64[]{0}", "", 0, TERN_ERR_SHAPE},
    {"float_index", "f32[3] f32[1,1]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_gather_nd = checked_op({.name = "gather_nd",
                                                     .min_in = 2,
                                                     .max_in = 2,
                                                     .attributes = attr_schema<GatherNdAttrs>(kFields),
                                                     .infer = infer,
                                                     .reference = reference,
                                                     .vjp = vjp,
                                                     .cases = TERN_CASES(kCases)});

}  // namespace tern
