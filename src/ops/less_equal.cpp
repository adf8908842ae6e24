// SPDX-License-Identifier: Apache-2.0
// less_equal: y = a <= b (false where one is NaN)
//   a, b  any number type, broadcast     y  bool
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_binary(a, [](auto x, auto z) { return x <= z; });
}

constexpr Case kCases[] = {
    {"same", "f32[4,7] f32[4,7]"},
    {"row", "f32[3,5] f32[5]"},
    {"column", "f32[3,5] f32[3,1]"},
    {"both", "f32[3,1] f32[1,4]"},
    {"rank5", "f32[2,1,3,1,2] f32[3,2,2]"},
    {"scalar", "f32[] f32[17]"},
    {"scalars", "f32[] f32[]"},
    {"empty", "f32[0,3] f32[3]"},
    {"empty_one", "f32[0,3] f32[1,1]"},
    {"integer", "i32[9] i32[9]"},
    {"half", "f16[33] f16[33]"},
    {"nan", "f32[2]{nan,1} f32[2]{nan,nan}"},
    {"long", "i64[2]{9007199254740993,1} i64[1]{9007199254740992}"},
    {"unsigned", "u64[2]{18446744073709551615,1} u64[1]{2}"},
    {"type", "f32[3] f16[3]", "", 0, TERN_ERR_TYPE},
    {"shape", "f32[3] f32[4]", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_less_equal = checked_op({.name = "less_equal",
                                                      .min_in = 2,
                                                      .max_in = 2,
                                                      .flags = kElementwise,
                                                      .elementwise = Elementwise::less_equal,
                                                      .infer = infer_compare,
                                                      .reference = reference,
                                                      .no_gradient_because = NoGradient::integer_output,
                                                      .cases = TERN_CASES(kCases)});

}  // namespace tern
