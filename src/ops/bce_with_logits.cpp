// SPDX-License-Identifier: Apache-2.0
// bce_with_logits: terms -w t log(sigmoid(x)) - (1 - t) log(1 - sigmoid(x)), which never overflow
//   x, t  float, same type and shape, t usually within [0, 1]
//   w     positive weight, same type, broadcasts to x (absent: 1)
//   loss  type of x, [] or with reduction=none the shape of x
#include "ops/loss.h"
#include "ops/unary.h"

namespace tern {
namespace {

struct Attrs {
  int64_t reduction = kLossMean;
};

tern_status infer(InferArgs& a) {
  TERN_TRY(require_pair(a, 0));
  const Shape& x = a.in(0).shape;
  if (a.has(2)) {
    Shape s;
    TERN_TRY(require_same_dtype(a, 0, 2));
    TERN_TRY(broadcast_shapes(x, a.in(2).shape, &s));
    if (!(s == x))
      return TERN_FAIL(TERN_ERR_SHAPE, "bce_with_logits: a weight of shape %s does not broadcast to %s",
                       to_string(a.in(2).shape).c_str(), to_string(x).c_str());
  }
  return infer_loss(a, x, a.attrs<Attrs>().reduction);
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const ValueId weight = a.has(2) ? widened(g, a.in(2)) : kNoValue;
  set_loss(a, binary_cross_entropy(g, widened(g, a.in(0)), widened(g, a.in(1)), weight), a.attrs<Attrs>().reduction);
}

constexpr AttrField kFields[] = {TERN_ATTR(Attrs, reduction, choice, 0, 2, kLossReductions)};

constexpr Case kCases[] = {
    {"mean", "f32[4,7] f32[4,7]:0..1"},
    {"weight", "f32[4,7] f32[4,7]:0..1 f32[7]:0.5..3"},
    {"one_weight", "f32[131] f32[131]:0..1 f32[]{2.5}", "reduction=sum", 1e-4},
    {"none", "f32[2,1,3] f32[2,1,3]:0..1 f32[2,1,1]:0.5..3", "reduction=none"},
    {"far", "f32[4]{-100,100,-100,100} f32[4]{0,0,1,1}", "reduction=none"},
    {"scalar", "f32[] f32[]:0..1"},
    {"half", "f16[33] f16[33]:0..1 f16[33]:1..2", "", 5e-3},
    {"empty", "f32[0,3] f32[0,3]"},
    {"shape", "f32[2,3] f32[3]", "", 0, TERN_ERR_SHAPE},
    {"weight_shape", "f32[2,3] f32[2,3] f32[2]", "", 0, TERN_ERR_SHAPE},
    {"weight_stretches", "f32[3] f32[3] f32[2,3]", "", 0, TERN_ERR_SHAPE},
    {"type", "f32[3] i32[3]", "", 0, TERN_ERR_TYPE},
    {"weight_type", "f32[3] f32[3] f16[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_bce_with_logits = checked_op({.name = "bce_with_logits",
                                                           .min_in = 2,
                                                           .max_in = 3,
                                                           .capability = Capability::training,
                                                           .attributes = attr_schema<Attrs>(kFields),
                                                           .infer = infer,
                                                           .decompose = decompose,
                                                           .cases = TERN_CASES(kCases)});

}  // namespace tern
