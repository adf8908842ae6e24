// SPDX-License-Identifier: Apache-2.0
// clip: y = min(max(x, min), max); with min > max it is max. NaN stays
//   x  any number type; for integers the bounds are cut to integers of the type     y  same type and shape
//   dx = dy where min <= x <= max, else 0
#include <cstddef>
#include <limits>

#include "ops/elementwise.h"
#include "ops/unary.h"

namespace tern {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

tern_status reference(RefArgs& a) {
  const ClipAttrs& p = a.attrs<ClipAttrs>();
  const RefTensor &x = a.in(0), &y = a.out(0);
  for (int64_t i = 0, n = y.elements(); i < n; ++i) {
    const double v = x.load(i);
    if (v > p.max || (p.min > p.max && v == v)) y.store(i, p.max);
    else if (v < p.min) y.store(i, p.min);
    else if (is_float(x.dtype)) y.store(i, v);
    else y.store_int(i, x.load_int(i));
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  const ClipAttrs& p = a.attrs<ClipAttrs>();
  const ValueId x = a.in(0), zero = scalar_like(g, x, 0);
  ValueId dx = a.dout(0);
  if (p.max < kInf) dx = emit(g, "where", {above(g, x, p.max), zero, dx});
  if (p.min > -kInf) dx = emit(g, "where", {below(g, x, p.min), zero, dx});
  a.set(0, dx);
}

constexpr AttrField kFields[] = {TERN_ATTR(ClipAttrs, min, number, -kInf, kInf), TERN_ATTR(ClipAttrs, max, number, -kInf, kInf)};

constexpr Case kCases[] = {
    {"none", "f32[4,7]"},
    {"both", "f32[131]", "min=-1 max=1"},
    {"low", "f32[2,1,3,2,2]", "min=0"},
    {"high", "f32[9]", "max=0.5"},
    {"crossed", "f32[9]", "min=1 max=-1"},
    {"scalar", "f32[]", "min=0 max=6"},
    {"empty", "f32[0,3]", "min=0 max=6"},
    {"half", "f16[33]", "min=0 max=1", 2e-3},
    {"integer", "i32[9]", "min=-3 max=4"},
    {"long", "i64[3]{9007199254740993,-5,7}", "min=0"},
    {"bytes", "u8[7]:0..255", "min=-5 max=100"},
    {"type", "bool[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_clip = checked_op({.name = "clip", .flags = kElementwise | kInPlace,
    .attributes = attr_schema<ClipAttrs>(kFields), .infer = infer_unary_number, .reference = reference, .vjp = vjp,
    .cases = TERN_CASES(kCases)});

}  // namespace tern
