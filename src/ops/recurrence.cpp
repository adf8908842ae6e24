// SPDX-License-Identifier: Apache-2.0
// recurrence: the tokens of a recurrent layer in one direction, after the product of its inputs (rnn, gru and lstm have
// the formulas, ops/recurrent.h more of the layouts)
//   x  float [tokens, batch, gates * hidden]: the layer's input times w^T; r  [gates * hidden, hidden], x's type or
//     f16 / bf16 with x f32; bias  optional [2 * gates * hidden]: of w, then of r
//   lengths  optional i64 [batch]; first h, first c  optional [batch, hidden]; peepholes  optional [3 * hidden]
//   y  [tokens, batch, hidden]; last h  [batch, hidden]; last c  likewise, [0] but for lstm
// Its gradient is that of its decomposition, one group of nodes for each token.
#include <cmath>
#include <vector>

#include "base/checked.h"
#include "ops/concat.h"
#include "ops/conv2d.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/move.h"
#include "ops/recurrent.h"
#include "ops/unary.h"

namespace tern {
namespace {

enum Input { kX, kR, kBias, kLengths, kFirstH, kFirstC, kPeepholes };
constexpr int64_t kMaxTokens = 4096;  // of the decomposition

tern_status infer(InferArgs& a) {
  const RecurrenceAttrs& p = a.attrs<RecurrenceAttrs>();
  TERN_TRY(require_float(a, kX));
  TERN_TRY(require_weight(a, kX, kR));
  TERN_TRY(require_rank(a, kX, 3));
  TERN_TRY(require_rank(a, kR, 2));
  for (const int i : {(int)kBias, (int)kFirstH, (int)kFirstC, (int)kPeepholes})
    if (a.has(i)) TERN_TRY(require_same_dtype(a, kX, i));
  if (a.has(kLengths) && a.in(kLengths).dtype != TERN_DTYPE_I64)
    return TERN_FAIL(TERN_ERR_TYPE, "recurrence: lengths are %s, i64 is needed", dtype_name(a.in(kLengths).dtype));
  const Shape x = a.in(kX).shape;
  const int64_t tokens = x[0], batch = x[1], hidden = a.in(kR).shape[1];
  int64_t rows = 0, biases = 0;
  if (!checked_mul(gates_of(p.cell), hidden, &rows) || !checked_mul<int64_t>(rows, 2, &biases))
    return TERN_FAIL(TERN_ERR_LIMIT, "recurrence: %" PRId64 " hidden units are too many", hidden);
  if (hidden < 1) return TERN_FAIL(TERN_ERR_SHAPE, "recurrence: no hidden units");
  if (p.activations.count != 0 && p.activations.count != functions_of(p.cell))
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "recurrence: %" PRId64 " activations, %d are needed",
                     p.activations.count, functions_of(p.cell));
  if (p.cell != kLstm && (a.has(kFirstC) || a.has(kPeepholes)))
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "recurrence: inputs 5 and 6 are of lstm only");
  TERN_TRY(require_shape(a, kX, {tokens, batch, rows}));
  TERN_TRY(require_shape(a, kR, {rows, hidden}));
  TERN_TRY(require_shape(a, kBias, {biases}));
  TERN_TRY(require_shape(a, kLengths, {batch}));
  TERN_TRY(require_shape(a, kFirstH, {batch, hidden}));
  TERN_TRY(require_shape(a, kFirstC, {batch, hidden}));
  TERN_TRY(require_shape(a, kPeepholes, {3 * hidden}));
  a.set(0, a.in(kX).dtype, {tokens, batch, hidden});
  a.set(1, a.in(kX).dtype, {batch, hidden});
  a.set(2, a.in(kX).dtype, p.cell == kLstm ? Shape{batch, hidden} : Shape{0});
  return TERN_OK;
}

// ---- reference ----

using Numbers = std::vector<double>;

Numbers numbers(const RefTensor& t, int64_t first, int64_t count) {
  Numbers v((size_t)count, 0.0);
  if (t.data)
    for (int64_t i = 0; i < count; ++i) v[(size_t)i] = t.load(first + i);
  return v;
}

struct Steps {
  const RecurrenceAttrs& p;
  size_t hidden;
  Numbers r, bias, peepholes;
  Node functions[3];
  Numbers h, c;  // of one sequence

  // Function `which` of v[first..first + hidden).
  tern_status activate(Numbers& v, size_t first, int which) const {
    if (p.clip > 0)
      for (size_t i = 0; i < hidden; ++i) v[first + i] = between(v[first + i], -p.clip, p.clip);
    Node n = functions[which];
    if (!n.op) return TERN_OK;
    n.in = {0}, n.out = {0};
    const RefTensor t{TERN_DTYPE_F64, Encoding::plain, {(int64_t)hidden}, &v[first]};
    return evaluate(n, &t, &t);
  }
  // sums[first..first + n) += v r^T, the bias of r with it.
  void add_product(Numbers& sums, size_t first, size_t n, const Numbers& v) const {
    for (size_t j = first; j < first + n; ++j) {
      sums[j] += bias[bias.size() / 2 + j];
      for (size_t k = 0; k < hidden; ++k) sums[j] += r[j * hidden + k] * v[k];
    }
  }
  void add_peephole(Numbers& x, size_t gate, size_t which) const {
    for (size_t j = 0; j < hidden; ++j) x[gate * hidden + j] += peepholes[which * hidden + j] * c[j];
  }
  // x: of one token, with the bias of w
  tern_status step(Numbers& x) {
    const size_t n = hidden;
    if (p.cell == kRnn) {
      add_product(x, 0, n, h);
      TERN_TRY(activate(x, 0, 0));
      h = x;
    } else if (p.cell == kGru) {
      add_product(x, 0, 2 * n, h);
      TERN_TRY(activate(x, 0, 0));
      TERN_TRY(activate(x, n, 0));
      Numbers reset = h, last(3 * n, 0.0);
      if (!p.linear_before_reset)
        for (size_t j = 0; j < n; ++j) reset[j] *= x[n + j];
      add_product(last, 2 * n, n, reset);
      for (size_t j = 0; j < n; ++j) x[2 * n + j] += last[2 * n + j] * (p.linear_before_reset ? x[n + j] : 1);
      TERN_TRY(activate(x, 2 * n, 1));
      for (size_t j = 0; j < n; ++j) h[j] = (1 - x[j]) * x[2 * n + j] + x[j] * h[j];
    } else {
      add_product(x, 0, 4 * n, h);
      add_peephole(x, 0, 0);
      add_peephole(x, 2, 2);
      TERN_TRY(activate(x, 0, 0));
      TERN_TRY(activate(x, 2 * n, 0));
      TERN_TRY(activate(x, 3 * n, 1));
      for (size_t j = 0; j < n; ++j) c[j] = (p.input_forget ? 1 - x[j] : x[2 * n + j]) * c[j] + x[j] * x[3 * n + j];
      add_peephole(x, 1, 1);
      TERN_TRY(activate(x, n, 0));
      h = c;
      TERN_TRY(activate(h, 0, 2));
      for (size_t j = 0; j < n; ++j) h[j] *= x[n + j];
    }
    return TERN_OK;
  }
};

tern_status reference(RefArgs& a) {
  const RecurrenceAttrs& p = a.attrs<RecurrenceAttrs>();
  const Shape& x = a.in(kX).shape;
  const int64_t tokens = x[0], batch = x[1], rows = x[2], hidden = a.in(kR).shape[1];
  const auto given = [&](int i) { return a.has(i) ? a.in(i) : RefTensor{}; };
  Steps s{p,
          (size_t)hidden,
          numbers(a.in(kR), 0, rows * hidden),
          numbers(given(kBias), 0, 2 * rows),
          numbers(given(kPeepholes), 0, 3 * hidden),
          {},
          {},
          {}};
  for (int i = 0; i < functions_of(p.cell); ++i) s.functions[i] = activation_node(p, i);
  for (int64_t b = 0; b < batch; ++b) {
    s.h = numbers(given(kFirstH), b * hidden, hidden);
    s.c = numbers(given(kFirstC), b * hidden, hidden);
    for (int64_t i = 0; i < tokens; ++i) {
      const int64_t t = p.reverse ? tokens - 1 - i : i, at = t * batch + b;
      const bool active = !a.has(kLengths) || t < a.in(kLengths).load_int(b);
      if (active) {
        Numbers token = numbers(a.in(kX), at * rows, rows);
        for (size_t j = 0; j < (size_t)rows; ++j) token[j] += s.bias[j];
        TERN_TRY(s.step(token));
      }
      for (int64_t j = 0; j < hidden; ++j) a.out(0).store(at * hidden + j, active ? s.h[(size_t)j] : 0);
    }
    for (int64_t j = 0; j < hidden; ++j) {
      a.out(1).store(b * hidden + j, s.h[(size_t)j]);
      if (p.cell == kLstm) a.out(2).store(b * hidden + j, s.c[(size_t)j]);
    }
  }
  return TERN_OK;
}

// ---- decomposition ----

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

// What is carried from token to token.
struct Cell {
  Graph& g;
  const RecurrenceAttrs& p;
  std::vector<ValueId> r, r_bias;  // of r; one each, for gru one per gate (r_bias empty if absent)
  std::vector<ValueId> peepholes;  // [hidden], or empty
  ValueId h = kNoValue, c = kNoValue;

  // x r^T + bias of r, for one part of r
  ValueId product(ValueId x, size_t part) const {
    const ValueId y = emit(g, "matmul", {x, r[part]}, MatmulAttrs{.transpose_b = 1});
    return r_bias.empty() ? y : add(g, y, r_bias[part]);
  }
  ValueId activate(ValueId x, int which) const {
    if (p.clip > 0) x = emit(g, "clip", {x}, ClipAttrs{.min = -p.clip, .max = p.clip});
    Node n = activation_node(p, which);
    if (!n.op) return x;
    n.in = {x};
    return emit_node(g, std::move(n));
  }
  ValueId gate(ValueId x, size_t peephole) const {
    if (!peepholes.empty()) x = add(g, x, mul(g, peepholes[peephole], c));
    return activate(x, 0);
  }

  // token: x and the bias of w [batch, gates * hidden]
  void step(ValueId token) {
    if (p.cell == kRnn) {
      h = activate(add(g, token, product(h, 0)), 0);
    } else if (p.cell == kGru) {
      const std::vector<ValueId> x = split(g, token, 3, -1);
      const ValueId z = activate(add(g, x[0], product(h, 0)), 0), reset = activate(add(g, x[1], product(h, 1)), 0);
      const ValueId candidate = p.linear_before_reset ? mul(g, reset, product(h, 2)) : product(mul(g, reset, h), 2);
      const ValueId n = activate(add(g, x[2], candidate), 1);
      h = add(g, mul(g, minus_from(g, 1, z), n), mul(g, z, h));
    } else {
      const std::vector<ValueId> x = split(g, add(g, token, product(h, 0)), 4, -1);
      const ValueId i = gate(x[0], 0), f = p.input_forget ? minus_from(g, 1, i) : gate(x[2], 2);
      c = add(g, mul(g, f, c), mul(g, i, activate(x[3], 1)));
      h = mul(g, gate(x[1], 1), activate(c, 2));
    }
  }
};

void decompose(DecomposeArgs& a) {
  Graph& g = a.g;
  const RecurrenceAttrs& p = a.attrs<RecurrenceAttrs>();
  const DType dtype = g.value(a.in(kX)).dtype;
  const Shape shape = g.value(a.in(kX)).shape;
  const int64_t tokens = shape[0], batch = shape[1], hidden = g.value(a.in(kR)).shape[1];
  if (tokens > kMaxTokens) {
    g.status = TERN_FAIL(TERN_ERR_LIMIT, "recurrence: the gradient of %" PRId64 " tokens, %" PRId64 " are possible",
                         tokens, kMaxTokens);
    return;
  }
  const ValueId r = g.value(a.in(kR)).dtype == dtype ? a.in(kR) : cast(g, a.in(kR), dtype);
  const ValueId zeros = filled(g, dtype, {batch, hidden}, 0);
  Cell s{.g = g, .p = p, .r = split(g, r, p.cell == kGru ? 3 : 1, 0), .r_bias = {}, .peepholes = {}};
  ValueId x = a.in(kX);
  if (a.has(kBias)) {
    const std::vector<ValueId> biases = split(g, a.in(kBias), 2, 0);
    x = add(g, x, biases[0]);
    s.r_bias = split(g, biases[1], (int64_t)s.r.size(), 0);
  }
  if (a.has(kPeepholes)) s.peepholes = split(g, a.in(kPeepholes), 3, 0);
  s.h = a.has(kFirstH) ? a.in(kFirstH) : zeros;
  s.c = a.has(kFirstC) ? a.in(kFirstC) : zeros;
  const ValueId lengths = a.has(kLengths) ? reshape(g, a.in(kLengths), {batch, 1}) : kNoValue;
  const std::vector<ValueId> inputs = tokens ? split(g, x, tokens, 0) : std::vector<ValueId>();
  Node y;
  y.op = find_op("concat");
  y.in.assign((size_t)tokens, kNoValue);
  for (int64_t i = 0; i < tokens && g.status == TERN_OK; ++i) {
    const int64_t t = p.reverse ? tokens - 1 - i : i;
    const ValueId h = s.h, c = s.c;
    s.step(reshape(g, inputs[(size_t)t], {batch, shape[2]}));
    ValueId out = s.h;
    if (lengths != kNoValue) {  // beyond its length a sequence keeps its state and gives zeros
      const ValueId active = emit(g, "greater", {lengths, add_constant(g, TERN_DTYPE_I64, Shape{}, &t)});
      out = emit(g, "where", {active, s.h, zeros});
      s.h = emit(g, "where", {active, s.h, h});
      if (p.cell == kLstm) s.c = emit(g, "where", {active, s.c, c});
    }
    y.in[(size_t)t] = reshape(g, out, {1, batch, hidden});
  }
  a.set(0, tokens ? emit_node(g, std::move(y)) : filled(g, dtype, {0, batch, hidden}, 0));
  a.set(1, s.h);
  a.set(2, p.cell == kLstm ? s.c : filled(g, dtype, {0}, 0));
}

constexpr const char* kCells[] = {"rnn", "gru", "lstm"};
constexpr AttrField kFields[] = {
    TERN_ATTR(RecurrenceAttrs, cell, choice, 0, 2, kCells),
    TERN_ATTR(RecurrenceAttrs, reverse, integer, 0, 1),
    TERN_ATTR(RecurrenceAttrs, activations, integers, 0, kNumRecurrentActivations - 1),
    TERN_ATTR(RecurrenceAttrs, clip, number, 0, 1e6),
    TERN_ATTR(RecurrenceAttrs, linear_before_reset, integer, 0, 1),
    TERN_ATTR(RecurrenceAttrs, input_forget, integer, 0, 1),
};

constexpr Case kCases[] = {
    {"rnn", "f32[4,2,3] f32[3,3] f32[6]", "cell=rnn"},
    {"rnn_reverse", "f32[4,3,9] f32[9,9] - i64[3]{4,0,2} f32[3,9]", "cell=rnn reverse=1"},
    {"rnn_functions", "f32[4,2,3] f32[3,3] f32[6]", "cell=rnn activations=9 clip=0.7"},
    {"gru", "f32[4,2,9] f32[9,3] f32[18]", "cell=gru"},
    {"gru_wide", "f32[3,5,123] f32[123,41] f32[246]", "cell=gru", 1e-4},
    {"gru_reverse", "f32[4,3,9] f32[9,3] f32[18] i64[3]{4,0,2} f32[3,3]", "cell=gru reverse=1"},
    {"gru_before_reset", "f32[4,3,30] f32[30,10] f32[60] i64[3]{4,1,2} f32[3,10]", "cell=gru linear_before_reset=1"},
    {"gru_before_reset_no_bias", "f32[4,3,30] f32[30,10]", "cell=gru linear_before_reset=1"},
    {"gru_functions", "f32[4,2,9] f32[9,3] f32[18]", "cell=gru activations=7,10 clip=0.7"},
    {"lstm", "f32[4,2,12] f32[12,3] f32[24]", "cell=lstm"},
    {"lstm_wide", "f32[3,5,164] f32[164,41] f32[328]", "cell=lstm", 1e-4},
    {"lstm_one", "f32[5,1,64] f32[64,16]", "cell=lstm", 1e-4},
    {"lstm_reverse", "f32[4,3,12] f32[12,3] f32[24] i64[3]{4,0,2} f32[3,3] f32[3,3]", "cell=lstm reverse=1"},
    {"lstm_peepholes", "f32[4,3,12] f32[12,3] f32[24] i64[3]{9,-1,2} f32[3,3] f32[3,3] f32[9]", "cell=lstm"},
    {"lstm_input_forget", "f32[4,2,12] f32[12,3] - - - - f32[9]", "cell=lstm input_forget=1"},
    {"lstm_functions", "f32[4,2,12] f32[12,3] f32[24]", "cell=lstm activations=7,8,3 clip=0.7"},
    {"lstm_functions2", "f32[4,2,12] f32[12,3] f32[24]", "cell=lstm activations=7,4,5"},
    {"half", "f16[4,2,12] f16[12,3] f16[24]", "cell=lstm", 1e-2},
    {"half_weight", "f32[4,2,12] f16[12,3] f32[24]", "cell=lstm"},
    {"brain_weight", "f32[4,2,9] bf16[9,3]", "cell=gru"},
    {"no_tokens", "f32[0,2,12] f32[12,3] f32[24] - f32[2,3] f32[2,3]", "cell=lstm"},
    {"no_batch", "f32[4,0,9] f32[9,3]", "cell=gru"},
    {"rows", "f32[4,2,12] f32[9,3]", "cell=gru", 0, TERN_ERR_SHAPE},
    {"hidden", "f32[4,2,12] f32[12,4]", "cell=lstm", 0, TERN_ERR_SHAPE},
    {"no_hidden", "f32[4,2,0] f32[0,0]", "cell=lstm", 0, TERN_ERR_SHAPE},
    {"bias_shape", "f32[4,2,12] f32[12,3] f32[12]", "cell=lstm", 0, TERN_ERR_SHAPE},
    {"first_shape", "f32[4,2,12] f32[12,3] - - f32[3,2]", "cell=lstm", 0, TERN_ERR_SHAPE},
    {"peepholes_shape", "f32[4,2,12] f32[12,3] - - - - f32[12]", "cell=lstm", 0, TERN_ERR_SHAPE},
    {"cell_without", "f32[4,2,9] f32[9,3] - - f32[2,3] f32[2,3]", "cell=gru", 0, TERN_ERR_INVALID_ARGUMENT},
    {"activation", "f32[4,2,9] f32[9,3]", "cell=gru activations=0", 0, TERN_ERR_INVALID_ARGUMENT},
    {"lengths_shape", "f32[4,2,9] f32[9,3] - i64[3]", "cell=gru", 0, TERN_ERR_SHAPE},
    {"lengths_type", "f32[4,2,9] f32[9,3] - i32[2]", "cell=gru", 0, TERN_ERR_TYPE},
    {"rank", "f32[2,9] f32[9,3]", "cell=gru", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_recurrence = checked_op({.name = "recurrence",
                                                      .min_in = 2,
                                                      .max_in = 7,
                                                      .num_out = 3,
                                                      .attributes = attr_schema<RecurrenceAttrs>(kFields),
                                                      .infer = infer,
                                                      .reference = reference,
                                                      .decompose = decompose,
                                                      .cases = TERN_CASES(kCases)});

}  // namespace tern
