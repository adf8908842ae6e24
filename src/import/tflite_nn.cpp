// SPDX-License-Identifier: Apache-2.0
// TFLite operators of networks: convolutions, pools, resizing, fully connected layers, normalisations.
#include <algorithm>
#include <cstring>

#include "import/spatial.h"
#include "import/tflite.h"

namespace tern {
namespace {

// ---- windows ----

enum { kSame = 0, kValid = 1 };

// Padding SAME: ceil(in / stride) outputs; an odd pixel goes to the end.
int64_t same_padding(int64_t in, int64_t kernel, int64_t stride, int64_t dilation) {
  const int64_t out = (in + stride - 1) / stride;
  return std::max<int64_t>(0, (out - 1) * stride + (kernel - 1) * dilation + 1 - in);
}

struct WindowSpec {
  int padding = kValid;
  IntList kernel = {1, 1}, strides = {1, 1}, dilations = {1, 1}, pads = {0, 0, 0, 0};
};

tern_status check_window(TfliteNode& n, const WindowSpec& w) {
  if (w.padding != kSame && w.padding != kValid)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: padding %d", n.type(), w.padding);
  for (const IntList* list : {&w.kernel, &w.strides, &w.dilations})
    for (int64_t v : *list)
      if (v < 1 || v > INT32_MAX)
        return TERN_FAIL(
            TERN_ERR_CORRUPT,
            "%s: kernel %" PRId64 "x%" PRId64 ", strides %" PRId64 "x%" PRId64 ", dilations %" PRId64 "x%" PRId64,
            n.type(), w.kernel[0], w.kernel[1], w.strides[0], w.strides[1], w.dilations[0], w.dilations[1]);
  return TERN_OK;
}

// Turns the padding scheme into w->pads, or for sizes that vary into a pad node in front of the window (*x).
tern_status resolve_padding(TfliteNode& n, ValueId* x, WindowSpec* w, double pad_value, bool may_pad_in_front) {
  Builder& b = n.b;
  TERN_TRY(b.status());
  if (b.rank(*x) != 4)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: its input has %d dims instead of 4", n.type(), b.rank(*x));
  TERN_TRY(check_window(n, *w));
  if (w->padding == kValid) return TERN_OK;
  bool varies = false;
  for (int k = 0; k < 2; ++k) {
    const int64_t total = same_padding(b.value(*x).shape[1 + k], w->kernel[k], w->strides[k], w->dilations[k]);
    w->pads[k] = total / 2;
    w->pads[2 + k] = total - total / 2;
    // With stride 1 the size does not matter.
    varies = varies || (b.dim(*x, 1 + k) < 0 && w->strides[k] != 1);
  }
  if (!varies) return TERN_OK;
  if (!may_pad_in_front) return n.unsupported("padding SAME for a size that varies");
  ValueId before[2], after[2];
  for (int k = 0; k < 2; ++k)
    varying_same_padding(b, *x, 1 + k, (w->kernel[k] - 1) * w->dilations[k] + 1, w->strides[k], false, &before[k],
                         &after[k]);
  const ValueId zero = b.integers({0});
  const ValueId pads =
      b.op("concat", {zero, before[0], before[1], zero, zero, after[0], after[1], zero}, {{"axis", 0}});
  *x = b.op("pad", {*x, pads, b.like(*x, pad_value)});
  w->pads = {0, 0, 0, 0};
  return b.status();
}

// ---- convolutions ----

enum class Order { plain, panel };

// Input i as the weight of a convolution or matrix: f16 stays f16 where it is a constant. `permutation` may be
// empty.
tern_status weight_value(TfliteNode& n, int i, int rank, const std::vector<int64_t>& permutation, Order order,
                         ValueId* out) {
  Builder& b = n.b;
  if (!n.has(i)) return TERN_FAIL(TERN_ERR_CORRUPT, "%s: the weight is missing", n.type());
  TfliteTensor& t = n.tensor(i);
  const TensorData* content = n.weight(i);
  if (!content || t.quantized) {
    ValueId v = n.in(i);
    TERN_TRY(b.status());
    if (b.rank(v) != rank)
      return TERN_FAIL(TERN_ERR_CORRUPT, "%s: the weight has %d dims instead of %d", n.type(), b.rank(v), rank);
    *out = permutation.empty() ? v : b.transpose(v, permutation);
    return b.status();
  }
  if (content->shape.rank != rank)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: the weight has %d dims instead of %d", n.type(), content->shape.rank, rank);
  *out = n.parameter(*content, order == Order::panel, permutation);
  return b.status();
}

// Bias of `channels` elements, or kNoValue.
tern_status bias_value(TfliteNode& n, int i, int64_t channels, ValueId* out) {
  *out = kNoValue;
  if (!n.has(i)) return TERN_OK;
  if (const TensorData* content = n.tensor(i).quantized ? nullptr : n.weight(i)) {
    if (content->elements() != channels)
      return TERN_FAIL(TERN_ERR_CORRUPT, "%s: the bias has shape %s for %" PRId64 " channels", n.type(),
                       to_string(content->shape).c_str(), channels);
    const ValueId v = n.parameter(*content, false);
    *out = content->shape.rank == 1 ? v : n.b.reshape(v, {channels});
  } else {
    *out = n.in(i);
  }
  return n.b.status();
}

Attrs conv_attrs(const WindowSpec& w, int64_t groups) {
  return {{"strides", w.strides}, {"pads", w.pads}, {"dilations", w.dilations}, {"groups", groups}};
}

tern_status conv_2d(TfliteNode& n) {
  Builder& b = n.b;
  const tfl::Conv2DOptions* o = nullptr;
  TERN_TRY(n.need_options(&o));
  ValueId x = n.in(0);
  TERN_TRY(b.status());
  if (b.rank(x) != 4) return TERN_FAIL(TERN_ERR_CORRUPT, "CONV_2D: its input has %d dims instead of 4", b.rank(x));
  const auto* dims = n.tensor(1).file->shape();
  const int64_t channels = b.value(x).shape[3], part = dims && dims->size() == 4 ? (*dims)[3] : 0;
  if (part < 1 || channels % part)
    return TERN_FAIL(TERN_ERR_CORRUPT, "CONV_2D: a weight of %" PRId64 " channels for %" PRId64, part, channels);
  const int64_t groups = channels / part;
  ValueId w = kNoValue, bias = kNoValue;
  TERN_TRY(weight_value(n, 1, 4, {}, groups == 1 ? Order::panel : Order::plain, &w));
  const Shape ws = b.value(w).shape;
  WindowSpec s{
      o->padding(), {ws[1], ws[2]}, {o->stride_h(), o->stride_w()}, {o->dilation_h(), o->dilation_w()}, {0, 0, 0, 0}};
  TERN_TRY(resolve_padding(n, &x, &s, 0, true));
  TERN_TRY(bias_value(n, 2, ws[0], &bias));
  ValueId y = b.op("conv2d", {x, w, bias}, conv_attrs(s, groups));
  TERN_TRY(n.activate(o->activation(), &y));
  n.set(0, y);
  return TERN_OK;
}

// A depthwise weight with one tap and one output a channel, known here and of a type that is read as it is; else NULL.
const TensorData* one_tap(TfliteNode& n, ValueId x, const Shape& w, const WindowSpec& s) {
  const DType dtype = n.b.dtype(x);
  const bool one =
      w[0] == n.b.value(x).shape[3] && w[1] == 1 && w[2] == 1 && s.strides == IntList{1, 1} && dtype == TERN_DTYPE_F32;
  const TensorData* t = one && !n.tensor(1).quantized ? n.weight(1) : nullptr;
  return t && (t->dtype == TERN_DTYPE_F32 || t->dtype == TERN_DTYPE_F16) ? t : nullptr;
}

// The weight [1, kh, kw, C * multiplier] becomes [C * multiplier, kh, kw, 1] of a convolution in C groups.
tern_status depthwise_conv_2d(TfliteNode& n) {
  Builder& b = n.b;
  const tfl::DepthwiseConv2DOptions* o = nullptr;
  TERN_TRY(n.need_options(&o));
  ValueId x = n.in(0);
  TERN_TRY(b.status());
  if (b.rank(x) != 4)
    return TERN_FAIL(TERN_ERR_CORRUPT, "DEPTHWISE_CONV_2D: its input has %d dims instead of 4", b.rank(x));
  ValueId w = kNoValue, bias = kNoValue;
  TERN_TRY(weight_value(n, 1, 4, {3, 1, 2, 0}, Order::plain, &w));
  const Shape ws = b.value(w).shape;
  const int64_t channels = b.value(x).shape[3];
  if (channels < 1 || ws[3] != 1 || ws[0] % channels)
    return TERN_FAIL(TERN_ERR_CORRUPT, "DEPTHWISE_CONV_2D: a weight of %" PRId64 " x %" PRId64 " channels for %" PRId64,
                     ws[3], ws[0], channels);
  WindowSpec s{
      o->padding(), {ws[1], ws[2]}, {o->stride_h(), o->stride_w()}, {o->dilation_h(), o->dilation_w()}, {0, 0, 0, 0}};
  TERN_TRY(resolve_padding(n, &x, &s, 0, true));
  TERN_TRY(bias_value(n, 2, ws[0], &bias));
  const TensorData* scale = one_tap(n, x, ws, s);
  ValueId y = scale ? b.scale_channels(x, *scale, bias) : b.op("conv2d", {x, w, bias}, conv_attrs(s, channels));
  TERN_TRY(n.activate(o->activation(), &y));
  n.set(0, y);
  return TERN_OK;
}

// Cuts axis 1 + k of y, all that a transposed convolution of an input of size `in` reaches (and stride - 1 more), to
// the size that is wanted, known when a plan is made: what is too much goes in equal parts, an odd pixel at the end.
ValueId cut_reached(Builder& b, ValueId y, ValueId in, int k, const WindowSpec& s, ValueId wanted) {
  const ValueId reached = b.add(b.mul(in, b.integers({s.strides[k]})), b.integers({s.kernel[k] - s.strides[k]}));
  const ValueId start = b.div(b.op("max", {b.sub(reached, wanted), b.integers({0})}), b.integers({2}));
  return b.op("slice", {y, start, b.add(start, wanted), b.integers({1 + k})});
}

// y[i * stride - pad + k] += w[o, k, c] x[i, c]; the weight [O, kh, kw, C] becomes [C, kh, kw, O]. `wanted` is the
// shape of y, or kNoValue: then padding SAME gives in * stride and VALID all that is reached.
tern_status transposed(TfliteNode& n, int x_index, int bias_index, ValueId wanted, int padding, int stride_h,
                       int stride_w, ValueId* y) {
  Builder& b = n.b;
  const ValueId x = n.in(x_index);
  ValueId w = kNoValue, bias = kNoValue;
  TERN_TRY(weight_value(n, 1, 4, {3, 1, 2, 0}, Order::plain, &w));
  if (b.rank(x) != 4) return TERN_FAIL(TERN_ERR_CORRUPT, "%s: its input has %d dims instead of 4", n.type(), b.rank(x));
  const Shape ws = b.value(w).shape;
  WindowSpec s{padding, {ws[1], ws[2]}, {stride_h, stride_w}, {1, 1}, {0, 0, 0, 0}};
  TERN_TRY(check_window(n, s));
  int64_t more[2] = {0, 0};
  const auto out = wanted == kNoValue ? std::nullopt : b.known_integers(wanted);
  const bool in_plan = wanted != kNoValue && (!out || b.dim(x, 1) < 0 || b.dim(x, 2) < 0);
  for (int k = 0; k < 2; ++k) {
    int64_t total = 0;
    if (in_plan) {
      more[k] = s.strides[k] - 1;
    } else if (out) {
      const int64_t in = b.dim(x, 1 + k);
      const int64_t size = (*out)[(size_t)(1 + k)], reached = (in - 1) * s.strides[k] + s.kernel[k];
      if (in < 1 || size < 1 || size > INT32_MAX || reached - size > s.kernel[k] || size - reached >= s.strides[k])
        return TERN_FAIL(TERN_ERR_CORRUPT,
                         "%s: an output of %" PRId64 " for an input of %" PRId64 ", kernel %" PRId64
                         " and stride %" PRId64,
                         n.type(), size, in, s.kernel[k], s.strides[k]);
      total = std::max<int64_t>(0, reached - size);
      more[k] = std::max<int64_t>(0, size - reached);
    } else if (padding == kSame) {
      total = std::max<int64_t>(0, s.kernel[k] - s.strides[k]);
      more[k] = std::max<int64_t>(0, s.strides[k] - s.kernel[k]);
    }
    s.pads[k] = total / 2;
    s.pads[2 + k] = total - total / 2;
  }
  TERN_TRY(bias_value(n, bias_index, ws[3], &bias));
  Attrs attrs = conv_attrs(s, 1);
  attrs.push_back({"output_pad_h", more[0]});
  attrs.push_back({"output_pad_w", more[1]});
  *y = b.op("conv_transpose2d", {x, w, bias}, attrs);
  for (int k = 0; k < 2 && in_plan; ++k) {
    const ValueId in = b.op("shape", {x}, {{"start", 1 + k}, {"end", 2 + k}});
    *y = cut_reached(b, *y, in, k, s, b.op("slice", {wanted}, {{"starts", IntList{1 + k}}, {"ends", IntList{2 + k}}}));
  }
  return b.status();
}

tern_status transpose_conv(TfliteNode& n) {
  const tfl::TransposeConvOptions* o = nullptr;
  TERN_TRY(n.need_options(&o));
  const ValueId shape = n.integers_value(0);
  TERN_TRY(n.b.status());
  if (n.b.value(shape).shape != Shape{4})
    return TERN_FAIL(TERN_ERR_CORRUPT, "TRANSPOSE_CONV: an output size of shape %s",
                     to_string(n.b.value(shape).shape).c_str());
  ValueId y = kNoValue;
  TERN_TRY(transposed(n, 2, 3, shape, o->padding(), o->stride_h(), o->stride_w(), &y));
  TERN_TRY(n.activate(o->activation(), &y));
  n.set(0, y);
  return TERN_OK;
}

// MediaPipe's operator. Options: three 32-bit integers: padding (1 SAME, 2 VALID), strides of width and height.
tern_status convolution_2d_transpose_bias(TfliteNode& n) {
  const auto* o = n.op.custom_options();
  int32_t fields[3] = {};
  if (!o || o->size() < sizeof fields)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: its options have %u bytes", n.type(), o ? o->size() : 0);
  std::memcpy(fields, o->data(), sizeof fields);
  if (fields[0] != 1 && fields[0] != 2) return TERN_FAIL(TERN_ERR_CORRUPT, "%s: padding %d", n.type(), fields[0]);
  ValueId y = kNoValue;
  TERN_TRY(transposed(n, 0, 2, kNoValue, fields[0] == 1 ? kSame : kValid, fields[2], fields[1], &y));
  n.set(0, y);
  return TERN_OK;
}

// ---- pools and resizing ----

tern_status pool(TfliteNode& n, const char* op, double pad_value, bool may_pad_in_front) {
  Builder& b = n.b;
  const tfl::Pool2DOptions* o = nullptr;
  TERN_TRY(n.need_options(&o));
  ValueId x = n.in(0);
  WindowSpec s{o->padding(), {o->filter_h(), o->filter_w()}, {o->stride_h(), o->stride_w()}, {1, 1}, {0, 0, 0, 0}};
  TERN_TRY(resolve_padding(n, &x, &s, pad_value, may_pad_in_front));
  ValueId y = b.op(op, {x}, {{"kernel", s.kernel}, {"strides", s.strides}, {"pads", s.pads}});
  TERN_TRY(n.activate(o->activation(), &y));
  n.set(0, y);
  return TERN_OK;
}

tern_status max_pool_2d(TfliteNode& n) { return pool(n, "max_pool2d", -3.4028234663852886e38, true); }

// A window over the whole picture is a mean, whatever the size of the picture is.
tern_status average_pool_2d(TfliteNode& n) {
  Builder& b = n.b;
  const tfl::Pool2DOptions* o = nullptr;
  TERN_TRY(n.need_options(&o));
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  if (o->padding() == kValid && b.rank(x) == 4 && b.dim(x, 1) == o->filter_h() && b.dim(x, 2) == o->filter_w() &&
      o->filter_h() > 0 && o->filter_w() > 0) {
    ValueId y = b.op("reduce_mean", {x}, {{"axes", IntList{1, 2}}, {"keep_dims", 1}});
    TERN_TRY(n.activate(o->activation(), &y));
    n.set(0, y);
    return TERN_OK;
  }
  return pool(n, "avg_pool2d", 0, false);
}

tern_status resize(TfliteNode& n, const char* mode, const char* coordinates, const char* nearest) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  if (b.rank(x) != 4) return TERN_FAIL(TERN_ERR_CORRUPT, "%s: its input has %d dims instead of 4", n.type(), b.rank(x));
  const Attrs how = {{"mode", mode}, {"coordinates", coordinates}, {"nearest", nearest}};
  std::vector<int64_t> size;
  const ValueId wanted = n.integers_value(1);
  TERN_TRY(b.status());
  if (b.value(wanted).shape != Shape{2})
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: a size of shape %s", n.type(), to_string(b.value(wanted).shape).c_str());
  const auto known = b.known_integers(wanted);
  if (known && b.dim(x, 0) >= 0 && b.dim(x, 3) >= 0) {
    Attrs attrs = how;
    attrs.push_back({"sizes", IntList{b.dim(x, 0), (*known)[0], (*known)[1], b.dim(x, 3)}});
    n.set(0, b.op("resize", {x}, attrs));
    return TERN_OK;
  }
  const ValueId batch = b.op("shape", {x}, {{"start", 0}, {"end", 1}}),
                channels = b.op("shape", {x}, {{"start", 3}, {"end", 4}});
  n.set(0, b.op("resize", {x, b.op("concat", {batch, wanted, channels}, {{"axis", 0}})}, how));
  return TERN_OK;
}

tern_status resize_bilinear(TfliteNode& n) {
  const tfl::ResizeBilinearOptions* o = nullptr;
  TERN_TRY(n.options(&o));
  return resize(n, "linear",
                o && o->align_corners()        ? "align_corners"
                : o && o->half_pixel_centers() ? "half_pixel"
                                               : "asymmetric",
                "floor");
}

tern_status resize_nearest(TfliteNode& n) {
  const tfl::ResizeNearestNeighborOptions* o = nullptr;
  TERN_TRY(n.options(&o));
  const bool corners = o && o->align_corners();
  return resize(n, "nearest",
                corners                        ? "align_corners"
                : o && o->half_pixel_centers() ? "tf_half_pixel"
                                               : "asymmetric",
                corners ? "round_prefer_ceil" : "floor");
}

// ---- matrices ----

tern_status fully_connected(TfliteNode& n) {
  Builder& b = n.b;
  const tfl::FullyConnectedOptions* o = nullptr;
  TERN_TRY(n.options(&o));
  if (o && o->weights_format() != 0) return n.unsupported("shuffled weights");
  ValueId x = n.in(0), w = kNoValue, bias = kNoValue;
  TERN_TRY(b.status());
  TERN_TRY(weight_value(n, 1, 2, {}, Order::panel, &w));
  const Shape ws = b.value(w).shape;
  TERN_TRY(bias_value(n, 2, ws[0], &bias));
  const int rank = b.rank(x);
  const bool keep = o && o->keep_num_dims();
  if (rank == 0 || (keep && b.dim(x, rank - 1) != ws[1]))
    return TERN_FAIL(TERN_ERR_CORRUPT, "FULLY_CONNECTED: an input of shape %s for %" PRId64 " columns",
                     to_string(b.value(x).shape).c_str(), ws[1]);
  if (!keep && (rank != 2 || b.dim(x, 1) != ws[1])) x = b.reshape(x, {-1, ws[1]});
  ValueId y = b.op("linear", {x, w, bias});
  if (o) TERN_TRY(n.activate(o->activation(), &y));
  n.set(0, y);
  return TERN_OK;
}

tern_status batch_matmul(TfliteNode& n) {
  Builder& b = n.b;
  const tfl::BatchMatMulOptions* o = nullptr;
  TERN_TRY(n.options(&o));
  const bool adj_x = o && o->adj_x(), adj_y = o && o->adj_y();
  // A constant matrix on the right is a weight.
  if (const TensorData* c = n.weight(1); c && !n.is_quantized(1) && c->shape.rank == 2 && !adj_x) {
    constexpr int64_t kSwap[] = {1, 0};
    const ValueId w = n.parameter(*c, true, adj_y ? std::span<const int64_t>() : kSwap);
    n.set(0, b.op("linear", {n.in(0), w}));
    return TERN_OK;
  }
  n.set(0, b.op("matmul", {n.in(0), n.in(1)}, {{"transpose_a", adj_x}, {"transpose_b", adj_y}}));
  return TERN_OK;
}

// ---- normalisations ----

tern_status softmax(TfliteNode& n) {
  Builder& b = n.b;
  const tfl::SoftmaxOptions* o = nullptr;
  TERN_TRY(n.options(&o));
  ValueId x = n.in(0);
  if (o && o->beta() != 1) x = b.mul(x, b.like(x, o->beta()));
  n.set(0, b.op("softmax", {x}, {{"axis", -1}}));
  return TERN_OK;
}

tern_status log_softmax(TfliteNode& n) {
  n.set(0, n.b.op("log_softmax", {n.in(0)}, {{"axis", -1}}));
  return TERN_OK;
}

tern_status l2_normalization(TfliteNode& n) {
  const tfl::L2NormOptions* o = nullptr;
  TERN_TRY(n.options(&o));
  ValueId y = n.b.op("l2_normalize", {n.in(0)}, {{"axis", -1}, {"epsilon", 1e-6}});
  if (o) TERN_TRY(n.activate(o->activation(), &y));
  n.set(0, y);
  return TERN_OK;
}

// Here alpha weighs the sum over the window, in lrn its mean.
tern_status local_response_normalization(TfliteNode& n) {
  const tfl::LocalResponseNormalizationOptions* o = nullptr;
  TERN_TRY(n.need_options(&o));
  if (o->radius() < 0 || o->radius() > 1 << 20)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: radius %d", n.type(), o->radius());
  const int64_t size = 2 * (int64_t)o->radius() + 1;
  n.set(0, n.b.op("lrn", {n.in(0)},
                  {{"size", size},
                   {"alpha", (double)o->alpha() * (double)size},
                   {"beta", (double)o->beta()},
                   {"bias", (double)o->bias()}}));
  return TERN_OK;
}

constexpr TfliteOp kOps[] = {
    {3, "CONV_2D", 2, 3, 1, 4, conv_2d},
    {4, "DEPTHWISE_CONV_2D", 2, 3, 1, 4, depthwise_conv_2d},
    {67, "TRANSPOSE_CONV", 3, 4, 1, 8, transpose_conv},
    {-1, "Convolution2DTransposeBias", 3, 3, 1, 4, convolution_2d_transpose_bias},
    {1, "AVERAGE_POOL_2D", 1, 1, 1, 0, average_pool_2d},
    {17, "MAX_POOL_2D", 1, 1, 1, 0, max_pool_2d},
    {23, "RESIZE_BILINEAR", 2, 2, 1, 0, resize_bilinear},
    {97, "RESIZE_NEAREST_NEIGHBOR", 2, 2, 1, 0, resize_nearest},
    {9, "FULLY_CONNECTED", 2, 3, 1, 4, fully_connected},
    {126, "BATCH_MATMUL", 2, 2, 1, 0, batch_matmul},
    {25, "SOFTMAX", 1, 1, 1, 0, softmax},
    {50, "LOG_SOFTMAX", 1, 1, 1, 0, log_softmax},
    {11, "L2_NORMALIZATION", 1, 1, 1, 0, l2_normalization},
    {13, "LOCAL_RESPONSE_NORMALIZATION", 1, 1, 1, 0, local_response_normalization},
};

}  // namespace

std::span<const TfliteOp> tflite_nn_ops() { return kOps; }

}  // namespace tern
