// SPDX-License-Identifier: Apache-2.0
// reduce_prod: y = product of x over the axes; integers wrap; the product of nothing is 1
//   x  any number type     y  same type; an empty list of axes means all
//   dx = dy * product of the other terms, also where one term is 0
#include "ops/reduce.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_reduce(a, 1, 1, [](auto acc, auto x) { return wrapping_mul(acc, x); });
}

void vjp(VjpArgs& a) {
  // With zeros taken as 1, product / x is the product of the others. It counts where no other term is 0: where the
  // number of zeros in the set is that of x itself.
  Graph& g = a.g;
  const ValueId x = a.in(0), one = scalar_like(g, x, 1), zero = emit(g, "equal", {x, scalar_like(g, x, 0)});
  ReduceAttrs p = a.attrs<ReduceAttrs>();
  p.keep_dims = 1;
  const ValueId self = masked(g, zero, one), zeros = emit(g, "reduce_sum", {self}, p);
  const ValueId rest = emit(g, "where", {zero, one, x}), others = div(g, emit(g, "reduce_prod", {rest}, p), rest);
  a.set(0, mul(g, expand_reduced(g, a.node, x, a.dout(0)), masked(g, emit(g, "equal", {zeros, self}), others)));
}

constexpr Case kCases[] = {
    {"all", "f32[4,7]"},
    {"last", "f32[5,131]", "axes=-1"},
    {"first", "f32[5,9]", "axes=0"},
    {"keep", "f32[2,3,4]", "axes=1 keep_dims=1"},
    {"middle", "f32[2,5,3,4]", "axes=1,2"},
    {"outer", "f32[3,4,5]", "axes=0,2"},
    {"order", "f32[3,4,5]", "axes=2,0 keep_dims=1"},
    {"rank5", "f32[2,1,3,2,2]", "axes=0,3,-1"},
    {"scalar", "f32[]"},
    {"one", "f32[1,1]", "axes=1"},
    {"half", "f16[33]", "", 5e-3},
    {"integer", "i32[5,3]", "axes=0"},
    {"bytes", "u8[7]:0..3", "keep_dims=1"},
    {"empty", "f32[0,3]", "axes=1"},
    {"nothing", "f32[0,3]", "axes=0"},
    {"zeros", "f32[3,3]{0,2,3,0,0,3,1,2,3}", "axes=1"},
    {"far", "f32[2,4]{1e30,1e30,1e-30,1e-30,1e30,1e30,0,1e-30}", "axes=1"},
    {"far_rows", "f32[4,2]{1e30,1e-30,1e30,1e-30,1e-30,1e30,1e-30,1e30}", "axes=0"},
    {"wrap", "i32[2]{65536,65536}"},
    {"axis", "f32[3,4]", "axes=2", 0, TERN_ERR_INVALID_ARGUMENT},
    {"twice", "f32[3,4]", "axes=1,-1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"type", "bool[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_reduce_prod = checked_op({.name = "reduce_prod",
                                                       .attributes = attr_schema<ReduceAttrs>(kReduceFields),
                                                       .infer = infer_reduce,
                                                       .reference = reference,
                                                       .vjp = vjp,
                                                       .cases = TERN_CASES(kCases)});

}  // namespace tern
