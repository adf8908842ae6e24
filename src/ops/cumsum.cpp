// SPDX-License-Identifier: Apache-2.0
// cumsum: y = sums of the elements of x up to each one along the axis; exclusive: without the element itself; reverse:
// from the end. Integers wrap
//   x  any number type     y  same type and shape
//   dx = cumsum of dy from the other end
#include "ops/move.h"
#include "ops/reduce.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  int axis = 0;
  TERN_TRY(require_axis(a, a.attrs<CumsumAttrs>().axis, a.in(0).shape.rank, &axis));
  return infer_unary_number(a);
}

tern_status reference(RefArgs& a) {
  const RefTensor &x = a.in(0), &y = a.out(0);
  const CumsumAttrs& p = a.attrs<CumsumAttrs>();
  int axis = 0;
  TERN_TRY(normalize_axis(p.axis, x.shape.rank, &axis));
  const bool integer = is_integer(x.dtype);
  for_each_row(x.shape, axis, [&](int64_t first, int64_t stride, int64_t count, int64_t) {
    double sum = 0;
    uint64_t exact = 0;
    for (int64_t k = 0; k < count; ++k) {
      const int64_t i = first + (p.reverse ? count - 1 - k : k) * stride;
      const double term = integer ? 0 : x.load(i);
      const uint64_t exact_term = integer ? (uint64_t)x.load_int(i) : 0;
      if (integer) y.store_int(i, (int64_t)(p.exclusive ? exact : exact + exact_term));
      else y.store(i, p.exclusive ? sum : sum + term);
      sum += term;
      exact += exact_term;
    }
  });
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  CumsumAttrs p = a.attrs<CumsumAttrs>();
  p.reverse = !p.reverse;
  a.set(0, emit(a.g, "cumsum", {a.dout(0)}, p));
}

constexpr AttrField kFields[] = {TERN_ATTR(CumsumAttrs, axis, integer, -kMaxRank, kMaxRank - 1),
                                 TERN_ATTR(CumsumAttrs, exclusive, integer, 0, 1),
                                 TERN_ATTR(CumsumAttrs, reverse, integer, 0, 1)};

constexpr Case kCases[] = {
    {"row", "f32[131]"},
    {"first", "f32[4,7]", "axis=0"},
    {"last", "f32[4,7]", "axis=-1"},
    {"exclusive", "f32[2,5,3]", "axis=1 exclusive=1"},
    {"reverse", "f32[2,5,3]", "axis=1 reverse=1"},
    {"both", "f32[2,1,3,2,2]", "axis=2 exclusive=1 reverse=1"},
    {"integer", "i32[9]"},
    {"wrap", "i32[2]{2147483647,1}"},
    {"half", "f16[33]", "", 2e-2},
    {"empty", "f32[0,3]"},
    {"one", "f32[1]"},
    {"axis", "f32[3]", "axis=1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"scalar", "f32[]", "", 0, TERN_ERR_INVALID_ARGUMENT},
    {"type", "bool[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_cumsum = checked_op({.name = "cumsum",
                                                  .attributes = attr_schema<CumsumAttrs>(kFields),
                                                  .infer = infer,
                                                  .reference = reference,
                                                  .vjp = vjp,
                                                  .cases = TERN_CASES(kCases)});

}  // namespace tern
