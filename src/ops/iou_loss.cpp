// SPDX-License-Identifier: Apache-2.0
// iou_loss: terms of pairs of boxes, e = 1e-7
//   iou   1 - i, i = intersection / (union + e)
//   giou  1 - i + (c - union) / (c + e), c the area of the smallest box around both
//   diou  1 - i + d^2 / (l^2 + e), d the distance of the centres, l the diagonal of that box
//   ciou  diou + a v, v = (4 / pi^2) (atan(w' / (h' + e)) - atan(w / (h + e)))^2
//         a = v / (1 - i + v + e), a constant for the gradient
//   boxes, targets  float [.., 4] x0 y0 x1 y1, same type and shape
//   loss            type of the boxes, [] or with reduction=none [..]
#include <numbers>

#include "ops/concat.h"
#include "ops/loss.h"
#include "ops/reduce.h"
#include "ops/unary.h"

namespace tern {
namespace {

enum Form : int64_t { kIou, kGiou, kDiou, kCiou };
constexpr const char* kForms[] = {"iou", "giou", "diou", "ciou"};
constexpr double kEpsilon = 1e-7;

struct Attrs {
  int64_t reduction = kLossMean, form = kCiou;
};

tern_status infer(InferArgs& a) {
  TERN_TRY(require_pair(a, 1));
  const Shape& x = a.in(0).shape;
  if (x[x.rank - 1] != 4)
    return TERN_FAIL(TERN_ERR_SHAPE, "iou_loss: boxes of shape %s, [.., 4] is needed", to_string(x).c_str());
  return infer_loss(a, Shape(std::span<const int64_t>(x.begin(), x.end() - 1)), a.attrs<Attrs>().reduction);
}

// The halves of the last axis.
struct Halves {
  ValueId low, high;
};
Halves halves(Graph& g, ValueId x) {
  Node n;
  n.op = find_op("split");
  n.in = {x};
  n.attrs<SplitAttrs>() = SplitAttrs{.axis = -1, .sizes = {}};
  std::vector<ValueId> outs;
  emit_node(g, std::move(n), 2, &outs);
  return g.status == TERN_OK ? Halves{outs[0], outs[1]} : Halves{kNoValue, kNoValue};
}

ValueId area(Graph& g, ValueId size) {
  const Halves h = halves(g, size);
  return mul(g, h.low, h.high);
}

ValueId aspect(Graph& g, ValueId size) {
  const Halves h = halves(g, size);
  return emit(g, "atan", {div(g, h.low, plus(g, h.high, kEpsilon))});
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const Attrs& p = a.attrs<Attrs>();
  const Halves x = halves(g, widened(g, a.in(0))), t = halves(g, widened(g, a.in(1)));
  const ValueId size_of_x = sub(g, x.high, x.low), size_of_t = sub(g, t.high, t.low);
  const ValueId common = sub(g, emit(g, "min", {x.high, t.high}), emit(g, "max", {x.low, t.low}));
  const ValueId around = sub(g, emit(g, "max", {x.high, t.high}), emit(g, "min", {x.low, t.low}));
  const ValueId inside = area(g, emit(g, "relu", {common}));
  const ValueId whole = sub(g, add(g, area(g, size_of_x), area(g, size_of_t)), inside);
  const ValueId apart = minus_from(g, 1, div(g, inside, plus(g, whole, kEpsilon)));
  ValueId terms = apart;
  if (p.form == kGiou) {
    const ValueId c = area(g, around);
    terms = add(g, terms, div(g, sub(g, c, whole), plus(g, c, kEpsilon)));
  } else if (p.form != kIou) {
    const auto length2 = [&](ValueId v) { return reduce_axis(g, "reduce_sum", square(g, v), -1); };
    const ValueId way = sub(g, add(g, x.low, x.high), add(g, t.low, t.high));
    terms = add(g, terms, div(g, scaled(g, length2(way), 0.25), plus(g, length2(around), kEpsilon)));
  }
  if (p.form == kCiou) {
    constexpr double kScale = 4 / (std::numbers::pi * std::numbers::pi);
    const ValueId v = scaled(g, square(g, sub(g, aspect(g, size_of_t), aspect(g, size_of_x))), kScale);
    const ValueId alpha = div(g, v, plus(g, add(g, apart, v), kEpsilon));
    terms = add(g, terms, mul(g, emit(g, "stop_gradient", {alpha}), v));
  }
  set_loss(a, sum_last(g, terms), p.reduction);
}

constexpr AttrField kFields[] = {TERN_ATTR(Attrs, reduction, choice, 0, 2, kLossReductions),
                                 TERN_ATTR(Attrs, form, choice, 0, 3, kForms)};

constexpr Case kCases[] = {
    {"iou", "f32[3,4]{0,0,2,2,1,1,4,3,0,0,1,1} f32[3,4]{1,0.5,3,3,0,0,3,5,2,2,3,4}", "form=iou"},
    {"giou", "f32[3,4]{0,0,2,2,1,1,4,3,0,0,1,1} f32[3,4]{1,0.5,3,3,0,0,3,5,2,2,3,4}", "form=giou reduction=sum"},
    {"diou", "f32[3,4]{0,0,2,2,1,1,4,3,0,0,1,1} f32[3,4]{1,0.5,3,3,0,0,3,5,2,2,3,4}", "form=diou reduction=none"},
    {"ciou", "f32[3,4]{0,0,2,2,1,1,4,3,0,0,1,1} f32[3,4]{1,0.5,3,3,0,0,3,5,2,2,3,4}", "reduction=none"},
    {"batch", "f32[2,2,4]{0,0,2,2.5,1,1,4,3} f32[2,2,4]{1,0.5,3,3}", "form=giou reduction=none"},
    {"no_area", "f32[2,4]{1,1,1,1,0,0,2,0} f32[2,4]{1,1,1,1,0,0,2,2}", "reduction=none"},
    {"half", "f16[3,4]{0,0,2,2,1,1,4,3} f16[3,4]{1,0.5,3,3.5}", "", 2e-2},
    {"empty", "f32[0,4] f32[0,4]"},
    {"five", "f32[2,5] f32[2,5]", "", 0, TERN_ERR_SHAPE},
    {"scalar", "f32[] f32[]", "", 0, TERN_ERR_SHAPE},
    {"shape", "f32[2,4] f32[1,4]", "", 0, TERN_ERR_SHAPE},
    {"type", "f32[2,4] f16[2,4]", "", 0, TERN_ERR_TYPE},
    {"form", "f32[2,4] f32[2,4]", "form=eiou", 0, TERN_ERR_INVALID_ARGUMENT},
};

}  // namespace

extern constinit const Op op_iou_loss = checked_op({.name = "iou_loss",
                                                    .min_in = 2,
                                                    .max_in = 2,
                                                    .capability = Capability::training,
                                                    .attributes = attr_schema<Attrs>(kFields),
                                                    .infer = infer,
                                                    .decompose = decompose,
                                                    .cases = TERN_CASES(kCases)});

}  // namespace tern
