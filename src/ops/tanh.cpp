// SPDX-License-Identifier: Apache-2.0
// tanh: y = tanh(x)
//   x  float     y  same type and shape
//   dx = dy * (1 - y^2)
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(a, [](double x) { return std::tanh(x); });
}

void vjp(VjpArgs& a) { a.set(0, mul(a.g, a.dout(0), minus_from(a.g, 1, square(a.g, a.out(0))))); }

constexpr Case kCases[] = {
    {"small", "f32[4,7]"},
    {"odd", "f32[131]"},
    {"rank5", "f32[2,1,3,2,2]"},
    {"scalar", "f32[]"},
    {"empty", "f32[0,3]"},
    {"half", "f16[33]", "", 2e-3},
    {"far", "f32[4]{-100,-10,10,100}"},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_tanh = checked_op({.name = "tanh",
                                                .flags = kElementwise | kInPlace,
                                                .elementwise = Elementwise::tanh,
                                                .infer = infer_unary_float,
                                                .reference = reference,
                                                .vjp = vjp,
                                                .cases = TERN_CASES(kCases)});

}  // namespace tern
