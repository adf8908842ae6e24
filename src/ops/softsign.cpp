// SPDX-License-Identifier: Apache-2.0
// softsign: y = x / (1 + |x|)
//   x  float     y  same type and shape
//   dx = dy / (1 + |x|)^2
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(a, [](double x) { return x / (1 + std::fabs(x)); });
}

void vjp(VjpArgs& a) { a.set(0, div(a.g, a.dout(0), square(a.g, plus(a.g, emit(a.g, "abs", {a.in(0)}), 1)))); }

constexpr Case kCases[] = {
    {"small", "f32[4,7]"},
    {"odd", "f32[131]"},
    {"rank5", "f32[2,1,3,2,2]"},
    {"scalar", "f32[]"},
    {"empty", "f32[0,3]"},
    {"half", "f16[33]", "", 2e-3},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_softsign = checked_op({.name = "softsign",
                                                    .flags = kElementwise | kInPlace,
                                                    .elementwise = Elementwise::softsign,
                                                    .infer = infer_unary_float,
                                                    .reference = reference,
                                                    .vjp = vjp,
                                                    .cases = TERN_CASES(kCases)});

}  // namespace tern
