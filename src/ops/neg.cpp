// SPDX-License-Identifier: Apache-2.0
// neg: y = -x; integers wrap
//   x  any number type     y  same type and shape
//   dx = -dy
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(
      a, [](double x) { return -x; }, [](int64_t x) { return (int64_t)(0 - (uint64_t)x); });
}

void vjp(VjpArgs& a) { a.set(0, neg(a.g, a.dout(0))); }

constexpr Case kCases[] = {
    {"small", "f32[4,7]"},
    {"odd", "f32[131]"},
    {"rank5", "f32[2,1,3,2,2]"},
    {"scalar", "f32[]"},
    {"empty", "f32[0,3]"},
    {"half", "f16[33]", "", 2e-3},
    {"integer", "i32[9]"},
    {"bytes", "u8[7]:0..200"},
    {"least", "i32[2]{-2147483648,-1}"},
    {"long", "i64[2]{-9007199254740993,3}"},
    {"type", "bool[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_neg = checked_op({.name = "neg",
                                               .flags = kElementwise | kInPlace,
                                               .elementwise = Elementwise::neg,
                                               .infer = infer_unary_number,
                                               .reference = reference,
                                               .vjp = vjp,
                                               .cases = TERN_CASES(kCases)});

}  // namespace tern
