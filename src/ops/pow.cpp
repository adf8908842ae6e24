// SPDX-License-Identifier: Apache-2.0
// pow: y = a^b; b may have another type. Integers: the product wraps, a negative exponent gives 0 unless |a| = 1
//   a, b  any number types, broadcast     y  type of a
//   da = dy * b * a^(b - 1), 0 where b = 0;  db = dy * y * log(a), 0 where a = 0
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  TERN_TRY(require_number(a, 0));
  TERN_TRY(require_number(a, 1));
  Shape s;
  TERN_TRY(broadcast_shapes(a.in(0).shape, a.in(1).shape, &s));
  a.set(0, a.in(0).dtype, s);
  return TERN_OK;
}

int64_t power(int64_t x, int64_t exponent) {
  if (exponent < 0) return x == 1 ? 1 : x == -1 ? (exponent % 2 ? -1 : 1) : 0;
  uint64_t y = 1, factor = (uint64_t)x;
  for (; exponent > 0; exponent >>= 1, factor *= factor)
    if (exponent & 1) y *= factor;
  return (int64_t)y;
}

tern_status reference(RefArgs& a) {
  const RefTensor &x = a.in(0), &z = a.in(1), &y = a.out(0);
  const bool exact = is_integer(x.dtype) && is_integer(z.dtype);
  for (int64_t i = 0, n = y.elements(); i < n; ++i) {
    const int64_t ix = broadcast_offset(y.shape, x.shape, i), iz = broadcast_offset(y.shape, z.shape, i);
    if (exact) y.store_int(i, power(x.load_int(ix), z.load_int(iz)));
    else y.store(i, std::pow(x.load(ix), z.load(iz)));
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  const ValueId x = a.in(0), dy = a.dout(0);
  const DType dtype = g.value(x).dtype;
  const ValueId z = g.value(a.in(1)).dtype == dtype ? a.in(1) : cast(g, a.in(1), dtype);
  if (a.wanted(0)) {
    const ValueId slope = mul(g, z, emit(g, "pow", {x, plus(g, z, -1)}));
    const ValueId zero = scalar_like(g, x, 0);
    a.set(0, mul(g, dy, emit(g, "where", {emit(g, "equal", {z, zero}), zero, slope})));
  }
  if (a.wanted(1) && is_float(dtype)) {
    const ValueId zero = scalar_like(g, x, 0), one = scalar_like(g, x, 1), at_zero = emit(g, "equal", {x, zero});
    const ValueId log = emit(g, "log", {emit(g, "where", {at_zero, one, x})});  // log(1) = 0
    const ValueId db = mul(g, dy, mul(g, a.out(0), log));
    a.set(1, g.value(a.in(1)).dtype == dtype ? db : cast(g, db, g.value(a.in(1)).dtype));
  }
}

constexpr Case kCases[] = {
    {"same", "f32[4,7]:0.5..2 f32[4,7]:0.5..2"},
    {"row", "f32[3,5]:0.5..2 f32[5]:0.5..2"},
    {"column", "f32[3,5]:0.5..2 f32[3,1]:0.5..2"},
    {"both", "f32[3,1]:0.5..2 f32[1,4]:0.5..2"},
    {"rank5", "f32[2,1,3,1,2]:0.5..2 f32[3,2,2]:0.5..2"},
    {"scalar", "f32[]:0.5..2 f32[17]:0.5..2"},
    {"scalars", "f32[]:0.5..2 f32[]:0.5..2"},
    {"empty", "f32[0,3] f32[3]"},
    {"empty_one", "f32[0,3] f32[1,1]"},
    {"half", "f16[33]:0.5..2 f16[33]", "", 4e-3},
    {"squares", "f32[9]:0.1..3 f32[]{2}"},
    {"zero", "f32[3]{0,1,-2} i32[3]{0,0,0}"},
    {"cube", "f32[9] i32[]{3}"},
    {"integer", "i32[9] i32[9]:0..5"},
    {"negative", "i32[4]{1,-1,2,0} i32[4]{-3,-3,-1,-2}"},
    {"huge", "i64[2]{3,-1} i64[1]{9223372036854775807}"},
    {"mixed", "i32[4] f32[4]:0..3"},
    {"type", "f32[3] bool[3]", "", 0, TERN_ERR_TYPE},
    {"shape", "f32[3] f32[4]", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_pow = checked_op({.name = "pow",
                                               .min_in = 2,
                                               .max_in = 2,
                                               .flags = kElementwise | kInPlace,
                                               .elementwise = Elementwise::pow,
                                               .infer = infer,
                                               .reference = reference,
                                               .vjp = vjp,
                                               .cases = TERN_CASES(kCases)});

}  // namespace tern
