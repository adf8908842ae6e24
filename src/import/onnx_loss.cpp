// SPDX-License-Identifier: Apache-2.0
// ONNX losses, spelled out.
#include "import/onnx.h"

namespace tern {
namespace {

// x holds log-probabilities [N,C,d...], the target class numbers [N,d...].
tern_status negative_log_likelihood(OnnxNode& n, ValueId x, ValueId target, ValueId weight) {
  Builder& b = n.b;
  const std::string reduction = n.text("reduction", "mean");
  const bool ignores = n.has_attribute("ignore_index");
  const int64_t ignored = n.integer("ignore_index", -1);
  TERN_TRY(b.status());
  if (b.rank(x) < 2 || b.rank(target) != b.rank(x) - 1)
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: ranks %d and %d", n.type().c_str(), b.rank(x), b.rank(target));
  if (b.rank(x) > 7) return n.unsupported("rank 8");
  ValueId mask = kNoValue, classes = target;
  if (ignores) {
    mask = b.op("equal", {target, b.like(target, (double)ignored)});
    classes = b.op("where", {mask, b.like(target, 0), target});
  }
  std::vector<int64_t> column{Builder::same(0), 1}, flat{Builder::same(0)};
  for (int i = 1; i < b.rank(target); ++i) column.push_back(Builder::same(i)), flat.push_back(Builder::same(i + 1));
  const ValueId picked = b.reshape(b.op("gather_elements", {x, b.reshape(classes, column)}, {{"axis", 1}}), flat);
  ValueId loss = b.op("neg", {widened(b, picked)}), weights = kNoValue;
  if (weight != kNoValue) weights = widened(b, b.op("gather", {weight, classes}, {{"axis", 0}}));
  else if (ignores) weights = b.like(loss, 1);
  if (ignores) weights = b.op("where", {mask, b.like(loss, 0), weights});
  if (weights != kNoValue) loss = b.mul(loss, weights);
  const Attrs all = {{"keep_dims", 0}};
  if (reduction == "sum") loss = b.op("reduce_sum", {loss}, all);
  else if (reduction == "mean" && weights == kNoValue) loss = b.op("reduce_mean", {loss}, all);
  else if (reduction == "mean") loss = b.div(b.op("reduce_sum", {loss}, all), b.op("reduce_sum", {weights}, all));
  else if (reduction != "none")
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: reduction '%.40s'", n.type().c_str(), reduction.c_str());
  n.set(0, b.cast(loss, b.dtype(x)));
  return TERN_OK;
}

tern_status lower_nll(OnnxNode& n) { return negative_log_likelihood(n, n.in(0), n.in(1), n.in(2)); }

tern_status lower_sce(OnnxNode& n) {
  const ValueId logs = n.b.op("log_softmax", {n.in(0)}, {{"axis", 1}});
  TERN_TRY(negative_log_likelihood(n, logs, n.in(1), n.in(2)));
  n.set(1, logs);
  return TERN_OK;
}

constexpr OnnxOp kOps[] = {
    {"NegativeLogLikelihoodLoss", lower_nll},
    {"SoftmaxCrossEntropyLoss", lower_sce},
};

}  // namespace

std::span<const OnnxOp> onnx_loss_ops() { return kOps; }

}  // namespace tern
