// SPDX-License-Identifier: Apache-2.0
// TFLite operators over volumes [N, D, H, W, C].
#include <algorithm>
#include <cstring>

#include "import/spatial.h"
#include "import/tflite.h"

namespace tern {
namespace {

enum { kSame = 0, kValid = 1 };
constexpr int64_t kMostTaps = 4096;  // along the depth: each is a node

// The weight [kd, kh, kw, A, B] of input 1 as [B, kh, kw, A] at a tap of the depth.
ValueId weight_at(TfliteNode& n, int64_t tap, bool panels) {
  Builder& b = n.b;
  const std::vector<int64_t> order = {3, 0, 1, 2};
  const TensorData* content = n.weight(1);
  if (!content || n.is_quantized(1))
    return b.transpose(b.op("gather", {n.in(1), b.integer(tap)}, {{"axis", 0}}), order);
  const std::string how = (panels ? "volume panels " : "volume ") + std::to_string(tap);
  return b.parameter_once(content->data, how, [&] {
    TensorData slice = *content;
    const Shape& s = content->shape;
    slice.shape = Shape{s[1], s[2], s[3], s[4]};
    void* p = nullptr;
    slice.data = make_data(slice.bytes(), &p);
    if (slice.bytes()) std::memcpy(p, (const char*)content->data.bytes + (uint64_t)tap * slice.bytes(), slice.bytes());
    const TensorData w = permute(slice, order);
    const bool packs = panels && w.elements() > 0 && (w.dtype == TERN_DTYPE_F32 || w.dtype == TERN_DTYPE_F16);
    return packs ? b.panel_parameter(w) : b.parameter(w);
  });
}

tern_status read_window(TfliteNode& n, const tfl::Conv3DOptions& o, SpatialWindow* w, Shape* weight) {
  *weight = n.tensor(1).content ? n.tensor(1).content->shape : n.b.value(n.in(1)).shape;
  TERN_TRY(n.b.status());
  if (weight->rank != 5)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: the weight has %d dims instead of 5", n.type(), weight->rank);
  if (o.padding() != kSame && o.padding() != kValid)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: padding %d", n.type(), o.padding());
  w->kernel = {(*weight)[0], (*weight)[1], (*weight)[2]};
  w->strides = {o.stride_d(), o.stride_h(), o.stride_w()};
  w->dilations = {o.dilation_d(), o.dilation_h(), o.dilation_w()};
  w->before = w->after = {0, 0, 0};
  for (size_t i = 0; i < 3; ++i)
    if (w->kernel[i] < 1 || w->strides[i] < 1 || w->dilations[i] < 1 || w->kernel[i] > INT32_MAX)
      return TERN_FAIL(TERN_ERR_CORRUPT, "%s: a window of %" PRId64 " with stride %" PRId64 " and dilation %" PRId64,
                       n.type(), w->kernel[i], w->strides[i], w->dilations[i]);
  if (w->kernel[0] > kMostTaps) return n.unsupported("more than 4096 taps along the depth");
  return TERN_OK;
}

tern_status conv_3d(TfliteNode& n) {
  Builder& b = n.b;
  const tfl::Conv3DOptions* o = nullptr;
  TERN_TRY(n.need_options(&o));
  ValueId x = n.in(0);
  TERN_TRY(b.status());
  if (b.rank(x) != 5) return TERN_FAIL(TERN_ERR_CORRUPT, "CONV_3D: its input has %d dims instead of 5", b.rank(x));
  SpatialWindow w;
  Shape weight;
  TERN_TRY(read_window(n, *o, &w, &weight));
  const int64_t channels = b.dim(x, 4);
  if (channels < 1 || weight[3] < 1 || channels % weight[3])
    return TERN_FAIL(TERN_ERR_CORRUPT, "CONV_3D: a weight of %" PRId64 " channels for %" PRId64, weight[3], channels);
  const int64_t groups = channels / weight[3];
  if (o->padding() == kSame) {
    std::vector<ValueId> before(5, b.integers({0})), after = before;
    bool open = false;
    for (int i = 0; i < 3; ++i) {
      const size_t k = (size_t)i;
      const int64_t in = b.dim(x, 1 + i);
      if (in < 0 && w.strides[k] != 1) {
        varying_same_padding(b, x, 1 + i, w.span(i), w.strides[k], false, &before[k + 1], &after[k + 1]);
        open = true;
        continue;
      }
      const int64_t total =
          w.strides[k] == 1
              ? w.span(i) - 1
              : std::max<int64_t>(0, ((in + w.strides[k] - 1) / w.strides[k] - 1) * w.strides[k] + w.span(i) - in);
      w.before[k] = total / 2;
      w.after[k] = total - total / 2;
    }
    before.insert(before.end(), after.begin(), after.end());
    if (open) x = b.op("pad", {x, b.op("concat", before, {{"axis", 0}})});
  }
  ValueId y = conv_nd(
      b, x, [&](const std::vector<int64_t>& tap) { return weight_at(n, tap[0], groups == 1); }, n.in(2), w, groups);
  TERN_TRY(n.activate(o->activation(), &y));
  n.set(0, y);
  return TERN_OK;
}

// Inputs: shape of the result, weight [kd, kh, kw, O, C], x.
tern_status conv_3d_transpose(TfliteNode& n) {
  Builder& b = n.b;
  const tfl::Conv3DOptions* o = nullptr;
  TERN_TRY(n.need_options(&o));
  std::vector<int64_t> shape;
  TERN_TRY(n.integers_in(0, &shape));
  const ValueId x = n.in(2);
  TERN_TRY(b.status());
  if (b.rank(x) != 5 || shape.size() != 5)
    return TERN_FAIL(TERN_ERR_CORRUPT, "CONV_3D_TRANSPOSE: from %d to %zu dims instead of 5", b.rank(x), shape.size());
  SpatialWindow w;
  Shape weight;
  TERN_TRY(read_window(n, *o, &w, &weight));
  std::vector<int64_t> extra(3, 0);
  for (int i = 0; i < 3; ++i) {
    const size_t k = (size_t)i;
    const int64_t in = b.dim(x, 1 + i), out = shape[k + 1];
    if (in < 0) return n.unsupported("a size that varies");
    const int64_t reached = (in - 1) * w.strides[k] + w.span(i);
    if (in < 1 || out < 1 || out > INT32_MAX || reached - out > w.span(i) || out - reached >= w.strides[k])
      return TERN_FAIL(TERN_ERR_CORRUPT,
                       "CONV_3D_TRANSPOSE: an output of %" PRId64 " for an input of %" PRId64 ", span %" PRId64
                       " and stride %" PRId64,
                       out, in, w.span(i), w.strides[k]);
    const int64_t total = std::max<int64_t>(0, reached - out);
    extra[k] = std::max<int64_t>(0, out - reached);
    w.before[k] = total / 2;
    w.after[k] = total - total / 2;
  }
  ValueId y = conv_transpose_nd(
      b, x, [&](const std::vector<int64_t>& tap) { return weight_at(n, tap[0], false); }, n.in(3), w, extra, 1);
  TERN_TRY(n.activate(o->activation(), &y));
  n.set(0, y);
  return TERN_OK;
}

constexpr TfliteOp kOps[] = {
    {132, "CONV_3D", 2, 3, 1, 4, conv_3d},
    {141, "CONV_3D_TRANSPOSE", 3, 4, 1, 8, conv_3d_transpose},
};

}  // namespace

std::span<const TfliteOp> tflite_volume_ops() { return kOps; }

}  // namespace tern
