// SPDX-License-Identifier: Apache-2.0
// TFLite operators that compute element by element or reduce.
#include <cmath>

#include "import/tflite.h"

namespace tern {
namespace {

template <size_t N>
struct OpName {
  char text[N];
  constexpr OpName(const char (&s)[N]) { std::copy(s, s + N, text); }
};

// Operators that are the same here under another name.
template <OpName name>
tern_status same(TfliteNode& n) {
  n.set(0, n.b.op(name.text, n.ins()));
  return TERN_OK;
}

// Comparisons of quantised tensors compare what they stand for; their result is bool.
template <OpName name, class Options>
tern_status with_activation(TfliteNode& n) {
  const Options* o = nullptr;
  TERN_TRY(n.options(&o));
  ValueId y = n.b.op(name.text, {n.in(0), n.in(1)});
  if (o) TERN_TRY(n.activate(o->activation(), &y));
  n.set(0, y);
  return TERN_OK;
}

tern_status clipped(TfliteNode& n, double low, double high) {
  n.set(0, n.b.op("clip", {n.in(0)}, {{"min", low}, {"max", high}}));
  return TERN_OK;
}
tern_status relu6(TfliteNode& n) { return clipped(n, 0, 6); }
tern_status relu_n1_to_1(TfliteNode& n) { return clipped(n, -1, 1); }
tern_status relu_0_to_1(TfliteNode& n) { return clipped(n, 0, 1); }

tern_status leaky_relu(TfliteNode& n) {
  const tfl::LeakyReluOptions* o = nullptr;
  TERN_TRY(n.options(&o));
  n.set(0, n.b.op("leaky_relu", {n.in(0)}, {{"alpha", o ? (double)o->alpha() : 0.0}}));
  return TERN_OK;
}

tern_status gelu(TfliteNode& n) {
  const tfl::GeluOptions* o = nullptr;
  TERN_TRY(n.options(&o));
  n.set(0, n.b.op("gelu", {n.in(0)}, {{"approximate", o && o->approximate() ? "tanh" : "none"}}));
  return TERN_OK;
}

tern_status not_equal(TfliteNode& n) {
  n.set(0, n.b.op("logical_not", {n.b.op("equal", {n.in(0), n.in(1)})}));
  return TERN_OK;
}

tern_status squared_difference(TfliteNode& n) {
  n.set(0, n.b.op("square", {n.b.sub(n.in(0), n.in(1))}));
  return TERN_OK;
}

// Rounds towards minus infinity; our integer division truncates.
tern_status floor_div(TfliteNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0), y = n.in(1);
  TERN_TRY(b.status());
  if (is_float(b.dtype(x))) n.set(0, b.op("floor", {b.div(x, y)}));
  else n.set(0, b.div(b.sub(x, b.op("mod", {x, y})), y));
  return TERN_OK;
}

tern_status floor_mod(TfliteNode& n) {
  n.set(0, n.b.op("mod", {n.in(0), n.in(1)}, {{"fmod", 0}}));
  return TERN_OK;
}

tern_status add_n(TfliteNode& n) {
  ValueId sum = n.in(0);
  for (int i = 1; i < n.num_in(); ++i) sum = n.b.add(sum, n.in(i));
  if (n.num_in() == 1 && n.b.status() == TERN_OK) {
    std::vector<int64_t> dims;
    for (int i = 0; i < n.b.rank(sum); ++i) dims.push_back(Builder::same(i));
    sum = n.b.reshape(sum, dims);
  }
  n.set(0, sum);
  return TERN_OK;
}

// Casts the integers themselves.
tern_status cast(TfliteNode& n) {
  n.raw = true;
  n.set(0, n.in(0));
  return TERN_OK;
}

// The weight behind it stays as small as it is.
tern_status dequantize(TfliteNode& n) {
  TfliteTensor &x = n.tensor(0), &y = n.out_tensor(0);
  if (!is_float(y.dtype)) return TERN_FAIL(TERN_ERR_CORRUPT, "DEQUANTIZE gives %s", dtype_name(y.dtype));
  if (x.content && is_float(x.content->dtype)) y.content = x.content;
  else if (!x.quantized && !is_float(x.dtype))
    return TERN_FAIL(TERN_ERR_CORRUPT, "DEQUANTIZE of a tensor without scales");
  else n.set(0, n.in(0));
  return TERN_OK;
}

// From floats or from another scale.
tern_status quantize(TfliteNode& n) {
  if (!n.out_tensor(0).quantized) return TERN_FAIL(TERN_ERR_CORRUPT, "QUANTIZE to a tensor without scales");
  n.set(0, n.in(0));
  return TERN_OK;
}

// What was sparse was decoded when it was read.
tern_status densify(TfliteNode& n) {
  TfliteTensor &x = n.tensor(0), &y = n.out_tensor(0);
  if (!x.content) return n.unsupported("of a tensor that is no constant");
  if (x.dtype != y.dtype)
    return TERN_FAIL(TERN_ERR_CORRUPT, "DENSIFY of %s gives %s", dtype_name(x.dtype), dtype_name(y.dtype));
  y.content = x.content;
  return TERN_OK;
}

// Rounds to the grid of 2^bits steps on which 0 lies exactly.
tern_status fake_quant(TfliteNode& n) {
  Builder& b = n.b;
  const tfl::FakeQuantOptions* o = nullptr;
  TERN_TRY(n.need_options(&o));
  const double low = o->min(), high = o->max(), first = o->narrow_range() ? 1 : 0;
  if (o->num_bits() < 2 || o->num_bits() > 16 || !(low <= 0 && high >= 0 && low < high) || !std::isfinite(high - low))
    return TERN_FAIL(TERN_ERR_CORRUPT, "FAKE_QUANT of %d bits from %g to %g", o->num_bits(), low, high);
  const double last = (double)((1 << o->num_bits()) - 1), scale = (high - low) / (last - first);
  const double zero = std::clamp(std::round(first - low / scale), first, last);
  const double nudged_low = (first - zero) * scale, nudged_high = (last - zero) * scale;
  const ValueId x = b.op("clip", {n.in(0)}, {{"min", nudged_low}, {"max", nudged_high}});
  const ValueId steps = b.op("round_ste", {b.div(b.sub(x, b.like(x, nudged_low)), b.like(x, scale))});
  n.set(0, b.add(b.mul(steps, b.like(x, scale)), b.like(x, nudged_low)));
  return TERN_OK;
}

// ---- reductions ----

template <OpName name>
tern_status reduce(TfliteNode& n) {
  Builder& b = n.b;
  const tfl::ReducerOptions* o = nullptr;
  TERN_TRY(n.options(&o));
  std::vector<int64_t> axes;
  TERN_TRY(n.integers_in(1, &axes));
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  // An axis may be named twice.
  std::vector<int64_t> once;
  for (int64_t a : axes) {
    int axis = 0;
    TERN_TRY(normalize_axis(a, b.rank(x), &axis));
    if (std::find(once.begin(), once.end(), axis) == once.end()) once.push_back(axis);
  }
  // No axes: nothing is reduced here, but all is in our operator.
  if (once.empty()) n.set(0, b.cast(x, b.dtype(x)));
  else n.set(0, b.op(name.text, {x}, {{"axes", int_list(once)}, {"keep_dims", o && o->keep_dims()}}));
  return TERN_OK;
}

template <OpName name>
tern_status arg_reduce(TfliteNode& n) {
  int64_t axis = 0;
  TERN_TRY(n.integer_in(1, &axis));
  n.set(0, n.b.op(name.text, {n.in(0)}, {{"axis", axis}, {"keep_dims", 0}}));
  return TERN_OK;
}

tern_status cumsum(TfliteNode& n) {
  const tfl::CumsumOptions* o = nullptr;
  TERN_TRY(n.options(&o));
  int64_t axis = 0;
  TERN_TRY(n.integer_in(1, &axis));
  n.set(0, n.b.op("cumsum", {n.in(0)},
                  {{"axis", axis}, {"exclusive", o && o->exclusive()}, {"reverse", o && o->reverse()}}));
  return TERN_OK;
}

constexpr TfliteOp kOps[] = {
    {0, "ADD", 2, 2, 1, 0, with_activation<"add", tfl::AddOptions>},
    {41, "SUB", 2, 2, 1, 0, with_activation<"sub", tfl::SubOptions>},
    {18, "MUL", 2, 2, 1, 0, with_activation<"mul", tfl::MulOptions>},
    {42, "DIV", 2, 2, 1, 0, with_activation<"div", tfl::DivOptions>},
    {106, "ADD_N", 1, -1, 1, 0, add_n},
    {55, "MAXIMUM", 2, 2, 1, 0, same<"max">},
    {57, "MINIMUM", 2, 2, 1, 0, same<"min">},
    {78, "POW", 2, 2, 1, 0, same<"pow">},
    {99, "SQUARED_DIFFERENCE", 2, 2, 1, 0, squared_difference},
    {90, "FLOOR_DIV", 2, 2, 1, 0, floor_div},
    {95, "FLOOR_MOD", 2, 2, 1, 0, floor_mod},
    {54, "PRELU", 2, 2, 1, 0, same<"prelu">},
    {58, "LESS", 2, 2, 1, 0, same<"less">},
    {63, "LESS_EQUAL", 2, 2, 1, 0, same<"less_equal">},
    {61, "GREATER", 2, 2, 1, 0, same<"greater">},
    {62, "GREATER_EQUAL", 2, 2, 1, 0, same<"greater_equal">},
    {71, "EQUAL", 2, 2, 1, 0, same<"equal">},
    {72, "NOT_EQUAL", 2, 2, 1, 0, not_equal},
    {84, "LOGICAL_OR", 2, 2, 1, 0, same<"logical_or">},
    {86, "LOGICAL_AND", 2, 2, 1, 0, same<"logical_and">},
    {87, "LOGICAL_NOT", 1, 1, 1, 0, same<"logical_not">},
    {160, "BITWISE_XOR", 2, 2, 1, 0, same<"bitwise_xor">},
    {19, "RELU", 1, 1, 1, 0, same<"relu">},
    {21, "RELU6", 1, 1, 1, 0, relu6},
    {20, "RELU_N1_TO_1", 1, 1, 1, 0, relu_n1_to_1},
    {152, "RELU_0_TO_1", 1, 1, 1, 0, relu_0_to_1},
    {98, "LEAKY_RELU", 1, 1, 1, 0, leaky_relu},
    {111, "ELU", 1, 1, 1, 0, same<"elu">},
    {150, "GELU", 1, 1, 1, 0, gelu},
    {117, "HARD_SWISH", 1, 1, 1, 0, same<"hard_swish">},
    {14, "LOGISTIC", 1, 1, 1, 0, same<"sigmoid">},
    {28, "TANH", 1, 1, 1, 0, same<"tanh">},
    {101, "ABS", 1, 1, 1, 0, same<"abs">},
    {59, "NEG", 1, 1, 1, 0, same<"neg">},
    {47, "EXP", 1, 1, 1, 0, same<"exp">},
    {73, "LOG", 1, 1, 1, 0, same<"log">},
    {66, "SIN", 1, 1, 1, 0, same<"sin">},
    {108, "COS", 1, 1, 1, 0, same<"cos">},
    {75, "SQRT", 1, 1, 1, 0, same<"sqrt">},
    {76, "RSQRT", 1, 1, 1, 0, same<"rsqrt">},
    {92, "SQUARE", 1, 1, 1, 0, same<"square">},
    {8, "FLOOR", 1, 1, 1, 0, same<"floor">},
    {104, "CEIL", 1, 1, 1, 0, same<"ceil">},
    {116, "ROUND", 1, 1, 1, 0, same<"round">},
    {158, "SIGN", 1, 1, 1, 0, same<"sign">},
    {53, "CAST", 1, 1, 1, 0, cast},
    {6, "DEQUANTIZE", 1, 1, 1, 0, dequantize},
    {114, "QUANTIZE", 1, 1, 1, 0, quantize},
    {124, "DENSIFY", 1, 1, 1, 0, densify},
    {80, "FAKE_QUANT", 1, 1, 1, 0, fake_quant},
    {40, "MEAN", 2, 2, 1, 0, reduce<"reduce_mean">},
    {74, "SUM", 2, 2, 1, 0, reduce<"reduce_sum">},
    {81, "REDUCE_PROD", 2, 2, 1, 0, reduce<"reduce_prod">},
    {82, "REDUCE_MAX", 2, 2, 1, 0, reduce<"reduce_max">},
    {89, "REDUCE_MIN", 2, 2, 1, 0, reduce<"reduce_min">},
    {91, "REDUCE_ANY", 2, 2, 1, 0, reduce<"reduce_max">},
    {140, "REDUCE_ALL", 2, 2, 1, 0, reduce<"reduce_min">},
    {56, "ARG_MAX", 2, 2, 1, 0, arg_reduce<"arg_max">},
    {79, "ARG_MIN", 2, 2, 1, 0, arg_reduce<"arg_min">},
    {128, "CUMSUM", 2, 2, 1, 0, cumsum},
};

}  // namespace

std::span<const TfliteOp> tflite_math_ops() { return kOps; }

}  // namespace tern
