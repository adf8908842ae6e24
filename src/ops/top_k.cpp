// SPDX-License-Identifier: Apache-2.0
// top_k: the k largest (or smallest) elements along `axis`, and their indices
//   x numbers; k: one integer (optional, known when the plan is made, wins over the attribute)
//   values: x's type, indices i64; best first (also with sorted = 0). Of equal elements the one with the lower index
//   comes
//   first; NaN counts as larger than all numbers
//   dx = dvalues added into zeros at the indices
#include <algorithm>
#include <cstddef>

#include "ops/move.h"
#include "ops/scatter.h"
#include "ops/select.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const TopKAttrs& p = a.attrs<TopKAttrs>();
  Shape y = a.in(0).shape;
  int axis;
  TERN_TRY(require_axis(a, p.axis, y.rank, &axis));
  if (a.in(0).dtype == TERN_DTYPE_BOOL) return TERN_FAIL(TERN_ERR_TYPE, "top_k: input 0 is bool, numbers are needed");
  int64_t k = p.k;
  if (a.has(1)) {
    std::vector<int64_t> list;
    TERN_TRY(require_known(a, 1, 1, &list));
    if (list.size() != 1) return TERN_FAIL(TERN_ERR_SHAPE, "top_k: k must be one number");
    k = list[0];
  }
  if (k < 0 || k > y[axis])
    return TERN_FAIL(TERN_ERR_SHAPE, "top_k: k is %" PRId64 ", the axis has %" PRId64 " entries", k, y[axis]);
  y[axis] = k;
  a.set(0, a.in(0).dtype, y);
  a.set(1, TERN_DTYPE_I64, y);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const TopKAttrs& p = a.attrs<TopKAttrs>();
  const RefTensor &x = a.in(0), &y = a.out(0);
  int axis;
  TERN_TRY(normalize_axis(p.axis, x.shape.rank, &axis));
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) outer *= x.shape[i];
  for (int i = axis + 1; i < x.shape.rank; ++i) inner *= x.shape[i];
  const int64_t n = x.shape[axis], k = y.shape[axis];
  if (y.elements() == 0) return TERN_OK;
  if (y.elements() == 0) return TERN_OK;  // n may then be any number
  std::vector<int64_t> order((size_t)n);
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t in = 0; in < inner; ++in) {
      const auto at = [&](int64_t i) { return (o * n + i) * inner + in; };
      const auto greater = [&](int64_t i, int64_t j) {
        if (x.dtype == TERN_DTYPE_U64) return (uint64_t)x.load_int(at(i)) > (uint64_t)x.load_int(at(j));
        if (is_integer(x.dtype)) return x.load_int(at(i)) > x.load_int(at(j));
        const double u = x.load(at(i)), v = x.load(at(j));
        return u > v || (u != u && v == v);
      };
      for (int64_t i = 0; i < n; ++i) order[(size_t)i] = i;
      std::stable_sort(order.begin(), order.end(),
                       [&](int64_t i, int64_t j) { return p.largest ? greater(i, j) : greater(j, i); });
      for (int64_t i = 0; i < k; ++i) {
        copy_element(y, (o * k + i) * inner + in, x, at(order[(size_t)i]));
        a.out(1).store_int((o * k + i) * inner + in, order[(size_t)i]);
      }
    }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  const Value x = a.g.value(a.in(0));
  if (a.dout(0) == kNoValue) return;
  a.set(0, emit(a.g, "scatter_elements", {filled(a.g, x.dtype, x.shape, 0), a.out(1), a.dout(0)},
                ScatterElementsAttrs{a.attrs<TopKAttrs>().axis, (int64_t)ScatterReduction::add}));
}

constexpr AttrField kFields[] = {TERN_ATTR(TopKAttrs, k, integer, 0, 1e15), TERN_ATTR(TopKAttrs, axis, integer, -8, 7),
                                 TERN_ATTR(TopKAttrs, largest, integer, 0, 1),
                                 TERN_ATTR(TopKAttrs, sorted, integer, 0, 1)};

constexpr Case kCases[] = {
    {"largest", "f32[2,7]", "k=3"},
    {"smallest", "f32[9]", "k=4 largest=0"},
    {"axis", "f32[5,3]", "k=2 axis=0"},
    {"all", "f32[4]", "k=4"},
    {"none", "f32[2,3]", "k=0"},
    {"ties", "f32[5]{1,2,1,2,1}", "k=4"},
    {"ties_smallest", "i32[4]{1,1,0,0}", "k=3 largest=0"},
    {"input", "f32[2,5] i64[1]{2}"},
    {"half", "f16[33]", "k=5"},
    {"long", "i64[3]{9007199254740993,9007199254740992,0}", "k=2"},
    {"unsorted", "f32[6]", "k=2 sorted=0"},
    {"rank5", "f32[1,2,4,1,2]", "k=2 axis=2"},
    {"empty", "f32[0,3]", "k=1"},
    {"of_nothing", "f32[2,0]", "k=0"},
    {"too_many", "f32[3]", "k=4", 0, TERN_ERR_SHAPE},
    {"negative", "f32[3] i64[]{-1}", "", 0, TERN_ERR_SHAPE},
    {"two_ks", "f32[3] i64[2]{1,1}", "", 0, TERN_ERR_SHAPE},
    {"bool", "bool[3]", "", 0, TERN_ERR_TYPE},
    {"axis_outside", "f32[3]", "axis=1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"scalar", "f32[]", "", 0, TERN_ERR_INVALID_ARGUMENT},
};

}  // namespace

extern constinit const Op op_top_k = checked_op({.name = "top_k",
                                                 .max_in = 2,
                                                 .num_out = 2,
                                                 .attributes = attr_schema<TopKAttrs>(kFields),
                                                 .infer = infer,
                                                 .reference = reference,
                                                 .vjp = vjp,
                                                 .cases = TERN_CASES(kCases)});

}  // namespace tern
