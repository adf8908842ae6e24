// SPDX-License-Identifier: Apache-2.0
// reduce_sum: y = sum of x over the axes; integers wrap; the sum of nothing is 0
//   x  any number type     y  same type; an empty list of axes means all
//   dx = dy, stretched
#include "ops/reduce.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_reduce(a, 0, 0, [](auto acc, auto x) { return wrapping_add(acc, x); });
}

void vjp(VjpArgs& a) { a.set(0, expand_reduced(a.g, a.node, a.in(0), a.dout(0))); }

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
    {"wrap", "i32[2]{2147483647,1}"},
    {"long", "i64[2]{9007199254740992,1}"},
    {"axis", "f32[3,4]", "axes=2", 0, TERN_ERR_INVALID_ARGUMENT},
    {"twice", "f32[3,4]", "axes=1,-1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"type", "bool[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_reduce_sum = checked_op({.name = "reduce_sum",
                                                      .attributes = attr_schema<ReduceAttrs>(kReduceFields),
                                                      .infer = infer_reduce,
                                                      .reference = reference,
                                                      .vjp = vjp,
                                                      .cases = TERN_CASES(kCases)});

}  // namespace tern
