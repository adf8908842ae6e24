// SPDX-License-Identifier: Apache-2.0
// info_nce: the cross-entropy of the similarities of query i to all keys, with key i as the label
//   queries  float [n, dim]; keys  same type, [m, dim], m >= n: those from n on are further negatives
//   similarity  q k / temperature of rows of length 1 (normalize=0: of the rows as they are)
//   symmetric=1: the mean of this and of the same with queries and keys swapped; n = m
//   loss  type of the queries, [] or with reduction=none [n]
#include "ops/loss.h"
#include "ops/matmul.h"
#include "ops/shape.h"
#include "ops/unary.h"

namespace tern {
namespace {

struct Attrs {
  int64_t reduction = kLossMean;
  double temperature = 0.07;
  int64_t symmetric = 0, normalize = 1;
};

tern_status infer(InferArgs& a) {
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_same_dtype(a, 0, 1));
  for (int i = 0; i < 2; ++i) TERN_TRY(require_rank(a, i, 2));
  const Shape &q = a.in(0).shape, &k = a.in(1).shape;
  if (q[1] != k[1] || k[0] < q[0] || (a.attrs<Attrs>().symmetric && k[0] != q[0]))
    return TERN_FAIL(TERN_ERR_SHAPE, "info_nce: keys of shape %s do not fit queries of shape %s", to_string(k).c_str(),
                     to_string(q).c_str());
  return infer_loss(a, Shape{q[0]}, a.attrs<Attrs>().reduction);
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const Attrs& p = a.attrs<Attrs>();
  const auto rows = [&](ValueId v) {
    const ValueId x = widened(g, v);
    return p.normalize ? emit(g, "l2_normalize", {x}) : x;
  };
  const ValueId s = scaled(g, emit(g, "matmul", {rows(a.in(0)), rows(a.in(1))}, MatmulAttrs{0, 1}), 1 / p.temperature);
  const ValueId n = emit(g, "reduce_prod", {emit(g, "shape", {a.in(0)}, ShapeAttrs{.end = 1})});
  const ValueId labels = emit(g, "range", {constant_i64(g, 0), n, constant_i64(g, 1)});
  ValueId terms = emit(g, "softmax_cross_entropy", {s, labels});
  if (p.symmetric)
    terms = scaled(g, add(g, terms, emit(g, "softmax_cross_entropy", {emit(g, "transpose", {s}), labels})), 0.5);
  set_loss(a, terms, p.reduction);
}

constexpr AttrField kFields[] = {
    TERN_ATTR(Attrs, reduction, choice, 0, 2, kLossReductions), TERN_ATTR(Attrs, temperature, number, 1e-3, 1e3),
    TERN_ATTR(Attrs, symmetric, integer, 0, 1), TERN_ATTR(Attrs, normalize, integer, 0, 1)};

constexpr Case kCases[] = {
    {"mean", "f32[4,7] f32[4,7]", "", 1e-4},
    {"symmetric", "f32[5,33] f32[5,33]", "symmetric=1 temperature=0.5 reduction=sum", 1e-4},
    {"negatives", "f32[3,4] f32[8,4]", "reduction=none", 1e-4},
    {"as_they_are", "f32[3,4] f32[3,4]", "normalize=0 temperature=1"},
    {"zeros", "f32[2,2]{0,0,1,0} f32[2,2]{0,1,0,0}", "", 1e-4},
    {"one", "f32[1,3] f32[1,3]"},
    {"half", "f16[3,33] f16[3,33]", "temperature=0.5", 1e-2},
    {"empty", "f32[0,3] f32[0,3]"},
    {"few_keys", "f32[3,4] f32[2,4]", "", 0, TERN_ERR_SHAPE},
    {"more_keys", "f32[2,4] f32[3,4]", "symmetric=1", 0, TERN_ERR_SHAPE},
    {"dims", "f32[2,4] f32[2,3]", "", 0, TERN_ERR_SHAPE},
    {"rank", "f32[4] f32[4]", "", 0, TERN_ERR_SHAPE},
    {"type", "f32[2,4] f16[2,4]", "", 0, TERN_ERR_TYPE},
    {"temperature", "f32[2,4] f32[2,4]", "temperature=0", 0, TERN_ERR_INVALID_ARGUMENT},
};

}  // namespace

extern constinit const Op op_info_nce = checked_op({.name = "info_nce",
                                                    .min_in = 2,
                                                    .max_in = 2,
                                                    .capability = Capability::training,
                                                    .attributes = attr_schema<Attrs>(kFields),
                                                    .infer = infer,
                                                    .decompose = decompose,
                                                    .cases = TERN_CASES(kCases)});

}  // namespace tern
