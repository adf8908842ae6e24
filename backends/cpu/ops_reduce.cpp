// SPDX-License-Identifier: Apache-2.0
// Reductions, softmax, normalisations, attention.

#include "backends/cpu/prepare.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/attention_grad.h"
#include "kernels/cpu/gather.h"
#include "kernels/cpu/normalize.h"
#include "kernels/cpu/reduce.h"
#include "kernels/cpu/rows_f64.h"
#include "kernels/cpu/softmax.h"
#include "ops/attention.h"
#include "ops/normalize.h"
#include "ops/reduce.h"

namespace tern::cpu {
namespace {

struct Split3 {
  int64_t outer = 1, axis = 1, inner = 1;
};
Split3 split_at(const Shape& s, int64_t axis) {
  if (axis < 0) axis += s.rank;
  Split3 r;
  for (int i = 0; i < s.rank; ++i) (i < axis ? r.outer : i == axis ? r.axis : r.inner) *= s[i];
  return r;
}

const char* refuse_reduce(const Graph& g, const Node& n) {
  const Value& x = g.value(n.in[0]);
  if (!is_plain(x.encoding)) return "the kernel takes plain tensors only";
  if (x.dtype == TERN_DTYPE_F32 || x.dtype == TERN_DTYPE_F64) return nullptr;
  if ((x.dtype == TERN_DTYPE_I32 || x.dtype == TERN_DTYPE_I64) && n.op != &op_reduce_mean) return nullptr;
  return "the kernel takes f32, f64, i32 and i64 only";
}

tern_status prepare_reduce(Prepare& p) {
  ReduceArgs& a = p.args<ReduceArgs>();
  const Op* op = p.node.op;
  a.op = op == &op_reduce_sum    ? Reduce::sum
         : op == &op_reduce_mean ? Reduce::mean
         : op == &op_reduce_max  ? Reduce::max
         : op == &op_reduce_min  ? Reduce::min
                                 : Reduce::prod;
  a.dtype = p.in(0).dtype;
  uint32_t mask = 0;
  TERN_TRY(reduced_axes(p.node.attrs<ReduceAttrs>().axes, p.in(0).shape.rank, &mask));
  plan_reduce(a, p.in(0).shape.rank, p.in(0).shape.dims, mask);
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.reduce->reduce, &a, a.units, 2.0 * (double)p.in(0).shape.elements() / (double)(a.units ? a.units : 1), 0);
  return TERN_OK;
}

const char* refuse_arg(const Graph& g, const Node& n) {
  const DType d = g.value(n.in[0]).dtype;
  return d == TERN_DTYPE_F32 || d == TERN_DTYPE_F64 || d == TERN_DTYPE_I32 || d == TERN_DTYPE_I64 ||
                 d == TERN_DTYPE_U8 || d == TERN_DTYPE_I8
             ? nullptr
             : "the kernel does not take this type";
}

tern_status prepare_arg(Prepare& p) {
  ArgReduceArgs& a = p.args<ArgReduceArgs>();
  const ArgReduceAttrs& attrs = p.node.attrs<ArgReduceAttrs>();
  const Split3 s = split_at(p.in(0).shape, attrs.axis);
  a.dtype = p.in(0).dtype;
  a.least = p.node.op == &op_arg_min;
  a.last = (int32_t)attrs.last_index;
  a.outer = s.outer, a.axis = s.axis, a.inner = s.inner;
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.reduce->arg_reduce, &a, units(a),
         4.0 * (double)p.in(0).shape.elements() / (double)(units(a) ? units(a) : 1), 0);
  return TERN_OK;
}

const char* refuse_cumsum(const Graph& g, const Node& n) {
  const DType d = g.value(n.in[0]).dtype;
  return d == TERN_DTYPE_F32 || d == TERN_DTYPE_F64 || d == TERN_DTYPE_I32 || d == TERN_DTYPE_I64
             ? nullptr
             : "the kernel takes f32, f64, i32 and i64 only";
}

tern_status prepare_cumsum(Prepare& p) {
  CumsumArgs& a = p.args<CumsumArgs>();
  const CumsumAttrs& attrs = p.node.attrs<CumsumAttrs>();
  const Split3 s = split_at(p.in(0).shape, attrs.axis);
  a.dtype = p.in(0).dtype;
  a.exclusive = (int32_t)attrs.exclusive, a.reverse = (int32_t)attrs.reverse;
  a.outer = s.outer, a.axis = s.axis, a.inner = s.inner;
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.gather->cumsum, &a, units(a), 4.0 * (double)p.in(0).shape.elements() / (double)(units(a) ? units(a) : 1),
         0);
  return TERN_OK;
}

const char* refuse_unless_f32_or_f64(const Graph& g, const Node& n) {
  return is_f64(g, n) ? nullptr : refuse_unless_f32(g, n);
}

template <class Args>
Args& fill_softmax(Prepare& p) {
  Args& a = p.args<Args>();
  const Split3 s = split_at(p.in(0).shape, p.node.attrs<SoftmaxAttrs>().axis);
  a.outer = s.outer, a.axis = s.axis, a.inner = s.inner;
  a.log = p.node.op == &op_log_softmax;
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  return a;
}

tern_status prepare_softmax(Prepare& p) {
  const double elements = (double)p.in(0).shape.elements();
  if (p.in(0).dtype == TERN_DTYPE_F64) {
    const SoftmaxF64Args& a = fill_softmax<SoftmaxF64Args>(p);
    p.call(p.k.rows_f64->softmax, &a, units(a), units(a) ? 200 * elements / (double)units(a) : 0, 0);
    return TERN_OK;
  }
  const SoftmaxArgs& a = fill_softmax<SoftmaxArgs>(p);
  p.call(p.k.softmax->softmax, &a, units(a), 40.0 * elements / (double)(units(a) ? units(a) : 1), 0);
  return TERN_OK;
}

tern_status prepare_softmax_grad(Prepare& p) {
  SoftmaxGradArgs& a = p.args<SoftmaxGradArgs>();
  const SoftmaxGradAttrs& attrs = p.node.attrs<SoftmaxGradAttrs>();
  const Split3 s = split_at(p.in(0).shape, attrs.axis);
  a.outer = s.outer, a.axis = s.axis, a.inner = s.inner;
  a.log = (int32_t)attrs.log;
  p.pointer(a.y, p.node.in[0]);
  p.pointer(a.dy, p.node.in[1]);
  p.pointer(a.dx, p.node.out[0]);
  const double flops = a.log ? 30 : 5;
  p.call(p.k.softmax->gradient, &a, units(a), flops * (double)p.in(0).shape.elements() / (double)units(a), 0);
  return TERN_OK;
}

// ---- normalisations ----

// Scale and bias of [channels] or absent.
bool vector_or_absent(const Graph& g, const Node& n, size_t i, int64_t channels) {
  return i >= n.in.size() || n.in[i] == kNoValue || g.value(n.in[i]).shape.elements() == channels;
}

const char* refuse_row_norm(const Graph& g, const Node& n) {
  if (const char* why = refuse_unless_f32_or_f64(g, n)) return why;
  const Shape& x = g.value(n.in[0]).shape;
  int64_t axis = n.attrs<LayerNormAttrs>().axis, channels = 1;
  for (int64_t i = axis < 0 ? axis + x.rank : axis; i < x.rank; ++i) channels *= x[(int)i];
  return vector_or_absent(g, n, 1, channels) && vector_or_absent(g, n, 2, channels)
             ? nullptr
             : "the kernel takes one scale per element only";
}

template <class Args>
Args& fill_row_norm(Prepare& p) {
  Args& a = p.args<Args>();
  const LayerNormAttrs& attrs = p.node.attrs<LayerNormAttrs>();
  const Shape& x = p.in(0).shape;
  a.kind = p.node.op == &op_layer_norm ? RowNorm::layer : RowNorm::rms;
  a.epsilon = (decltype(a.epsilon))attrs.epsilon;
  a.channels = a.rows = 1;
  const int64_t axis = attrs.axis < 0 ? attrs.axis + x.rank : attrs.axis;
  for (int i = 0; i < x.rank; ++i) (i < axis ? a.rows : a.channels) *= x[i];
  p.pointer(a.x, p.node.in[0]);
  if (p.has(1)) p.pointer(a.gamma, p.node.in[1]);
  if (p.has(2)) p.pointer(a.beta, p.node.in[2]);
  p.pointer(a.y, p.node.out[0]);
  return a;
}

tern_status prepare_row_norm(Prepare& p) {
  if (p.in(0).dtype == TERN_DTYPE_F64) {
    const RowNormF64Args& a = fill_row_norm<RowNormF64Args>(p);
    p.call(p.k.rows_f64->row_norm, &a, units(a), 24.0 * (double)a.channels, 0);
    return TERN_OK;
  }
  const RowNormArgs& a = fill_row_norm<RowNormArgs>(p);
  p.call(p.k.normalize->row_norm, &a, units(a), 12.0 * (double)a.channels, 0);
  return TERN_OK;
}

const char* refuse_l2(const Graph& g, const Node& n) {
  if (const char* why = refuse_unless_f32(g, n)) return why;
  const int64_t axis = n.attrs<L2NormalizeAttrs>().axis;
  return axis == -1 || axis == g.value(n.in[0]).shape.rank - 1 ? nullptr : "the kernel takes the last axis only";
}

tern_status prepare_l2(Prepare& p) {
  RowNormArgs& a = p.args<RowNormArgs>();
  const Shape& x = p.in(0).shape;
  a.kind = RowNorm::l2;
  a.epsilon = (float)p.node.attrs<L2NormalizeAttrs>().epsilon;
  a.channels = x[x.rank - 1];
  a.rows = a.channels ? x.elements() / a.channels : 0;
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.normalize->row_norm, &a, units(a), 6.0 * (double)a.channels, 0);
  return TERN_OK;
}

tern_status prepare_group_norm(Prepare& p) {
  GroupNormArgs& a = p.args<GroupNormArgs>();
  const Shape& x = p.in(0).shape;
  const bool instance = p.node.op == &op_instance_norm;
  a.batch = x[0];
  a.channels = x[x.rank - 1];
  a.pixels = 1;
  for (int i = 1; i + 1 < x.rank; ++i) a.pixels *= x[i];
  a.groups = instance ? a.channels : p.node.attrs<GroupNormAttrs>().groups;
  a.epsilon = (float)(instance ? p.node.attrs<BatchNormAttrs>().epsilon : p.node.attrs<GroupNormAttrs>().epsilon);
  p.pointer(a.x, p.node.in[0]);
  if (p.has(1)) p.pointer(a.gamma, p.node.in[1]);
  if (p.has(2)) p.pointer(a.beta, p.node.in[2]);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.normalize->group_norm, &a, units(a), 12.0 * (double)x.elements() / (double)(units(a) ? units(a) : 1),
         group_norm_scratch(a));
  return TERN_OK;
}

// ---- attention ----

const char* refuse_attention_mask(const Graph& g, const Node& n, size_t i) {
  if (const char* why = refuse_unless_f32(g, n)) return why;
  if (i >= n.in.size() || n.in[i] == kNoValue) return nullptr;
  const Value& mask = g.value(n.in[i]);
  if (mask.dtype != TERN_DTYPE_F32) return "the kernel takes f32 masks only";
  if (mask.shape.rank < 1 || mask.shape[mask.shape.rank - 1] != g.value(n.in[1]).shape[2])
    return "the kernel takes masks over all keys only";
  return nullptr;
}

const char* refuse_attention(const Graph& g, const Node& n) { return refuse_attention_mask(g, n, 3); }

// What AttentionArgs and AttentionGradArgs name alike, with the mask as input `mask` and the valid length behind it.
template <class Args>
Args& fill_attention(Prepare& p, int mask) {
  Args& a = p.args<Args>();
  const AttentionAttrs& attrs = p.node.attrs<AttentionAttrs>();
  const Shape &q = p.in(0).shape, &k = p.in(1).shape, &v = p.in(2).shape;
  a.batch = q[0], a.heads = q[1], a.tokens = q[2], a.dim = q[3];
  a.kv_heads = k[1], a.kv_tokens = k[2], a.v_dim = v[3];
  a.scale = (float)(attrs.scale != 0 ? attrs.scale : 1.0 / __builtin_sqrt((double)(a.dim ? a.dim : 1)));
  a.causal = (int32_t)attrs.causal;
  p.pointer(a.q, p.node.in[0]);
  p.pointer(a.k, p.node.in[1]);
  p.pointer(a.v, p.node.in[2]);
  if (p.has(mask)) {
    const Shape& m = p.in(mask).shape;
    const int64_t dims[4] = {q[0], q[1], q[2], k[2]};
    int64_t strides[kMaxRank] = {};
    broadcast_strides(m.rank, m.dims, 4, dims, strides);
    a.mask_batch = strides[0], a.mask_head = strides[1], a.mask_token = strides[2];
    p.pointer(a.mask, p.node.in[(size_t)mask]);
  }
  if (p.has(mask + 1)) p.pointer(a.kv_valid, p.node.in[(size_t)mask + 1]);
  return a;
}

tern_status prepare_attention(Prepare& p) {
  AttentionArgs& a = fill_attention<AttentionArgs>(p, 3);
  a.q_token = a.dim, a.q_head = a.tokens * a.dim, a.q_batch = a.heads * a.q_head;
  a.k_token = a.dim, a.k_head = a.kv_tokens * a.dim, a.k_batch = a.kv_heads * a.k_head;
  a.v_token = a.v_dim, a.v_head = a.kv_tokens * a.v_dim, a.v_batch = a.kv_heads * a.v_head;
  a.y_token = a.v_dim, a.y_head = a.tokens * a.v_dim, a.y_batch = a.heads * a.y_head;
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.attention->attention, &a, units(a),
         2.0 * kAttentionQueries * (double)a.kv_tokens * (double)(a.dim + a.v_dim), attention_scratch(a));
  return TERN_OK;
}

const char* refuse_attention_grad(const Graph& g, const Node& n) {
  if (g.value(n.in[0]).shape.elements() == 0 || g.value(n.in[1]).shape.elements() == 0 ||
      g.value(n.in[2]).shape.elements() == 0)
    return "the kernel takes tensors with elements only";
  return refuse_attention_mask(g, n, 4);
}

tern_status prepare_attention_grad(Prepare& p) {
  AttentionGradArgs& a = fill_attention<AttentionGradArgs>(p, 4);
  p.pointer(a.dy, p.node.in[3]);
  p.pointer(a.dq, p.node.out[0]);
  p.pointer(a.dk, p.node.out[1]);
  p.pointer(a.dv, p.node.out[2]);
  const int64_t segments = attention_grad_segments(a), elements = attention_grad_elements(a);
  if (segments > 1) p.workspace(a.partial, (uint64_t)(segments * elements) * sizeof(float));
  const double scores = (double)(a.heads / a.kv_heads * a.tokens) * (double)a.kv_tokens / (double)segments;
  p.call(p.k.attention_grad->blocks, &a, a.batch * a.kv_heads * segments,
         scores * (40 + 6.0 * (double)a.dim + 4.0 * (double)a.v_dim), attention_grad_scratch(a));
  if (segments > 1)
    p.call(p.k.attention_grad->join, &a, ceil_div(elements, kAttentionGradJoin),
           (double)(segments * kAttentionGradJoin), 0);
  return TERN_OK;
}

constexpr auto kOps = without_left_out({
    {&op_reduce_sum, refuse_reduce, prepare_reduce},
    {&op_reduce_mean, refuse_reduce, prepare_reduce},
    {&op_reduce_max, refuse_reduce, prepare_reduce},
    {&op_reduce_min, refuse_reduce, prepare_reduce},
    {&op_reduce_prod, refuse_reduce, prepare_reduce},
    {&op_arg_max, refuse_arg, prepare_arg},
    {&op_arg_min, refuse_arg, prepare_arg},
    {&op_cumsum, refuse_cumsum, prepare_cumsum},
    {&op_softmax, refuse_unless_f32_or_f64, prepare_softmax},
    {&op_log_softmax, refuse_unless_f32_or_f64, prepare_softmax},
    {&op_softmax_grad, refuse_unless_f32, prepare_softmax_grad},
    {&op_layer_norm, refuse_row_norm, prepare_row_norm},
    {&op_rms_norm, refuse_row_norm, prepare_row_norm},
    {&op_l2_normalize, refuse_l2, prepare_l2},
    {&op_instance_norm, refuse_unless_f32, prepare_group_norm},
    {&op_group_norm, refuse_unless_f32, prepare_group_norm},
    {&op_attention, refuse_attention, prepare_attention},
    {&op_attention_grad, refuse_attention_grad, prepare_attention_grad},
});

}  // namespace

std::span<const CpuOp> cpu_ops_reduce() { return kOps; }

}  // namespace tern::cpu
