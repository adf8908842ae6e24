// SPDX-License-Identifier: Apache-2.0
// lars_update: momentum at a rate of the layer's own (You, Gitman and Ginsburg 2017), as NVIDIA's LARC before SGD
//   s = trust |p| / (|gradient| + weight_decay |p| + epsilon), w = weight_decay; s = 1, w = 0 where a norm is 0
//   b = momentum b + s (gradient + w p);  p = p - rate b
//   p, b  states (ops/update.h); gradient; rate f32 scalar     y  the new p and b
#include <cstddef>

#include "ops/reduce.h"
#include "ops/unary.h"
#include "ops/update.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) { return infer_update(a, 1); }

ValueId norm(Graph& g, ValueId x) { return emit(g, "sqrt", {reduce_sum(g, mul(g, x, x), {}, false)}); }

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const LarsUpdateAttrs& t = a.attrs<LarsUpdateAttrs>();
  const ValueId p = read_f32(a, 0), gradient = read_f32(a, 2), one = constant_f32(g, 1), zero = constant_f32(g, 0);
  const ValueId size = norm(g, p), steepness = norm(g, gradient), decay = constant_f32(g, t.weight_decay);
  const ValueId both = emit(g, "logical_and", {above(g, size, 0), above(g, steepness, 0)});
  const ValueId below = add(g, add_product(g, steepness, size, decay), constant_f32(g, t.epsilon));
  const ValueId scale = emit(g, "where", {both, div(g, mul(g, size, constant_f32(g, t.trust)), below), one});
  const ValueId changed = add_product(g, gradient, p, emit(g, "where", {both, decay, zero}));
  const ValueId b = add_product(g, mul(g, changed, scale), read_f32(a, 1), constant_f32(g, t.momentum));
  write_f32(a, 0, sub(g, p, mul(g, a.in(3), b)));
  write_f32(a, 1, b);
}

constexpr AttrField kFields[] = {
    TERN_ATTR(LarsUpdateAttrs, momentum, number, 0, 1), TERN_ATTR(LarsUpdateAttrs, weight_decay, number, 0, 1e18),
    TERN_ATTR(LarsUpdateAttrs, trust, number, 0, 1e18), TERN_ATTR(LarsUpdateAttrs, epsilon, number, 0, 1)};

constexpr Case kCases[] = {
    {"small", "f32[4,7] f32[4,7] f32[4,7] f32[]{0.1}"},
    {"decay", "f32[131] f32[131] f32[131] f32[]{1}", "weight_decay=0.1 trust=0.02 momentum=0.8"},
    {"no_parameter", "f32[9]{0} f32[9] f32[9] f32[]{0.1}", "weight_decay=0.1"},
    {"no_gradient", "f32[9] f32[9] f32[9]{0} f32[]{0.1}", "weight_decay=0.1"},
    {"panels", "f32[70,5]@panel32 f32[70,5]@panel32 f32[70,5] f32[]{0.1}"},
    {"half", "f16[9] f32[9] f16[9] f32[]", "", 4e-3},
    {"scalar", "f32[] f32[] f32[] f32[]"},
    {"empty", "f32[0,3] f32[0,3] f32[0,3] f32[]"},
    {"shape", "f32[3] f32[3] f32[4] f32[]", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_lars_update = checked_op({.name = "lars_update",
                                                       .min_in = 4,
                                                       .max_in = 4,
                                                       .num_out = 2,
                                                       .flags = kWritesState,
                                                       .capability = Capability::training,
                                                       .encoded_in = 7,
                                                       .attributes = attr_schema<LarsUpdateAttrs>(kFields),
                                                       .infer = infer,
                                                       .no_gradient_because = NoGradient::input_output,
                                                       .decompose = decompose,
                                                       .cases = TERN_CASES(kCases)});

}  // namespace tern
