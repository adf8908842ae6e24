// SPDX-License-Identifier: Apache-2.0
// require_finite: y = x; NaN or an infinity in it ends the run (TERN_ERR_NOT_FINITE) before any update
//   x  float     y  like x
//   dx = dy
#include "ops/move.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) { return infer_unary_float(a); }

tern_status reference(RefArgs& a) {
  const RefTensor &x = a.in(0), &y = a.out(0);
  for (int64_t i = 0, n = y.elements(); i < n; ++i) {
    if (!std::isfinite(x.load(i)))
      return TERN_FAIL(TERN_ERR_NOT_FINITE, "require_finite: element %" PRId64 " of %s is %g", i,
                       to_string(x.shape).c_str(), x.load(i));
    copy_element(y, i, x, i);
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) { a.set(0, a.dout(0)); }

constexpr Case kCases[] = {
    {"small", "f32[4,7]"},
    {"half", "f16[33]"},
    {"brain", "bf16[5]"},
    {"double", "f64[3]"},
    {"scalar", "f32[]"},
    {"largest", "f32[2]{3.4e38,-3.4e38}"},
    {"empty", "f32[0,3]"},
    {"nan", "f32[3]{1,nan,2}", "", 0, TERN_ERR_NOT_FINITE},
    {"infinity", "f32[]{inf}", "", 0, TERN_ERR_NOT_FINITE},
    {"minus_infinity", "f16[40]{1,1,1,1,1,1,1,-inf}", "", 0, TERN_ERR_NOT_FINITE},
    {"brain_nan", "bf16[2]{0,nan}", "", 0, TERN_ERR_NOT_FINITE},
    {"integer", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_require_finite = checked_op({.name = "require_finite",
                                                          .flags = kInPlace | kChecks,
                                                          .capability = Capability::training,
                                                          .infer = infer,
                                                          .reference = reference,
                                                          .vjp = vjp,
                                                          .cases = TERN_CASES(kCases)});

}  // namespace tern
