// SPDX-License-Identifier: Apache-2.0
// linear_t: y[.., k] = sum over n of x[.., n] * w[n, k]
//   x [.., N] float; w [N, K] as for linear     y [.., K]
//   dx = linear(dy, w), dw = x^T dy
#include "ops/conv2d.h"
#include "ops/matmul.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const Shape &x = a.in(0).shape, &w = a.in(1).shape;
  TERN_TRY(require_float(a, 0));
  TERN_TRY(require_weight(a, 0, 1));
  TERN_TRY(require_rank(a, 1, 2));
  if (x.rank < 1 || x[x.rank - 1] != w[0])
    return TERN_FAIL(TERN_ERR_SHAPE, "linear_t: the input %s does not fit the weight %s", to_string(x).c_str(),
                     to_string(w).c_str());
  Shape y = x;
  y[y.rank - 1] = w[1];
  a.set(0, a.in(0).dtype, y);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const RefTensor &x = a.in(0), &w = a.in(1), &y = a.out(0);
  const int64_t n = w.shape[0], k = w.shape[1];
  for (int64_t i = 0, total = y.elements(); i < total; ++i) {
    double sum = 0;
    for (int64_t j = 0; j < n; ++j) sum += x.load(i / k * n + j) * w.load(j * k + i % k);
    y.store(i, sum);
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  Graph& g = a.g;
  const Shape w = g.value(a.in(1)).shape, x = g.value(a.in(0)).shape;
  if (a.wanted(0)) a.set(0, emit(g, "linear", {a.dout(0), a.in(1)}));
  if (!a.wanted(1)) return;
  int64_t count = 1;
  for (int i = 0; i + 1 < x.rank; ++i) count *= x[i];
  a.set(1, emit(g, "matmul", {reshape(g, a.in(0), {count, w[0]}), reshape(g, a.dout(0), {count, w[1]})},
                MatmulAttrs{1, 0}));
}

constexpr Case kCases[] = {
    {"small", "f32[3,4] f32[4,5]"},
    {"vector", "f32[4] f32[4,5]"},
    {"tokens", "f32[2,3,33] f32[33,17]", "", 1e-4},
    {"half", "f16[3,4] f16[4,5]", "", 2e-2},
    {"half_weight", "f32[3,4] f16[4,5]"},
    {"brain_weight", "f32[3,4] bf16[4,5]"},
    {"brain_panels", "f32[2,41] bf16[41,8]@panel32", "", 1e-4},
    {"panels", "f32[3,70] f32[70,19]@panel32", "", 1e-4},
    {"half_panels", "f32[2,41] f16[41,8]@panel32", "", 1e-4},
    {"int8_blocks", "f32[3,9] f32[9,70]@panel_int8", "", 1e-4},
    {"no_rows", "f32[0,4] f32[4,5]"},
    {"no_sum", "f32[3,0] f32[0,5]"},
    {"no_outputs", "f32[3,4] f32[4,0]"},
    {"dims", "f32[3,5] f32[4,5]", "", 0, TERN_ERR_SHAPE},
    {"scalar", "f32[] f32[1,5]", "", 0, TERN_ERR_SHAPE},
    {"integers", "i32[3,4] i32[4,5]", "", 0, TERN_ERR_TYPE},
};

}  // namespace

extern constinit const Op op_linear_t = checked_op({.name = "linear_t",
                                                    .min_in = 2,
                                                    .max_in = 2,
                                                    .encoded_in = 1u << 1,
                                                    .infer = infer,
                                                    .reference = reference,
                                                    .vjp = vjp,
                                                    .cases = TERN_CASES(kCases)});

}  // namespace tern
