// SPDX-License-Identifier: Apache-2.0
// silu: y = x * s, s = sigmoid(x)
//   x  float     y  same type and shape
//   dx = dy * (s + y * (1 - s))
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(a, [](double x) { return x / (1 + std::exp(-x)); });
}

void vjp(VjpArgs& a) {
  const ValueId s = emit(a.g, "sigmoid", {a.in(0)});
  a.set(0, mul(a.g, a.dout(0), add(a.g, s, mul(a.g, a.out(0), minus_from(a.g, 1, s)))));
}

constexpr Case kCases[] = {
    {"small", "f32[4,7]"},
    {"odd", "f32[131]"},
    {"rank5", "f32[2,1,3,2,2]"},
    {"scalar", "f32[]"},
    {"empty", "f32[0,3]"},
    {"half", "f16[33]", "", 2e-3},
    {"far", "f32[4]{-80,-20,20,80}"},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_silu = checked_op({.name = "silu",
                                                .flags = kElementwise | kInPlace,
                                                .elementwise = Elementwise::silu,
                                                .infer = infer_unary_float,
                                                .reference = reference,
                                                .vjp = vjp,
                                                .cases = TERN_CASES(kCases)});

}  // namespace tern
