// SPDX-License-Identifier: Apache-2.0
#include "ops/recurrent.h"

#include "base/checked.h"
#include "ops/concat.h"
#include "ops/unary.h"

namespace tern {
namespace {

int64_t num_directions(const RecurrentAttrs& p) { return p.direction == kBidirectional ? 2 : 1; }

ValueId concat(Graph& g, ValueId a, ValueId b, int64_t axis) { return emit(g, "concat", {a, b}, ConcatAttrs{axis}); }

// Index `direction` of the leading dim of an input; kNoValue if the input is absent.
ValueId part(DecomposeArgs& a, int input, int direction) {
  Graph& g = a.g;
  if (!a.has(input) || g.status != TERN_OK) return kNoValue;
  const Shape whole = g.value(a.in(input)).shape;
  std::vector<ValueId> parts{a.in(input)};
  if (whole[0] > 1) {
    Node n;
    n.op = find_op("split");
    n.in = parts;
    n.attrs<SplitAttrs>().axis = 0;
    emit_node(g, std::move(n), (int)whole[0], &parts);
  }
  if (g.status != TERN_OK) return kNoValue;
  return reshape(g, parts[(size_t)direction], Shape(std::span<const int64_t>(whole.begin() + 1, whole.end())));
}

struct DirectionResult {
  ValueId y = kNoValue, h = kNoValue, c = kNoValue;  // [tokens, 1, batch, hidden], [1, batch, hidden]
};

DirectionResult run_direction(DecomposeArgs& a, RecurrentCell cell, int direction) {
  Graph& g = a.g;
  const RecurrentAttrs& p = a.attrs<RecurrentAttrs>();
  const ValueId x = widened(g, a.in(0)), w = part(a, 1, direction);
  Node n;
  n.op = find_op("recurrence");
  n.in = {emit(g, "linear", {x, w}), part(a, 2, direction), widened(g, part(a, 3, direction)),
          a.has(4) ? cast(g, a.in(4), TERN_DTYPE_I64) : kNoValue};
  for (int i = 5; i < 8; ++i) n.in.push_back(widened(g, part(a, i, direction)));
  RecurrenceAttrs& own = n.attrs<RecurrenceAttrs>();
  own = {.cell = cell,
         .reverse = p.direction == kReverse || direction == 1,
         .activations = {},
         .clip = p.clip,
         .linear_before_reset = p.linear_before_reset,
         .input_forget = p.input_forget};
  if (p.activations.count)
    for (int i = 0; i < functions_of(cell); ++i)
      own.activations[own.activations.count++] = p.activations[direction * functions_of(cell) + i];
  std::vector<ValueId> outs;
  emit_node(g, std::move(n), 3, &outs);
  if (g.status != TERN_OK) return {};
  const Shape y = g.value(outs[0]).shape, state = {1, y[1], y[2]};
  return {reshape(g, outs[0], {y[0], 1, y[1], y[2]}), reshape(g, outs[1], state),
          cell == kLstm ? reshape(g, outs[2], state) : kNoValue};
}

}  // namespace

Node activation_node(const RecurrenceAttrs& p, int which) {
  int64_t function = p.cell != kRnn && which == 0 ? kSigmoid : kTanh;
  if (p.activations.count > 0) function = p.activations[which];
  // Affine is y = x, and scaled tanh is tanh.
  constexpr const char* names[] = {"tanh", "sigmoid",      "relu", "",         "leaky_relu", "thresholded_relu",
                                   "tanh", "hard_sigmoid", "elu",  "softsign", "softplus"};
  static_assert(sizeof names / sizeof *names == kNumRecurrentActivations);
  Node n;
  n.op = find_op(names[function]);
  if (n.op) set_default_attributes(*n.op, &n.attributes);
  return n;
}

tern_status infer_recurrent(InferArgs& a, RecurrentCell cell) {
  const RecurrentAttrs& p = a.attrs<RecurrentAttrs>();
  const int64_t directions = num_directions(p), num_activations = functions_of(cell);
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
  if (!checked_mul(gates_of(cell), hidden, &rows) || !checked_mul<int64_t>(rows, 2, &biases))
    return TERN_FAIL(TERN_ERR_LIMIT, "%s: %" PRId64 " hidden units are too many", a.node.op->name, hidden);
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
  if (cell == kLstm) {
    TERN_TRY(require_shape(a, 6, state));
    TERN_TRY(require_shape(a, 7, {directions, 3 * hidden}));
  }
  a.set(0, a.in(0).dtype, {tokens, directions, batch, hidden});
  for (int i = 1; i < (int)a.node.out.size(); ++i) a.set(i, a.in(0).dtype, state);
  return TERN_OK;
}

void decompose_recurrent(DecomposeArgs& a, RecurrentCell cell) {
  Graph& g = a.g;
  const DType dtype = g.value(a.in(0)).dtype;
  DirectionResult result = run_direction(a, cell, 0);
  if (num_directions(a.attrs<RecurrentAttrs>()) == 2) {
    const DirectionResult second = run_direction(a, cell, 1);
    result.y = concat(g, result.y, second.y, 1);
    result.h = concat(g, result.h, second.h, 0);
    if (cell == kLstm) result.c = concat(g, result.c, second.c, 0);
  }
  a.set(0, narrowed(g, result.y, dtype));
  a.set(1, narrowed(g, result.h, dtype));
  if (cell == kLstm) a.set(2, narrowed(g, result.c, dtype));
}

}  // namespace tern
