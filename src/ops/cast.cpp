// SPDX-License-Identifier: Apache-2.0
// cast: y = x in the type `to` (a number of tern_dtype)
//   float to integer: towards zero, saturating, NaN gives 0; integer to a narrower integer: keeps the low bits; to
//   bool: x != 0
//   x  any type     y  same shape
//   dx = dy in the type of x, where both are floats
#include <cstddef>

#include "ops/elementwise.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  a.set(0, (DType)a.attrs<CastAttrs>().to, a.in(0).shape);
  return TERN_OK;
}

// 64 bits become f32 in one step, not by way of f64.
template <class T>
double rounded(T v, DType to) {
  return to == TERN_DTYPE_F32 ? (double)(float)v : (double)v;
}

tern_status reference(RefArgs& a) {
  const RefTensor &x = a.in(0), &y = a.out(0);
  const bool exact = !is_float(x.dtype) && is_integer(y.dtype);
  for (int64_t i = 0, n = y.elements(); i < n; ++i) {
    if (exact) y.store_int(i, x.load_int(i));
    else if (x.dtype == TERN_DTYPE_I64) y.store(i, rounded(x.load_int(i), y.dtype));
    else if (x.dtype == TERN_DTYPE_U64) y.store(i, rounded((uint64_t)x.load_int(i), y.dtype));
    else y.store(i, x.load(i));
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  if (a.wanted(0)) a.set(0, cast(a.g, a.dout(0), a.g.value(a.in(0)).dtype));
}

constexpr AttrField kFields[] = {TERN_ATTR(CastAttrs, to, integer, TERN_DTYPE_F32, TERN_DTYPE_BOOL)};

constexpr Case kCases[] = {
    {"same", "f32[4,7]", "to=1"},
    {"to_half", "f32[131]", "to=2", 1e-3},
    {"to_bf16", "f32[9]", "to=3", 1e-2},
    {"once", "f64[2]{1.00048828125000001,1.0004882812500004}", "to=2", 1e-9},
    {"to_double", "f16[9]", "to=4"},
    {"to_byte", "f32[5]{-3.7,300,nan,2.9,-0.5}", "to=6"},
    {"to_int", "f32[4]{3e9,-3e9,1.5,-1.5}", "to=9"},
    {"narrow", "i32[3]{300,-1,65}", "to=5"},
    {"long", "i64[2]{9007199254740993,-1}", "to=12"},
    {"to_float", "i64[5]", "to=1"},
    {"from_bool", "bool[9]", "to=1"},
    {"to_bool", "f32[4]{0,-0.1,nan,2}", "to=13"},
    {"scalar", "i32[]", "to=11"},
    {"empty", "f32[0,3]", "to=9"},
    {"rank5", "f32[2,1,3,2,2]", "to=11"},
};

}  // namespace

extern constinit const Op op_cast = checked_op({.name = "cast",
                                                .flags = kElementwise,
                                                .attributes = attr_schema<CastAttrs>(kFields),
                                                .infer = infer,
                                                .reference = reference,
                                                .vjp = vjp,
                                                .cases = TERN_CASES(kCases)});

}  // namespace tern
