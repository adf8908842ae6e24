// SPDX-License-Identifier: Apache-2.0
// Element-wise operators, chains of them, selection and casts.
#include <cmath>
#include <string_view>

#include "backends/cpu/prepare.h"
#include "kernels/cpu/chain.h"
#include "kernels/cpu/elementwise.h"
#include "ops/elementwise.h"

namespace tern::cpu {
namespace {

struct UnaryName {
  const char* op;
  Unary unary;
  bool integers = false;  // i32 and i64 too
};
constexpr UnaryName kUnary[] = {
    {"neg", Unary::neg, true},
    {"abs", Unary::abs, true},
    {"sign", Unary::sign, true},
    {"square", Unary::square, true},
    {"relu", Unary::relu, true},
    {"clip", Unary::clip},
    {"leaky_relu", Unary::leaky_relu},
    {"elu", Unary::elu},
    {"selu", Unary::selu},
    {"celu", Unary::celu},
    {"exp", Unary::exp},
    {"log", Unary::log},
    {"sqrt", Unary::sqrt},
    {"rsqrt", Unary::rsqrt},
    {"reciprocal", Unary::reciprocal},
    {"floor", Unary::floor},
    {"ceil", Unary::ceil},
    {"round", Unary::round},
    {"round_ste", Unary::round},
    {"sin", Unary::sin},
    {"cos", Unary::cos},
    {"tan", Unary::tan},
    {"asin", Unary::asin},
    {"acos", Unary::acos},
    {"atan", Unary::atan},
    {"sinh", Unary::sinh},
    {"cosh", Unary::cosh},
    {"asinh", Unary::asinh},
    {"acosh", Unary::acosh},
    {"atanh", Unary::atanh},
    {"tanh", Unary::tanh},
    {"sigmoid", Unary::sigmoid},
    {"erf", Unary::erf},
    {"hard_sigmoid", Unary::hard_sigmoid},
    {"hard_swish", Unary::hard_swish},
    {"silu", Unary::silu},
    {"gelu", Unary::gelu_erf},
    {"softplus", Unary::softplus},
    {"softsign", Unary::softsign},
    {"mish", Unary::mish},
    {"thresholded_relu", Unary::threshold},
    {"is_nan", Unary::is_nan},
    {"is_inf", Unary::is_inf},
    {"stop_gradient", Unary::identity, true},
};

struct BinaryName {
  const char* op;
  Binary binary;
  bool compares = false;
};
constexpr BinaryName kBinary[] = {
    {"add", Binary::add},          {"sub", Binary::sub},
    {"mul", Binary::mul},          {"div", Binary::div},
    {"min", Binary::min},          {"max", Binary::max},
    {"pow", Binary::pow},          {"mod", Binary::mod},
    {"prelu", Binary::prelu},      {"equal", Binary::eq, true},
    {"less", Binary::lt, true},    {"less_equal", Binary::le, true},
    {"greater", Binary::gt, true}, {"greater_equal", Binary::ge, true},
};

const UnaryName* find_unary(const Node& n) {
  for (const UnaryName& u : kUnary)
    if (std::string_view(u.op) == n.op->name) return &u;
  return nullptr;
}
const BinaryName* find_binary(const Node& n) {
  for (const BinaryName& b : kBinary)
    if (std::string_view(b.op) == n.op->name) return &b;
  return nullptr;
}

// The kernel's operation and its two numbers.
Unary unary_of(const Node& n, float* p0, float* p1) {
  Unary u = find_unary(n)->unary;
  switch (u) {
    case Unary::clip: *p0 = (float)n.attrs<ClipAttrs>().min, *p1 = (float)n.attrs<ClipAttrs>().max; break;
    case Unary::leaky_relu: *p0 = (float)n.attrs<LeakyReluAttrs>().alpha; break;
    case Unary::elu: *p0 = (float)n.attrs<EluAttrs>().alpha; break;
    case Unary::selu: *p0 = (float)n.attrs<SeluAttrs>().alpha, *p1 = (float)n.attrs<SeluAttrs>().gamma; break;
    case Unary::celu: *p0 = (float)n.attrs<CeluAttrs>().alpha; break;
    case Unary::threshold: *p0 = (float)n.attrs<ThresholdedReluAttrs>().alpha, *p1 = 0; break;
    case Unary::hard_sigmoid:
      *p0 = (float)n.attrs<HardSigmoidAttrs>().alpha, *p1 = (float)n.attrs<HardSigmoidAttrs>().beta;
      break;
    case Unary::is_inf: *p0 = (float)n.attrs<IsInfAttrs>().negative, *p1 = (float)n.attrs<IsInfAttrs>().positive; break;
    case Unary::gelu_erf:
      if (n.attrs<GeluAttrs>().approximate == kGeluTanh) u = Unary::gelu_tanh;
      break;
    default: break;
  }
  return u;
}

const char* refuse_unary(const Graph& g, const Node& n) {
  const DType d = g.value(n.in[0]).dtype;
  if (!is_plain(g.value(n.in[0]).encoding)) return "the kernel takes plain tensors only";
  if (d == TERN_DTYPE_F32) return nullptr;
  if (find_unary(n)->integers && (d == TERN_DTYPE_I32 || d == TERN_DTYPE_I64)) return nullptr;
  return "the kernel takes f32 only";
}

tern_status prepare_unary(Prepare& p) {
  UnaryArgs& a = p.args<UnaryArgs>();
  a.op = unary_of(p.node, &a.p0, &a.p1);
  a.dtype = p.in(0).dtype;
  a.count = p.out(0).shape.elements();
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.elementwise->unary, &a, units(a), 20e3, 0);
  return TERN_OK;
}

const char* refuse_logical_not(const Graph&, const Node&) { return nullptr; }
tern_status prepare_logical_not(Prepare& p) {
  UnaryArgs& a = p.args<UnaryArgs>();
  a.op = Unary::logical_not;
  a.dtype = TERN_DTYPE_BOOL;
  a.count = p.out(0).shape.elements();
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.elementwise->unary, &a, units(a), 20e3, 0);
  return TERN_OK;
}

const char* refuse_binary(const Graph& g, const Node& n) {
  const DType d = g.value(n.in[0]).dtype;
  if (!is_plain(g.value(n.in[0]).encoding) || !is_plain(g.value(n.in[1]).encoding))
    return "the kernel takes plain tensors only";
  if (g.value(n.in[1]).dtype != d) return "the kernel takes operands of one type only";
  if (d != TERN_DTYPE_F32 && d != TERN_DTYPE_I32 && d != TERN_DTYPE_I64)
    return "the kernel takes f32, i32 and i64 only";
  if (std::string_view(n.op->name) == "div" && d != TERN_DTYPE_F32) return "integers are divided by the reference";
  if (std::string_view(n.op->name) == "prelu" && d != TERN_DTYPE_F32) return "the kernel takes f32 only";
  if ((std::string_view(n.op->name) == "mod" || std::string_view(n.op->name) == "pow") && d != TERN_DTYPE_F32)
    return "the kernel takes f32 only";
  return nullptr;
}

void fill_binary(Prepare& p, BinaryArgs& a) {
  const Shape &x = p.in(0).shape, &z = p.in(1).shape, &y = p.out(0).shape;
  a.dtype = p.in(0).dtype;
  a.rank = y.rank;
  for (int i = 0; i < y.rank; ++i) a.dims[i] = y[i];
  if (y.rank == 0) a.rank = 1, a.dims[0] = 1;
  broadcast_strides(x.rank, x.dims, a.rank, a.dims, a.a_strides);
  broadcast_strides(z.rank, z.dims, a.rank, a.dims, a.b_strides);
  plan(a);
  p.pointer(a.a, p.node.in[0]);
  p.pointer(a.b, p.node.in[1]);
  p.pointer(a.y, p.node.out[0]);
}

tern_status prepare_binary(Prepare& p) {
  BinaryArgs& a = p.args<BinaryArgs>();
  a.op = find_binary(p.node)->binary;
  if (a.op == Binary::mod && p.node.attrs<ModAttrs>().fmod) a.op = Binary::fmod;
  fill_binary(p, a);
  p.call(p.k.elementwise->binary, &a, a.units, 15e3, 0);
  return TERN_OK;
}

const char* refuse_logical(const Graph&, const Node&) { return nullptr; }
tern_status prepare_logical(Prepare& p) {
  BinaryArgs& a = p.args<BinaryArgs>();
  const std::string_view op = p.node.op->name;
  a.op = op == "logical_and" ? Binary::logical_and : op == "logical_or" ? Binary::logical_or : Binary::logical_xor;
  fill_binary(p, a);
  p.call(p.k.elementwise->binary, &a, a.units, 15e3, 0);
  return TERN_OK;
}

const char* refuse_where(const Graph& g, const Node& n) {
  for (int i = 1; i < 3; ++i)
    if (!is_plain(g.value(n.in[(size_t)i]).encoding)) return "the kernel takes plain tensors only";
  return nullptr;
}

tern_status prepare_where(Prepare& p) {
  SelectArgs& a = p.args<SelectArgs>();
  const Shape& y = p.out(0).shape;
  a.elem_size = (int32_t)dtype_size(p.out(0).dtype);
  a.rank = y.rank;
  for (int i = 0; i < y.rank; ++i) a.dims[i] = y[i];
  if (y.rank == 0) a.rank = 1, a.dims[0] = 1;
  broadcast_strides(p.in(0).shape.rank, p.in(0).shape.dims, a.rank, a.dims, a.condition_strides);
  broadcast_strides(p.in(1).shape.rank, p.in(1).shape.dims, a.rank, a.dims, a.a_strides);
  broadcast_strides(p.in(2).shape.rank, p.in(2).shape.dims, a.rank, a.dims, a.b_strides);
  plan(a);
  p.pointer(a.condition, p.node.in[0]);
  p.pointer(a.a, p.node.in[1]);
  p.pointer(a.b, p.node.in[2]);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.elementwise->select, &a, a.units, 15e3, 0);
  return TERN_OK;
}

const char* refuse_cast(const Graph& g, const Node& n) {
  return is_plain(g.value(n.in[0]).encoding) ? nullptr : "the kernel takes plain tensors only";
}

tern_status prepare_cast(Prepare& p) {
  ConvertArgs& a = p.args<ConvertArgs>();
  a.from = p.in(0).dtype;
  a.to = p.out(0).dtype;
  a.count = p.out(0).shape.elements();
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.convert->convert, &a, units(a), 15e3, 0);
  return TERN_OK;
}

// ---- chains ----

// The operand `v` of a chain's sub-graph as the kernel sees it; false if it has none of the forms.
bool chain_operand(const Graph& plan_graph, const Node& fused, ValueId v, ChainArgs& a, ValueId* tensors,
                   const std::vector<int>& step_of, ChainOperand* out) {
  const Graph& sub = fused.subgraphs[0];
  if (step_of[(size_t)v] >= 0) {
    *out = {ChainSource::step, step_of[(size_t)v], 0};
    return true;
  }
  ValueId outer = kNoValue;
  for (size_t i = 0; i < sub.inputs.size(); ++i)
    if (sub.inputs[i] == v) outer = fused.in[i];
  if (outer == kNoValue) return false;
  const Value& value = plan_graph.value(outer);
  if (value.dtype != TERN_DTYPE_F32 || !is_plain(value.encoding)) return false;
  const Shape &s = value.shape, &y = sub.value(sub.outputs[0]).shape;
  if (s.elements() == 1 && value.kind == ValueKind::constant && value.data) {
    *out = {ChainSource::constant, 0, *(const float*)value.data.bytes};
    return true;
  }
  ChainSource source;
  const int64_t channels = y.rank ? y[y.rank - 1] : 1;
  if (s == y) {
    source = ChainSource::tensor;
  } else if (s.rank >= 1 && s[s.rank - 1] == channels && s.elements() == channels) {
    source = ChainSource::channel;
    if (a.group_rows > 0) return false;
  } else if (y.rank == 4 && s.rank == 4 && s[0] == y[0] && s[1] == 1 && s[2] == 1 && s[3] == channels) {
    source = ChainSource::channel;  // a gate for each picture
    if (a.group_rows == 0) return false;
    a.group_rows = y[1] * y[2];
  } else if (s.rank == y.rank && s.rank > 0 && s[s.rank - 1] == 1 && s.elements() * channels == y.elements()) {
    source = ChainSource::row;
  } else {
    return false;
  }
  int index = 0;
  while (index < kChainTensors && tensors[index] != kNoValue && tensors[index] != outer) ++index;
  if (index == kChainTensors) return false;
  tensors[index] = outer;
  if (source == ChainSource::channel && a.group_rows < 0) a.group_rows = 0;
  *out = {source, index, 0};
  return true;
}

// Writes the chain into `a` (pointers aside) and the plan's values of its operands into `tensors`.
bool read_chain(const Graph& g, const Node& fused, ChainArgs& a, ValueId* tensors) {
  const Graph& sub = fused.subgraphs[0];
  if (sub.nodes.size() > (size_t)kChainSteps) return false;
  for (int i = 0; i < kChainTensors; ++i) tensors[i] = kNoValue;
  const Shape& y = sub.value(sub.outputs[0]).shape;
  a.channels = y.rank ? y[y.rank - 1] : 1;
  a.rows = a.channels ? y.elements() / a.channels : 0;
  a.group_rows = -1;  // not known yet
  std::vector<int> step_of(sub.values.size(), -1);
  for (const Node& n : sub.nodes) {
    ChainStep& s = a.step[a.steps];
    if (const UnaryName* u = find_unary(n)) {
      if (u->unary >= Unary::bitwise_not) return false;
      s.unary = unary_of(n, &s.p0, &s.p1);
    } else if (const BinaryName* b = find_binary(n); b && !b->compares) {
      s.is_binary = 1;
      s.binary = b->binary;
      if (s.binary == Binary::mod && n.attrs<ModAttrs>().fmod) s.binary = Binary::fmod;
      if (!chain_operand(g, fused, n.in[1], a, tensors, step_of, &s.b)) return false;
    } else {
      return false;
    }
    if (!chain_operand(g, fused, n.in[0], a, tensors, step_of, &s.a)) return false;
    // Steps work on whole rows: an intermediate result of another shape cannot be one.
    if (!(sub.value(n.out[0]).shape == y) || sub.value(n.out[0]).dtype != TERN_DTYPE_F32) return false;
    step_of[(size_t)n.out[0]] = a.steps++;
  }
  if (a.group_rows < 0) a.group_rows = 0;
  return true;
}

constexpr CpuOp kOps[] = {
#define TERN_UNARY(name) \
  { name, refuse_unary, prepare_unary }
    TERN_UNARY("neg"),
    TERN_UNARY("abs"),
    TERN_UNARY("sign"),
    TERN_UNARY("square"),
    TERN_UNARY("relu"),
    TERN_UNARY("clip"),
    TERN_UNARY("leaky_relu"),
    TERN_UNARY("elu"),
    TERN_UNARY("selu"),
    TERN_UNARY("celu"),
    TERN_UNARY("exp"),
    TERN_UNARY("log"),
    TERN_UNARY("sqrt"),
    TERN_UNARY("rsqrt"),
    TERN_UNARY("reciprocal"),
    TERN_UNARY("floor"),
    TERN_UNARY("ceil"),
    TERN_UNARY("round"),
    TERN_UNARY("round_ste"),
    TERN_UNARY("sin"),
    TERN_UNARY("cos"),
    TERN_UNARY("tan"),
    TERN_UNARY("asin"),
    TERN_UNARY("acos"),
    TERN_UNARY("atan"),
    TERN_UNARY("sinh"),
    TERN_UNARY("cosh"),
    TERN_UNARY("asinh"),
    TERN_UNARY("acosh"),
    TERN_UNARY("atanh"),
    TERN_UNARY("tanh"),
    TERN_UNARY("sigmoid"),
    TERN_UNARY("erf"),
    TERN_UNARY("hard_sigmoid"),
    TERN_UNARY("hard_swish"),
    TERN_UNARY("silu"),
    TERN_UNARY("gelu"),
    TERN_UNARY("softplus"),
    TERN_UNARY("softsign"),
    TERN_UNARY("mish"),
    TERN_UNARY("thresholded_relu"),
    TERN_UNARY("is_nan"),
    TERN_UNARY("is_inf"),
    TERN_UNARY("stop_gradient"),
#undef TERN_UNARY
    {"logical_not", refuse_logical_not, prepare_logical_not},
#define TERN_BINARY(name) \
  { name, refuse_binary, prepare_binary }
    TERN_BINARY("add"),
    TERN_BINARY("sub"),
    TERN_BINARY("mul"),
    TERN_BINARY("div"),
    TERN_BINARY("min"),
    TERN_BINARY("max"),
    TERN_BINARY("pow"),
    TERN_BINARY("mod"),
    TERN_BINARY("prelu"),
    TERN_BINARY("equal"),
    TERN_BINARY("less"),
    TERN_BINARY("less_equal"),
    TERN_BINARY("greater"),
    TERN_BINARY("greater_equal"),
#undef TERN_BINARY
    {"logical_and", refuse_logical, prepare_logical},
    {"logical_or", refuse_logical, prepare_logical},
    {"logical_xor", refuse_logical, prepare_logical},
    {"where", refuse_where, prepare_where},
    {"cast", refuse_cast, prepare_cast},
};

}  // namespace

const char* refuse_fused_chain(const Graph& g, const Node& n) {
  ChainArgs a;
  ValueId tensors[kChainTensors];
  return read_chain(g, n, a, tensors) ? nullptr : "a chain that the kernel does not know";
}

tern_status prepare_fused_chain(Prepare& p) {
  ChainArgs& a = p.args<ChainArgs>();
  ValueId tensors[kChainTensors];
  if (!read_chain(p.g, p.node, a, tensors)) return TERN_FAIL(TERN_ERR_INTERNAL, "chain: unknown form");
  static const float present = 0;
  for (int i = 0; i < kChainTensors; ++i)
    if (tensors[i] != kNoValue) {
      a.tensors[i] = &present;  // plan() wants to see which operands there are
      p.pointer(a.tensors[i], tensors[i]);
    }
  if (!plan(a)) return TERN_FAIL(TERN_ERR_INTERNAL, "chain: not a valid program");
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.chain->chain, &a, a.units, 10e3 * (a.steps + 1), chain_scratch(a));
  return TERN_OK;
}

std::span<const CpuOp> cpu_ops_elementwise() { return kOps; }

}  // namespace tern::cpu
