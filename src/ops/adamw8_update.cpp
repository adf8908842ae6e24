// SPDX-License-Identifier: Apache-2.0
// adamw8_update: adamw_update with moments in 8 bits, in blocks of 256 elements in row-major order. The scale s of a
// block is its largest |m|, or v. Codes are finer towards 0, and rounded at random (by step and element), so that small
// changes count on the average:
//   m = s sign(c) (c / 127)^2, c in -127..127;  v = s (c / 255)^4, c in 0..255, at least 1 for v > 0
//   p, gradient  f32, f16 or bf16, plain or permuted; m i8, v u8, of the shape of p, plain; their scales f32
//   [ceil(elements / 256)]; order: p, m, scale of m, v, scale of v, gradient; rate f32 scalar; step i64 scalar from 1
//   on; factor f32 scalar, optional     y  the new content of the first five
#include <cstddef>

#include "ops/update.h"

namespace tern {
namespace {

int64_t blocks_of(const Shape& p) { return (p.elements() + kCodeBlock - 1) / kCodeBlock; }

tern_status infer(InferArgs& a) {
  return infer_coded_update(a, TERN_DTYPE_I8, TERN_DTYPE_U8, Shape{blocks_of(a.in(0).shape)});
}

tern_status reference(RefArgs& a) {
  adamw8_blocks(coded_update(a), 0, blocks_of(a.in(0).shape));
  return TERN_OK;
}

constexpr AttrField kFields[] = {TERN_ATTR(AdamwUpdateAttrs, beta1, number, 0, 0.99999999),
                                 TERN_ATTR(AdamwUpdateAttrs, beta2, number, 0, 0.99999999),
                                 TERN_ATTR(AdamwUpdateAttrs, epsilon, number, 1e-30, 1),
                                 TERN_ATTR(AdamwUpdateAttrs, weight_decay, number, 0, 1e18)};

constexpr Case kCases[] = {
    {"small", "f32[4,7] i8[4,7]:-127..127 f32[1]:0.1..2 u8[4,7]:0..255 f32[1]:0.1..2 f32[4,7] f32[]{0.1} i64[]{3}", "",
     0},
    {"first", "f32[300] i8[300]{0} f32[2]{0} u8[300]{0} f32[2]{0} f32[300] f32[]{0.1} i64[]{1} f32[]{0.5}", "", 0},
    {"blocks",
     "f32[17,90] i8[17,90]:-127..127 f32[6]:0.1..2 u8[17,90]:0..255 f32[6]:0.1..2 f32[17,90] f32[]{0.1} i64[]{9}",
     "beta1=0.8 weight_decay=0.1", 0},
    {"panels",
     "f32[40,9]@panel32 i8[40,9]:-127..127 f32[2]:0.1..2 u8[40,9]:0..255 f32[2]:0.1..2 f32[40,9] f32[]{0.1} i64[]{3}",
     "", 0},
    {"half", "bf16[33] i8[33]:-127..127 f32[1]:0.1..2 u8[33]:0..255 f32[1]:0.1..2 f32[33] f32[]{0.1} i64[]{3}", "", 0},
    {"still", "f32[9] i8[9]{0} f32[1]{0} u8[9]{0} f32[1]{0} f32[9]{0} f32[]{0.1} i64[]{3}", "", 0},
    {"scalar", "f32[] i8[] f32[1] u8[] f32[1]:0..1 f32[] f32[] i64[]{3}", "", 0},
    {"empty", "f32[0,3] i8[0,3] f32[0] u8[0,3] f32[0] f32[0,3] f32[] i64[]{3}"},
    {"scales", "f32[300] i8[300] f32[1] u8[300] f32[2] f32[300] f32[] i64[]", "", 0, TERN_ERR_SHAPE},
    {"codes", "f32[3] u8[3] f32[1] u8[3] f32[1] f32[3] f32[] i64[]", "", 0, TERN_ERR_TYPE},
    {"encoding", "f32[9,40]@panel_int8 i8[9,40] f32[2] u8[9,40] f32[2] f32[9,40] f32[] i64[]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_adamw8_update = checked_op({.name = "adamw8_update",
                                                         .min_in = 8,
                                                         .max_in = 9,
                                                         .num_out = 5,
                                                         .flags = kWritesState,
                                                         .capability = Capability::training,
                                                         .encoded_in = 1 | 1 << 5,
                                                         .attributes = attr_schema<AdamwUpdateAttrs>(kFields),
                                                         .infer = infer,
                                                         .reference = reference,
                                                         .no_gradient_because = NoGradient::input_output,
                                                         .cases = TERN_CASES(kCases)});

}  // namespace tern
