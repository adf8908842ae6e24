// SPDX-License-Identifier: Apache-2.0
// dropout: y = 0 where a random number falls below the probability, else x / (1 - probability)
//   x  float; seed, step  i64 scalars; place: which draw of the graph it is (random_bernoulli)     y  like x
//   dx = dy treated with the same draw
#include <cstddef>

#include "ops/random.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  for (int i = 1; i < 3; ++i) {
    TERN_TRY(require_rank(a, i, 0));
    if (a.in(i).dtype != TERN_DTYPE_I64)
      return TERN_FAIL(TERN_ERR_TYPE, "dropout: the %s is %s, i64 is needed", i == 1 ? "seed" : "step",
                       dtype_name(a.in(i).dtype));
  }
  return infer_unary_float(a);
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const DropoutAttrs& p = a.attrs<DropoutAttrs>();
  RandomBernoulliAttrs draw;
  draw.place = p.place, draw.probability = 1 - p.probability;
  const ValueId keep = emit(g, "random_bernoulli", {a.in(1), a.in(2), emit(g, "shape", {a.in(0)})}, draw);
  a.set(0, masked(g, keep, scaled(g, a.in(0), p.probability < 1 ? 1 / (1 - p.probability) : 0)));
}

constexpr AttrField kFields[] = {TERN_ATTR(DropoutAttrs, probability, number, 0, 1),
                                 TERN_ATTR(DropoutAttrs, place, integer, 0, RandomDraw::kMostPlaces - 1)};

constexpr Case kCases[] = {
    {"small", "f32[4,7] i64[]{7} i64[]{1}", "place=3"},
    {"seldom", "f32[131] i64[]{2} i64[]{1}", "probability=0.1"},
    {"none", "f32[9] i64[] i64[]", "probability=0"},
    {"all", "f32[9] i64[] i64[]", "probability=1"},
    {"rank5", "f32[2,1,3,2,2] i64[] i64[]"},
    {"half", "f16[33] i64[] i64[]", "", 4e-3},
    {"scalar", "f32[] i64[] i64[]"},
    {"empty", "f32[0,3] i64[] i64[]"},
    {"integer", "i32[3] i64[] i64[]", "", 0, TERN_ERR_TYPE},
    {"seed", "f32[3] i32[] i64[]", "", 0, TERN_ERR_TYPE},
    {"step", "f32[3] i64[] i64[1]", "", 0, TERN_ERR_SHAPE},
    {"probability", "f32[3] i64[] i64[]", "probability=-0.1", 0, TERN_ERR_INVALID_ARGUMENT},
};

}  // namespace

extern constinit const Op op_dropout = checked_op({.name = "dropout",
                                                   .min_in = 3,
                                                   .max_in = 3,
                                                   .capability = Capability::training,
                                                   .attributes = attr_schema<DropoutAttrs>(kFields),
                                                   .infer = infer,
                                                   .decompose = decompose,
                                                   .cases = TERN_CASES(kCases)});

}  // namespace tern
