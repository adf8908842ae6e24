// SPDX-License-Identifier: Apache-2.0
// reverse: x read backwards along each of `axes`
//   x any type
//   dx = reverse(dy)
#include <cstddef>

#include "ops/expand.h"
#include "ops/move.h"

namespace tern {
namespace {

tern_status axes_of(const ReverseAttrs& p, int rank, bool* reversed) {
  for (int64_t v : p.axes) {
    int axis;
    TERN_TRY(normalize_axis(v, rank, &axis));
    if (reversed[axis]) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "reverse: axis %d appears twice", axis);
    reversed[axis] = true;
  }
  return TERN_OK;
}

tern_status infer(InferArgs& a) {
  bool reversed[kMaxRank] = {};
  TERN_TRY(axes_of(a.attrs<ReverseAttrs>(), a.in(0).shape.rank, reversed));
  return infer_unary(a);
}

tern_status reference(RefArgs& a) {
  const Shape& s = a.out(0).shape;
  bool reversed[kMaxRank] = {};
  TERN_TRY(axes_of(a.attrs<ReverseAttrs>(), s.rank, reversed));
  int64_t from[kMaxRank];
  for (Coordinates c(s); c.valid(); c.next()) {
    for (int i = 0; i < s.rank; ++i) from[i] = reversed[i] ? s[i] - 1 - c.at[i] : c.at[i];
    copy_element(a.out(0), c.flat, a.in(0), offset_of(s, from));
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) { a.set(0, emit(a.g, "reverse", {a.dout(0)}, a.attrs<ReverseAttrs>())); }

constexpr AttrField kFields[] = {TERN_ATTR(ReverseAttrs, axes, integers, -8, 7)};

constexpr Case kCases[] = {
    {"rows", "f32[3,4]", "axes=0"},
    {"both", "f16[3,5]", "axes=0,-1"},
    {"none", "f32[3]"},
    {"rank5", "f32[2,1,3,2,2]", "axes=2,4"},
    {"integers", "i64[4]", "axes=0"},
    {"bool", "bool[2,3]", "axes=1"},
    {"empty", "f32[0,3]", "axes=0"},
    {"scalar", "f32[]"},
    {"twice", "f32[3,4]", "axes=1,-1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"outside", "f32[3]", "axes=1", 0, TERN_ERR_INVALID_ARGUMENT},
};

}  // namespace

extern constinit const Op op_reverse = checked_op({.name = "reverse",
                                                   .attributes = attr_schema<ReverseAttrs>(kFields),
                                                   .infer = infer,
                                                   .reference = reference,
                                                   .vjp = vjp,
                                                   .cases = TERN_CASES(kCases)});

}  // namespace tern
