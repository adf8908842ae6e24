// SPDX-License-Identifier: Apache-2.0
// is_inf: y = x is infinite; positive=0 and negative=0 leave out the infinity of that sign
//   x  float     y  bool, same shape
#include <cstddef>

#include "ops/elementwise.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  const IsInfAttrs& p = a.attrs<IsInfAttrs>();
  return reference_unary(a, [&](double x) { return std::isinf(x) && (x > 0 ? p.positive : p.negative) != 0; });
}

ElementwiseStep step(const Node& n) {
  return {Elementwise::is_inf, (double)n.attrs<IsInfAttrs>().negative, (double)n.attrs<IsInfAttrs>().positive};
}

constexpr AttrField kFields[] = {TERN_ATTR(IsInfAttrs, positive, integer, 0, 1),
                                 TERN_ATTR(IsInfAttrs, negative, integer, 0, 1)};

constexpr Case kCases[] = {
    {"small", "f32[4,7]"},
    {"values", "f32[5]{nan,inf,-inf,0,1}"},
    {"positive", "f32[5]{nan,inf,-inf,0,1}", "negative=0"},
    {"negative", "f32[5]{nan,inf,-inf,0,1}", "positive=0"},
    {"half", "f16[3]{nan,inf,1}"},
    {"scalar", "f32[]"},
    {"empty", "f32[0,3]"},
    {"type", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_is_inf = checked_op({.name = "is_inf",
                                                  .flags = kElementwise,
                                                  .attributes = attr_schema<IsInfAttrs>(kFields),
                                                  .elementwise = Elementwise::is_inf,
                                                  .step = step,
                                                  .infer = infer_predicate,
                                                  .reference = reference,
                                                  .no_gradient_because = NoGradient::integer_output,
                                                  .cases = TERN_CASES(kCases)});

}  // namespace tern
