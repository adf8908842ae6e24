// SPDX-License-Identifier: Apache-2.0
// square: y = x * x; integers wrap
//   x  any number type     y  same type and shape
//   dx = 2 x dy
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_unary(
      a, [](double x) { return x * x; }, [](int64_t x) { return (int64_t)((uint64_t)x * (uint64_t)x); });
}

void vjp(VjpArgs& a) { a.set(0, mul(a.g, a.dout(0), scaled(a.g, a.in(0), 2))); }

constexpr Case kCases[] = {
    {"small", "f32[4,7]"},           {"odd", "f32[131]"},
    {"rank5", "f32[2,1,3,2,2]"},     {"scalar", "f32[]"},
    {"empty", "f32[0,3]"},           {"half", "f16[33]", "", 2e-3},
    {"integer", "i32[9]"},           {"bytes", "u8[7]:0..200"},
    {"wrap", "i32[2]{65536,46341}"}, {"type", "bool[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_square = checked_op({.name = "square",
                                                  .flags = kElementwise | kInPlace,
                                                  .elementwise = Elementwise::square,
                                                  .infer = infer_unary_number,
                                                  .reference = reference,
                                                  .vjp = vjp,
                                                  .cases = TERN_CASES(kCases)});

}  // namespace tern
