// SPDX-License-Identifier: Apache-2.0
// min: y = the smaller of a and b; NaN wins
//   a, b  any number type, broadcast     y  same type
//   da, db = dy to the smaller, half each among equals
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_binary(a, [](auto x, auto z) { return x < z || x != x ? x : z; });
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  const ValueId x = a.in(0), z = a.in(1), dy = a.dout(0);
  const ValueId tie = masked(g, emit(g, "equal", {x, z}), scaled(g, dy, 0.5));
  a.set(0, emit(g, "where", {emit(g, "less", {x, z}), dy, tie}));
  a.set(1, emit(g, "where", {emit(g, "greater", {x, z}), dy, tie}));
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
    {"nan", "f32[3]{nan,1,2} f32[3]{0,nan,3}"},
    {"long", "i64[2]{9007199254740993,1} i64[2]{9007199254740992,5}"},
    {"unsigned", "u64[2]{18446744073709551615,1} u64[2]{1,2}"},
    {"type", "f32[3] f16[3]", "", 0, TERN_ERR_TYPE},
    {"shape", "f32[3] f32[4]", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_min = checked_op({.name = "min",
                                               .min_in = 2,
                                               .max_in = 2,
                                               .flags = kElementwise | kInPlace | kCommutative,
                                               .elementwise = Elementwise::min,
                                               .infer = infer_binary_number,
                                               .reference = reference,
                                               .vjp = vjp,
                                               .cases = TERN_CASES(kCases)});

}  // namespace tern
