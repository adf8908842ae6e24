// SPDX-License-Identifier: Apache-2.0
// div: y = a / b; integers towards zero, x / 0 = 0, and the least integer / -1 is itself
//   a, b  any number type, broadcast     y  same type
//   da = dy / b, db = -dy * y / b
#include "ops/unary.h"

namespace tern {
namespace {

double divide(double x, double z) { return x / z; }
int64_t divide(int64_t x, int64_t z) { return z == 0 ? 0 : z == -1 ? (int64_t)(0 - (uint64_t)x) : x / z; }
uint64_t divide(uint64_t x, uint64_t z) { return z == 0 ? 0 : x / z; }

tern_status reference(RefArgs& a) {
  return reference_binary(a, [](auto x, auto z) { return divide(x, z); });
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  const ValueId da = div(g, a.dout(0), a.in(1));
  a.set(0, da);
  if (a.wanted(1)) a.set(1, neg(g, mul(g, da, a.out(0))));
}

constexpr Case kCases[] = {
    {"same", "f32[4,7]:0.5..2 f32[4,7]:0.5..2"},
    {"row", "f32[3,5]:0.5..2 f32[5]:0.5..2"},
    {"column", "f32[3,5]:0.5..2 f32[3,1]:0.5..2"},
    {"both", "f32[3,1]:0.5..2 f32[1,4]:0.5..2"},
    {"rank5", "f32[2,1,3,1,2]:0.5..2 f32[3,2,2]:0.5..2"},
    {"scalar", "f32[]:0.5..2 f32[17]:0.5..2"},
    {"scalars", "f32[]:0.5..2 f32[]:0.5..2"},
    {"empty", "f32[0,3] f32[3]"},
    {"empty_one", "f32[0,3] f32[1,1]"},
    {"half", "f16[33] f16[33]:0.5..2", "", 2e-3},
    {"integer", "i32[9] i32[9]:1..5"},
    {"by_zero", "i32[3] i32[3]{0,-1,2}"},
    {"least", "i32[2]{-2147483648,7} i32[1]{-1}"},
    {"least64", "i64[2]{-9223372036854775808,7} i64[1]{-1}"},
    {"bytes", "u8[4]{255,200,7,0} u8[4]{2,201,0,3}"},
    {"type", "f32[3] f16[3]", "", 0, TERN_ERR_TYPE},
    {"shape", "f32[3] f32[4]", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_div = checked_op({.name = "div",
                                               .min_in = 2,
                                               .max_in = 2,
                                               .flags = kElementwise | kInPlace,
                                               .elementwise = Elementwise::div,
                                               .infer = infer_binary_number,
                                               .reference = reference,
                                               .vjp = vjp,
                                               .cases = TERN_CASES(kCases)});

}  // namespace tern
