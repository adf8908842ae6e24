// SPDX-License-Identifier: Apache-2.0
// ternarize: y = s * clip(round half to even(w / s), -1, 1) with s = max(mean|w|, 1e-5) over the whole tensor
//   w  float, of any encoding     y  same type and shape, plain
//   dw = dy: the gradient passes the rounding and the scale unchanged
// "The Era of 1-bit LLMs", arXiv 2402.17764, eq. 1-3.
#include "ops/reduce.h"
#include "ops/unary.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) { return infer_unary_float(a); }

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  ValueId w = a.in(0);
  if (!is_plain(g.value(w).encoding)) w = emit(g, "decode", {w});
  const DType dtype = g.value(a.in(0)).dtype;
  w = widened(g, w);
  const ValueId mean = emit(g, "reduce_mean", {emit(g, "abs", {w})}, ReduceAttrs{});
  if (g.status != TERN_OK) return;
  const ValueId scale = emit(g, "max", {mean, scalar_like(g, mean, 1e-5)});
  const ValueId steps = emit(g, "round", {div(g, w, scale)});
  const ValueId codes = emit(g, "min", {emit(g, "max", {steps, scalar_like(g, w, -1)}), scalar_like(g, w, 1)});
  a.set(0, narrowed(g, mul(g, codes, scale), dtype));  // these numbers exactly: they are what is packed
}

void vjp(VjpArgs& a) { a.set(0, a.dout(0)); }

constexpr Case kCases[] = {
    {"small", "f32[3,5]"},          {"panels", "f32[70,9]@panel32"}, {"zeros", "f32[2]{0,0}"},
    {"half", "f16[4,3]", "", 4e-3}, {"empty", "f32[0,3]"},           {"integer", "i32[3]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_ternarize = checked_op({.name = "ternarize",
                                                     .capability = Capability::training,
                                                     .encoded_in = 1,
                                                     .infer = infer,
                                                     .vjp = vjp,
                                                     .decompose = decompose,
                                                     .cases = TERN_CASES(kCases)});

}  // namespace tern
