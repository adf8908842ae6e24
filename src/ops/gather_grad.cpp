// SPDX-License-Identifier: Apache-2.0
// gather_grad: dx of y = gather(x, indices): each part of dy is added at its index, the rest is 0
//   dy float, dims [axis, axis + rank of indices) are those of indices; dim: size of x's axis. Bad index:
//   TERN_ERR_INDEX
//   ddy = gather(ddx, indices)
#include <cstddef>

#include "ops/gather.h"
#include "ops/move.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const GatherGradAttrs& p = a.attrs<GatherGradAttrs>();
  const Shape &dy = a.in(0).shape, &ids = a.in(1).shape;
  const int axis = (int)p.axis;
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_integer(a, 1));
  bool fits = axis + ids.rank <= dy.rank;
  for (int i = 0; fits && i < ids.rank; ++i) fits = dy[axis + i] == ids[i];
  if (!fits)
    return TERN_FAIL(TERN_ERR_SHAPE, "gather_grad: indices %s are not dims %d.. of %s", to_string(ids).c_str(), axis,
                     to_string(dy).c_str());
  Shape x;
  TERN_TRY(append_dims(a, dy, 0, axis, &x));
  TERN_TRY(append_dims(a, Shape{p.dim}, 0, 1, &x));
  TERN_TRY(append_dims(a, dy, axis + ids.rank, dy.rank, &x));
  a.set(0, a.in(0).dtype, x);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const GatherGradAttrs& p = a.attrs<GatherGradAttrs>();
  const RefTensor &dy = a.in(0), &ids = a.in(1), &x = a.out(0);
  const int64_t count = ids.elements();
  int64_t outer = 1, inner = 1;
  for (int k = 0; k < p.axis; ++k) outer *= x.shape[k];
  for (int k = (int)p.axis + 1; k < x.shape.rank; ++k) inner *= x.shape[k];
  std::vector<double> sum((size_t)x.elements(), 0.0);
  for (int64_t k = 0; k < count; ++k) {
    const int64_t at = wrap_index(ids.load_int(k), p.dim);
    if (at < 0) return bad_index(a, 1, ids.load_int(k), p.dim);
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t j = 0; j < inner; ++j)
        sum[(size_t)((o * p.dim + at) * inner + j)] += dy.load((o * count + k) * inner + j);
  }
  for (int64_t i = 0; i < x.elements(); ++i) x.store(i, sum[(size_t)i]);
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  a.set(0, emit(a.g, "gather", {a.dout(0), a.in(1)}, GatherAttrs{a.attrs<GatherGradAttrs>().axis}));
}

constexpr AttrField kFields[] = {TERN_ATTR(GatherGradAttrs, axis, integer, 0, 7),
                                 TERN_ATTR(GatherGradAttrs, dim, integer, 0, 1e15)};

constexpr Case kCases[] = {
    {"rows", "f32[4,3] i64[4]{4,0,-1,4}", "dim=5"},
    {"columns", "f32[3,2,2] i32[2,2]{0,1,4,4}", "axis=1 dim=5"},
    {"scalar_index", "f32[3] i64[]{2}", "dim=4"},
    {"half", "f16[2,3] i64[2]{1,1}", "dim=2", 2e-3},
    {"no_ids", "f32[0,2] i64[0]", "dim=3"},
    {"to_nothing", "f32[0,2] i64[0]", "dim=0"},
    {"minus_one_too_far", "f32[1] i64[1]{-4}", "dim=3", 0, TERN_ERR_INDEX},
    {"n", "f32[1] i64[1]{3}", "dim=3", 0, TERN_ERR_INDEX},
    {"huge", "f32[1] i64[1]{9223372036854775807}", "dim=3", 0, TERN_ERR_INDEX},
    {"shape", "f32[3,2] i64[2]{0,1}", "dim=3", 0, TERN_ERR_SHAPE},
    {"rank", "f32[3] i64[3]{0,1,2}", "axis=1 dim=3", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_gather_grad = checked_op({.name = "gather_grad",
                                                       .min_in = 2,
                                                       .max_in = 2,
                                                       .capability = Capability::training,
                                                       .attributes = attr_schema<GatherGradAttrs>(kFields),
                                                       .infer = infer,
                                                       .reference = reference,
                                                       .vjp = vjp,
                                                       .cases = TERN_CASES(kCases)});

}  // namespace tern
