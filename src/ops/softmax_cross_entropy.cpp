// SPDX-License-Identifier: Apache-2.0
// softmax_cross_entropy: loss = -log softmax(logits)[label], or -sum of p * log softmax(logits)
//   logits  float [batch, classes]; labels  integer [batch], or probabilities p [batch, classes] of the type of the
//                                           logits
//   loss  [batch], type of the logits
//   a label outside [-classes, classes) is TERN_ERR_INDEX; a negative one counts from the end
#include "ops/gather.h"
#include "ops/reshape.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_rank(a, 0, 2));
  const Shape &x = a.in(0).shape, &labels = a.in(1).shape;
  const bool indices = is_integer(a.in(1).dtype);
  if (!indices) TERN_TRY(require_same_dtype(a, 0, 1));
  if (indices ? labels.rank != 1 || labels[0] != x[0] : !(labels == x))
    return TERN_FAIL(TERN_ERR_SHAPE, "softmax_cross_entropy: labels of shape %s do not fit logits of shape %s",
                     to_string(labels).c_str(), to_string(x).c_str());
  a.set(0, a.in(0).dtype, Shape{x[0]});
  return TERN_OK;
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const DType dtype = g.value(a.in(0)).dtype;
  const ValueId log_p = emit(g, "log_softmax", {widened(g, a.in(0))});
  ValueId terms;
  if (g.status != TERN_OK) return;
  if (is_integer(g.value(a.in(1)).dtype)) {
    const ValueId labels = cast(g, emit(g, "reshape", {a.in(1)}, ReshapeAttrs{.shape = {0, 1}}), TERN_DTYPE_I64);
    terms = emit(g, "gather_elements", {log_p, labels}, GatherAttrs{.axis = 1});
  } else {
    terms = mul(g, log_p, widened(g, a.in(1)));
  }
  const int64_t classes = 1;
  a.set(0, narrowed(g, neg(g, reduce_sum(g, terms, {&classes, 1}, false)), dtype));
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  if (a.wanted(0)) a.set(0, emit(g, "softmax_cross_entropy_grad", {a.in(0), a.in(1), a.dout(0)}));
  if (!a.wanted(1)) return;
  const ValueId dloss = emit(g, "reshape", {a.dout(0)}, ReshapeAttrs{.shape = {0, 1}});
  a.set(1, neg(g, mul(g, emit(g, "log_softmax", {a.in(0)}), dloss)));
}

constexpr Case kCases[] = {
    {"labels", "f32[4,7] i64[4]{0,6,3,3}"},
    {"int32", "f32[2,3] i32[2]{2,0}"},
    {"from_end", "f32[2,3] i64[2]{-1,-3}"},
    {"probabilities", "f32[4,7] f32[4,7]:0..1"},
    {"odd", "f32[3,131] i64[3]{130,0,64}"},
    {"one", "f32[1,1] i64[1]{0}"},
    {"half", "f16[3,33] i64[3]{1,2,3}", "", 1e-2},
    {"empty", "f32[0,3] i64[0]"},
    {"over", "f32[2,3] i64[2]{0,3}", "", 0, TERN_ERR_INDEX},
    {"under", "f32[2,3] i64[2]{0,-4}", "", 0, TERN_ERR_INDEX},
    {"huge", "f32[1,3] i64[1]{9223372036854775807}", "", 0, TERN_ERR_INDEX},
    {"rank", "f32[3] i64[1]", "", 0, TERN_ERR_SHAPE},
    {"batch", "f32[2,3] i64[3]", "", 0, TERN_ERR_SHAPE},
    {"classes", "f32[2,3] f32[2,4]", "", 0, TERN_ERR_SHAPE},
    {"type", "f32[2,3] f16[2,3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_softmax_cross_entropy = checked_op({.name = "softmax_cross_entropy",
                                                                 .min_in = 2,
                                                                 .max_in = 2,
                                                                 .capability = Capability::training,
                                                                 .infer = infer,
                                                                 .vjp = vjp,
                                                                 .decompose = decompose,
                                                                 .cases = TERN_CASES(kCases)});

}  // namespace tern
