// SPDX-License-Identifier: Apache-2.0
// matmul_integer: y[.., m, n] = sum over k of (a[.., m, k] - za[m]) * (b[.., k, n] - zb[n])
//   a, b  i8 or u8; shapes as in matmul     y  i32; sums beyond its range wrap
//   za  optional, type of a: one, [M] or [.., M, 1];  zb  optional, type of b: one, [N] or [.., 1, N]
#include "ops/matmul.h"

namespace tern {
namespace {

Shape matrix_shape(Shape batch, int64_t rows, int64_t columns) {
  batch.push(rows);
  batch.push(columns);
  return batch;
}

// The zero points of the rows as a shape that broadcasts against a.
Shape row_points(const Shape& s, const MatmulDims& d) { return s.rank == 1 && s[0] == d.m ? Shape{d.m, 1} : s; }

tern_status check_points(const InferArgs& a, int i, const Shape& points, const Shape& matrix, int shared_axis) {
  Shape s;
  TERN_TRY(require_same_dtype(a, i, i - 2));
  const int k = points.rank - shared_axis;  // the axis of the sum has one point only
  if (broadcast_shapes(points, matrix, &s) == TERN_OK && s == matrix && (k < 0 || points[k] == 1)) return TERN_OK;
  return TERN_FAIL(TERN_ERR_SHAPE, "matmul_integer: zero points of shape %s do not fit input %d of shape %s",
                   to_string(a.in(i).shape).c_str(), i - 2, to_string(a.in(i - 2).shape).c_str());
}

tern_status infer(InferArgs& a) {
  for (int i = 0; i < 2; ++i) {
    const DType t = a.in(i).dtype;
    if (t != TERN_DTYPE_U8 && t != TERN_DTYPE_I8)
      return TERN_FAIL(TERN_ERR_TYPE, "matmul_integer: input %d is %s, u8 or i8 is needed", i, dtype_name(t));
  }
  MatmulDims d;
  TERN_TRY(matmul_dims(a.in(0).shape, a.in(1).shape, MatmulAttrs(), &d));
  if (a.has(2)) TERN_TRY(check_points(a, 2, row_points(a.in(2).shape, d), matrix_shape(d.batch_a, d.m, d.k), 1));
  if (a.has(3)) TERN_TRY(check_points(a, 3, a.in(3).shape, matrix_shape(d.batch_b, d.k, d.n), 2));
  a.set(0, TERN_DTYPE_I32, d.y);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const RefTensor &x = a.in(0), &w = a.in(1), &y = a.out(0);
  MatmulDims d;
  TERN_TRY(matmul_dims(x.shape, w.shape, MatmulAttrs(), &d));
  const Shape rows = row_points(a.has(2) ? a.in(2).shape : Shape(), d), columns = a.has(3) ? a.in(3).shape : Shape();
  const Shape xs = matrix_shape(d.batch_a, d.m, d.k), ws = matrix_shape(d.batch_b, d.k, d.n);
  int64_t i = 0;
  for (int64_t batch = 0, batches = d.batch.elements(); batch < batches; ++batch) {
    const int64_t x0 = broadcast_offset(d.batch, d.batch_a, batch) * d.m * d.k,
                  w0 = broadcast_offset(d.batch, d.batch_b, batch) * d.k * d.n;
    for (int64_t m = 0; m < d.m; ++m)
      for (int64_t n = 0; n < d.n; ++n, ++i) {
        int64_t sum = 0;
        for (int64_t k = 0; k < d.k; ++k) {
          const int64_t ix = x0 + m * d.k + k, iw = w0 + k * d.n + n;
          const int64_t zx = a.has(2) ? a.in(2).load_int(broadcast_offset(xs, rows, ix)) : 0;
          const int64_t zw = a.has(3) ? a.in(3).load_int(broadcast_offset(ws, columns, iw)) : 0;
          sum += (x.load_int(ix) - zx) * (w.load_int(iw) - zw);
        }
        y.store_int(i, sum);
      }
  }
  return TERN_OK;
}

constexpr Case kCases[] = {
    {"small", "u8[4,7]:0..255 u8[7,3]:0..255"},
    {"signed", "i8[5,33] i8[33,6]"},
    {"mixed", "u8[5,33]:0..255 i8[33,6] u8[]{128}"},
    {"points", "u8[4,7]:0..255 u8[7,3]:0..255 u8[]{12} u8[]{7}"},
    {"rows", "u8[4,7]:0..255 i8[7,3] u8[4]{1,2,3,255} i8[3]{-1,0,5}"},
    {"ones", "u8[4,7]:0..255 i8[7,3] u8[1]{9} i8[1]{-3}"},
    {"second", "u8[4,7]:0..255 i8[7,3] - i8[3]{-1,0,5}"},
    {"batch", "u8[2,4,5]:0..255 i8[5,3]"},
    {"batches", "u8[2,1,4,5]:0..255 i8[3,5,2] u8[2,1,4,1] i8[3,1,2]"},
    {"vector", "u8[7]:0..255 i8[7,3]"},
    {"vectors", "u8[7]:0..255 i8[7]"},
    {"odd", "u8[1,131]:0..255 i8[131,1]:-128..127"},
    {"no_terms", "u8[2,0] i8[0,3]"},
    {"empty", "u8[0,3] i8[3,2]"},
    {"inner", "u8[4,7] i8[6,3]", "", 0, TERN_ERR_SHAPE},
    {"point_shape", "u8[4,7] i8[7,3] u8[7]", "", 0, TERN_ERR_SHAPE},
    {"point_column", "u8[4,7] i8[7,3] u8[1,7]", "", 0, TERN_ERR_SHAPE},
    {"point_b", "u8[4,7] i8[7,3] u8[] i8[7]", "", 0, TERN_ERR_SHAPE},
    {"point_type", "u8[4,7] i8[7,3] i8[]", "", 0, TERN_ERR_TYPE},
    {"type", "i32[4,7] i8[7,3]", "", 0, TERN_ERR_TYPE},
    {"scalar", "u8[] i8[3]", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_matmul_integer = checked_op({.name = "matmul_integer",
                                                          .min_in = 2,
                                                          .max_in = 4,
                                                          .infer = infer,
                                                          .reference = reference,
                                                          .no_gradient_because = NoGradient::integer_output,
                                                          .cases = TERN_CASES(kCases)});

}  // namespace tern
