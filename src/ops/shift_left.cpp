// SPDX-License-Identifier: Apache-2.0
// shift_left: y = the bits of a moved b places towards the high bits, zeros follow; 0 where b >= the width of the type
//   a, b  one unsigned type, broadcast     y  same type
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const DType d = a.in(0).dtype;
  if (d != TERN_DTYPE_U8 && d != TERN_DTYPE_U16 && d != TERN_DTYPE_U32 && d != TERN_DTYPE_U64)
    return TERN_FAIL(TERN_ERR_TYPE, "%s: input 0 is %s, an unsigned type is needed", a.node.op->name, dtype_name(d));
  return infer_binary(a);
}

tern_status reference(RefArgs& a) {
  const uint64_t width = dtype_size(a.in(0).dtype) * 8;
  return reference_binary(a, [](double x, double) { return x; },
                          [&](int64_t x, int64_t z) { return (uint64_t)z < width ? (int64_t)((uint64_t)x << (uint64_t)z) : 0; });
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
    {"signed", "i32[3] i32[3]", "", 0, TERN_ERR_TYPE},
    {"type", "u32[3] u8[3]", "", 0, TERN_ERR_TYPE},
    {"shape", "u32[3] u32[4]", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_shift_left = checked_op({.name = "shift_left", .min_in = 2, .max_in = 2,
    .flags = kElementwise | kInPlace, .infer = infer, .reference = reference, .no_gradient_because = NoGradient::integer_output,
    .cases = TERN_CASES(kCases)});

}  // namespace tern
