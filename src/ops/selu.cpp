// SPDX-License-Identifier: Apache-2.0
// selu: y = gamma * (x where x > 0, else alpha * (e^x - 1))
//   x  float     y  same type and shape
//   dx = gamma * dy where x > 0, else dy * (y + gamma * alpha)
#include <cstddef>

#include "ops/elementwise.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  const SeluAttrs& p = a.attrs<SeluAttrs>();
  return reference_unary(a, [&](double x) { return p.gamma * (x > 0 ? x : p.alpha * std::expm1(x)); });
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  const SeluAttrs& p = a.attrs<SeluAttrs>();
  const ValueId x = a.in(0), dy = a.dout(0);
  const ValueId left = mul(g, dy, plus(g, a.out(0), p.gamma * p.alpha));
  a.set(0, emit(g, "where", {above(g, x, 0), scaled(g, dy, p.gamma), left}));
}

ElementwiseStep step(const Node& n) {
  return {Elementwise::selu, n.attrs<SeluAttrs>().alpha, n.attrs<SeluAttrs>().gamma};
}

constexpr AttrField kFields[] = {TERN_ATTR(SeluAttrs, alpha, number, -1e6, 1e6),
                                 TERN_ATTR(SeluAttrs, gamma, number, -1e6, 1e6)};

constexpr Case kCases[] = {
    {"small", "f32[4,7]:-4..4"},
    {"odd", "f32[131]:-4..4"},
    {"rank5", "f32[2,1,3,2,2]:-4..4"},
    {"scalar", "f32[]:-4..4"},
    {"empty", "f32[0,3]"},
    {"half", "f16[33]:-4..4", "", 2e-3},
    {"both", "f32[9]", "alpha=2 gamma=3"},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_selu = checked_op({.name = "selu",
                                                .flags = kElementwise | kInPlace,
                                                .attributes = attr_schema<SeluAttrs>(kFields),
                                                .elementwise = Elementwise::selu,
                                                .step = step,
                                                .infer = infer_unary_float,
                                                .reference = reference,
                                                .vjp = vjp,
                                                .cases = TERN_CASES(kCases)});

}  // namespace tern
