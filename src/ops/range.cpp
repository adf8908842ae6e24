// SPDX-License-Identifier: Apache-2.0
// range: start, start + delta, start + 2 * delta, .. below limit (above it for a negative delta)
//   start, limit, delta: scalars of one number type, known when the plan is made     y [max(0, ceil((limit - start) /
//     delta))]
//   dstart = sum(dy), ddelta = sum(i * dy[i])
#include <cmath>

#include "base/checked.h"
#include "ops/move.h"

namespace tern {
namespace {

tern_status count_of(const InferArgs& a, int64_t* count) {
  const DType t = a.in(0).dtype;
  const auto value = [&](int i) { return load_element(t, a.in(i).data.bytes, 0); };
  double n;
  if (is_float(t)) {
    if (value(2) == 0) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "range: delta is 0");
    n = std::ceil((value(1) - value(0)) / value(2));
  } else {
    int64_t v[3], distance;
    for (int i = 0; i < 3; ++i) v[i] = load_integer(t, a.in(i).data.bytes, 0);
    if (v[2] == 0 || v[2] == INT64_MIN) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "range: delta is %" PRId64, v[2]);
    if (!checked_sub(v[1], v[0], &distance) || distance == INT64_MIN)
      return TERN_FAIL(TERN_ERR_LIMIT, "range: too many elements");
    if (v[2] < 0) distance = -distance, v[2] = -v[2];
    *count = distance <= 0 ? 0 : (distance - 1) / v[2] + 1;
    return TERN_OK;
  }
  if (!(n < 1e15)) return TERN_FAIL(TERN_ERR_LIMIT, "range: too many elements");  // NaN too
  *count = n <= 0 ? 0 : (int64_t)n;
  return TERN_OK;
}

tern_status infer(InferArgs& a) {
  if (a.in(0).dtype == TERN_DTYPE_BOOL)
    return TERN_FAIL(TERN_ERR_TYPE, "range: the inputs are bool, numbers are needed");
  for (int i = 0; i < 3; ++i) {
    TERN_TRY(require_same_dtype(a, 0, i));
    if (a.in(i).shape.elements() != 1)
      return TERN_FAIL(TERN_ERR_SHAPE, "range: input %d has shape %s, one number is needed", i,
                       to_string(a.in(i).shape).c_str());
    if (!a.in(i).data)
      return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                       "range: input %d ('%s') must follow from constants and dims, but depends on data", i,
                       a.in(i).name.c_str());
  }
  int64_t count = 0;
  TERN_TRY(count_of(a, &count));
  a.set(0, a.in(0).dtype, Shape{count});
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const RefTensor& y = a.out(0);
  for (int64_t i = 0, n = y.elements(); i < n; ++i) {
    if (is_float(y.dtype)) y.store(i, a.in(0).load(0) + (double)i * a.in(2).load(0));
    else y.store_int(i, a.in(0).load_int(0) + i * a.in(2).load_int(0));  // between start and limit
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  const auto like = [&](int i, ValueId d) { return reshape(g, reduce_sum(g, d, {}, false), g.value(a.in(i)).shape); };
  if (a.wanted(0)) a.set(0, like(0, a.dout(0)));
  if (!a.wanted(2)) return;
  const int64_t n = g.value(a.out(0)).shape[0];
  const ValueId zero = scalar_like(g, a.dout(0), 0), one = scalar_like(g, a.dout(0), 1),
                end = scalar_like(g, a.dout(0), (double)n);
  a.set(2, like(2, mul(g, a.dout(0), emit(g, "range", {zero, end, one}))));
}

constexpr Case kCases[] = {
    {"up", "i64[]{0} i64[]{5} i64[]{1}"},
    {"step", "i32[]{1} i32[]{10} i32[]{3}"},
    {"down", "i64[]{3} i64[]{-4} i64[]{-2}"},
    {"float", "f32[]{0.5} f32[]{2} f32[]{0.25}"},
    {"float_down", "f64[]{1} f64[]{-1} f64[]{-0.3}"},
    {"half", "f16[]{0} f16[]{4} f16[]{1}", "", 2e-3},
    {"nothing", "i64[]{3} i64[]{3} i64[]{1}"},
    {"other_way", "f32[]{0} f32[]{3} f32[]{-1}"},
    {"vectors", "i64[1]{0} i64[1]{3} i64[1]{1}"},
    {"huge_step", "i64[]{0} i64[]{5} i64[]{9223372036854775807}"},
    {"no_step", "i64[]{0} i64[]{5} i64[]{0}", "", 0, TERN_ERR_INVALID_ARGUMENT},
    {"no_float_step", "f32[]{0} f32[]{5} f32[]{0}", "", 0, TERN_ERR_INVALID_ARGUMENT},
    {"huge", "i64[]{0} i64[]{9223372036854775807} i64[]{1}", "", 0, TERN_ERR_LIMIT},
    {"far", "i64[]{-9223372036854775808} i64[]{9223372036854775807} i64[]{1}", "", 0, TERN_ERR_LIMIT},
    {"float_huge", "f32[]{0} f32[]{1e30} f32[]{1}", "", 0, TERN_ERR_LIMIT},
    {"types", "i64[]{0} i32[]{5} i64[]{1}", "", 0, TERN_ERR_TYPE},
    {"list", "i64[2]{0,1} i64[]{5} i64[]{1}", "", 0, TERN_ERR_SHAPE},
    {"bool", "bool[]{0} bool[]{1} bool[]{1}", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_range = checked_op({.name = "range",
                                                 .min_in = 3,
                                                 .max_in = 3,
                                                 .infer = infer,
                                                 .reference = reference,
                                                 .vjp = vjp,
                                                 .cases = TERN_CASES(kCases)});

}  // namespace tern
