// SPDX-License-Identifier: Apache-2.0
// Products of 8-bit codes: matmul_integer, conv2d_integer and what is fused around products of codes.
#include <bit>
#include <cmath>
#include <limits>

#include "backends/cpu/int8_product.h"
#include "backends/cpu/prepare.h"
#include "kernels/cpu/depthwise_int8.h"
#include "kernels/cpu/matmul_int8.h"
#include "ops/conv2d.h"
#include "ops/matmul.h"
#include "ops/unary.h"

namespace tern::cpu {
namespace {

// What the kernels are told of a product.
struct Geometry {
  bool is_conv = false, transposed = false;  // weights [k][n] instead of [groups][n][k]
  int64_t groups = 1, m = 0, n = 0, k = 0;   // n, k: of a group
  Int8Window window;
};

Geometry geometry_of(const Int8Product& v) {
  const Graph& g = *v.graph;
  const Shape &x = g.value(v.node->in[0]).shape, &w = g.value(v.node->in[1]).shape, &y = g.value(v.node->out[0]).shape;
  Geometry r;
  if (v.node->op == &op_conv2d || v.node->op == &op_conv2d_integer) {
    const Conv2dAttrs& a = v.node->attrs<Conv2dAttrs>();
    r.is_conv = true;
    r.groups = a.groups;
    r.m = y[0] * y[1] * y[2], r.n = w[0] / a.groups, r.k = w[1] * w[2] * w[3];
    r.window = {x[0], x[1],         x[2],         x[3],           y[1],           y[2],      w[1],
                w[2], a.strides[0], a.strides[1], a.dilations[0], a.dilations[1], a.pads[0], a.pads[1]};
    return r;
  }
  r.transposed =
      v.node->op == &op_matmul_integer || (v.node->op == &op_matmul && !v.node->attrs<MatmulAttrs>().transpose_b);
  r.n = w[r.transposed ? 1 : 0], r.k = w[r.transposed ? 0 : 1];
  r.m = 1;
  for (int i = 0; i + 1 < x.rank; ++i) r.m *= x[i];
  return r;
}

// Pixels that are rows of a product as they lie.
bool is_pointwise(const Geometry& r) {
  const Int8Window& w = r.window;
  return r.groups == 1 && w.kernel_h == 1 && w.kernel_w == 1 && w.stride_h == 1 && w.stride_w == 1 && w.pad_top == 0 &&
         w.pad_left == 0 && w.out_h == w.in_h && w.out_w == w.in_w;
}

// Are the zero points of weights, as signed ones, known to be 0?
bool has_no_points(const Graph& g, ValueId v, DType w) {
  const int64_t none = w == TERN_DTYPE_U8 ? 128 : 0;
  if (v == kNoValue) return none == 0;
  const Value& value = g.value(v);
  if (!value.data) return false;
  for (int64_t i = 0; i < value.shape.elements(); ++i)
    if (load_integer(value.dtype, value.data.bytes, i) != none) return false;
  return true;
}

struct WeightPointsArgs {
  int64_t count;
  DType dtype;
  int32_t step;   // 0: the source has one for all
  int64_t given;  // 0: there are none, and the source is of no meaning
};
void make_weight_points(const WeightPointsArgs& a, const void* const* sources, void* target, int64_t, int64_t) {
  for (int64_t i = 0; i < a.count; ++i)
    ((int32_t*)target)[i] =
        (a.given ? (int32_t)load_integer(a.dtype, sources[0], a.step * i) : 0) - (a.dtype == TERN_DTYPE_U8 ? 128 : 0);
}

struct PackArgs {
  int64_t groups, n, k, transposed, flip;
};
void make_packed(const PackArgs& a, const void* const* sources, void* target, int64_t, int64_t) {
  for (int64_t g = 0; g < a.groups; ++g)
    pack_int8((const char*)sources[0] + g * a.n * a.k, (uint8_t)a.flip, a.n, a.k, a.transposed ? 1 : a.k,
              a.transposed ? a.n : 1, (char*)target + g * packed_int8_bytes(a.n, a.k));
}
struct PackDepthwiseArgs {
  int64_t channels, kernel_h, kernel_w, flip;
};
void make_packed_depthwise(const PackDepthwiseArgs& a, const void* const* sources, void* target, int64_t, int64_t) {
  pack_depthwise_int8(sources[0], (uint8_t)a.flip, a.channels, a.kernel_h, a.kernel_w, target);
}

// ---- endings ----

// Scales and shifts of the sums, and in codes the zero point and the bounds of the result.
struct EndingArgs {
  int64_t channels;
  int32_t one;         // bit i: source i has one number for all channels
  DType y_dtype;       // F32, U8 or I8
  DType shift_dtype;   // F32, or I32: codes that have a scale of their own
  uint32_t low, high;  // bits of floats
  int32_t clips;
};
enum EndingSource : int { kScale, kWeightScale, kShift, kShiftScale, kResultScale, kResultZero, kEndingSources };

// target: scales, shifts, then the zero point and the bounds.
void make_ending(const EndingArgs& a, const void* const* sources, void* target, int64_t, int64_t) {
  float *scales = (float*)target, *shifts = scales + a.channels;
  int32_t* points = (int32_t*)(shifts + a.channels);
  const auto number = [&](int i, int64_t channel) {
    return sources[i] ? ((const float*)sources[i])[a.one >> i & 1 ? 0 : channel] : 1.0f;
  };
  const bool quantizes = a.y_dtype != TERN_DTYPE_F32;
  const float step = number(kResultScale, 0);
  for (int64_t i = 0; i < a.channels; ++i) {
    scales[i] = number(kScale, i) * number(kWeightScale, i);
    shifts[i] = 0;
    if (sources[kShift])
      shifts[i] = a.shift_dtype == TERN_DTYPE_F32
                      ? number(kShift, i)
                      : (float)((const int32_t*)sources[kShift])[a.one >> kShift & 1 ? 0 : i] * number(kShiftScale, i);
    if (!quantizes) continue;
    scales[i] /= step, shifts[i] /= step;
    // What is no number counts as 0 in the end; sums of 0 stay 0 with any scale.
    if (std::isnan(scales[i]) || std::isnan(shifts[i])) scales[i] = shifts[i] = 0;
    constexpr float kMost = std::numeric_limits<float>::max();
    scales[i] = std::fmin(std::fmax(scales[i], -kMost), kMost);
    shifts[i] = std::fmin(std::fmax(shifts[i], -kMost), kMost);
  }
  if (!quantizes) return;
  const int32_t lowest = a.y_dtype == TERN_DTYPE_U8 ? 0 : -128, highest = lowest + 255;
  points[0] = sources[kResultZero] ? (int32_t)load_integer(a.y_dtype, sources[kResultZero], 0) : 0;
  const auto code = [&](uint32_t bits, int32_t otherwise) {
    const double v = round_half_even(std::bit_cast<float>(bits) / step) + points[0];
    return !a.clips || std::isnan(v) ? otherwise : v < lowest ? lowest : v > highest ? highest : (int32_t)v;
  };
  points[1] = code(a.low, lowest), points[2] = code(a.high, highest);
}

// Is the scale of bias codes that of the sums, as far as f32 tells? Then the codes are added to the sums.
bool is_scale_of_sums(const Graph& g, const Int8Product& v, int64_t channels) {
  const auto number = [&](ValueId id, int64_t i) -> double {
    const Value& value = g.value(id);
    if (!value.data) return std::nan("");
    return load_element(value.dtype, value.data.bytes, value.shape.elements() == 1 ? 0 : i);
  };
  if (v.scale == kNoValue || v.w_scale == kNoValue) return false;
  for (int64_t i = 0; i < channels; ++i) {
    const double sums = number(v.scale, i) * number(v.w_scale, i);
    if (!(std::fabs(number(v.bias_scale, i) - sums) <= 4e-7 * std::fabs(sums))) return false;
  }
  return true;
}

tern_status set_ending(Prepare& p, const Int8Product& v, int64_t channels, Int8Ending& e) {
  e.y_dtype = v.quantizes ? p.out(0).dtype : v.scales ? TERN_DTYPE_F32 : TERN_DTYPE_I32;
  ValueId sum_bias = v.sum_bias, shift = v.shift;
  if (v.bias_codes && is_scale_of_sums(p.g, v, channels)) sum_bias = v.shift, shift = kNoValue;
  if (sum_bias != kNoValue) TERN_TRY(point_at_integers(p, sum_bias, channels, e.bias));
  if (!v.scales) return TERN_OK;
  const auto one = [&](ValueId id) { return id != kNoValue && p.g.value(id).shape.elements() == 1; };
  if (!v.quantizes && shift == kNoValue && v.scale != kNoValue && v.w_scale == kNoValue) {
    e.scale_step = !one(v.scale);
    p.pointer(e.scale, v.scale);
    return TERN_OK;
  }
  EndingArgs a = {};
  a.channels = channels;
  a.y_dtype = (DType)e.y_dtype;
  a.shift_dtype = v.bias_codes ? TERN_DTYPE_I32 : TERN_DTYPE_F32;
  a.clips = v.clips, a.low = std::bit_cast<uint32_t>(v.low), a.high = std::bit_cast<uint32_t>(v.high);
  const ValueId sources[kEndingSources] = {v.scale,   v.w_scale, shift, shift == kNoValue ? kNoValue : v.bias_scale,
                                           v.y_scale, v.y_zero};
  for (int i = 0; i < kEndingSources; ++i) a.one |= one(sources[i]) << i;
  Origin at;
  TERN_TRY(p.derive<EndingArgs>(sources, a, make_ending, 1, (uint64_t)(2 * channels + 3) * sizeof(float), 0, &at));
  p.pointer(e.scale, at);
  if (shift != kNoValue) p.pointer(e.shift, at, (uint64_t)channels * sizeof(float));
  if (v.quantizes) p.pointer(e.points, at, (uint64_t)channels * 2 * sizeof(float));
  return TERN_OK;
}

// ---- operators ----

const char* refuse_product(const Int8Product& v) {
  const Graph& g = *v.graph;
  const Node& n = *v.node;
  if (n.op != &op_matmul_integer) return nullptr;
  const auto is_one = [&](size_t i) {
    return n.in.size() <= i || n.in[i] == kNoValue || g.value(n.in[i]).shape.elements() == 1;
  };
  if (g.value(n.in[0]).shape.rank < 2 || g.value(n.in[1]).shape.rank != 2)
    return "the kernel takes one matrix on the right only";
  if (!is_one(2)) return "the kernel takes one zero point on the left only";
  if (!is_one(3) && g.value(n.in[3]).shape.rank != 1) return "the kernel takes one zero point for each column only";
  return nullptr;
}

const char* refuse_integer(const Graph& g, const Node& n) { return refuse_product(read_int8_product(g, n)); }

tern_status prepare_depthwise(Prepare& p, const Int8Product& v, const Geometry& r) {
  DepthwiseInt8Args& a = p.args<DepthwiseInt8Args>();
  a.x_dtype = p.g.value(v.x).dtype;
  a.window = r.window;
  a.y_stride = p.row_step(p.node.out[0]);
  const PackDepthwiseArgs pack{r.groups, r.window.kernel_h, r.window.kernel_w,
                               p.g.value(v.w).dtype == TERN_DTYPE_U8 ? 0x80 : 0};
  Origin at;
  TERN_TRY(p.derive<PackDepthwiseArgs>({&v.w, 1}, pack, make_packed_depthwise, 1,
                                       (uint64_t)packed_depthwise_int8_bytes(r.groups, depthwise_int8_taps(a)), 0,
                                       &at));
  p.pointer(a.w, at);
  if (v.x_zero != kNoValue) TERN_TRY(point_at_integers(p, v.x_zero, 1, a.x_zero));
  TERN_TRY(set_ending(p, v, r.groups, a.ending));
  p.pointer(a.x, v.x);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.depthwise_int8->depthwise, &a, units(a), depthwise_int8_unit_flops(a), depthwise_int8_scratch_bytes(a));
  return TERN_OK;
}

tern_status prepare_integer(Prepare& p) {
  const Int8Product v = read_int8_product(p.g, p.node);
  const Geometry r = geometry_of(v);
  const DType w_dtype = p.g.value(v.w).dtype;
  const bool no_points = has_no_points(p.g, v.w_zero, w_dtype);
  if (r.is_conv && r.groups > 1 && r.n == 1 && r.window.in_c == r.groups && no_points)
    return prepare_depthwise(p, v, r);
  MatmulInt8Args& a = p.args<MatmulInt8Args>();
  a.x_dtype = p.g.value(v.x).dtype;
  a.m = r.m, a.n = r.n, a.k = r.k, a.groups = r.groups;
  a.is_conv = r.is_conv && !is_pointwise(r);
  a.window = r.window;
  a.x_stride = r.k, a.y_stride = p.row_step(p.node.out[0]);
  const PackArgs pack{r.groups, r.n, r.k, r.transposed, w_dtype == TERN_DTYPE_U8 ? 0x80 : 0};
  Origin at;
  TERN_TRY(
      p.derive<PackArgs>({&v.w, 1}, pack, make_packed, 1, (uint64_t)(r.groups * packed_int8_bytes(r.n, r.k)), 0, &at));
  p.pointer(a.w, at);
  if (v.x_zero != kNoValue) TERN_TRY(point_at_integers(p, v.x_zero, 1, a.x_zero));
  if (!no_points) {
    const bool given = v.w_zero != kNoValue;
    const ValueId source = given ? v.w_zero : v.w;
    const int64_t count = r.groups * r.n;
    const WeightPointsArgs points{count, w_dtype, p.g.value(source).shape.elements() != 1, given};
    TERN_TRY(p.derive<WeightPointsArgs>({&source, 1}, points, make_weight_points, 1, (uint64_t)count * sizeof(int32_t),
                                        0, &at));
    p.pointer(a.w_zero, at);
  }
  TERN_TRY(set_ending(p, v, r.groups * r.n, a.ending));
  p.pointer(a.x, v.x);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.matmul_int8().matmul, &a, units(a), 0.5 * kInt8Rows * kInt8Panel * (double)a.k,
         matmul_int8_scratch_bytes(a));
  return TERN_OK;
}

constexpr CpuOp kOps[] = {{&op_matmul_integer, refuse_integer, prepare_integer},
                          {&op_conv2d_integer, refuse_integer, prepare_integer}};

}  // namespace

std::span<const CpuOp> cpu_ops_int8() { return kOps; }

const char* refuse_int8_product(const Graph& g, const Node& n) { return refuse_integer(g, n); }
tern_status prepare_int8_product(Prepare& p) { return prepare_integer(p); }

}  // namespace tern::cpu
