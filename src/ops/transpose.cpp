// SPDX-License-Identifier: Apache-2.0
// transpose: y[i_0, i_1, ...] has x's axes in the order `permutation` (empty: reversed)
//   x any type
//   dx = transpose(dy, inverse permutation)
#include "ops/transpose.h"

#include <cstddef>

#include "ops/move.h"

namespace tern {
namespace {

// Axis of x for each axis of y.
tern_status axes_of(const TransposeAttrs& p, int rank, int64_t* axes) {
  if (p.permutation.count == 0) {
    for (int i = 0; i < rank; ++i) axes[i] = rank - 1 - i;
    return TERN_OK;
  }
  bool seen[kMaxRank] = {};
  if (p.permutation.count != rank)
    return TERN_FAIL(TERN_ERR_SHAPE, "transpose: %" PRId64 " axes for a tensor of rank %d", p.permutation.count, rank);
  for (int i = 0; i < rank; ++i) {
    int axis;
    TERN_TRY(normalize_axis(p.permutation[i], rank, &axis));
    if (seen[axis]) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "transpose: axis %d appears twice", axis);
    seen[axis] = true;
    axes[i] = axis;
  }
  return TERN_OK;
}

tern_status infer(InferArgs& a) {
  const Shape& x = a.in(0).shape;
  int64_t axes[kMaxRank];
  TERN_TRY(axes_of(a.attrs<TransposeAttrs>(), x.rank, axes));
  Shape y = x;
  for (int i = 0; i < x.rank; ++i) y[i] = x[(int)axes[i]];
  a.set(0, a.in(0).dtype, y);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const Shape& x = a.in(0).shape;
  int64_t axes[kMaxRank], from[kMaxRank] = {};
  TERN_TRY(axes_of(a.attrs<TransposeAttrs>(), x.rank, axes));
  for (Coordinates c(a.out(0).shape); c.valid(); c.next()) {
    for (int i = 0; i < x.rank; ++i) from[axes[i]] = c.at[i];
    copy_element(a.out(0), c.flat, a.in(0), offset_of(x, from));
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  const int rank = a.g.value(a.in(0)).shape.rank;
  int64_t axes[kMaxRank], inverse[kMaxRank];
  if (axes_of(a.attrs<TransposeAttrs>(), rank, axes) != TERN_OK) return;
  for (int i = 0; i < rank; ++i) inverse[axes[i]] = i;
  a.set(0, transpose(a.g, a.dout(0), {inverse, (size_t)rank}));
}

constexpr AttrField kFields[] = {TERN_ATTR(TransposeAttrs, permutation, integers, -8, 7)};

constexpr Case kCases[] = {
    {"matrix", "f32[3,5]"},
    {"nchw_nhwc", "f32[2,3,4,5]", "permutation=0,2,3,1"},
    {"nhwc_nchw", "f16[1,7,3,9]", "permutation=0,3,1,2"},
    {"rank5", "i32[2,3,1,4,2]", "permutation=4,0,2,1,3"},
    {"negative", "f32[2,3,4]", "permutation=-1,0,-2"},
    {"scalar", "f32[]"},
    {"vector", "i64[5]", "permutation=0"},
    {"empty", "f32[0,3]"},
    {"bool", "bool[3,4]"},
    {"large", "f32[17,33]", "permutation=1,0"},
    {"twice", "f32[2,3]", "permutation=1,1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"count", "f32[2,3]", "permutation=0,1,2", 0, TERN_ERR_SHAPE},
    {"outside", "f32[2,3]", "permutation=0,2", 0, TERN_ERR_INVALID_ARGUMENT},
};

}  // namespace

extern constinit const Op op_transpose = checked_op({.name = "transpose",
                                                     .attributes = attr_schema<TransposeAttrs>(kFields),
                                                     .infer = infer,
                                                     .reference = reference,
                                                     .vjp = vjp,
                                                     .cases = TERN_CASES(kCases)});

}  // namespace tern
