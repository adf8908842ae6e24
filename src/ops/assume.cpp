// SPDX-License-Identifier: Apache-2.0
// assume: y = x, as long as what chose the computation of x holds
//   x any type; choice, expected: constants or what follows from dims, same type and shape     y same as x
//   A plan for sizes where choice is not expected is refused: another computation would be needed, which the model does
//   not have
//   dx = dy
#include <cstring>

#include "ops/move.h"
#include "ops/unary.h"

namespace tern {
namespace {

bool same_content(const Value& a, const Value& b) {
  return a.shape == b.shape &&
         std::memcmp(a.data.bytes, b.data.bytes, (size_t)a.shape.elements() * dtype_size(a.dtype)) == 0;
}

tern_status infer(InferArgs& a) {
  TERN_TRY(require_same_dtype(a, 1, 2));
  const Value &choice = a.in(1), &expected = a.in(2);
  for (int i = 1; i < 3; ++i)
    if (!a.in(i).data)
      return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                       "assume: input %d ('%s') must follow from constants and dims, but depends on data", i,
                       a.in(i).name.c_str());
  if (!same_content(choice, expected))
    return TERN_FAIL(TERN_ERR_SHAPE,
                     "for these sizes the model computes something else than for those that it was imported for ('%s')",
                     choice.name.c_str());
  return infer_unary(a);
}

tern_status reference(RefArgs& a) {
  const RefTensor &x = a.in(0), &y = a.out(0);
  for (int64_t i = 0, n = y.elements(); i < n; ++i) copy_element(y, i, x, i);
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  if (a.wanted(0)) a.set(0, a.dout(0));
}

constexpr Case kCases[] = {
    {"holds", "f32[2,3] bool[]{1} bool[]{1}"},
    {"sizes", "i64[2] i64[2]{3,4} i64[2]{3,4}"},
    {"none", "f16[0] i32[0]{} i32[0]{}"},
    {"does_not", "f32[2,3] bool[]{1} bool[]{0}", "", 0, TERN_ERR_SHAPE},
    {"types", "f32[2] i64[]{1} i32[]{1}", "", 0, TERN_ERR_TYPE},
    {"shapes", "f32[2] i64[1]{1} i64[]{1}", "", 0, TERN_ERR_SHAPE},
    {"unknown", "f32[2] i64[] i64[]{1}", "", 0, TERN_ERR_UNSUPPORTED},
};

}  // namespace

extern constinit const Op op_assume = checked_op({.name = "assume",
                                                  .min_in = 3,
                                                  .max_in = 3,
                                                  .flags = kView,
                                                  .infer = infer,
                                                  .reference = reference,
                                                  .vjp = vjp,
                                                  .cases = TERN_CASES(kCases)});

}  // namespace tern
