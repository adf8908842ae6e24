// SPDX-License-Identifier: Apache-2.0
#include "import/spatial.h"

#include <algorithm>

namespace tern {

ValueId reshape_to(Builder& b, ValueId x, const std::vector<DimOf>& dims) {
  if (b.status() != TERN_OK) return kNoValue;
  if (dims.size() > (size_t)kMaxRank) {
    b.g->status = TERN_FAIL(TERN_ERR_LIMIT, "reshape to %zu dims, at most %d are supported", dims.size(), kMaxRank);
    return kNoValue;
  }
  std::vector<ValueId> parts;
  IntList list;
  int open = 0;
  bool empty = false;
  for (const DimOf& d : dims) {
    const ValueId part = d.v == kNoValue ? b.integers({d.size}) : b.size_of_axes(d.v, d.from, d.to);
    const auto known = b.known_integers(part);
    parts.push_back(part);
    list.items[list.count++] = known ? (*known)[0] : -1;
    open += !known;
    empty = empty || (known && (*known)[0] == 0);
  }
  if (open == 0 || (open == 1 && !empty)) return b.op("reshape", {x}, {{"shape", list}, {"allow_zero", 1}});
  return b.op("reshape", {x, parts.size() == 1 ? parts[0] : b.op("concat", parts, {{"axis", 0}})}, {{"allow_zero", 1}});
}

void append_dims_of(std::vector<DimOf>* dims, ValueId v, int from, int to) {
  for (int i = from; i < to; ++i) dims->push_back({v, i, i + 1});
}

ValueId slice_axis(Builder& b, ValueId x, int axis, int64_t start, int64_t end, int64_t step) {
  if (b.status() != TERN_OK) return kNoValue;
  IntList starts, ends, steps;
  starts.count = ends.count = steps.count = b.rank(x);
  for (int i = 0; i < b.rank(x); ++i) ends[i] = INT64_MAX, steps[i] = 1;
  starts[axis] = start;
  ends[axis] = end;
  steps[axis] = step;
  return b.op("slice", {x}, {{"starts", starts}, {"ends", ends}, {"steps", steps}});
}

static ValueId pad_axis(Builder& b, ValueId x, int axis, int64_t before, int64_t after) {
  if (b.status() != TERN_OK || (before == 0 && after == 0)) return x;
  IntList front, back;
  front.count = back.count = b.rank(x);
  front[axis] = before;
  back[axis] = after;
  return b.op("pad", {x}, {{"before", front}, {"after", back}});
}

// [N, D, rest..] as [N * D, rest..].
static ValueId join_leading(Builder& b, ValueId x) {
  std::vector<DimOf> dims{{x, 0, 2}};
  append_dims_of(&dims, x, 2, b.rank(x));
  return reshape_to(b, x, dims);
}

// [N * D, rest..] as [N, D, rest..], N and D those of `like`.
static ValueId split_leading(Builder& b, ValueId y, ValueId like) {
  std::vector<DimOf> dims;
  append_dims_of(&dims, like, 0, 2);
  append_dims_of(&dims, y, 1, b.rank(y));
  return reshape_to(b, y, dims);
}

static IntList last_two(const std::vector<int64_t>& v) { return {v[v.size() - 2], v[v.size() - 1]}; }

static Attrs window_2d(const SpatialWindow& w) {
  const size_t n = w.before.size();
  return {{"strides", last_two(w.strides)},
          {"pads", IntList{w.before[n - 2], w.before[n - 1], w.after[n - 2], w.after[n - 1]}}};
}

// ---- convolutions ----

static ValueId conv_level(Builder& b, ValueId x, const TapWeight& weight, ValueId bias, const SpatialWindow& w,
                          int64_t groups, std::vector<int64_t>* tap) {
  if (b.status() != TERN_OK) return kNoValue;
  const size_t level = tap->size();
  if ((int)level == w.dims() - 2) {
    Attrs attrs = window_2d(w);
    attrs.push_back({"dilations", last_two(w.dilations)});
    attrs.push_back({"groups", groups});
    return b.op("conv2d", {x, weight(*tap), bias}, attrs);
  }
  const ValueId padded = pad_axis(b, x, 1, w.before[level], w.after[level]);
  ValueId sum = kNoValue;
  for (int64_t k = 0; k < w.kernel[level] && b.status() == TERN_OK; ++k) {
    const int64_t behind = (w.kernel[level] - 1 - k) * w.dilations[level];
    const ValueId cells =
        slice_axis(b, padded, 1, k * w.dilations[level], behind ? -behind : INT64_MAX, w.strides[level]);
    tap->push_back(k);
    ValueId y = conv_level(b, join_leading(b, cells), weight, sum == kNoValue ? bias : kNoValue, w, groups, tap);
    tap->pop_back();
    y = split_leading(b, y, cells);
    sum = sum == kNoValue ? y : b.add(sum, y);
  }
  return sum;
}

ValueId conv_nd(Builder& b, ValueId x, const TapWeight& weight, ValueId bias, const SpatialWindow& w, int64_t groups) {
  std::vector<int64_t> tap;
  return conv_level(b, x, weight, bias, w, groups, &tap);
}

// Zeros between the entries of axis 1, and stride - 1 behind the last one.
static ValueId spread(Builder& b, ValueId x, int64_t stride) {
  if (b.status() != TERN_OK || stride == 1) return x;
  std::vector<DimOf> apart, together{{x, 0, 1}};
  append_dims_of(&apart, x, 0, 2);
  apart.push_back({});
  append_dims_of(&apart, x, 2, b.rank(x));
  const ValueId padded = pad_axis(b, reshape_to(b, x, apart), 2, 0, stride - 1);
  together.push_back({padded, 1, 3});
  append_dims_of(&together, x, 2, b.rank(x));
  return reshape_to(b, padded, together);
}

static ValueId conv_transpose_level(Builder& b, ValueId x, const TapWeight& weight, ValueId bias,
                                    const SpatialWindow& w, const std::vector<int64_t>& extra, int64_t groups,
                                    std::vector<int64_t>* tap) {
  if (b.status() != TERN_OK) return kNoValue;
  const size_t level = tap->size(), last = extra.size();
  if ((int)level == w.dims() - 2) {
    // The operator takes less than a stride more; what lies beyond is reached by no tap.
    const IntList strides = last_two(w.strides);
    const int64_t more_h = std::min(extra[last - 2], strides[0] - 1),
                  more_w = std::min(extra[last - 1], strides[1] - 1);
    Attrs attrs = window_2d(w);
    attrs.push_back({"dilations", last_two(w.dilations)});
    attrs.push_back({"groups", groups});
    attrs.push_back({"output_pad_h", more_h});
    attrs.push_back({"output_pad_w", more_w});
    const ValueId y = b.op("conv_transpose2d", {x, weight(*tap), bias}, attrs);
    return pad_axis(b, pad_axis(b, y, 1, 0, extra[last - 2] - more_h), 2, 0, extra[last - 1] - more_w);
  }
  const ValueId cells = join_leading(b, x);
  ValueId sum = kNoValue;
  for (int64_t k = 0; k < w.kernel[level] && b.status() == TERN_OK; ++k) {
    tap->push_back(k);
    ValueId y = conv_transpose_level(b, cells, weight, bias, w, extra, groups, tap);
    tap->pop_back();
    y = spread(b, split_leading(b, y, x), w.strides[level]);
    const int64_t behind =
        (w.kernel[level] - 1 - k) * w.dilations[level] + extra[level] - w.after[level] - (w.strides[level] - 1);
    y = pad_axis(b, y, 1, k * w.dilations[level] - w.before[level], behind);
    sum = sum == kNoValue ? y : b.add(sum, y);
  }
  return sum;
}

ValueId conv_transpose_nd(Builder& b, ValueId x, const TapWeight& weight, ValueId bias, const SpatialWindow& w,
                          const std::vector<int64_t>& extra, int64_t groups) {
  std::vector<int64_t> tap;
  const size_t n = extra.size();
  // Cells that no tap reaches hold the bias too.
  const bool within = n == 2 && extra[0] < w.strides[0] && extra[1] < w.strides[1];
  const ValueId y = conv_transpose_level(b, x, weight, within ? bias : kNoValue, w, extra, groups, &tap);
  return within || bias == kNoValue ? y : b.add(y, b.cast(bias, b.dtype(x)));
}

// ---- pools ----

// Axis `axis` of [N, spatial.., C] as the rows of a picture: [before, axis, behind, C].
static ValueId as_rows(Builder& b, ValueId x, int axis) {
  const int rank = b.rank(x);
  return reshape_to(b, x, {{x, 0, axis}, {x, axis, axis + 1}, {x, axis + 1, rank - 1}, {x, rank - 1, rank}});
}

static ValueId from_rows(Builder& b, ValueId rows, ValueId like, int axis) {
  const int rank = b.rank(like);
  std::vector<DimOf> dims;
  append_dims_of(&dims, like, 0, axis);
  dims.push_back({rows, 1, 2});
  append_dims_of(&dims, like, axis + 1, rank);
  return reshape_to(b, rows, dims);
}

// The last two dims at once, then each leading dim: pool(picture, attributes, leading axis or 0) gives the picture's
// result.
template <class F>
static ValueId pool_by_dims(Builder& b, ValueId x, const SpatialWindow& w, bool ceil_mode, F&& pool) {
  if (b.status() != TERN_OK) return kNoValue;
  const int lead = w.dims() - 2;
  Attrs attrs = window_2d(w);
  attrs.push_back({"kernel", last_two(w.kernel)});
  attrs.push_back({"dilation_h", w.dilations[(size_t)lead]});
  attrs.push_back({"dilation_w", w.dilations[(size_t)lead + 1]});
  attrs.push_back({"ceil_mode", ceil_mode});
  if (lead == 0) return pool(x, attrs, 0);
  std::vector<DimOf> joined{{x, 0, 1 + lead}}, split;
  append_dims_of(&joined, x, 1 + lead, lead + 4);
  append_dims_of(&split, x, 0, 1 + lead);
  ValueId y = pool(reshape_to(b, x, joined), attrs, 0);
  if (b.status() != TERN_OK) return kNoValue;
  append_dims_of(&split, y, 1, 4);
  y = reshape_to(b, y, split);
  for (int axis = lead; axis >= 1 && b.status() == TERN_OK; --axis) {
    const size_t i = (size_t)axis - 1;
    const Attrs rows = {{"kernel", IntList{w.kernel[i], 1}},
                        {"strides", IntList{w.strides[i], 1}},
                        {"pads", IntList{w.before[i], 0, w.after[i], 0}},
                        {"dilation_h", w.dilations[i]},
                        {"ceil_mode", ceil_mode}};
    y = from_rows(b, pool(as_rows(b, y, axis), rows, axis), y, axis);
  }
  return y;
}

ValueId max_pool_nd(Builder& b, ValueId x, const SpatialWindow& w, bool ceil_mode) {
  return pool_by_dims(b, x, w, ceil_mode,
                      [&](ValueId picture, const Attrs& attrs, int) { return b.op("max_pool2d", {picture}, attrs); });
}

// The cells that count are a block, so that the mean of the means is the mean.
ValueId avg_pool_nd(Builder& b, ValueId x, const SpatialWindow& w, bool ceil_mode, bool count_include_pad) {
  return pool_by_dims(b, x, w, ceil_mode, [&](ValueId picture, Attrs attrs, int) {
    attrs.push_back({"count_include_pad", count_include_pad});
    return b.op("avg_pool2d", {picture}, attrs);
  });
}

// The first of equals: along each leading dim the first row that holds the largest, and there what was found before.
ValueId max_pool_index_nd(Builder& b, ValueId x, const SpatialWindow& w, bool ceil_mode) {
  if (b.status() != TERN_OK) return kNoValue;
  const int rank = b.rank(x);
  ValueId found = kNoValue;  // within the dims that were taken, in the shape of the pool's result so far
  const ValueId all = pool_by_dims(b, x, w, ceil_mode, [&](ValueId picture, const Attrs& attrs, int axis) {
    const ValueId y = b.op("max_pool2d", {picture}, attrs), at = b.op("max_pool2d_index", {picture}, attrs);
    if (b.status() != TERN_OK) return kNoValue;
    if (axis == 0) {
      found = at;
      return y;
    }
    std::vector<DimOf> dims;
    append_dims_of(&dims, picture, 0, 4);
    const ValueId row = b.div(at, b.size_of_axes(picture, 2, 3));
    const ValueId before = b.op("gather_elements", {reshape_to(b, found, dims), row}, {{"axis", 1}});
    found = b.add(b.mul(row, b.size_of_axes(x, axis + 1, rank - 1)), before);
    return y;
  });
  if (b.status() != TERN_OK) return kNoValue;
  std::vector<DimOf> dims;
  append_dims_of(&dims, all, 0, rank);
  return reshape_to(b, found, dims);
}

void varying_same_padding(Builder& b, ValueId x, int axis, int64_t span, int64_t stride, bool lower, ValueId* before,
                          ValueId* after) {
  const ValueId one = b.integers({1}), two = b.integers({2}), step = b.integers({stride}),
                in = b.size_of_axes(x, axis, axis + 1);
  const ValueId outputs = b.div(b.add(in, b.integers({stride - 1})), step);
  const ValueId reach = b.add(b.mul(b.sub(outputs, one), step), b.integers({span}));
  ValueId total = b.sub(reach, in);
  if (span < stride) total = b.op("max", {total, b.integers({0})});
  *before = b.div(lower ? b.add(total, one) : total, two);
  *after = b.sub(total, *before);
}

}  // namespace tern
