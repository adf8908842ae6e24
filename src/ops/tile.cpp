// SPDX-License-Identifier: Apache-2.0
// tile: x repeated `repeats[axis]` times along each axis
//   x any type; repeats integers [rank] (optional, known when the plan is made, wins over the attribute)
//   dx = the sum of dy's copies
#include <cstddef>

#include "base/checked.h"
#include "ops/expand.h"
#include "ops/move.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  IntList repeats = a.attrs<TileAttrs>().repeats;
  if (a.has(1)) TERN_TRY(require_integers(a, 1, &repeats));
  Shape y = a.in(0).shape;
  if (repeats.count != y.rank)
    return TERN_FAIL(TERN_ERR_SHAPE, "tile: %" PRId64 " repeats for a tensor of rank %d", repeats.count, y.rank);
  for (int i = 0; i < y.rank; ++i) {
    if (repeats[i] < 0) return TERN_FAIL(TERN_ERR_SHAPE, "tile: axis %d is repeated %" PRId64 " times", i, repeats[i]);
    if (!checked_mul(y[i], repeats[i], &y[i])) return TERN_FAIL(TERN_ERR_LIMIT, "tile: axis %d becomes too long", i);
  }
  a.set(0, a.in(0).dtype, y);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const RefTensor &x = a.in(0), &y = a.out(0);
  int64_t from[kMaxRank];
  for (Coordinates c(y.shape); c.valid(); c.next()) {
    for (int i = 0; i < y.shape.rank; ++i) from[i] = c.at[i] % x.shape[i];
    copy_element(y, c.flat, x, offset_of(x.shape, from));
  }
  return TERN_OK;
}

// One axis at a time, so that the rank stays small: [outer, repeat, dim * inner] summed over the repeats.
void vjp(VjpArgs& a) {
  Graph& g = a.g;
  const Shape x = g.value(a.in(0)).shape;
  Shape s = g.value(a.out(0)).shape;
  ValueId d = a.dout(0);
  if (s.elements() == 0) return a.set(0, filled(g, g.value(a.in(0)).dtype, x, 0));
  const int64_t axes[] = {1};
  for (int i = 0; i < x.rank; ++i) {
    if (s[i] == x[i]) continue;
    int64_t outer = 1, inner = x[i];
    for (int k = 0; k < i; ++k) outer *= s[k];
    for (int k = i + 1; k < x.rank; ++k) inner *= s[k];
    d = reduce_sum(g, reshape(g, d, {outer, s[i] / x[i], inner}), axes, false);
    s[i] = x[i];
  }
  a.set(0, reshape(g, d, x));
}

constexpr AttrField kFields[] = {TERN_ATTR(TileAttrs, repeats, integers, 0, 1e15)};

constexpr Case kCases[] = {
    {"both", "f32[2,3]", "repeats=2,3"},
    {"one", "f32[3]", "repeats=1"},
    {"middle", "f16[2,1,3]", "repeats=1,4,1"},
    {"input", "i64[2,2] i64[2]{1,2}"},
    {"none", "f32[2,3]", "repeats=0,2"},
    {"empty", "f32[0,3]", "repeats=4,2"},
    {"scalar", "f32[]", "repeats="},
    {"rank5", "f32[1,2,1,2,1]", "repeats=2,1,2,2,3"},
    {"bool", "bool[3]", "repeats=2"},
    {"count", "f32[2,3]", "repeats=2", 0, TERN_ERR_SHAPE},
    {"negative", "f32[2] i64[1]{-1}", "", 0, TERN_ERR_SHAPE},
    {"huge", "f32[4] i64[1]{4611686018427387904}", "", 0, TERN_ERR_LIMIT},
};

}  // namespace

extern constinit const Op op_tile = checked_op({.name = "tile",
                                                .max_in = 2,
                                                .attributes = attr_schema<TileAttrs>(kFields),
                                                .infer = infer,
                                                .reference = reference,
                                                .vjp = vjp,
                                                .cases = TERN_CASES(kCases)});

}  // namespace tern
