// SPDX-License-Identifier: Apache-2.0
// logical_or: y = a or b
//   a, b  bool, broadcast     y  bool
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_binary(a, [](auto x, auto z) { return x != 0 || z != 0; });
}

constexpr Case kCases[] = {
    {"same", "bool[4,7] bool[4,7]"},
    {"row", "bool[3,5] bool[5]"},
    {"column", "bool[3,5] bool[3,1]"},
    {"both", "bool[3,1] bool[1,4]"},
    {"rank5", "bool[2,1,3,1,2] bool[3,2,2]"},
    {"scalar", "bool[] bool[17]"},
    {"scalars", "bool[] bool[]"},
    {"empty", "bool[0,3] bool[3]"},
    {"empty_one", "bool[0,3] bool[1,1]"},
    {"type", "bool[3] i32[3]", "", 0, TERN_ERR_TYPE},
    {"shape", "bool[3] bool[4]", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_logical_or = checked_op({.name = "logical_or",
                                                      .min_in = 2,
                                                      .max_in = 2,
                                                      .flags = kElementwise | kInPlace | kCommutative,
                                                      .elementwise = Elementwise::logical_or,
                                                      .infer = infer_binary_bool,
                                                      .reference = reference,
                                                      .no_gradient_because = NoGradient::integer_output,
                                                      .cases = TERN_CASES(kCases)});

}  // namespace tern
