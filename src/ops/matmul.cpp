// SPDX-License-Identifier: Apache-2.0
// matmul: y[.., m, n] = sum over k of a[.., m, k] * b[.., k, n]
//   a, b any number type, the same; dims before the matrices broadcast; rank 1 as in NumPy
//   b may be encoded: then it is [N, K] with transpose_b = 1, and may be f16 / bf16 with a f32
//   da = dy b^T, db = a^T dy
#include "ops/matmul.h"

#include <cstddef>

#include "ops/conv2d.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) {
  const MatmulAttrs& p = a.attrs<MatmulAttrs>();
  MatmulDims d;
  if (a.in(0).dtype == TERN_DTYPE_BOOL) return TERN_FAIL(TERN_ERR_TYPE, "matmul: input 0 must be a tensor of numbers");
  if (is_plain(a.in(1).encoding)) {
    TERN_TRY(require_same_dtype(a, 0, 1));
  } else {
    TERN_TRY(require_weight(a, 0, 1));
    TERN_TRY(require_rank(a, 1, 2));
    if (!p.transpose_b) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "matmul: an encoded matrix needs transpose_b");
  }
  TERN_TRY(matmul_dims(a.in(0).shape, a.in(1).shape, p, &d));
  a.set(0, a.in(0).dtype, d.y);
  return TERN_OK;
}

tern_status reference(RefArgs& a) {
  const MatmulAttrs& p = a.attrs<MatmulAttrs>();
  const RefTensor &x = a.in(0), &w = a.in(1), &y = a.out(0);
  MatmulDims d;
  TERN_TRY(matmul_dims(x.shape, w.shape, p, &d));
  const int64_t xm = p.transpose_a ? 1 : d.k, xk = p.transpose_a ? d.m : 1, wk = p.transpose_b ? 1 : d.n,
                wn = p.transpose_b ? d.k : 1;
  clear_padding(y);
  int64_t i = 0;
  for (int64_t batch = 0, batches = d.batch.elements(); batch < batches; ++batch) {
    const int64_t x0 = broadcast_offset(d.batch, d.batch_a, batch) * d.m * d.k,
                  w0 = broadcast_offset(d.batch, d.batch_b, batch) * d.k * d.n;
    for (int64_t m = 0; m < d.m; ++m)
      for (int64_t n = 0; n < d.n; ++n, ++i) {
        if (is_integer(x.dtype)) {
          uint64_t sum = 0;
          for (int64_t k = 0; k < d.k; ++k)
            sum += (uint64_t)x.load_int(x0 + m * xm + k * xk) * (uint64_t)w.load_int(w0 + k * wk + n * wn);
          y.store_int(i, (int64_t)sum);
        } else {
          double sum = 0;
          for (int64_t k = 0; k < d.k; ++k) sum += x.load(x0 + m * xm + k * xk) * w.load(w0 + k * wk + n * wn);
          y.store(i, sum);
        }
      }
  }
  return TERN_OK;
}

void vjp(VjpArgs& a) {
  const MatmulAttrs& p = a.attrs<MatmulAttrs>();
  Graph& g = a.g;
  const Shape x = g.value(a.in(0)).shape, w = g.value(a.in(1)).shape, y = g.value(a.out(0)).shape;
  const bool encoded = !is_plain(g.value(a.in(1)).encoding);
  ValueId vx = a.in(0), vw = a.in(1), dy = a.dout(0);
  // Rank 1: the same with the missing dims put back.
  Shape full = y;
  if (w.rank == 1) full.push(1);
  if (x.rank == 1) {
    full.push(full.rank ? full[full.rank - 1] : 1);
    full[full.rank - 2] = 1;
    vx = reshape(g, vx, {1, x[0]});
  }
  if (w.rank == 1) vw = reshape(g, vw, {w[0], 1});
  if (!(full == y)) dy = reshape(g, dy, full);
  if (a.wanted(0)) {
    ValueId d;
    if (encoded) {
      d = emit(g, "linear_t", {dy, vw});
      if (p.transpose_a && g.status == TERN_OK) {
        int64_t axes[kMaxRank];
        for (int i = 0; i < full.rank; ++i) axes[i] = i;
        std::swap(axes[full.rank - 1], axes[full.rank - 2]);
        d = transpose(g, d, {axes, (size_t)full.rank});
      }
    } else {
      d = p.transpose_a ? emit(g, "matmul", {vw, dy}, MatmulAttrs{p.transpose_b, 1})
                        : emit(g, "matmul", {dy, vw}, MatmulAttrs{0, !p.transpose_b});
    }
    // A vector was a row: the dims before it are a broadcast and are summed, which needs its own shape without the 1.
    if (x.rank == 1 && g.status == TERN_OK) {
      Shape s = g.value(d).shape;
      s.rank -= 1;
      s[s.rank - 1] = x[0];
      d = reshape(g, d, s);
    }
    a.set(0, d);
  }
  if (a.wanted(1)) {
    ValueId d = p.transpose_b ? emit(g, "matmul", {dy, vx}, MatmulAttrs{1, p.transpose_a})
                              : emit(g, "matmul", {vx, dy}, MatmulAttrs{!p.transpose_a, 0});
    if (w.rank == 1 && g.status == TERN_OK) {
      Shape s = g.value(d).shape;
      s.rank -= 1;
      d = reshape(g, d, s);
    }
    a.set(1, d);
  }
}

constexpr AttrField kFields[] = {TERN_ATTR(MatmulAttrs, transpose_a, integer, 0, 1),
                                 TERN_ATTR(MatmulAttrs, transpose_b, integer, 0, 1)};

constexpr Case kCases[] = {
    {"small", "f32[3,5] f32[5,4]"},
    {"ta", "f32[5,3] f32[5,4]", "transpose_a=1"},
    {"tb", "f32[3,5] f32[4,5]", "transpose_b=1"},
    {"tatb", "f32[5,3] f32[4,5]", "transpose_a=1 transpose_b=1"},
    {"odd", "f32[17,33] f32[33,19]", "", 1e-4},
    {"batch", "f32[2,3,5] f32[2,5,4]"},
    {"broadcast", "f32[2,1,3,5] f32[4,5,2]"},
    {"broadcast_t", "f32[3,5] f32[2,3,4,5]", "transpose_b=1"},
    {"attention", "f32[1,2,7,8] f32[1,2,9,8]", "transpose_b=1"},
    {"vector_matrix", "f32[5] f32[5,4]"},
    {"matrix_vector", "f32[3,5] f32[5]"},
    {"vectors", "f32[5] f32[5]"},
    {"vector_batch", "f32[5] f32[2,3,5,4]"},
    {"batch_vector", "f32[2,3,4,5] f32[5]"},
    {"vector_tb", "f32[5] f32[4,5]", "transpose_b=1"},
    {"vector_ta", "f32[5,4] f32[5]", "transpose_a=1"},
    {"batch_left", "f32[2,3,4,5] f32[5,6]"},
    {"batch_left_tb", "f32[2,3,1,5] f32[6,5]", "transpose_b=1"},
    {"batch_inner", "f32[2,3,2,5] f32[2,1,5,4]"},
    {"batch_left_ta", "f32[2,3,5,4] f32[5,6]", "transpose_a=1"},
    {"batch_outer", "f32[1,3,2,5] f32[2,1,4,5]", "transpose_b=1"},
    {"rank5", "f32[2,1,2,3,4] f32[1,3,1,4,2]"},
    {"half", "f16[4,8] f16[8,3]", "", 2e-2},
    {"integers", "i32[3,4] i32[4,2]"},
    {"long", "i64[2,2] i64[2,2]"},
    {"no_rows", "f32[0,5] f32[5,4]"},
    {"no_sum", "f32[3,0] f32[0,4]"},
    {"no_batch", "f32[0,3,5] f32[5,4]"},
    {"many_empty_rows", "f32[1000000000000,0] f32[0,0]"},
    {"panels", "f32[3,5] f32[70,5]@panel32", "transpose_b=1"},
    {"half_panels", "f32[2,3,6] f16[33,6]@panel32", "transpose_b=1"},
    {"int8_blocks", "f32[3,40] f32[9,40]@panel_int8", "transpose_b=1", 1e-4},
    {"panels_ta", "f32[5,3] f32[9,5]@panel32", "transpose_a=1 transpose_b=1"},
    {"dims", "f32[3,5] f32[4,5]", "", 0, TERN_ERR_SHAPE},
    {"batches", "f32[2,3,5] f32[3,5,4]", "", 0, TERN_ERR_SHAPE},
    {"scalar", "f32[] f32[5]", "", 0, TERN_ERR_SHAPE},
    {"vector_flag", "f32[5] f32[5,4]", "transpose_a=1", 0, TERN_ERR_SHAPE},
    {"types", "f32[3,5] f16[5,4]", "", 0, TERN_ERR_TYPE},
    {"bool", "bool[3,5] bool[5,4]", "", 0, TERN_ERR_TYPE},
    {"encoded_as_k_n", "f32[3,5] f32[5,5]@panel32", "", 0, TERN_ERR_INVALID_ARGUMENT},
};

}  // namespace

tern_status matmul_dims(const Shape& a, const Shape& b, const MatmulAttrs& p, MatmulDims* out) {
  if (a.rank < 1 || b.rank < 1 || (p.transpose_a && a.rank < 2) || (p.transpose_b && b.rank < 2))
    return TERN_FAIL(TERN_ERR_SHAPE, "matmul: shapes %s and %s have too few dims", to_string(a).c_str(),
                     to_string(b).c_str());
  MatmulDims d;
  int64_t kb = b[0];
  d.k = a[a.rank - 1];
  if (a.rank > 1) {
    d.m = a[a.rank - 2];
    if (p.transpose_a) std::swap(d.m, d.k);
    for (int i = 0; i < a.rank - 2; ++i) d.batch_a.push(a[i]);
  }
  if (b.rank > 1) {
    kb = b[b.rank - 2];
    d.n = b[b.rank - 1];
    if (p.transpose_b) std::swap(d.n, kb);
    for (int i = 0; i < b.rank - 2; ++i) d.batch_b.push(b[i]);
  }
  if (kb != d.k)
    return TERN_FAIL(TERN_ERR_SHAPE, "matmul: the inner dims of %s and %s are %" PRId64 " and %" PRId64,
                     to_string(a).c_str(), to_string(b).c_str(), d.k, kb);
  TERN_TRY(broadcast_shapes(d.batch_a, d.batch_b, &d.batch));
  d.y = d.batch;
  if (a.rank > 1) d.y.push(d.m);
  if (b.rank > 1) d.y.push(d.n);
  *out = d;
  return TERN_OK;
}

extern constinit const Op op_matmul = checked_op({.name = "matmul",
                                                  .min_in = 2,
                                                  .max_in = 2,
                                                  .flags = kAnyOrder,
                                                  .encoded_in = 1u << 1,
                                                  .attributes = attr_schema<MatmulAttrs>(kFields),
                                                  .infer = infer,
                                                  .reference = reference,
                                                  .vjp = vjp,
                                                  .cases = TERN_CASES(kCases)});

}  // namespace tern
