// SPDX-License-Identifier: Apache-2.0
// random_bernoulli: y = true with this probability, exact to 2^-32
//   seed, step  i64 scalars; shape integers (optional, known when the plan is made, wins over the attribute)
//   place: which draw of the graph it is. Element i depends on (seed, step, place, i) alone (base/random.h)
//   y [shape] bool
#include <cstddef>

#include "ops/random.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) { return infer_random(a, TERN_DTYPE_BOOL); }

tern_status reference(RefArgs& a) { return reference_random(a); }

constexpr AttrField kFields[] = {TERN_ATTR(RandomBernoulliAttrs, shape, integers, 0, 1e18),
                                 TERN_ATTR(RandomBernoulliAttrs, place, integer, 0, RandomDraw::kMostPlaces - 1),
                                 TERN_ATTR(RandomBernoulliAttrs, probability, number, 0, 1)};

constexpr Case kCases[] = {
    {"small", "i64[]{7} i64[]{1}", "shape=4,7 place=1"},
    {"seldom", "i64[]{-7} i64[]{5}", "shape=9001 probability=0.01"},
    {"never", "i64[] i64[]", "shape=70 probability=0"},
    {"always", "i64[] i64[]", "shape=70 probability=1"},
    {"probability", "i64[] i64[]", "shape=5 probability=1.1", 0, TERN_ERR_INVALID_ARGUMENT},
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

extern constinit const Op op_random_bernoulli = checked_op({.name = "random_bernoulli",
                                                            .min_in = 2,
                                                            .max_in = 3,
                                                            .capability = Capability::training,
                                                            .attributes = attr_schema<RandomBernoulliAttrs>(kFields),
                                                            .infer = infer,
                                                            .reference = reference,
                                                            .no_gradient_because = NoGradient::integer_output,
                                                            .cases = TERN_CASES(kCases)});

}  // namespace tern
