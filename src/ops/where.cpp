// SPDX-License-Identifier: Apache-2.0
// where: y = a where the condition holds, else b
//   condition  bool; a, b  any one type; all broadcast     y  type of a
//   da = dy where the condition holds, else 0;  db the other way round
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  TERN_TRY(require_bool(a, 0));
  TERN_TRY(require_same_dtype(a, 1, 2));
  Shape s;
  TERN_TRY(broadcast_shapes(a.in(1).shape, a.in(2).shape, &s));
  TERN_TRY(broadcast_shapes(s, a.in(0).shape, &s));
  a.set(0, a.in(1).dtype, s);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const RefTensor &c = a.in(0), &y = a.out(0);
  for (int64_t i = 0, n = y.elements(); i < n; ++i) {
    const RefTensor& from = c.load(broadcast_offset(y.shape, c.shape, i)) != 0 ? a.in(1) : a.in(2);
    const int64_t k = broadcast_offset(y.shape, from.shape, i);
    if (is_float(y.dtype)) y.store(i, from.load(k));
    else y.store_int(i, from.load_int(k));
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  const ValueId zero = scalar_like(a.g, a.dout(0), 0);
  if (a.wanted(1)) a.set(1, emit(a.g, "where", {a.in(0), a.dout(0), zero}));
  if (a.wanted(2)) a.set(2, emit(a.g, "where", {a.in(0), zero, a.dout(0)}));
}

constexpr Case kCases[] = {
    {"same", "bool[4,7] f32[4,7] f32[4,7]"},
    {"row", "bool[5] f32[3,5] f32[]"},
    {"three", "bool[2,1,1] f32[3,1] f32[4]"},
    {"rank5", "bool[2,1,3,1,2] f32[3,2,2] f32[1]"},
    {"scalar", "bool[] f32[] f32[]"},
    {"empty", "bool[0,3] f32[3] f32[1,1]"},
    {"half", "bool[33] f16[33] f16[33]", "", 2e-3},
    {"long", "bool[2]{1,0} i64[2]{9007199254740993,1} i64[2]"},
    {"bool", "bool[9] bool[9] bool[9]"},
    {"condition", "f32[3] f32[3] f32[3]", "", 0, TERN_ERR_TYPE},
    {"type", "bool[3] f32[3] f16[3]", "", 0, TERN_ERR_TYPE},
    {"shape", "bool[2] f32[3] f32[3]", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_where = checked_op({.name = "where",
                                                 .min_in = 3,
                                                 .max_in = 3,
                                                 .flags = kElementwise,
                                                 .infer = infer,
                                                 .reference = reference,
                                                 .vjp = vjp,
                                                 .cases = TERN_CASES(kCases)});

}  // namespace tern
