// SPDX-License-Identifier: Apache-2.0
// trilu: the upper (column - row >= k) or lower (column - row <= k) triangle of the last two dims; 0 elsewhere
//   x any type, rank >= 2; k: one integer (optional, wins over the attribute)
//   dx = trilu(dy)
#include <cstddef>

#include "ops/fill.h"
#include "ops/move.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  if (a.in(0).shape.rank < 2)
    return TERN_FAIL(TERN_ERR_SHAPE, "trilu: input 0 has shape %s, a matrix is needed",
                     to_string(a.in(0).shape).c_str());
  if (a.has(1)) {
    TERN_TRY(require_integer(a, 1));
    if (a.in(1).shape.elements() != 1)
      return TERN_FAIL(TERN_ERR_SHAPE, "trilu: k has shape %s, one number is needed", to_string(a.in(1).shape).c_str());
  }
  return infer_unary(a);
}

tern_status reference(RefArgs& a) {
  const TriluAttrs& p = a.attrs<TriluAttrs>();
  const RefTensor &x = a.in(0), &y = a.out(0);
  const int64_t rows = x.shape[x.shape.rank - 2], cols = x.shape[x.shape.rank - 1],
                k = a.has(1) ? a.in(1).load_int(0) : p.k;
  for (int64_t i = 0, n = y.elements(); i < n; ++i) {
    const int64_t d = i % cols - i / cols % rows;
    if (p.upper ? d >= k : d <= k) copy_element(y, i, x, i);
    else y.store(i, 0);
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  a.set(0, emit(a.g, "trilu", {a.dout(0), a.has(1) ? a.in(1) : kNoValue}, a.attrs<TriluAttrs>()));
}

constexpr AttrField kFields[] = {TERN_ATTR(TriluAttrs, upper, integer, 0, 1),
                                 TERN_ATTR(TriluAttrs, k, integer, -1e18, 1e18)};

constexpr Case kCases[] = {
    {"upper", "f32[4,5]"},
    {"lower", "f32[3,3]", "upper=0"},
    {"above", "f32[4,4]", "k=1"},
    {"below", "f32[2,3,4]", "upper=0 k=-1"},
    {"far", "f32[3,3]", "k=1000000000000000000"},
    {"input", "f16[3,4] i64[]{-1}"},
    {"lowest", "f32[2,2] i64[1]{-9223372036854775808}"},
    {"integers", "i64[3,3]"},
    {"bool", "bool[3,3]", "upper=0"},
    {"empty", "f32[0,3]"},
    {"rank5", "f32[1,2,1,3,2]"},
    {"vector", "f32[3]", "", 0, TERN_ERR_SHAPE},
    {"float_k", "f32[2,2] f32[]", "", 0, TERN_ERR_TYPE},
    {"two_ks", "f32[2,2] i64[2]{0,1}", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_trilu = checked_op({.name = "trilu",
                                                 .max_in = 2,
                                                 .flags = kInPlace,
                                                 .attributes = attr_schema<TriluAttrs>(kFields),
                                                 .infer = infer,
                                                 .reference = reference,
                                                 .vjp = vjp,
                                                 .cases = TERN_CASES(kCases)});

}  // namespace tern
