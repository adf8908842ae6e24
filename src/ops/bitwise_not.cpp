// SPDX-License-Identifier: Apache-2.0
// bitwise_not: y = x with all bits turned
//   x  any integer type     y  same type and shape
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(
      a, [](double x) { return x; }, [](int64_t x) { return ~x; });
}

constexpr Case kCases[] = {
    {"small", "i32[4,7]"}, {"bytes", "u8[9]:0..255"}, {"long", "i64[2]{9007199254740993,-1}"},
    {"scalar", "i8[]"},    {"empty", "i32[0,3]"},     {"type", "f32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_bitwise_not = checked_op({.name = "bitwise_not",
                                                       .flags = kElementwise | kInPlace,
                                                       .elementwise = Elementwise::bitwise_not,
                                                       .infer = infer_unary_integer,
                                                       .reference = reference,
                                                       .no_gradient_because = NoGradient::integer_output,
                                                       .cases = TERN_CASES(kCases)});

}  // namespace tern
