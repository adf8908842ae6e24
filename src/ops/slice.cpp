// SPDX-License-Identifier: Apache-2.0
// slice: y = x[start : end : step] along each axis, as in ONNX
//   x any type; starts, ends, axes, steps integers (optional, known when the plan is made; with `starts` present they
//   replace the attributes). Negative starts and ends count from the end; both are clamped; steps may be negative, not
//   0
//   dx = dy with zeros between, before and after
#include "ops/slice.h"

#include <algorithm>
#include <cstddef>

#include "ops/expand.h"
#include "ops/move.h"
#include "ops/pad.h"

namespace tern {
namespace {

tern_status range_of(int64_t start, int64_t end, int64_t step, int64_t dim, SliceRange* r) {
  if (step == 0) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "slice: a step is 0");
  step = std::max(step, -INT64_MAX);
  const bool back = step < 0;
  const auto bound = [&](int64_t v) {
    return std::clamp<int64_t>(v < 0 ? v + dim : v, back ? -1 : 0, back ? dim - 1 : dim);
  };
  start = bound(start);
  end = bound(end);
  const int64_t length = back ? start - end : end - start, size = back ? -step : step;
  *r = {start, length <= 0 ? 0 : (length - 1) / size + 1, step};
  if (r->count == 0) r->start = 0;
  if (r->count <= 1) r->step = 1;  // so that start + count * step stays small
  return TERN_OK;
}

tern_status ranges_from(const Shape& x, const IntList& starts, const IntList& ends, const IntList* axes,
                        const IntList* steps, SliceRange* out) {
  if (ends.count != starts.count || (axes && axes->count != starts.count) || (steps && steps->count != starts.count))
    return TERN_FAIL(TERN_ERR_SHAPE, "slice: %" PRId64 " starts, but another number of ends, axes or steps",
                     starts.count);
  bool seen[kMaxRank] = {};
  for (int i = 0; i < x.rank; ++i) out[i] = {0, x[i], 1};
  for (int i = 0; i < (int)starts.count; ++i) {
    int axis;
    TERN_TRY(normalize_axis(axes ? (*axes)[i] : i, x.rank, &axis));
    if (seen[axis]) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "slice: axis %d appears twice", axis);
    seen[axis] = true;
    TERN_TRY(range_of(starts[i], ends[i], steps ? (*steps)[i] : 1, x[axis], &out[axis]));
  }
  return TERN_OK;
}

IntList list_of(const RefArgs& a, int i) {
  IntList list;
  for (int64_t k = 0; a.has(i) && k < std::min<int64_t>(a.in(i).elements(), kMaxRank); ++k)
    list[list.count++] = a.in(i).load_int(k);
  return list;
}

tern_status infer(InferArgs& a) {
  SliceRange r[kMaxRank];
  TERN_TRY(slice_ranges(a, r));
  Shape y = a.in(0).shape;
  for (int i = 0; i < y.rank; ++i) y[i] = r[i].count;
  a.set(0, a.in(0).dtype, y);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const SliceAttrs& p = a.attrs<SliceAttrs>();
  const Shape& x = a.in(0).shape;
  SliceRange r[kMaxRank];
  if (a.has(1)) {
    const IntList starts = list_of(a, 1), ends = list_of(a, 2), axes = list_of(a, 3), steps = list_of(a, 4);
    TERN_TRY(ranges_from(x, starts, ends, a.has(3) ? &axes : nullptr, a.has(4) ? &steps : nullptr, r));
  } else {
    TERN_TRY(ranges_from(x, p.starts, p.ends, nullptr, p.steps.count ? &p.steps : nullptr, r));
  }
  int64_t from[kMaxRank];
  for (Coordinates c(a.out(0).shape); c.valid(); c.next()) {
    for (int i = 0; i < x.rank; ++i) from[i] = r[i].start + c.at[i] * r[i].step;
    copy_element(a.out(0), c.flat, a.in(0), offset_of(x, from));
  }
  return TERN_OK;
}

// Puts step - 1 zeros between the entries of an axis: [.., n, ..] -> [.., (n - 1) * step + 1, ..].
ValueId spread(Graph& g, ValueId v, int axis, int64_t step) {
  if (g.status != TERN_OK) return kNoValue;
  const Shape s = g.value(v).shape;
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) outer *= s[i];
  for (int i = axis + 1; i < s.rank; ++i) inner *= s[i];
  const int64_t n = s[axis], length = (n - 1) * step + 1;
  PadAttrs between;
  between.before = {0, 0, 0, 0};
  between.after = {0, 0, step - 1, 0};
  v = emit(g, "pad", {reshape(g, v, {outer, n, 1, inner})}, between);
  PadAttrs tail;
  tail.before = {0, 0, 0};
  tail.after = {0, 1 - step, 0};
  v = emit(g, "pad", {reshape(g, v, {outer, n * step, inner})}, tail);
  Shape wide = s;
  wide[axis] = length;
  return reshape(g, v, wide);
}

void vjp(VjpArgs& a) {
  const Shape x = a.g.value(a.in(0)).shape;
  SliceRange r[kMaxRank];
  if ((a.g.status = slice_ranges(InferArgs{a.g, a.node, nullptr}, r)) != TERN_OK) return;
  ValueId d = a.dout(0);
  PadAttrs around;
  ReverseAttrs back;
  around.before.count = around.after.count = x.rank;
  for (int i = 0; i < x.rank; ++i)
    if (r[i].step < 0) back.axes[back.axes.count++] = i;
  if (back.axes.count) d = emit(a.g, "reverse", {d}, back);
  for (int i = 0; i < x.rank; ++i) {
    const int64_t step = r[i].step < 0 ? -r[i].step : r[i].step, span = r[i].count ? (r[i].count - 1) * step : -1;
    if (step > 1 && r[i].count > 1) d = spread(a.g, d, i, step);
    around.before[i] = r[i].step < 0 ? r[i].start - span : r[i].start;
    around.after[i] = x[i] - around.before[i] - (span + 1);
  }
  a.set(0, emit(a.g, "pad", {d}, around));
}

constexpr AttrField kFields[] = {TERN_ATTR(SliceAttrs, starts, integers, -1e19, 1e19),
                                 TERN_ATTR(SliceAttrs, ends, integers, -1e19, 1e19),
                                 TERN_ATTR(SliceAttrs, steps, integers, -1e19, 1e19)};

constexpr Case kCases[] = {
    {"row", "f32[4,5]", "starts=1 ends=3"},
    {"both", "f32[4,5]", "starts=0,1 ends=4,-1"},
    {"step", "f32[3,9]", "starts=0,1 ends=3,9 steps=1,3"},
    {"back", "f32[7]", "starts=-1 ends=-9223372036854775808 steps=-1"},
    {"back_step", "f32[2,8]", "starts=0,6 ends=2,0 steps=1,-2"},
    {"clamped", "f16[3,4]", "starts=-9,2 ends=9223372036854775807,99"},
    {"nothing", "f32[4,3]", "starts=3 ends=1"},
    {"empty", "f32[0,3]", "starts=0,1 ends=5,3"},
    {"inputs", "f32[3,4,5] i64[2]{1,0} i64[2]{3,-1} i64[2]{2,0} i64[2]{2,1}"},
    {"no_axes", "i64[3,4] i64[1]{1} i64[1]{3}"},
    {"int32_lists", "f32[6] i32[1]{5} i32[1]{0} - i32[1]{-2}"},
    {"rank5", "f32[2,3,1,2,4]", "starts=0,1,0,0,0 ends=2,3,1,2,4 steps=1,1,1,1,2"},
    {"scalar", "f32[]"},
    {"bool", "bool[5]", "starts=2 ends=5"},
    {"large_step", "f32[5]", "starts=1 ends=5 steps=9223372036854775807"},
    {"large_back", "f32[5]", "starts=4 ends=-9 steps=-9223372036854775808"},
    {"back_of_empty", "f32[0]", "starts=-1 ends=-5 steps=-1"},
    {"step_zero", "f32[5]", "starts=0 ends=5 steps=0", 0, TERN_ERR_INVALID_ARGUMENT},
    {"count", "f32[5]", "starts=0 ends=5,5", 0, TERN_ERR_SHAPE},
    {"axis", "f32[5] i64[1]{0} i64[1]{3} i64[1]{1}", "", 0, TERN_ERR_INVALID_ARGUMENT},
    {"rank", "f32[5]", "starts=0,0 ends=1,1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"twice", "f32[5,5] i64[2]{0,1} i64[2]{3,3} i64[2]{0,-2}", "", 0, TERN_ERR_INVALID_ARGUMENT},
    {"no_ends", "f32[5] i64[1]{0}", "", 0, TERN_ERR_INVALID_ARGUMENT},
};

}  // namespace

tern_status slice_ranges(const InferArgs& a, SliceRange out[kMaxRank]) {
  const SliceAttrs& p = a.attrs<SliceAttrs>();
  const Shape& x = a.in(0).shape;
  if (!a.has(1)) {
    for (int i = 2; i < 5; ++i)
      if (a.has(i)) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "slice: input %d without starts", i);
    return ranges_from(x, p.starts, p.ends, nullptr, p.steps.count ? &p.steps : nullptr, out);
  }
  IntList lists[4];
  if (!a.has(2)) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "slice: starts without ends");
  for (int i = 0; i < 4; ++i)
    if (a.has(i + 1)) TERN_TRY(require_integers(a, i + 1, &lists[i]));
  return ranges_from(x, lists[0], lists[1], a.has(3) ? &lists[2] : nullptr, a.has(4) ? &lists[3] : nullptr, out);
}

extern constinit const Op op_slice = checked_op({.name = "slice",
                                                 .max_in = 5,
                                                 .attributes = attr_schema<SliceAttrs>(kFields),
                                                 .infer = infer,
                                                 .reference = reference,
                                                 .vjp = vjp,
                                                 .cases = TERN_CASES(kCases)});

}  // namespace tern
