// SPDX-License-Identifier: Apache-2.0
// ONNX operators of networks: normalisations, blocks of pixels. Tern's are channels-last, so each stands
// between two transposes here; layout.cpp removes these.
#include <algorithm>
#include <cmath>

#include "base/checked.h"
#include "import/onnx.h"
#include "import/spatial.h"

namespace tern {
namespace {

// An operator over [N, H, W, C] to which the spatial dims are all the same: op(picture) on x [N, C, spatial..].
template <class F>
tern_status over_pixels(OnnxNode& n, ValueId x, F&& op) {
  Builder& b = n.b;
  const int rank = b.rank(x);
  if (rank < 3) return TERN_FAIL(TERN_ERR_SHAPE, "%s: input 0 has rank %d", n.type().c_str(), rank);
  ValueId flat = x;
  std::vector<DimOf> dims;
  append_dims_of(&dims, x, 0, rank);
  if (rank > 4) flat = reshape_to(b, x, {{x, 0, 1}, {x, 1, 2}, {x, 2, rank}});
  const int used = rank > 4 ? 3 : rank;
  const ValueId y = from_nhwc(b, op(to_nhwc(b, flat)), used);
  n.set(0, rank > 4 ? reshape_to(b, y, dims) : y);
  return TERN_OK;
}

// ---- normalisations ----

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
    // Scale, bias, mean and variance may be of other types than x.
    std::vector<ValueId> in{last, n.in(1), n.in(2), n.in(3), n.in(4)};
    const DType dtype = b.dtype(x);
    for (int i = 1; i < 5; ++i)
      if (b.status() == TERN_OK && b.dtype(in[(size_t)i]) != dtype) in[0] = widened(b, last);
    TERN_TRY(b.status());
    for (ValueId& v : in) v = b.cast(v, b.dtype(in[0]));
    n.set(0, b.transpose(b.cast(b.op("batch_norm", in, {{"epsilon", epsilon}}), dtype), channels_second(rank)));
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
  TERN_TRY(b.status());
  const double epsilon = n.number("epsilon", 1e-5);
  return over_pixels(n, x, [&](ValueId picture) {
    return b.op("instance_norm", {picture, n.in(1), n.in(2)}, {{"epsilon", epsilon}});
  });
}

tern_status lower_group_norm(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  if (b.rank(x) < 3) return TERN_FAIL(TERN_ERR_SHAPE, "GroupNormalization: input 0 has rank %d", b.rank(x));
  const double epsilon = n.number("epsilon", 1e-5);
  const int64_t groups = n.integer("num_groups", 1), channels = b.dim(x, 1);
  n.integer("stash_type", 1);
  if (channels < 0 || groups < 1 || channels % groups)
    return TERN_FAIL(TERN_ERR_SHAPE, "GroupNormalization: %" PRId64 " channels in %" PRId64 " groups", channels,
                     groups);
  ValueId scale = n.in(1), bias = n.in(2);
  if (n.opset < 21) {
    // One number a group.
    for (ValueId* v : {&scale, &bias}) {
      const ValueId column = b.reshape(*v, {groups, 1});
      *v = b.reshape(b.op("expand", {column}, {{"shape", IntList{groups, channels / groups}}}), {channels});
    }
  }
  return over_pixels(n, x, [&](ValueId picture) {
    return b.op("group_norm", {picture, scale, bias}, {{"groups", groups}, {"epsilon", epsilon}});
  });
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
    // In the type of stash_type, which is f32 for narrower floats.
    const ValueId wide = b.dtype(x) == TERN_DTYPE_F64 ? x : b.cast(x, TERN_DTYPE_F32);
    const ValueId mean = b.op("reduce_mean", {wide}, {{"axes", axes}, {"keep_dims", 1}});
    const ValueId centred = b.sub(wide, mean);
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
  const DType dtype = b.dtype(x);
  const ValueId wide = widened(b, x), near = b.sub(wide, b.op("reduce_mean", {wide}, attrs));
  // The mean of numbers that are close to one another is rounded by a part of their distance: what is left is taken
  // off, too.
  const ValueId centred = b.sub(near, b.op("reduce_mean", {near}, attrs));
  const ValueId deviation = b.op("sqrt", {b.op("reduce_mean", {b.mul(centred, centred)}, attrs)});
  n.set(0, b.cast(b.div(centred, b.add(deviation, b.like(deviation, 1e-9))), dtype));
  return TERN_OK;
}

tern_status lower_lrn(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  const int rank = b.rank(x);
  if (rank < 2) return TERN_FAIL(TERN_ERR_SHAPE, "LRN: input 0 has rank %d", rank);
  const ValueId y = b.op("lrn", {b.transpose(x, channels_last(rank))},
                         {{"size", n.integer("size", 1)},
                          {"alpha", n.number("alpha", 1e-4)},
                          {"beta", n.number("beta", 0.75)},
                          {"bias", n.number("bias", 1)}});
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
  const DType dtype = b.dtype(x);
  const ValueId wide = widened(b, x);
  ValueId length = b.op("reduce_sum", {p == 2 ? b.mul(wide, wide) : b.op("abs", {wide})},
                        {{"axes", IntList{axis}}, {"keep_dims", 1}});
  if (p == 2) length = b.op("sqrt", {length});
  // A vector of zeros stays one.
  const ValueId divisor = b.op("where", {b.op("equal", {length, b.like(length, 0)}), b.like(length, 1), length});
  n.set(0, b.cast(b.div(wide, divisor), dtype));
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
  n.pass();
  if (n.wants(1)) {
    const ValueId x = n.in(0);
    TERN_TRY(b.status());
    const uint8_t yes = 1;
    n.set(1, b.op("expand", {b.constant(TERN_DTYPE_BOOL, Shape{}, &yes), b.shape_of(x)}));
  }
  return TERN_OK;
}

// ---- sizes ----

tern_status lower_depth_to_space(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  if (b.rank(x) != 4)
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: input 0 has rank %d instead of 4", n.type().c_str(), b.rank(x));
  const bool to_space = n.type() == "DepthToSpace";
  const std::string mode = n.text("mode", "DCR");
  if (mode != "DCR" && mode != "CRD")
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: mode '%.40s'", n.type().c_str(), mode.c_str());
  n.set(0, from_nhwc(b,
                     b.op(to_space ? "depth_to_space" : "space_to_depth", {to_nhwc(b, x)},
                          {{"block", n.integer("blocksize", 0)}, {"mode", mode == "DCR" ? "dcr" : "crd"}}),
                     4));
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
    {"DepthToSpace", lower_depth_to_space},
    {"SpaceToDepth", lower_depth_to_space},
};

}  // namespace

std::span<const OnnxOp> onnx_nn_ops() { return kOps; }

}  // namespace tern
