// SPDX-License-Identifier: Apache-2.0
// linear_cross_entropy: the cross-entropy of logits = linear(hidden, weight), of which a chunk of rows exists at a time
//   hidden  float [rows, dim]; weight  [classes, dim] as for linear, of any encoding; labels  integer [rows]
//   loss    type of hidden, []: mean or sum; labels and ignore_index as for cross_entropy
//   dhidden like hidden, dweight like weight, plain, type of hidden: d loss of these, computed chunk by chunk beside
//           the loss, so that no logits wait for the way back. What nobody reads is not computed.
//   chunk   rows at a time; 0: as many as have about 4 million logits. More than 1024 chunks are never made.
//   dx = dhidden * dy; the gradients themselves are not differentiated (TERN_ERR_UNSUPPORTED)
#include <algorithm>

#include "ops/concat.h"
#include "ops/conv2d.h"
#include "ops/loss.h"
#include "ops/matmul.h"
#include "ops/slice.h"
#include "ops/unary.h"

namespace tern {
namespace {

constexpr int64_t kLogits = (int64_t)1 << 22, kMostChunks = 1024;

struct Attrs {
  int64_t reduction = kLossMean, ignore_index = -100, chunk = 0;
};

tern_status infer(InferArgs& a) {
  const Shape &x = a.in(0).shape, &w = a.in(1).shape;
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_weight(a, 0, 1));
  TERN_TRY(require_integer(a, 2));
  if (x.rank != 2 || w.rank != 2 || x[1] != w[1] || w[0] == 0)
    return TERN_FAIL(TERN_ERR_SHAPE, "linear_cross_entropy: hidden states of shape %s do not fit the weight %s",
                     to_string(x).c_str(), to_string(w).c_str());
  TERN_TRY(require_shape(a, 2, Shape{x[0]}));
  a.set(1, a.in(0).dtype, x);
  a.set(2, a.in(0).dtype, w);
  return infer_loss(a, Shape{}, kLossSum);
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const Attrs& p = a.attrs<Attrs>();
  const ValueId x = a.in(0), w = a.in(1);
  const DType dtype = g.value(x).dtype;
  const int64_t rows = g.value(x).shape[0], classes = g.value(w).shape[0];
  const int64_t chunk = std::max({p.chunk > 0 ? p.chunk : kLogits / classes, (rows - 1) / kMostChunks + 1, (int64_t)1});
  const Labels labels = loss_labels(g, a.in(2), p.ignore_index);
  const ValueId one = widened(g, scalar_like(g, x, 1)), zero = widened(g, scalar_like(g, x, 0));
  ValueId share = emit(g, "where", {labels.ignored, zero, one});  // of each row in the loss
  if (p.reduction == kLossMean) share = div(g, share, emit(g, "max", {reduce_sum(g, share, {}, false), one}));

  ValueId loss = kNoValue, dw = kNoValue;
  Node dx;
  for (int64_t r = 0; r == 0 || r < rows; r += chunk) {
    const auto part = [&](ValueId v) {
      return emit(g, "slice", {v}, SliceAttrs{.starts = {r}, .ends = {std::min(rows, r + chunk)}, .steps = {}});
    };
    const auto sum = [&](ValueId so_far, ValueId v) { return so_far == kNoValue ? v : add(g, so_far, v); };
    const ValueId h = part(x), label = part(labels.safe), s = part(share),
                  logits = widened(g, emit(g, "linear", {h, w}));
    const ValueId terms = mul(g, emit(g, "softmax_cross_entropy", {logits, label}), s);
    loss = sum(loss, reduce_sum(g, masked(g, above(g, s, 0), terms), {}, false));
    const ValueId d = emit(g, "softmax_cross_entropy_grad", {logits, label, s});
    dx.in.push_back(emit(g, "linear_t", {narrowed(g, d, dtype), w}));
    dw = sum(dw, emit(g, "matmul", {d, widened(g, h)}, MatmulAttrs{1, 0}));
    if (g.status != TERN_OK) return;
  }
  a.set(0, narrowed(g, loss, dtype));
  dx.op = find_op("concat");
  dx.attrs<ConcatAttrs>().axis = 0;
  a.set(1, dx.in.size() == 1 ? dx.in[0] : emit_node(g, std::move(dx)));
  a.set(2, narrowed(g, dw, dtype));
}

void vjp(VjpArgs& a) {
  if (refuse_second_gradient(a, 1) || a.dout(0) == kNoValue) return;
  for (int i = 0; i < 2; ++i)
    if (a.wanted(i)) a.set(i, mul(a.g, a.out(i + 1), a.dout(0)));
}

constexpr AttrField kFields[] = {TERN_ATTR(Attrs, reduction, choice, kLossMean, kLossSum, kLossReductions),
                                 TERN_ATTR(Attrs, ignore_index, integer, -kLargestIndex, kLargestIndex),
                                 TERN_ATTR(Attrs, chunk, integer, 0, 1e9)};

constexpr Case kCases[] = {
    {"mean", "f32[4,5] f32[7,5] i64[4]{0,6,-100,3}"},
    {"chunks", "f32[5,8] f32[7,8] i64[5]{0,6,-100,3,2}", "chunk=2"},
    {"sum", "f32[3,19] f32[70,19] i32[3]{0,69,5}", "chunk=1 reduction=sum", 1e-4},
    {"all_ignored", "f32[2,3] f32[7,3] i64[2]{-100,-100}"},
    {"panels", "f32[3,19] f32[70,19]@panel32 i64[3]{0,69,5}", "chunk=2", 1e-4},
    {"half_weight", "f32[3,5] f16[4,5] i64[3]{0,1,3}"},
    {"half", "f16[3,5] f16[4,5] i64[3]{0,1,3}", "chunk=2", 2e-2},
    {"no_rows", "f32[0,5] f32[4,5] i64[0]"},
    {"no_dims", "f32[2,0] f32[4,0] i64[2]{1,2}"},
    {"over", "f32[2,3] f32[4,3] i64[2]{0,4}", "", 0, TERN_ERR_INDEX},
    {"huge", "f32[1,3] f32[4,3] i64[1]{9223372036854775807}", "", 0, TERN_ERR_INDEX},
    {"none", "f32[2,3] f32[4,3] i64[2]{0,1}", "reduction=none", 0, TERN_ERR_INVALID_ARGUMENT},
    {"no_classes", "f32[2,3] f32[0,3] i64[2]", "", 0, TERN_ERR_SHAPE},
    {"dims", "f32[2,3] f32[4,5] i64[2]", "", 0, TERN_ERR_SHAPE},
    {"rank", "f32[3] f32[4,3] i64[1]", "", 0, TERN_ERR_SHAPE},
    {"labels", "f32[2,3] f32[4,3] i64[3]", "", 0, TERN_ERR_SHAPE},
    {"labels_type", "f32[2,3] f32[4,3] f32[2]", "", 0, TERN_ERR_TYPE},
    {"type", "f16[2,3] f32[4,3] i64[2]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_linear_cross_entropy = checked_op({.name = "linear_cross_entropy",
                                                                .min_in = 3,
                                                                .max_in = 3,
                                                                .num_out = 3,
                                                                .capability = Capability::training,
                                                                .encoded_in = 1u << 1,
                                                                .attributes = attr_schema<Attrs>(kFields),
                                                                .infer = infer,
                                                                .vjp = vjp,
                                                                .decompose = decompose,
                                                                .cases = TERN_CASES(kCases)});

}  // namespace tern
