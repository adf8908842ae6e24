// SPDX-License-Identifier: Apache-2.0
// Gradients of convolution, pooling, resizing, padding and look-up.
#include <algorithm>
#include <cstring>

#include "backends/cpu/pack.h"
#include "backends/cpu/prepare.h"
#include "kernels/cpu/axis_sums.h"
#include "kernels/cpu/conv2d_input_grad.h"
#include "kernels/cpu/conv2d_weight_grad.h"
#include "kernels/cpu/conv_transpose.h"
#include "kernels/cpu/gather.h"
#include "kernels/cpu/pool_grad.h"
#include "ops/conv2d.h"
#include "ops/gather.h"
#include "ops/matmul.h"
#include "ops/pad.h"
#include "ops/pool.h"
#include "ops/resize.h"

namespace tern::cpu {
namespace {

// ---- convolution ----

// What ConvTransposeArgs and the arguments of gradients name alike.
template <class Args, class Attrs>
void set_window(Args& a, const Attrs& attrs, int64_t kernel_h, int64_t kernel_w) {
  a.kernel_h = (int32_t)kernel_h, a.kernel_w = (int32_t)kernel_w;
  a.stride_h = (int32_t)attrs.strides[0], a.stride_w = (int32_t)attrs.strides[1];
  a.dilation_h = (int32_t)attrs.dilations[0], a.dilation_w = (int32_t)attrs.dilations[1];
  a.pad_top = (int32_t)attrs.pads[0], a.pad_left = (int32_t)attrs.pads[1];
}

const char* refuse_conv_input(const Graph& g, const Node& n) {
  if (g.value(n.in[0]).dtype != TERN_DTYPE_F32) return "the kernel takes f32 gradients only";
  const Value& w = g.value(n.in[1]);
  if (!is_permutation(w.encoding)) return "the kernel takes encodings that keep each element only";
  return is_weight_type(w.dtype) ? nullptr : "the kernel takes weights of up to 32 bits only";
}

tern_status prepare_conv_input(Prepare& p) {
  const Conv2dInputGradAttrs& attrs = p.node.attrs<Conv2dInputGradAttrs>();
  const Shape &dy = p.in(0).shape, &w = p.in(1).shape, &dx = p.out(0).shape;
  const int64_t taps = w[1] * w[2];
  if (attrs.groups > 1 && attrs.groups == dx[3] && attrs.groups == dy[3] && taps <= kDepthwiseGradTaps) {
    DepthwiseInputGradArgs& a = p.args<DepthwiseInputGradArgs>();
    a.batch = dx[0], a.in_h = dx[1], a.in_w = dx[2], a.channels = dx[3];
    a.out_h = dy[1], a.out_w = dy[2];
    set_window(a, attrs, w[1], w[2]);
    TERN_TRY(pack_weights(p, p.node.in[1], {PackOrder::depthwise, w[0], taps, 1}, &a.w, &a.w_half));
    p.pointer(a.dy, p.node.in[0]);
    p.pointer(a.dx, p.node.out[0]);
    p.call(p.k.conv2d_input_grad->depthwise, &a, depthwise_input_grad_units(a), depthwise_input_grad_unit_flops(a),
           depthwise_input_grad_scratch_bytes(a));
    return TERN_OK;
  }
  // The transposed convolution: weights [filters][kernel][channels / groups] are [in][kernel][out / groups] there.
  ConvTransposeArgs& a = p.args<ConvTransposeArgs>();
  a.batch = dy[0], a.in_h = dy[1], a.in_w = dy[2], a.in_c = dy[3];
  a.out_h = dx[1], a.out_w = dx[2], a.out_c = dx[3];
  a.x_pixel = dy[3], a.y_pixel = dx[3];
  set_window(a, attrs, w[1], w[2]);
  a.groups = (int32_t)attrs.groups;
  PackShape shape{PackOrder::transposed_panels, dx[3], taps * (dy[3] / attrs.groups), attrs.groups};
  shape.kernel = taps;
  TERN_TRY(pack_weights(p, p.node.in[1], shape, &a.w, &a.w_half));
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.conv_transpose->conv_transpose, &a, conv_transpose_units(a), conv_transpose_unit_flops(a),
         conv_transpose_scratch_bytes(a));
  return TERN_OK;
}

// The order of the result: plain, or the kernel's panels.
const char* refuse_order(const Graph& g, const Node& n, int64_t groups) {
  for (const ValueId v : n.in)
    if (g.value(v).dtype != TERN_DTYPE_F32 || !is_plain(g.value(v).encoding)) return "the kernel takes f32 only";
  const Encoding order = g.value(n.out[0]).encoding;
  if (is_plain(order)) return nullptr;
  return kernels().of(order).panels && groups == 1 ? nullptr : "the kernel writes plain tensors and panels only";
}

const char* refuse_conv_weight(const Graph& g, const Node& n) {
  return refuse_order(g, n, n.attrs<Conv2dWeightGradAttrs>().groups);
}

// a has its sizes and window.
tern_status call_weight_grad(Prepare& p, ConvWeightGradArgs& a, ValueId x, ValueId dy) {
  a.panels = !is_plain(p.out(0).encoding);
  const int64_t segments = conv_weight_grad_segments(a);
  if (segments > 1) {
    void* partial = nullptr;
    TERN_TRY(p.prepared((uint64_t)(segments * conv_weight_grad_elements(a)) * sizeof(float), &partial));
    a.partial = (float*)partial;
  }
  p.pointer(a.x, x);
  p.pointer(a.dy, dy);
  p.pointer(a.dw, p.node.out[0]);
  p.call(p.k.conv2d_weight_grad->sums, &a, conv_weight_grad_units(a), conv_weight_grad_unit_flops(a),
         conv_weight_grad_scratch_bytes(a));
  if (segments > 1)
    p.call(p.k.conv2d_weight_grad->join, &a, conv_weight_grad_join_units(a), (double)(segments * kWeightGradJoin), 0);
  return TERN_OK;
}

tern_status prepare_conv_weight(Prepare& p) {
  const Conv2dWeightGradAttrs& attrs = p.node.attrs<Conv2dWeightGradAttrs>();
  const Shape &x = p.in(0).shape, &dy = p.in(1).shape;
  ConvWeightGradArgs& a = p.args<ConvWeightGradArgs>();
  a.batch = x[0], a.in_h = x[1], a.in_w = x[2], a.in_c = x[3];
  a.out_h = dy[1], a.out_w = dy[2], a.out_c = dy[3];
  set_window(a, attrs, attrs.kernel_h, attrs.kernel_w);
  a.groups = (int32_t)attrs.groups;
  return call_weight_grad(p, a, p.node.in[0], p.node.in[1]);
}

// ---- pooling ----

template <class Attrs>
PoolGradArgs& fill_pool(Prepare& p, const Attrs& attrs, const Shape& x, const Shape& windows) {
  PoolGradArgs& a = p.args<PoolGradArgs>();
  a.batch = x[0], a.channels = x[3];
  for (int i = 0; i < 2; ++i) {
    a.in[i] = x[1 + i], a.windows[i] = windows[1 + i];
    a.kernel[i] = attrs.kernel[i], a.stride[i] = attrs.strides[i];
    a.dilation[i] = i == 0 ? attrs.dilation_h : attrs.dilation_w;
    a.pad[i] = attrs.pads[i], a.pad_end[i] = attrs.pads[2 + i];
  }
  return a;
}

void call_pool(Prepare& p, const PoolGradArgs& a) {
  const int64_t units = pool_grad_units(a);
  const double taps =
      (double)(a.batch * a.windows[0] * a.windows[1] * a.channels) * (double)a.kernel[0] * (double)a.kernel[1];
  p.call(p.k.pool_grad->pool_grad, &a, units, 8.0 * taps / (double)(units ? units : 1), 0);
}

const char* refuse_pool(const Graph& g, const Node& n) {
  const Shape &x = g.value(n.in[0]).shape, &y = g.value(n.out[0]).shape;
  if (std::max(x[1] * x[2], y[1] * y[2]) > kPoolGradPixels) return "the kernel takes smaller pictures only";
  return refuse_unless_f32(g, n);
}

tern_status prepare_max_pool_grad(Prepare& p) {
  PoolGradArgs& a = fill_pool(p, p.node.attrs<MaxPool2dAttrs>(), p.in(0).shape, p.in(1).shape);
  a.kind = p.node.op == &op_max_pool2d_pick ? PoolGrad::pick : PoolGrad::max;
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.dy, p.node.in[2]);
  p.pointer(a.out, p.node.out[0]);
  call_pool(p, a);
  return TERN_OK;
}

tern_status prepare_max_pool_index(Prepare& p) {
  PoolGradArgs& a = fill_pool(p, p.node.attrs<MaxPool2dAttrs>(), p.in(0).shape, p.out(0).shape);
  a.kind = PoolGrad::index;
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.winners, p.node.out[0]);
  call_pool(p, a);
  return TERN_OK;
}

tern_status prepare_avg_pool_grad(Prepare& p) {
  const AvgPool2dGradAttrs& attrs = p.node.attrs<AvgPool2dGradAttrs>();
  PoolGradArgs& a = fill_pool(p, attrs, p.out(0).shape, p.in(0).shape);
  a.kind = attrs.count_include_pad ? PoolGrad::average_include_pad : PoolGrad::average;
  p.pointer(a.dy, p.node.in[0]);
  p.pointer(a.out, p.node.out[0]);
  call_pool(p, a);
  return TERN_OK;
}

// ---- what each axis chooses by itself ----

// Sets `lists` from what each place of x goes to: places(i, add) calls add(place in y, weight) for place i of x.
template <class Places>
void fill_lists(Prepare& p, AxisLists& lists, int64_t y_size, int64_t x_size, bool weighted, Places places) {
  int64_t* first = p.array<int64_t>((size_t)y_size + 1);
  int64_t entries = 0;
  for (int64_t i = 0; i < x_size; ++i) places(i, [&](int64_t to, double) { ++first[to + 1], ++entries; });
  for (int64_t i = 0; i < y_size; ++i) first[i + 1] += first[i];
  int64_t *index = p.array<int64_t>((size_t)entries), *next = p.array<int64_t>((size_t)y_size);
  float* weight = weighted ? p.array<float>((size_t)entries) : nullptr;
  std::copy_n(first, y_size, next);
  for (int64_t i = 0; i < x_size; ++i)
    places(i, [&](int64_t to, double w) {
      const int64_t at = next[to]++;
      index[at] = i;
      if (weighted) weight[at] = (float)w;
    });
  lists = {first, index, weight, y_size, x_size};
}

void call_axis_sums(Prepare& p, AxisSumsArgs& a) {
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  const int64_t n = units(a);
  p.call(p.k.axis_sums->axis_sums, &a, n, 8.0 * (double)p.in(0).shape.elements() / (double)(n ? n : 1), 0);
}

tern_status prepare_resize_grad(Prepare& p) {
  const ResizeGradAttrs& attrs = p.node.attrs<ResizeGradAttrs>();
  const Shape &dy = p.in(0).shape, &dx = p.out(0).shape;
  AxisSumsArgs& a = p.args<AxisSumsArgs>();
  a.rank = 3, a.channels = dx[3];
  fill_lists(p, a.axes[0], dx[0], dy[0], false, [](int64_t i, auto add) { add(i, 1); });
  const double scales[2] = {attrs.scale_h, attrs.scale_w};
  for (int axis = 1; axis < 3; ++axis)
    fill_lists(p, a.axes[axis], dx[axis], dy[axis], true, [&](int64_t i, auto add) {
      const ResizeTaps t = resize_taps(attrs, scales[axis - 1], dx[axis], dy[axis], i);
      for (int k = 0; k < t.count; ++k) add(t.index[k], t.weight[k]);
    });
  call_axis_sums(p, a);
  return TERN_OK;
}

tern_status prepare_pad_grad(Prepare& p) {
  int64_t before[kMaxRank], after[kMaxRank];
  TERN_TRY(pad_amounts(InferArgs{p.g, p.node, nullptr}, before, after));
  const PadMode mode = (PadMode)p.node.attrs<PadAttrs>().mode;
  const Shape &dy = p.in(0).shape, &dx = p.out(0).shape;
  AxisSumsArgs& a = p.args<AxisSumsArgs>();
  a.rank = dx.rank;
  while (a.rank > 1 && before[a.rank - 1] == 0 && after[a.rank - 1] == 0) a.channels *= dx[--a.rank];
  for (int axis = 0; axis < a.rank; ++axis)
    fill_lists(p, a.axes[axis], dx[axis], dy[axis], false, [&](int64_t i, auto add) {
      const int64_t to = pad_source(mode, i - before[axis], dx[axis]);
      if (to >= 0) add(to, 1);
    });
  call_axis_sums(p, a);
  return TERN_OK;
}

const char* refuse_pad_grad(const Graph& g, const Node& n) {
  if (g.value(n.in[0]).shape.rank == 0) return "the kernel takes tensors with dims only";
  return refuse_unless_f32(g, n);
}

// ---- look-up ----

struct ZeroArgs {
  void* y = nullptr;
  int64_t bytes = 0;
};
constexpr int64_t kZeroBytes = 1 << 20;  // of one unit
void run_zero(const void* args, int64_t begin, int64_t end, void*) {
  const ZeroArgs& a = *(const ZeroArgs*)args;
  const int64_t first = begin * kZeroBytes, last = std::min(end * kZeroBytes, a.bytes);
  std::memset((char*)a.y + first, 0, (size_t)(last - first));
}

const char* refuse_gather_grad(const Graph& g, const Node& n) {
  const DType d = g.value(n.in[1]).dtype;
  if (d != TERN_DTYPE_I32 && d != TERN_DTYPE_I64) return "the kernel takes i32 and i64 indices only";
  if (g.value(n.out[0]).shape.elements() == 0) return "the kernel takes tensors with elements only";
  return refuse_unless_f32(g, n);
}

tern_status prepare_gather_grad(Prepare& p) {
  const GatherGradAttrs& attrs = p.node.attrs<GatherGradAttrs>();
  const Shape& x = p.out(0).shape;
  ZeroArgs& zero = p.args<ZeroArgs>();
  zero.bytes = (int64_t)value_bytes(p.out(0));
  p.pointer(zero.y, p.node.out[0]);
  p.call(run_zero, &zero, (zero.bytes + kZeroBytes - 1) / kZeroBytes, (double)kZeroBytes, 0);
  ScatterNdArgs& a = p.args<ScatterNdArgs>();
  a.op = Scatter::add;
  a.depth = 1, a.dims[0] = attrs.dim;
  a.slice = 1;
  for (int i = 0; i < x.rank; ++i) {
    if (i < attrs.axis) a.outer *= x[i];
    else if (i > attrs.axis) a.slice *= x[i];
  }
  a.count = p.in(1).shape.elements();
  a.index_dtype = p.in(1).dtype;
  a.error = p.error_flag();
  p.pointer(a.updates, p.node.in[0]);
  p.pointer(a.index, p.node.in[1]);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.gather->scatter_nd, &a, units(a), 4.0 * (double)a.count * (double)std::min(a.slice, kScatterCols), 0);
  return TERN_OK;
}

constexpr auto kOps = without_left_out({
    {&op_conv2d_input_grad, refuse_conv_input, prepare_conv_input},
    {&op_conv2d_weight_grad, refuse_conv_weight, prepare_conv_weight},
    {&op_max_pool2d_grad, refuse_pool, prepare_max_pool_grad},
    {&op_max_pool2d_pick, refuse_pool, prepare_max_pool_grad},
    {&op_max_pool2d_index, refuse_pool, prepare_max_pool_index},
    {&op_avg_pool2d_grad, refuse_pool, prepare_avg_pool_grad},
    {&op_resize_grad, refuse_unless_f32, prepare_resize_grad},
    {&op_pad_grad, refuse_pad_grad, prepare_pad_grad},
    {&op_gather_grad, refuse_gather_grad, prepare_gather_grad},
});

}  // namespace

const char* refuse_ordered_product(const Graph& g, const Node& n) {
  if (!has_capability(Capability::training)) return "gradients of weights were left out of this build";
  const MatmulAttrs& attrs = n.attrs<MatmulAttrs>();
  if (!attrs.transpose_a || attrs.transpose_b || g.value(n.in[0]).shape.rank != 2 || g.value(n.in[1]).shape.rank != 2)
    return "the kernel writes a^T b only in another order";
  return refuse_order(g, n, 1);
}

// y[n][k] = sum over p of a[p][n] b[p][k]: a convolution of one row of pixels.
tern_status prepare_ordered_product(Prepare& p) {
  ConvWeightGradArgs& a = p.args<ConvWeightGradArgs>();
  a.in_h = a.out_h = 1;
  a.in_w = a.out_w = p.in(0).shape[0];
  a.out_c = p.in(0).shape[1], a.in_c = p.in(1).shape[1];
  return call_weight_grad(p, a, p.node.in[1], p.node.in[0]);
}

std::span<const CpuOp> cpu_ops_grad() { return kOps; }

}  // namespace tern::cpu
