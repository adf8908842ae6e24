// SPDX-License-Identifier: Apache-2.0
// celu: y = max(0, x) + min(0, alpha * (e^(x / alpha) - 1)), alpha > 0
//   x  float     y  same type and shape
//   dx = dy where x > 0, else dy * e^(x / alpha)
#include <cstddef>

#include "ops/elementwise.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  const CeluAttrs& p = a.attrs<CeluAttrs>();
  return reference_unary(a, [&](double x) { return x > 0 ? x : p.alpha * std::expm1(x / p.alpha); });
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  const CeluAttrs& p = a.attrs<CeluAttrs>();
  const ValueId x = a.in(0), dy = a.dout(0);
  const ValueId left = emit(g, "exp", {scaled(g, emit(g, "min", {x, scalar_like(g, x, 0)}), 1 / p.alpha)});
  a.set(0, emit(g, "where", {above(g, x, 0), dy, mul(g, dy, left)}));
}

ElementwiseStep step(const Node& n) { return {Elementwise::celu, n.attrs<CeluAttrs>().alpha}; }

constexpr AttrField kFields[] = {TERN_ATTR(CeluAttrs, alpha, number, 1e-6, 1e6)};

constexpr Case kCases[] = {
    {"small", "f32[4,7]:-4..4"},
    {"odd", "f32[131]:-4..4"},
    {"rank5", "f32[2,1,3,2,2]:-4..4"},
    {"scalar", "f32[]:-4..4"},
    {"empty", "f32[0,3]"},
    {"half", "f16[33]:-4..4", "", 2e-3},
    {"alpha", "f32[9]", "alpha=2"},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_celu = checked_op({.name = "celu",
                                                .flags = kElementwise | kInPlace,
                                                .attributes = attr_schema<CeluAttrs>(kFields),
                                                .elementwise = Elementwise::celu,
                                                .step = step,
                                                .infer = infer_unary_float,
                                                .reference = reference,
                                                .vjp = vjp,
                                                .cases = TERN_CASES(kCases)});

}  // namespace tern
