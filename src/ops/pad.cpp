// SPDX-License-Identifier: Apache-2.0
// pad: x with cells added around it (constant: also removed)
//   x any type; pads i64 [2 * rank] = all before, all after (optional, known when the plan is made, wins over the
//   attributes);
//   value: a scalar of x's type (optional, wins over the attribute)
//   reflect: 3 2 | 1 2 3 | 2 1, edge: 1 1 | 1 2 3 | 3 3, wrap: 2 3 | 1 2 3 | 1 2; repeated as long as needed
//   dx = pad(dy, -pads) for constant, else pad_grad; dvalue = what dx does not take of sum(dy)
#include "ops/pad.h"

#include <cmath>
#include <cstddef>

#include "base/checked.h"
#include "ops/move.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const PadAttrs& p = a.attrs<PadAttrs>();
  int64_t before[kMaxRank], after[kMaxRank];
  TERN_TRY(pad_amounts(a, before, after));
  Shape y = a.in(0).shape;
  for (int i = 0; i < y.rank; ++i) {
    const int64_t n = y[i];
    if (!checked_add(y[i], before[i], &y[i]) || !checked_add(y[i], after[i], &y[i]))
      return TERN_FAIL(TERN_ERR_LIMIT, "pad: axis %d becomes too long", i);
    if (y[i] < 0) return TERN_FAIL(TERN_ERR_SHAPE, "pad: axis %d has %" PRId64 " entries, the pads remove more", i, n);
    if (p.mode != (int64_t)PadMode::constant && n == 0 && y[i] != 0)
      return TERN_FAIL(TERN_ERR_SHAPE, "pad: axis %d is empty, there is nothing to repeat", i);
  }
  if (a.has(2)) {
    TERN_TRY(require_same_dtype(a, 0, 2));
    if (a.in(2).shape.elements() != 1)
      return TERN_FAIL(TERN_ERR_SHAPE, "pad: the value has shape %s", to_string(a.in(2).shape).c_str());
  }
  a.set(0, a.in(0).dtype, y);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const PadAttrs& p = a.attrs<PadAttrs>();
  const RefTensor &x = a.in(0), &y = a.out(0);
  const int rank = x.shape.rank;
  int64_t from[kMaxRank];
  for (Coordinates c(y.shape); c.valid(); c.next()) {
    bool inside = true;
    for (int i = 0; i < rank; ++i) {
      const int64_t before = a.has(1) ? a.in(1).load_int(i) : i < p.before.count ? p.before[i] : 0;
      from[i] = pad_source((PadMode)p.mode, c.at[i] - before, x.shape[i]);
      inside = inside && from[i] >= 0;
    }
    if (inside) copy_element(y, c.flat, x, offset_of(x.shape, from));
    else if (a.has(2)) copy_element(y, c.flat, a.in(2), 0);
    else y.store(c.flat, p.value);
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  PadAttrs p = a.attrs<PadAttrs>();
  const int rank = g.value(a.in(0)).shape.rank;
  const bool constant = p.mode == (int64_t)PadMode::constant;
  if ((g.status = pad_amounts(InferArgs{g, a.node, nullptr}, p.before.items, p.after.items)) != TERN_OK) return;
  p.before.count = p.after.count = rank;
  p.value = 0;
  for (int i = 0; constant && i < rank; ++i) {
    p.before[i] = -p.before[i];
    p.after[i] = -p.after[i];
  }
  const ValueId dx = emit(g, constant ? "pad" : "pad_grad", {a.dout(0)}, p);
  a.set(0, dx);
  if (!a.wanted(2) || !constant || g.status != TERN_OK) return;
  const Shape s = g.value(a.in(2)).shape;
  const ValueId outside = sub(g, reduce_sum(g, a.dout(0), {}, false), reduce_sum(g, dx, {}, false));
  a.set(2, s.rank ? reshape(g, outside, s) : outside);
}

constexpr AttrField kFields[] = {
    TERN_ATTR(PadAttrs, before, integers, -1e15, 1e15), TERN_ATTR(PadAttrs, after, integers, -1e15, 1e15),
    TERN_ATTR(PadAttrs, mode, choice, 0, 3, kPadModes), TERN_ATTR(PadAttrs, value, number, -INFINITY, INFINITY)};

constexpr Case kCases[] = {
    {"zeros", "f32[2,3]", "before=1,0 after=0,2"},
    {"value", "f32[3]", "before=1 after=1 value=-2.5"},
    {"picture", "f32[1,4,5,3]", "before=0,1,1,0 after=0,1,1,0"},
    {"channels", "f32[1,3,3,4]", "before=0,0,0,0 after=0,0,0,4"},
    {"crop", "f32[5,4]", "before=-1,1 after=-2,-1"},
    {"crop_all", "f32[3]", "before=-3 after=0"},
    {"reflect", "f32[2,4]", "before=0,3 after=1,2 mode=reflect"},
    {"reflect_far", "f32[3]", "before=7 after=8 mode=reflect"},
    {"reflect_one", "f32[1]", "before=2 after=2 mode=reflect"},
    {"edge", "f32[2,3]", "before=1,2 after=2,1 mode=edge"},
    {"wrap", "f32[3,2]", "before=4,1 after=5,0 mode=wrap"},
    {"half", "f16[2,2]", "before=1,1 after=1,1"},
    {"inputs", "f32[2,3] i64[4]{0,1,2,0} f32[]"},
    {"value_vector", "f32[2] i64[2]{1,1} f32[1]{3}"},
    {"integers", "i64[2]{9007199254740993,-1}", "before=1 after=1 value=5"},
    {"bool", "bool[3]", "before=1 after=0"},
    {"rank5", "f32[1,2,1,2,2]", "before=1,0,0,0,1 after=0,0,2,0,0"},
    {"empty", "f32[0,2]", "before=1,0 after=1,1"},
    {"scalar", "f32[]"},
    {"no_pads", "f32[3]"},
    {"edge_of_empty_other", "f32[0,2]", "before=0,1 after=0,1 mode=edge"},
    {"edge_of_empty", "f32[0]", "before=1 after=0 mode=edge", 0, TERN_ERR_SHAPE},
    {"too_much_removed", "f32[3]", "before=-2 after=-2", 0, TERN_ERR_SHAPE},
    {"crop_edge", "f32[3]", "before=-1 after=0 mode=edge", 0, TERN_ERR_INVALID_ARGUMENT},
    {"count", "f32[3,3]", "before=1 after=1", 0, TERN_ERR_SHAPE},
    {"input_count", "f32[3,3] i64[2]{1,1}", "", 0, TERN_ERR_SHAPE},
    {"huge", "f32[3] i64[2]{9223372036854775807,9}", "", 0, TERN_ERR_LIMIT},
    {"value_type", "f32[3] i64[2]{1,1} i32[]", "", 0, TERN_ERR_TYPE},
    {"value_shape", "f32[3] i64[2]{1,1} f32[2]", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

tern_status pad_amounts(const InferArgs& a, int64_t before[kMaxRank], int64_t after[kMaxRank]) {
  const PadAttrs& p = a.attrs<PadAttrs>();
  const int rank = a.in(0).shape.rank;
  std::vector<int64_t> pads;
  if (a.has(1)) {
    TERN_TRY(require_known(a, 1, 2 * kMaxRank, &pads));
  } else if (p.before.count || p.after.count) {
    pads.assign(p.before.begin(), p.before.end());
    if (p.before.count == rank) pads.insert(pads.end(), p.after.begin(), p.after.end());
  } else {
    pads.assign(2 * (size_t)rank, 0);
  }
  if ((int)pads.size() != 2 * rank)
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: a tensor of rank %d needs %d pads", a.node.op->name, rank, 2 * rank);
  for (int i = 0; i < rank; ++i) {
    before[i] = pads[(size_t)i];
    after[i] = pads[(size_t)(rank + i)];
    if (p.mode != (int64_t)PadMode::constant && (before[i] < 0 || after[i] < 0))
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s: only the mode constant takes negative pads", a.node.op->name);
    if (before[i] == INT64_MIN || after[i] == INT64_MIN)
      return TERN_FAIL(TERN_ERR_LIMIT, "%s: a pad is too large", a.node.op->name);
  }
  return TERN_OK;
}

int64_t pad_source(PadMode mode, int64_t i, int64_t n) {
  if (i >= 0 && i < n) return i;
  if (mode == PadMode::constant || n < 1) return -1;
  if (mode == PadMode::edge) return i < 0 ? 0 : n - 1;
  const int64_t period = mode == PadMode::wrap || n == 1 ? n : 2 * (n - 1), at = (i % period + period) % period;
  return at < n ? at : period - at;
}

extern constinit const Op op_pad = checked_op({.name = "pad",
                                               .max_in = 3,
                                               .attributes = attr_schema<PadAttrs>(kFields),
                                               .infer = infer,
                                               .reference = reference,
                                               .vjp = vjp,
                                               .cases = TERN_CASES(kCases)});

}  // namespace tern
