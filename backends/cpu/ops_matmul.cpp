// SPDX-License-Identifier: Apache-2.0
// matmul of two plain tensors.
#include "backends/cpu/prepare.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/matmul_f64.h"
#include "ops/matmul.h"

namespace tern::cpu {
namespace {

// Batch dims of both factors as two levels of strides; false if broadcasting needs more.
template <class Args>
bool batch_strides(const Shape& a, const Shape& b, const Shape& y, Args* args) {
  const int dims = y.rank - 2;
  int64_t size[kMaxRank], sa[kMaxRank], sb[kMaxRank];
  int count = 0;
  int64_t ea = a[a.rank - 1] * a[a.rank - 2], eb = b[b.rank - 1] * b[b.rank - 2];
  for (int i = dims - 1; i >= 0; --i) {  // from the innermost
    const int ia = i - (y.rank - a.rank), ib = i - (y.rank - b.rank);
    const int64_t da = ia < 0 ? 1 : a[ia], db = ib < 0 ? 1 : b[ib];
    const int64_t stride_a = da == 1 ? 0 : ea, stride_b = db == 1 ? 0 : eb;
    ea *= da, eb *= db;
    if (y[i] == 1) continue;
    if (count && sa[count - 1] * size[count - 1] == stride_a && sb[count - 1] * size[count - 1] == stride_b) {
      size[count - 1] *= y[i];
      continue;
    }
    size[count] = y[i], sa[count] = stride_a, sb[count] = stride_b;
    ++count;
  }
  if (count > 2) return false;
  const int64_t matrix = y[y.rank - 1] * y[y.rank - 2];
  for (int level = 0; level < count; ++level) {  // level 0 is the inner one: batch[1]
    const int to = 1 - level;
    args->batch[to] = size[level], args->a_batch[to] = sa[level], args->b_batch[to] = sb[level];
    args->y_batch[to] = level == 0 ? matrix : matrix * size[0];
  }
  return true;
}

const char* refuse_matmul(const Graph& g, const Node& n) {
  if (!is_plain(g.value(n.in[1]).encoding)) return refuse_encoded_matmul(g, n);
  if (!is_plain(g.value(n.out[0]).encoding)) return refuse_ordered_product(g, n);
  if (const char* why = is_f64(g, n) ? nullptr : refuse_unless_f32(g, n)) return why;
  const Shape &a = g.value(n.in[0]).shape, &b = g.value(n.in[1]).shape, &y = g.value(n.out[0]).shape;
  if (a.rank < 2 || b.rank < 2) return "the kernel takes matrices only";
  MatmulArgs args;
  return batch_strides(a, b, y, &args) ? nullptr : "the kernel takes two levels of batches only";
}

template <class Args>
void fill_matmul(Prepare& p, Args& a) {
  const MatmulAttrs& attrs = p.node.attrs<MatmulAttrs>();
  const Shape &x = p.in(0).shape, &z = p.in(1).shape, &y = p.out(0).shape;
  (void)batch_strides(x, z, y, &a);
  a.m = y[y.rank - 2], a.n = y[y.rank - 1];
  a.a_transposed = (int32_t)attrs.transpose_a, a.b_transposed = (int32_t)attrs.transpose_b;
  a.k = a.a_transposed ? x[x.rank - 2] : x[x.rank - 1];
  a.a_stride = x[x.rank - 1], a.b_stride = z[z.rank - 1], a.y_stride = a.n;
  // Matrices that follow one another and meet the same right factor are one of more rows.
  for (const int level : {1, 0}) {
    if (a.a_transposed || a.b_batch[level] || a.a_batch[level] != a.m * a.a_stride ||
        a.y_batch[level] != a.m * a.y_stride)
      break;
    a.m *= a.batch[level];
    a.batch[level] = 1;
  }
  p.pointer(a.a, p.node.in[0]);
  p.pointer(a.b, p.node.in[1]);
  p.pointer(a.y, p.node.out[0]);
}

tern_status prepare_matmul(Prepare& p) {
  if (!is_plain(p.in(1).encoding)) return prepare_encoded_matmul(p);
  if (!is_plain(p.out(0).encoding)) return prepare_ordered_product(p);
  if (p.in(0).dtype == TERN_DTYPE_F64) {
    MatmulF64Args& a = p.args<MatmulF64Args>();
    fill_matmul(p, a);
    call_matmul_f64(p, a);
    return TERN_OK;
  }
  MatmulArgs& a = p.args<MatmulArgs>();
  fill_matmul(p, a);
  p.call(p.k.matmul->matmul, &a, matmul_units(a), matmul_unit_flops(a), matmul_scratch_bytes(a));
  return TERN_OK;
}

constexpr CpuOp kOps[] = {{&op_matmul, refuse_matmul, prepare_matmul}};

}  // namespace

void call_matmul_f64(Prepare& p, const MatmulF64Args& a) {
  const double flops = 4.0 * (double)(a.batch[0] * a.batch[1]) * (double)a.m * (double)a.n * (double)a.k;
  p.call(p.k.matmul_f64->matmul, &a, units(a), units(a) ? flops / (double)units(a) : 0, matmul_f64_scratch_bytes());
}

std::span<const CpuOp> cpu_ops_matmul() { return kOps; }

}  // namespace tern::cpu
