// SPDX-License-Identifier: Apache-2.0
// leaky_relu: y = x where x >= 0, else alpha * x
//   x  float     y  same type and shape
//   dx = dy where x > 0, else alpha * dy
#include <cstddef>

#include "ops/elementwise.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  const LeakyReluAttrs& p = a.attrs<LeakyReluAttrs>();
  return reference_unary(a, [&](double x) { return x < 0 ? p.alpha * x : x; });
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  const LeakyReluAttrs& p = a.attrs<LeakyReluAttrs>();
  const ValueId x = a.in(0), dy = a.dout(0);
  a.set(0, emit(g, "where", {above(g, x, 0), dy, scaled(g, dy, p.alpha)}));
}

ElementwiseStep step(const Node& n) { return {Elementwise::leaky_relu, n.attrs<LeakyReluAttrs>().alpha}; }

constexpr AttrField kFields[] = {TERN_ATTR(LeakyReluAttrs, alpha, number, -1e6, 1e6)};

constexpr Case kCases[] = {
    {"small", "f32[4,7]:-4..4"},     {"odd", "f32[131]:-4..4"},     {"rank5", "f32[2,1,3,2,2]:-4..4"},
    {"scalar", "f32[]:-4..4"},       {"empty", "f32[0,3]"},         {"half", "f16[33]:-4..4", "", 2e-3},
    {"steep", "f32[9]", "alpha=-2"}, {"zero", "f32[9]", "alpha=0"}, {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_leaky_relu = checked_op({.name = "leaky_relu",
                                                      .flags = kElementwise | kInPlace,
                                                      .attributes = attr_schema<LeakyReluAttrs>(kFields),
                                                      .elementwise = Elementwise::leaky_relu,
                                                      .step = step,
                                                      .infer = infer_unary_float,
                                                      .reference = reference,
                                                      .vjp = vjp,
                                                      .cases = TERN_CASES(kCases)});

}  // namespace tern
