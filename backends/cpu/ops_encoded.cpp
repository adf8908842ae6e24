// SPDX-License-Identifier: Apache-2.0
// What reads a matrix of weights in any encoding: linear, linear_t, gather_rows, and matmul with such a matrix.
#include "backends/cpu/epilogue.h"
#include "backends/cpu/pack.h"
#include "kernels/cpu/encoded.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/rounded_int8.h"
#include "kernels/cpu/ternary_int8.h"
#include "ops/matmul.h"

namespace tern::cpu {
namespace {

// Rows of x [.., columns].
int64_t rows_of(const Shape& x) {
  int64_t rows = 1;
  for (int i = 0; i + 1 < x.rank; ++i) rows *= x[i];
  return rows;
}

// Lets `w` be the matrix that value `v` holds.
void set_matrix(Prepare& p, ValueId v, EncodedMatrix& w) {
  const Value& value = p.g.value(v);
  w.rows = value.shape[0], w.cols = value.shape[1];
  w.dtype = value.dtype, w.encoding = value.encoding;
  p.pointer(w.data, v);
}

void set_operands(Prepare& p, ValueId x, ValueId w, EncodedArgs& a) {
  a.kernels = &p.k.of(p.g.value(w).encoding);
  set_matrix(p, w, a.w);
  a.m = rows_of(p.g.value(x).shape);
  p.pointer(a.x, x);
  p.pointer(a.y, p.node.out[0]);
}

// ---- linear and what was fused behind it ----

const char* refuse_linear(const Graph& g, const Node& n) {
  if (n.op == &op_linear && is_f64(g, n)) return nullptr;
  const Product c = read_product(g, n);
  const Graph& inner = *c.graph;
  const std::vector<ValueId>& in = c.node->in;
  if (inner.value(in[0]).dtype != TERN_DTYPE_F32 || inner.value(c.node->out[0]).dtype != TERN_DTYPE_F32)
    return "the kernel takes f32 inputs only";
  if (!is_weight_type(inner.value(in[1]).dtype)) return "the kernel takes weights of up to 32 bits only";
  if (in.size() > 2 && in[2] != kNoValue && !is_weight_type(inner.value(in[2]).dtype))
    return "the kernel takes biases of up to 32 bits only";
  return nullptr;
}

// y[m][n] = x[m][k] times w in f64, w [n][k] or, as it stands, [k][n].
tern_status prepare_f64(Prepare& p, bool transposed) {
  const Shape& w = p.in(1).shape;
  MatmulF64Args& a = p.args<MatmulF64Args>();
  a.m = rows_of(p.in(0).shape), a.n = w[transposed ? 0 : 1], a.k = w[transposed ? 1 : 0];
  a.a_stride = a.k, a.b_stride = w[1], a.y_stride = a.n;
  a.b_transposed = transposed;
  p.pointer(a.a, p.node.in[0]);
  p.pointer(a.b, p.node.in[1]);
  if (p.has(2)) p.pointer(a.bias, p.node.in[2]);
  p.pointer(a.y, p.node.out[0]);
  call_matmul_f64(p, a);
  return TERN_OK;
}

tern_status prepare_linear(Prepare& p) {
  if (p.in(0).dtype == TERN_DTYPE_F64) return prepare_f64(p, true);
  Product c = read_product(p.g, p.node);
  const Value& w = p.g.value(c.in(1));
  c.bias = c.in(2);
  if (!is_plain(w.encoding) && !p.k.of(w.encoding).panels) {
    EncodedArgs& a = p.args<EncodedArgs>();
    set_operands(p, c.in(0), c.in(1), a);
    a.x_stride = a.w.cols, a.y_stride = p.row_step(p.node.out[0]);
    TERN_TRY(fill_epilogue(p, c, a.w.rows, &a.epilogue));
    const int64_t units = encoded_units(a);
    p.call(p.k.encoded->matmul, &a, units, encoded_unit_flops(a, units), encoded_scratch_bytes(a));
    return TERN_OK;
  }
  PanelMatmulArgs& a = p.args<PanelMatmulArgs>();
  a.n = w.shape[0], a.k = w.shape[1];
  a.rows = rows_of(p.g.value(c.in(0)).shape);
  a.x_stride = a.k, a.y_stride = p.row_step(p.node.out[0]);
  TERN_TRY(fill_epilogue(p, c, a.n, &a.epilogue));
  TERN_TRY(pack_weights(p, c.in(1), {.order = PackOrder::panels, .outputs = a.n, .inputs = a.k}, &a.w, &a.w_half));
  p.pointer(a.x, c.in(0));
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.matmul->panel_matmul, &a, panel_matmul_units(a), panel_matmul_unit_flops(a),
         panel_matmul_scratch_bytes(a));
  return TERN_OK;
}

// ---- bit_linear of ternary weights, rounded_linear of codes in panels, and what was fused behind them; of others the
// operators that they consist of ----

const char* refuse_rounding(const Graph& g, const Node& n) {
  const Product c = read_product(g, n);
  const Graph& inner = *c.graph;
  const std::vector<ValueId>& in = c.node->in;
  const Value& w = inner.value(in[1]);
  if (inner.value(in[0]).dtype != TERN_DTYPE_F32) return "the kernel takes f32 inputs only";
  const EncodedKernels& of = kernels().of(w.encoding);
  if (c.node->op == &op_rounded_linear && !of.codes) return "the kernel takes weights of 8 or 4 bits in panels only";
  if (c.node->op == &op_bit_linear && (!of.ternary || w.shape[1] > kTernaryMostDepth))
    return "the kernel takes ternary weights only";
  if (in.size() > 2 && in[2] != kNoValue && !is_weight_type(inner.value(in[2]).dtype))
    return "the kernel takes biases of up to 32 bits only";
  return nullptr;
}

// What TernaryArgs and RoundedArgs have in common. *x, *matrix: what is rounded, and the weights. Products of the same
// x that follow one another, as queries, keys and values do, round it once.
template <class Args>
tern_status set_rounded(Prepare& p, Args& a, ValueId* x, const Value** matrix) {
  Product c = read_product(p.g, p.node);
  const Value& w = p.g.value(c.in(1));
  c.bias = c.in(2);
  a.m = rows_of(p.g.value(c.in(0)).shape), a.n = w.shape[0], a.k = w.shape[1];
  a.y_stride = p.row_step(p.node.out[0]);
  a.finish = p.k.matmul->finish_rows;
  p.pointer(a.w, c.in(1));
  p.pointer(a.x, c.in(0));
  p.pointer(a.y, p.node.out[0]);
  *x = c.in(0), *matrix = &w;
  return fill_epilogue(p, c, a.n, &a.epilogue);
}

tern_status prepare_bit_linear(Prepare& p) {
  TernaryArgs& a = p.args<TernaryArgs>();
  ValueId x = kNoValue;
  const Value* w = nullptr;
  TERN_TRY(set_rounded(p, a, &x, &w));
  a.product = p.matmul_int8().matmul;
  if (a.m > kTernaryFew) {
    const uint64_t bytes = (uint64_t)(a.m * ternary_stride(a.k));
    a.factor_offset = (int64_t)bytes;
    if (!p.workspace(a.codes, bytes + (uint64_t)a.m * sizeof(float), {p.k.ternary_int8->quantize, x}))
      p.call(p.k.ternary_int8->quantize, &a, a.m, 4.0 * (double)a.k, 0);
  }
  const int64_t count = units(a);
  const double multiplies = (double)a.m * (double)a.n * (double)a.k;
  p.call(p.k.ternary_int8->matmul, &a, count, count ? multiplies / 2 / (double)count : 0, ternary_scratch_bytes(a));
  return TERN_OK;
}

tern_status prepare_rounded_linear(Prepare& p) {
  RoundedArgs& a = p.args<RoundedArgs>();
  ValueId x = kNoValue;
  const Value* w = nullptr;
  TERN_TRY(set_rounded(p, a, &x, &w));
  a.codes = *p.k.of(w->encoding).codes;
  if (a.m > kRoundedFew) {
    if (!p.workspace(a.rows, (uint64_t)(a.m * rounded_row_bytes(a.k)),
                     {p.k.rounded_int8->quantize, x, 2 * a.codes.bits + a.codes.least}))
      p.call(p.k.rounded_int8->quantize, &a, a.m, 4.0 * (double)a.k, 0);
  }
  const int64_t count = units(a);
  const double multiplies = (double)a.m * (double)a.n * (double)a.k;
  p.call(p.k.rounded_int8->matmul, &a, count, count ? multiplies / (double)count : 0, rounded_scratch_bytes(a));
  return TERN_OK;
}

// ---- linear_t ----

const char* refuse_linear_t(const Graph& g, const Node& n) {
  if (n.op == &op_linear_t && is_f64(g, n)) return nullptr;
  if (g.value(n.in[0]).dtype != TERN_DTYPE_F32) return "the kernel takes f32 inputs only";
  return is_weight_type(g.value(n.in[1]).dtype) ? nullptr : "the kernel takes weights of up to 32 bits only";
}

tern_status prepare_linear_t(Prepare& p) {
  if (p.in(0).dtype == TERN_DTYPE_F64) return prepare_f64(p, false);
  if (is_plain(p.in(1).encoding) && p.in(1).dtype == TERN_DTYPE_F32) {  // a product of two plain matrices
    const Shape& w = p.in(1).shape;
    MatmulArgs& a = p.args<MatmulArgs>();
    a.m = rows_of(p.in(0).shape), a.k = w[0], a.n = w[1];
    a.a_stride = w[0], a.b_stride = w[1], a.y_stride = w[1];
    p.pointer(a.a, p.node.in[0]);
    p.pointer(a.b, p.node.in[1]);
    p.pointer(a.y, p.node.out[0]);
    p.call(p.k.matmul->matmul, &a, matmul_units(a), matmul_unit_flops(a), matmul_scratch_bytes(a));
    return TERN_OK;
  }
  EncodedArgs& a = p.args<EncodedArgs>();
  set_operands(p, p.node.in[0], p.node.in[1], a);
  a.x_stride = a.w.rows, a.y_stride = a.w.cols;
  const int64_t units = encoded_units_t(a);
  p.call(p.k.encoded->matmul_t, &a, units, encoded_unit_flops(a, units), kEncodedScratchBytesT);
  return TERN_OK;
}

// ---- gather_rows ----

struct GatherRowsArgs {
  const EncodedKernels* kernels = nullptr;
  EncodedMatrix w;
  const void* ids = nullptr;
  DType id_dtype = TERN_DTYPE_I64;
  float* y = nullptr;
  int32_t* error = nullptr;
};

void run_gather_rows(const void* args, int64_t begin, int64_t end, void*) {
  const GatherRowsArgs& a = *(const GatherRowsArgs*)args;
  for (int64_t i = begin; i < end; ++i) {
    const int64_t id = load_integer(a.id_dtype, a.ids, i);
    if (id < 0 || id >= a.w.rows) *a.error = 1;
    else a.kernels->unpack(a.w, id, 1, 0, a.w.cols, a.y + i * a.w.cols, a.w.cols);
  }
}

const char* refuse_gather_rows(const Graph& g, const Node& n) {
  return is_weight_type(g.value(n.in[0]).dtype) ? nullptr : "the kernel takes weights of up to 32 bits only";
}

tern_status prepare_gather_rows(Prepare& p) {
  GatherRowsArgs& a = p.args<GatherRowsArgs>();
  a.kernels = &p.k.of(p.in(0).encoding);
  set_matrix(p, p.node.in[0], a.w);
  a.id_dtype = p.in(1).dtype;
  a.error = p.error_flag();
  p.pointer(a.ids, p.node.in[1]);
  p.pointer(a.y, p.node.out[0]);
  p.call(run_gather_rows, &a, p.in(1).shape.elements(), (double)a.w.cols, 0);
  return TERN_OK;
}

constexpr CpuOp kOps[] = {{&op_linear, refuse_linear, prepare_linear},
                          {&op_linear_t, refuse_linear_t, prepare_linear_t},
                          {&op_bit_linear, refuse_rounding, prepare_bit_linear},
                          {&op_rounded_linear, refuse_rounding, prepare_rounded_linear},
                          {&op_gather_rows, refuse_gather_rows, prepare_gather_rows}};

}  // namespace

// With transpose_b, as its shape rule demands: linear without a bias.
const char* refuse_encoded_matmul(const Graph& g, const Node& n) {
  if (n.attrs<MatmulAttrs>().transpose_a) return "the kernel takes rows of inputs only";
  return refuse_linear_t(g, n);
}

tern_status prepare_encoded_matmul(Prepare& p) {
  EncodedArgs& a = p.args<EncodedArgs>();
  set_operands(p, p.node.in[0], p.node.in[1], a);
  a.x_stride = a.w.cols, a.y_stride = a.w.rows;
  const int64_t units = encoded_units(a);
  p.call(p.k.encoded->matmul, &a, units, encoded_unit_flops(a, units), encoded_scratch_bytes(a));
  return TERN_OK;
}

std::span<const CpuOp> cpu_ops_encoded() { return kOps; }

}  // namespace tern::cpu
