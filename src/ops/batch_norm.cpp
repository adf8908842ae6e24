// SPDX-License-Identifier: Apache-2.0
// batch_norm: y = (x - mean) / sqrt(variance + epsilon) * scale + bias per channel (the last dim): inference
//   x  float [..., channels]; scale, bias, mean, variance  same type, [channels]     y  like x
#include "ops/normalize.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) { return infer_channel_norm(a, 1); }

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const DType dtype = g.value(a.in(0)).dtype;
  const ValueId factor = divide_by_root(g, widened(g, a.in(1)), widened(g, a.in(4)), a.attrs<BatchNormAttrs>().epsilon);
  const ValueId centered = sub(g, widened(g, a.in(0)), widened(g, a.in(3)));
  a.set(0, narrowed(g, add(g, mul(g, centered, factor), widened(g, a.in(2))), dtype));
}

constexpr Case kCases[] = {
    {"image", "f32[2,3,4,5] f32[5] f32[5] f32[5] f32[5]:0.1..2"},
    {"rows", "f32[7,5] f32[5] f32[5] f32[5] f32[5]:0.1..2", "epsilon=0.1"},
    {"vector", "f32[5] f32[5] f32[5] f32[5] f32[5]:0.1..2"},
    {"rank5", "f32[1,2,1,3,5] f32[5] f32[5] f32[5] f32[5]:0.1..2"},
    {"half", "f16[3,5] f16[5] f16[5] f16[5] f16[5]:0.1..2", "", 4e-3},
    {"far", "f32[2,2]{1234.567,-99.3,1234.567,-99.3} f32[2] f32[2] f32[2]{1234.567,-99.3} f32[2]{0,0}"},
    {"empty", "f32[0,5] f32[5] f32[5] f32[5] f32[5]:0.1..2"},
    {"scalar", "f32[] f32[1] f32[1] f32[1] f32[1]", "", 0, TERN_ERR_SHAPE},
    {"channels", "f32[3,4] f32[5] f32[5] f32[5] f32[5]:0.1..2", "", 0, TERN_ERR_SHAPE},
    {"broadcast", "f32[3,5] f32[1] f32[5] f32[5] f32[5]", "", 0, TERN_ERR_SHAPE},
    {"type", "f16[3,5] f32[5] f32[5] f32[5] f32[5]:0.1..2", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_batch_norm = checked_op({.name = "batch_norm",
                                                      .min_in = 5,
                                                      .max_in = 5,
                                                      .attributes = attr_schema<BatchNormAttrs>(kBatchNormFields),
                                                      .infer = infer,
                                                      .decompose = decompose,
                                                      .cases = TERN_CASES(kCases)});

}  // namespace tern
