// SPDX-License-Identifier: Apache-2.0
// linear and matmul.
#include "backends/cpu/epilogue.h"
#include "backends/cpu/pack.h"
#include "kernels/cpu/matmul.h"
#include "ops/matmul.h"

namespace tern::cpu {
namespace {

const char* refuse_product(const Product& c) {
  const Graph& g = *c.graph;
  const Node& n = *c.node;
  if (g.value(n.in[0]).dtype != TERN_DTYPE_F32 || g.value(n.out[0]).dtype != TERN_DTYPE_F32)
    return "the kernel takes f32 inputs only";
  const Value& w = g.value(n.in[1]);
  if (w.encoding == Encoding::block_int8) return "the kernel takes a bias only behind block_int8 weights";
  if (w.dtype != TERN_DTYPE_F32 && w.dtype != TERN_DTYPE_F16) return "the kernel takes f32 and f16 weights only";
  if (n.in.size() > 2 && n.in[2] != kNoValue && g.value(n.in[2]).dtype != TERN_DTYPE_F32 &&
      g.value(n.in[2]).dtype != TERN_DTYPE_F16)
    return "the kernel takes f32 and f16 biases only";
  return nullptr;
}

const char* refuse_linear(const Graph& g, const Node& n) {
  if (is_block_linear(g, n)) return refuse_block_linear(g, n);
  Product c;
  return read_product(g, n, {}, &c) ? refuse_product(c) : "a chain that the kernel does not know";
}

tern_status prepare_linear(Prepare& p) {
  if (is_block_linear(p.g, p.node)) return prepare_block_linear(p);
  Product c;
  if (!read_product(p.g, p.node, {}, &c)) return TERN_FAIL(TERN_ERR_INTERNAL, "linear: unknown chain");
  const Shape &x = c.graph->value(c.node->in[0]).shape, &w = c.graph->value(c.node->in[1]).shape;
  PanelMatmulArgs& a = p.args<PanelMatmulArgs>();
  a.n = w[0];
  a.k = x[x.rank - 1];
  a.rows = 1;
  for (int i = 0; i + 1 < x.rank; ++i) a.rows *= x[i];
  a.x_stride = a.k, a.y_stride = p.row_step(p.node.out[0]);
  c.bias = c.in(2);
  TERN_TRY(fill_epilogue(p, c, a.n, &a.epilogue));
  TERN_TRY(pack_weights(p, c.in(1), {.order = PackOrder::panels, .outputs = a.n, .inputs = a.k}, &a.w, &a.w_f16));
  p.pointer(a.x, c.in(0));
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.matmul->panel_matmul, &a, panel_matmul_units(a), panel_matmul_unit_flops(a),
         panel_matmul_scratch_bytes(a));
  return TERN_OK;
}

// Batch dims of both factors as two levels of strides; false if broadcasting needs more.
bool batch_strides(const Shape& a, const Shape& b, const Shape& y, MatmulArgs* args) {
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
  if (const char* why = refuse_unless_f32(g, n)) return why;
  const Shape &a = g.value(n.in[0]).shape, &b = g.value(n.in[1]).shape, &y = g.value(n.out[0]).shape;
  if (a.rank < 2 || b.rank < 2) return "the kernel takes matrices only";
  MatmulArgs args;
  return batch_strides(a, b, y, &args) ? nullptr : "the kernel takes two levels of batches only";
}

tern_status prepare_matmul(Prepare& p) {
  const MatmulAttrs& attrs = p.node.attrs<MatmulAttrs>();
  const Shape &x = p.in(0).shape, &z = p.in(1).shape, &y = p.out(0).shape;
  MatmulArgs& a = p.args<MatmulArgs>();
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
  p.call(p.k.matmul->matmul, &a, matmul_units(a), matmul_unit_flops(a), matmul_scratch_bytes(a));
  return TERN_OK;
}

constexpr CpuOp kOps[] = {{"linear", refuse_linear, prepare_linear}, {"matmul", refuse_matmul, prepare_matmul}};

}  // namespace

const char* refuse_fused_linear(const Graph& g, const Node& n) { return refuse_linear(g, n); }
tern_status prepare_fused_linear(Prepare& p) { return prepare_linear(p); }

std::span<const CpuOp> cpu_ops_linear() { return kOps; }

}  // namespace tern::cpu
