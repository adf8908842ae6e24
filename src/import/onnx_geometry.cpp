// SPDX-License-Identifier: Apache-2.0
// ONNX operators that place pixels: crops, blocks of columns, windows that bend.
#include <algorithm>

#include "base/checked.h"
#include "import/onnx.h"

namespace tern {
namespace {

tern_status lower_center_crop_pad(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  ValueId wanted = n.constant_in(1);
  TERN_TRY(b.status());
  const int rank = b.rank(x);
  std::vector<int64_t> axes = n.integers("axes");
  if (axes.empty())
    for (int i = 0; i < rank; ++i) axes.push_back(i);
  if (wanted == kNoValue || b.value(wanted).shape.elements() != (int64_t)axes.size() || axes.size() > (size_t)rank)
    return TERN_FAIL(TERN_ERR_SHAPE, "CenterCropPad: the shape does not fit %zu axes", axes.size());
  std::vector<int64_t> place((size_t)rank, 0);  // which entry of `wanted` an axis has, after those of x
  for (int i = 0; i < rank; ++i) place[(size_t)i] = i;
  for (size_t i = 0; i < axes.size(); ++i) {
    int axis = 0;
    TERN_TRY(n.axis(axes[i], rank, &axis));
    place[(size_t)axis] = rank + (int64_t)i;
  }
  const ValueId have = b.shape_of(x), zero = b.integer(0), two = b.integer(2);
  const ValueId want = b.op("gather", {b.op("concat", {have, b.cast(wanted, TERN_DTYPE_I64)}, {{"axis", 0}}), b.integers(place)}, {{"axis", 0}});
  const ValueId start = b.div(b.op("max", {b.sub(have, want), zero}), two), missing = b.op("max", {b.sub(want, have), zero});
  const ValueId before = b.div(missing, two);
  std::vector<int64_t> all;
  for (int i = 0; i < rank; ++i) all.push_back(i);
  const ValueId cropped = b.op("slice", {x, start, b.add(start, b.op("min", {have, want})), b.integers(all)});
  n.set(0, b.op("pad", {cropped, b.op("concat", {before, b.sub(missing, before)}, {{"axis", 0}})}));
  return TERN_OK;
}

// x [N, C * block, blocks]: each block is added to the picture where it came from.
tern_status lower_col2im(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  const auto image = b.known_integers(n.constant_in(1)), block = b.known_integers(n.constant_in(2));
  TERN_TRY(b.status());
  if (!image || !block || b.rank(x) != 3 || b.dim(x, 1) < 0) return n.unsupported("sizes that vary");
  const size_t d = image->size();
  std::vector<int64_t> dilations = n.integers("dilations"), strides = n.integers("strides"), pads = n.integers("pads");
  if (dilations.empty()) dilations.assign(d, 1);
  if (strides.empty()) strides.assign(d, 1);
  if (pads.empty()) pads.assign(2 * d, 0);
  if (d < 1 || d + 2 > (size_t)kMaxRank || block->size() != d || dilations.size() != d || strides.size() != d || pads.size() != 2 * d)
    return TERN_FAIL(TERN_ERR_CORRUPT, "Col2Im: the number of sizes, strides, dilations or pads does not fit");
  constexpr int64_t kMost = 1 << 24;
  int64_t pixels = 1, taps = 1, blocks = 1;
  std::vector<int64_t> across(d);
  for (size_t i = 0; i < d; ++i) {
    const int64_t size = (*image)[i], kernel = (*block)[i];
    for (const int64_t v : {size, kernel, dilations[i], strides[i]})
      if (v < 1 || v > kMost) return TERN_FAIL(TERN_ERR_CORRUPT, "Col2Im: a size, stride or dilation of %" PRId64, v);
    for (const int64_t v : {pads[i], pads[d + i]})
      if (v < 0 || v > kMost) return TERN_FAIL(TERN_ERR_CORRUPT, "Col2Im: a pad of %" PRId64, v);
    across[i] = (size + pads[i] + pads[d + i] - dilations[i] * (kernel - 1) - 1) / strides[i] + 1;
    if (across[i] < 1 || !checked_mul(pixels, size, &pixels) || !checked_mul(taps, kernel, &taps) || !checked_mul(blocks, across[i], &blocks) || pixels > kMost || taps > kMost || blocks > kMost)
      return TERN_FAIL(TERN_ERR_LIMIT, "Col2Im: sizes out of range");
  }
  int64_t cells = 0;
  if (!checked_mul(taps, blocks, &cells) || cells > kMost) return TERN_FAIL(TERN_ERR_LIMIT, "Col2Im: %" PRId64 " blocks of %" PRId64, blocks, taps);
  if (b.dim(x, 1) % taps || (b.dim(x, 2) >= 0 && b.dim(x, 2) != blocks))
    return TERN_FAIL(TERN_ERR_SHAPE, "Col2Im: input 0 of shape %s for %" PRId64 " blocks of %" PRId64, to_string(b.value(x).shape).c_str(), blocks, taps);
  // The pixel of each cell; those in the padding meet in one behind the picture.
  std::vector<int64_t> target((size_t)cells);
  for (int64_t cell = 0; cell < cells; ++cell) {
    int64_t tap = cell / blocks, at = cell % blocks, pixel = 0, step = 1;
    for (size_t i = d; i-- > 0;) {
      const int64_t p = at % across[i] * strides[i] - pads[i] + tap % (*block)[i] * dilations[i];
      at /= across[i];
      tap /= (*block)[i];
      if (p < 0 || p >= (*image)[i]) pixel = pixels, step = 0;
      pixel += p * step;
      step *= (*image)[i];
    }
    target[(size_t)cell] = pixel;
  }
  const int64_t channels = b.dim(x, 1) / taps;
  const ValueId rows = b.transpose(b.reshape(x, {Builder::same(0), channels, cells}), {2, 0, 1});
  const ValueId empty = b.op("fill", {b.op("concat", {b.integers({pixels + 1}), b.size_of_axes(x, 0, 1), b.integers({channels})}, {{"axis", 0}})}, {{"value", 0.0}, {"dtype", (int64_t)b.dtype(x)}});
  const ValueId filled = b.op("scatter_nd", {empty, b.reshape(b.integers(target), {cells, 1}), rows}, {{"reduction", "add"}});
  const ValueId picture = b.op("slice", {filled}, {{"starts", IntList{0, 0, 0}}, {"ends", IntList{pixels, INT64_MAX, INT64_MAX}}});
  std::vector<int64_t> shape{Builder::same(0), channels};
  shape.insert(shape.end(), image->begin(), image->end());
  n.set(0, b.reshape(b.transpose(picture, {1, 2, 0}), shape));
  return TERN_OK;
}

// Each tap of a window reads where an offset of its own says: sampled pictures of all taps, then a 1x1 convolution.
tern_status lower_deform_conv(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0), offset = n.in(2);
  const TensorData* w = n.weight(1);
  TERN_TRY(b.status());
  if (b.rank(x) != 4 || b.rank(offset) != 4) return n.unsupported(std::to_string(b.rank(x) - 2) + " spatial dims");
  if (!w || w->shape.rank != 4) return n.unsupported("a weight that depends on data");
  const int64_t groups = n.integer("group", 1), own = n.integer("offset_group", 1), channels = b.dim(x, 1), kh = w->shape[2], kw = w->shape[3];
  std::vector<int64_t> dilations = n.integers("dilations"), strides = n.integers("strides"), pads = n.integers("pads");
  n.integers("kernel_shape");
  if (dilations.empty()) dilations = {1, 1};
  if (strides.empty()) strides = {1, 1};
  if (pads.empty()) pads = {0, 0, 0, 0};
  if (dilations.size() != 2 || strides.size() != 2 || pads.size() != 4) return TERN_FAIL(TERN_ERR_CORRUPT, "DeformConv: the number of strides, dilations or pads does not fit");
  const int64_t taps = kh * kw;
  if (groups < 1 || own < 1 || channels < 1 || channels % own || w->shape[1] * groups != channels || w->shape[0] % groups || taps < 1 || b.dim(offset, 1) != 2 * own * taps)
    return TERN_FAIL(TERN_ERR_SHAPE, "DeformConv: %" PRId64 " channels in %" PRId64 " and %" PRId64 " groups, a weight of shape %s and offsets of shape %s do not fit", channels, groups, own,
                     to_string(w->shape).c_str(), to_string(b.value(offset).shape).c_str());
  const DType dtype = b.dtype(x);
  // Sampled by offset group: [N * own, H, W, channels of one].
  const auto each = [&](ValueId v, const std::vector<ValueId>& rest) {
    std::vector<ValueId> dims{b.mul(b.size_of_axes(x, 0, 1), b.integers({own}))};
    dims.insert(dims.end(), rest.begin(), rest.end());
    return b.op("reshape", {v, b.op("concat", dims, {{"axis", 0}})}, {{"allow_zero", 1}});
  };
  const ValueId height = b.size_of_axes(x, 2, 3), width = b.size_of_axes(x, 3, 4), rows = b.size_of_axes(offset, 2, 3), columns = b.size_of_axes(offset, 3, 4);
  const ValueId picture = each(b.transpose(b.reshape(x, {Builder::same(0), own, channels / own, Builder::same(2), Builder::same(3)}), {0, 1, 3, 4, 2}),
                               {height, width, b.integers({channels / own})});
  // Offsets [N * own, taps, y or x, rows, columns] to positions from -1 to 1.
  const ValueId moved = each(offset, {b.integers({taps, 2}), rows, columns});
  const auto positions = [&](int axis, ValueId size, ValueId count) {
    std::vector<float> first;
    for (int64_t t = 0; t < taps; ++t) first.push_back((float)((axis == 0 ? t / kw : t % kw) * dilations[(size_t)axis] - pads[(size_t)axis]));
    const ValueId index = b.cast(b.op("range", {b.integer(0), b.reshape(count, {}), b.integer(1)}), TERN_DTYPE_F32);
    const ValueId at = b.reshape(b.mul(index, b.number((float)strides[(size_t)axis])), axis == 0 ? std::vector<int64_t>{-1, 1, 1} : std::vector<int64_t>{-1, 1});
    const ValueId base = b.cast(b.add(b.constant(TERN_DTYPE_F32, Shape{taps, 1, 1, 1}, first.data()), at), dtype);
    const ValueId offsets = b.op("slice", {moved}, {{"starts", IntList{0, 0, axis, 0, 0}}, {"ends", IntList{INT64_MAX, INT64_MAX, axis + 1, INT64_MAX, INT64_MAX}}});
    const ValueId pixel = b.add(b.transpose(offsets, {0, 1, 3, 4, 2}), base);
    const ValueId two = b.scalar(dtype, 2), one = b.scalar(dtype, 1);
    return b.sub(b.div(b.add(b.mul(pixel, two), one), b.cast(b.reshape(size, {}), dtype)), one);
  };
  const ValueId grid = b.op("concat", {positions(1, width, columns), positions(0, height, rows)}, {{"axis", 4}});
  const ValueId all_rows = b.mul(rows, b.integers({taps}));
  ValueId sampled = b.op("grid_sample", {picture, each(grid, {all_rows, columns, b.integers({2})})}, {{"mode", "linear"}, {"padding", "zeros"}});
  if (n.has(4)) sampled = b.mul(sampled, each(n.in(4), {all_rows, columns, b.integers({1})}));
  // [N, own, taps, rows, columns, C / own] to [N, rows, columns, groups, taps, C / groups]
  const auto shaped = [&](ValueId v, const std::vector<ValueId>& dims) { return b.op("reshape", {v, b.op("concat", dims, {{"axis", 0}})}, {{"allow_zero", 1}}); };
  const ValueId batch = b.size_of_axes(x, 0, 1);
  ValueId y = b.transpose(shaped(sampled, {batch, b.integers({own, taps}), rows, columns, b.integers({channels / own})}), {0, 3, 4, 2, 1, 5});
  y = b.transpose(shaped(y, {batch, rows, columns, b.integers({taps, groups, channels / groups})}), {0, 1, 2, 4, 3, 5});
  y = shaped(y, {batch, rows, columns, b.integers({taps * channels})});
  const int64_t order[] = {0, 2, 3, 1};
  const TensorData weight = with_shape(permute(*w, order), Shape{w->shape[0], 1, 1, taps * w->shape[1]});
  const bool panel = groups == 1 && (weight.dtype == TERN_DTYPE_F32 || weight.dtype == TERN_DTYPE_F16) && weight.elements() > 0;
  y = b.op("conv2d", {y, panel ? b.panel_parameter(weight) : b.parameter(weight), n.in(3)}, {{"groups", groups}});
  n.set(0, b.transpose(y, {0, 3, 1, 2}));
  return TERN_OK;
}

constexpr OnnxOp kOps[] = {{"DeformConv", lower_deform_conv}, {"CenterCropPad", lower_center_crop_pad}, {"Col2Im", lower_col2im}};

}  // namespace

std::span<const OnnxOp> onnx_geometry_ops() { return kOps; }

}  // namespace tern
