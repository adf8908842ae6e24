// SPDX-License-Identifier: Apache-2.0
// bitwise_and: y = a and b, bit by bit
//   a, b  any integer type, broadcast     y  same type
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_binary(
      a, [](double x, double) { return x; }, [](int64_t x, int64_t z) { return x & z; });
}

constexpr Case kCases[] = {
    {"same", "i32[4,7] i32[4,7]"},
    {"row", "i32[3,5] i32[5]"},
    {"column", "i32[3,5] i32[3,1]"},
    {"both", "i32[3,1] i32[1,4]"},
    {"rank5", "i32[2,1,3,1,2] i32[3,2,2]"},
    {"scalar", "i32[] i32[17]"},
    {"scalars", "i32[] i32[]"},
    {"empty", "i32[0,3] i32[3]"},
    {"empty_one", "i32[0,3] i32[1,1]"},
    {"bytes", "u8[9]:0..255 u8[9]:0..255"},
    {"long", "i64[2]{9007199254740993,-1} i64[1]{-2}"},
    {"float", "f32[3] f32[3]", "", 0, TERN_ERR_TYPE},
    {"type", "i32[3] i64[3]", "", 0, TERN_ERR_TYPE},
    {"shape", "i32[3] i32[4]", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_bitwise_and = checked_op({.name = "bitwise_and",
                                                       .min_in = 2,
                                                       .max_in = 2,
                                                       .flags = kElementwise | kInPlace | kCommutative,
                                                       .elementwise = Elementwise::bitwise_and,
                                                       .infer = infer_binary_integer,
                                                       .reference = reference,
                                                       .no_gradient_because = NoGradient::integer_output,
                                                       .cases = TERN_CASES(kCases)});

}  // namespace tern
