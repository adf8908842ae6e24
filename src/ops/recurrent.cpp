// SPDX-License-Identifier: Apache-2.0
#include "ops/recurrent.h"

#include "base/checked.h"
#include "ops/concat.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/unary.h"

namespace tern {
namespace {

int64_t num_directions(const RecurrentAttrs& p) { return p.direction == kBidirectional ? 2 : 1; }

tern_status require_shape(const InferArgs& a, int i, const Shape& shape) {
  if (!a.has(i) || a.in(i).shape == shape) return TERN_OK;
  return TERN_FAIL(TERN_ERR_SHAPE, "%s: input %d has shape %s, %s is needed", a.node.op->name, i,
                   to_string(a.in(i).shape).c_str(), to_string(shape).c_str());
}

ValueId concat(Graph& g, std::vector<ValueId> in, int64_t axis) {
  Node n;
  n.op = find_op("concat");
  n.in = std::move(in);
  n.attrs<ConcatAttrs>().axis = axis;
  return emit_node(g, std::move(n));
}

// Index `direction` of the leading dim of an input; kNoValue if the input is absent.
ValueId part(DecomposeArgs& a, int input, int direction) {
  Graph& g = a.g;
  if (!a.has(input)) return kNoValue;
  const ValueId x = widened(g, a.in(input));
  if (g.status != TERN_OK) return kNoValue;
  const Shape whole = g.value(x).shape;
  const std::vector<ValueId> parts = split(g, x, whole[0], 0);
  return reshape(g, parts[(size_t)direction], Shape(std::span<const int64_t>(whole.begin() + 1, whole.end())));
}

struct DirectionResult {
  ValueId y = kNoValue, h = kNoValue, c = kNoValue;  // [tokens, 1, batch, hidden], [1, batch, hidden]
};

DirectionResult run_direction(DecomposeArgs& a, int64_t gates, int64_t parts, int direction,
                              void (*step)(RecurrentCell&, ValueId)) {
  Graph& g = a.g;
  const RecurrentAttrs& p = a.attrs<RecurrentAttrs>();
  const bool has_cell = a.node.out.size() > 2;
  const ValueId x = widened(g, a.in(0)), w = part(a, 1, direction), r = part(a, 2, direction);
  if (g.status != TERN_OK) return {};
  RecurrentCell s{.g = g, .p = p, .direction = direction, .r = split(g, r, parts, 0), .r_bias = {}};
  const int64_t tokens = g.value(x).shape[0], batch = g.value(x).shape[1], hidden = g.value(r).shape[1];

  const int64_t state[] = {batch, hidden};
  const ValueId zeros = emit(g, "expand", {scalar_like(g, x, 0), add_constant(g, state)});
  s.h = a.has(5) ? part(a, 5, direction) : zeros;
  if (has_cell) s.c = a.has(6) ? part(a, 6, direction) : zeros;
  if (has_cell && a.has(7)) {
    const std::vector<ValueId> peepholes = split(g, part(a, 7, direction), 3, 0);
    for (size_t i = 0; i < 3; ++i) s.peepholes[i] = peepholes[i];
  }
  ValueId products = emit(g, "matmul", {x, w}, MatmulAttrs{.transpose_b = 1});
  if (a.has(3)) {
    const std::vector<ValueId> biases = split(g, part(a, 3, direction), 2, 0);
    products = add(g, products, biases[0]);
    s.r_bias = split(g, biases[1], parts, 0);
  }
  const ValueId lengths = a.has(4) ? reshape(g, cast(g, a.in(4), TERN_DTYPE_I64), {batch, 1}) : kNoValue;

  const std::vector<ValueId> inputs = split(g, products, tokens, 0);
  std::vector<ValueId> outputs((size_t)tokens, kNoValue);
  const bool backwards = p.direction == kReverse || direction == 1;
  for (int64_t i = 0; i < tokens && g.status == TERN_OK; ++i) {
    const int64_t t = backwards ? tokens - 1 - i : i;
    const ValueId h = s.h, c = s.c;
    step(s, reshape(g, inputs[(size_t)t], {batch, gates * hidden}));
    ValueId y = s.h;
    if (lengths != kNoValue) {  // beyond its length a sequence keeps its state and gives zeros
      const ValueId active = emit(g, "greater", {lengths, add_constant(g, TERN_DTYPE_I64, Shape{}, &t)});
      y = emit(g, "where", {active, s.h, zeros});
      s.h = emit(g, "where", {active, s.h, h});
      if (has_cell) s.c = emit(g, "where", {active, s.c, c});
    }
    outputs[(size_t)t] = reshape(g, y, {1, 1, batch, hidden});
  }
  DirectionResult result{.y = concat(g, std::move(outputs), 0), .h = reshape(g, s.h, {1, batch, hidden})};
  if (has_cell) result.c = reshape(g, s.c, {1, batch, hidden});
  return result;
}

}  // namespace

ValueId RecurrentCell::product(ValueId x, size_t part) const {
  const ValueId y = emit(g, "matmul", {x, r[part]}, MatmulAttrs{.transpose_b = 1});
  return r_bias.empty() ? y : add(g, y, r_bias[part]);
}

ValueId RecurrentCell::activate(ValueId x, int which, int num) const {
  int64_t function = num > 1 && which == 0 ? kSigmoid : kTanh;
  if (p.activations.count > 0) function = p.activations[direction * num + which];
  if (p.clip > 0) x = emit(g, "clip", {x}, ClipAttrs{.min = -p.clip, .max = p.clip});
  constexpr const char* names[] = {"tanh", "sigmoid",      "relu", "",         "leaky_relu", "thresholded_relu",
                                   "tanh", "hard_sigmoid", "elu",  "softsign", "softplus"};
  static_assert(sizeof names / sizeof *names == kNumRecurrentActivations);
  return function == kAffine ? x : emit(g, names[function], {x});  // affine is x, scaled tanh is tanh
}

std::vector<ValueId> split(Graph& g, ValueId x, int64_t parts, int64_t axis) {
  if (parts == 1) return {x};
  Node n;
  n.op = find_op("split");
  n.in = {x};
  n.attrs<SplitAttrs>().axis = axis;
  std::vector<ValueId> out;
  emit_node(g, std::move(n), (int)parts, &out);
  out.resize((size_t)parts, kNoValue);  // after an error
  return out;
}

tern_status infer_recurrent(InferArgs& a, int64_t gates, int num_activations) {
  const RecurrentAttrs& p = a.attrs<RecurrentAttrs>();
  const int64_t directions = num_directions(p);
  TERN_TRY(require_float(a, 0));
  for (int i = 0; i < 3; ++i) TERN_TRY(require_rank(a, i, 3));
  for (int i = 1; i < a.num_in(); ++i) {
    if (!a.has(i)) continue;
    if (i == 4) TERN_TRY(require_integer(a, 4));
    else TERN_TRY(require_same_dtype(a, 0, i));
  }
  const Shape &x = a.in(0).shape, &r = a.in(2).shape;
  const int64_t tokens = x[0], batch = x[1], hidden = r[2];
  int64_t rows = 0, biases = 0;
  if (!checked_mul(gates, hidden, &rows) || !checked_mul<int64_t>(rows, 2, &biases))
    return TERN_FAIL(TERN_ERR_LIMIT, "%s: %" PRId64 " hidden units are too many", a.node.op->name, hidden);
  if (tokens < 1 || tokens > kMaxTokens)
    return TERN_FAIL(TERN_ERR_LIMIT, "%s: a sequence of %" PRId64 " tokens, 1 to %" PRId64 " are supported",
                     a.node.op->name, tokens, kMaxTokens);
  if (hidden < 1) return TERN_FAIL(TERN_ERR_SHAPE, "%s: no hidden units", a.node.op->name);
  if (p.activations.count != 0 && p.activations.count != directions * num_activations)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s: %" PRId64 " activations, %" PRId64 " are needed", a.node.op->name,
                     p.activations.count, directions * num_activations);
  const Shape state = {directions, batch, hidden};
  TERN_TRY(require_shape(a, 1, {directions, rows, x[2]}));
  TERN_TRY(require_shape(a, 2, {directions, rows, hidden}));
  TERN_TRY(require_shape(a, 3, {directions, biases}));
  TERN_TRY(require_shape(a, 4, {batch}));
  TERN_TRY(require_shape(a, 5, state));
  if (a.node.out.size() > 2) {
    TERN_TRY(require_shape(a, 6, state));
    TERN_TRY(require_shape(a, 7, {directions, 3 * hidden}));
  }
  a.set(0, a.in(0).dtype, {tokens, directions, batch, hidden});
  for (int i = 1; i < (int)a.node.out.size(); ++i) a.set(i, a.in(0).dtype, state);
  return TERN_OK;
}

void decompose_recurrent(DecomposeArgs& a, int64_t gates, int64_t parts, void (*step)(RecurrentCell&, ValueId)) {
  Graph& g = a.g;
  const DType dtype = g.value(a.in(0)).dtype;
  DirectionResult result = run_direction(a, gates, parts, 0, step);
  if (num_directions(a.attrs<RecurrentAttrs>()) == 2) {
    const DirectionResult second = run_direction(a, gates, parts, 1, step);
    result.y = concat(g, {result.y, second.y}, 1);
    result.h = concat(g, {result.h, second.h}, 0);
    if (result.c != kNoValue) result.c = concat(g, {result.c, second.c}, 0);
  }
  a.set(0, narrowed(g, result.y, dtype));
  a.set(1, narrowed(g, result.h, dtype));
  if (a.node.out.size() > 2) a.set(2, narrowed(g, result.c, dtype));
}

}  // namespace tern
