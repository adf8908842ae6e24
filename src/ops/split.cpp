// SPDX-License-Identifier: Apache-2.0
// split: the parts of x along `axis`, one output each
//   x any type; sizes: one per output, their sum is the dim. Empty: ceil(dim / outputs) each, the last takes the rest
//   dx = concat(dy_0, dy_1, ...), zeros where no gradient arrives
#include <algorithm>
#include <cstddef>

#include "base/checked.h"
#include "ops/concat.h"
#include "ops/move.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const SplitAttrs& p = a.attrs<SplitAttrs>();
  const int64_t parts = (int64_t)a.node.out.size();
  int axis;
  TERN_TRY(require_axis(a, p.axis, a.in(0).shape.rank, &axis));
  const int64_t dim = a.in(0).shape[axis];
  if (parts < 1 || (p.sizes.count != 0 && p.sizes.count != parts))
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "split: %" PRId64 " sizes for %" PRId64 " outputs", p.sizes.count,
                     parts);
  const int64_t chunk = dim / parts + (dim % parts != 0);
  int64_t rest = dim;
  for (int64_t i = 0; i < parts; ++i) {
    Shape y = a.in(0).shape;
    y[axis] = p.sizes.count ? p.sizes[i] : std::min(chunk, rest);
    if (y[axis] < 0 || y[axis] > rest)
      return TERN_FAIL(TERN_ERR_SHAPE, "split: the sizes exceed the dim %" PRId64, dim);
    rest -= y[axis];
    a.set((int)i, a.in(0).dtype, y);
  }
  if (rest != 0)
    return TERN_FAIL(TERN_ERR_SHAPE, "split: the sizes sum to %" PRId64 ", the dim is %" PRId64, dim - rest, dim);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const Shape& x = a.in(0).shape;
  int axis;
  TERN_TRY(normalize_axis(a.attrs<SplitAttrs>().axis, x.rank, &axis));
  int64_t begin = 0, from[kMaxRank];
  for (int i = 0; i < (int)a.node.out.size(); ++i) {
    for (Coordinates c(a.out(i).shape); c.valid(); c.next()) {
      for (int k = 0; k < x.rank; ++k) from[k] = c.at[k] + (k == axis ? begin : 0);
      copy_element(a.out(i), c.flat, a.in(0), offset_of(x, from));
    }
    begin += a.out(i).shape[axis];
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  Node n;
  n.op = find_op("concat");
  n.attrs<ConcatAttrs>().axis = a.attrs<SplitAttrs>().axis;
  for (int i = 0; i < (int)a.node.out.size(); ++i) {
    const Value y = a.g.value(a.out(i));
    n.in.push_back(a.dout(i) != kNoValue ? a.dout(i) : filled(a.g, y.dtype, y.shape, 0));
  }
  a.set(0, emit_node(a.g, std::move(n)));
}

constexpr AttrField kFields[] = {TERN_ATTR(SplitAttrs, axis, integer, -8, 7),
                                 TERN_ATTR(SplitAttrs, sizes, integers, 0, 1e18)};

constexpr Case kCases[] = {
    {"halves", "f32[4,3]", "outputs=2"},
    {"sizes", "f32[2,7]", "axis=1 sizes=1,4,2 outputs=3"},
    {"last", "f16[3,2,4]", "axis=-1 outputs=4"},
    {"uneven", "f32[7]", "outputs=3"},
    {"one", "f32[5]", "outputs=1"},
    {"empty_part", "f32[3]", "sizes=3,0 outputs=2"},
    {"empty", "f32[0,2]", "outputs=2"},
    {"integers", "i64[2,2]", "axis=1 outputs=2"},
    {"rank5", "f32[1,2,6,1,2]", "axis=2 sizes=2,4 outputs=2"},
    {"more_than_rows", "f32[2]", "outputs=3"},
    {"bool", "bool[4]", "outputs=2"},
    {"sum", "f32[4]", "sizes=1,2 outputs=2", 0, TERN_ERR_SHAPE},
    {"too_large", "f32[4]", "sizes=4,1 outputs=2", 0, TERN_ERR_SHAPE},
    {"count", "f32[4]", "sizes=4 outputs=2", 0, TERN_ERR_INVALID_ARGUMENT},
    {"scalar", "f32[]", "outputs=1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"huge", "f32[4]", "sizes=900000000000000000,4 outputs=2", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_split = checked_op({.name = "split",
                                                 .num_out = -1,
                                                 .attributes = attr_schema<SplitAttrs>(kFields),
                                                 .infer = infer,
                                                 .reference = reference,
                                                 .vjp = vjp,
                                                 .cases = TERN_CASES(kCases)});

}  // namespace tern
