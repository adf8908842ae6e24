// SPDX-License-Identifier: Apache-2.0
// arg_max: y = index of the greatest element along the axis; the first among equals, or the last; NaN counts as the
// greatest
//   x  any number type     y  i64, without the axis (keep_dims: 1)
#include "ops/reduce.h"

namespace tern {
namespace {

tern_status reference(RefArgs& a) {
  return reference_arg_reduce(a, [](auto x, auto best) { return x > best || (x != x && best == best); });
}

constexpr Case kCases[] = {
    {"all", "f32[131]"},
    {"first", "f32[4,7]"},
    {"last", "f32[5,9]", "axis=-1"},
    {"middle", "f32[2,5,3]", "axis=1 keep_dims=1"},
    {"rank5", "f32[2,1,3,2,2]", "axis=2"},
    {"equals", "f32[2,4]{1,3,3,0,2,2,2,2}", "axis=1"},
    {"last_index", "f32[2,4]{1,3,3,0,2,2,2,2}", "axis=1 last_index=1"},
    {"nan", "f32[2,4]{1,nan,3,nan,nan,2,1,0}", "axis=1"},
    {"integer", "i32[9]"},
    {"bytes", "u8[9]:0..200"},
    {"long", "i64[2]{9007199254740992,9007199254740993}"},
    {"unsigned", "u64[2]{1,18446744073709551615}"},
    {"half", "f16[33]"},
    {"empty", "f32[3,0]", "axis=0"},
    {"no_elements", "f32[0,3]", "axis=0", 0, TERN_ERR_SHAPE},
    {"axis", "f32[3]", "axis=1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"scalar", "f32[]", "axis=0", 0, TERN_ERR_INVALID_ARGUMENT},
    {"type", "bool[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_arg_max = checked_op({.name = "arg_max",
                                                   .attributes = attr_schema<ArgReduceAttrs>(kArgReduceFields),
                                                   .infer = infer_arg_reduce,
                                                   .reference = reference,
                                                   .no_gradient_because = NoGradient::index_producer,
                                                   .cases = TERN_CASES(kCases)});

}  // namespace tern
