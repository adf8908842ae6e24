// SPDX-License-Identifier: Apache-2.0
// ONNX operators of networks: resizing, normalisations. Tern's are channels-last, so each stands
// between two transposes here; layout.cpp removes these.
#include <algorithm>
#include <cmath>

#include "base/checked.h"
#include "import/onnx.h"

namespace tern {
namespace {

tern_status check_spatial(OnnxNode& n, ValueId x) {
  TERN_TRY(n.b.status());
  const int rank = n.b.rank(x);
  if (rank == 3 || rank == 4) return TERN_OK;
  if (rank < 3) return TERN_FAIL(TERN_ERR_SHAPE, "%s: input 0 has rank %d", n.type().c_str(), rank);
  return n.unsupported(std::to_string(rank - 2) + " spatial dims");
}

// ---- normalisations -------------------------------------------------------------------------------------------------

tern_status lower_batch_norm(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  const int rank = b.rank(x);
  if (rank < 2) return TERN_FAIL(TERN_ERR_SHAPE, "BatchNormalization: input 0 has rank %d", rank);
  const double epsilon = n.number("epsilon", 1e-5), momentum = n.number("momentum", 0.9);
  const bool training = n.integer("training_mode", 0) != 0;
  if (n.integer("spatial", 1) != 1) return n.unsupported("not spatial");
  if (n.opset < 7 && n.integer("is_test", 0) == 0) return n.unsupported("before version 7");
  const ValueId last = b.transpose(x, channels_last(rank));
  if (!training) {
    n.set(0, b.transpose(b.op("batch_norm", {last, n.in(1), n.in(2), n.in(3), n.in(4)}, {{"epsilon", epsilon}}), channels_second(rank)));
    return TERN_OK;
  }
  const std::vector<ValueId> out = b.ops("batch_norm_train", {last, n.in(1), n.in(2)}, {{"epsilon", epsilon}}, 3);
  TERN_TRY(b.status());
  n.set(0, b.transpose(out[0], channels_second(rank)));
  for (int i = 0; i < 2; ++i) {
    if (!n.wants(1 + i)) continue;
    const ValueId old = n.in(3 + i);
    n.set(1 + i, b.add(b.mul(old, b.like(old, momentum)), b.mul(out[(size_t)(1 + i)], b.like(old, 1 - momentum))));
  }
  return TERN_OK;
}

tern_status lower_instance_norm(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(check_spatial(n, x));
  const double epsilon = n.number("epsilon", 1e-5);
  n.set(0, from_nhwc(b, b.op("instance_norm", {to_nhwc(b, x), n.in(1), n.in(2)}, {{"epsilon", epsilon}}), b.rank(x)));
  return TERN_OK;
}

tern_status lower_group_norm(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(check_spatial(n, x));
  const double epsilon = n.number("epsilon", 1e-5);
  const int64_t groups = n.integer("num_groups", 1), channels = b.dim(x, 1);
  n.integer("stash_type", 1);
  if (channels < 0 || groups < 1 || channels % groups) return TERN_FAIL(TERN_ERR_SHAPE, "GroupNormalization: %" PRId64 " channels in %" PRId64 " groups", channels, groups);
  ValueId scale = n.in(1), bias = n.in(2);
  if (n.opset < 21) {
    // One number a group.
    for (ValueId* v : {&scale, &bias}) {
      const ValueId column = b.reshape(*v, {groups, 1});
      *v = b.reshape(b.op("expand", {column}, {{"shape", IntList{groups, channels / groups}}}), {channels});
    }
  }
  n.set(0, from_nhwc(b, b.op("group_norm", {to_nhwc(b, x), scale, bias}, {{"groups", groups}, {"epsilon", epsilon}}), b.rank(x)));
  return TERN_OK;
}

// Mean and InvStdDev are outputs as well: spelled out where they are wanted.
tern_status lower_layer_norm(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  int axis = 0;
  TERN_TRY(n.axis(n.integer("axis", -1), b.rank(x), &axis));
  const double epsilon = n.number("epsilon", 1e-5);
  n.integer("stash_type", 1);
  n.set(0, b.op("layer_norm", {x, n.in(1), n.in(2)}, {{"axis", axis}, {"epsilon", epsilon}}));
  if (n.wants(1) || n.wants(2)) {
    IntList axes;
    for (int i = axis; i < b.rank(x); ++i) axes.items[axes.count++] = i;
    const ValueId mean = b.op("reduce_mean", {x}, {{"axes", axes}, {"keep_dims", 1}});
    const ValueId centred = b.sub(x, mean);
    const ValueId variance = b.op("reduce_mean", {b.mul(centred, centred)}, {{"axes", axes}, {"keep_dims", 1}});
    n.set(1, mean);
    n.set(2, b.op("reciprocal", {b.op("sqrt", {b.add(variance, b.like(variance, epsilon))})}));
  }
  return TERN_OK;
}

tern_status lower_mean_variance_norm(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  std::vector<int64_t> list = n.integers("axes");
  if (!n.has_attribute("axes")) list = {0, 2, 3};
  const Attrs attrs = {{"axes", int_list(list)}, {"keep_dims", 1}};
  const ValueId mean = b.op("reduce_mean", {x}, attrs);
  const ValueId mean2 = b.op("reduce_mean", {b.mul(x, x)}, attrs);
  const ValueId deviation = b.op("sqrt", {b.sub(mean2, b.mul(mean, mean))});
  n.set(0, b.div(b.sub(x, mean), b.add(deviation, b.like(x, 1e-9))));
  return TERN_OK;
}

tern_status lower_lrn(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  const int rank = b.rank(x);
  if (rank < 2) return TERN_FAIL(TERN_ERR_SHAPE, "LRN: input 0 has rank %d", rank);
  const ValueId y = b.op("lrn", {b.transpose(x, channels_last(rank))},
                         {{"size", n.integer("size", 1)}, {"alpha", n.number("alpha", 1e-4)}, {"beta", n.number("beta", 0.75)}, {"bias", n.number("bias", 1)}});
  n.set(0, b.transpose(y, channels_second(rank)));
  return TERN_OK;
}

tern_status lower_lp_norm(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  int axis = 0;
  TERN_TRY(n.axis(n.integer("axis", -1), b.rank(x), &axis));
  const int64_t p = n.integer("p", 2);
  if (p != 1 && p != 2) return n.unsupported("p = " + std::to_string(p));
  if (p == 2) n.set(0, b.op("l2_normalize", {x}, {{"axis", axis}}));
  else n.set(0, b.div(x, b.op("reduce_sum", {b.op("abs", {x})}, {{"axes", IntList{axis}}, {"keep_dims", 1}})));
  return TERN_OK;
}

tern_status lower_dropout(OnnxNode& n) {
  Builder& b = n.b;
  n.number("ratio", 0.5);
  n.integer("seed", 0);
  n.integer("is_test", 1);
  const auto training = b.known_number(n.constant_in(2));
  const auto ratio = b.known_number(n.constant_in(1));
  if (n.has(2) && !(training && (*training == 0 || (ratio && *ratio == 0)))) return n.unsupported("training");
  if (const Operand* o = n.operand(0)) n.set_operand(0, *o);
  if (n.wants(1)) {
    const ValueId x = n.in(0);
    TERN_TRY(b.status());
    if (!b.fixed_shape(x)) return n.unsupported("mask of a size that varies");
    const uint8_t yes = 1;
    n.set(1, b.op("expand", {b.constant(TERN_DTYPE_BOOL, Shape{}, &yes), b.shape_of(x)}));
  }
  return TERN_OK;
}

// ---- sizes ----------------------------------------------------------------------------------------------------------

struct ResizePlan {
  std::string mode = "nearest", coordinates = "half_pixel", nearest = "round_prefer_floor";
  double cubic = -0.75;
  int64_t exclude_outside = 0;
  std::vector<double> scales;  // one an axis of x, or empty
  ValueId sizes = kNoValue;    // i64 [rank]
};

// A picture with other heights and widths. x [N,C,H,W] or [N,C,L].
tern_status emit_resize(OnnxNode& n, ValueId x, ResizePlan& p) {
  Builder& b = n.b;
  const int rank = b.rank(x);
  if (rank != 3 && rank != 4) return n.unsupported("rank " + std::to_string(rank));
  const auto known = p.sizes != kNoValue ? b.known_integers(p.sizes) : std::nullopt;
  if (!p.scales.empty()) {
    if ((int)p.scales.size() != rank) return TERN_FAIL(TERN_ERR_CORRUPT, "%s: %zu scales for rank %d", n.type().c_str(), p.scales.size(), rank);
    if (p.scales[0] != 1 || p.scales[1] != 1) return n.unsupported("of batch or channels");
    for (double s : p.scales)
      if (!(s > 0 && s < 1e6)) return TERN_FAIL(TERN_ERR_CORRUPT, "%s: a scale of %g", n.type().c_str(), s);
  } else if (known) {
    if ((int)known->size() != rank) return TERN_FAIL(TERN_ERR_CORRUPT, "%s: %zu sizes for rank %d", n.type().c_str(), known->size(), rank);
    if ((*known)[1] != b.dim(x, 1)) return n.unsupported("of channels");
  } else if (p.sizes == kNoValue) {
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s has neither scales nor sizes", n.type().c_str());
  }
  if (p.coordinates == "align_corners" && !p.scales.empty()) {
    // The format measures from the exact product of size and scale, other runtimes from the whole number of pixels.
    for (int i = 2; i < rank; ++i) {
      const double s = p.scales[(size_t)i], size = (double)b.dim(x, i) * s;
      if (s != std::floor(s) && (b.dim(x, i) < 0 || size != std::floor(size))) return n.unsupported("align_corners with a scale that gives no whole size");
    }
  }
  Attrs attrs = {{"mode", p.mode.c_str()}, {"coordinates", p.coordinates.c_str()}, {"nearest", p.nearest.c_str()}, {"cubic_coeff", p.cubic}, {"exclude_outside", p.exclude_outside}};
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
    if (s[0] != b.dim(x, 0) && b.dim(x, 0) >= 0) return n.unsupported("of the batch");
    if (b.dim(x, 0) >= 0) attrs.push_back({"sizes", rank == 4 ? IntList{s[0], s[2], s[3], s[1]} : IntList{s[0], 1, s[2], s[1]}});
    else in.push_back(b.op("concat", {b.op("shape", {picture}, {{"start", 0}, {"end", 1}}), b.integers({rank == 4 ? s[2] : 1, s[(size_t)rank - 1], s[1]})}, {{"axis", 0}}));
  } else {
    ValueId sizes = b.cast(p.sizes, TERN_DTYPE_I64);
    if (rank == 3) sizes = b.op("concat", {sizes, b.integers({1})}, {{"axis", 0}});
    in.push_back(b.op("gather", {sizes, b.integers(rank == 4 ? std::vector<int64_t>{0, 2, 3, 1} : std::vector<int64_t>{0, 3, 2, 1})}, {{"axis", 0}}));
  }
  n.set(0, from_nhwc(b, b.op("resize", in, attrs), rank));
  return TERN_OK;
}

tern_status read_scales(OnnxNode& n, int i, std::vector<double>* out) {
  const TensorData* t = n.weight(i);
  if (!t) {
    const ValueId v = n.constant_in(i);
    TERN_TRY(n.b.status());
    if (!n.b.known(v)) return n.unsupported("scales depend on data");
    for (int64_t k = 0; k < n.b.value(v).shape.elements(); ++k) out->push_back(load_element(n.b.dtype(v), n.b.value(v).data.bytes, k));
    return TERN_OK;
  }
  for (int64_t k = 0; k < t->elements() && k < 64; ++k) out->push_back(t->load(k));
  return TERN_OK;
}

tern_status lower_resize(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  ResizePlan p;
  p.mode = n.text("mode", "nearest");
  if (p.mode != "nearest" && p.mode != "linear" && p.mode != "cubic") return n.unsupported("mode " + p.mode.substr(0, 20));
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
  n.number("extrapolation_value", 0);
  if (n.integer("antialias", 0)) return n.unsupported("antialias");
  if (n.text("keep_aspect_ratio_policy", "stretch") != "stretch") return n.unsupported("keep_aspect_ratio_policy");
  if (p.coordinates == "tf_half_pixel_for_nn") p.coordinates = "tf_half_pixel";
  static const std::set<std::string> known = {"half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel", "half_pixel_symmetric", "tf_half_pixel"};
  if (!known.count(p.coordinates)) return n.unsupported(p.coordinates.substr(0, 40));
  const std::vector<int64_t> axes = n.integers("axes");
  bool sized = n.has(3);
  if (n.has(2)) TERN_TRY(read_scales(n, 2, &p.scales));
  if (p.scales.empty() && !sized) return TERN_FAIL(TERN_ERR_CORRUPT, "Resize has neither scales nor sizes");
  if (sized && p.scales.empty()) p.sizes = n.constant_in(3);
  TERN_TRY(b.status());
  if (!axes.empty()) {
    std::vector<double> scales((size_t)b.rank(x), 1);
    const auto sizes = p.sizes != kNoValue ? b.known_integers(p.sizes) : std::nullopt;
    if (p.sizes != kNoValue && (!sizes || !b.fixed_shape(x))) return n.unsupported("axes with sizes that vary");
    std::vector<int64_t> all(b.value(x).shape.begin(), b.value(x).shape.end());
    for (size_t i = 0; i < axes.size(); ++i) {
      int axis = 0;
      TERN_TRY(n.axis(axes[i], b.rank(x), &axis));
      if (i < p.scales.size()) scales[(size_t)axis] = p.scales[i];
      if (sizes && i < sizes->size()) all[(size_t)axis] = (*sizes)[i];
    }
    if (sizes) p.sizes = b.integers(all);
    else p.scales = scales;
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
  else
    for (float s : n.numbers("scales")) p.scales.push_back(s);
  return emit_resize(n, x, p);
}

tern_status lower_depth_to_space(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  if (b.rank(x) != 4) return TERN_FAIL(TERN_ERR_SHAPE, "%s: input 0 has rank %d instead of 4", n.type().c_str(), b.rank(x));
  const bool to_space = n.type() == "DepthToSpace";
  const std::string mode = n.text("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") return TERN_FAIL(TERN_ERR_CORRUPT, "%s: mode '%.40s'", n.type().c_str(), mode.c_str());
  n.set(0, from_nhwc(b, b.op(to_space ? "depth_to_space" : "space_to_depth", {to_nhwc(b, x)},
                             {{"block", n.integer("blocksize", 0)}, {"mode", mode == "DCR" ? "dcr" : "crd"}}), 4));
  return TERN_OK;
}

constexpr OnnxOp kOps[] = {
    {"BatchNormalization", lower_batch_norm},
    {"InstanceNormalization", lower_instance_norm},
    {"GroupNormalization", lower_group_norm},
    {"LayerNormalization", lower_layer_norm},
    {"MeanVarianceNormalization", lower_mean_variance_norm},
    {"LRN", lower_lrn},
    {"LpNormalization", lower_lp_norm},
    {"Dropout", lower_dropout},
    {"Resize", lower_resize},
    {"Upsample", lower_upsample},
    {"DepthToSpace", lower_depth_to_space},
    {"SpaceToDepth", lower_depth_to_space},
};

}  // namespace

std::span<const OnnxOp> onnx_nn_ops() { return kOps; }

}  // namespace tern
