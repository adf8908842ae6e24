// SPDX-License-Identifier: Apache-2.0
// mod: y = rest of a / b. fmod=0: sign of the divisor b; fmod=1: sign of the dividend a. Integers: x mod 0 = 0
//   a, b  any number type, broadcast     y  same type
//   da = dy;  db = -dy * floor(a / b), with fmod=1 the quotient towards zero
#include <cstddef>

#include "ops/elementwise.h"
#include "ops/unary.h"

namespace tern {
namespace {

double rest(double x, double z) { return std::fmod(x, z); }
int64_t rest(int64_t x, int64_t z) { return z == 0 || z == -1 ? 0 : x % z; }
uint64_t rest(uint64_t x, uint64_t z) { return z == 0 ? 0 : x % z; }

tern_status reference(RefArgs& a) {
  if (a.attrs<ModAttrs>().fmod) return reference_binary(a, [](auto x, auto z) { return rest(x, z); });
  return reference_binary(a, [](auto x, auto z) {
    const auto r = rest(x, z);
    return r != 0 && (r < 0) != (z < 0) ? r + z : r;
  });
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  a.set(0, a.dout(0));
  if (!a.wanted(1)) return;
  ValueId quotient = div(g, a.in(0), a.in(1));
  if (a.attrs<ModAttrs>().fmod)
    quotient = mul(g, emit(g, "sign", {quotient}), emit(g, "floor", {emit(g, "abs", {quotient})}));
  else quotient = emit(g, "floor", {quotient});
  a.set(1, neg(g, mul(g, a.dout(0), quotient)));
}

ElementwiseStep step(const Node& n) { return {n.attrs<ModAttrs>().fmod ? Elementwise::fmod : Elementwise::mod}; }

constexpr AttrField kFields[] = {TERN_ATTR(ModAttrs, fmod, integer, 0, 1)};

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
    {"signs", "f32[4]{5,-5,5,-5} f32[4]{3,3,-3,-3}"},
    {"signs_f", "f32[4]{5,-5,5,-5} f32[4]{3,3,-3,-3}", "fmod=1"},
    {"integers", "i32[5]{5,-5,5,-5,6} i32[5]{3,3,-3,-3,0}"},
    {"integers_f", "i32[5]{5,-5,5,-5,6} i32[5]{3,3,-3,-3,0}", "fmod=1"},
    {"least", "i64[1]{-9223372036854775808} i64[1]{-1}"},
    {"bytes", "u8[3]{255,7,9} u8[3]{16,0,10}"},
    {"type", "f32[3] f16[3]", "", 0, TERN_ERR_TYPE},
    {"shape", "f32[3] f32[4]", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_mod = checked_op({.name = "mod",
                                               .min_in = 2,
                                               .max_in = 2,
                                               .flags = kElementwise | kInPlace,
                                               .attributes = attr_schema<ModAttrs>(kFields),
                                               .elementwise = Elementwise::mod,
                                               .step = step,
                                               .infer = infer_binary_number,
                                               .reference = reference,
                                               .vjp = vjp,
                                               .cases = TERN_CASES(kCases)});

}  // namespace tern
