// SPDX-License-Identifier: Apache-2.0
// rounded_linear: y[.., n] = bias[n] + sum over k of q(x)[.., k] * w[n, k], where q rounds each row of x to 16 bits
// in blocks of 32 (the last one may be shorter), each with a scale of its own:
//   a = max(max|block|, 1e-30),  q(block) = round half to even(block * (32385 / a)) * (a / 32385)
//   x [.., K] float, of up to 7 dims; w [N, K] of any encoding, x's type or f16 / bf16 with x f32; bias [N] optional
//     y [.., N]
//   dx and dw are those of linear with q(x) in place of x: the gradient passes the rounding unchanged
// With weights of 8 or 4 bits the sums over a block are integers: 32385 = 127 * 254 + 127, two bytes.
#include "ops/conv2d.h"
#include "ops/matmul.h"
#include "ops/pad.h"
#include "ops/reduce.h"
#include "ops/reshape.h"
#include "ops/unary.h"

namespace tern {
namespace {

constexpr int64_t kBlock = 32;

tern_status infer(InferArgs& a) {
  const Shape& x = a.in(0).shape;
  if (x.rank < kMaxRank) return infer_linear(a);
  return TERN_FAIL(TERN_ERR_SHAPE, "rounded_linear: the input %s leaves no dim for the blocks of its rows",
                   to_string(x).c_str());
}

// So many elements more, or fewer, at the end of the last axis.
ValueId longer(Graph& g, ValueId x, int64_t more) {
  const int rank = g.value(x).shape.rank;
  PadAttrs pad;
  pad.before.count = pad.after.count = rank;
  pad.after[rank - 1] = more;
  return more == 0 ? x : emit(g, "pad", {x}, pad);
}

// x [.., K] as [.., blocks, 32], the last one filled up with zeros; and back.
ValueId to_blocks(Graph& g, ValueId x, int64_t k) {
  ReshapeAttrs r;  // zeros copy dims
  r.shape.count = g.value(x).shape.rank + 1;
  r.shape[r.shape.count - 2] = (k + kBlock - 1) / kBlock, r.shape[r.shape.count - 1] = kBlock;
  return emit(g, "reshape", {longer(g, x, r.shape[r.shape.count - 2] * kBlock - k)}, r);
}
ValueId from_blocks(Graph& g, ValueId x, int64_t k) {
  ReshapeAttrs r;
  r.shape.count = g.value(x).shape.rank - 1;
  const int64_t whole = r.shape[r.shape.count - 1] = (k + kBlock - 1) / kBlock * kBlock;
  return longer(g, emit(g, "reshape", {x}, r), k - whole);
}

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const DType dtype = g.value(a.in(0)).dtype;
  const ValueId x = widened(g, a.in(0));
  const Shape& shape = g.value(x).shape;
  const int64_t k = shape[shape.rank - 1];
  const ValueId blocks = to_blocks(g, x, k);
  if (g.status != TERN_OK) return;
  const ValueId most = reduce_axis(g, "reduce_max", emit(g, "abs", {blocks}), -1);
  if (g.status != TERN_OK) return;
  const ValueId bounded = emit(g, "max", {most, scalar_like(g, most, 1e-30)});
  const ValueId codes = emit(g, "round", {mul(g, blocks, div(g, scalar_like(g, x, 32385), bounded))});
  const ValueId rounded = from_blocks(g, mul(g, codes, scaled(g, bounded, 1.0 / 32385)), k);
  const ValueId through = narrowed(g, add(g, x, emit(g, "stop_gradient", {sub(g, rounded, x)})), dtype);
  a.set(0, a.has(2) ? emit(g, "linear", {through, a.in(1), a.in(2)}) : emit(g, "linear", {through, a.in(1)}));
}

constexpr Case kCases[] = {
    {"small", "f32[3,5] f32[4,5] f32[4]", "", 1e-4},
    {"no_bias", "f32[3,64] f32[4,64]", "", 1e-4},
    {"vector", "f32[33] f32[4,33] f32[4]", "", 1e-4},
    {"tokens", "f32[2,3,70] f32[33,70] f32[33]", "", 1e-4},
    {"rank7", "f32[1,2,1,1,1,3,40] f32[4,40]", "", 1e-4},
    {"half", "f16[3,40] f16[4,40] f16[4]", "", 2e-2},
    {"bits8", "f32[3,70] f32[9,70]@panel_int8 f32[9]", "", 1e-4},
    {"bits8_rows", "f32[9,64] f32[70,64]@panel_int8", "", 1e-4},
    {"bits4", "f32[2,70] f32[41,70]@panel_int4 f32[41]", "", 1e-4},
    {"bits4_vector", "f32[96] f32[33,96]@panel_int4", "", 1e-4},
    {"minimum", "f32[2,3,20] f32[7,20]@panel_int4_min f32[7]", "", 1e-4},
    {"minimum_rows", "f32[13,160] f32[64,160]@panel_int4_min", "", 1e-4},
    {"panels", "f32[3,19] f32[70,19]@panel32 f32[70]", "", 1e-4},
    {"zeros", "f32[2,3]{0,0,0,0,0,0} f32[2,3]@panel_int8"},
    {"outlier", "f32[1,6]{1000,0.1,-3,4,-1000,2} f32[5,6]@panel_int4", "", 1e-3},
    {"no_rows", "f32[0,5] f32[4,5]@panel_int8 f32[4]"},
    {"no_outputs", "f32[3,5] f32[0,5]"},
    {"dims", "f32[3,5] f32[5,4]", "", 0, TERN_ERR_SHAPE},
    {"rank8", "f32[1,1,1,1,1,1,3,5] f32[4,5]", "", 0, TERN_ERR_SHAPE},
    {"integers", "i32[3,5] i32[4,5]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_rounded_linear = checked_op({.name = "rounded_linear",
                                                          .min_in = 2,
                                                          .max_in = 3,
                                                          .encoded_in = 1u << 1,
                                                          .infer = infer,
                                                          .decompose = decompose,
                                                          .cases = TERN_CASES(kCases)});

}  // namespace tern
