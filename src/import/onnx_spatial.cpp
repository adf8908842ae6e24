// SPDX-License-Identifier: Apache-2.0
// ONNX operators that slide windows over pictures, for any number of spatial dims. Tern's are channels-last, so each
// stands between two transposes here; layout.cpp removes these.
#include <algorithm>
#include <cstring>
#include <limits>

#include "base/checked.h"
#include "import/onnx.h"
#include "import/spatial.h"

namespace tern {
namespace {

constexpr int64_t kMostTaps = 4096;  // of leading dims: each is a node

// x [N,C,spatial..] as a picture of at least two spatial dims, and back to `rank` dims.
ValueId to_picture(Builder& b, ValueId x) {
  return b.status() == TERN_OK && b.rank(x) > 4 ? b.transpose(x, channels_last(b.rank(x))) : to_nhwc(b, x);
}
ValueId from_picture(Builder& b, ValueId y, int rank) {
  return b.status() == TERN_OK && rank > 4 ? b.transpose(y, channels_second(rank)) : from_nhwc(b, y, rank);
}

// Window of a node whose input has one spatial dim: as a picture of height 1.
struct OnnxWindow : SpatialWindow {
  std::vector<int> open;  // dims whose padding SAME depends on a size that varies: it comes in front
  bool lower = false;     // of SAME: the odd cell
};

tern_status read_list(OnnxNode& n, const char* name, int spatial, int64_t otherwise, std::vector<int64_t>* out) {
  std::vector<int64_t> list = n.integers(name);
  if (list.empty()) list.assign((size_t)spatial, otherwise);
  if ((int)list.size() != spatial)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: '%s' has %zu entries instead of %d", n.type().c_str(), name, list.size(),
                     spatial);
  for (int64_t v : list)
    if (v < 1 || v > INT32_MAX)
      return TERN_FAIL(TERN_ERR_CORRUPT, "%s: '%s' holds %" PRId64, n.type().c_str(), name, v);
  *out = std::move(list);
  return TERN_OK;
}

// x is [N,C,spatial..]. `kernel` from the weight, or empty to read kernel_shape. Strides, dilations and kernel of a
// window.
tern_status read_steps(OnnxNode& n, ValueId x, const std::vector<int64_t>& kernel, OnnxWindow* w) {
  const int spatial = n.b.rank(x) - 2;
  if (kernel.empty() && !n.has_attribute("kernel_shape"))
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s has no kernel_shape", n.type().c_str());
  w->kernel = kernel;
  if (n.has_attribute("kernel_shape")) TERN_TRY(read_list(n, "kernel_shape", spatial, 1, &w->kernel));
  if (!kernel.empty() && w->kernel != kernel)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: kernel_shape differs from the weight's shape", n.type().c_str());
  for (int64_t k : w->kernel)
    if (k < 1) return TERN_FAIL(TERN_ERR_SHAPE, "%s: a kernel of %" PRId64 " taps", n.type().c_str(), k);
  TERN_TRY(read_list(n, "strides", spatial, 1, &w->strides));
  TERN_TRY(read_list(n, "dilations", spatial, 1, &w->dilations));
  w->before.assign((size_t)spatial, 0);
  w->after.assign((size_t)spatial, 0);
  int64_t taps = 1;
  for (int i = 0; i < spatial; ++i) {
    int64_t span = 0;
    if (!checked_mul_add(w->kernel[(size_t)i] - 1, w->dilations[(size_t)i], (int64_t)1, &span) || span > INT32_MAX)
      return TERN_FAIL(TERN_ERR_LIMIT, "%s: a window of %" PRId64 " taps and dilation %" PRId64, n.type().c_str(),
                       w->kernel[(size_t)i], w->dilations[(size_t)i]);
    if (i + 2 < spatial && (!checked_mul(taps, w->kernel[(size_t)i], &taps) || taps > kMostTaps))
      return n.unsupported("more than 4096 taps in the leading dims");
  }
  return TERN_OK;
}

// With one spatial dim: a height of 1 in front.
void as_picture(OnnxWindow* w) {
  if (w->dims() != 1) return;
  for (std::vector<int64_t>* v : {&w->kernel, &w->strides, &w->dilations}) v->insert(v->begin(), 1);
  for (std::vector<int64_t>* v : {&w->before, &w->after}) v->insert(v->begin(), 0);
  for (int& i : w->open) ++i;
}

tern_status read_pads(OnnxNode& n, int spatial, OnnxWindow* w) {
  const std::vector<int64_t> pads = n.integers("pads");
  if (!pads.empty() && (int)pads.size() != 2 * spatial)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: %zu pads", n.type().c_str(), pads.size());
  for (size_t i = 0; i < pads.size(); ++i) {
    if (pads[i] < 0 || pads[i] > INT32_MAX) return n.unsupported("negative pads");
    ((int)i < spatial ? w->before : w->after)[i % (size_t)spatial] = pads[i];
  }
  return TERN_OK;
}

tern_status read_window(OnnxNode& n, ValueId x, const std::vector<int64_t>& kernel, OnnxWindow* w) {
  Builder& b = n.b;
  const int spatial = b.rank(x) - 2;
  TERN_TRY(read_steps(n, x, kernel, w));
  const std::string automatic = n.text("auto_pad", "NOTSET");
  if (automatic == "NOTSET") TERN_TRY(read_pads(n, spatial, w));
  else n.integers("pads");
  w->lower = automatic == "SAME_LOWER";
  if (automatic == "SAME_UPPER" || w->lower) {
    for (int i = 0; i < spatial; ++i) {
      const size_t k = (size_t)i;
      int64_t total = w->span(i) - 1;  // with stride 1 whatever the size is
      if (w->strides[k] != 1) {
        const int64_t in = b.dim(x, 2 + i);
        if (in < 0) {
          w->open.push_back(i);
          continue;
        }
        total = std::max<int64_t>(0, ((in + w->strides[k] - 1) / w->strides[k] - 1) * w->strides[k] + w->span(i) - in);
      }
      w->before[k] = w->lower ? total - total / 2 : total / 2;
      w->after[k] = total - w->before[k];
    }
  } else if (automatic != "NOTSET" && automatic != "VALID") {
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: auto_pad '%.40s'", n.type().c_str(), automatic.c_str());
  }
  as_picture(w);
  return TERN_OK;
}

ValueId pad_open_with(Builder& b, ValueId picture, const OnnxWindow& w, ValueId value) {
  if (w.open.empty() || b.status() != TERN_OK) return picture;
  const ValueId zero = b.integers({0});
  std::vector<ValueId> before((size_t)b.rank(picture), zero), after = before;
  for (int i : w.open) {
    const size_t axis = (size_t)i + 1;
    varying_same_padding(b, picture, i + 1, w.span(i), w.strides[(size_t)i], w.lower, &before[axis], &after[axis]);
  }
  before.insert(before.end(), after.begin(), after.end());
  return b.op("pad", {picture, b.op("concat", before, {{"axis", 0}}), value});
}

ValueId pad_open(Builder& b, ValueId picture, const OnnxWindow& w, double value) {
  return w.open.empty() || b.status() != TERN_OK ? picture : pad_open_with(b, picture, w, b.like(picture, value));
}

tern_status check_spatial(OnnxNode& n, ValueId x) {
  TERN_TRY(n.b.status());
  const int rank = n.b.rank(x);
  if (rank < 3) return TERN_FAIL(TERN_ERR_SHAPE, "%s: input 0 has rank %d", n.type().c_str(), rank);
  return TERN_OK;
}

// ---- convolutions ----

// The content [O, I, kh, kw] of a weight [O, I, k.., kh, kw] at a tap of the leading dims; of rank 3: kh is 1.
TensorData at_tap(const TensorData& t, const std::vector<int64_t>& tap) {
  if (t.shape.rank == 3) return with_shape(t, Shape{t.shape[0], t.shape[1], 1, t.shape[2]});
  if (tap.empty()) return t;
  std::vector<int64_t> order;
  for (size_t i = 0; i < tap.size(); ++i) order.push_back(2 + (int64_t)i);
  for (int i = 0; i < t.shape.rank; ++i)
    if (i < 2 || i >= 2 + (int)tap.size()) order.push_back(i);
  const TensorData leading = permute(t, order);
  int64_t index = 0;
  Shape shape;
  for (int i = 0; i < leading.shape.rank; ++i) {
    if (i < (int)tap.size()) index = index * leading.shape[i] + tap[(size_t)i];
    else shape.push(leading.shape[i]);
  }
  TensorData r = with_shape(leading, shape);
  void* p = nullptr;
  r.data = make_data(r.bytes(), &p);
  if (r.bytes()) std::memcpy(p, (const char*)leading.data.bytes + (size_t)index * r.bytes(), r.bytes());
  return r;
}

// A weight [A, B, k.., kh, kw] as [A, kh, kw, B] at a tap. Where the kernel reads panels, a constant weight becomes
// one.
ValueId conv_weight(OnnxNode& n, int i, bool panels, DType x, const std::vector<int64_t>& tap) {
  Builder& b = n.b;
  const std::vector<int64_t> p = {0, 2, 3, 1};
  if (const Operand* o = n.operand(i);
      o && o->quantized && o->quantized->codes.shape.rank == 4 && p[(size_t)o->quantized->axis] == o->quantized->axis) {
    const QuantizedWeight& q = *o->quantized;
    std::vector<ValueId> in{b.constant(permute(q.codes, p)), b.constant(q.scale)};
    if (q.zero.data) in.push_back(b.constant(q.zero));
    return b.op("dequantize_linear", in, {{"axis", q.axis}});
  }
  DType as = TERN_DTYPE_NONE;
  const TensorData* t = n.weight(i, &as);
  if (t && as == x && is_float(t->dtype) && (t->dtype == as || t->dtype == TERN_DTYPE_F16)) {
    std::string how = panels ? "conv panels" : "conv";
    for (int64_t k : tap) how += " " + std::to_string(k);
    return b.parameter_once(t->data, how, [&] {
      const TensorData w = permute(at_tap(*t, tap), p);
      const bool packs = panels && w.elements() > 0 && (t->dtype == TERN_DTYPE_F32 || t->dtype == TERN_DTYPE_F16);
      return packs ? b.panel_parameter(w) : b.parameter(w);
    });
  }
  ValueId v = n.in(i);
  if (b.status() != TERN_OK) return kNoValue;
  if (b.rank(v) == 3) v = b.reshape(v, {Builder::same(0), Builder::same(1), 1, Builder::same(2)});
  for (int64_t k : tap) v = b.op("gather", {v, b.integer(k)}, {{"axis", 2}});
  return b.transpose(v, p);
}

tern_status weight_shape(OnnxNode& n, int i, int rank, Shape* out) {
  const Operand* o = n.operand(i);
  if (!o) return TERN_FAIL(TERN_ERR_CORRUPT, "%s has no weight", n.type().c_str());
  *out = o->tensor ? o->tensor->shape : o->quantized ? o->quantized->codes.shape : n.b.value(n.in(i)).shape;
  TERN_TRY(n.b.status());
  if (out->rank != rank)
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: the weight has rank %d, the input %d", n.type().c_str(), out->rank, rank);
  return TERN_OK;
}

std::vector<int64_t> kernel_of(const Shape& weight) { return std::vector<int64_t>(weight.begin() + 2, weight.end()); }

tern_status lower_conv(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(check_spatial(n, x));
  const int rank = b.rank(x);
  Shape shape;
  TERN_TRY(weight_shape(n, 1, rank, &shape));
  OnnxWindow w;
  TERN_TRY(read_window(n, x, kernel_of(shape), &w));
  const int64_t groups = n.integer("group", 1);
  DType as = TERN_DTYPE_NONE;
  const auto all = [](const std::vector<int64_t>& v, int64_t wanted) {
    return std::all_of(v.begin(), v.end(), [&](int64_t k) { return k == wanted; });
  };
  const bool one_tap = shape[0] == groups && shape[1] == 1 && all(w.kernel, 1) && b.value(x).shape[1] == groups &&
                       all(w.strides, 1) && all(w.before, 0) && all(w.after, 0);
  if (const TensorData* t = one_tap && b.dtype(x) == TERN_DTYPE_F32 ? n.weight(1, &as) : nullptr;
      t && as == TERN_DTYPE_F32) {
    n.set(0, from_picture(b, b.scale_channels(to_picture(b, x), *t, n.in(2)), rank));
    return TERN_OK;
  }
  const TapWeight weight = [&](const std::vector<int64_t>& tap) {
    return conv_weight(n, 1, groups == 1, b.dtype(x), tap);
  };
  n.set(0, from_picture(b, conv_nd(b, pad_open(b, to_picture(b, x), w, 0), weight, n.in(2), w, groups), rank));
  return TERN_OK;
}

}  // namespace

tern_status integer_conv(OnnxNode& n, const IntegerConv& c, ValueId* y) {
  Builder& b = n.b;
  TERN_TRY(check_spatial(n, c.x));
  const int rank = b.rank(c.x);
  if (rank > 4) return n.unsupported(std::to_string(rank - 2) + " spatial dims");
  if (b.rank(c.w) != rank)
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: the weight has rank %d, the input %d", n.type().c_str(), b.rank(c.w), rank);
  OnnxWindow w;
  TERN_TRY(read_window(n, c.x, kernel_of(b.value(c.w).shape), &w));
  ValueId x = to_nhwc(b, c.x);
  if (!w.open.empty()) x = pad_open_with(b, x, w, c.x_zero != kNoValue ? c.x_zero : b.like(x, 0));
  const ValueId weight = rank == 3 ? b.reshape(c.w, {Builder::same(0), Builder::same(1), 1, Builder::same(2)}) : c.w;
  *y = b.op("conv2d_integer", {x, b.transpose(weight, {0, 2, 3, 1}), c.x_zero, c.w_zero},
            {{"strides", int_list(w.strides)},
             {"dilations", int_list(w.dilations)},
             {"pads", IntList{w.before[0], w.before[1], w.after[0], w.after[1]}},
             {"groups", n.integer("group", 1)}});
  return TERN_OK;
}

namespace {

tern_status lower_conv_transpose(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(check_spatial(n, x));
  const int rank = b.rank(x), spatial = rank - 2;
  Shape shape;
  TERN_TRY(weight_shape(n, 1, rank, &shape));
  const std::string automatic = n.text("auto_pad", "NOTSET");
  std::vector<int64_t> extra = n.integers("output_padding");
  const std::vector<int64_t> wanted = n.integers("output_shape");
  OnnxWindow w;
  TERN_TRY(read_steps(n, x, kernel_of(shape), &w));
  if (automatic == "NOTSET") TERN_TRY(read_pads(n, spatial, &w));
  else n.integers("pads");
  if (extra.empty()) extra.assign((size_t)spatial, 0);
  if ((int)extra.size() != spatial)
    return TERN_FAIL(TERN_ERR_CORRUPT, "ConvTranspose: %zu output paddings", extra.size());
  for (int64_t e : extra)
    if (e < 0 || e > INT32_MAX) return TERN_FAIL(TERN_ERR_CORRUPT, "ConvTranspose: an output padding of %" PRId64, e);
  if (!wanted.empty() && (int)wanted.size() != spatial && (int)wanted.size() != spatial + 2)
    return TERN_FAIL(TERN_ERR_CORRUPT, "ConvTranspose: an output shape of %zu entries", wanted.size());
  const bool same = automatic == "SAME_UPPER" || automatic == "SAME_LOWER";
  if (!wanted.empty() || same) {
    for (int i = 0; i < spatial; ++i) {
      const size_t k = (size_t)i;
      const int64_t in = b.dim(x, 2 + i);
      if (in < 0 && !wanted.empty()) return n.unsupported("output_shape for a size that varies");
      // All that is reached, less what is wanted; SAME wants the stride times the size.
      int64_t total =
          wanted.empty() ? w.span(i) + extra[k] - w.strides[k]
                         : w.strides[k] * (in - 1) + extra[k] + w.span(i) - wanted[wanted.size() - (size_t)spatial + k];
      if (total < 0) extra[k] -= total, total = 0;
      w.before[k] = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
      w.after[k] = total - w.before[k];
    }
  } else if (automatic != "NOTSET" && automatic != "VALID") {
    return TERN_FAIL(TERN_ERR_CORRUPT, "ConvTranspose: auto_pad '%.40s'", automatic.c_str());
  }
  as_picture(&w);
  if (spatial == 1) extra.insert(extra.begin(), 0);
  const TapWeight weight = [&](const std::vector<int64_t>& tap) { return conv_weight(n, 1, false, b.dtype(x), tap); };
  n.set(0, from_picture(b, conv_transpose_nd(b, to_picture(b, x), weight, n.in(2), w, extra, n.integer("group", 1)),
                        rank));
  return TERN_OK;
}

// ---- pools ----

// Where the largest elements lie in x [N,C,spatial..]: row-major, or with `columns` the first spatial dim changes
// fastest.
ValueId flat_indices(Builder& b, ValueId x, ValueId picture, ValueId at, bool columns) {
  if (b.status() != TERN_OK) return kNoValue;
  const int rank = b.rank(x), dims = b.rank(picture) - 2;
  ValueId index = at;
  if (columns) {
    ValueId rest = at, stride = kNoValue;
    std::vector<ValueId> place((size_t)dims);
    for (int i = dims - 1; i >= 0; --i) {
      const ValueId size = b.size_of_axes(picture, 1 + i, 2 + i), above = b.div(rest, size);
      place[(size_t)i] = b.sub(rest, b.mul(above, size));
      rest = above;
    }
    for (int i = 0; i < dims; ++i) {
      index = i == 0 ? place[0] : b.add(index, b.mul(place[(size_t)i], stride));
      const ValueId size = b.size_of_axes(picture, 1 + i, 2 + i);
      stride = i == 0 ? size : b.mul(stride, size);
    }
  }
  const ValueId zero = b.integer(0), one = b.integer(1), cells = b.size_of_axes(picture, 1, dims + 1),
                channels = b.size_of_axes(x, 1, 2);
  const auto counted = [&](int axis, int place) {
    const ValueId size = b.reshape(b.size_of_axes(x, axis, axis + 1), {});
    std::vector<int64_t> shape((size_t)dims + 2, 1);
    shape[(size_t)place] = -1;
    return b.op("reshape", {b.op("range", {zero, size, one})}, {{"shape", int_list(shape)}});
  };
  const ValueId plane = b.add(b.mul(counted(0, 0), channels), counted(1, dims + 1));
  return from_picture(b, b.add(index, b.mul(plane, cells)), rank);
}

tern_status lower_pool(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(check_spatial(n, x));
  const int rank = b.rank(x);
  OnnxWindow w;
  TERN_TRY(read_window(n, x, {}, &w));
  const bool columns = n.integer("storage_order", 0) != 0, ceil_mode = n.integer("ceil_mode", 0) != 0;
  const ValueId picture = to_picture(b, x);
  if (n.type() == "MaxPool") {
    if (n.wants(1) && !w.open.empty()) return n.unsupported("indices with auto_pad for a size that varies");
    const ValueId padded = pad_open(b, picture, w, -std::numeric_limits<double>::infinity());
    n.set(0, from_picture(b, max_pool_nd(b, padded, w, ceil_mode), rank));
    if (n.wants(1)) n.set(1, flat_indices(b, x, picture, max_pool_index_nd(b, picture, w, ceil_mode), columns));
    return TERN_OK;
  }
  const bool counts = n.integer("count_include_pad", 0) != 0;
  ValueId y = avg_pool_nd(b, pad_open(b, picture, w, 0), w, ceil_mode, counts);
  if (!w.open.empty() && !counts) {
    // The share of cells that lie in the picture.
    std::vector<DimOf> one((size_t)b.rank(picture));
    one[0] = {};
    std::vector<ValueId> sizes{b.integers({1}), b.size_of_axes(picture, 1, 2)};
    for (int i = 2; i + 1 < b.rank(picture); ++i) sizes.push_back(b.size_of_axes(picture, i, i + 1));
    sizes.push_back(b.integers({1}));
    const ValueId ones = b.op("expand", {b.like(picture, 1), b.op("concat", sizes, {{"axis", 0}})});
    y = b.div(y, avg_pool_nd(b, pad_open(b, ones, w, 0), w, ceil_mode, false));
  }
  n.set(0, from_picture(b, y, rank));
  return TERN_OK;
}

IntList spatial_axes(int rank) {
  IntList axes;
  for (int i = 2; i < rank; ++i) axes.items[axes.count++] = i;
  return axes;
}

tern_status lower_global_pool(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(check_spatial(n, x));
  n.set(0, b.op(n.type() == "GlobalAveragePool" ? "reduce_mean" : "reduce_max", {x},
                {{"axes", spatial_axes(b.rank(x))}, {"keep_dims", 1}}));
  return TERN_OK;
}

// |x|^p and its inverse.
ValueId to_power(Builder& b, ValueId x, double p) {
  if (p == 2) return b.mul(x, x);
  const ValueId size = b.op("abs", {x});
  return p == 1 ? size : b.op("pow", {size, b.like(x, p)});
}
ValueId from_power(Builder& b, ValueId x, double p) {
  return p == 1 ? x : p == 2 ? b.op("sqrt", {x}) : b.op("pow", {x, b.like(x, 1 / p)});
}

tern_status read_power(OnnxNode& n, double* p) {
  *p = n.opset < 2 ? n.number("p", 2) : (double)n.integer("p", 2);
  if (!(*p > 0)) return TERN_FAIL(TERN_ERR_CORRUPT, "%s: p is %g", n.type().c_str(), *p);
  return TERN_OK;
}

tern_status lower_global_lp_pool(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(check_spatial(n, x));
  double p = 2;
  TERN_TRY(read_power(n, &p));
  const ValueId sum =
      b.op("reduce_sum", {to_power(b, widened(b, x), p)}, {{"axes", spatial_axes(b.rank(x))}, {"keep_dims", 1}});
  n.set(0, b.cast(from_power(b, sum, p), b.dtype(x)));
  return TERN_OK;
}

// The sum over a window is its mean times the taps, where every window lies within the padding.
tern_status lower_lp_pool(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(check_spatial(n, x));
  double p = 2;
  TERN_TRY(read_power(n, &p));
  OnnxWindow w;
  TERN_TRY(read_window(n, x, {}, &w));
  const ValueId picture = to_picture(b, widened(b, x));
  double taps = 1;
  for (int64_t k : w.kernel) taps *= (double)k;
  if (n.integer("ceil_mode", 0) != 0) {
    for (int i = 0; i < w.dims(); ++i) {
      const size_t k = (size_t)i;
      const int64_t in = b.dim(picture, 1 + i), room = in + w.before[k] + w.after[k] - w.span(i);
      if (w.strides[k] == 1) continue;
      if (in < 0) return n.unsupported("ceil_mode for a size that varies");
      const int64_t start = room < 0 ? -1 : (room / w.strides[k] + 1) * w.strides[k];
      if (room % w.strides[k] != 0 && start < in + w.before[k]) w.after[k] += start - room;
    }
  }
  ValueId y = avg_pool_nd(b, pad_open(b, to_power(b, picture, p), w, 0), w, false, true);
  y = from_power(b, b.mul(y, b.like(y, taps)), p);
  n.set(0, b.cast(from_picture(b, y, b.rank(x)), b.dtype(x)));
  return TERN_OK;
}

// The indices are those of MaxPool: they count in the result without an output_shape.
tern_status lower_max_unpool(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0), at = n.in(1);
  TERN_TRY(check_spatial(n, x));
  const int rank = b.rank(x), spatial = rank - 2;
  OnnxWindow w;
  TERN_TRY(read_steps(n, x, {}, &w));
  TERN_TRY(read_pads(n, spatial, &w));
  std::vector<ValueId> sizes{b.size_of_axes(x, 0, 1), b.size_of_axes(x, 1, 2)};
  for (int i = 0; i < spatial; ++i) {
    const size_t k = (size_t)i;
    const ValueId steps = b.mul(b.size_of_axes(x, 2 + i, 3 + i), b.integers({w.strides[k]}));
    sizes.push_back(b.add(steps, b.integers({w.kernel[k] - w.strides[k] - w.before[k] - w.after[k]})));
  }
  const ValueId shape = b.op("concat", sizes, {{"axis", 0}}),
                all = b.op("reduce_prod", {shape}, {{"axes", IntList{0}}, {"keep_dims", 1}});
  const Attrs flat = {{"shape", IntList{-1}}};
  const ValueId zeros = b.op("expand", {b.like(x, 0), all});
  ValueId y = b.op("scatter_elements", {zeros, b.op("reshape", {at}, flat), b.op("reshape", {x}, flat)}, {{"axis", 0}});
  y = b.op("reshape", {y, shape}, {{"allow_zero", 1}});
  if (n.has(2)) {
    const ValueId more = b.sub(b.cast(n.constant_in(2), TERN_DTYPE_I64), shape);
    y = b.op("pad", {y, b.op("concat", {b.integers(std::vector<int64_t>((size_t)rank, 0)), more}, {{"axis", 0}})});
  }
  n.set(0, y);
  return TERN_OK;
}

constexpr OnnxOp kOps[] = {
    {"Conv", lower_conv},
    {"ConvTranspose", lower_conv_transpose},
    {"MaxPool", lower_pool},
    {"AveragePool", lower_pool},
    {"LpPool", lower_lp_pool},
    {"GlobalAveragePool", lower_global_pool},
    {"GlobalMaxPool", lower_global_pool},
    {"GlobalLpPool", lower_global_lp_pool},
    {"MaxUnpool", lower_max_unpool},
};

}  // namespace

std::span<const OnnxOp> onnx_spatial_ops() { return kOps; }

}  // namespace tern
