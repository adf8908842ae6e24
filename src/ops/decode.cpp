// SPDX-License-Identifier: Apache-2.0
// decode: y = x, element after element: a parameter that is stored in an order or as codes of its own, for arithmetic
//   x  float, of any encoding     y  same type and shape, plain
//   dx = dy
#include "ops/move.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) { return infer_unary_float(a); }

tern_status reference(RefArgs& a) {
  const RefTensor &x = a.in(0), &y = a.out(0);
  for (int64_t i = 0, n = y.elements(); i < n; ++i) copy_element(y, i, x, i);
  return TERN_OK;
}

void vjp(VjpArgs& a) { a.set(0, a.dout(0)); }

constexpr Case kCases[] = {
    {"panels", "f32[70,5]@panel32"}, {"kernel", "f32[9,3,2,4]@panel32"},
    {"half", "f16[33,4]@panel32"},   {"codes", "f32[9,40]@panel_int8"},
    {"one", "f32[1,1]@panel32"},     {"plain", "f32[4,7]"},
    {"empty", "f32[0,3]"},           {"integer", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_decode = checked_op({.name = "decode",
                                                  .capability = Capability::training,
                                                  .encoded_in = 1,
                                                  .infer = infer,
                                                  .reference = reference,
                                                  .vjp = vjp,
                                                  .cases = TERN_CASES(kCases)});

}  // namespace tern
