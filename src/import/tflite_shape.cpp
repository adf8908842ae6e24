// SPDX-License-Identifier: Apache-2.0
// TFLite operators that move elements or make tensors.
#include <algorithm>

#include "base/checked.h"
#include "import/tflite.h"

namespace tern {
namespace {

// ---- other shapes ----

tern_status reshape(TfliteNode& n) {
  Builder& b = n.b;
  n.moves({0});
  const tfl::ReshapeOptions* o = nullptr;
  TERN_TRY(n.options(&o));
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  std::vector<int64_t> shape;
  if (n.has(1)) {
    const ValueId wanted = n.integers_value(1);
    TERN_TRY(b.status());
    const auto known = b.known_integers(wanted);
    if (!known) {
      n.set(0, b.op("reshape", {x, b.sized_shape(wanted, x)}, {{"allow_zero", 1}}));
      return TERN_OK;
    }
    shape = *known;
  } else if (o && o->new_shape()) {
    shape.assign(o->new_shape()->begin(), o->new_shape()->end());
  } else {
    return TERN_FAIL(TERN_ERR_CORRUPT, "RESHAPE has no shape");
  }
  if (shape.size() > (size_t)kMaxRank)
    return TERN_FAIL(TERN_ERR_LIMIT, "RESHAPE to %zu dims, at most %d are supported", shape.size(), kMaxRank);
  for (int64_t d : shape)
    if (d < -1) return TERN_FAIL(TERN_ERR_CORRUPT, "RESHAPE to a dim of %" PRId64, d);
  n.set(0, b.op("reshape", {x}, {{"shape", int_list(shape)}, {"allow_zero", 1}}));
  return TERN_OK;
}

tern_status squeeze(TfliteNode& n) {
  Builder& b = n.b;
  n.moves({0});
  const tfl::SqueezeOptions* o = nullptr;
  TERN_TRY(n.options(&o));
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  bool drop[kMaxRank] = {};
  if (o && o->squeeze_dims() && o->squeeze_dims()->size()) {
    for (int32_t d : *o->squeeze_dims()) {
      int axis = 0;
      TERN_TRY(normalize_axis(d, b.rank(x), &axis));
      if (b.dim(x, axis) != 1)
        return TERN_FAIL(TERN_ERR_CORRUPT, "SQUEEZE of axis %d of shape %s", axis, to_string(b.value(x).shape).c_str());
      drop[axis] = true;
    }
  } else {
    for (int i = 0; i < b.rank(x); ++i) drop[i] = b.dim(x, i) == 1;
  }
  std::vector<int64_t> dims;
  for (int i = 0; i < b.rank(x); ++i)
    if (!drop[i]) dims.push_back(Builder::same(i));
  n.set(0, b.reshape(x, dims));
  return TERN_OK;
}

ValueId insert_axis(Builder& b, ValueId x, int axis) {
  std::vector<int64_t> dims;
  for (int i = 0; i < b.rank(x); ++i) dims.push_back(Builder::same(i));
  dims.insert(dims.begin() + axis, 1);
  return b.reshape(x, dims);
}

ValueId remove_axis(Builder& b, ValueId x, int axis) {
  std::vector<int64_t> dims;
  for (int i = 0; i < b.rank(x); ++i)
    if (i != axis) dims.push_back(Builder::same(i));
  return b.reshape(x, dims);
}

tern_status expand_dims(TfliteNode& n) {
  n.moves({0});
  int64_t axis = 0;
  TERN_TRY(n.integer_in(1, &axis));
  const ValueId x = n.in(0);
  TERN_TRY(n.b.status());
  int at = 0;
  TERN_TRY(normalize_axis(axis, n.b.rank(x) + 1, &at));
  n.set(0, insert_axis(n.b, x, at));
  return TERN_OK;
}

tern_status concatenation(TfliteNode& n) {
  const tfl::ConcatenationOptions* o = nullptr;
  TERN_TRY(n.need_options(&o));
  n.moves();
  ValueId y = n.b.op("concat", n.ins(), {{"axis", o->axis()}});
  TERN_TRY(n.activate(o->activation(), &y));
  n.set(0, y);
  return TERN_OK;
}

tern_status pack(TfliteNode& n) {
  Builder& b = n.b;
  const tfl::PackOptions* o = nullptr;
  TERN_TRY(n.need_options(&o));
  n.moves();
  std::vector<ValueId> parts;
  for (ValueId x : n.ins()) {
    TERN_TRY(b.status());
    int axis = 0;
    TERN_TRY(normalize_axis(o->axis(), b.rank(x) + 1, &axis));
    parts.push_back(insert_axis(b, x, axis));
  }
  n.set(0, b.op("concat", parts, {{"axis", o->axis()}}));
  return TERN_OK;
}

// Parts of the given sizes along an axis.
std::vector<ValueId> split_sizes(Builder& b, ValueId x, int axis, const std::vector<int64_t>& sizes) {
  const bool equal = std::all_of(sizes.begin(), sizes.end(), [&](int64_t s) { return s == sizes[0]; });
  if (equal || sizes.size() <= (size_t)kMaxRank) {
    Attrs attrs = {{"axis", axis}};
    if (!equal) attrs.push_back({"sizes", int_list(sizes)});
    return b.ops("split", {x}, attrs, (int)sizes.size());
  }
  std::vector<ValueId> parts;
  int64_t start = 0;
  for (int64_t size : sizes) {
    IntList starts, ends;
    starts.count = ends.count = axis + 1;
    for (int i = 0; i < axis; ++i) ends[i] = INT64_MAX;
    starts[axis] = start;
    ends[axis] = start += size;
    parts.push_back(b.op("slice", {x}, {{"starts", starts}, {"ends", ends}}));
  }
  return parts;
}

tern_status unpack(TfliteNode& n) {
  Builder& b = n.b;
  const tfl::UnpackOptions* o = nullptr;
  TERN_TRY(n.need_options(&o));
  n.moves({0});
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  int axis = 0;
  TERN_TRY(normalize_axis(o->axis(), b.rank(x), &axis));
  if (b.dim(x, axis) != n.num_out())
    return TERN_FAIL(TERN_ERR_CORRUPT, "UNPACK of shape %s into %d tensors", to_string(b.value(x).shape).c_str(),
                     n.num_out());
  const std::vector<ValueId> parts = b.ops("split", {x}, {{"axis", axis}}, n.num_out());
  for (int i = 0; i < n.num_out() && b.status() == TERN_OK; ++i) n.set(i, remove_axis(b, parts[(size_t)i], axis));
  return TERN_OK;
}

tern_status split_into(TfliteNode& n, int x_index, int64_t wanted_axis, std::vector<int64_t> sizes) {
  Builder& b = n.b;
  const ValueId x = n.in(x_index);
  TERN_TRY(b.status());
  int axis = 0;
  TERN_TRY(normalize_axis(wanted_axis, b.rank(x), &axis));
  const int64_t dim = b.dim(x, axis);
  int64_t sum = 0;
  int open = -1;
  if (dim < 0 && !sizes.empty()) return n.unsupported("along a size that varies");
  if (dim < 0) {
    const std::vector<ValueId> parts = b.ops("split", {x}, {{"axis", axis}}, n.num_out());
    for (int i = 0; i < n.num_out(); ++i) n.set(i, parts[(size_t)i]);
    return TERN_OK;
  }
  if (sizes.empty()) {
    if (dim % n.num_out())
      return TERN_FAIL(TERN_ERR_CORRUPT, "%s of %" PRId64 " elements into %d", n.type(), dim, n.num_out());
    sizes.assign((size_t)n.num_out(), dim / n.num_out());
  }
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == -1 && open < 0) open = (int)i;
    else if (sizes[i] < 0 || !checked_add(sum, sizes[i], &sum))
      return TERN_FAIL(TERN_ERR_CORRUPT, "%s into a part of %" PRId64, n.type(), sizes[i]);
  }
  if (open >= 0 && sum <= dim) sum += sizes[(size_t)open] = dim - sum;
  if (sum != dim || (int)sizes.size() != n.num_out())
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: %zu parts of together %" PRId64 " for %" PRId64, n.type(), sizes.size(),
                     sum, dim);
  const std::vector<ValueId> parts = split_sizes(b, x, axis, sizes);
  for (int i = 0; i < n.num_out(); ++i) n.set(i, parts[(size_t)i]);
  return TERN_OK;
}

tern_status split(TfliteNode& n) {
  n.moves({1});
  int64_t axis = 0;
  TERN_TRY(n.integer_in(0, &axis));
  return split_into(n, 1, axis, {});
}

tern_status split_v(TfliteNode& n) {
  n.moves({0});
  int64_t axis = 0;
  std::vector<int64_t> sizes;
  TERN_TRY(n.integers_in(1, &sizes));
  TERN_TRY(n.integer_in(2, &axis));
  if (sizes.empty()) return TERN_FAIL(TERN_ERR_CORRUPT, "SPLIT_V into no parts");
  return split_into(n, 0, axis, sizes);
}

// ---- parts of tensors ----

tern_status slice(TfliteNode& n) {
  Builder& b = n.b;
  n.moves({0});
  const ValueId x = n.in(0), begin = n.integers_value(1), size = n.integers_value(2);
  TERN_TRY(b.status());
  const auto starts = b.known_integers(begin), sizes = b.known_integers(size);
  const int rank = b.rank(x);
  if (b.value(begin).shape != Shape{rank} || b.value(size).shape != Shape{rank})
    return TERN_FAIL(TERN_ERR_CORRUPT, "SLICE of %d dims with %s starts and %s sizes", rank,
                     to_string(b.value(begin).shape).c_str(), to_string(b.value(size).shape).c_str());
  if (starts && sizes) {
    IntList from, to;
    from.count = to.count = rank;
    for (int i = 0; i < rank; ++i) {
      const int64_t start = (*starts)[(size_t)i], length = (*sizes)[(size_t)i], dim = b.dim(x, i);
      if (start < 0 || length < -1 || (dim >= 0 && (start > dim || length > dim - start)))
        return TERN_FAIL(TERN_ERR_CORRUPT, "SLICE of %" PRId64 " elements from %" PRId64 " on in a dim of %" PRId64,
                         length, start, dim);
      from[i] = start;
      to[i] = length == -1 ? INT64_MAX : start + length;
    }
    n.set(0, b.op("slice", {x}, {{"starts", from}, {"ends", to}}));
    return TERN_OK;
  }
  // A size of -1 reaches to the end.
  const ValueId from = b.sized(begin, 0), length = b.sized(size), all = b.op("equal", {length, b.integer(-1)});
  n.set(0, b.op("slice", {x, from, b.op("where", {all, b.integer(INT64_MAX), b.add(from, length)})}));
  return TERN_OK;
}

struct StridedDims {
  IntList starts, ends, steps;
  std::vector<int64_t> shape;  // of the result, as for Builder::reshape, for the axes of x after slicing
  bool reshaped = false;
};

// Turns the masks into one range per axis. Bit i of a mask is about entry i of begin, end and strides.
tern_status read_strided(TfliteNode& n, ValueId x, const tfl::StridedSliceOptions& o, const std::vector<int64_t>& begin,
                         const std::vector<int64_t>& end, const std::vector<int64_t>& strides, StridedDims* out) {
  Builder& b = n.b;
  const int entries = (int)begin.size(), rank = b.rank(x);
  int used = 0;  // axes of x that entries name
  int ellipsis = -1;
  for (int i = 0; i < entries; ++i) {
    if (o.ellipsis_mask() >> i & 1) {
      if (ellipsis >= 0) return TERN_FAIL(TERN_ERR_CORRUPT, "STRIDED_SLICE with two ellipses");
      ellipsis = i;
    } else if (!(o.new_axis_mask() >> i & 1)) {
      ++used;
    }
  }
  if (used > rank) return TERN_FAIL(TERN_ERR_CORRUPT, "STRIDED_SLICE of %d axes of a tensor of %d", used, rank);
  int axis = 0;
  const auto whole = [&] {
    out->starts[axis] = 0;
    out->ends[axis] = INT64_MAX;
    out->steps[axis] = 1;
    out->shape.push_back(Builder::same(axis));
    ++axis;
  };
  out->starts.count = out->ends.count = out->steps.count = rank;
  for (int i = 0; i < entries; ++i) {
    if (i == ellipsis) {
      for (int k = rank - used; k > 0; --k) whole();
      continue;
    }
    if (o.new_axis_mask() >> i & 1) {
      out->shape.push_back(1);
      out->reshaped = true;
      continue;
    }
    const int64_t step = strides[(size_t)i], start = begin[(size_t)i], dim = b.dim(x, axis);
    if (step == 0) return TERN_FAIL(TERN_ERR_CORRUPT, "STRIDED_SLICE with a stride of 0");
    int64_t stop = end[(size_t)i];
    if (o.offset() && !checked_add(start, stop, &stop))
      return TERN_FAIL(TERN_ERR_CORRUPT, "STRIDED_SLICE ends too far away");
    if (o.shrink_axis_mask() >> i & 1) {
      if (dim >= 0 && (start < -dim || start >= dim))
        return TERN_FAIL(TERN_ERR_CORRUPT, "STRIDED_SLICE takes element %" PRId64 " of %" PRId64, start, dim);
      out->starts[axis] = start;
      out->ends[axis] = start == -1 ? INT64_MAX : start + 1;
      out->steps[axis] = 1;
      out->reshaped = true;
      ++axis;
      continue;
    }
    out->starts[axis] = o.begin_mask() >> i & 1 ? (step > 0 ? 0 : INT64_MAX) : start;
    out->ends[axis] = o.end_mask() >> i & 1 ? (step > 0 ? INT64_MAX : INT64_MIN) : stop;
    out->steps[axis] = step;
    out->shape.push_back(Builder::same(axis));
    ++axis;
  }
  while (axis < rank) whole();
  return TERN_OK;
}

// Ranges whose bounds are known when a plan is made; the masks are those of read_strided, by which `d` was made.
ValueId slice_by_values(TfliteNode& n, ValueId x, const tfl::StridedSliceOptions& o, int entries, ValueId begin,
                        ValueId end, const StridedDims& d) {
  Builder& b = n.b;
  std::vector<ValueId> starts, ends;
  const auto put = [&](int64_t from, int64_t to) {
    starts.push_back(b.integers({from})), ends.push_back(b.integers({to}));
  };
  int used = 0;
  for (int i = 0; i < entries; ++i) used += !((o.ellipsis_mask() | o.new_axis_mask()) >> i & 1);
  for (int i = 0; i < entries; ++i) {
    if (o.ellipsis_mask() >> i & 1) {
      for (int k = b.rank(x) - used; k > 0; --k) put(0, INT64_MAX);
      continue;
    }
    if (o.new_axis_mask() >> i & 1) continue;
    const int64_t axis = (int64_t)starts.size();
    const auto entry = [&](ValueId list) {
      return b.op("slice", {list}, {{"starts", IntList{i}}, {"ends", IntList{i + 1}}});
    };
    const bool back = d.steps[axis] < 0;
    const ValueId start = entry(begin);
    if (o.shrink_axis_mask() >> i & 1) {
      starts.push_back(start);
      ends.push_back(
          b.op("where", {b.op("equal", {start, b.integer(-1)}), b.integer(INT64_MAX), b.add(start, b.integers({1}))}));
      continue;
    }
    const ValueId stop = o.offset() ? b.add(start, entry(end)) : entry(end);
    starts.push_back(o.begin_mask() >> i & 1 ? b.integers({back ? INT64_MAX : 0}) : start);
    ends.push_back(o.end_mask() >> i & 1 ? b.integers({back ? INT64_MIN : INT64_MAX}) : stop);
  }
  while ((int)starts.size() < b.rank(x)) put(0, INT64_MAX);
  std::vector<int64_t> steps(d.steps.begin(), d.steps.end());
  return b.op("slice", {x, b.op("concat", starts, {{"axis", 0}}), b.op("concat", ends, {{"axis", 0}}), kNoValue,
                        b.integers(steps)});
}

tern_status strided_slice(TfliteNode& n) {
  Builder& b = n.b;
  const tfl::StridedSliceOptions* o = nullptr;
  TERN_TRY(n.need_options(&o));
  n.moves({0});
  const ValueId x = n.in(0);
  std::vector<int64_t> begin, end, strides;
  TERN_TRY(n.integers_in(3, &strides));
  const ValueId from = n.integers_value(1), to = n.integers_value(2);
  TERN_TRY(b.status());
  if (b.value(from).shape.elements() > 31 || b.value(to).shape.elements() > 31)
    return TERN_FAIL(TERN_ERR_CORRUPT, "STRIDED_SLICE of more than 31 dims");
  const auto known_from = b.known_integers(from), known_to = b.known_integers(to);
  const bool known = known_from && known_to;
  // Where they are not known, the masks alone are read.
  begin = known ? *known_from : std::vector<int64_t>((size_t)b.value(from).shape.elements(), 0);
  end = known ? *known_to : std::vector<int64_t>((size_t)b.value(to).shape.elements(), 0);
  if (begin.size() != end.size() || begin.size() != strides.size() || begin.size() > 31)
    return TERN_FAIL(TERN_ERR_CORRUPT, "STRIDED_SLICE with %zu starts, %zu ends and %zu strides", begin.size(),
                     end.size(), strides.size());
  StridedDims d;
  TERN_TRY(read_strided(n, x, *o, begin, end, strides, &d));
  ValueId y = known ? b.op("slice", {x}, {{"starts", d.starts}, {"ends", d.ends}, {"steps", d.steps}})
                    : slice_by_values(n, x, *o, (int)begin.size(), from, to, d);
  if (d.reshaped) y = b.reshape(y, d.shape);
  n.set(0, y);
  return TERN_OK;
}

tern_status gather(TfliteNode& n) {
  Builder& b = n.b;
  const tfl::GatherOptions* o = nullptr;
  TERN_TRY(n.options(&o));
  n.moves({0});
  if (o && o->batch_dims() != 0) return n.unsupported("batch_dims");
  n.set(0, b.op("gather", {n.in(0), n.integers_value(1)}, {{"axis", o ? o->axis() : 0}}));
  return TERN_OK;
}

tern_status embedding_lookup(TfliteNode& n) {
  n.moves({1});
  n.set(0, n.b.op("gather", {n.in(1), n.integers_value(0)}, {{"axis", 0}}));
  return TERN_OK;
}

tern_status gather_nd(TfliteNode& n) {
  n.moves({0});
  n.set(0, n.b.op("gather_nd", {n.in(0), n.integers_value(1)}));
  return TERN_OK;
}

tern_status scatter_nd(TfliteNode& n) {
  Builder& b = n.b;
  const ValueId updates = n.in(1);
  TERN_TRY(b.status());
  const ValueId zeros = b.op("expand", {b.like(updates, 0), n.integers_value(2)});
  n.set(0, b.op("scatter_nd", {zeros, n.integers_value(0), updates}, {{"reduction", "add"}}));
  return TERN_OK;
}

tern_status select_v2(TfliteNode& n) {
  n.set(0, n.b.op("where", {n.in(0), n.in(1), n.in(2)}));
  return TERN_OK;
}

// A condition of one dim chooses rows.
tern_status select(TfliteNode& n) {
  Builder& b = n.b;
  ValueId condition = n.in(0);
  const ValueId x = n.in(1);
  TERN_TRY(b.status());
  if (b.rank(condition) == 1 && b.rank(x) > 1) {
    std::vector<int64_t> dims((size_t)b.rank(x), 1);
    dims[0] = Builder::same(0);
    condition = b.reshape(condition, dims);
  }
  n.set(0, b.op("where", {condition, x, n.in(2)}));
  return TERN_OK;
}

tern_status top_k(TfliteNode& n) {
  Builder& b = n.b;
  const ValueId k = n.integers_value(1);
  TERN_TRY(b.status());
  const auto known = b.known_integers(k);
  if (b.value(k).shape.elements() != 1)
    return TERN_FAIL(TERN_ERR_CORRUPT, "TOPK_V2: a count of shape %s", to_string(b.value(k).shape).c_str());
  Attrs attrs = {{"axis", -1}, {"largest", 1}, {"sorted", 1}};
  if (known) attrs.push_back({"k", (*known)[0]});
  const std::vector<ValueId> y = b.ops("top_k", {n.in(0), known ? kNoValue : b.sized(k)}, attrs, 2);
  n.set(0, y[0]);
  n.set(1, y[1]);
  return TERN_OK;
}

// ---- order ----

tern_status transpose(TfliteNode& n) {
  n.moves({0});
  std::vector<int64_t> permutation;
  TERN_TRY(n.integers_in(1, &permutation));
  const ValueId x = n.in(0);
  TERN_TRY(n.b.status());
  if ((int)permutation.size() != n.b.rank(x))
    return TERN_FAIL(TERN_ERR_CORRUPT, "TRANSPOSE of %d dims by %zu", n.b.rank(x), permutation.size());
  n.set(0, n.b.transpose(x, permutation));
  return TERN_OK;
}

tern_status reverse(TfliteNode& n) {
  n.moves({0});
  std::vector<int64_t> axes;
  TERN_TRY(n.integers_in(1, &axes));
  if (axes.size() > (size_t)kMaxRank) return TERN_FAIL(TERN_ERR_CORRUPT, "REVERSE_V2 of %zu axes", axes.size());
  n.set(0, n.b.op("reverse", {n.in(0)}, {{"axes", int_list(axes)}}));
  return TERN_OK;
}

template <class Options>
tern_status block_move(TfliteNode& n, const char* op) {
  const Options* o = nullptr;
  TERN_TRY(n.need_options(&o));
  n.moves({0});
  n.set(0, n.b.op(op, {n.in(0)}, {{"block", o->block_size()}, {"mode", "dcr"}}));
  return TERN_OK;
}
tern_status depth_to_space(TfliteNode& n) { return block_move<tfl::DepthToSpaceOptions>(n, "depth_to_space"); }
tern_status space_to_depth(TfliteNode& n) { return block_move<tfl::SpaceToDepthOptions>(n, "space_to_depth"); }

// Block shape [k] and pads or crops [k][2] for the axes 1..k.
tern_status read_blocks(TfliteNode& n, std::vector<int64_t>* block, std::vector<int64_t>* edges, ValueId x) {
  TERN_TRY(n.integers_in(1, block));
  TERN_TRY(n.integers_in(2, edges));
  TERN_TRY(n.b.status());
  const int rank = n.b.rank(x);
  if (block->empty() || (int)block->size() >= rank || rank + (int)block->size() > kMaxRank ||
      edges->size() != 2 * block->size())
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s of %d dims with %zu blocks and %zu edges", n.type(), rank, block->size(),
                     edges->size());
  for (int64_t v : *block)
    if (v < 1 || v > INT32_MAX) return TERN_FAIL(TERN_ERR_CORRUPT, "%s with blocks of %" PRId64, n.type(), v);
  for (int64_t v : *edges)
    if (v < 0 || v > INT32_MAX) return TERN_FAIL(TERN_ERR_CORRUPT, "%s with an edge of %" PRId64, n.type(), v);
  for (int i = 0; i < rank; ++i)
    if (n.b.dim(x, i) < 0 && i > 0) return n.unsupported("a size that varies");
  return TERN_OK;
}

tern_status space_to_batch(TfliteNode& n) {
  Builder& b = n.b;
  ValueId x = n.in(0);
  std::vector<int64_t> block, edges;
  TERN_TRY(read_blocks(n, &block, &edges, x));
  const int k = (int)block.size(), rank = b.rank(x);
  IntList before, after;
  before.count = after.count = rank;
  for (int i = 0; i < k; ++i) before[1 + i] = edges[(size_t)(2 * i)], after[1 + i] = edges[(size_t)(2 * i + 1)];
  x = b.op("pad", {x}, {{"before", before}, {"after", after}});
  TERN_TRY(b.status());
  // [N, H, W, C] -> [N, H/b, b, W/b, b, C] -> [b, b, N, H/b, W/b, C] -> [b b N, H/b, W/b, C]
  std::vector<int64_t> cut = {Builder::same(0)}, order, joined = {-1};
  for (int i = 0; i < k; ++i) {
    const int64_t dim = b.dim(x, 1 + i);
    if (dim % block[(size_t)i])
      return TERN_FAIL(TERN_ERR_CORRUPT, "SPACE_TO_BATCH_ND: %" PRId64 " elements in blocks of %" PRId64, dim,
                       block[(size_t)i]);
    cut.push_back(dim / block[(size_t)i]);
    cut.push_back(block[(size_t)i]);
    order.push_back(2 + 2 * i);
    joined.push_back(dim / block[(size_t)i]);
  }
  order.push_back(0);
  for (int i = 0; i < k; ++i) order.push_back(1 + 2 * i);
  for (int i = 1 + k; i < rank; ++i) cut.push_back(b.dim(x, i)), order.push_back(k + i), joined.push_back(b.dim(x, i));
  n.set(0, b.reshape(b.transpose(b.reshape(x, cut), order), joined));
  return TERN_OK;
}

tern_status batch_to_space(TfliteNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  std::vector<int64_t> block, edges;
  TERN_TRY(read_blocks(n, &block, &edges, x));
  const int k = (int)block.size(), rank = b.rank(x);
  // [b b N, h, w, C] -> [b, b, N, h, w, C] -> [N, h, b, w, b, C] -> [N, h b, w b, C], then cropped
  std::vector<int64_t> cut = block, order = {k}, joined = {-1};
  cut.push_back(-1);
  IntList starts, ends;
  starts.count = ends.count = 1 + k;
  ends[0] = INT64_MAX;
  for (int i = 0; i < k; ++i) {
    int64_t size = 0;
    if (!checked_mul(b.dim(x, 1 + i), block[(size_t)i], &size) ||
        edges[(size_t)(2 * i)] + edges[(size_t)(2 * i + 1)] > size)
      return TERN_FAIL(TERN_ERR_CORRUPT, "BATCH_TO_SPACE_ND: crops larger than the picture");
    cut.push_back(b.dim(x, 1 + i));
    order.push_back(k + 1 + i);
    order.push_back(i);
    joined.push_back(size);
    starts[1 + i] = edges[(size_t)(2 * i)];
    ends[1 + i] = size - edges[(size_t)(2 * i + 1)];
  }
  for (int i = 1 + k; i < rank; ++i) cut.push_back(b.dim(x, i)), order.push_back(k + i), joined.push_back(b.dim(x, i));
  const ValueId y = b.reshape(b.transpose(b.reshape(x, cut), order), joined);
  n.set(0, b.op("slice", {y}, {{"starts", starts}, {"ends", ends}}));
  return TERN_OK;
}

// ---- padding and repeating ----

// Amounts [rank][2].
tern_status read_pads(TfliteNode& n, ValueId x, IntList* before, IntList* after) {
  std::vector<int64_t> pads;
  TERN_TRY(n.integers_in(1, &pads));
  TERN_TRY(n.b.status());
  const int rank = n.b.rank(x);
  if ((int)pads.size() != 2 * rank)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s of %d dims with %zu amounts", n.type(), rank, pads.size());
  before->count = after->count = rank;
  for (int i = 0; i < rank; ++i) {
    (*before)[i] = pads[(size_t)(2 * i)];
    (*after)[i] = pads[(size_t)(2 * i + 1)];
    if ((*before)[i] < 0 || (*after)[i] < 0)
      return TERN_FAIL(TERN_ERR_CORRUPT, "%s by %" PRId64 " and %" PRId64, n.type(), (*before)[i], (*after)[i]);
  }
  return TERN_OK;
}

// Amounts that are known when a plan is made: all before, then all after; kNoValue where they are known already.
tern_status pads_of_plan(TfliteNode& n, ValueId x, ValueId* pads) {
  Builder& b = n.b;
  *pads = kNoValue;
  const ValueId v = n.integers_value(1);
  TERN_TRY(b.status());
  if (b.known(v)) return TERN_OK;
  const int64_t rank = b.rank(x);
  if (b.value(v).shape != Shape{rank, 2})
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s of %d dims with amounts of shape %s", n.type(), (int)rank,
                     to_string(b.value(v).shape).c_str());
  *pads = b.reshape(b.transpose(v, {1, 0}), {2 * rank});
  return b.status();
}

tern_status pad(TfliteNode& n) {
  const ValueId x = n.in(0);
  IntList before, after;
  ValueId pads = kNoValue;
  TERN_TRY(pads_of_plan(n, x, &pads));
  Attrs attrs = {{"mode", "constant"}};
  if (pads == kNoValue) {
    TERN_TRY(read_pads(n, x, &before, &after));
    attrs.push_back({"before", before});
    attrs.push_back({"after", after});
  }
  if (n.has(2)) {
    double value = 0;
    TERN_TRY(n.number_in(2, &value));
    attrs.push_back({"value", value});
  }
  n.set(0, n.b.op("pad", {x, pads}, attrs));
  return TERN_OK;
}

// SYMMETRIC repeats the edge itself, which has no mode of its own: by indices along each axis.
tern_status mirror_pad(TfliteNode& n) {
  Builder& b = n.b;
  const tfl::MirrorPadOptions* o = nullptr;
  TERN_TRY(n.need_options(&o));
  n.moves({0});
  ValueId x = n.in(0);
  IntList before, after;
  ValueId pads = kNoValue;
  if (o->mode() == 0) TERN_TRY(pads_of_plan(n, x, &pads));
  if (pads != kNoValue) {
    n.set(0, b.op("pad", {x, pads}, {{"mode", "reflect"}}));
    return TERN_OK;
  }
  TERN_TRY(read_pads(n, x, &before, &after));
  if (o->mode() == 0) {
    n.set(0, b.op("pad", {x}, {{"before", before}, {"after", after}, {"mode", "reflect"}}));
    return TERN_OK;
  }
  if (o->mode() != 1) return TERN_FAIL(TERN_ERR_CORRUPT, "MIRROR_PAD of mode %d", o->mode());
  for (int axis = 0; axis < b.rank(x); ++axis) {
    if (before[axis] == 0 && after[axis] == 0) continue;
    const int64_t dim = b.dim(x, axis);
    if (dim < 0) return n.unsupported("a size that varies");
    if (before[axis] > dim || after[axis] > dim)
      return TERN_FAIL(TERN_ERR_CORRUPT, "MIRROR_PAD by %" PRId64 " and %" PRId64 " of %" PRId64, before[axis],
                       after[axis], dim);
    TERN_TRY(n.importer.account((uint64_t)dim * 24));
    std::vector<int64_t> indices;
    for (int64_t i = before[axis]; i > 0; --i) indices.push_back(i - 1);
    for (int64_t i = 0; i < dim; ++i) indices.push_back(i);
    for (int64_t i = 1; i <= after[axis]; ++i) indices.push_back(dim - i);
    x = b.op("gather", {x, b.integers(indices)}, {{"axis", axis}});
    TERN_TRY(b.status());
  }
  n.set(0, x);
  return TERN_OK;
}

tern_status tile(TfliteNode& n) {
  n.moves({0});
  n.set(0, n.b.op("tile", {n.in(0), n.b.sized(n.integers_value(1))}));
  return TERN_OK;
}

tern_status broadcast_to(TfliteNode& n) {
  n.moves({0});
  n.set(0, n.b.op("expand", {n.in(0), n.b.sized(n.integers_value(1))}));
  return TERN_OK;
}

// ---- tensors from nothing ----

tern_status shape(TfliteNode& n) {
  n.raw = true;
  n.set(0, n.b.shape_of(n.in(0)));
  return TERN_OK;
}

tern_status rank(TfliteNode& n) {
  n.raw = true;
  const ValueId x = n.in(0);
  n.set(0, n.b.integer(n.b.rank(x)));
  return TERN_OK;
}

tern_status fill(TfliteNode& n) {
  n.moves({1});
  const ValueId value = n.in(1);
  TERN_TRY(n.b.status());
  if (n.b.value(value).shape.elements() != 1)
    return TERN_FAIL(TERN_ERR_CORRUPT, "FILL with %s values", to_string(n.b.value(value).shape).c_str());
  n.set(0, n.b.op("expand", {n.b.reshape(value, {}), n.b.sized(n.integers_value(0))}));
  return TERN_OK;
}

tern_status zeros_like(TfliteNode& n) {
  const ValueId x = n.in(0);
  TERN_TRY(n.b.status());
  n.set(0, n.b.op("expand", {n.b.like(x, 0), n.b.shape_of(x)}));
  return TERN_OK;
}

tern_status range(TfliteNode& n) {
  n.set(0, n.b.op("range", {n.b.sized(n.in(0), 0), n.b.sized(n.in(1)), n.b.sized(n.in(2))}));
  return TERN_OK;
}

tern_status one_hot(TfliteNode& n) {
  Builder& b = n.b;
  const tfl::OneHotOptions* o = nullptr;
  TERN_TRY(n.options(&o));
  n.moves({2, 3});
  const ValueId depth = n.integers_value(1);
  const ValueId on = b.reshape(n.in(2), {1}), off = b.reshape(n.in(3), {1});
  const ValueId values = b.op("concat", {off, on}, {{"axis", 0}});
  n.set(0, b.op("one_hot", {n.integers_value(0), b.sized(depth), values}, {{"axis", o ? o->axis() : -1}}));
  return TERN_OK;
}

constexpr TfliteOp kOps[] = {
    {22, "RESHAPE", 1, 2, 1, 0, reshape},
    {43, "SQUEEZE", 1, 1, 1, 0, squeeze},
    {70, "EXPAND_DIMS", 2, 2, 1, 0, expand_dims},
    {2, "CONCATENATION", 1, -1, 1, 0, concatenation},
    {83, "PACK", 1, -1, 1, 0, pack},
    {88, "UNPACK", 1, 1, -1, 0, unpack},
    {49, "SPLIT", 2, 2, -1, 0, split},
    {102, "SPLIT_V", 3, 3, -1, 0, split_v},
    {65, "SLICE", 3, 3, 1, 0, slice},
    {45, "STRIDED_SLICE", 4, 4, 1, 0, strided_slice},
    {36, "GATHER", 2, 2, 1, 0, gather},
    {7, "EMBEDDING_LOOKUP", 2, 2, 1, 0, embedding_lookup},
    {107, "GATHER_ND", 2, 2, 1, 0, gather_nd},
    {122, "SCATTER_ND", 3, 3, 1, 0, scatter_nd},
    {64, "SELECT", 3, 3, 1, 0, select},
    {123, "SELECT_V2", 3, 3, 1, 0, select_v2},
    {48, "TOPK_V2", 2, 2, 2, 0, top_k},
    {39, "TRANSPOSE", 2, 2, 1, 0, transpose},
    {105, "REVERSE_V2", 2, 2, 1, 0, reverse},
    {5, "DEPTH_TO_SPACE", 1, 1, 1, 0, depth_to_space},
    {26, "SPACE_TO_DEPTH", 1, 1, 1, 0, space_to_depth},
    {38, "SPACE_TO_BATCH_ND", 3, 3, 1, 0, space_to_batch},
    {37, "BATCH_TO_SPACE_ND", 3, 3, 1, 0, batch_to_space},
    {34, "PAD", 2, 2, 1, 0, pad},
    {60, "PADV2", 3, 3, 1, 0, pad},
    {100, "MIRROR_PAD", 2, 2, 1, 0, mirror_pad},
    {69, "TILE", 2, 2, 1, 0, tile},
    {130, "BROADCAST_TO", 2, 2, 1, 0, broadcast_to},
    {77, "SHAPE", 1, 1, 1, 0, shape},
    {110, "RANK", 1, 1, 1, 0, rank},
    {94, "FILL", 2, 2, 1, 0, fill},
    {93, "ZEROS_LIKE", 1, 1, 1, 0, zeros_like},
    {96, "RANGE", 3, 3, 1, 0, range},
    {85, "ONE_HOT", 4, 4, 1, 0, one_hot},
};

}  // namespace

std::span<const TfliteOp> tflite_shape_ops() { return kOps; }

}  // namespace tern
