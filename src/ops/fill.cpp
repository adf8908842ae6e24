// SPDX-License-Identifier: Apache-2.0
// fill: a tensor of one value
//   shape integers (optional, known when the plan is made, wins over the attribute)     y [shape] of type `dtype`
//   No input has a gradient.
#include "ops/fill.h"

#include <cmath>
#include <cstddef>

#include "ops/move.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const FillAttrs& p = a.attrs<FillAttrs>();
  IntList list = p.shape;
  if (a.has(0)) TERN_TRY(require_integers(a, 0, &list));
  Shape y;
  for (int64_t d : list) y.push(d);
  a.set(0, (DType)p.dtype, y);
  return TERN_OK;  // the caller checks the dims
}

tern_status reference(RefArgs& a) {
  for (int64_t i = 0, n = a.out(0).elements(); i < n; ++i) a.out(0).store(i, a.attrs<FillAttrs>().value);
  return TERN_OK;
}

void vjp(VjpArgs&) {}

constexpr AttrField kFields[] = {TERN_ATTR(FillAttrs, shape, integers, 0, 1e18),
                                 TERN_ATTR(FillAttrs, value, number, -INFINITY, INFINITY),
                                 TERN_ATTR(FillAttrs, dtype, integer, TERN_DTYPE_F32, TERN_DTYPE_BOOL)};

constexpr Case kCases[] = {
    {"ones", "", "shape=2,3 value=1"},
    {"scalar", "", "value=-0.5"},
    {"input", "i64[2]{3,2}", "value=7 dtype=11"},
    {"half", "", "shape=5 value=0.1 dtype=2", 2e-3},
    {"bool", "", "shape=3 value=1 dtype=13"},
    {"rank5", "", "shape=1,2,1,2,1 value=2"},
    {"empty", "", "shape=0,4"},
    {"saturated", "", "shape=2 value=300 dtype=6"},
    {"negative", "i64[1]{-2}", "", 0, TERN_ERR_SHAPE},
    {"huge", "i64[2]{4611686018427387904,4}", "", 0, TERN_ERR_LIMIT},
    {"float_shape", "f32[1]{2}", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_fill = checked_op({.name = "fill",
                                                .min_in = 0,
                                                .max_in = 1,
                                                .attributes = attr_schema<FillAttrs>(kFields),
                                                .infer = infer,
                                                .reference = reference,
                                                .vjp = vjp,
                                                .cases = TERN_CASES(kCases)});

}  // namespace tern
