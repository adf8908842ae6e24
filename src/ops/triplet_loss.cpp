// SPDX-License-Identifier: Apache-2.0
// triplet_loss: terms max(0, d(anchor, positive) - d(anchor, negative) + margin), d(x, z) the length of x - z + 1e-6
//   (PyTorch's distance: the small term keeps the gradient of equal points finite)
//   anchor, positive, negative  float [.., dim], same type and shape
//   loss  type of the anchor, [] or with reduction=none [..]
#include "ops/loss.h"
#include "ops/unary.h"

namespace tern {
namespace {

struct Attrs {
  int64_t reduction = kLossMean;
  double margin = 1;
};

tern_status infer(InferArgs& a) {
  TERN_TRY(require_pair(a, 1));
  TERN_TRY(require_same_dtype(a, 0, 2));
  const Shape& x = a.in(0).shape;
  TERN_TRY(require_shape(a, 2, x));
  return infer_loss(a, Shape(std::span<const int64_t>(x.begin(), x.end() - 1)), a.attrs<Attrs>().reduction);
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const ValueId anchor = widened(g, a.in(0));
  const auto distance = [&](ValueId to) {
    return emit(g, "sqrt", {sum_last(g, square(g, plus(g, sub(g, anchor, widened(g, to)), 1e-6)))});
  };
  const ValueId gap = sub(g, distance(a.in(1)), distance(a.in(2)));
  set_loss(a, emit(g, "relu", {plus(g, gap, a.attrs<Attrs>().margin)}), a.attrs<Attrs>().reduction);
}

constexpr AttrField kFields[] = {TERN_ATTR(Attrs, reduction, choice, 0, 2, kLossReductions),
                                 TERN_ATTR(Attrs, margin, number, 0, 1e6)};

constexpr Case kCases[] = {
    {"mean", "f32[4,7] f32[4,7] f32[4,7]"},
    {"margin", "f32[5,33] f32[5,33] f32[5,33]", "margin=5 reduction=sum", 1e-4},
    {"none", "f32[2,3,4] f32[2,3,4] f32[2,3,4]", "reduction=none"},
    {"equal", "f32[1,2]{1,2} f32[1,2]{1,2} f32[1,2]{1,2}"},
    {"vector", "f32[9] f32[9] f32[9]"},
    {"half", "f16[3,33] f16[3,33] f16[3,33]", "", 1e-2},
    {"empty", "f32[0,3] f32[0,3] f32[0,3]"},
    {"rank", "f32[] f32[] f32[]", "", 0, TERN_ERR_SHAPE},
    {"shape", "f32[2,3] f32[2,3] f32[3]", "", 0, TERN_ERR_SHAPE},
    {"type", "f32[2,3] f32[2,3] f16[2,3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_triplet_loss = checked_op({.name = "triplet_loss",
                                                        .min_in = 3,
                                                        .max_in = 3,
                                                        .capability = Capability::training,
                                                        .attributes = attr_schema<Attrs>(kFields),
                                                        .infer = infer,
                                                        .decompose = decompose,
                                                        .cases = TERN_CASES(kCases)});

}  // namespace tern
