// SPDX-License-Identifier: Apache-2.0
// ONNX operators of arithmetic: element-wise, reductions, matrix products.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "import/onnx.h"

namespace tern {
namespace {

struct Names {
  const char* onnx;
  const char* tern;
};

const char* look_up(std::span<const Names> names, const std::string& type) {
  for (const Names& n : names)
    if (type == n.onnx) return n.tern;
  return "?";
}

// ---- element-wise ----

constexpr Names kUnary[] = {
    {"Abs", "abs"},     {"Neg", "neg"},           {"Sign", "sign"},         {"Floor", "floor"},
    {"Ceil", "ceil"},   {"Round", "round"},       {"Sqrt", "sqrt"},         {"Reciprocal", "reciprocal"},
    {"Exp", "exp"},     {"Log", "log"},           {"Sin", "sin"},           {"Cos", "cos"},
    {"Tan", "tan"},     {"Asin", "asin"},         {"Acos", "acos"},         {"Atan", "atan"},
    {"Sinh", "sinh"},   {"Cosh", "cosh"},         {"Tanh", "tanh"},         {"Asinh", "asinh"},
    {"Acosh", "acosh"}, {"Atanh", "atanh"},       {"Erf", "erf"},           {"Sigmoid", "sigmoid"},
    {"Relu", "relu"},   {"Softplus", "softplus"}, {"Softsign", "softsign"}, {"HardSwish", "hard_swish"},
    {"Mish", "mish"},   {"Not", "logical_not"},   {"IsNaN", "is_nan"},      {"BitwiseNot", "bitwise_not"},
};

tern_status lower_unary(OnnxNode& n) {
  n.set(0, n.b.op(look_up(kUnary, n.type()), {n.in(0)}));
  return TERN_OK;
}

constexpr Names kBinary[] = {
    {"Add", "add"},
    {"Sub", "sub"},
    {"Mul", "mul"},
    {"Div", "div"},
    {"Equal", "equal"},
    {"Less", "less"},
    {"Greater", "greater"},
    {"LessOrEqual", "less_equal"},
    {"GreaterOrEqual", "greater_equal"},
    {"And", "logical_and"},
    {"Or", "logical_or"},
    {"Xor", "logical_xor"},
    {"BitwiseAnd", "bitwise_and"},
    {"BitwiseOr", "bitwise_or"},
    {"BitwiseXor", "bitwise_xor"},
    {"Pow", "pow"},
    {"PRelu", "prelu"},
};

// Before version 7 the second operand is stretched where `broadcast` says so, its axes aligned at `axis` of the first.
tern_status align_operand(OnnxNode& n, ValueId* second) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  n.integer("broadcast", 0);
  n.integers("consumed_inputs");
  if (!n.has_attribute("axis")) return TERN_OK;
  int axis = 0;
  TERN_TRY(n.axis(n.integer("axis", 0), b.rank(x), &axis));
  const int rank = b.rank(*second), behind = b.rank(x) - axis - rank;
  if (behind < 0)
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: axis %d for ranks %d and %d", n.type().c_str(), axis, b.rank(x), rank);
  std::vector<int64_t> dims;
  for (int i = 0; i < rank; ++i) dims.push_back(Builder::same(i));
  dims.insert(dims.end(), (size_t)behind, 1);
  if (behind > 0) *second = b.reshape(*second, dims);
  return TERN_OK;
}

tern_status lower_binary(OnnxNode& n) {
  ValueId y = n.in(1);
  if (n.opset < 7) TERN_TRY(align_operand(n, &y));
  TERN_TRY(n.b.status());
  if (n.opset < 7 && n.type() == "PRelu" && n.b.rank(y) == 1 && n.b.dim(y, 0) != 1) {
    // One slope a channel, which is axis 1.
    std::vector<int64_t> dims((size_t)std::max(1, n.rank(0) - 1), 1);
    dims[0] = Builder::same(0);
    if (n.rank(0) > 2) y = n.b.reshape(y, dims);
  }
  if (n.type() == "PRelu" && is_integer(n.dtype(0))) {
    const ValueId x = n.in(0);
    n.set(0, n.b.op("where", {n.b.op("less", {x, n.b.like(x, 0)}), n.b.mul(x, y), x}));
    return TERN_OK;
  }
  n.set(0, n.b.op(look_up(kBinary, n.type()), {n.in(0), y}));
  return TERN_OK;
}

tern_status lower_variadic(OnnxNode& n) {
  constexpr Names names[] = {{"Max", "max"}, {"Min", "min"}, {"Sum", "add"}, {"Mean", "add"}};
  if (n.num_in() == 0) return TERN_FAIL(TERN_ERR_CORRUPT, "%s has no inputs", n.type().c_str());
  const ValueId first = n.in(0);
  TERN_TRY(n.b.status());
  const bool sums = n.type() == "Sum" || n.type() == "Mean";
  const auto operand = [&](int i) { return sums ? widened(n.b, n.in(i)) : n.in(i); };
  ValueId y = operand(0);
  for (int i = 1; i < n.num_in(); ++i) y = n.b.op(look_up(names, n.type()), {y, operand(i)});
  if (n.type() == "Mean" && n.num_in() > 1) y = n.b.div(y, n.b.like(y, n.num_in()));
  n.set(0, n.b.cast(y, n.b.dtype(first)));
  return TERN_OK;
}

tern_status lower_mod(OnnxNode& n) {
  n.set(0, n.b.op("mod", {n.in(0), n.in(1)}, {{"fmod", n.integer("fmod", 0)}}));
  return TERN_OK;
}

tern_status lower_bit_shift(OnnxNode& n) {
  const std::string direction = n.text("direction", "");
  if (direction != "LEFT" && direction != "RIGHT")
    return TERN_FAIL(TERN_ERR_CORRUPT, "BitShift: direction '%.40s'", direction.c_str());
  n.set(0, n.b.op(direction == "LEFT" ? "shift_left" : "shift_right", {n.in(0), n.in(1)}));
  return TERN_OK;
}

tern_status lower_where(OnnxNode& n) {
  n.set(0, n.b.op("where", {n.in(0), n.in(1), n.in(2)}));
  return TERN_OK;
}

tern_status lower_leaky_relu(OnnxNode& n) {
  n.set(0, n.b.op("leaky_relu", {n.in(0)}, {{"alpha", n.number("alpha", 0.01)}}));
  return TERN_OK;
}

tern_status lower_elu(OnnxNode& n) {
  n.set(0, n.b.op("elu", {n.in(0)}, {{"alpha", n.number("alpha", 1)}}));
  return TERN_OK;
}

tern_status lower_celu(OnnxNode& n) {
  n.set(0, n.b.op("celu", {n.in(0)}, {{"alpha", n.number("alpha", 1)}}));
  return TERN_OK;
}

tern_status lower_selu(OnnxNode& n) {
  n.set(0, n.b.op("selu", {n.in(0)},
                  {{"alpha", n.number("alpha", 1.67326319217681884765625)},
                   {"gamma", n.number("gamma", 1.05070102214813232421875)}}));
  return TERN_OK;
}

tern_status lower_thresholded_relu(OnnxNode& n) {
  n.set(0, n.b.op("thresholded_relu", {n.in(0)}, {{"alpha", n.number("alpha", 1)}}));
  return TERN_OK;
}

tern_status lower_hard_sigmoid(OnnxNode& n) {
  n.set(0, n.b.op("hard_sigmoid", {n.in(0)}, {{"alpha", n.number("alpha", 0.2)}, {"beta", n.number("beta", 0.5)}}));
  return TERN_OK;
}

tern_status lower_gelu(OnnxNode& n) {
  n.set(0, n.b.op("gelu", {n.in(0)}, {{"approximate", n.text("approximate", "none").c_str()}}));
  return TERN_OK;
}

tern_status lower_is_inf(OnnxNode& n) {
  n.set(0, n.b.op("is_inf", {n.in(0)},
                  {{"positive", n.integer("detect_positive", 1)}, {"negative", n.integer("detect_negative", 1)}}));
  return TERN_OK;
}

// y = x - bias where x > lambd, x + bias where x < -lambd, else 0. Integers are shrunk as numbers and lose the fraction
// after.
tern_status lower_shrink(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId in = n.in(0);
  TERN_TRY(b.status());
  const DType dtype = b.dtype(in);
  const ValueId x = is_float(dtype) ? in : b.cast(in, TERN_DTYPE_F64);
  const double bias = n.number("bias", 0), lambd = n.number("lambd", 0.5);
  const ValueId low = b.op("where", {b.op("less", {x, b.like(x, -lambd)}), b.add(x, b.like(x, bias)), b.like(x, 0)});
  n.set(0, b.cast(b.op("where", {b.op("greater", {x, b.like(x, lambd)}), b.sub(x, b.like(x, bias)), low}), dtype));
  return TERN_OK;
}

tern_status lower_clip(OnnxNode& n) {
  Builder& b = n.b;
  ValueId x = n.in(0);
  TERN_TRY(b.status());
  double lo = -std::numeric_limits<double>::infinity(), hi = -lo;
  ValueId lower = kNoValue, upper = kNoValue;
  if (n.has_attribute("min")) lo = n.number("min", lo);
  if (n.has_attribute("max")) hi = n.number("max", hi);
  // Bounds of old versions are attributes; those at the ends of f32 mean none.
  if (lo <= -3.4028234e38) lo = -std::numeric_limits<double>::infinity();
  if (hi >= 3.4028234e38) hi = std::numeric_limits<double>::infinity();
  bool numbers = is_float(b.dtype(x));
  for (int i = 1; i <= 2; ++i) {
    const ValueId bound = n.constant_in(i);
    if (bound == kNoValue) continue;
    (i == 1 ? lower : upper) = bound;
    const auto known = b.known_number(bound);
    if (known && *known == *known) (i == 1 ? lo : hi) = *known;
    else numbers = false;
  }
  if (numbers) {
    x = b.op("clip", {x}, {{"min", lo}, {"max", hi}});
  } else {
    if (lower == kNoValue && lo > -1e300) lower = b.like(x, lo);
    if (upper == kNoValue && hi < 1e300) upper = b.like(x, hi);
    if (lower != kNoValue) x = b.op("max", {x, lower});
    if (upper != kNoValue) x = b.op("min", {x, upper});
  }
  n.set(0, x);
  return TERN_OK;
}

// Does every number of a float type have the same value in the other?
bool widens(DType from, DType to) {
  return from == to || to == TERN_DTYPE_F64 || (to == TERN_DTYPE_F32 && from != TERN_DTYPE_F64);
}

// The content of a weight rounded to another float type.
TensorData rounded(const TensorData& t, DType to) {
  TensorData r;
  r.name = t.name;
  r.dtype = to;
  r.shape = t.shape;
  void* p = nullptr;
  r.data = make_data(r.bytes(), &p);
  for (int64_t i = 0, n = r.elements(); i < n; ++i) store_element(to, p, i, t.load(i));
  return r;
}

// A weight seen through a cast to a float type stays a weight: its content as it is where the type holds every number,
// else rounded here.
tern_status cast_to(OnnxNode& n, DType to) {
  DType as = TERN_DTYPE_NONE;
  const TensorData* t = n.weight(0, &as);
  if (t && t->elements() > 1 && is_float(to) && is_float(as)) {
    Operand o;
    if (widens(t->dtype, to)) {
      o.tensor = n.operand(0)->tensor;
      o.as = to;
    } else {
      o.tensor = std::make_shared<TensorData>(rounded(*t, to));
    }
    n.set_operand(0, std::move(o));
    return TERN_OK;
  }
  const ValueId x = n.constant_in(0);
  if (n.b.status() == TERN_OK && n.b.dtype(x) == to) {
    n.pass();
    return TERN_OK;
  }
  n.set(0, n.b.cast(x, to));
  return TERN_OK;
}

tern_status lower_cast(OnnxNode& n) {
  const DType to = onnx_dtype(n.integer("to", 0));
  n.integer("saturate", 1);  // this and the next: of floats that Tern lacks
  n.text("round_mode", "up");
  if (to == TERN_DTYPE_NONE) return n.unsupported("to element type " + std::to_string(n.integer("to", 0)));
  return cast_to(n, to);
}

tern_status lower_cast_like(OnnxNode& n) {
  n.integer("saturate", 1);
  n.text("round_mode", "up");
  return cast_to(n, n.dtype(1));
}

tern_status lower_bit_cast(OnnxNode& n) {
  const DType to = onnx_dtype(n.integer("to", 0));
  if (to == TERN_DTYPE_NONE) return n.unsupported("to element type " + std::to_string(n.integer("to", 0)));
  n.set(0, n.b.op("bitcast", {n.in(0)}, {{"to", (int64_t)to}}));
  return TERN_OK;
}

// ---- reductions ----

// Axes from the attribute (old versions) or the input; *none: neither, or empty.
tern_status reduce_axes(OnnxNode& n, IntList* axes, bool* none) {
  std::vector<int64_t> list;
  bool given = false;
  TERN_TRY(n.integers_in(1, "axes", &list, &given));
  if (list.size() > (size_t)kMaxRank) return TERN_FAIL(TERN_ERR_CORRUPT, "%s: %zu axes", n.type().c_str(), list.size());
  const int rank = n.rank(0);
  for (int64_t& a : list) {
    int axis = 0;
    TERN_TRY(n.axis(a, rank, &axis));
    a = axis;
  }
  *none = list.empty();
  *axes = int_list(list);
  return TERN_OK;
}

tern_status lower_reduce(OnnxNode& n) {
  Builder& b = n.b;
  IntList axes;
  bool none = false;
  const int64_t keep = n.integer("keepdims", 1), noop = n.integer("noop_with_empty_axes", 0);
  ValueId x = n.in(0);
  TERN_TRY(b.status());
  TERN_TRY(reduce_axes(n, &axes, &none));
  const std::string& type = n.type();
  constexpr Names names[] = {{"ReduceMean", "reduce_mean"},
                             {"ReduceMax", "reduce_max"},
                             {"ReduceMin", "reduce_min"},
                             {"ReduceProd", "reduce_prod"},
                             {"ReduceSum", "reduce_sum"}};
  const char* const name = look_up(names, type);
  if (*name != '?' && none && noop) {
    n.pass();
    return TERN_OK;
  }
  // No axes: all of them, or of a scalar none, for which there is nothing to do.
  const Attrs attrs = {{"axes", axes}, {"keep_dims", keep != 0}};
  if (*name != '?') {
    n.set(0, b.op(name, {x}, attrs));
    return TERN_OK;
  }
  // Squares, roots and logarithms of halves are kept in f32 between the steps; roots and logarithms of integers in f64.
  const DType dtype = b.dtype(x);
  const bool exact = type == "ReduceL1" || type == "ReduceSumSquare";
  if (dtype == TERN_DTYPE_F16 || dtype == TERN_DTYPE_BF16) x = b.cast(x, TERN_DTYPE_F32);
  else if (!is_float(dtype) && !exact) x = b.cast(x, TERN_DTYPE_F64);
  if (type == "ReduceL1") x = b.op("abs", {x});
  if (type == "ReduceL2" || type == "ReduceSumSquare") x = b.mul(x, x);
  const auto sum = [&](ValueId v) { return none && noop ? v : b.op("reduce_sum", {v}, attrs); };
  if (type == "ReduceLogSumExp" && !(none && noop)) {
    // Bounded, since infinity less infinity is no number.
    const double most =
        b.dtype(x) == TERN_DTYPE_F64 ? std::numeric_limits<double>::max() : std::numeric_limits<float>::max();
    const ValueId top =
        b.op("clip", {b.op("reduce_max", {x}, {{"axes", axes}, {"keep_dims", 1}})}, {{"min", -most}, {"max", most}});
    const ValueId exps = b.op("exp", {b.sub(x, top)});
    x = b.add(b.op("log", {sum(exps)}), keep ? top : b.op("reduce_max", {x}, attrs));
  } else if (type != "ReduceLogSumExp") {
    x = sum(x);
    if (type == "ReduceL2") x = b.op("sqrt", {x});
    if (type == "ReduceLogSum") x = b.op("log", {x});
  }
  n.set(0, b.cast(x, dtype));
  return TERN_OK;
}

tern_status lower_arg(OnnxNode& n) {
  int axis = 0;
  TERN_TRY(n.axis(n.integer("axis", 0), n.rank(0), &axis));
  n.set(0, n.b.op(n.type() == "ArgMax" ? "arg_max" : "arg_min", {n.in(0)},
                  {{"axis", axis},
                   {"keep_dims", n.integer("keepdims", 1) != 0},
                   {"last_index", n.integer("select_last_index", 0) != 0}}));
  return TERN_OK;
}

tern_status lower_cumsum(OnnxNode& n) {
  std::vector<int64_t> list;
  bool given = false;
  TERN_TRY(n.integers_in(1, nullptr, &list, &given));
  if (list.size() != 1) return TERN_FAIL(TERN_ERR_CORRUPT, "CumSum: %zu axes", list.size());
  int axis = 0;
  TERN_TRY(n.axis(list[0], n.rank(0), &axis));
  n.set(0, n.b.op("cumsum", {n.in(0)},
                  {{"axis", axis},
                   {"exclusive", n.integer("exclusive", 0) != 0},
                   {"reverse", n.integer("reverse", 0) != 0}}));
  return TERN_OK;
}

// Each step multiplies by what lies 1, 2, 4, ... places before.
tern_status lower_cumprod(OnnxNode& n) {
  Builder& b = n.b;
  std::vector<int64_t> list;
  bool given = false;
  TERN_TRY(n.integers_in(1, nullptr, &list, &given));
  if (list.size() != 1) return TERN_FAIL(TERN_ERR_CORRUPT, "CumProd: %zu axes", list.size());
  ValueId y = n.in(0);
  TERN_TRY(b.status());
  const int rank = b.rank(y);
  int axis = 0;
  TERN_TRY(n.axis(list[0], rank, &axis));
  const int64_t size = b.dim(y, axis);
  if (size < 0) return n.unsupported("over a size that varies");
  const bool exclusive = n.integer("exclusive", 0) != 0, reverse = n.integer("reverse", 0) != 0;
  const auto moved = [&](ValueId v, int64_t places) {
    IntList before, after;
    before.count = after.count = rank;
    (reverse ? after : before)[axis] = places;
    (reverse ? before : after)[axis] = -places;
    return b.op("pad", {v}, {{"before", before}, {"after", after}, {"value", 1.0}});
  };
  if (exclusive && size > 0) y = moved(y, 1);
  for (int64_t places = 1; places < size; places *= 2) y = b.mul(y, moved(y, places));
  n.set(0, y);
  return TERN_OK;
}

// Softmax, LogSoftmax, Hardmax. Before version 13 all dims from `axis` on are one.
tern_status lower_softmax(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  const int rank = b.rank(x);
  int axis = 0;
  const int64_t given = n.integer("axis", n.opset < 13 ? 1 : -1);
  TERN_TRY(n.axis(given == rank && n.opset < 13 ? rank - 1 : given, rank, &axis));
  bool flatten = false;
  if (n.opset < 13)
    for (int i = axis + 1; i < rank; ++i) flatten = flatten || b.dim(x, i) != 1;
  ValueId in = x;
  if (flatten) {
    in =
        b.op("reshape", {x, b.op("concat", {b.size_of_axes(x, 0, axis), b.size_of_axes(x, axis, rank)}, {{"axis", 0}})},
             {{"allow_zero", 1}});
  }
  const int64_t at = flatten ? 1 : axis;
  ValueId y;
  if (n.type() == "Hardmax") {
    const ValueId winner = b.op("arg_max", {in}, {{"axis", at}, {"keep_dims", 0}});
    const DType dtype = b.dtype(x);
    unsigned char values[16] = {};
    store_element(dtype, values, 1, 1);
    const ValueId off_on = b.constant(dtype, Shape{2}, values);
    y = b.op("one_hot", {winner, b.reshape(b.size_of_axes(in, (int)at, (int)at + 1), {}), off_on}, {{"axis", at}});
  } else {
    y = b.op(n.type() == "Softmax" ? "softmax" : "log_softmax", {in}, {{"axis", at}});
  }
  if (flatten) {
    std::vector<int64_t> dims;
    bool fixed = true;
    for (int i = 0; i < rank; ++i) dims.push_back(b.dim(x, i)), fixed = fixed && dims.back() >= 0;
    y = b.op("reshape", {y, fixed ? b.integers(dims) : b.shape_of(x)}, {{"allow_zero", 1}});
  }
  n.set(0, y);
  return TERN_OK;
}

// ---- products ----

bool panel_dtype(DType d) { return d == TERN_DTYPE_F32 || d == TERN_DTYPE_F16; }

// linear's weight [N,K] from a constant matrix; kNoValue if the operand is none.
ValueId linear_weight(OnnxNode& n, int i, bool is_kn) {
  DType as = TERN_DTYPE_NONE;
  const TensorData* t = n.weight(i, &as);
  if (!t || t->shape.rank != 2 || !panel_dtype(t->dtype) || as == TERN_DTYPE_F64 || t->elements() == 0) return kNoValue;
  const int64_t swap[] = {1, 0};
  return n.b.parameter_once(t->data, is_kn ? "linear kn" : "linear nk",
                            [&] { return n.b.panel_parameter(is_kn ? permute(*t, swap) : *t); });
}

tern_status lower_matmul(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  if (b.rank(x) >= 1 && panel_dtype(b.dtype(x))) {
    const ValueId w = linear_weight(n, 1, true);
    if (w != kNoValue && (b.dtype(x) == TERN_DTYPE_F32 || b.dtype(x) == b.dtype(w))) {
      n.set(0, b.op("linear", {x, w}));
      return TERN_OK;
    }
  }
  n.set(0, b.op("matmul", {x, n.in(1)}));
  return TERN_OK;
}

tern_status lower_gemm(OnnxNode& n) {
  Builder& b = n.b;
  const double alpha = n.number("alpha", 1), beta = n.number("beta", 1);
  const bool ta = n.integer("transA", 0) != 0, tb = n.integer("transB", 0) != 0;
  ValueId a = n.in(0);
  TERN_TRY(b.status());
  if (b.rank(a) != 2) return TERN_FAIL(TERN_ERR_SHAPE, "Gemm: input 0 has rank %d instead of 2", b.rank(a));
  n.integer("broadcast", 1);
  const DType dtype = b.dtype(a);
  a = widened(b, a);
  ValueId w = kNoValue;
  if (b.dtype(a) == TERN_DTYPE_F32 && alpha == 1) w = linear_weight(n, 1, !tb);
  ValueId y;
  bool biased = false;
  if (w != kNoValue) {
    if (ta) a = b.transpose(a, {1, 0});
    std::vector<ValueId> in{a, w};
    DType as = TERN_DTYPE_NONE;
    const TensorData* bias = beta == 1 ? n.weight(2, &as) : nullptr;
    const int64_t outputs = b.value(w).shape[0];
    if (bias && as == TERN_DTYPE_F32 && bias->dtype == TERN_DTYPE_F32 && bias->elements() == outputs &&
        bias->shape.rank >= 1 && bias->shape[bias->shape.rank - 1] == outputs) {
      in.push_back(b.parameter(with_shape(*bias, Shape{outputs})));
      biased = true;
    }
    y = b.op("linear", in);
  } else {
    y = b.op("matmul", {a, widened(b, n.in(1))}, {{"transpose_a", ta}, {"transpose_b", tb}});
    if (alpha != 1) y = b.mul(y, b.like(y, alpha));
  }
  if (n.has(2) && !biased && beta != 0) {
    ValueId c = widened(b, n.in(2));
    if (beta != 1) c = b.mul(c, b.like(c, beta));
    y = b.add(y, c);
  }
  n.set(0, b.cast(y, dtype));
  return TERN_OK;
}

// Einstein sums, letters once each per operand (or a diagonal); several operands are joined from the left.
struct Term {
  std::string letters;
  ValueId value;
};

ValueId sum_letters(Builder& b, Term& t, const std::string& keep) {
  IntList axes;
  std::string left;
  for (size_t i = 0; i < t.letters.size(); ++i) {
    if (keep.find(t.letters[i]) == std::string::npos) axes.items[axes.count++] = (int64_t)i;
    else left += t.letters[i];
  }
  t.letters = left;
  return axes.count ? b.op("reduce_sum", {t.value}, {{"axes", axes}, {"keep_dims", 0}}) : t.value;
}

// The product of two terms, summed over the letters that both have and `keep` lacks.
Term product_of(Builder& b, const Term& x, const Term& y, const std::string& keep) {
  std::string batch, rows, columns, inner;
  for (char c : x.letters) {
    const bool in_y = y.letters.find(c) != std::string::npos, kept = keep.find(c) != std::string::npos;
    (in_y ? (kept ? batch : inner) : rows) += c;
  }
  for (char c : y.letters)
    if (x.letters.find(c) == std::string::npos) columns += c;
  const auto arrange = [&](const Term& t, const std::string& order) {
    std::vector<int64_t> p;
    for (char l : order) p.push_back((int64_t)t.letters.find(l));
    return b.transpose(t.value, p);
  };
  // [batch.., rows, inner] x [batch.., inner, columns]; groups of letters become one dim each.
  const ValueId xa = arrange(x, batch + rows + inner), ya = arrange(y, batch + inner + columns);
  const int nb = (int)batch.size(), nr = (int)rows.size(), nc = (int)columns.size(), ni = (int)inner.size();
  const auto grouped = [&](ValueId v, int first, int second) {
    if (first == 1 && second == 1) return v;
    std::vector<ValueId> parts;
    for (int i = 0; i < nb; ++i) parts.push_back(b.size_of_axes(v, i, i + 1));
    parts.push_back(b.size_of_axes(v, nb, nb + first));
    parts.push_back(b.size_of_axes(v, nb + first, nb + first + second));
    return b.op("reshape", {v, b.op("concat", parts, {{"axis", 0}})}, {{"allow_zero", 1}});
  };
  const ValueId product = b.op("matmul", {grouped(xa, nr, ni), grouped(ya, ni, nc)});
  if (b.status() != TERN_OK || (nr == 1 && nc == 1)) return {batch + rows + columns, product};
  std::vector<ValueId> parts;
  for (int i = 0; i < nb; ++i) parts.push_back(b.size_of_axes(product, i, i + 1));  // an axis of 1 meets a longer one
  for (int i = 0; i < nr; ++i) parts.push_back(b.size_of_axes(xa, nb + i, nb + i + 1));
  for (int i = 0; i < nc; ++i) parts.push_back(b.size_of_axes(ya, nb + ni + i, nb + ni + i + 1));
  if (parts.empty()) return {"", b.op("reshape", {product}, {{"shape", IntList{}}})};
  return {batch + rows + columns,
          b.op("reshape", {product, parts.size() == 1 ? parts[0] : b.op("concat", parts, {{"axis", 0}})},
               {{"allow_zero", 1}})};
}

tern_status lower_einsum(OnnxNode& n) {
  Builder& b = n.b;
  std::string equation;
  for (char c : n.text("equation", ""))
    if (c != ' ') equation += c;
  const size_t arrow = equation.find("->");
  std::string left = equation.substr(0, arrow), out;
  std::vector<Term> terms;
  std::vector<ValueId> ins = n.ins();
  TERN_TRY(b.status());
  size_t start = 0;
  for (int i = 0; i < n.num_in(); ++i) {
    if (start > left.size())
      return TERN_FAIL(TERN_ERR_CORRUPT, "Einsum: '%.80s' has fewer terms than inputs", equation.c_str());
    const size_t comma = std::min(left.find(',', start), left.size());
    terms.push_back({left.substr(start, comma - start), ins[(size_t)i]});
    start = comma + 1;
  }
  // "...": letters of their own for the axes that have none.
  int most = 0;
  for (Term& t : terms) {
    const size_t dots = t.letters.find("...");
    if (dots == std::string::npos) {
      if ((int)t.letters.size() != b.rank(t.value))
        return TERN_FAIL(TERN_ERR_SHAPE, "Einsum: '%.80s' does not fit the ranks", equation.c_str());
      continue;
    }
    const int extra = b.rank(t.value) - ((int)t.letters.size() - 3);
    if (extra < 0) return TERN_FAIL(TERN_ERR_SHAPE, "Einsum: '%.80s' does not fit the ranks", equation.c_str());
    std::string letters;
    for (int i = extra; i > 0; --i) letters += (char)('0' + i);
    t.letters.replace(dots, 3, letters);
    most = std::max(most, extra);
  }
  if (arrow != std::string::npos) {
    out = equation.substr(arrow + 2);
    const size_t dots = out.find("...");
    if (dots != std::string::npos) {
      std::string letters;
      for (int i = most; i > 0; --i) letters += (char)('0' + i);
      out.replace(dots, 3, letters);
    }
  } else {
    std::map<char, int> count;
    for (const Term& t : terms)
      for (char c : t.letters) ++count[c];
    // The axes of "..." in their order, then the letters that stand once, sorted.
    for (int i = most; i > 0; --i) out += (char)('0' + i);
    for (const auto& [c, k] : count)
      if (k == 1 && c >= 'A') out += c;
  }
  for (Term& t : terms) {
    // A letter twice in one operand: its diagonal, taken with a mask of ones.
    for (size_t i = 0; i < t.letters.size(); ++i) {
      const size_t k = t.letters.find(t.letters[i], i + 1);
      if (k == std::string::npos) continue;
      const int64_t d = b.dim(t.value, (int)i);
      if (d < 0 || d > 1024 || d != b.dim(t.value, (int)k)) return n.unsupported("diagonal of a size that varies");
      Shape shape;
      for (int a = 0; a < b.rank(t.value); ++a) shape.push(a == (int)i || a == (int)k ? d : 1);
      const DType dtype = b.dtype(t.value);
      std::vector<unsigned char> eye((size_t)(d * d));
      for (int64_t e = 0; e < d; ++e) eye[(size_t)(e * d + e)] = 1;
      const ValueId diagonal =
          b.op("where", {b.constant(TERN_DTYPE_BOOL, shape, eye.data()), t.value, b.scalar(dtype, 0)});
      t.value = b.op("reduce_sum", {diagonal}, {{"axes", IntList{(int64_t)k}}, {"keep_dims", 0}});
      t.letters.erase(k, 1);
      --i;
    }
  }
  for (char c : out)
    if (std::count(out.begin(), out.end(), c) != 1)
      return TERN_FAIL(TERN_ERR_CORRUPT, "Einsum: '%.80s' repeats an output", equation.c_str());
  const auto rest = [&](size_t from) {
    std::string letters = out;
    for (size_t i = from; i < terms.size(); ++i) letters += terms[i].letters;
    return letters;
  };
  Term result = terms[0];
  result.value = sum_letters(b, result, rest(1));
  for (size_t i = 1; i < terms.size(); ++i) {
    terms[i].value = sum_letters(b, terms[i], result.letters + rest(i + 1));
    result.value = sum_letters(b, result, terms[i].letters + rest(i + 1));
    TERN_TRY(b.status());
    result = product_of(b, result, terms[i], rest(i + 1));
    TERN_TRY(b.status());
  }
  std::vector<int64_t> p;
  for (char c : out) {
    const size_t at = result.letters.find(c);
    if (at == std::string::npos)
      return TERN_FAIL(TERN_ERR_CORRUPT, "Einsum: '%.80s' has an output without input", equation.c_str());
    p.push_back((int64_t)at);
  }
  TERN_TRY(b.status());
  n.set(0, b.transpose(result.value, p));
  return TERN_OK;
}

// The determinant of each matrix [.., n, n]: elimination with the largest entry of a column as pivot, one step after
// the other.
tern_status lower_det(OnnxNode& n) {
  Builder& b = n.b;
  const ValueId x = n.in(0);
  TERN_TRY(b.status());
  const int rank = b.rank(x);
  if (rank < 2) return TERN_FAIL(TERN_ERR_SHAPE, "Det: input 0 has rank %d", rank);
  const int64_t size = b.dim(x, rank - 1);
  if (size < 0 || b.dim(x, rank - 2) != size) return n.unsupported("of matrices whose size varies");
  constexpr int64_t kMost = 32;
  if (size > kMost) return n.unsupported("of matrices with more than 32 rows");
  const auto zero = b.scalar(TERN_DTYPE_F64, 0), one = b.scalar(TERN_DTYPE_F64, 1), two = b.integer(2);
  ValueId m = b.op("reshape",
                   {b.cast(x, TERN_DTYPE_F64),
                    b.op("concat", {b.size_of_axes(x, 0, rank - 2), b.integers({size, size})}, {{"axis", 0}})},
                   {{"allow_zero", 1}});
  ValueId det = b.op("expand", {one, b.size_of_axes(x, 0, rank - 2)});
  const Attrs by_batch = {{"batch_dims", 1}}, last = {{"axis", -1}};
  const auto column = [&](ValueId v) { return b.op("gather", {v, b.integer(0)}, last); };
  const auto other_columns = [&](ValueId v, int64_t count) {
    return b.op("gather", {v, b.op("range", {b.integer(1), b.integer(count), b.integer(1)})}, last);
  };
  const auto as_column = [&](ValueId v, int dims) {
    IntList shape{-1, 1};
    if (dims == 3) shape = IntList{0, 0, 1};
    return b.op("reshape", {v}, {{"shape", shape}});
  };
  for (int64_t left = size; left > 0 && b.status() == TERN_OK; --left) {
    const ValueId place = b.op("arg_max", {b.op("abs", {column(m)})}, {{"axis", 1}, {"keep_dims", 0}});
    const ValueId row = b.op("gather_nd", {m, as_column(place, 2)}, by_batch), pivot = column(row);
    // Moving the row to the top swaps it with each one above.
    const ValueId odd = b.cast(b.op("mod", {place, two}), TERN_DTYPE_F64);
    det = b.mul(b.mul(det, pivot), b.sub(one, b.add(odd, odd)));
    if (left == 1) break;
    const ValueId counted = b.op("range", {b.integer(0), b.integer(left - 1), b.integer(1)});
    const ValueId beyond = b.cast(b.op("greater_equal", {counted, as_column(place, 2)}), TERN_DTYPE_I64);
    const ValueId rest = b.op("gather_nd", {m, as_column(b.add(counted, beyond), 3)}, by_batch);
    const ValueId divisor = b.op("where", {b.op("equal", {pivot, zero}), one, pivot});
    const ValueId factor = as_column(b.div(column(rest), as_column(divisor, 2)), 3);
    const ValueId top = b.op("reshape", {other_columns(row, left)}, {{"shape", IntList{-1, 1, left - 1}}});
    m = b.sub(other_columns(rest, left), b.mul(factor, top));
  }
  det = b.cast(det, b.dtype(x));
  if (rank == 2) n.set(0, b.op("reshape", {det}, {{"shape", IntList{}}}));
  else n.set(0, b.op("reshape", {det, b.op("shape", {x}, {{"start", 0}, {"end", rank - 2}})}, {{"allow_zero", 1}}));
  return TERN_OK;
}

// ---- tables ----

// 0, 1, ... size-1 for a known size, run through a window function.
tern_status lower_window(OnnxNode& n) {
  const auto size = n.b.known_number(n.constant_in(0));
  const bool periodic = n.integer("periodic", 1) != 0;
  const DType dtype = onnx_dtype(n.integer("output_datatype", 1));
  if (!size) return n.unsupported("size depends on data");
  if (!is_float(dtype) || *size < 0 || *size > (1 << 20)) return n.unsupported("size or element type");
  const int64_t count = (int64_t)*size;
  double a0 = 0.5, a1 = 0.5, a2 = 0;
  if (n.type() == "HammingWindow") a0 = 25.0 / 46.0, a1 = 1 - a0;
  if (n.type() == "BlackmanWindow") a0 = 0.42, a2 = 0.08;
  const double turns = 2 * 3.14159265358979323846 / (double)(periodic ? count : count - 1);
  std::vector<unsigned char> values((size_t)count * dtype_size(dtype));
  for (int64_t i = 0; i < count; ++i)
    store_element(dtype, values.data(), i,
                  a0 - a1 * std::cos(turns * (double)i) + a2 * std::cos(2 * turns * (double)i));
  n.set(0, n.b.constant(dtype, Shape{count}, values.data()));
  return TERN_OK;
}

constexpr OnnxOp kOps[] = {
    {"Abs", lower_unary},
    {"Neg", lower_unary},
    {"Sign", lower_unary},
    {"Floor", lower_unary},
    {"Ceil", lower_unary},
    {"Round", lower_unary},
    {"Sqrt", lower_unary},
    {"Reciprocal", lower_unary},
    {"Exp", lower_unary},
    {"Log", lower_unary},
    {"Sin", lower_unary},
    {"Cos", lower_unary},
    {"Tan", lower_unary},
    {"Asin", lower_unary},
    {"Acos", lower_unary},
    {"Atan", lower_unary},
    {"Sinh", lower_unary},
    {"Cosh", lower_unary},
    {"Tanh", lower_unary},
    {"Asinh", lower_unary},
    {"Acosh", lower_unary},
    {"Atanh", lower_unary},
    {"Erf", lower_unary},
    {"Sigmoid", lower_unary},
    {"Relu", lower_unary},
    {"Softplus", lower_unary},
    {"Softsign", lower_unary},
    {"HardSwish", lower_unary},
    {"Mish", lower_unary},
    {"Not", lower_unary},
    {"IsNaN", lower_unary},
    {"BitwiseNot", lower_unary},
    {"Add", lower_binary},
    {"Sub", lower_binary},
    {"Mul", lower_binary},
    {"Div", lower_binary},
    {"Equal", lower_binary},
    {"Less", lower_binary},
    {"Greater", lower_binary},
    {"LessOrEqual", lower_binary},
    {"GreaterOrEqual", lower_binary},
    {"And", lower_binary},
    {"Or", lower_binary},
    {"Xor", lower_binary},
    {"BitwiseAnd", lower_binary},
    {"BitwiseOr", lower_binary},
    {"BitwiseXor", lower_binary},
    {"Pow", lower_binary},
    {"PRelu", lower_binary},
    {"Max", lower_variadic},
    {"Min", lower_variadic},
    {"Sum", lower_variadic},
    {"Mean", lower_variadic},
    {"Mod", lower_mod},
    {"BitShift", lower_bit_shift},
    {"Where", lower_where},
    {"LeakyRelu", lower_leaky_relu},
    {"Elu", lower_elu},
    {"Celu", lower_celu},
    {"Selu", lower_selu},
    {"ThresholdedRelu", lower_thresholded_relu},
    {"HardSigmoid", lower_hard_sigmoid},
    {"Gelu", lower_gelu},
    {"IsInf", lower_is_inf},
    {"Shrink", lower_shrink},
    {"Clip", lower_clip},
    {"Cast", lower_cast},
    {"CastLike", lower_cast_like},
    {"BitCast", lower_bit_cast},
    {"ReduceSum", lower_reduce},
    {"ReduceMean", lower_reduce},
    {"ReduceMax", lower_reduce},
    {"ReduceMin", lower_reduce},
    {"ReduceProd", lower_reduce},
    {"ReduceL1", lower_reduce},
    {"ReduceL2", lower_reduce},
    {"ReduceLogSum", lower_reduce},
    {"ReduceLogSumExp", lower_reduce},
    {"ReduceSumSquare", lower_reduce},
    {"ArgMax", lower_arg},
    {"ArgMin", lower_arg},
    {"CumSum", lower_cumsum},
    {"CumProd", lower_cumprod},
    {"Softmax", lower_softmax},
    {"LogSoftmax", lower_softmax},
    {"Hardmax", lower_softmax},
    {"MatMul", lower_matmul},
    {"Gemm", lower_gemm},
    {"Det", lower_det},
    {"Einsum", lower_einsum},
    {"HannWindow", lower_window},
    {"HammingWindow", lower_window},
    {"BlackmanWindow", lower_window},
};

}  // namespace

std::span<const OnnxOp> onnx_math_ops() { return kOps; }

}  // namespace tern
