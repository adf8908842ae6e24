// SPDX-License-Identifier: Apache-2.0
// mul: y = a * b; integers wrap
//   a, b  any number type, broadcast     y  same type
//   da = dy * b, db = dy * a
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_binary(
      a, [](double x, double z) { return x * z; },
      [](int64_t x, int64_t z) { return (int64_t)((uint64_t)x * (uint64_t)z); });
}

void vjp(VjpArgs& a) {
  a.set(0, mul(a.g, a.dout(0), a.in(1)));
  a.set(1, mul(a.g, a.dout(0), a.in(0)));
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
    {"half", "f16[33] f16[33]", "", 2e-3},
    {"integer", "i32[9] i32[9]"},
    {"wrap", "i32[2]{65536,-46341} i32[2]{65536,46341}"},
    {"long", "i64[2]{3037000500,-3} i64[2]"},
    {"type", "f32[3] f16[3]", "", 0, TERN_ERR_TYPE},
    {"shape", "f32[3] f32[4]", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_mul = checked_op({.name = "mul",
                                               .min_in = 2,
                                               .max_in = 2,
                                               .flags = kElementwise | kInPlace | kCommutative,
                                               .elementwise = Elementwise::mul,
                                               .infer = infer_binary_number,
                                               .reference = reference,
                                               .vjp = vjp,
                                               .cases = TERN_CASES(kCases)});

}  // namespace tern
