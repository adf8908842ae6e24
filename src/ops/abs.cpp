// SPDX-License-Identifier: Apache-2.0
// abs: y = |x|; the least integer stays as it is
//   x  any number type     y  same type and shape
//   dx = dy * sign(x)
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  if (a.in(0).dtype == TERN_DTYPE_U64)
    return reference_unary(
        a, [](double x) { return x; }, [](int64_t x) { return x; });
  return reference_unary(
      a, [](double x) { return std::fabs(x); }, [](int64_t x) { return x < 0 ? (int64_t)(0 - (uint64_t)x) : x; });
}

void vjp(VjpArgs& a) { a.set(0, mul(a.g, a.dout(0), emit(a.g, "sign", {a.in(0)}))); }

constexpr Case kCases[] = {
    {"small", "f32[4,7]"},
    {"odd", "f32[131]"},
    {"rank5", "f32[2,1,3,2,2]"},
    {"scalar", "f32[]"},
    {"empty", "f32[0,3]"},
    {"half", "f16[33]", "", 2e-3},
    {"integer", "i32[9]"},
    {"bytes", "u8[7]:0..200"},
    {"least", "i32[2]{-2147483648,-1}"},
    {"long", "i64[2]{-9007199254740993,3}"},
    {"type", "bool[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_abs = checked_op({.name = "abs",
                                               .flags = kElementwise | kInPlace,
                                               .elementwise = Elementwise::abs,
                                               .infer = infer_unary_number,
                                               .reference = reference,
                                               .vjp = vjp,
                                               .cases = TERN_CASES(kCases)});

}  // namespace tern
