// SPDX-License-Identifier: Apache-2.0
// linear: y[.., n] = bias[n] + sum over k of x[.., k] * w[n, k]
//   x [.., K] float; w [N, K] of any encoding, x's type or f16 / bf16 with x f32; bias [N] optional    y
//     [.., N]
//   dx = linear_t(dy, w), dw = dy^T x, dbias = dy (summed to its shape)
#include "ops/conv2d.h"
#include "ops/matmul.h"

namespace tern {

tern_status infer_linear(InferArgs& a) {
  const Shape &x = a.in(0).shape, &w = a.in(1).shape;
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_weight(a, 0, 1));
  TERN_TRY(require_rank(a, 1, 2));
  if (x.rank < 1 || x[x.rank - 1] != w[1])
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: the input %s does not fit the weight %s", a.node.op->name,
                     to_string(x).c_str(), to_string(w).c_str());
  if (a.has(2)) TERN_TRY(require_bias(a, 0, 2, w[0]));
  Shape y = x;
  y[y.rank - 1] = w[0];
  a.set(0, a.in(0).dtype, y);
  return TERN_OK;
}

namespace {

tern_status reference(RefArgs& a) {
  const RefTensor &x = a.in(0), &w = a.in(1), &y = a.out(0);
  const int64_t n = w.shape[0], k = w.shape[1];
  for (int64_t i = 0, total = y.elements(); i < total; ++i) {
    double sum = a.has(2) ? a.in(2).load(i % n) : 0;
    for (int64_t j = 0; j < k; ++j) sum += x.load(i / n * k + j) * w.load(i % n * k + j);
    y.store(i, sum);
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  const Shape w = g.value(a.in(1)).shape;
  if (a.wanted(0)) a.set(0, emit(g, "linear_t", {a.dout(0), a.in(1)}));
  if (a.wanted(1)) {
    const Shape x = g.value(a.in(0)).shape;
    int64_t count = 1;
    for (int i = 0; i + 1 < x.rank; ++i) count *= x[i];
    a.set(1, emit(g, "matmul", {reshape(g, a.dout(0), {count, w[0]}), reshape(g, a.in(0), {count, w[1]})},
                  MatmulAttrs{1, 0}));
  }
  if (a.wanted(2)) a.set(2, a.dout(0));
}

constexpr Case kCases[] = {
    {"small", "f32[3,5] f32[4,5] f32[4]"},
    {"no_bias", "f32[3,5] f32[4,5]"},
    {"vector", "f32[5] f32[4,5] f32[4]"},
    {"tokens", "f32[2,3,17] f32[33,17] f32[33]"},
    {"rank5", "f32[1,2,1,3,4] f32[2,4]"},
    {"half", "f16[3,5] f16[4,5] f16[4]", "", 2e-2},
    {"half_weight", "f32[3,5] f16[4,5] f16[4]"},
    {"brain_weight", "f32[3,5] bf16[4,5] bf16[4]"},
    {"brain_panels", "f32[2,8] bf16[41,8]@panel32"},
    {"brain_row", "f32[1,20] bf16[77,20]@panel32 bf16[77]"},
    {"panels", "f32[3,19] f32[70,19]@panel32 f32[70]"},
    {"half_panels", "f32[2,8] f16[41,8]@panel32"},
    {"int8_blocks", "f32[3,70] f32[9,70]@panel_int8 f32[9]", "", 1e-4},
    {"one_output", "f32[4,64] f32[1,64] f32[1]", "", 1e-4},
    {"no_rows", "f32[0,5] f32[4,5] f32[4]"},
    {"no_sum", "f32[3,0] f32[4,0] f32[4]"},
    {"no_outputs", "f32[3,5] f32[0,5]"},
    {"dims", "f32[3,5] f32[5,4]", "", 0, TERN_ERR_SHAPE},
    {"scalar", "f32[] f32[4,1]", "", 0, TERN_ERR_SHAPE},
    {"bias", "f32[3,5] f32[4,5] f32[5]", "", 0, TERN_ERR_SHAPE},
    {"rank", "f32[3,5] f32[2,4,5]", "", 0, TERN_ERR_SHAPE},
    {"integers", "i32[3,5] i32[4,5]", "", 0, TERN_ERR_TYPE},
    {"types", "f16[3,5] f32[4,5]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_linear = checked_op({.name = "linear",
                                                  .min_in = 2,
                                                  .max_in = 3,
                                                  .encoded_in = 1u << 1,
                                                  .infer = infer_linear,
                                                  .reference = reference,
                                                  .vjp = vjp,
                                                  .cases = TERN_CASES(kCases)});

}  // namespace tern
