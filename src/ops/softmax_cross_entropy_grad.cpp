// SPDX-License-Identifier: Apache-2.0
// softmax_cross_entropy_grad: gradient of softmax_cross_entropy(logits, labels) with respect to the logits
//   logits, labels  as there; dloss [batch], type of the logits     dlogits like logits
//   dlogits = dloss * (softmax(logits) - 1 at the label), or dloss * (softmax(logits) * sum of p - p)
#include "ops/gather.h"
#include "ops/reshape.h"
#include "ops/scatter.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_rank(a, 0, 2));
  TERN_TRY(require_same_dtype(a, 0, 2));
  const Shape &x = a.in(0).shape, &labels = a.in(1).shape;
  const bool indices = is_integer(a.in(1).dtype);
  if (!indices) TERN_TRY(require_same_dtype(a, 0, 1));
  if ((indices ? labels.rank != 1 || labels[0] != x[0] : !(labels == x)) || !(a.in(2).shape == Shape{x[0]}))
    return TERN_FAIL(TERN_ERR_SHAPE,
                     "softmax_cross_entropy_grad: labels %s and a gradient %s do not fit logits of shape %s",
                     to_string(labels).c_str(), to_string(a.in(2).shape).c_str(), to_string(x).c_str());
  return infer_unary(a);
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const DType dtype = g.value(a.in(0)).dtype;
  const auto column = [&](ValueId v) { return emit(g, "reshape", {v}, ReshapeAttrs{.shape = {0, 1}}); };
  const ValueId p = emit(g, "exp", {emit(g, "log_softmax", {widened(g, a.in(0))})}),
                dloss = column(widened(g, a.in(2)));
  if (g.status != TERN_OK) return;
  ValueId dx;
  if (is_integer(g.value(a.in(1)).dtype)) {
    const ValueId labels = cast(g, column(a.in(1)), TERN_DTYPE_I64);
    dx = emit(g, "scatter_elements", {mul(g, p, dloss), labels, neg(g, dloss)},
              ScatterElementsAttrs{1, (int64_t)ScatterReduction::add});
  } else {
    const int64_t classes = 1;
    const ValueId t = widened(g, a.in(1));
    dx = mul(g, dloss, sub(g, mul(g, p, reduce_sum(g, t, {&classes, 1}, true)), t));
  }
  a.set(0, narrowed(g, dx, dtype));
}

constexpr Case kCases[] = {
    {"labels", "f32[4,7] i64[4]{0,6,3,3} f32[4]"},
    {"int32", "f32[2,3] i32[2]{2,0} f32[2]"},
    {"from_end", "f32[2,3] i64[2]{-1,-3} f32[2]"},
    {"probabilities", "f32[4,7] f32[4,7]:0..1 f32[4]"},
    {"odd", "f32[3,131] i64[3]{130,0,64} f32[3]"},
    {"odd_probabilities", "f32[3,35] f32[3,35]:0..1 f32[3]"},
    {"one", "f32[1,1] i64[1]{0} f32[1]"},
    {"half", "f16[3,33] i64[3]{1,2,3} f16[3]", "", 1e-2},
    {"empty", "f32[0,3] i64[0] f32[0]"},
    {"over", "f32[2,3] i64[2]{0,3} f32[2]", "", 0, TERN_ERR_INDEX},
    {"under", "f32[2,3] i64[2]{0,-4} f32[2]", "", 0, TERN_ERR_INDEX},
    {"huge", "f32[1,3] i64[1]{9223372036854775807} f32[1]", "", 0, TERN_ERR_INDEX},
    {"batch", "f32[2,3] i64[2]{0,1} f32[3]", "", 0, TERN_ERR_SHAPE},
    {"classes", "f32[2,3] f32[2,4] f32[2]", "", 0, TERN_ERR_SHAPE},
    {"type", "f32[2,3] i64[2]{0,1} f16[2]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_softmax_cross_entropy_grad = checked_op({.name = "softmax_cross_entropy_grad",
                                                                      .min_in = 3,
                                                                      .max_in = 3,
                                                                      .capability = Capability::training,
                                                                      .infer = infer,
                                                                      .decompose = decompose,
                                                                      .cases = TERN_CASES(kCases)});

}  // namespace tern
