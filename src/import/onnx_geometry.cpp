// SPDX-License-Identifier: Apache-2.0
// ONNX operators that place pixels: crops, blocks of columns.
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
  const ValueId want =
      b.op("gather", {b.op("concat", {have, b.cast(wanted, TERN_DTYPE_I64)}, {{"axis", 0}}), b.integers(place)},
           {{"axis", 0}});
  const ValueId start = b.div(b.op("max", {b.sub(have, want), zero}), two),
                missing = b.op("max", {b.sub(want, have), zero});
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
  if (d < 1 || d + 2 > (size_t)kMaxRank || block->size() != d || dilations.size() != d || strides.size() != d ||
      pads.size() != 2 * d)
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
    if (across[i] < 1 || !checked_mul(pixels, size, &pixels) || !checked_mul(taps, kernel, &taps) ||
        !checked_mul(blocks, across[i], &blocks) || pixels > kMost || taps > kMost || blocks > kMost)
      return TERN_FAIL(TERN_ERR_LIMIT, "Col2Im: sizes out of range");
  }
  int64_t cells = 0;
  if (!checked_mul(taps, blocks, &cells) || cells > kMost)
    return TERN_FAIL(TERN_ERR_LIMIT, "Col2Im: %" PRId64 " blocks of %" PRId64, blocks, taps);
  if (b.dim(x, 1) % taps || (b.dim(x, 2) >= 0 && b.dim(x, 2) != blocks))
    return TERN_FAIL(TERN_ERR_SHAPE, "Col2Im: input 0 of shape %s for %" PRId64 " blocks of %" PRId64,
                     to_string(b.value(x).shape).c_str(), blocks, taps);
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
  const ValueId empty =
      b.op("fill",
           {b.op("concat", {b.integers({pixels + 1}), b.size_of_axes(x, 0, 1), b.integers({channels})}, {{"axis", 0}})},
           {{"value", 0.0}, {"dtype", (int64_t)b.dtype(x)}});
  const ValueId filled =
      b.op("scatter_nd", {empty, b.reshape(b.integers(target), {cells, 1}), rows}, {{"reduction", "add"}});
  const ValueId picture =
      b.op("slice", {filled}, {{"starts", IntList{0, 0, 0}}, {"ends", IntList{pixels, INT64_MAX, INT64_MAX}}});
  std::vector<int64_t> shape{Builder::same(0), channels};
  shape.insert(shape.end(), image->begin(), image->end());
  n.set(0, b.reshape(b.transpose(picture, {1, 2, 0}), shape));
  return TERN_OK;
}

constexpr OnnxOp kOps[] = {{"CenterCropPad", lower_center_crop_pad}, {"Col2Im", lower_col2im}};

}  // namespace

std::span<const OnnxOp> onnx_geometry_ops() { return kOps; }

}  // namespace tern
