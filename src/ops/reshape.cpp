// SPDX-License-Identifier: Apache-2.0
// reshape: the elements of x under another shape
//   x any type; shape i64 (optional, known when the plan is made, wins over the attribute)
//   -1 in one place stands for what remains; 0 copies x's dim at that place unless allow_zero
//   dx = reshape(dy, shape of x)
#include "ops/reshape.h"

#include <cstddef>

#include "base/checked.h"
#include "ops/move.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const ReshapeAttrs& p = a.attrs<ReshapeAttrs>();
  const Shape& x = a.in(0).shape;
  IntList list = p.shape;
  if (a.has(1)) TERN_TRY(require_integers(a, 1, &list));
  Shape s;
  int unknown = -1;
  int64_t known = 1;
  for (int i = 0; i < (int)list.count; ++i) {
    int64_t d = list[i];
    if (d == 0 && !p.allow_zero) {
      if (i >= x.rank)
        return TERN_FAIL(TERN_ERR_SHAPE, "reshape: dim %d is 0 (copy), but the input has shape %s", i,
                         to_string(x).c_str());
      d = x[i];
    }
    if (d == -1 && unknown < 0) {
      unknown = i;
      d = 1;
    }
    if (d < 0 || !checked_mul(known, d, &known))
      return TERN_FAIL(TERN_ERR_SHAPE, "reshape: dim %d of the new shape is %" PRId64, i, d);
    s.push(d);
  }
  if (unknown >= 0) {
    if (known == 0 || x.elements() % known != 0)
      return TERN_FAIL(TERN_ERR_SHAPE, "reshape: %s does not divide into %" PRId64 " elements", to_string(x).c_str(),
                       known);
    s[unknown] = x.elements() / known;
  } else if (known != x.elements()) {
    return TERN_FAIL(TERN_ERR_SHAPE, "reshape: %s does not fit into %s", to_string(x).c_str(), to_string(s).c_str());
  }
  a.set(0, a.in(0).dtype, s);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  for (int64_t i = 0, n = a.out(0).elements(); i < n; ++i) copy_element(a.out(0), i, a.in(0), i);
  return TERN_OK;
}

void vjp(VjpArgs& a) { a.set(0, reshape(a.g, a.dout(0), a.g.value(a.in(0)).shape)); }

constexpr AttrField kFields[] = {TERN_ATTR(ReshapeAttrs, shape, integers, -1, 1e18),
                                 TERN_ATTR(ReshapeAttrs, allow_zero, integer, 0, 1)};

constexpr Case kCases[] = {
    {"flat", "f32[2,3,5]", "shape=-1"},
    {"zero_copies", "f32[2,3,5]", "shape=0,15"},
    {"unknown", "f16[2,3,4]", "shape=4,-1,2"},
    {"scalar", "f32[1,1]", "shape="},
    {"from_scalar", "f32[]", "shape=1,1,1,1,1"},
    {"rank5", "i64[2,2,3,1,1]", "shape=1,2,2,3"},
    {"empty", "f32[0,3]", "shape=3,0 allow_zero=1"},
    {"bool", "bool[6]", "shape=2,3"},
    {"input", "f32[2,6] i64[2]{3,-1}", "shape=12"},
    {"two_unknown", "f32[6]", "shape=-1,-1", 0, TERN_ERR_SHAPE},
    {"too_many", "f32[6]", "shape=7", 0, TERN_ERR_SHAPE},
    {"rest_of_empty", "f32[0,3]", "shape=0,-1", 0, TERN_ERR_SHAPE},
    {"copy_beyond", "f32[6]", "shape=6,0", 0, TERN_ERR_SHAPE},
    {"overflow", "f32[6] i64[3]{4611686018427387904,4,-1}", "", 0, TERN_ERR_SHAPE},
    {"negative", "f32[6] i64[2]{-6,-1}", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_reshape = checked_op({.name = "reshape",
                                                   .max_in = 2,
                                                   .flags = kView,
                                                   .attributes = attr_schema<ReshapeAttrs>(kFields),
                                                   .infer = infer,
                                                   .reference = reference,
                                                   .vjp = vjp,
                                                   .cases = TERN_CASES(kCases)});

}  // namespace tern
