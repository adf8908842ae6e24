// SPDX-License-Identifier: Apache-2.0
// ONNX operators of transformers.
#include <cmath>
#include <limits>

#include "import/onnx.h"

namespace tern {
namespace {

ValueId as_scalar(Builder& b, ValueId v) { return b.reshape(v, {}); }
ValueId size_of(Builder& b, ValueId x, int axis) { return as_scalar(b, b.size_of_axes(x, axis, axis + 1)); }
// 0, 1, ... one for each index of an axis
ValueId indices_of(Builder& b, ValueId x, int axis) {
  return b.op("range", {b.integer(0), size_of(b, x, axis), b.integer(1)});
}

// [batch, tokens, heads * dim] to [batch, heads, tokens, dim]
tern_status split_heads(OnnxNode& n, ValueId* x, int64_t heads) {
  Builder& b = n.b;
  TERN_TRY(b.status());
  const int64_t width = b.rank(*x) == 3 ? b.dim(*x, 2) : -1;
  if (b.rank(*x) != 3)
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: an input has rank %d instead of 3", n.type().c_str(), b.rank(*x));
  if (width < 0) return n.unsupported("a width that varies");
  if (heads < 1 || width % heads)
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: a width of %" PRId64 " for %" PRId64 " heads", n.type().c_str(), width,
                     heads);
  *x = b.transpose(b.reshape(*x, {Builder::same(0), Builder::same(1), heads, width / heads}), {0, 2, 1, 3});
  return TERN_OK;
}

struct AttentionNode {
  ValueId q, k, v, past = kNoValue, lengths = kNoValue;  // lengths: i64 [batch], keys that count
  ValueId mask = kNoValue;                               // of the type of q, added to the scores
  bool causal = false;
  int64_t left = -1, right = -1;  // keys seen on either side; -1 = all
};

// Hides the keys for which `visible` is false.
ValueId hide(Builder& b, ValueId mask, ValueId visible, DType dtype) {
  return b.op("where", {visible, mask == kNoValue ? b.scalar(dtype, 0) : mask,
                        b.scalar(dtype, -std::numeric_limits<double>::infinity())});
}

// The mask of the node as numbers for all keys; a shorter one hides those behind it.
ValueId whole_mask(Builder& b, ValueId mask, ValueId k, DType dtype) {
  const double hidden = -std::numeric_limits<double>::infinity();
  if (b.dtype(mask) == TERN_DTYPE_BOOL) mask = hide(b, kNoValue, mask, dtype);
  if (b.status() != TERN_OK) return kNoValue;
  const int last = b.rank(mask) - 1;
  if (last < 0 || (b.dim(mask, last) >= 0 && b.dim(mask, last) == b.dim(k, 2))) return mask;
  std::vector<ValueId> amounts{b.integers(std::vector<int64_t>((size_t)(2 * last + 1), 0)),
                               b.sub(b.size_of_axes(k, 2, 3), b.size_of_axes(mask, last, last + 1))};
  return b.op("pad", {mask, b.op("concat", amounts, {{"axis", 0}}), b.scalar(dtype, hidden)});
}

// Adds to the mask what hides keys a token or a sequence at a time; *length becomes the scalar for what `causal` does
// alone.
void add_limits(Builder& b, AttentionNode& a, ValueId* length) {
  const DType dtype = b.dtype(a.q);
  const ValueId tokens = size_of(b, a.q, 2);
  const bool windowed = a.left >= 0 || a.right >= 0;
  if (!windowed && a.lengths == kNoValue) {
    if (!a.causal) return;
    // The operator aligns the last token with the last key that counts.
    const bool square = a.past == kNoValue && b.dim(a.q, 2) >= 0 && b.dim(a.q, 2) == b.dim(a.k, 2);
    if (!square) *length = a.past == kNoValue ? tokens : b.add(tokens, size_of(b, a.past, 2));
    return;
  }
  const ValueId key = indices_of(b, a.k, 2);
  ValueId position = b.reshape(indices_of(b, a.q, 2), {-1, 1}), visible = kNoValue;
  const auto also = [&](ValueId v) { visible = visible == kNoValue ? v : b.op("logical_and", {visible, v}); };
  if (a.lengths != kNoValue) {
    const ValueId lengths = b.reshape(a.lengths, {-1, 1, 1, 1});
    position = b.add(position, b.sub(lengths, tokens));
    also(b.op("less", {key, lengths}));
  } else if (a.past != kNoValue) {
    position = b.add(position, size_of(b, a.past, 2));
  }
  if (a.causal) also(b.op("less_equal", {key, position}));
  if (a.left >= 0) also(b.op("less_equal", {b.sub(position, b.integer(a.left)), key}));
  if (a.right >= 0) also(b.op("less_equal", {key, b.add(position, b.integer(a.right))}));
  a.mask = hide(b, a.mask, visible, dtype);
  a.causal = false;
}

// The steps one by one, where something between them is wanted: scores (0), with the cap (1), with the mask (2),
// weights (3).
void spelled_out(OnnxNode& n, AttentionNode& a, double scale, double cap, ValueId* y, ValueId between[4]) {
  Builder& b = n.b;
  if (a.causal) {
    const ValueId position = b.reshape(indices_of(b, a.q, 2), {-1, 1});
    const ValueId last = a.past == kNoValue ? position : b.add(position, size_of(b, a.past, 2));
    a.mask = hide(b, a.mask, b.op("less_equal", {indices_of(b, a.k, 2), last}), b.dtype(a.q));
  }
  const DType dtype = b.dtype(a.q), wide = dtype == TERN_DTYPE_F64 ? dtype : TERN_DTYPE_F32;
  ValueId q = b.cast(a.q, wide), k = b.cast(a.k, wide), v = b.cast(a.v, wide);
  if (b.status() != TERN_OK) return;
  const int64_t heads = b.dim(q, 1), kv_heads = b.dim(k, 1), dim = b.dim(q, 3);
  if (heads < 0 || kv_heads < 1 || dim < 0 || heads % kv_heads) {
    b.g->status = TERN_FAIL(TERN_ERR_SHAPE, "Attention: %" PRId64 " heads for %" PRId64 " of keys", heads, kv_heads);
    return;
  }
  const bool grouped = heads != kv_heads;
  if (grouped) {
    q = b.reshape(q, {Builder::same(0), kv_heads, heads / kv_heads, Builder::same(2), Builder::same(3)});
    for (ValueId* x : {&k, &v}) *x = b.reshape(*x, {Builder::same(0), kv_heads, 1, Builder::same(2), Builder::same(3)});
  }
  ValueId scores = b.op("matmul", {b.mul(q, b.like(q, scale)), k}, {{"transpose_b", 1}});
  if (grouped) scores = b.reshape(scores, {Builder::same(0), heads, Builder::same(3), Builder::same(4)});
  between[0] = scores;
  if (cap > 0) scores = b.mul(b.op("tanh", {b.div(scores, b.like(scores, cap))}), b.like(scores, cap));
  between[1] = scores;
  if (a.mask != kNoValue) scores = b.add(scores, b.cast(a.mask, wide));
  between[2] = scores;
  if (a.mask != kNoValue) {
    // A finite score in place of -inf keeps a token without keys from giving NaN.
    const ValueId seen = b.op("greater", {scores, b.like(scores, -std::numeric_limits<double>::infinity())});
    const ValueId weights =
        b.op("softmax", {b.op("clip", {scores}, {{"min", -(double)std::numeric_limits<float>::max()}})});
    scores = b.op("where", {seen, weights, b.like(weights, 0)});
  } else {
    scores = b.op("softmax", {scores});
  }
  between[3] = scores;
  if (grouped)
    scores = b.reshape(scores, {Builder::same(0), kv_heads, heads / kv_heads, Builder::same(2), Builder::same(3)});
  *y = b.op("matmul", {scores, v});
  if (grouped) *y = b.reshape(*y, {Builder::same(0), heads, Builder::same(3), Builder::same(4)});
  *y = b.cast(*y, dtype);
  for (int i = 0; i < 4; ++i) between[i] = b.cast(between[i], dtype);
}

tern_status lower_attention(OnnxNode& n) {
  Builder& b = n.b;
  AttentionNode a;
  a.q = n.in(0), a.k = n.in(1), a.v = n.in(2);
  TERN_TRY(b.status());
  if (a.k == kNoValue || a.v == kNoValue) return TERN_FAIL(TERN_ERR_CORRUPT, "Attention lacks its keys or values");
  const int rank = b.rank(a.q);
  const int64_t heads = n.integer("q_num_heads", 0), kv_heads = n.integer("kv_num_heads", 0),
                mode = n.integer("qk_matmul_output_mode", 0);
  n.integer("softmax_precision", 1);  // at least as wide as it asks: all of it is computed in f32
  if (rank == 3) {
    TERN_TRY(split_heads(n, &a.q, heads));
    TERN_TRY(split_heads(n, &a.k, kv_heads));
    TERN_TRY(split_heads(n, &a.v, kv_heads));
  }
  for (ValueId x : {a.q, a.k, a.v})
    if (b.status() == TERN_OK && b.rank(x) != 4)
      return TERN_FAIL(TERN_ERR_SHAPE, "Attention: an input has rank %d instead of 4", b.rank(x));
  if (n.has(4) != n.has(5)) return TERN_FAIL(TERN_ERR_CORRUPT, "Attention has only one of past_key and past_value");
  if (n.has(4)) {
    a.past = n.in(4);
    a.k = b.op("concat", {a.past, a.k}, {{"axis", 2}});
    a.v = b.op("concat", {n.in(5), a.v}, {{"axis", 2}});
  }
  TERN_TRY(b.status());
  const DType dtype = b.dtype(a.q);
  const ValueId v_given = a.v;
  a.v = b.cast(a.v, dtype);
  if (n.has(3)) a.mask = whole_mask(b, n.in(3), a.k, dtype);
  a.lengths = n.in(6);
  a.causal = n.integer("is_causal", 0) != 0;
  a.left = n.integer("left_window_size", -1);
  a.right = n.integer("right_window_size", -1);
  const double scale = n.number("scale", 0), cap = n.number("softcap", 0);
  if (mode < 0 || mode > 3) return TERN_FAIL(TERN_ERR_CORRUPT, "Attention: qk_matmul_output_mode %" PRId64, mode);
  TERN_TRY(b.status());
  ValueId y = kNoValue;
  if (cap > 0 || n.wants(3)) {
    const int64_t dim = b.value(a.q).shape[3];
    ValueId between[4] = {kNoValue, kNoValue, kNoValue, kNoValue}, unused = kNoValue;
    if (a.lengths != kNoValue || a.left >= 0 || a.right >= 0) add_limits(b, a, &unused);
    spelled_out(n, a, n.has_attribute("scale") ? scale : 1 / std::sqrt((double)(dim > 0 ? dim : 1)), cap, &y, between);
    n.set(3, between[mode]);
  } else {
    ValueId length = kNoValue;
    add_limits(b, a, &length);
    y = b.op("attention", {a.q, a.k, a.v, a.mask, length}, {{"scale", scale}, {"causal", a.causal}});
  }
  TERN_TRY(b.status());
  if (rank == 3)
    y = b.reshape(b.transpose(y, {0, 2, 1, 3}),
                  {Builder::same(0), Builder::same(1), b.value(y).shape[1] * b.value(y).shape[3]});
  n.set(0, y);
  n.set(1, a.k);
  n.set(2, v_given);
  return TERN_OK;
}

ValueId part(Builder& b, ValueId x, int64_t from, int64_t to, int64_t step = 1) {
  IntList starts, ends, steps;
  starts.count = ends.count = steps.count = b.rank(x);
  for (int i = 0; i < b.rank(x); ++i) ends[i] = INT64_MAX, steps[i] = 1;
  const int last = b.rank(x) - 1;
  starts[last] = from, ends[last] = to, steps[last] = step;
  return b.op("slice", {x}, {{"starts", starts}, {"ends", ends}, {"steps", steps}});
}

// Pairs of numbers turned by angles whose cosines and sines are given, one angle a pair and token.
tern_status lower_rotary(OnnxNode& n) {
  Builder& b = n.b;
  ValueId x = n.in(0), cosines = n.in(1), sines = n.in(2);
  TERN_TRY(b.status());
  const int rank = b.rank(x);
  const int64_t heads = n.integer("num_heads", 0), given = n.integer("rotary_embedding_dim", 0);
  const bool interleaved = n.integer("interleaved", 0) != 0;
  if (rank == 3) TERN_TRY(split_heads(n, &x, heads));
  TERN_TRY(b.status());
  if (b.rank(x) != 4) return TERN_FAIL(TERN_ERR_SHAPE, "RotaryEmbedding: input 0 has rank %d", rank);
  const int64_t dim = b.dim(x, 3), turned = given ? given : dim;
  if (dim < 0) return n.unsupported("a width that varies");
  if (turned < 2 || turned > dim || turned % 2)
    return TERN_FAIL(TERN_ERR_SHAPE, "RotaryEmbedding: %" PRId64 " of %" PRId64 " numbers are to be turned", turned,
                     dim);
  if (n.has(3)) {
    const ValueId positions = n.constant_in(3);
    for (ValueId* table : {&cosines, &sines}) *table = b.op("gather", {*table, positions}, {{"axis", 0}});
  }
  TERN_TRY(b.status());
  for (ValueId* table : {&cosines, &sines}) {  // [batch, tokens, pairs]
    if (b.rank(*table) != 3)
      return TERN_FAIL(TERN_ERR_SHAPE, "RotaryEmbedding: a table of angles has rank %d", b.rank(*table));
    *table = b.reshape(*table, {Builder::same(0), 1, Builder::same(1), Builder::same(2)});
  }
  const ValueId first = interleaved ? part(b, x, 0, turned, 2) : part(b, x, 0, turned / 2);
  const ValueId second = interleaved ? part(b, x, 1, turned, 2) : part(b, x, turned / 2, turned);
  ValueId real = b.sub(b.mul(cosines, first), b.mul(sines, second)),
          imaginary = b.add(b.mul(sines, first), b.mul(cosines, second));
  TERN_TRY(b.status());
  if (interleaved)
    for (ValueId* v : {&real, &imaginary})
      *v = b.reshape(*v, {Builder::same(0), Builder::same(1), Builder::same(2), Builder::same(3), 1});
  ValueId y = b.op("concat", {real, imaginary}, {{"axis", interleaved ? 4 : 3}});
  if (interleaved) y = b.reshape(y, {Builder::same(0), Builder::same(1), Builder::same(2), turned});
  if (turned < dim) y = b.op("concat", {y, part(b, x, turned, dim)}, {{"axis", 3}});
  TERN_TRY(b.status());
  if (rank == 3) y = b.reshape(b.transpose(y, {0, 2, 1, 3}), {Builder::same(0), Builder::same(1), heads * dim});
  n.set(0, y);
  return TERN_OK;
}

tern_status lower_rms_norm(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0), scale = n.in(1);
  TERN_TRY(b.status());
  int axis = 0;
  TERN_TRY(n.axis(n.integer("axis", -1), b.rank(x), &axis));
  const DType stash = onnx_dtype(n.integer("stash_type", 1)), to = scale == kNoValue ? b.dtype(x) : b.dtype(scale);
  const Attrs attrs = {{"axis", axis}, {"epsilon", n.number("epsilon", 1e-5)}};
  if (stash != TERN_DTYPE_F32) return n.unsupported("stash_type " + std::to_string(n.integer("stash_type", 1)));
  const bool joins = scale == kNoValue || (to == b.dtype(x) && b.rank(scale) <= b.rank(x) - axis);
  if (joins)
    n.set(0, b.op("rms_norm", scale == kNoValue ? std::vector<ValueId>{x} : std::vector<ValueId>{x, scale}, attrs));
  else n.set(0, b.mul(b.cast(b.op("rms_norm", {x}, attrs), to), scale));
  return TERN_OK;
}

// A cache [batch, ..., positions, ...] with new entries from a position of its own in each sequence on.
tern_status lower_tensor_scatter(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId cache = n.in(0), update = n.in(1);
  const std::string mode = n.text("mode", "linear");
  TERN_TRY(b.status());
  if (update == kNoValue) return TERN_FAIL(TERN_ERR_CORRUPT, "TensorScatter lacks its update");
  if (mode != "linear" && mode != "circular")
    return TERN_FAIL(TERN_ERR_CORRUPT, "TensorScatter: mode '%.40s'", mode.c_str());
  const int rank = b.rank(cache);
  int axis = 0;
  TERN_TRY(n.axis(n.integer("axis", -2), rank, &axis));
  if (axis == 0 || b.rank(update) != rank)
    return TERN_FAIL(TERN_ERR_SHAPE, "TensorScatter: axis %d for ranks %d and %d", axis, rank, b.rank(update));
  std::vector<int64_t> column((size_t)rank, 1), starts((size_t)rank, 1);
  column[(size_t)axis] = -1;
  starts[0] = -1;
  ValueId index = b.reshape(indices_of(b, update, axis), column);
  if (n.has(2)) index = b.add(index, b.reshape(b.cast(n.in(2), TERN_DTYPE_I64), starts));
  if (mode == "circular") index = b.op("mod", {index, size_of(b, cache, axis)});
  n.set(0, b.op("scatter_elements", {cache, b.op("expand", {index, b.shape_of(update)}), update}, {{"axis", axis}}));
  return TERN_OK;
}

// SwiGLU: times a second input.
tern_status lower_swish(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  const double alpha = n.number("alpha", 1);
  const ValueId y = alpha == 1 ? b.op("silu", {x}) : b.mul(x, b.op("sigmoid", {b.mul(x, b.like(x, alpha))}));
  n.set(0, n.type() == "SwiGLU" ? b.mul(y, n.in(1)) : y);
  return TERN_OK;
}

constexpr OnnxOp kOps[] = {
    {"Attention", lower_attention},
    {"RotaryEmbedding", lower_rotary},
    {"RMSNormalization", lower_rms_norm},
    {"TensorScatter", lower_tensor_scatter},
    {"Swish", lower_swish},
    {"SwiGLU", lower_swish},
};

}  // namespace

std::span<const OnnxOp> onnx_transformer_ops() { return kOps; }

}  // namespace tern
