// SPDX-License-Identifier: Apache-2.0
// is_nan: y = x is not a number
//   x  float     y  bool, same shape
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(a, [](double x) { return std::isnan(x); });
}

constexpr Case kCases[] = {
    {"small", "f32[4,7]"}, {"values", "f32[5]{nan,inf,-inf,0,1}"},   {"half", "f16[3]{nan,inf,1}"}, {"scalar", "f32[]"},
    {"empty", "f32[0,3]"}, {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_is_nan = checked_op({.name = "is_nan",
                                                  .flags = kElementwise,
                                                  .elementwise = Elementwise::is_nan,
                                                  .infer = infer_predicate,
                                                  .reference = reference,
                                                  .no_gradient_because = NoGradient::integer_output,
                                                  .cases = TERN_CASES(kCases)});

}  // namespace tern
