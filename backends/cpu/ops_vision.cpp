// SPDX-License-Identifier: Apache-2.0
// Pooling, resizing, batch norm, non-maximum suppression.
#include <cmath>

#include "backends/cpu/prepare.h"
#include "kernels/cpu/nms.h"
#include "kernels/cpu/normalize.h"
#include "kernels/cpu/pool.h"
#include "kernels/cpu/resize.h"
#include "ops/normalize.h"
#include "ops/pool.h"
#include "ops/resize.h"
#include "ops/select.h"

namespace tern::cpu {
namespace {

template <class Attrs>
PoolArgs& fill_pool(Prepare& p, const Attrs& attrs) {
  PoolArgs& a = p.args<PoolArgs>();
  const Shape &x = p.in(0).shape, &y = p.out(0).shape;
  a.batch = x[0], a.channels = x[3];
  for (int i = 0; i < 2; ++i) {
    a.in[1 + i] = x[1 + i], a.out[1 + i] = y[1 + i];
    a.kernel[1 + i] = attrs.kernel[i], a.stride[1 + i] = attrs.strides[i];
    a.dilation[1 + i] = i == 0 ? attrs.dilation_h : attrs.dilation_w;
    a.pad[1 + i] = attrs.pads[i], a.pad_end[1 + i] = attrs.pads[2 + i];
  }
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  return a;
}

double pool_flops(const PoolArgs& a) { return 4.0 * (double)(a.out[2] * a.kernel[1] * a.kernel[2] * a.channels); }

tern_status prepare_max_pool(Prepare& p) {
  PoolArgs& a = fill_pool(p, p.node.attrs<MaxPool2dAttrs>());
  a.kind = Pool::max;
  p.call(p.k.pool->pool, &a, units(a), pool_flops(a), 0);
  return TERN_OK;
}

tern_status prepare_avg_pool(Prepare& p) {
  PoolArgs& a = fill_pool(p, p.node.attrs<AvgPool2dAttrs>());
  a.kind = p.node.attrs<AvgPool2dAttrs>().count_include_pad ? Pool::average_include_pad : Pool::average;
  p.call(p.k.pool->pool, &a, units(a), pool_flops(a), 0);
  return TERN_OK;
}

const char* refuse_resize(const Graph& g, const Node& n) {
  const Shape &x = g.value(n.in[0]).shape, &y = g.value(n.out[0]).shape;
  if (x.rank != 4 || x[0] != y[0] || x[3] != y[3]) return "the kernel takes pictures only";
  if (x.elements() == 0) return "the kernel takes pictures that are not empty only";
  return refuse_unless_f32(g, n);
}

tern_status prepare_resize(Prepare& p) {
  const ResizeAttrs& attrs = p.node.attrs<ResizeAttrs>();
  const Shape &x = p.in(0).shape, &y = p.out(0).shape;
  // Tables of taps by the operator's own rule.
  const ResizeGradAttrs rule = resize_rule(attrs, x[1], x[2]);
  const double scales[2] = {attrs.scale_h, attrs.scale_w};
  const int taps = attrs.mode == (int64_t)ResizeMode::nearest ? 1 : attrs.mode == (int64_t)ResizeMode::linear ? 2 : 4;
  int32_t* index[2];
  float* weight[2];
  for (int i = 0; i < 2; ++i) {
    const int64_t in = x[1 + i], out = y[1 + i];
    index[i] = p.array<int32_t>((size_t)(out * taps));
    weight[i] = p.array<float>((size_t)(out * taps));
    for (int64_t o = 0; o < out; ++o) {
      const ResizeTaps t = resize_taps(rule, scales[i], in, out, o);
      for (int k = 0; k < taps; ++k) {
        index[i][o * taps + k] = k < t.count ? (int32_t)t.index[k] : (int32_t)t.index[0];
        weight[i][o * taps + k] = k < t.count ? (float)t.weight[k] : 0;
      }
    }
  }
  if (taps == 1) {
    ResizeNearestArgs& a = p.args<ResizeNearestArgs>();
    a.batch = x[0], a.height = x[1], a.width = x[2], a.channels = x[3], a.out_height = y[1], a.out_width = y[2],
    a.y_pixel = p.row_step(p.node.out[0]);
    a.row = index[0], a.col = index[1];
    p.pointer(a.x, p.node.in[0]);
    p.pointer(a.y, p.node.out[0]);
    p.call(p.k.resize->nearest, &a, units(a), 4.0 * (double)(y[2] * y[3]), 0);
    return TERN_OK;
  }
  ResizeFilterArgs& a = p.args<ResizeFilterArgs>();
  a.batch = x[0], a.height = x[1], a.width = x[2], a.channels = x[3], a.out_height = y[1], a.out_width = y[2],
  a.y_pixel = p.row_step(p.node.out[0]);
  a.row_taps = a.col_taps = taps;
  a.row = index[0], a.row_weight = weight[0], a.col = index[1], a.col_weight = weight[1];
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.resize->filter, &a, units(a), 8.0 * (double)(y[2] * y[3] * taps), resize_filter_scratch(a));
  return TERN_OK;
}

const char* refuse_batch_norm(const Graph& g, const Node& n) {
  for (size_t i = 1; i < 5; ++i)
    if (g.value(n.in[i]).kind != ValueKind::constant && g.value(n.in[i]).kind != ValueKind::parameter)
      return "the kernel takes fixed statistics only";
  return refuse_unless_f32(g, n);
}

// The factor of a channel, made anew in every run since it may change.
struct FoldArgs {
  const float *scale = nullptr, *variance = nullptr;
  float* k = nullptr;
  double epsilon = 0;
  int64_t channels = 0;
};
void run_fold(const void* args, int64_t, int64_t, void*) {
  const FoldArgs& a = *(const FoldArgs*)args;
  for (int64_t i = 0; i < a.channels; ++i)
    a.k[i] = (float)((double)a.scale[i] / std::sqrt((double)a.variance[i] + a.epsilon));
}

tern_status prepare_batch_norm(Prepare& p) {
  const Shape& x = p.in(0).shape;
  FoldArgs& f = p.args<FoldArgs>();
  f.channels = x[x.rank - 1];
  f.epsilon = p.node.attrs<BatchNormAttrs>().epsilon;
  f.k = p.array<float>((size_t)f.channels);
  p.pointer(f.scale, p.node.in[1]);
  p.pointer(f.variance, p.node.in[4]);
  p.call(run_fold, &f, 1, 0, 0);
  ScaleShiftArgs& a = p.args<ScaleShiftArgs>();
  a.scale = f.k;
  p.pointer(a.shift, p.node.in[2]);
  p.pointer(a.center, p.node.in[3]);
  a.channels = f.channels;
  a.rows = f.channels ? x.elements() / f.channels : 0;
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.normalize->scale_shift, &a, units(a), 15e3, 0);
  return TERN_OK;
}

// ---- non-maximum suppression ----

const char* refuse_nms(const Graph& g, const Node& n) {
  for (size_t i = 2; i < n.in.size(); ++i)
    if (n.in[i] != kNoValue && !g.value(n.in[i]).data) return "the kernel takes limits that are known only";
  return refuse_unless_f32(g, n);
}

tern_status prepare_nms(Prepare& p) {
  const NmsAttrs& attrs = p.node.attrs<NmsAttrs>();
  const Shape &boxes = p.in(0).shape, &scores = p.in(1).shape;
  NmsArgs& a = p.args<NmsArgs>();
  const auto number = [&](int i, double otherwise) {
    return p.has(i) ? load_element(p.in(i).dtype, p.in(i).data.bytes, 0) : otherwise;
  };
  a.batch = boxes[0], a.num_boxes = boxes[1], a.classes = scores[1];
  const double most = number(2, (double)attrs.max_per_class);
  a.max_per_class = most <= 0 ? 0 : most >= (double)a.num_boxes ? a.num_boxes : (int64_t)most;
  a.iou_threshold = (float)number(3, attrs.iou_threshold);
  const double threshold = number(4, attrs.score_threshold);
  a.use_score_threshold = p.has(4) || threshold > -INFINITY;
  a.score_threshold = (float)threshold;
  a.center_point = (int32_t)attrs.center_point_box;
  a.capacity = p.out(0).shape[0];
  a.winners = p.array<int32_t>((size_t)(a.batch * a.classes * a.max_per_class));
  a.counts = p.array<int32_t>((size_t)(a.batch * a.classes));
  p.pointer(a.boxes, p.node.in[0]);
  p.pointer(a.scores, p.node.in[1]);
  p.pointer(a.selected, p.node.out[0]);
  p.pointer(a.count, p.node.out[1]);
  p.call(p.k.nms->select, &a, units(a), 100.0 * (double)a.num_boxes, nms_scratch(a));
  p.call(p.k.nms->pack, &a, 1, 0, 0);
  return TERN_OK;
}

constexpr CpuOp kOps[] = {
    {&op_max_pool2d, refuse_unless_f32, prepare_max_pool},
    {&op_avg_pool2d, refuse_unless_f32, prepare_avg_pool},
    {&op_resize, refuse_resize, prepare_resize, true},
    {&op_batch_norm, refuse_batch_norm, prepare_batch_norm},
    {&op_nms, refuse_nms, prepare_nms},
};

}  // namespace

std::span<const CpuOp> cpu_ops_vision() { return kOps; }

}  // namespace tern::cpu
