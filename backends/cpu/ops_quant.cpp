// SPDX-License-Identifier: Apache-2.0
// Products and look-ups of encoded weights, and integers: quantize_linear, dequantize_linear, matmul_integer.
#include <algorithm>
#include <cstring>
#include <string_view>

#include "backends/cpu/prepare.h"
#include "base/panel.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/matmul_int8.h"
#include "kernels/cpu/quant.h"
#include "ops/matmul.h"
#include "ops/quantize.h"

namespace tern::cpu {
namespace {

constexpr int32_t kScaleBytes = 2;  // of block_int8 in tensors

bool is_half_or_single(DType t) { return t == TERN_DTYPE_F32 || t == TERN_DTYPE_F16; }

// Rows of x [.., columns].
int64_t rows_of(const Shape& x) {
  int64_t rows = 1;
  for (int i = 0; i + 1 < x.rank; ++i) rows *= x[i];
  return rows;
}

// Lets `w` view the matrix that value `v` holds in block_int8.
void view_blocks(Prepare& p, ValueId v, BlockInt8& w) {
  const Shape& shape = p.g.value(v).shape;
  int64_t offset = 0, bytes = 0;
  (void)block_int8_layout(shape[0], shape[1], kScaleBytes, &offset, &bytes);
  w.rows = shape[0], w.cols = shape[1], w.scale_bytes = kScaleBytes;
  p.pointer(w.codes, v);
  p.pointer(w.scales, v, (uint64_t)offset);
}

// ---- rows of plain and panel weights as f32 ----

struct Matrix {
  const void* data = nullptr;
  bool half = false, panels = false;
  int64_t rows = 0, cols = 0;
};

void read_row(const Matrix& w, int64_t i, float* out) {
  if (!w.panels && !w.half) {
    std::memcpy(out, (const float*)w.data + i * w.cols, (size_t)w.cols * sizeof(float));
    return;
  }
  const int64_t start = w.panels ? panel_index(i, 0, w.rows, w.cols) : i * w.cols;
  const int64_t step = w.panels ? panel_width(w.rows, i / kPanelWidth * kPanelWidth) : 1;
  for (int64_t j = 0; j < w.cols; ++j) {
    const int64_t at = start + j * step;
    out[j] = w.half ? f16_to_f32(((const uint16_t*)w.data)[at]) : ((const float*)w.data)[at];
  }
}

void set_matrix(Prepare& p, ValueId v, Matrix& w) {
  const Value& value = p.g.value(v);
  w.half = value.dtype == TERN_DTYPE_F16;
  w.panels = value.encoding == Encoding::panel32;
  w.rows = value.shape[0], w.cols = value.shape[1];
}

struct DecodeArgs {
  int64_t rows, cols;
  int32_t half, panels;
};

void make_decoded(const DecodeArgs& a, const void* const* sources, void* target, int64_t begin, int64_t end) {
  const Matrix w{sources[0], a.half != 0, a.panels != 0, a.rows, a.cols};
  for (int64_t i = begin; i < end; ++i) read_row(w, i, (float*)target + i * a.cols);
}

// ---- linear_t ----

const char* refuse_linear_t(const Graph& g, const Node& n) {
  const Value& w = g.value(n.in[1]);
  if (g.value(n.in[0]).dtype != TERN_DTYPE_F32) return "the kernel takes f32 inputs only";
  return is_half_or_single(w.dtype) ? nullptr : "the kernel takes f32 and f16 weights only";
}

tern_status prepare_linear_t(Prepare& p) {
  const Shape &x = p.in(0).shape, &w = p.in(1).shape;
  const int64_t m = rows_of(x);
  if (p.in(1).encoding == Encoding::block_int8) {
    BlockInt8Args& a = p.args<BlockInt8Args>();
    view_blocks(p, p.node.in[1], a.w);
    a.m = m, a.x_stride = w[0], a.y_stride = w[1];
    p.pointer(a.x, p.node.in[0]);
    p.pointer(a.y, p.node.out[0]);
    p.call(p.k.quant->block_int8_matmul_t, &a, block_int8_transposed_units(a),
           2.0 * (double)(m * w[0] * kBlockInt8Cols), 0);
    return TERN_OK;
  }
  MatmulArgs& a = p.args<MatmulArgs>();
  a.m = m, a.k = w[0], a.n = w[1];
  a.a_stride = w[0], a.b_stride = w[1], a.y_stride = w[1];
  if (is_plain(p.in(1).encoding) && p.in(1).dtype == TERN_DTYPE_F32) {
    p.pointer(a.b, p.node.in[1]);
  } else {
    const Value& v = p.in(1);
    const DecodeArgs d{w[0], w[1], v.dtype == TERN_DTYPE_F16, v.encoding == Encoding::panel32};
    Origin at;
    TERN_TRY(p.derive<DecodeArgs>({&p.node.in[1], 1}, d, make_decoded, w[0], (uint64_t)(w[0] * w[1]) * sizeof(float),
                                  2.0 * (double)w[1], &at));
    p.pointer(a.b, at);
  }
  p.pointer(a.a, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.matmul->matmul, &a, matmul_units(a), matmul_unit_flops(a), matmul_scratch_bytes(a));
  return TERN_OK;
}

// ---- gather_rows ----

struct GatherRowsArgs {
  Matrix w;
  BlockInt8GatherArgs blocks;
  KernelFn gather_blocks = nullptr;  // NULL: w
  const void* ids = nullptr;
  DType id_dtype = TERN_DTYPE_I64;
  float* y = nullptr;
  int32_t* error = nullptr;
  int64_t count = 0;
};

void run_gather_rows(const void* args, int64_t begin, int64_t end, void*) {
  const GatherRowsArgs& a = *(const GatherRowsArgs*)args;
  for (int64_t i = begin; i < end; ++i) {
    const int64_t id = load_integer(a.id_dtype, a.ids, i);
    if (id < 0 || id >= a.w.rows) *a.error = 1;
    else if (a.gather_blocks) a.gather_blocks(&a.blocks, i, i + 1, nullptr);
    else read_row(a.w, id, a.y + i * a.w.cols);
  }
}

const char* refuse_gather_rows(const Graph& g, const Node& n) {
  const Value &w = g.value(n.in[0]), &ids = g.value(n.in[1]);
  if (!is_half_or_single(w.dtype)) return "the kernel takes f32 and f16 weights only";
  if (w.encoding == Encoding::block_int8 && ids.dtype != TERN_DTYPE_I32 && ids.dtype != TERN_DTYPE_I64)
    return "the kernel takes i32 and i64 ids only";
  return nullptr;
}

tern_status prepare_gather_rows(Prepare& p) {
  GatherRowsArgs& a = p.args<GatherRowsArgs>();
  a.id_dtype = p.in(1).dtype;
  a.count = p.in(1).shape.elements();
  a.error = p.error_flag();
  set_matrix(p, p.node.in[0], a.w);
  p.pointer(a.ids, p.node.in[1]);
  if (p.in(0).encoding == Encoding::block_int8) {
    a.gather_blocks = p.k.quant->block_int8_gather;
    a.blocks.index_dtype = a.id_dtype;
    a.blocks.count = a.count, a.blocks.y_stride = a.w.cols;
    a.blocks.error = a.error;
    view_blocks(p, p.node.in[0], a.blocks.w);
    p.pointer(a.blocks.index, p.node.in[1]);
    p.pointer(a.blocks.y, p.node.out[0]);
  } else {
    p.pointer(a.w.data, p.node.in[0]);
    p.pointer(a.y, p.node.out[0]);
  }
  p.call(run_gather_rows, &a, a.count, (double)a.w.cols, 0);
  return TERN_OK;
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

constexpr CpuOp kOps[] = {{"linear_t", refuse_linear_t, prepare_linear_t},
                          {"gather_rows", refuse_gather_rows, prepare_gather_rows},
                          {"quantize_linear", refuse_quantize, prepare_quantize},
                          {"dequantize_linear", refuse_dequantize, prepare_dequantize},
                          {"matmul_integer", refuse_matmul_integer, prepare_matmul_integer}};

}  // namespace

bool is_block_linear(const Graph& g, const Node& n) {
  return std::string_view(n.op->name) == "linear" && n.in.size() > 1 &&
         g.value(n.in[1]).encoding == Encoding::block_int8;
}

const char* refuse_block_linear(const Graph& g, const Node& n) {
  if (g.value(n.in[0]).dtype != TERN_DTYPE_F32) return "the kernel takes f32 inputs only";
  if (n.in.size() > 2 && n.in[2] != kNoValue && g.value(n.in[2]).dtype != TERN_DTYPE_F32)
    return "the kernel takes f32 biases only";
  return nullptr;
}

tern_status prepare_block_linear(Prepare& p) {
  const Shape &x = p.in(0).shape, &w = p.in(1).shape;
  BlockInt8Args& a = p.args<BlockInt8Args>();
  view_blocks(p, p.node.in[1], a.w);
  a.m = rows_of(x), a.x_stride = w[1], a.y_stride = w[0];
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  if (p.has(2)) p.pointer(a.bias, p.node.in[2]);
  p.call(p.k.quant->block_int8_matmul, &a, units(a), 2.0 * (double)(a.m * w[1] * kBlockInt8Rows), 0);
  return TERN_OK;
}

std::span<const CpuOp> cpu_ops_quant() { return kOps; }

}  // namespace tern::cpu
