// SPDX-License-Identifier: Apache-2.0
// quantize_linear, dequantize_linear.
#include "backends/cpu/prepare.h"
#include "kernels/cpu/quant.h"
#include "ops/quantize.h"

namespace tern::cpu {
namespace {

struct PointsArgs {
  int64_t count;
  DType dtype;
  int32_t one;  // 1: the source has one for all
};

void make_points(const PointsArgs& a, const void* const* sources, void* target, int64_t, int64_t) {
  for (int64_t i = 0; i < a.count; ++i)
    ((int32_t*)target)[i] = (int32_t)load_integer(a.dtype, sources[0], a.one ? 0 : i);
}

}  // namespace

tern_status point_at_integers(Prepare& p, ValueId id, int64_t count, const int32_t*& field) {
  const Value& v = p.g.value(id);
  if (v.dtype == TERN_DTYPE_I32 && v.shape.elements() == count) return p.pointer(field, id), TERN_OK;
  Origin at;
  TERN_TRY(p.derive<PointsArgs>({&id, 1}, {count, v.dtype, v.shape.elements() == 1}, make_points, 1,
                                (uint64_t)count * sizeof(int32_t), 0, &at));
  p.pointer(field, at);
  return TERN_OK;
}

namespace {

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
  if (p.has(2)) TERN_TRY(point_at_integers(p, p.node.in[2], p.in(2).shape.elements(), a.zero));
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
    case TERN_DTYPE_U16:
    case TERN_DTYPE_I32: return nullptr;
    default: return "the kernel takes integers of up to 32 bits only";
  }
}

tern_status prepare_dequantize(Prepare& p) {
  QuantArgs& a = p.args<QuantArgs>();
  a.dtype = p.in(0).dtype;
  set_channels(p.in(0).shape, p.in(1).shape, p.node.attrs<DequantizeLinearAttrs>().axis, a);
  if (p.has(2)) TERN_TRY(point_at_integers(p, p.node.in[2], p.in(2).shape.elements(), a.zero));
  p.pointer(a.q, p.node.in[0]);
  p.pointer(a.scale, p.node.in[1]);
  p.pointer(a.x, p.node.out[0]);
  p.call(p.k.quant->dequantise, &a, units(a), 4.0 * kQuantBlock, 0);
  return TERN_OK;
}

constexpr CpuOp kOps[] = {{&op_quantize_linear, refuse_quantize, prepare_quantize},
                          {&op_dequantize_linear, refuse_dequantize, prepare_dequantize}};

}  // namespace

std::span<const CpuOp> cpu_ops_quant() { return kOps; }

}  // namespace tern::cpu
