// SPDX-License-Identifier: Apache-2.0
// shift_right: y = the bits of a moved b places towards the low bits; copies of the sign follow, zeros where there is
// none
//   a, b  one integer type, broadcast; a negative b counts as one beyond the width     y  same type
#include "ops/reduce.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  TERN_TRY(require_integer(a, 0));
  return infer_binary(a);
}

tern_status reference(RefArgs& a) {
  const uint64_t width = dtype_size(a.in(0).dtype) * 8;
  const bool has_sign = lowest_integer(a.in(0).dtype) < 0;
  return reference_binary(
      a, [](double x, double) { return x; },
      [&](int64_t x, int64_t z) {
        if ((uint64_t)z >= width) return has_sign && x < 0 ? (int64_t)-1 : 0;
        return has_sign ? x >> z : (int64_t)((uint64_t)x >> (uint64_t)z);
      });
}

constexpr Case kCases[] = {
    {"same", "u32[4,7]:0..9 u32[4,7]:0..9"},
    {"row", "u32[3,5]:0..9 u32[5]:0..9"},
    {"column", "u32[3,5]:0..9 u32[3,1]:0..9"},
    {"both", "u32[3,1]:0..9 u32[1,4]:0..9"},
    {"rank5", "u32[2,1,3,1,2]:0..9 u32[3,2,2]:0..9"},
    {"scalar", "u32[]:0..9 u32[17]:0..9"},
    {"scalars", "u32[]:0..9 u32[]:0..9"},
    {"empty", "u32[0,3] u32[3]"},
    {"empty_one", "u32[0,3] u32[1,1]"},
    {"wide", "u8[4]{255,255,255,255} u8[4]{0,7,8,255}"},
    {"long", "u64[2]{9223372036854775809,3} u64[2]{63,64}"},
    {"signed", "i8[6]{-128,-7,100,-1,5,-5} i8[6]{1,2,3,8,-1,-1}"},
    {"signed_long", "i64[3]{-9223372036854775808,-1,6} i64[3]{63,64,1}"},
    {"type", "u32[3] u8[3]", "", 0, TERN_ERR_TYPE},
    {"float", "f32[3] f32[3]", "", 0, TERN_ERR_TYPE},
    {"shape", "u32[3] u32[4]", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_shift_right = checked_op({.name = "shift_right",
                                                       .min_in = 2,
                                                       .max_in = 2,
                                                       .flags = kElementwise | kInPlace,
                                                       .elementwise = Elementwise::shift_right,
                                                       .infer = infer,
                                                       .reference = reference,
                                                       .no_gradient_because = NoGradient::integer_output,
                                                       .cases = TERN_CASES(kCases)});

}  // namespace tern
