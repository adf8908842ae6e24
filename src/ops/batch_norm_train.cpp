// SPDX-License-Identifier: Apache-2.0
// batch_norm_train: y = (x - mean) / sqrt(variance + epsilon) * scale + bias per channel, with the batch's own moments
//   x  float [..., channels], at least 2 dims; scale, bias  same type, [channels]
//   y  like x;  mean, variance (biased)  over all dims but the last, [channels]
//   gradient: batch_norm_train_grad, and what arrives through the moments: dmean / n + 2 (x - mean) dvariance / n
#include "ops/normalize.h"
#include "ops/reduce.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  TERN_TRY(infer_channel_norm(a, 2));
  for (int i = 1; i < 3; ++i) a.set(i, a.in(0).dtype, a.in(1).shape);
  return TERN_OK;
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const DType dtype = g.value(a.in(0)).dtype;
  const ValueId x = widened(g, a.in(0));
  if (g.status != TERN_OK) return;
  const Shape shape = g.value(x).shape, channels = {shape[shape.rank - 1]};
  const Moments m = moments(g, x, axis_range(0, shape.rank - 1));
  const ValueId y = divide_by_root(g, m.centered, m.variance, a.attrs<BatchNormAttrs>().epsilon);
  a.set(0, narrowed(g, scale_and_bias(a, y, 1, 2), dtype));
  a.set(1, narrowed(g, reshape(g, m.mean, channels), dtype));
  a.set(2, narrowed(g, reshape(g, m.variance, channels), dtype));
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  const ValueId x = a.in(0), dmean = a.dout(1), dvariance = a.dout(2);
  const auto also = [&](int i, ValueId d) { a.set(i, a.dins[i] == kNoValue ? d : add(g, a.dins[i], d)); };
  if (a.dout(0) != kNoValue) {
    Node n;
    n.op = find_op("batch_norm_train_grad");
    n.in = {x, a.dout(0), a.in(1)};
    n.attrs<BatchNormAttrs>() = a.attrs<BatchNormAttrs>();
    std::vector<ValueId> outs;
    emit_node(g, std::move(n), 3, &outs);
    for (int i = 0; i < 3 && g.status == TERN_OK; ++i) a.set(i, outs[(size_t)i]);
  }
  if (dmean != kNoValue || dvariance != kNoValue) {
    const ValueId factor = one_over_terms(g, x, a.out(1));
    if (dmean != kNoValue) also(0, mul(g, dmean, factor));
    if (dvariance != kNoValue) also(0, mul(g, sub(g, x, a.out(1)), mul(g, dvariance, add(g, factor, factor))));
  }
}

constexpr Case kCases[] = {
    {"image", "f32[2,3,4,5] f32[5] f32[5]"},
    {"rows", "f32[7,5] f32[5] f32[5]", "epsilon=0.1"},
    {"rank5", "f32[1,2,1,3,5] f32[5] f32[5]"},
    {"many_rows", "f32[3,30,29,17] f32[17] f32[17]", "", 1e-4},
    {"half", "f16[9,5] f16[5] f16[5]", "", 1e-2},
    {"no_channels", "f32[3,0] f32[0] f32[0]"},
    {"vector", "f32[5] f32[5] f32[5]", "", 0, TERN_ERR_SHAPE},
    {"channels", "f32[3,4] f32[5] f32[5]", "", 0, TERN_ERR_SHAPE},
    {"type", "f16[3,5] f32[5] f32[5]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_batch_norm_train = checked_op({.name = "batch_norm_train",
                                                            .min_in = 3,
                                                            .max_in = 3,
                                                            .num_out = 3,
                                                            .capability = Capability::training,
                                                            .attributes = attr_schema<BatchNormAttrs>(kBatchNormFields),
                                                            .infer = infer,
                                                            .vjp = vjp,
                                                            .decompose = decompose,
                                                            .cases = TERN_CASES(kCases)});

}  // namespace tern
