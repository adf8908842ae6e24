// SPDX-License-Identifier: Apache-2.0
// random_uniform: y = low + (high - low) u, u uniform in [0, 1) in steps of 2^-24 (so y is below high, up to rounding)
//   seed, step  i64 scalars; shape integers (optional, known when the plan is made, wins over the attribute)
//   place: which draw of the graph it is. Element i depends on (seed, step, place, i) alone (base/random.h)
//   y [shape] f32
#include <cstddef>

#include "ops/random.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  if (a.attrs<RandomUniformAttrs>().low > a.attrs<RandomUniformAttrs>().high)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "random_uniform: low is above high");
  return infer_random(a, TERN_DTYPE_F32);
}

tern_status reference(RefArgs& a) { return reference_random(a); }

constexpr AttrField kFields[] = {TERN_ATTR(RandomUniformAttrs, shape, integers, 0, 1e18),
                                 TERN_ATTR(RandomUniformAttrs, place, integer, 0, RandomDraw::kMostPlaces - 1),
                                 TERN_ATTR(RandomUniformAttrs, low, number, -1e30, 1e30),
                                 TERN_ATTR(RandomUniformAttrs, high, number, -1e30, 1e30)};

constexpr Case kCases[] = {
    {"small", "i64[]{7} i64[]{1}", "shape=4,7 place=1", 0},
    {"range", "i64[]{-7} i64[]{-1}", "shape=9001 low=-3 high=5.5", 0},
    {"one", "i64[] i64[]", "shape=5 low=2 high=2", 0},
    {"turned", "i64[] i64[]", "shape=5 low=2 high=1", 0, TERN_ERR_INVALID_ARGUMENT},
    {"rank5", "i64[]{3} i64[]{9}", "shape=2,1,3,2,2 place=16777215"},
    {"scalar", "i64[] i64[]"},
    {"empty", "i64[] i64[]", "shape=0,4"},
    {"given_shape", "i64[]{5} i64[]{1} i64[2]{3,5}", "place=2"},
    {"no_shape", "i64[] i64[] f32[1]{2}", "", 0, TERN_ERR_SHAPE},
    {"negative", "i64[] i64[] i64[1]{-2}", "", 0, TERN_ERR_SHAPE},
    {"huge", "i64[] i64[] i64[2]{4611686018427387904,4}", "", 0, TERN_ERR_LIMIT},
    {"step_type", "i64[] i32[]", "shape=3", 0, TERN_ERR_TYPE},
    {"seed_shape", "i64[1] i64[]", "shape=3", 0, TERN_ERR_SHAPE},
    {"place", "i64[] i64[]", "shape=3 place=16777216", 0, TERN_ERR_INVALID_ARGUMENT},
};

}  // namespace

extern constinit const Op op_random_uniform = checked_op({.name = "random_uniform",
                                                          .min_in = 2,
                                                          .max_in = 3,
                                                          .capability = Capability::training,
                                                          .attributes = attr_schema<RandomUniformAttrs>(kFields),
                                                          .infer = infer,
                                                          .reference = reference,
                                                          .vjp = vjp_zero,
                                                          .cases = TERN_CASES(kCases)});

}  // namespace tern
