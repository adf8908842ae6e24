// SPDX-License-Identifier: Apache-2.0
// softplus: y = log(1 + e^x), written so that it does not overflow
//   x  float     y  same type and shape
//   dx = dy * sigmoid(x)
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(a, [](double x) { return std::fmax(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); });
}

void vjp(VjpArgs& a) { a.set(0, mul(a.g, a.dout(0), emit(a.g, "sigmoid", {a.in(0)}))); }

constexpr Case kCases[] = {
    {"small", "f32[4,7]"},
    {"odd", "f32[131]"},
    {"rank5", "f32[2,1,3,2,2]"},
    {"scalar", "f32[]"},
    {"empty", "f32[0,3]"},
    {"half", "f16[33]", "", 2e-3},
    {"far", "f32[4]{-100,-20,20,100}"},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_softplus = checked_op({.name = "softplus",
                                                    .flags = kElementwise | kInPlace,
                                                    .elementwise = Elementwise::softplus,
                                                    .infer = infer_unary_float,
                                                    .reference = reference,
                                                    .vjp = vjp,
                                                    .cases = TERN_CASES(kCases)});

}  // namespace tern
