// SPDX-License-Identifier: Apache-2.0
// reduce_min: y = least of x over the axes (bool: all of them); NaN wins; of nothing: inf (integers: the greatest value
// of the type)
//   x  any number type or bool     y  same type; an empty list of axes means all
//   dx = dy where x = y, shared among equals, else 0
#include <limits>

#include "ops/reduce.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_reduce(a, std::numeric_limits<double>::infinity(), highest_integer(a.in(0).dtype),
                          [](auto acc, auto x) { return x < acc || x != x ? x : acc; });
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
    {"nothing_integer", "u8[0,3]", "axes=0"},
    {"nothing_bool", "bool[0,3]", "axes=0"},
    {"nan", "f32[2,2]{1,nan,3,2}", "axes=1"},
    {"bool", "bool[4,3]", "axes=0"},
    {"long", "i64[2]{9007199254740993,9007199254740992}"},
    {"unsigned", "u64[2]{18446744073709551615,1}"},
    {"axis", "f32[3,4]", "axes=2", 0, TERN_ERR_INVALID_ARGUMENT},
    {"twice", "f32[3,4]", "axes=1,-1", 0, TERN_ERR_INVALID_ARGUMENT},
};

}  // namespace

extern constinit const Op op_reduce_min = checked_op({.name = "reduce_min",
                                                      .attributes = attr_schema<ReduceAttrs>(kReduceFields),
                                                      .infer = infer_reduce_or_bool,
                                                      .reference = reference,
                                                      .vjp = vjp_reduce_extreme,
                                                      .cases = TERN_CASES(kCases)});

}  // namespace tern
