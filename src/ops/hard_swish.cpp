// SPDX-License-Identifier: Apache-2.0
// hard_swish: y = x * clip(x + 3, 0, 6) / 6
//   x  float     y  same type and shape
//   dx = 0 where x < -3, dy where x > 3, else dy * (x / 3 + 1/2)
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(a, [](double x) { return x * between(x + 3, 0, 6) / 6; });
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  const ValueId x = a.in(0), dy = a.dout(0);
  const ValueId inside = mul(g, dy, plus(g, scaled(g, x, 1.0 / 3), 0.5));
  a.set(0, emit(g, "where", {above(g, x, 3), dy, emit(g, "where", {below(g, x, -3), scalar_like(g, dy, 0), inside})}));
}

constexpr Case kCases[] = {
    {"small", "f32[4,7]:-5..5"},
    {"odd", "f32[131]:-5..5"},
    {"rank5", "f32[2,1,3,2,2]:-5..5"},
    {"scalar", "f32[]:-5..5"},
    {"empty", "f32[0,3]"},
    {"half", "f16[33]:-5..5", "", 2e-3},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_hard_swish = checked_op({.name = "hard_swish",
                                                      .flags = kElementwise | kInPlace,
                                                      .elementwise = Elementwise::hard_swish,
                                                      .infer = infer_unary_float,
                                                      .reference = reference,
                                                      .vjp = vjp,
                                                      .cases = TERN_CASES(kCases)});

}  // namespace tern
