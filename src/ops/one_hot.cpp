// SPDX-License-Identifier: Apache-2.0
// one_hot: values[1] at the index along a new axis, values[0] elsewhere
//   indices integers [..]; depth: one integer (optional, known when the plan is made, wins over the attribute);
//   values [2] any type = off, on (optional: f32 0 and 1)     y: the indices' dims with `depth` inserted at `axis`
//   An index in [-depth, 0) counts from the end; one outside [-depth, depth) gives a row of values[0]
//   dvalues = sum of dy where off, sum of dy where on
#include <cstddef>

#include "ops/concat.h"
#include "ops/fill.h"
#include "ops/move.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const OneHotAttrs& p = a.attrs<OneHotAttrs>();
  const Shape& ids = a.in(0).shape;
  TERN_TRY(require_integer(a, 0));
  int64_t depth = p.depth;
  if (a.has(1)) {
    std::vector<int64_t> list;
    TERN_TRY(require_known(a, 1, 1, &list));
    if (list.size() != 1 || list[0] < 0)
      return TERN_FAIL(TERN_ERR_SHAPE, "one_hot: the depth must be one number that is not negative");
    depth = list[0];
  }
  if (a.has(2) && !(a.in(2).shape == Shape{2}))
    return TERN_FAIL(TERN_ERR_SHAPE, "one_hot: the values have shape %s, [2] is needed",
                     to_string(a.in(2).shape).c_str());
  int axis;
  TERN_TRY(require_axis(a, p.axis, ids.rank + 1, &axis));
  Shape y;
  TERN_TRY(append_dims(a, ids, 0, axis, &y));
  TERN_TRY(append_dims(a, Shape{depth}, 0, 1, &y));
  TERN_TRY(append_dims(a, ids, axis, ids.rank, &y));
  a.set(0, a.has(2) ? a.in(2).dtype : TERN_DTYPE_F32, y);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const RefTensor &ids = a.in(0), &y = a.out(0);
  int axis;
  TERN_TRY(normalize_axis(a.attrs<OneHotAttrs>().axis, y.shape.rank, &axis));
  int64_t inner = 1;
  for (int i = axis + 1; i < y.shape.rank; ++i) inner *= y.shape[i];
  const int64_t depth = y.shape[axis];
  for (int64_t i = 0, n = y.elements(); i < n; ++i) {
    const bool on = wrap_index(ids.load_int(i / (inner * depth) * inner + i % inner), depth) == i / inner % depth;
    if (a.has(2)) copy_element(y, i, a.in(2), on);
    else y.store(i, on);
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  if (!a.wanted(2)) return;
  Graph& g = a.g;
  const DType t = g.value(a.in(2)).dtype;
  OneHotAttrs p = a.attrs<OneHotAttrs>();
  const Shape y = g.value(a.out(0)).shape;
  int axis;
  if (normalize_axis(p.axis, y.rank, &axis) != TERN_OK) return;
  p.depth = y[axis];
  const ValueId hot = cast(g, emit(g, "one_hot", {a.in(0)}, p), t), all = reduce_sum(g, a.dout(0), {}, false);
  const ValueId on = reduce_sum(g, mul(g, a.dout(0), hot), {}, false);
  a.set(2, emit(g, "concat", {reshape(g, sub(g, all, on), {1}), reshape(g, on, {1})}, ConcatAttrs{0}));
}

constexpr AttrField kFields[] = {TERN_ATTR(OneHotAttrs, axis, integer, -9, 8),
                                 TERN_ATTR(OneHotAttrs, depth, integer, 0, 1e15)};

constexpr Case kCases[] = {
    {"last", "i64[4]{0,2,-1,3} - f32[2]{0,1}", "depth=3"},
    {"first", "i32[2,2]{0,1,2,1} - f32[2]", "axis=0 depth=3"},
    {"middle", "i64[2,3]{0,1,2,2,1,0} - f32[2]", "axis=1 depth=3"},
    {"input", "i64[2]{1,0} i64[1]{4} f32[2]"},
    {"scalar_depth", "i64[2]{1,0} i64[]{2} i64[2]{5,7}"},
    {"defaults", "i64[3]{0,1,2}", "depth=4"},
    {"outside", "i64[4]{5,-6,9223372036854775807,-9223372036854775808} - f32[2]", "depth=5"},
    {"scalar", "i64[]{1} - f16[2]", "depth=3"},
    {"bool", "u8[2]{1,0} - bool[2]{0,1}", "depth=2"},
    {"no_depth", "i64[2]{0,1} - f32[2]", "depth=0"},
    {"empty", "i64[0] - f32[2]", "depth=3"},
    {"rank5", "i64[1,2,1,2]{0,1,1,0} - f32[2]", "axis=2 depth=2"},
    {"negative_depth", "i64[2]{0,1} i64[]{-1} f32[2]", "", 0, TERN_ERR_SHAPE},
    {"two_depths", "i64[2]{0,1} i64[2]{2,2} f32[2]", "", 0, TERN_ERR_SHAPE},
    {"values", "i64[2]{0,1} - f32[3]", "depth=2", 0, TERN_ERR_SHAPE},
    {"axis", "i64[2]{0,1} - f32[2]", "axis=2 depth=2", 0, TERN_ERR_INVALID_ARGUMENT},
    {"float_index", "f32[2] - f32[2]", "depth=2", 0, TERN_ERR_TYPE},
    {"huge", "i64[10000]:0..1 - f32[2]", "depth=1000000000000000 axis=0", 0, TERN_ERR_LIMIT},
};

}  // namespace

extern constinit const Op op_one_hot = checked_op({.name = "one_hot",
                                                   .max_in = 3,
                                                   .attributes = attr_schema<OneHotAttrs>(kFields),
                                                   .infer = infer,
                                                   .reference = reference,
                                                   .vjp = vjp,
                                                   .cases = TERN_CASES(kCases)});

}  // namespace tern
