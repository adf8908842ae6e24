// SPDX-License-Identifier: Apache-2.0
// Resize and Upsample. Rows and columns of a picture are the operator resize; whatever else they can do (other axes,
// filters against aliasing, crops) is taken axis by axis, as sums of gathered and weighted entries.
#include <algorithm>
#include <cmath>

#include "import/onnx.h"
#include "import/spatial.h"

namespace tern {
namespace {

struct ResizePlan {
  std::string mode = "nearest", coordinates = "half_pixel", nearest = "round_prefer_floor", policy = "stretch";
  double cubic = -0.75, extrapolation = 0;
  int64_t exclude_outside = 0;
  bool antialias = false;
  std::vector<int64_t> axes;   // of x, in the order of what follows
  std::vector<double> scales;  // one an axis, or empty
  ValueId sizes = kNoValue;    // i64, one an axis, or kNoValue
  ValueId roi = kNoValue;      // starts of the axes, then ends
};

// ---- rows and columns ----

// A picture with other heights and widths. x [N,C,H,W] or [N,C,L]; the plan is of all axes.
tern_status resize_picture(OnnxNode& n, ValueId x, const ResizePlan& p) {
  Builder& b = n.b;
  const int rank = b.rank(x);
  const auto known = p.sizes != kNoValue ? b.known_integers(p.sizes) : std::nullopt;
  Attrs attrs = {{"mode", p.mode.c_str()},
                 {"coordinates", p.coordinates.c_str()},
                 {"nearest", p.nearest.c_str()},
                 {"cubic_coeff", p.cubic},
                 {"exclude_outside", p.exclude_outside}};
  const ValueId picture = to_nhwc(b, x);
  std::vector<ValueId> in{picture};
  if (!p.scales.empty()) {
    const double sh = rank == 4 ? p.scales[2] : 1, sw = p.scales[(size_t)rank - 1];
    attrs.push_back({"scale_h", sh});
    attrs.push_back({"scale_w", sw});
    const auto scaled = [](int64_t d, double s) { return (int64_t)std::floor((double)d * s); };
    const int64_t h = rank == 4 ? b.dim(x, 2) : 1, w = b.dim(x, rank - 1), c = b.dim(x, 1), batch = b.dim(x, 0);
    if (h >= 0 && w >= 0 && c >= 0 && batch >= 0) {
      attrs.push_back({"sizes", IntList{batch, scaled(h, sh), scaled(w, sw), c}});
    } else {
      // Sizes follow from the input's when the plan is made.
      const ValueId shape = b.op("shape", {picture});
      if (sh == std::floor(sh) && sw == std::floor(sw)) {
        in.push_back(b.mul(shape, b.integers({1, (int64_t)sh, (int64_t)sw, 1})));
      } else {
        const double factors[] = {1, sh, sw, 1};
        const ValueId exact = b.mul(b.cast(shape, TERN_DTYPE_F64), b.constant(TERN_DTYPE_F64, Shape{4}, factors));
        in.push_back(b.cast(b.op("floor", {exact}), TERN_DTYPE_I64));
      }
    }
  } else if (known) {
    const std::vector<int64_t>& s = *known;
    if (b.dim(x, 0) >= 0)
      attrs.push_back({"sizes", rank == 4 ? IntList{s[0], s[2], s[3], s[1]} : IntList{s[0], 1, s[2], s[1]}});
    else
      in.push_back(b.op("concat",
                        {b.op("shape", {picture}, {{"start", 0}, {"end", 1}}),
                         b.integers({rank == 4 ? s[2] : 1, s[(size_t)rank - 1], s[1]})},
                        {{"axis", 0}}));
  } else {
    ValueId sizes = b.cast(p.sizes, TERN_DTYPE_I64);
    if (rank == 3) sizes = b.op("concat", {sizes, b.integers({1})}, {{"axis", 0}});
    in.push_back(b.op(
        "gather", {sizes, b.integers(rank == 4 ? std::vector<int64_t>{0, 2, 3, 1} : std::vector<int64_t>{0, 3, 2, 1})},
        {{"axis", 0}}));
  }
  n.set(0, from_nhwc(b, b.op("resize", in, attrs), rank));
  return TERN_OK;
}

// ---- axis by axis ----

constexpr int64_t kMostTaps = 1024;

// Scalars of the plan, in double.
struct Numbers {
  Builder& b;
  ValueId number(double v) const { return b.scalar(TERN_DTYPE_F64, v); }
  ValueId real(ValueId v) const { return b.cast(v, TERN_DTYPE_F64); }
  ValueId plus(ValueId x, double v) const { return b.add(x, number(v)); }
  ValueId times(ValueId x, double v) const { return b.mul(x, number(v)); }
};

struct ResizeAxis {
  int axis = 0;
  ValueId in, out, scale;                    // sizes and out / in, f64 []
  ValueId size;                              // out as i64 []
  double known_scale = 0;                    // 0: varies
  ValueId start = kNoValue, end = kNoValue;  // of the crop, f64 []
};

// Where in x the entries of y lie, f64 [out].
ValueId positions(Builder& b, const ResizePlan& p, const ResizeAxis& a) {
  const Numbers k{b};
  const ValueId i = k.real(b.op("range", {b.integer(0), a.size, b.integer(1)}));
  const ValueId last = k.plus(a.in, -1), steps = b.op("max", {k.plus(a.out, -1), k.number(1)});
  const ValueId half = k.plus(b.div(k.plus(i, 0.5), a.scale), -0.5);
  const ValueId one = b.op("equal", {a.out, k.number(1)});
  if (p.coordinates == "asymmetric") return b.div(i, a.scale);
  if (p.coordinates == "align_corners") return b.div(b.mul(i, last), steps);
  if (p.coordinates == "tf_half_pixel") return k.plus(half, 0.5);
  if (p.coordinates == "pytorch_half_pixel") return b.op("where", {one, k.number(0), half});
  if (p.coordinates == "half_pixel_symmetric") {
    const ValueId adjustment = b.div(a.out, b.mul(a.scale, a.in));
    return b.add(half, b.mul(k.times(a.in, 0.5), b.sub(k.number(1), adjustment)));
  }
  if (p.coordinates == "tf_crop_and_resize") {
    const ValueId part = b.mul(b.sub(a.end, a.start), last);
    const ValueId at = b.op("where", {one, k.times(part, 0.5), b.div(b.mul(i, part), steps)});
    return b.add(at, b.mul(a.start, last));
  }
  return half;
}

// Weights of the taps first, first + 1, .. of a kernel that is `narrow` times as wide, at `rest` behind its middle.
std::vector<ValueId> tap_weights(Builder& b, const ResizePlan& p, ValueId rest, double narrow, int64_t first,
                                 int64_t count) {
  const Numbers k{b};
  std::vector<ValueId> weights;
  for (int64_t t = first; t < first + count; ++t) {
    const ValueId d = b.op("abs", {k.times(k.plus(b.op("neg", {rest}), (double)t), narrow)});
    if (p.mode == "linear") {
      weights.push_back(b.op("max", {k.plus(b.op("neg", {d}), 1), k.number(0)}));
      continue;
    }
    const double c = p.cubic;
    const ValueId near = k.plus(b.mul(b.mul(k.plus(k.times(d, c + 2), -(c + 3)), d), d), 1);
    const ValueId far = k.plus(b.mul(k.plus(b.mul(k.plus(k.times(d, c), -5 * c), d), 8 * c), d), -4 * c);
    const ValueId within = b.op("less_equal", {d, k.number(1)}), reached = b.op("less", {d, k.number(2)});
    weights.push_back(b.op("where", {within, near, b.op("where", {reached, far, k.number(0)})}));
  }
  return weights;
}

// v [out] along one axis of a tensor of `rank` dims.
ValueId along(Builder& b, ValueId v, int axis, int rank) {
  std::vector<int64_t> dims((size_t)rank, 1);
  dims[(size_t)axis] = -1;
  return b.op("reshape", {v}, {{"shape", int_list(dims)}});
}

tern_status resize_axis(OnnxNode& n, const ResizePlan& p, const ResizeAxis& a, ValueId* x) {
  Builder& b = n.b;
  const Numbers k{b};
  const int rank = b.rank(*x);
  const DType dtype = b.dtype(*x);
  const ValueId at = positions(b, p, a), last = k.plus(a.in, -1);
  const auto gathered = [&](ValueId index) {
    const ValueId inside = b.op("min", {b.op("max", {index, k.number(0)}), last});
    return b.op("gather", {*x, b.cast(inside, TERN_DTYPE_I64)}, {{"axis", a.axis}});
  };
  ValueId y = kNoValue;
  if (p.mode == "nearest") {
    const bool up = p.nearest == "round_prefer_ceil" || p.nearest == "floor";
    const double shift = p.nearest == "round_prefer_ceil" ? 0.5 : p.nearest == "round_prefer_floor" ? -0.5 : 0;
    y = gathered(b.op(up ? "floor" : "ceil", {k.plus(at, shift)}));
  } else {
    double narrow = 1;
    if (p.antialias) {
      if (!(a.known_scale > 0)) return n.unsupported("antialias for a scale that varies");
      narrow = std::min(a.known_scale, 1.0);
    }
    const double reach = p.mode == "linear" ? 1 : 2, first = std::floor(-reach / narrow) + 1;
    if (!(2 - 2 * first <= (double)kMostTaps)) return n.unsupported("antialias by a scale below 1/500");
    const int64_t count = 2 - 2 * (int64_t)first;
    const ValueId base = b.op("floor", {at});
    std::vector<ValueId> index, weights = tap_weights(b, p, b.sub(at, base), narrow, (int64_t)first, count);
    ValueId sum = kNoValue;
    for (size_t t = 0; t < weights.size(); ++t) {
      index.push_back(k.plus(base, first + (double)t));
      if (p.exclude_outside) {
        const ValueId outside =
            b.op("logical_or", {b.op("less", {index[t], k.number(0)}), b.op("greater", {index[t], last})});
        weights[t] = b.op("where", {outside, k.number(0), weights[t]});
      }
      sum = sum == kNoValue ? weights[t] : b.add(sum, weights[t]);
    }
    if (p.exclude_outside) sum = b.op("where", {b.op("equal", {sum, k.number(0)}), k.number(1), sum});
    for (size_t t = 0; t < weights.size() && b.status() == TERN_OK; ++t) {
      const ValueId part = b.mul(gathered(index[t]), along(b, b.cast(b.div(weights[t], sum), dtype), a.axis, rank));
      y = y == kNoValue ? part : b.add(y, part);
    }
  }
  if (p.coordinates == "tf_crop_and_resize") {
    const ValueId outside = b.op("logical_or", {b.op("less", {at, k.number(0)}), b.op("greater", {at, last})});
    y = b.op("where", {along(b, outside, a.axis, rank), b.scalar(dtype, p.extrapolation), y});
  }
  *x = y;
  return b.status();
}

tern_status resize_by_axes(OnnxNode& n, ValueId x, const ResizePlan& p) {
  Builder& b = n.b;
  const Numbers k{b};
  const DType dtype = b.dtype(x);
  const bool wide = p.mode != "nearest" && dtype != TERN_DTYPE_F32 && dtype != TERN_DTYPE_F64;
  std::vector<ResizeAxis> plan;
  ValueId shared = kNoValue;
  const auto entry = [&](ValueId list, size_t i) {
    return b.op("gather", {list, b.integer((int64_t)i)}, {{"axis", 0}});
  };
  for (size_t i = 0; i < p.axes.size(); ++i) {
    ResizeAxis a;
    a.axis = (int)p.axes[i];
    const ValueId in = b.reshape(b.size_of_axes(x, a.axis, a.axis + 1), {});
    a.in = k.real(in);
    if (p.sizes != kNoValue) {
      a.size = entry(p.sizes, i);
      a.scale = b.div(k.real(a.size), a.in);
    } else {
      a.known_scale = p.scales[i];
      a.scale = k.number(p.scales[i]);
      a.size = b.cast(b.op("floor", {b.mul(a.in, a.scale)}), TERN_DTYPE_I64);
    }
    if (p.roi != kNoValue) {
      a.start = k.real(entry(p.roi, i));
      a.end = k.real(entry(p.roi, i + p.axes.size()));
    }
    shared = shared == kNoValue ? a.scale : b.op(p.policy == "not_larger" ? "min" : "max", {shared, a.scale});
    plan.push_back(a);
  }
  ValueId y = wide ? b.cast(x, TERN_DTYPE_F32) : x;
  for (ResizeAxis& a : plan) {
    if (p.sizes != kNoValue && p.policy != "stretch") {
      a.scale = shared;
      a.size = b.cast(b.op("floor", {k.plus(b.mul(a.in, shared), 0.5)}), TERN_DTYPE_I64);
    }
    a.out = k.real(a.size);
    TERN_TRY(b.status());
    if (const auto scale = b.known_number(a.scale)) a.known_scale = *scale;
    const auto size = b.known_number(a.size);
    if (p.roi == kNoValue && size && b.dim(x, a.axis) == (int64_t)*size && a.known_scale == 1) continue;
    TERN_TRY(resize_axis(n, p, a, &y));
  }
  n.set(0, y == x ? b.op("reshape", {x, b.shape_of(x)}, {{"allow_zero", 1}}) : b.cast(y, dtype));
  return TERN_OK;
}

// ---- the node ----

tern_status read_scales(OnnxNode& n, int i, std::vector<double>* out) {
  const TensorData* t = n.weight(i);
  if (!t) {
    const ValueId v = n.constant_in(i);
    TERN_TRY(n.b.status());
    if (!n.b.known(v)) return n.unsupported("scales depend on data");
    for (int64_t k = 0; k < n.b.value(v).shape.elements(); ++k)
      out->push_back(load_element(n.b.dtype(v), n.b.value(v).data.bytes, k));
    return TERN_OK;
  }
  for (int64_t k = 0; k < t->elements() && k < 64; ++k) out->push_back(t->load(k));
  return TERN_OK;
}

// The plan said of all axes of x, where that is known.
bool of_all_axes(Builder& b, ValueId x, ResizePlan* p) {
  const int rank = b.rank(x);
  std::vector<double> scales((size_t)rank, 1);
  std::vector<int64_t> sizes(b.value(x).shape.begin(), b.value(x).shape.end());
  const auto known = p->sizes != kNoValue ? b.known_integers(p->sizes) : std::nullopt;
  bool all = (int)p->axes.size() == rank;
  for (size_t i = 0; i < p->axes.size(); ++i) {
    all = all && p->axes[i] == (int64_t)i;
    if (p->sizes == kNoValue) scales[(size_t)p->axes[i]] = p->scales[i];
    if (known) sizes[(size_t)p->axes[i]] = (*known)[i];
  }
  if (all) return true;
  if (p->sizes != kNoValue && (!known || !b.fixed_shape(x))) return false;
  if (known) p->sizes = b.integers(sizes);
  else p->scales = scales;
  p->axes.clear();
  for (int i = 0; i < rank; ++i) p->axes.push_back(i);
  return true;
}

tern_status emit_resize(OnnxNode& n, ValueId x, ResizePlan& p) {
  Builder& b = n.b;
  TERN_TRY(b.status());
  const int rank = b.rank(x);
  if (p.axes.empty())
    for (int i = 0; i < rank; ++i) p.axes.push_back(i);
  const bool sized = p.sizes != kNoValue;
  if (sized) p.sizes = b.cast(p.sizes, TERN_DTYPE_I64);
  TERN_TRY(b.status());
  const int64_t count = sized ? b.value(p.sizes).shape.elements() : (int64_t)p.scales.size();
  if (count != (int64_t)p.axes.size())
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: %" PRId64 " %s for %zu axes", n.type().c_str(), count,
                     sized ? "sizes" : "scales", p.axes.size());
  for (size_t i = 0; i < p.scales.size(); ++i) {
    const double s = p.scales[i], size = (double)b.dim(x, (int)p.axes[i]) * s;
    if (!(s > 0 && s < 1e6)) return TERN_FAIL(TERN_ERR_CORRUPT, "%s: a scale of %g", n.type().c_str(), s);
    // The format measures from the exact product of size and scale, other runtimes from the whole number of pixels.
    const bool whole = s == std::floor(s) || (b.dim(x, (int)p.axes[i]) >= 0 && size == std::floor(size));
    if (p.coordinates == "align_corners" && !whole)
      return n.unsupported("align_corners with a scale that gives no whole size");
  }
  const bool crops = p.coordinates == "tf_crop_and_resize";
  if (crops && (p.roi == kNoValue || b.value(p.roi).shape != Shape{2 * (int64_t)p.axes.size()}))
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: roi does not fit to %zu axes", n.type().c_str(), p.axes.size());
  if (!crops) p.roi = kNoValue;
  bool picture = (rank == 3 || rank == 4) && !p.antialias && !crops && p.policy == "stretch" &&
                 (p.mode == "nearest" || is_float(b.dtype(x))) && of_all_axes(b, x, &p);
  if (picture && !sized) picture = p.scales[0] == 1 && p.scales[1] == 1;
  if (picture && sized)
    if (const auto known = b.known_integers(p.sizes))
      picture = (*known)[1] == b.dim(x, 1) && ((*known)[0] == b.dim(x, 0) || b.dim(x, 0) < 0);
  return picture ? resize_picture(n, x, p) : resize_by_axes(n, x, p);
}

tern_status lower_resize(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  ResizePlan p;
  p.mode = n.text("mode", "nearest");
  if (p.mode != "nearest" && p.mode != "linear" && p.mode != "cubic")
    return n.unsupported("mode " + p.mode.substr(0, 20));
  if (n.opset < 11) {
    // Version 10 and Upsample: corners map to corners, down to the nearest.
    p.coordinates = "asymmetric";
    p.nearest = "floor";
    TERN_TRY(read_scales(n, 1, &p.scales));
    return emit_resize(n, x, p);
  }
  p.coordinates = n.text("coordinate_transformation_mode", "half_pixel");
  p.nearest = n.text("nearest_mode", "round_prefer_floor");
  p.cubic = n.number("cubic_coeff_a", -0.75);
  p.exclude_outside = n.integer("exclude_outside", 0);
  p.extrapolation = n.number("extrapolation_value", 0);
  p.antialias = n.integer("antialias", 0) != 0 && p.mode != "nearest";
  p.policy = n.text("keep_aspect_ratio_policy", "stretch");
  if (p.policy != "stretch" && p.policy != "not_larger" && p.policy != "not_smaller")
    return TERN_FAIL(TERN_ERR_CORRUPT, "Resize: keep_aspect_ratio_policy '%.40s'", p.policy.c_str());
  if (p.coordinates == "tf_half_pixel_for_nn") p.coordinates = "tf_half_pixel";
  static constexpr const char* kKnown[] = {"half_pixel",         "align_corners",        "asymmetric",
                                           "pytorch_half_pixel", "half_pixel_symmetric", "tf_half_pixel",
                                           "tf_crop_and_resize"};
  if (std::find(std::begin(kKnown), std::end(kKnown), p.coordinates) == std::end(kKnown))
    return n.unsupported(p.coordinates.substr(0, 40));
  if (n.has(2)) TERN_TRY(read_scales(n, 2, &p.scales));
  if (p.scales.empty() && !n.has(3)) return TERN_FAIL(TERN_ERR_CORRUPT, "Resize has neither scales nor sizes");
  if (p.scales.empty()) p.sizes = n.constant_in(3);
  if (n.has(1)) p.roi = n.constant_in(1);
  for (int64_t given : n.integers("axes")) {
    int axis = 0;
    TERN_TRY(n.axis(given, b.rank(x), &axis));
    if (std::find(p.axes.begin(), p.axes.end(), axis) != p.axes.end())
      return TERN_FAIL(TERN_ERR_CORRUPT, "Resize: axis %d twice", axis);
    p.axes.push_back(axis);
  }
  return emit_resize(n, x, p);
}

tern_status lower_upsample(OnnxNode& n) {
  ResizePlan p;
  const ValueId x = n.in(0);
  TERN_TRY(n.b.status());
  p.mode = n.text("mode", "nearest");
  if (p.mode == "bilinear") p.mode = "linear";
  if (p.mode != "nearest" && p.mode != "linear") return n.unsupported("mode " + p.mode.substr(0, 20));
  p.coordinates = "asymmetric";
  p.nearest = "floor";
  if (n.has(1)) TERN_TRY(read_scales(n, 1, &p.scales));
  else if (n.has_attribute("height_scale")) p.scales = {1, 1, n.number("height_scale", 1), n.number("width_scale", 1)};
  else
    for (float s : n.numbers("scales")) p.scales.push_back(s);
  return emit_resize(n, x, p);
}

constexpr OnnxOp kOps[] = {
    {"Resize", lower_resize},
    {"Upsample", lower_upsample},
};

}  // namespace

std::span<const OnnxOp> onnx_resize_ops() { return kOps; }

}  // namespace tern
