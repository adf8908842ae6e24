// SPDX-License-Identifier: Apache-2.0
// random_normal: y = mean + deviation z, z normal: the same bits on every machine
//   seed, step  i64 scalars; shape integers (optional, known when the plan is made, wins over the attribute)
//   place: which draw of the graph it is. Element i depends on (seed, step, place, i) alone (base/random.h)
//   y [shape] f32
#include <cstddef>

#include "ops/random.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) { return infer_random(a, TERN_DTYPE_F32); }

tern_status reference(RefArgs& a) { return reference_random(a); }

constexpr AttrField kFields[] = {TERN_ATTR(RandomNormalAttrs, shape, integers, 0, 1e18),
                                 TERN_ATTR(RandomNormalAttrs, place, integer, 0, RandomDraw::kMostPlaces - 1),
                                 TERN_ATTR(RandomNormalAttrs, mean, number, -1e30, 1e30),
                                 TERN_ATTR(RandomNormalAttrs, deviation, number, 0, 1e30)};

constexpr Case kCases[] = {
    {"small", "i64[]{7} i64[]{1}", "shape=4,7 place=1", 0},
    {"moved", "i64[]{-7} i64[]{9223372036854775807}", "shape=9001 mean=-3 deviation=0.02", 0},
    {"one", "i64[] i64[]", "shape=5 mean=2 deviation=0", 0},
    {"deviation", "i64[] i64[]", "shape=5 deviation=-1", 0, TERN_ERR_INVALID_ARGUMENT},
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

extern constinit const Op op_random_normal = checked_op({.name = "random_normal",
                                                         .min_in = 2,
                                                         .max_in = 3,
                                                         .capability = Capability::training,
                                                         .attributes = attr_schema<RandomNormalAttrs>(kFields),
                                                         .infer = infer,
                                                         .reference = reference,
                                                         .vjp = vjp_zero,
                                                         .cases = TERN_CASES(kCases)});

}  // namespace tern
