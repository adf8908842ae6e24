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

// The bounds as integers of the type, and compared as such: a double does not hold all of 64 bits.
template <class T>
void clip_as(RefArgs& a, T low, T high) {
  const RefTensor &x = a.in(0), &y = a.out(0);
  for (int64_t i = 0, n = y.elements(); i < n; ++i) {
    const T v = (T)x.load_int(i), raised = v < low ? low : v;
    y.store_int(i, (int64_t)(raised > high ? high : raised));
  }
}

tern_status clip_integers(RefArgs& a) {
  const ClipAttrs& p = a.attrs<ClipAttrs>();
  const DType dtype = a.in(0).dtype;
  int64_t bounds[2] = {};
  store_element(dtype, &bounds[0], 0, p.min);
  store_element(dtype, &bounds[1], 0, p.max);
  const int64_t low = load_integer(dtype, &bounds[0], 0), high = load_integer(dtype, &bounds[1], 0);
  if (dtype == TERN_DTYPE_U64) clip_as(a, (uint64_t)low, (uint64_t)high);
  else clip_as(a, low, high);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const ClipAttrs& p = a.attrs<ClipAttrs>();
  const RefTensor &x = a.in(0), &y = a.out(0);
  if (is_integer(x.dtype)) return clip_integers(a);
  for (int64_t i = 0, n = y.elements(); i < n; ++i) {
    const double v = x.load(i);
    if (v > p.max || (p.min > p.max && v == v)) y.store(i, p.max);
    else if (v < p.min) y.store(i, p.min);
    else y.store(i, v);
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

ElementwiseStep step(const Node& n) { return {Elementwise::clip, n.attrs<ClipAttrs>().min, n.attrs<ClipAttrs>().max}; }

constexpr AttrField kFields[] = {TERN_ATTR(ClipAttrs, min, number, -kInf, kInf),
                                 TERN_ATTR(ClipAttrs, max, number, -kInf, kInf)};

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
    {"unsigned", "u64[3]{18446744073709551615,9007199254740993,7}", "min=8"},
    {"lowest", "i64[2]{-9223372036854775807,9223372036854775807}", "min=-9e18 max=9e18"},
    {"crossed_integers", "i32[9]", "min=4 max=-3"},
    {"type", "bool[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_clip = checked_op({.name = "clip",
                                                .flags = kElementwise | kInPlace,
                                                .attributes = attr_schema<ClipAttrs>(kFields),
                                                .elementwise = Elementwise::clip,
                                                .step = step,
                                                .infer = infer_unary_number,
                                                .reference = reference,
                                                .vjp = vjp,
                                                .cases = TERN_CASES(kCases)});

}  // namespace tern
