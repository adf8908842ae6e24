// SPDX-License-Identifier: Apache-2.0
// Integers: quantize_linear, dequantize_linear, matmul_integer.
#include "backends/cpu/prepare.h"
#include "kernels/cpu/matmul_int8.h"
#include "kernels/cpu/quant.h"
#include "ops/quantize.h"

namespace tern::cpu {
namespace {

// Rows of x [.., columns].
int64_t rows_of(const Shape& x) {
  int64_t rows = 1;
  for (int i = 0; i + 1 < x.rank; ++i) rows *= x[i];
  return rows;
}

// ---- quantize_linear, dequantize_linear ----

struct PointsArgs {
  int64_t count;
  DType dtype;
  int32_t one;  // 1: the source has one for all
};

void make_points(const PointsArgs& a, const void* const* sources, void* target, int64_t, int64_t) {
  for (int64_t i = 0; i < a.count; ++i)
    ((int32_t*)target)[i] = (int32_t)load_integer(a.dtype, sources[0], a.one ? 0 : i);
}

// `count` zero points of input i as i32; one may stand for all.
tern_status point_at_zeros(Prepare& p, int i, int64_t count, const int32_t*& field) {
  const Value& v = p.in(i);
  Origin at;
  TERN_TRY(p.derive<PointsArgs>({&p.node.in[(size_t)i], 1}, {count, v.dtype, v.shape.elements() == 1}, make_points, 1,
                                (uint64_t)count * sizeof(int32_t), 0, &at));
  p.pointer(field, at);
  return TERN_OK;
}

void set_channels(const Shape& x, const Shape& scale, int64_t axis, QuantArgs& a) {
  if (!is_per_axis(scale)) {
    a.inner = x.elements();
    return;
  }
  if (axis < 0) axis += x.rank;
  a.channels = x[(int)axis];
  a.inner = 1;
  for (int i = 0; i < x.rank; ++i) {
    if (i < axis) a.outer *= x[i];
    else if (i > axis) a.inner *= x[i];
  }
}

const char* refuse_quantize(const Graph& g, const Node& n) {
  const DType to = g.value(n.out[0]).dtype;
  if (to != TERN_DTYPE_U8 && to != TERN_DTYPE_I8) return "the kernel makes bytes only";
  return g.value(n.in[0]).dtype == TERN_DTYPE_F32 && g.value(n.in[1]).dtype == TERN_DTYPE_F32
             ? nullptr
             : "the kernel takes f32 only";
}

tern_status prepare_quantize(Prepare& p) {
  QuantArgs& a = p.args<QuantArgs>();
  a.dtype = p.out(0).dtype;
  set_channels(p.in(0).shape, p.in(1).shape, p.node.attrs<QuantizeLinearAttrs>().axis, a);
  if (p.has(2)) TERN_TRY(point_at_zeros(p, 2, p.in(2).shape.elements(), a.zero));
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.scale, p.node.in[1]);
  p.pointer(a.q, p.node.out[0]);
  p.call(p.k.quant->quantise, &a, units(a), 4.0 * kQuantBlock, 0);
  return TERN_OK;
}

const char* refuse_dequantize(const Graph& g, const Node& n) {
  if (g.value(n.in[1]).dtype != TERN_DTYPE_F32) return "the kernel gives f32 only";
  switch (g.value(n.in[0]).dtype) {
    case TERN_DTYPE_I8:
    case TERN_DTYPE_U8:
    case TERN_DTYPE_I16:
    case TERN_DTYPE_U16: return nullptr;
    case TERN_DTYPE_I32:
      return n.in.size() > 2 && n.in[2] != kNoValue ? "the kernel takes no zero point of i32" : nullptr;
    default: return "the kernel takes integers of up to 32 bits only";
  }
}

tern_status prepare_dequantize(Prepare& p) {
  QuantArgs& a = p.args<QuantArgs>();
  a.dtype = p.in(0).dtype;
  set_channels(p.in(0).shape, p.in(1).shape, p.node.attrs<DequantizeLinearAttrs>().axis, a);
  if (p.has(2)) TERN_TRY(point_at_zeros(p, 2, p.in(2).shape.elements(), a.zero));
  p.pointer(a.q, p.node.in[0]);
  p.pointer(a.scale, p.node.in[1]);
  p.pointer(a.x, p.node.out[0]);
  p.call(p.k.quant->dequantise, &a, units(a), 4.0 * kQuantBlock, 0);
  return TERN_OK;
}

// ---- matmul_integer ----

struct PackInt8Args {
  int64_t n, k;
};
void make_packed_int8(const PackInt8Args& a, const void* const* sources, void* target, int64_t, int64_t) {
  pack_int8((const int8_t*)sources[0], a.n, a.k, 1, a.n, target);
}

bool is_one(const Graph& g, const Node& n, size_t i) {
  return n.in.size() <= i || n.in[i] == kNoValue || g.value(n.in[i]).shape.elements() == 1;
}

const char* refuse_matmul_integer(const Graph& g, const Node& n) {
  const Value &a = g.value(n.in[0]), &b = g.value(n.in[1]);
  if (a.shape.rank < 2 || b.shape.rank != 2) return "the kernel takes one matrix on the right only";
  if (b.dtype != TERN_DTYPE_I8) return "the kernel takes signed weights only";
  if (b.shape[0] > 32768) return "the kernel takes sums of up to 32768 products only";
  if (!is_one(g, n, 2)) return "the kernel takes one zero point on the left only";
  if (!is_one(g, n, 3) && g.value(n.in[3]).shape.rank != 1)
    return "the kernel takes one zero point for each column only";
  return nullptr;
}

struct SetZeroArgs {
  const int32_t* from = nullptr;
  int32_t* to = nullptr;
};
void run_set_zero(const void* args, int64_t, int64_t, void*) {
  const SetZeroArgs& a = *(const SetZeroArgs*)args;
  *a.to = *a.from;
}

tern_status prepare_matmul_integer(Prepare& p) {
  const Shape &x = p.in(0).shape, &w = p.in(1).shape;
  MatmulInt8Args& a = p.args<MatmulInt8Args>();
  a.x_dtype = p.in(0).dtype, a.y_dtype = TERN_DTYPE_I32;
  a.m = rows_of(x), a.k = w[0], a.n = w[1];
  a.x_stride = a.k, a.y_stride = a.n;
  Origin at;
  TERN_TRY(p.derive<PackInt8Args>({&p.node.in[1], 1}, {a.n, a.k}, make_packed_int8, 1,
                                  (uint64_t)packed_int8_bytes(a.n, a.k), 0, &at));
  p.pointer(a.w, at);
  if (p.has(2)) {
    SetZeroArgs& set = p.args<SetZeroArgs>();
    set.to = &a.x_zero;
    TERN_TRY(point_at_zeros(p, 2, 1, set.from));
    p.call(run_set_zero, &set, 1, 0, 0);
  }
  if (p.has(3)) TERN_TRY(point_at_zeros(p, 3, a.n, a.w_zero));
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.matmul_int8->matmul, &a, units(a), 2.0 * kInt8Rows * kInt8Panel * (double)a.k, 0);
  return TERN_OK;
}

constexpr CpuOp kOps[] = {{&op_quantize_linear, refuse_quantize, prepare_quantize},
                          {&op_dequantize_linear, refuse_dequantize, prepare_dequantize},
                          {&op_matmul_integer, refuse_matmul_integer, prepare_matmul_integer}};

}  // namespace

std::span<const CpuOp> cpu_ops_quant() { return kOps; }

}  // namespace tern::cpu
