// SPDX-License-Identifier: Apache-2.0
// relation_kl: how the tokens relate to one another in teacher and student (MiniLM, BitNet Distillation)
//   terms KL(softmax(R_teacher) || softmax(R_student)) of each row of R, per head
//   form=scaled  R = A A^T / sqrt(d) / temperature, A [tokens, d] the head's part of the input, d = dim / heads
//                (MiniLM; BitDistill, equation 12)
//   cosine       R = A A^T / temperature, rows of A of length 1 (BitDistill, algorithm 1, whose bound of 1e-8 for
//                probabilities is not needed: logarithms are exact here)
//   teacher [batch, tokens, dim], student [batch, tokens, its own dim]  float, same type; both dims divide by heads
//   mask  bool [batch, tokens], which tokens are there (absent: all): others neither count nor are related to
//   loss  type of the teacher, [] or with reduction=none [batch, heads, tokens]; mean is over the rows that count
#include <cmath>

#include "ops/expand.h"
#include "ops/loss.h"
#include "ops/matmul.h"
#include "ops/reshape.h"
#include "ops/transpose.h"
#include "ops/unary.h"

namespace tern {
namespace {

enum Form : int64_t { kScaled, kCosine };
constexpr const char* kForms[] = {"scaled", "cosine"};

struct Attrs {
  int64_t reduction = kLossMean, heads = 1, form = kScaled;
  double temperature = 1;
};

tern_status infer(InferArgs& a) {
  const Attrs& p = a.attrs<Attrs>();
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_same_dtype(a, 0, 1));
  for (int i = 0; i < 2; ++i) TERN_TRY(require_rank(a, i, 3));
  const Shape &t = a.in(0).shape, &s = a.in(1).shape;
  TERN_TRY(require_shape(a, 1, Shape{t[0], t[1], s[2]}));
  if (t[2] == 0 || s[2] == 0 || t[2] % p.heads || s[2] % p.heads)
    return TERN_FAIL(TERN_ERR_SHAPE,
                     "relation_kl: dims of %" PRId64 " and %" PRId64 " do not divide into %" PRId64 " heads", t[2],
                     s[2], p.heads);
  if (a.has(2)) {
    TERN_TRY(require_bool(a, 2));
    TERN_TRY(require_shape(a, 2, Shape{t[0], t[1]}));
  }
  return infer_loss(a, Shape{t[0], p.heads, t[1]}, p.reduction);
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const Attrs& p = a.attrs<Attrs>();
  const auto moved = [&](ValueId v, IntList dims, std::initializer_list<int64_t> axes) {
    return transpose(g, emit(g, "reshape", {v}, ReshapeAttrs{.shape = dims}), {axes.begin(), axes.size()});
  };
  const auto relations = [&](ValueId v) {  // [batch, heads, tokens, tokens]
    const int64_t d = g.value(v).shape[2] / p.heads;
    ValueId x = moved(widened(g, v), {0, 0, p.heads, d}, {0, 2, 1, 3});
    if (p.form == kCosine) x = emit(g, "l2_normalize", {x});
    const double scale = p.form == kCosine ? 1 : 1 / std::sqrt((double)d);
    const ValueId r = scaled(g, emit(g, "matmul", {x, x}, MatmulAttrs{0, 1}), scale);
    if (!a.has(2)) return r;
    return emit(g, "where", {moved(a.in(2), {0, 0, 1, 1}, {0, 2, 3, 1}), r, scalar_like(g, r, -1e30)});
  };
  const ValueId teacher = relations(a.in(0)), student = relations(a.in(1));
  ValueId rows = kNoValue;
  if (a.has(2)) rows = emit(g, "expand", {moved(a.in(2), {0, 0, 1}, {0, 2, 1})}, ExpandAttrs{.shape = {1, p.heads, 1}});
  const KlAttrs kl{.reduction = p.reduction, .temperature = p.temperature};
  a.set(0, narrowed(g, emit(g, "kl_divergence", {teacher, student, rows}, kl), g.value(a.in(0)).dtype));
}

constexpr AttrField kFields[] = {
    TERN_ATTR(Attrs, reduction, choice, 0, 3, kLossReductions), TERN_ATTR(Attrs, heads, integer, 1, 1 << 16),
    TERN_ATTR(Attrs, form, choice, 0, 1, kForms), TERN_ATTR(Attrs, temperature, number, 1e-3, 1e2)};

constexpr Case kCases[] = {
    {"one_head", "f32[2,3,4] f32[2,3,4]"},
    {"heads", "f32[2,5,12] f32[2,5,6]", "heads=3"},
    {"cosine", "f32[2,5,12] f32[2,5,6]", "heads=2 form=cosine temperature=0.5"},
    {"mask", "f32[2,4,6] f32[2,4,6] bool[2,4]{1,1,0,0,1,1,1,0}", "heads=2"},
    {"none", "f32[2,4,6] f32[2,4,6] bool[2,4]{1,1,0,0,1,1,1,0}", "heads=3 form=cosine reduction=none"},
    {"no_tokens", "f32[1,3,4] f32[1,3,4] bool[1,3]{0,0,0}"},
    {"batchmean", "f32[2,3,4] f32[2,3,4]", "reduction=batchmean"},
    {"zeros", "f32[1,2,2]{0} f32[1,2,2]{1,0,0,0}", "form=cosine"},
    {"half", "f16[1,5,32] f16[1,5,16]", "heads=2 form=cosine", 5e-3},
    {"empty", "f32[0,3,4] f32[0,3,4] bool[0,3]"},
    {"empty_tokens", "f32[2,0,4] f32[2,0,4]"},
    {"heads_over", "f32[1,3,4] f32[1,3,6]", "heads=4", 0, TERN_ERR_SHAPE},
    {"no_dims", "f32[1,3,0] f32[1,3,4]", "", 0, TERN_ERR_SHAPE},
    {"tokens", "f32[1,3,4] f32[1,2,4]", "", 0, TERN_ERR_SHAPE},
    {"rank", "f32[3,4] f32[3,4]", "", 0, TERN_ERR_SHAPE},
    {"mask_shape", "f32[1,3,4] f32[1,3,4] bool[3]", "", 0, TERN_ERR_SHAPE},
    {"mask_type", "f32[1,3,4] f32[1,3,4] f32[1,3]", "", 0, TERN_ERR_TYPE},
    {"type", "f32[1,3,4] f16[1,3,4]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_relation_kl = checked_op({.name = "relation_kl",
                                                       .min_in = 2,
                                                       .max_in = 3,
                                                       .capability = Capability::training,
                                                       .attributes = attr_schema<Attrs>(kFields),
                                                       .infer = infer,
                                                       .decompose = decompose,
                                                       .cases = TERN_CASES(kCases)});

}  // namespace tern
