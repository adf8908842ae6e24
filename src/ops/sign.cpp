// SPDX-License-Identifier: Apache-2.0
// sign: y = -1, 0 or 1 as x is below, equal to or above 0; NaN stays
//   x  any number type     y  same type and shape
//   dx = 0
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  if (a.in(0).dtype == TERN_DTYPE_U64)
    return reference_unary(
        a, [](double x) { return x; }, [](int64_t x) { return (int64_t)(x != 0); });
  return reference_unary(
      a, [](double x) { return x > 0   ? 1
                               : x < 0 ? -1
                                       : x; }, [](int64_t x) { return (int64_t)((x > 0) - (x < 0)); });
}

constexpr Case kCases[] = {
    {"small", "f32[4,7]"}, {"odd", "f32[131]"},       {"rank5", "f32[2,1,3,2,2]"},
    {"scalar", "f32[]"},   {"empty", "f32[0,3]"},     {"half", "f16[33]", "", 2e-3},
    {"integer", "i32[9]"}, {"bytes", "u8[7]:0..200"}, {"type", "bool[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_sign = checked_op({.name = "sign",
                                                .flags = kElementwise | kInPlace,
                                                .elementwise = Elementwise::sign,
                                                .infer = infer_unary_number,
                                                .reference = reference,
                                                .vjp = vjp_zero,
                                                .cases = TERN_CASES(kCases)});

}  // namespace tern
