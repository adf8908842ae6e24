// SPDX-License-Identifier: Apache-2.0
// elu: y = x where x > 0, else alpha * (e^x - 1)
//   x  float     y  same type and shape
//   dx = dy where x > 0, else dy * (y + alpha)
#include <cstddef>

#include "ops/elementwise.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  const EluAttrs& p = a.attrs<EluAttrs>();
  return reference_unary(a, [&](double x) { return x > 0 ? x : p.alpha * std::expm1(x); });
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  const EluAttrs& p = a.attrs<EluAttrs>();
  const ValueId x = a.in(0), dy = a.dout(0);
  a.set(0, emit(g, "where", {above(g, x, 0), dy, mul(g, dy, plus(g, a.out(0), p.alpha))}));
}

ElementwiseStep step(const Node& n) { return {Elementwise::elu, n.attrs<EluAttrs>().alpha}; }

constexpr AttrField kFields[] = {TERN_ATTR(EluAttrs, alpha, number, -1e6, 1e6)};

constexpr Case kCases[] = {
    {"small", "f32[4,7]:-4..4"},
    {"odd", "f32[131]:-4..4"},
    {"rank5", "f32[2,1,3,2,2]:-4..4"},
    {"scalar", "f32[]:-4..4"},
    {"empty", "f32[0,3]"},
    {"half", "f16[33]:-4..4", "", 2e-3},
    {"alpha", "f32[9]", "alpha=0.3"},
    {"negative", "f32[9]", "alpha=-1"},
    {"far", "f32[2]{-100,100}"},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_elu = checked_op({.name = "elu",
                                               .flags = kElementwise | kInPlace,
                                               .attributes = attr_schema<EluAttrs>(kFields),
                                               .elementwise = Elementwise::elu,
                                               .step = step,
                                               .infer = infer_unary_float,
                                               .reference = reference,
                                               .vjp = vjp,
                                               .cases = TERN_CASES(kCases)});

}  // namespace tern
