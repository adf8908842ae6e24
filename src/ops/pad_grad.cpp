// SPDX-License-Identifier: Apache-2.0
// pad_grad: dx of y = pad(x): every cell of dy is added to the element that it was copied from
//   dy float; before, after, mode as of pad     dx: the dims of dy less the pads
//   ddy = pad(ddx)
#include <cmath>
#include <cstddef>

#include "base/checked.h"
#include "ops/move.h"
#include "ops/pad.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  int64_t before[kMaxRank], after[kMaxRank];
  TERN_TRY(require_float(a, 0));
  TERN_TRY(pad_amounts(a, before, after));
  Shape x = a.in(0).shape;
  for (int i = 0; i < x.rank; ++i) {
    const int64_t n = x[i];
    if (!checked_sub(x[i], before[i], &x[i]) || !checked_sub(x[i], after[i], &x[i]) || x[i] < 0 ||
        (x[i] == 0 && n != 0))
      return TERN_FAIL(TERN_ERR_SHAPE, "pad_grad: axis %d has %" PRId64 " entries, fewer than the pads need", i, n);
  }
  a.set(0, a.in(0).dtype, x);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const PadAttrs& p = a.attrs<PadAttrs>();
  const RefTensor &dy = a.in(0), &x = a.out(0);
  std::vector<double> sum((size_t)x.elements(), 0.0);
  int64_t to[kMaxRank];
  for (Coordinates c(dy.shape); c.valid(); c.next()) {
    bool inside = true;
    for (int i = 0; i < x.shape.rank; ++i) {
      to[i] = pad_source((PadMode)p.mode, c.at[i] - (i < p.before.count ? p.before[i] : 0), x.shape[i]);
      inside = inside && to[i] >= 0;
    }
    if (inside) sum[(size_t)offset_of(x.shape, to)] += dy.load(c.flat);
  }
  for (int64_t i = 0; i < x.elements(); ++i) x.store(i, sum[(size_t)i]);
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  PadAttrs p = a.attrs<PadAttrs>();
  p.value = 0;
  a.set(0, emit(a.g, "pad", {a.dout(0)}, p));
}

constexpr AttrField kFields[] = {
    TERN_ATTR(PadAttrs, before, integers, -1e15, 1e15), TERN_ATTR(PadAttrs, after, integers, -1e15, 1e15),
    TERN_ATTR(PadAttrs, mode, choice, 0, 3, kPadModes), TERN_ATTR(PadAttrs, value, number, -INFINITY, INFINITY)};

constexpr Case kCases[] = {
    {"constant", "f32[3,5]", "before=1,0 after=0,2"},
    {"reflect", "f32[3,9]", "before=0,3 after=1,2 mode=reflect"},
    {"reflect_far", "f32[18]", "before=7 after=8 mode=reflect"},
    {"edge", "f32[5,6]", "before=1,2 after=2,1 mode=edge"},
    {"wrap", "f32[12,3]", "before=4,1 after=5,0 mode=wrap"},
    {"half", "f16[4]", "before=1 after=1 mode=edge", 2e-3},
    {"empty", "f32[0,3]", "before=0,1 after=0,1 mode=edge"},
    {"too_large", "f32[3]", "before=2 after=2 mode=edge", 0, TERN_ERR_SHAPE},
    {"nothing_left", "f32[3]", "before=3 after=0 mode=edge", 0, TERN_ERR_SHAPE},
    {"negative", "f32[3]", "before=-1 after=0 mode=wrap", 0, TERN_ERR_INVALID_ARGUMENT},
    {"integers", "i32[3]", "before=1 after=0", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_pad_grad = checked_op({.name = "pad_grad",
                                                    .capability = Capability::training,
                                                    .attributes = attr_schema<PadAttrs>(kFields),
                                                    .infer = infer,
                                                    .reference = reference,
                                                    .vjp = vjp,
                                                    .cases = TERN_CASES(kCases)});

}  // namespace tern
