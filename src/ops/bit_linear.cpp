// SPDX-License-Identifier: Apache-2.0
// bit_linear: y[.., n] = bias[n] + sum over k of q(x)[.., k] * w[n, k], where q rounds each row of x to 8 bits:
//   a = max(max|x|, 1e-5),  q(x) = clip(round half to even(x * (127 / a)), -128, 127) * a / 127
//   x [.., K] float; w [N, K] of any encoding, x's type or f16 / bf16 with x f32; bias [N] optional    y
//     [.., N]
//   dx and dw are those of linear with q(x) in place of x: the gradient passes the rounding unchanged
// "The Era of 1-bit LLMs", arXiv 2402.17764, section 2. With ternary weights the sums are exact integers.
#include "ops/conv2d.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/unary.h"

namespace tern {
namespace {

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const DType dtype = g.value(a.in(0)).dtype;
  const ValueId x = widened(g, a.in(0));
  const ValueId most = reduce_axis(g, "reduce_max", emit(g, "abs", {x}), -1);
  if (g.status != TERN_OK) return;
  const ValueId bounded = emit(g, "max", {most, scalar_like(g, most, 1e-5)});
  const ValueId steps = emit(g, "round", {mul(g, x, div(g, scalar_like(g, x, 127), bounded))});
  const ValueId codes = emit(g, "min", {emit(g, "max", {steps, scalar_like(g, x, -128)}), scalar_like(g, x, 127)});
  const ValueId rounded = mul(g, codes, scaled(g, bounded, 1.0 / 127));
  const ValueId through = narrowed(g, add(g, x, emit(g, "stop_gradient", {sub(g, rounded, x)})), dtype);
  a.set(0, a.has(2) ? emit(g, "linear", {through, a.in(1), a.in(2)}) : emit(g, "linear", {through, a.in(1)}));
}

constexpr Case kCases[] = {
    {"small", "f32[3,5] f32[4,5] f32[4]", "", 1e-4},
    {"no_bias", "f32[3,5] f32[4,5]", "", 1e-4},
    {"vector", "f32[5] f32[4,5] f32[4]", "", 1e-4},
    {"tokens", "f32[2,3,17] f32[33,17] f32[33]", "", 1e-4},
    {"half", "f16[3,5] f16[4,5] f16[4]", "", 2e-2},
    {"ternary", "f32[3,64] f32[16,64]@ternary2", "", 1e-4},
    {"ternary_bias", "f32[1,70] f32[41,70]@ternary2 f32[41]", "", 1e-4},
    {"ternary_rows", "f32[9,33] f32[33,33]@ternary2 f32[33]", "", 1e-4},
    {"ternary_rank3", "f32[2,3,20] f32[7,20]@ternary2", "", 1e-4},
    {"ternary_vector", "f32[70] f32[9,70]@ternary2", "", 1e-4},
    {"panels", "f32[3,19] f32[70,19]@panel32 f32[70]", "", 1e-4},
    {"zeros", "f32[2,3]{0,0,0,0,0,0} f32[2,3]@ternary2"},
    {"outlier", "f32[1,6]{1000,0.1,-3,4,-1000,2} f32[5,6]@ternary2", "", 1e-3},
    {"no_rows", "f32[0,5] f32[4,5]@ternary2 f32[4]"},
    {"no_outputs", "f32[3,5] f32[0,5]"},
    {"dims", "f32[3,5] f32[5,4]", "", 0, TERN_ERR_SHAPE},
    {"integers", "i32[3,5] i32[4,5]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_bit_linear = checked_op({.name = "bit_linear",
                                                      .min_in = 2,
                                                      .max_in = 3,
                                                      .encoded_in = 1u << 1,
                                                      .infer = infer_linear,
                                                      .decompose = decompose,
                                                      .cases = TERN_CASES(kCases)});

}  // namespace tern
