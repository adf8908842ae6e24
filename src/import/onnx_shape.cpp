// SPDX-License-Identifier: Apache-2.0
// ONNX operators that move data or make tables.
#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "import/onnx.h"

namespace tern {
namespace {

// An operator that changes nothing: the name stands for the same thing.
tern_status lower_identity(OnnxNode& n) {
  n.pass();
  return TERN_OK;
}

// A tensor is always there; what is left out never.
tern_status lower_has_element(OnnxNode& n) {
  const uint8_t there = n.has(0);
  n.set(0, n.b.constant(TERN_DTYPE_BOOL, Shape{}, &there));
  return TERN_OK;
}

// A constant under another shape or with its axes permuted stays one, so that a weight is still known as such.
bool set_constant(OnnxNode& n, const TensorData& t, DType as) {
  Operand o;
  auto copy = std::make_shared<TensorData>(t);
  copy->name = n.proto.output(0).substr(0, 256);
  o.tensor = std::move(copy);
  if (as != t.dtype) o.as = as;
  n.set_operand(0, std::move(o));
  return true;
}

tern_status lower_reshape(OnnxNode& n) {
  Builder& b = n.b;
  const int64_t allow_zero = n.integer("allowzero", 0);
  if (!n.has(1)) {
    const std::vector<int64_t> dims = n.integers("shape");
    if ((int)dims.size() > kMaxRank) return TERN_FAIL(TERN_ERR_LIMIT, "Reshape to %zu dims", dims.size());
    n.set(0, b.op("reshape", {n.in(0)}, {{"shape", int_list(dims)}}));
    return TERN_OK;
  }
  const ValueId shape = n.constant_in(1);
  TERN_TRY(b.status());
  const auto known = b.known_integers(shape);
  DType as = TERN_DTYPE_NONE;
  const TensorData* t = n.weight(0, &as);
  if (t && known && (int)known->size() <= kMaxRank) {
    Shape s;
    int64_t rest = t->elements(), open = -1;
    bool good = true;
    for (size_t i = 0; i < known->size(); ++i) {
      int64_t d = (*known)[i];
      if (d == 0 && !allow_zero) d = (int)i < t->shape.rank ? t->shape[(int)i] : 0;
      if (d == -1) good = good && open < 0, open = (int64_t)i, d = 1;
      good = good && d > 0 && rest % d == 0;
      if (good) rest /= d;
      s.push(d);
    }
    if (open >= 0) s[(int)open] = rest;
    if (good && (open >= 0 || rest == 1)) return set_constant(n, with_shape(*t, s), as), TERN_OK;
  }
  const ValueId x = n.in(0);
  if (known && (int)known->size() <= kMaxRank)
    n.set(0, b.op("reshape", {x}, {{"shape", int_list(*known)}, {"allow_zero", allow_zero != 0}}));
  else
    n.set(0, b.op("reshape", {x, b.cast(b.sized_shape(shape, x), TERN_DTYPE_I64)}, {{"allow_zero", allow_zero != 0}}));
  return TERN_OK;
}

tern_status lower_flatten(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  const int rank = b.rank(x);
  const int64_t given = n.integer("axis", 1);
  if (given < -rank || given > rank)
    return TERN_FAIL(TERN_ERR_CORRUPT, "Flatten: axis %" PRId64 " for rank %d", given, rank);
  const int axis = (int)(given < 0 ? given + rank : given);
  int64_t before = 1, after = 1;
  for (int i = 0; i < rank; ++i) {
    int64_t& side = i < axis ? before : after;
    if (side < 0) continue;
    if (b.dim(x, i) < 0 || !checked_mul(side, b.dim(x, i), &side)) side = -1;
  }
  if (axis == 1) n.set(0, b.reshape(x, {Builder::same(0), after >= 0 ? after : -1}));
  else if (before > 0) n.set(0, b.reshape(x, {before, after >= 0 ? after : -1}));
  else if (after > 0) n.set(0, b.reshape(x, {-1, after}));
  else
    n.set(0, b.op("reshape",
                  {x, b.op("concat", {b.size_of_axes(x, 0, axis), b.size_of_axes(x, axis, rank)}, {{"axis", 0}})},
                  {{"allow_zero", 1}}));
  return TERN_OK;
}

tern_status lower_squeeze(OnnxNode& n) {
  Builder& b = n.b;
  std::vector<int64_t> axes;
  bool given = false;
  TERN_TRY(n.integers_in(1, "axes", &axes, &given));
  DType as = TERN_DTYPE_NONE;
  const TensorData* t = n.weight(0, &as);
  const ValueId x = t ? kNoValue : n.in(0);
  TERN_TRY(b.status());
  const int rank = t ? t->shape.rank : b.rank(x);
  uint32_t drop = 0;
  for (int64_t a : axes) {
    int axis = 0;
    TERN_TRY(n.axis(a, rank, &axis));
    drop |= 1u << axis;
  }
  for (int i = 0; i < rank && !given; ++i) {
    // The rank of the result is that of the size here: one row is squeezed, more are not.
    if (!t && b.dim(x, i) < 0 && b.value(x).shape[i] == 1) return n.unsupported("without axes, of a size that varies");
    if ((t ? t->shape[i] : b.dim(x, i)) == 1) drop |= 1u << i;
  }
  std::vector<int64_t> dims;
  Shape s;
  for (int i = 0; i < rank; ++i) {
    const int64_t d = t ? t->shape[i] : b.value(x).shape[i];
    if (drop & (1u << i)) {
      if (d != 1) return TERN_FAIL(TERN_ERR_SHAPE, "Squeeze: axis %d has size %" PRId64, i, d);
      continue;
    }
    dims.push_back(Builder::same(i));
    s.push(d);
  }
  if (t) set_constant(n, with_shape(*t, s), as);
  else n.set(0, b.reshape(x, dims));
  return TERN_OK;
}

tern_status lower_unsqueeze(OnnxNode& n) {
  Builder& b = n.b;
  std::vector<int64_t> axes;
  bool given = false;
  TERN_TRY(n.integers_in(1, "axes", &axes, &given));
  DType as = TERN_DTYPE_NONE;
  const TensorData* t = n.weight(0, &as);
  const ValueId x = t ? kNoValue : n.in(0);
  TERN_TRY(b.status());
  const int rank = t ? t->shape.rank : b.rank(x);
  if (axes.size() + (size_t)rank > (size_t)kMaxRank)
    return TERN_FAIL(TERN_ERR_LIMIT, "Unsqueeze to %zu dims", axes.size() + (size_t)rank);
  const int out_rank = rank + (int)axes.size();
  uint32_t ones = 0;
  for (int64_t a : axes) {
    int axis = 0;
    TERN_TRY(n.axis(a, out_rank, &axis));
    if (ones & (1u << axis)) return TERN_FAIL(TERN_ERR_CORRUPT, "Unsqueeze: axis %d twice", axis);
    ones |= 1u << axis;
  }
  std::vector<int64_t> dims;
  Shape s;
  for (int i = 0, k = 0; i < out_rank; ++i) {
    if (ones & (1u << i)) {
      dims.push_back(1);
      s.push(1);
    } else {
      dims.push_back(Builder::same(k));
      s.push(t ? t->shape[k] : b.value(x).shape[k]);
      ++k;
    }
  }
  if (t) set_constant(n, with_shape(*t, s), as);
  else n.set(0, b.reshape(x, dims));
  return TERN_OK;
}

tern_status lower_transpose(OnnxNode& n) {
  Builder& b = n.b;
  DType as = TERN_DTYPE_NONE;
  const TensorData* t = n.weight(0, &as);
  const ValueId x = t ? kNoValue : n.in(0);
  TERN_TRY(b.status());
  const int rank = t ? t->shape.rank : b.rank(x);
  std::vector<int64_t> p = n.integers("perm");
  if (!n.has_attribute("perm"))
    for (int i = rank; i-- > 0;) p.push_back(i);
  uint32_t seen = 0;
  for (int64_t v : p)
    if (v >= 0 && v < rank) seen |= 1u << v;
  if ((int)p.size() != rank || seen != (1u << rank) - 1)
    return TERN_FAIL(TERN_ERR_CORRUPT, "Transpose: perm is no permutation of %d axes", rank);
  if (t) return set_constant(n, permute(*t, p), as), TERN_OK;
  bool same = true;
  for (int i = 0; i < rank; ++i) same = same && p[(size_t)i] == i;
  if (same) return lower_identity(n);
  n.set(0, b.transpose(x, p));
  return TERN_OK;
}

tern_status lower_concat(OnnxNode& n) {
  Builder& b = n.b;
  if (n.num_in() == 0) return TERN_FAIL(TERN_ERR_CORRUPT, "Concat has no inputs");
  if (n.num_in() > 4096) return TERN_FAIL(TERN_ERR_LIMIT, "Concat of %d inputs", n.num_in());
  const std::vector<ValueId> in = n.ins();
  TERN_TRY(b.status());
  for (ValueId v : in)
    if (v == kNoValue) return TERN_FAIL(TERN_ERR_CORRUPT, "Concat lacks an input");
  int axis = 0;
  TERN_TRY(n.axis(n.integer("axis", 1), b.rank(in[0]), &axis));
  if (in.size() == 1) return lower_identity(n);
  n.set(0, b.op("concat", in, {{"axis", axis}}));
  return TERN_OK;
}

tern_status lower_split(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  int axis = 0;
  TERN_TRY(n.axis(n.integer("axis", 0), b.rank(x), &axis));
  std::vector<int64_t> sizes;
  bool given = false;
  TERN_TRY(n.integers_in(1, "split", &sizes, &given));
  const int count = n.num_out();
  if (n.integer("num_outputs", count) != count)
    return TERN_FAIL(TERN_ERR_CORRUPT, "Split: num_outputs is not %d", count);
  if (count < 1 || (given && (int)sizes.size() != count))
    return TERN_FAIL(TERN_ERR_CORRUPT, "Split: %zu sizes for %d outputs", sizes.size(), count);
  if (count == 1) return lower_identity(n);
  if (given && sizes.size() > (size_t)kMaxRank) {
    // More sizes than an attribute holds: one slice each.
    int64_t start = 0;
    const int rank = b.rank(x);
    for (int i = 0; i < count; ++i) {
      IntList starts, ends;
      starts.count = ends.count = rank;
      for (int k = 0; k < rank; ++k) ends[k] = INT64_MAX;
      starts[axis] = start;
      if (sizes[(size_t)i] < 0 || !checked_add(start, sizes[(size_t)i], &start))
        return TERN_FAIL(TERN_ERR_CORRUPT, "Split: a size of %" PRId64, sizes[(size_t)i]);
      ends[axis] = start;
      n.set(i, b.op("slice", {x}, {{"starts", starts}, {"ends", ends}}));
    }
    return TERN_OK;
  }
  const std::vector<ValueId> out = b.ops("split", {x}, {{"axis", axis}, {"sizes", int_list(sizes)}}, count);
  for (int i = 0; i < count; ++i) n.set(i, out[(size_t)i]);
  return TERN_OK;
}

tern_status lower_slice(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  const int rank = b.rank(x);
  const bool by_inputs = n.has(1);
  std::vector<int64_t> starts, ends, axes, steps;
  bool given = false, known = true;
  if (by_inputs) {
    const ValueId s = n.constant_in(1), e = n.constant_in(2);
    TERN_TRY(b.status());
    known = e != kNoValue && b.known_integers(s) && b.known_integers(e);
    if (known) {
      starts = *b.known_integers(s);
      ends = *b.known_integers(e);
    }
    TERN_TRY(n.integers_in(3, nullptr, &axes, &given));
    TERN_TRY(n.integers_in(4, nullptr, &steps, &given));
  } else {
    starts = n.integers("starts");
    ends = n.integers("ends");
    axes = n.integers("axes");
  }
  const int count = known ? (int)starts.size() : (int)std::max<int64_t>(1, b.value(n.constant_in(1)).shape.elements());
  if (axes.empty())
    for (int i = 0; i < count; ++i) axes.push_back(i);
  if (steps.empty()) steps.assign(axes.size(), 1);
  if ((known && starts.size() != ends.size()) || (int)axes.size() != count || (int)steps.size() != count ||
      count > rank)
    return TERN_FAIL(TERN_ERR_CORRUPT, "Slice: starts, ends, axes and steps differ in number");
  for (int64_t& a : axes) {
    int axis = 0;
    TERN_TRY(n.axis(a, rank, &axis));
    a = axis;
  }
  if (!known) {
    // Bounds that follow from dims or data: known when the plan is made.
    const ValueId from = b.sized(n.constant_in(1), 0), to = b.sized(n.constant_in(2));
    n.set(0, b.op("slice",
                  {x, b.cast(from, TERN_DTYPE_I64), b.cast(to, TERN_DTYPE_I64), b.integers(axes), b.integers(steps)}));
    return TERN_OK;
  }
  IntList from, to, step;
  from.count = to.count = step.count = rank;
  for (int i = 0; i < rank; ++i) to[i] = INT64_MAX, step[i] = 1;
  for (int i = 0; i < count; ++i) {
    const int64_t a = axes[(size_t)i];
    from[a] = starts[(size_t)i];
    to[a] = ends[(size_t)i];
    step[a] = steps[(size_t)i];
  }
  n.set(0, b.op("slice", {x}, {{"starts", from}, {"ends", to}, {"steps", step}}));
  return TERN_OK;
}

tern_status lower_gather(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0), indices = n.constant_in(1);
  TERN_TRY(b.status());
  int axis = 0;
  TERN_TRY(n.axis(n.integer("axis", 0), b.rank(x), &axis));
  n.set(0, b.op(n.type() == "Gather" ? "gather" : "gather_elements", {x, indices}, {{"axis", axis}}));
  return TERN_OK;
}

tern_status lower_gather_nd(OnnxNode& n) {
  n.set(0, n.b.op("gather_nd", {n.in(0), n.constant_in(1)}, {{"batch_dims", n.integer("batch_dims", 0)}}));
  return TERN_OK;
}

tern_status lower_scatter(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  const std::string reduction = n.text("reduction", "none");
  if (n.type() == "ScatterND") {
    n.set(0, b.op("scatter_nd", {x, n.in(1), n.in(2)}, {{"reduction", reduction.c_str()}}));
    return TERN_OK;
  }
  int axis = 0;
  TERN_TRY(n.axis(n.integer("axis", 0), b.rank(x), &axis));
  n.set(0, b.op("scatter_elements", {x, n.in(1), n.in(2)}, {{"axis", axis}, {"reduction", reduction.c_str()}}));
  return TERN_OK;
}

tern_status lower_pad(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  const int rank = b.rank(x);
  std::vector<int64_t> pads, axes;
  bool given = false;
  const std::string mode = n.text("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "wrap")
    return TERN_FAIL(TERN_ERR_CORRUPT, "Pad: mode '%.40s'", mode.c_str());
  double value = n.number("value", 0);
  if (n.has(1) && !b.known_integers(n.constant_in(1)) && !n.has(3)) {
    std::vector<ValueId> in{x, b.cast(b.sized(n.constant_in(1), 0), TERN_DTYPE_I64)};
    if (n.has(2)) in.push_back(n.constant_in(2));
    n.set(0, b.op("pad", in, {{"mode", mode.c_str()}}));
    return TERN_OK;
  }
  TERN_TRY(n.integers_in(1, n.has_attribute("pads") ? "pads" : "paddings", &pads, &given));
  TERN_TRY(n.integers_in(3, nullptr, &axes, &given));
  if (axes.empty())
    for (int i = 0; i < rank; ++i) axes.push_back(i);
  if (pads.size() != 2 * axes.size())
    return TERN_FAIL(TERN_ERR_CORRUPT, "Pad: %zu pads for %zu axes", pads.size(), axes.size());
  IntList before, after;
  before.count = after.count = rank;
  for (size_t i = 0; i < axes.size(); ++i) {
    int axis = 0;
    TERN_TRY(n.axis(axes[i], rank, &axis));
    before[axis] = pads[i];
    after[axis] = pads[axes.size() + i];
  }
  std::vector<ValueId> in{x};
  if (n.has(2)) {
    const ValueId v = n.constant_in(2);
    const auto known = b.known_number(v);
    TERN_TRY(b.status());
    if (known) value = *known;
    else in = {x, kNoValue, v};
  }
  n.set(0, b.op("pad", in, {{"before", before}, {"after", after}, {"mode", mode.c_str()}, {"value", value}}));
  return TERN_OK;
}

tern_status lower_expand(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId shape = n.constant_in(1), x = n.in(0);
  TERN_TRY(b.status());
  const auto known = b.known_integers(shape);
  if (known && (int)known->size() > kMaxRank) return TERN_FAIL(TERN_ERR_LIMIT, "Expand to %zu dims", known->size());
  if (known) n.set(0, b.op("expand", {x}, {{"shape", int_list(*known)}}));
  else n.set(0, b.op("expand", {x, b.cast(b.sized(shape), TERN_DTYPE_I64)}));
  return TERN_OK;
}

tern_status lower_tile(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId repeats = n.constant_in(1), x = n.in(0);
  TERN_TRY(b.status());
  const auto known = b.known_integers(repeats);
  if (known && (int)known->size() > kMaxRank) return TERN_FAIL(TERN_ERR_LIMIT, "Tile of %zu dims", known->size());
  if (known) n.set(0, b.op("tile", {x}, {{"repeats", int_list(*known)}}));
  else n.set(0, b.op("tile", {x, b.cast(b.sized(repeats), TERN_DTYPE_I64)}));
  return TERN_OK;
}

tern_status lower_shape(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  const int rank = b.rank(x);
  const auto clamp = [&](int64_t v) { return std::clamp<int64_t>(v < 0 ? v + rank : v, 0, rank); };
  const int64_t start = clamp(n.integer("start", 0)), end = clamp(n.integer("end", rank));
  std::vector<int64_t> dims;
  bool fixed = true;
  for (int64_t i = start; i < end; ++i) {
    dims.push_back(b.dim(x, (int)i));
    fixed = fixed && dims.back() >= 0;
  }
  n.set(0, fixed ? b.integers(dims) : b.op("shape", {x}, {{"start", start}, {"end", end}}));
  return TERN_OK;
}

tern_status lower_size(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  n.set(0, b.reshape(b.size_of_axes(x, 0, b.rank(x)), {}));
  return TERN_OK;
}

tern_status lower_constant_of_shape(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId shape = n.constant_in(0);
  TERN_TRY(b.status());
  double value = 0;
  DType dtype = TERN_DTYPE_F32;
  if (const onnx::AttributeProto* a = n.attribute("value")) {
    TensorData t;
    TERN_TRY(read_onnx_tensor(a->t(), &t));
    if (t.elements() != 1)
      return TERN_FAIL(TERN_ERR_CORRUPT, "ConstantOfShape: a value of %" PRId64 " elements", t.elements());
    value = t.load(0);
    dtype = t.dtype;
  }
  const auto known = b.known_integers(shape);
  const Attrs attrs = {{"value", value}, {"dtype", (int64_t)dtype}};
  if (!known) {
    n.set(0, b.op("fill", {b.cast(b.sized(shape), TERN_DTYPE_I64)}, attrs));
    return TERN_OK;
  }
  if ((int)known->size() > kMaxRank) return TERN_FAIL(TERN_ERR_LIMIT, "ConstantOfShape of %zu dims", known->size());
  n.set(0, b.op("fill", {shape}, attrs));
  return TERN_OK;
}

tern_status lower_eye_like(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  if (b.rank(x) != 2) return TERN_FAIL(TERN_ERR_SHAPE, "EyeLike: input 0 has rank %d instead of 2", b.rank(x));
  const DType dtype = n.has_attribute("dtype") ? onnx_dtype(n.integer("dtype", 1)) : b.dtype(x);
  if (dtype == TERN_DTYPE_NONE) return n.unsupported("element type");
  const auto places = [&](int axis) {
    return b.op("range", {b.integer(0), b.reshape(b.size_of_axes(x, axis, axis + 1), {}), b.integer(1)});
  };
  const ValueId row =
      b.add(b.reshape(places(0), {-1, 1}), b.integer(std::clamp<int64_t>(n.integer("k", 0), INT32_MIN, INT32_MAX)));
  n.set(0, b.cast(b.op("equal", {row, b.reshape(places(1), {1, -1})}), dtype));
  return TERN_OK;
}

tern_status lower_one_hot(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId depth = n.constant_in(1), values = n.constant_in(2);
  TERN_TRY(b.status());
  const ValueId indices = n.in(0);
  if (depth == kNoValue || b.value(depth).shape.elements() != 1)
    return TERN_FAIL(TERN_ERR_CORRUPT, "OneHot: its depth is no single number");
  const int rank = b.rank(indices) + 1;
  int axis = 0;
  TERN_TRY(n.axis(n.integer("axis", -1), rank, &axis));
  ValueId ids = is_integer(b.dtype(indices)) ? indices : b.cast(indices, TERN_DTYPE_I64);
  n.set(0, b.op("one_hot", {ids, b.reshape(b.cast(b.sized(depth), TERN_DTYPE_I64), {}), values}, {{"axis", axis}}));
  return TERN_OK;
}

tern_status lower_top_k(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  int axis = 0;
  TERN_TRY(n.axis(n.integer("axis", -1), b.rank(x), &axis));
  Attrs attrs = {{"axis", axis}, {"largest", n.integer("largest", 1) != 0}, {"sorted", n.integer("sorted", 1) != 0}};
  std::vector<ValueId> in{x};
  if (n.has(1)) {
    std::vector<int64_t> k;
    const ValueId v = n.constant_in(1);
    TERN_TRY(b.status());
    if (const auto known = b.known_integers(v)) {
      if (known->size() != 1) return TERN_FAIL(TERN_ERR_CORRUPT, "TopK: k has %zu elements", known->size());
      attrs.push_back({"k", (*known)[0]});
    } else {
      in.push_back(b.reshape(b.sized(v), {}));
    }
  } else {
    attrs.push_back({"k", n.integer("k", -1)});
  }
  const std::vector<ValueId> out = b.ops("top_k", in, attrs, 2);
  for (int i = 0; i < 2; ++i) n.set(i, out[(size_t)i]);
  return TERN_OK;
}

// The first `count` along an axis of what an operator with a bounded result gives.
ValueId first_of(Builder& b, ValueId x, ValueId count, int axis) {
  if (b.status() != TERN_OK) return kNoValue;
  const ValueId size = b.reshape(b.sized_itself(count, (double)std::min<int64_t>(1, b.value(x).shape[axis])), {1});
  return b.op("slice", {x, b.integers({0}), size, b.integers({axis})});
}

ValueId non_zero(Builder& b, ValueId x) {
  const std::vector<ValueId> found = b.ops("non_zero", {x}, {}, 2);
  return first_of(b, found[0], found[1], 1);
}

tern_status lower_non_zero(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.constant_in(0);
  TERN_TRY(b.status());
  if (!b.known(x) || b.rank(x) == 0) {
    n.set(0, non_zero(b, x));
    return TERN_OK;
  }
  const Shape& shape = b.value(x).shape;
  std::vector<std::vector<int64_t>> rows((size_t)shape.rank);
  for (int64_t i = 0; i < shape.elements(); ++i) {
    if (load_element(b.dtype(x), b.value(x).data.bytes, i) == 0) continue;
    int64_t rest = i;
    for (int axis = shape.rank; axis-- > 0; rest /= shape[axis]) rows[(size_t)axis].push_back(rest % shape[axis]);
  }
  std::vector<int64_t> places;
  for (const std::vector<int64_t>& row : rows) places.insert(places.end(), row.begin(), row.end());
  n.set(0, b.constant(TERN_DTYPE_I64, Shape{shape.rank, (int64_t)rows[0].size()}, places.data()));
  return TERN_OK;
}

tern_status lower_nms(OnnxNode& n) {
  Builder& b = n.b;
  std::vector<ValueId> in{n.in(0), n.in(1)};
  Attrs attrs = {{"center_point_box", n.integer("center_point_box", 0)}};
  const auto most = b.known_number(n.constant_in(2)), iou = b.known_number(n.constant_in(3)),
             score = b.known_number(n.constant_in(4));
  attrs.push_back({"max_per_class", (int64_t)std::min(most.value_or(0), 1e9)});
  if (n.has(3) && iou) attrs.push_back({"iou_threshold", *iou});
  if (n.has(4) && score) attrs.push_back({"score_threshold", *score});
  if ((n.has(2) && !most) || (n.has(3) && !iou) || (n.has(4) && !score)) {
    in.push_back(n.has(2) && !most ? n.in(2) : kNoValue);
    in.push_back(n.has(3) && !iou ? n.in(3) : kNoValue);
    in.push_back(n.has(4) && !score ? n.in(4) : kNoValue);
  }
  const std::vector<ValueId> found = b.ops("nms", in, attrs, 2);
  n.set(0, first_of(b, found[0], found[1], 0));
  return TERN_OK;
}

// Where the condition is known the kept positions are a table.
tern_status lower_compress(OnnxNode& n) {
  Builder& b = n.b;
  const auto condition = b.known_integers(n.constant_in(1));
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  std::vector<int64_t> kept;
  for (size_t i = 0; condition && i < condition->size(); ++i)
    if ((*condition)[i]) kept.push_back((int64_t)i);
  const ValueId positions =
      condition ? b.integers(kept) : b.reshape(non_zero(b, b.reshape(n.constant_in(1), {-1})), {-1});
  ValueId flat = x;
  int axis = 0;
  if (n.has_attribute("axis")) TERN_TRY(n.axis(n.integer("axis", 0), b.rank(x), &axis));
  else flat = b.reshape(x, {-1});
  n.set(0, b.op("gather", {flat, positions}, {{"axis", axis}}));
  return TERN_OK;
}

tern_status lower_trilu(OnnxNode& n) {
  Builder& b = n.b;
  const bool upper = n.integer("upper", 1) != 0;
  const auto k = b.known_integers(n.constant_in(1));
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  if (n.has(1) && (!k || k->size() != 1)) return n.unsupported("a diagonal that depends on data");
  n.set(0, b.op("trilu", {x}, {{"upper", upper}, {"k", k ? (*k)[0] : 0}}));
  return TERN_OK;
}

tern_status lower_range(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId start = b.sized(n.constant_in(0), 0), limit = b.sized(n.constant_in(1)),
                delta = b.sized(n.constant_in(2));
  TERN_TRY(b.status());
  n.integer("stash_type", 1);
  const DType dtype = b.dtype(start);
  if (dtype != TERN_DTYPE_F16 && dtype != TERN_DTYPE_BF16) {
    n.set(0, b.op("range", {start, limit, delta}));
    return TERN_OK;
  }
  const auto wide = [&](ValueId v) { return b.cast(v, TERN_DTYPE_F32); };
  n.set(0, b.cast(b.op("range", {wide(start), wide(limit), wide(delta)}), dtype));
  return TERN_OK;
}

// Each sequence reversed on its own: the element at t comes from length - 1 - t, behind its length from t.
tern_status lower_reverse_sequence(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  const int64_t batch_axis = n.integer("batch_axis", 1), time_axis = n.integer("time_axis", 0);
  TERN_TRY(b.status());
  const int rank = b.rank(x);
  if (rank < 2) return TERN_FAIL(TERN_ERR_SHAPE, "ReverseSequence: input 0 has rank %d", rank);
  if (batch_axis + time_axis != 1 || batch_axis < 0 || batch_axis > 1)
    return TERN_FAIL(TERN_ERR_CORRUPT, "ReverseSequence: axes %" PRId64 " and %" PRId64, batch_axis, time_axis);
  std::vector<int64_t> along_time((size_t)rank, 1), along_batch((size_t)rank, 1);
  along_time[(size_t)time_axis] = -1;
  along_batch[(size_t)batch_axis] = -1;
  const ValueId times = b.reshape(b.size_of_axes(x, (int)time_axis, (int)time_axis + 1), {});
  const ValueId t = b.reshape(b.op("range", {b.integer(0), times, b.integer(1)}), along_time);
  const ValueId length = b.reshape(b.cast(n.constant_in(1), TERN_DTYPE_I64), along_batch);
  const ValueId from = b.op("where", {b.op("less", {t, length}), b.sub(b.sub(length, b.integer(1)), t), t});
  n.set(0, b.op("gather_elements", {x, b.op("expand", {from, b.shape_of(x)})}, {{"axis", time_axis}}));
  return TERN_OK;
}

constexpr OnnxOp kOps[] = {
    {"Identity", lower_identity},
    {"OptionalGetElement", lower_identity},
    {"OptionalHasElement", lower_has_element},
    {"Reshape", lower_reshape},
    {"Flatten", lower_flatten},
    {"Squeeze", lower_squeeze},
    {"Unsqueeze", lower_unsqueeze},
    {"Transpose", lower_transpose},
    {"Concat", lower_concat},
    {"Split", lower_split},
    {"Slice", lower_slice},
    {"Gather", lower_gather},
    {"GatherElements", lower_gather},
    {"GatherND", lower_gather_nd},
    {"Scatter", lower_scatter},
    {"ScatterElements", lower_scatter},
    {"ScatterND", lower_scatter},
    {"Pad", lower_pad},
    {"Expand", lower_expand},
    {"Tile", lower_tile},
    {"Shape", lower_shape},
    {"Size", lower_size},
    {"ConstantOfShape", lower_constant_of_shape},
    {"EyeLike", lower_eye_like},
    {"OneHot", lower_one_hot},
    {"TopK", lower_top_k},
    {"NonZero", lower_non_zero},
    {"NonMaxSuppression", lower_nms},
    {"Compress", lower_compress},
    {"Trilu", lower_trilu},
    {"Range", lower_range},
    {"ReverseSequence", lower_reverse_sequence},
};

}  // namespace

std::span<const OnnxOp> onnx_shape_ops() { return kOps; }

}  // namespace tern
