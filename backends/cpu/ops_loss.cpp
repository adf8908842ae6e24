// SPDX-License-Identifier: Apache-2.0
// Fused losses and gradients of composite operators: softmax_cross_entropy and its gradient, layer_norm_grad,
// batch_norm_train and its gradient.
#include "backends/cpu/prepare.h"
#include "kernels/cpu/batch_norm_train.h"
#include "kernels/cpu/cross_entropy.h"
#include "kernels/cpu/norm_grad.h"
#include "ops/normalize.h"

namespace tern::cpu {
namespace {

const char* refuse_cross_entropy(const Graph& g, const Node& n) {
  const Value& labels = g.value(n.in[1]);
  if (is_integer(labels.dtype) && labels.dtype != TERN_DTYPE_I32 && labels.dtype != TERN_DTYPE_I64)
    return "the kernel takes i32 and i64 labels only";
  if (g.value(n.in[0]).shape[1] == 0) return "the kernel takes rows with classes only";
  return refuse_unless_f32(g, n);
}

CrossEntropyArgs& fill_cross_entropy(Prepare& p) {
  CrossEntropyArgs& a = p.args<CrossEntropyArgs>();
  a.rows = p.in(0).shape[0], a.classes = p.in(0).shape[1];
  a.label_dtype = p.in(1).dtype;
  a.error = p.error_flag();
  p.pointer(a.x, p.node.in[0]);
  if (is_integer(p.in(1).dtype)) p.pointer(a.labels, p.node.in[1]);
  else p.pointer(a.p, p.node.in[1]);
  p.pointer(a.y, p.node.out[0]);
  return a;
}

tern_status prepare_cross_entropy(Prepare& p) {
  const CrossEntropyArgs& a = fill_cross_entropy(p);
  p.call(p.k.cross_entropy->loss, &a, a.rows, 40.0 * (double)a.classes, 0);
  return TERN_OK;
}

tern_status prepare_cross_entropy_grad(Prepare& p) {
  CrossEntropyArgs& a = fill_cross_entropy(p);
  p.pointer(a.dloss, p.node.in[2]);
  p.call(p.k.cross_entropy->gradient, &a, a.rows, 80.0 * (double)a.classes, 0);
  return TERN_OK;
}

const char* refuse_norm_grad(const Graph& g, const Node& n) {
  const int64_t channels = g.value(n.out[1]).shape.elements();
  if (n.in.size() > 2 && n.in[2] != kNoValue && g.value(n.in[2]).shape.elements() != channels)
    return "the kernel takes one scale per element only";
  if (g.value(n.in[0]).shape.elements() == 0) return "the kernel takes tensors with elements only";
  return refuse_unless_f32(g, n);
}

tern_status prepare_norm_grad(Prepare& p) {
  NormGradArgs& a = p.args<NormGradArgs>();
  const LayerNormGradAttrs& attrs = p.node.attrs<LayerNormGradAttrs>();
  a.channels = p.out(1).shape.elements();
  a.rows = p.in(0).shape.elements() / a.channels;
  a.epsilon = (float)attrs.epsilon;
  a.center = (int32_t)attrs.center;
  const int64_t segments = norm_grad_segments(a);
  void* partial = nullptr;
  TERN_TRY(p.prepared((uint64_t)(2 * segments * a.channels) * sizeof(float), &partial));
  a.partial = (float*)partial;
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.dy, p.node.in[1]);
  if (p.has(2)) p.pointer(a.gamma, p.node.in[2]);
  p.pointer(a.dx, p.node.out[0]);
  p.pointer(a.dgamma, p.node.out[1]);
  p.pointer(a.dbeta, p.node.out[2]);
  p.call(p.k.norm_grad->rows, &a, segments, 24.0 * (double)p.in(0).shape.elements() / (double)segments, 0);
  p.call(p.k.norm_grad->join, &a, norm_grad_join_units(a), 2.0 * (double)(segments * kNormGradJoin), 0);
  return TERN_OK;
}

const char* refuse_batch_norm(const Graph& g, const Node& n) {
  if (g.value(n.in[0]).shape.elements() == 0) return "the kernel takes tensors with elements only";
  return refuse_unless_f32(g, n);
}

tern_status prepare_batch_norm(Prepare& p, bool gradient) {
  BatchNormTrainArgs& a = p.args<BatchNormTrainArgs>();
  a.channels = p.out(1).shape[0];
  a.rows = p.in(0).shape.elements() / a.channels;
  a.epsilon = (float)p.node.attrs<BatchNormAttrs>().epsilon;
  const int64_t segments = batch_norm_segments(a);
  p.workspace(a.partial, (uint64_t)(segments * kBatchNormSums * a.channels) * sizeof(float));
  p.pointer(a.x, p.node.in[0]);
  p.pointer(gradient ? a.dy : a.gamma, p.node.in[1]);
  p.pointer(gradient ? a.gamma : a.beta, p.node.in[2]);
  p.pointer(a.y, p.node.out[0]);
  for (int i = 0; i < 2; ++i) p.pointer(a.out[i], p.node.out[1 + (size_t)i]);
  const double elements = (double)p.in(0).shape.elements() / (double)segments;
  const BatchNormTrainKernels& k = *p.k.batch_norm_train;
  p.call(k.sums, &a, segments, 2 * elements, 0);
  p.call(k.products, &a, segments, 6 * elements, batch_norm_scratch(a));
  p.call(k.apply, &a, segments, 6 * elements, batch_norm_scratch(a));
  return TERN_OK;
}
tern_status prepare_batch_norm_train(Prepare& p) { return prepare_batch_norm(p, false); }
tern_status prepare_batch_norm_train_grad(Prepare& p) { return prepare_batch_norm(p, true); }

constexpr auto kOps = without_left_out({
    {&op_batch_norm_train, refuse_batch_norm, prepare_batch_norm_train},
    {&op_batch_norm_train_grad, refuse_batch_norm, prepare_batch_norm_train_grad},
    {&op_softmax_cross_entropy, refuse_cross_entropy, prepare_cross_entropy},
    {&op_softmax_cross_entropy_grad, refuse_cross_entropy, prepare_cross_entropy_grad},
    {&op_layer_norm_grad, refuse_norm_grad, prepare_norm_grad},
});

}  // namespace

std::span<const CpuOp> cpu_ops_loss() { return kOps; }

}  // namespace tern::cpu
