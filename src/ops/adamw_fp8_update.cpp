// SPDX-License-Identifier: Apache-2.0
// adamw_fp8_update: adamw_update with m in 8-bit floats (e4m3) and v in f16, each with a scale that is a power of two
// (FP8-LM, arXiv 2310.18313):  m = code / scale;  after a step the scale is the largest that keeps m * scale in the
// format; it stays where that is 0 or not finite. A scale of 0 means 1, so zeros are a state to begin with.
//   p, gradient  f32, f16 or bf16, plain or permuted; m u8 codes, v f16, of p's shape, plain; their scales f32 scalars
//   order: p, m, scale of m, v, scale of v, gradient; rate f32 scalar; step i64 scalar from 1 on; factor f32 scalar,
//   optional     y  the new content of the first five
#include <cstddef>

#include "ops/update.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) { return infer_coded_update(a, TERN_DTYPE_U8, TERN_DTYPE_F16, {}); }

tern_status reference(RefArgs& a) {
  const CodedUpdate u = coded_update(a);
  const int64_t blocks = (u.p.elements() + kCodeBlock - 1) / kCodeBlock;
  float largest[2], scales[2];
  adamw_fp8_largest(u, 0, blocks, largest);
  adamw_fp8_scales(u, largest, scales);
  adamw_fp8_blocks(u, scales, 0, blocks);
  a.out(2).store(0, scales[0]);
  a.out(4).store(0, scales[1]);
  return TERN_OK;
}

constexpr AttrField kFields[] = {TERN_ATTR(AdamwUpdateAttrs, beta1, number, 0, 0.99999999),
                                 TERN_ATTR(AdamwUpdateAttrs, beta2, number, 0, 0.99999999),
                                 TERN_ATTR(AdamwUpdateAttrs, epsilon, number, 1e-30, 1),
                                 TERN_ATTR(AdamwUpdateAttrs, weight_decay, number, 0, 1e18)};

constexpr Case kCases[] = {
    {"small", "f32[4,7] u8[4,7]:0..120 f32[]{64} f16[4,7]:0..2 f32[]{8} f32[4,7] f32[]{0.1} i64[]{3}", "", 0},
    {"first", "f32[300] u8[300]{0} f32[]{0} f16[300]{0} f32[]{0} f32[300] f32[]{0.1} i64[]{1} f32[]{0.5}", "", 0},
    {"long", "f32[9000] u8[9000]:130..250 f32[]{0.5} f16[9000]:0..900 f32[]{1024} f32[9000] f32[]{0.1} i64[]{9}",
     "beta1=0.8 weight_decay=0.1", 0},
    {"panels", "f32[40,9]@panel32 u8[40,9]:0..120 f32[]{4} f16[40,9]:0..2 f32[]{1} f32[40,9] f32[]{0.1} i64[]{3}", "",
     0},
    {"half", "bf16[33] u8[33]:0..120 f32[]{4} f16[33]:0..2 f32[]{1} f32[33] f32[]{0.1} i64[]{3}", "", 0},
    {"still", "f32[9] u8[9]{0} f32[]{16} f16[9]{0} f32[]{2} f32[9]{0} f32[]{0.1} i64[]{3}", "", 0},
    {"scalar", "f32[] u8[]{9} f32[]{1} f16[]{1} f32[]{1} f32[] f32[] i64[]{3}", "", 0},
    {"empty", "f32[0,3] u8[0,3] f32[] f16[0,3] f32[] f32[0,3] f32[] i64[]{3}"},
    {"scales", "f32[3] u8[3] f32[1] f16[3] f32[1] f32[3] f32[] i64[]", "", 0, TERN_ERR_SHAPE},
    {"codes", "f32[3] i8[3] f32[] f16[3] f32[] f32[3] f32[] i64[]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_adamw_fp8_update = checked_op({.name = "adamw_fp8_update",
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
