// SPDX-License-Identifier: Apache-2.0
// relu: y = max(x, 0)
//   dx = dy where x > 0, else 0
#include <algorithm>

#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  const bool is_unsigned = a.in(0).dtype == TERN_DTYPE_U64;
  return reference_unary(
      a, [](double x) { return x > 0 || x != x ? x : 0.0; }, [=](int64_t x) { return x > 0 || is_unsigned ? x : 0; });
}

void vjp(VjpArgs& a) {
  const ValueId zero = scalar_like(a.g, a.in(0), 0);
  a.set(0, emit(a.g, "where", {emit(a.g, "greater", {a.in(0), zero}), a.dout(0), scalar_like(a.g, a.dout(0), 0)}));
}

constexpr Case kCases[] = {
    {"small", "f32[4,7]"},
    {"half", "f16[3,1,5]", "", 2e-3},
    {"integer", "i32[9]"},
    {"long", "i64[3]{9007199254740993,-9007199254740993,1}"},
    {"unsigned", "u64[2]{18446744073709551615,0}"},
    {"nan", "f32[3]{nan,-1,inf}"},
    {"empty", "f32[0,3]"},
    {"scalar", "f32[]"},
};

}  // namespace

extern constinit const Op op_relu = checked_op({.name = "relu",
                                                .flags = kElementwise | kInPlace,
                                                .elementwise = Elementwise::relu,
                                                .infer = infer_unary,
                                                .reference = reference,
                                                .vjp = vjp,
                                                .cases = TERN_CASES(kCases)});

}  // namespace tern
