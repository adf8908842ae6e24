// SPDX-License-Identifier: Apache-2.0
// decode: y = x as a plain tensor
//   x  float, of any encoding     y  same type and shape, plain
//   dx = dy
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) { return infer_unary_float(a); }

tern_status reference(RefArgs& a) {
  for (int64_t i = 0, n = a.out(0).elements(); i < n; ++i) a.out(0).store(i, a.in(0).load(i));
  return TERN_OK;
}

void vjp(VjpArgs& a) { a.set(0, a.dout(0)); }

constexpr Case kCases[] = {
    {"plain", "f32[4,7]"},
    {"panels", "f32[70,5]@panel32"},
    {"half_panels", "f16[33,6]@panel32"},
    {"kernels", "f32[9,3,2,2]@panel32"},
    {"blocks", "f32[9,40]@panel_int8"},
    {"brain", "bf16[33]"},
    {"scalar", "f32[]"},
    {"empty", "f32[0,3]"},
    {"integer", "i32[3]", "", 0, TERN_ERR_TYPE},
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
