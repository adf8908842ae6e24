// SPDX-License-Identifier: Apache-2.0
// logical_not: y = not x
//   x  bool     y  bool, same shape
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(a, [](double x) { return x == 0; });
}

constexpr Case kCases[] = {
    {"small", "bool[4,7]"},
    {"scalar", "bool[]"},
    {"empty", "bool[0,3]"},
    {"rank5", "bool[2,1,3,2,2]"},
    {"type", "f32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_logical_not = checked_op({.name = "logical_not",
                                                       .flags = kElementwise | kInPlace,
                                                       .elementwise = Elementwise::logical_not,
                                                       .infer = infer_unary_bool,
                                                       .reference = reference,
                                                       .no_gradient_because = NoGradient::integer_output,
                                                       .cases = TERN_CASES(kCases)});

}  // namespace tern
