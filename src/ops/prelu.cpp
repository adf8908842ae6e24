// SPDX-License-Identifier: Apache-2.0
// prelu: y = a where a >= 0, else slope * a
//   a  float; slope  same type, broadcast to the shape of a     y  like a
//   da = dy where a > 0, else dy * slope;  dslope = 0 where a > 0, else dy * a
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  TERN_TRY(require_float(a, 0));
  TERN_TRY(infer_binary(a));
  if (a.out(0).shape == a.in(0).shape) return TERN_OK;
  return TERN_FAIL(TERN_ERR_SHAPE, "prelu: the slope %s does not broadcast to %s", to_string(a.in(1).shape).c_str(),
                   to_string(a.in(0).shape).c_str());
}

tern_status reference(RefArgs& a) {
  return reference_binary(
      a, [](double x, double slope) { return x < 0 ? x * slope : x; }, [](int64_t x, int64_t) { return x; });
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  const ValueId x = a.in(0), dy = a.dout(0), positive = above(g, x, 0);
  a.set(0, emit(g, "where", {positive, dy, mul(g, dy, a.in(1))}));
  a.set(1, emit(g, "where", {positive, scalar_like(g, dy, 0), mul(g, dy, x)}));
}

constexpr Case kCases[] = {
    {"same", "f32[4,7] f32[4,7]"},
    {"channels", "f32[3,5] f32[5]"},
    {"column", "f32[3,5] f32[3,1]"},
    {"one", "f32[131] f32[]"},
    {"image", "f32[2,3,4,5] f32[1,1,5]"},
    {"rank5", "f32[2,1,3,2,2] f32[3,1,2]"},
    {"scalar", "f32[] f32[]"},
    {"steep", "f32[9]:-2..-1 f32[9]:1..3"},
    {"empty", "f32[0,3] f32[3]"},
    {"half", "f16[3,33] f16[33]", "", 2e-3},
    {"wider", "f32[3,1] f32[1,4]", "", 0, TERN_ERR_SHAPE},
    {"rank", "f32[3] f32[1,3]", "", 0, TERN_ERR_SHAPE},
    {"shape", "f32[3] f32[4]", "", 0, TERN_ERR_SHAPE},
    {"type", "f32[3] f16[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_prelu = checked_op({.name = "prelu",
                                                 .min_in = 2,
                                                 .max_in = 2,
                                                 .flags = kElementwise | kInPlace,
                                                 .elementwise = Elementwise::prelu,
                                                 .infer = infer,
                                                 .reference = reference,
                                                 .vjp = vjp,
                                                 .cases = TERN_CASES(kCases)});

}  // namespace tern
