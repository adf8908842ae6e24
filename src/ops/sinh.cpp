// SPDX-License-Identifier: Apache-2.0
// sinh: y = (e^x - e^-x) / 2
//   x  float     y  same type and shape
//   dx = dy * cosh(x)
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(a, [](double x) { return std::sinh(x); });
}

void vjp(VjpArgs& a) { a.set(0, mul(a.g, a.dout(0), emit(a.g, "cosh", {a.in(0)}))); }

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

extern constinit const Op op_sinh = checked_op({.name = "sinh",
                                                .flags = kElementwise | kInPlace,
                                                .elementwise = Elementwise::sinh,
                                                .infer = infer_unary_float,
                                                .reference = reference,
                                                .vjp = vjp,
                                                .cases = TERN_CASES(kCases)});

}  // namespace tern
