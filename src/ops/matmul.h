// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ops/op.h"

namespace tern {

struct MatmulAttrs {
  int64_t transpose_a = 0, transpose_b = 0;  // swap the last two dims; not for rank 1
};

// y[batch, m, n] = sum over k; the dims before the matrices broadcast. A rank-1 a is one row, a rank-1 b one column;
// the result lacks that dim.
struct MatmulDims {
  Shape batch, batch_a, batch_b, y;
  int64_t m = 1, n = 1, k = 1;
};
tern_status matmul_dims(const Shape& a, const Shape& b, const MatmulAttrs& p, MatmulDims* out);

// x [.., K], w [N, K], bias [N] optional -> y [.., N] of x's type.
tern_status infer_linear(InferArgs& a);

}  // namespace tern
