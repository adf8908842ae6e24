// SPDX-License-Identifier: Apache-2.0
// round: y = integer nearest to x, ties to the even one; integer types stay as they are
//   x  any number type     y  same type and shape
//   dx = 0
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(
      a, [](double x) { return round_half_even(x); }, [](int64_t x) { return x; });
}

constexpr Case kCases[] = {
    {"small", "f32[4,7]:-5..5"},
    {"odd", "f32[131]:-5..5"},
    {"rank5", "f32[2,1,3,2,2]:-5..5"},
    {"scalar", "f32[]:-5..5"},
    {"empty", "f32[0,3]"},
    {"half", "f16[33]:-5..5", "", 2e-3},
    {"integer", "i32[9]"},
    {"ties", "f32[6]{-2.5,-1.5,-0.5,0.5,1.5,2.5}"},
    {"large", "f32[5]{-16777216,4194304.5,8388609,3e20,inf}"},
    {"type", "bool[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_round = checked_op({.name = "round",
                                                 .flags = kElementwise | kInPlace,
                                                 .elementwise = Elementwise::round,
                                                 .infer = infer_unary_number,
                                                 .reference = reference,
                                                 .vjp = vjp_zero,
                                                 .cases = TERN_CASES(kCases)});

}  // namespace tern
