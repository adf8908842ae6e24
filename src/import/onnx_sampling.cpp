// SPDX-License-Identifier: Apache-2.0
// ONNX operators that read pictures between their pixels.
#include "import/onnx.h"
#include "import/spatial.h"

namespace tern {
namespace {

// ---- sampling ----

tern_status lower_grid_sample(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0), grid = n.in(1);
  TERN_TRY(b.status());
  std::string mode = n.text("mode", n.opset < 20 ? "bilinear" : "linear");
  if (mode.compare(0, 2, "bi") == 0) mode = mode.substr(2);
  const std::string padding = n.text("padding_mode", "zeros");
  const ValueId y = b.op(
      "grid_sample", {b.transpose(x, channels_last(b.rank(x))), grid},
      {{"mode", mode.c_str()}, {"padding", padding.c_str()}, {"align_corners", n.integer("align_corners", 0) != 0}});
  n.set(0, b.transpose(y, channels_second(b.rank(x))));
  return TERN_OK;
}

// grid[n, o.., j] = the sum over axes a of theta[n, j, a] times the position along a, the last axis first, + theta[n,
// j, k].
tern_status lower_affine_grid(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId theta = n.in(0), size = b.cast(n.constant_in(1), TERN_DTYPE_I64);
  TERN_TRY(b.status());
  const int64_t k = b.rank(theta) == 3 ? b.dim(theta, 1) : -1;
  if ((k != 2 && k != 3) || b.dim(theta, 2) != k + 1 || b.value(size).shape != Shape{k + 2})
    return TERN_FAIL(TERN_ERR_SHAPE, "AffineGrid: theta of shape %s with a size of shape %s",
                     to_string(b.value(theta).shape).c_str(), to_string(b.value(size).shape).c_str());
  const bool corners = n.integer("align_corners", 0) != 0;
  const DType dtype = b.dtype(theta), wide = dtype == TERN_DTYPE_F64 ? dtype : TERN_DTYPE_F32;
  const auto column = [&](int64_t a) {
    std::vector<int64_t> dims((size_t)k + 2, 1);
    dims[0] = Builder::same(0);
    dims[(size_t)k + 1] = k;
    return b.reshape(b.op("gather", {b.cast(theta, wide), b.integer(a)}, {{"axis", 2}}), dims);
  };
  ValueId sum = column(k);
  for (int64_t a = 0; a < k; ++a) {
    const int64_t axis = k - 1 - a;
    const ValueId length = b.op("gather", {size, b.integer(2 + axis)}, {{"axis", 0}}), count = b.cast(length, wide);
    const ValueId steps = b.cast(b.op("range", {b.integer(0), length, b.integer(1)}), wide);
    const ValueId apart = corners ? b.op("max", {b.sub(count, b.scalar(wide, 1)), b.scalar(wide, 1)}) : count;
    ValueId at = b.mul(steps, b.scalar(wide, 2));
    if (!corners) at = b.add(at, b.scalar(wide, 1));
    at = b.sub(b.div(at, apart), b.scalar(wide, 1));
    std::vector<int64_t> dims((size_t)k + 2, 1);
    dims[(size_t)axis + 1] = Builder::same(0);
    sum = b.add(sum, b.mul(column(a), b.reshape(at, dims)));
  }
  n.set(0, b.cast(sum, dtype));
  return TERN_OK;
}

tern_status lower_roi_align(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  if (b.rank(x) != 4) return TERN_FAIL(TERN_ERR_SHAPE, "RoiAlign: input 0 has rank %d instead of 4", b.rank(x));
  const std::string mode = n.text("mode", "avg"),
                    coordinates =
                        n.text("coordinate_transformation_mode", n.opset < 16 ? "output_half_pixel" : "half_pixel");
  if (mode != "avg" && mode != "max") return TERN_FAIL(TERN_ERR_CORRUPT, "RoiAlign: mode '%.40s'", mode.c_str());
  if (coordinates != "half_pixel" && coordinates != "output_half_pixel")
    return TERN_FAIL(TERN_ERR_CORRUPT, "RoiAlign: coordinates '%.40s'", coordinates.c_str());
  const ValueId y = b.op("roi_align", {to_nhwc(b, x), n.in(1), n.in(2)},
                         {{"height", n.integer("output_height", 1)},
                          {"width", n.integer("output_width", 1)},
                          {"sampling_ratio", n.integer("sampling_ratio", 0)},
                          {"spatial_scale", n.number("spatial_scale", 1)},
                          {"max", mode == "max"},
                          {"aligned", coordinates == "half_pixel"}});
  n.set(0, from_nhwc(b, y, 4));
  return TERN_OK;
}

// Each tap of each offset group is sampled at its own place; what is sampled is multiplied like the pixels of a
// convolution.
tern_status lower_deform_conv(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0), weight = n.in(1), offset = n.in(2);
  TERN_TRY(b.status());
  if (b.rank(x) != 4 || b.rank(weight) != 4 || b.rank(offset) != 4)
    return n.unsupported(std::to_string(b.rank(x) - 2) + " spatial dims");
  const int64_t groups = n.integer("group", 1), parts = n.integer("offset_group", 1), channels = b.dim(x, 1),
                kh = b.dim(weight, 2), kw = b.dim(weight, 3);
  const auto pair = [&](const char* name, size_t count, int64_t otherwise) {
    std::vector<int64_t> v = n.integers(name);
    if (v.empty()) v.assign(count, otherwise);
    return v;
  };
  const std::vector<int64_t> kernel = pair("kernel_shape", 2, 0), strides = pair("strides", 2, 1),
                             dilations = pair("dilations", 2, 1), pads = pair("pads", 4, 0);
  if (kernel.size() != 2 || strides.size() != 2 || dilations.size() != 2 || pads.size() != 4 || parts < 1 ||
      channels < 1 || channels % parts || kh < 1 || kw < 1)
    return TERN_FAIL(TERN_ERR_CORRUPT,
                     "DeformConv: its attributes do not fit to a weight of shape %s and %" PRId64 " channels",
                     to_string(b.value(weight).shape).c_str(), channels);
  const int64_t taps = kh * kw, part = channels / parts;
  if (b.dim(offset, 1) != parts * taps * 2)
    return TERN_FAIL(TERN_ERR_SHAPE, "DeformConv: %" PRId64 " offsets for %" PRId64 " taps in %" PRId64 " groups",
                     b.dim(offset, 1), taps, parts);
  const DType dtype = b.dtype(x), wide = dtype == TERN_DTYPE_F64 ? dtype : TERN_DTYPE_F32;
  const DimOf rows{offset, 2, 3}, columns{offset, 3, 4}, batch{x, 0, 1};
  const auto fixed = [](int64_t size) { return DimOf{kNoValue, 0, 0, size}; };
  // [N, parts, taps, 2, OH, OW]: down, then to the right.
  const ValueId offsets =
      b.cast(reshape_to(b, offset, {batch, fixed(parts), fixed(taps), fixed(2), rows, columns}), wide);
  ValueId grid[2];
  for (int axis = 0; axis < 2; ++axis) {
    const int64_t step = strides[(size_t)axis], dilation = dilations[(size_t)axis];
    std::vector<double> places;
    for (int64_t k = 0; k < taps; ++k)
      places.push_back((double)((axis == 0 ? k / kw : k % kw) * dilation - pads[(size_t)axis]));
    std::vector<unsigned char> bytes((size_t)taps * dtype_size(wide));
    for (int64_t k = 0; k < taps; ++k) store_element(wide, bytes.data(), k, places[(size_t)k]);
    const ValueId tap = b.constant(wide, Shape{taps, 1, 1}, bytes.data());
    const ValueId count = b.reshape(b.size_of_axes(offset, 2 + axis, 3 + axis), {});
    const ValueId range = b.cast(b.op("range", {b.integer(0), count, b.integer(1)}), wide);
    const ValueId steps = b.mul(b.reshape(range, axis == 0 ? std::vector<int64_t>{Builder::same(0), 1}
                                                           : std::vector<int64_t>{1, Builder::same(0)}),
                                b.scalar(wide, (double)step));
    const ValueId at = b.add(b.op("gather", {offsets, b.integer(axis)}, {{"axis", 3}}), b.add(tap, steps));
    // -1 and 1 are the outer edges of x.
    const ValueId size = b.cast(b.reshape(b.size_of_axes(x, 2 + axis, 3 + axis), {}), wide);
    grid[axis] = b.sub(b.div(b.add(b.mul(at, b.scalar(wide, 2)), b.scalar(wide, 1)), size), b.scalar(wide, 1));
  }
  // [N * parts, taps * OH, OW, ..]
  const ValueId some = grid[0];
  const auto listed = [&](ValueId v) { return reshape_to(b, v, {{some, 0, 2}, {some, 2, 4}, {some, 4, 5}, fixed(1)}); };
  const ValueId at = b.op("concat", {listed(grid[1]), listed(grid[0])}, {{"axis", -1}});
  ValueId picture = reshape_to(b, x, {{some, 0, 2}, fixed(part), {x, 2, 3}, {x, 3, 4}});
  ValueId cells = b.op("grid_sample", {b.transpose(picture, {0, 2, 3, 1}), at});
  if (n.has(4)) cells = b.mul(cells, reshape_to(b, n.in(4), {{some, 0, 2}, {some, 2, 4}, {some, 4, 5}, fixed(1)}));
  // [N, OH, OW, parts, part, taps]: channels in order, each with its taps.
  cells = reshape_to(b, cells, {batch, fixed(parts), fixed(taps), rows, columns, fixed(part)});
  cells = reshape_to(b, b.transpose(cells, {0, 3, 4, 1, 5, 2}), {batch, rows, columns, fixed(channels * taps)});
  const ValueId flat = reshape_to(b, weight, {{weight, 0, 1}, fixed(1), fixed(1), {weight, 1, 4}});
  n.set(0, from_nhwc(b, b.op("conv2d", {cells, flat, n.in(3)}, {{"groups", groups}}), 4));
  return TERN_OK;
}

constexpr OnnxOp kOps[] = {
    {"GridSample", lower_grid_sample},
    {"AffineGrid", lower_affine_grid},
    {"RoiAlign", lower_roi_align},
    {"DeformConv", lower_deform_conv},
};

}  // namespace

std::span<const OnnxOp> onnx_sampling_ops() { return kOps; }

}  // namespace tern
