// SPDX-License-Identifier: Apache-2.0
// stop_gradient: y = x, through which no gradient passes
//   x  any type     y  same type and shape
//   dx = 0
#include "ops/move.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) { return infer_unary(a); }

tern_status reference(RefArgs& a) {
  const RefTensor &x = a.in(0), &y = a.out(0);
  for (int64_t i = 0, n = y.elements(); i < n; ++i) copy_element(y, i, x, i);
  return TERN_OK;
}

constexpr Case kCases[] = {
    {"small", "f32[4,7]"}, {"half", "f16[33]"},   {"long", "i64[2]{9007199254740993,1}"},
    {"scalar", "f32[]"},   {"empty", "f32[0,3]"}, {"rank5", "f32[2,1,3,2,2]"},
};

}  // namespace

extern constinit const Op op_stop_gradient = checked_op({.name = "stop_gradient",
                                                         .flags = kView,
                                                         .elementwise = Elementwise::identity,
                                                         .infer = infer,
                                                         .reference = reference,
                                                         .vjp = vjp_zero,
                                                         .cases = TERN_CASES(kCases)});

}  // namespace tern
