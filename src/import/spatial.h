// SPDX-License-Identifier: Apache-2.0
// Windows over any number of spatial dims, out of the 2-D operators: a convolution is a sum over the taps of its
// leading dims, a pool is taken dim after dim. Pictures are [N, spatial.., C] with at least two spatial dims.
#pragma once
#include <functional>

#include "import/builder.h"

namespace tern {

// One entry a spatial dim.
struct SpatialWindow {
  std::vector<int64_t> kernel, strides, dilations, before, after;

  int dims() const { return (int)kernel.size(); }
  int64_t span(int i) const { return (kernel[(size_t)i] - 1) * dilations[(size_t)i] + 1; }
};

// A dim of a shape: the product of the axes [from, to) of v, or `size` where v is kNoValue.
struct DimOf {
  ValueId v = kNoValue;
  int from = 0, to = 0;
  int64_t size = 1;
};
// x under a shape that is known when the plan is made at the latest.
ValueId reshape_to(Builder& b, ValueId x, const std::vector<DimOf>& dims);
// The dims of an axis range of v, one by one.
void append_dims_of(std::vector<DimOf>* dims, ValueId v, int from, int to);
// Elements [start, end) of one axis; as `slice` takes them.
ValueId slice_axis(Builder& b, ValueId x, int axis, int64_t start, int64_t end, int64_t step = 1);

// `weight` gives the weight of the 2-D convolution at a tap of the leading dims: [O, kh, kw, C / groups].
using TapWeight = std::function<ValueId(const std::vector<int64_t>& tap)>;
ValueId conv_nd(Builder& b, ValueId x, const TapWeight& weight, ValueId bias, const SpatialWindow& w, int64_t groups);
// y has (in - 1) * stride + span + extra - before - after entries along a dim. Weight: [C, kh, kw, O / groups].
ValueId conv_transpose_nd(Builder& b, ValueId x, const TapWeight& weight, ValueId bias, const SpatialWindow& w,
                          const std::vector<int64_t>& extra, int64_t groups);
ValueId max_pool_nd(Builder& b, ValueId x, const SpatialWindow& w, bool ceil_mode);
ValueId avg_pool_nd(Builder& b, ValueId x, const SpatialWindow& w, bool ceil_mode, bool count_include_pad);
// Where max_pool_nd found each result: i64, row-major in the spatial dims of x.
ValueId max_pool_index_nd(Builder& b, ValueId x, const SpatialWindow& w, bool ceil_mode);

// Padding of x along one axis that gives ceil(size / stride) outputs for any size: i64 [1] each, known when the plan is
// made.
// An odd cell goes behind, or in front with `lower`.
void varying_same_padding(Builder& b, ValueId x, int axis, int64_t span, int64_t stride, bool lower, ValueId* before,
                          ValueId* after);

}  // namespace tern
