// SPDX-License-Identifier: Apache-2.0
// Element-wise operators, chains of them, selection and casts.
#include "backends/cpu/prepare.h"
#include "kernels/cpu/chain.h"
#include "kernels/cpu/elementwise.h"

namespace tern::cpu {
namespace {

// Plain operands of one type, and a kernel for it.
const char* refuse_elementwise(const Graph& g, const Node& n) {
  const DType d = g.value(n.in[0]).dtype;
  for (const ValueId v : n.in) {
    if (!is_plain(g.value(v).encoding)) return "the kernel takes plain tensors only";
    if (g.value(v).dtype != d) return "the kernel takes operands of one type only";
  }
  if (d == TERN_DTYPE_F64 && n.in.size() == 1 && n.op->reference) return nullptr;
  return kernels().elementwise->takes(step_of(n).kind, (int)n.in.size(), d) ? nullptr : "no kernel for this type";
}

// Functions of f64 are those of the operator's own loops, which take as long as any call of the C library for each.
struct DoublesArgs {
  const Node* node;
  const void* x;
  void* y;
  DType to;
  int64_t count;
};

void run_doubles(const void* args, int64_t begin, int64_t end, void*) {
  const DoublesArgs& a = *(const DoublesArgs*)args;
  const int64_t first = begin * kUnaryBlock;
  RefTensor x, y;
  x.dtype = TERN_DTYPE_F64, y.dtype = a.to;
  x.shape.rank = 1, x.shape.dims[0] = std::min(end * kUnaryBlock, a.count) - first;
  y.shape = x.shape;
  x.data = (double*)a.x + first;
  y.data = (char*)a.y + first * (int64_t)dtype_size(a.to);
  RefArgs call = {*a.node, &x, &y};
  (void)a.node->op->reference(call);
}

tern_status prepare_doubles(Prepare& p) {
  DoublesArgs& a = p.args<DoublesArgs>();
  a.node = &p.node;
  a.to = p.out(0).dtype;
  a.count = p.out(0).shape.elements();
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  p.call(run_doubles, &a, ceil_div(a.count, kUnaryBlock), 200e3, 0);
  return TERN_OK;
}

tern_status prepare_unary(Prepare& p) {
  if (p.in(0).dtype == TERN_DTYPE_F64 && !p.k.elementwise->takes(step_of(p.node).kind, 1, TERN_DTYPE_F64))
    return prepare_doubles(p);
  UnaryArgs& a = p.args<UnaryArgs>();
  a.op = step_of(p.node);
  a.dtype = p.in(0).dtype;
  a.count = p.out(0).shape.elements();
  p.pointer(a.x, p.node.in[0]);
  p.pointer(a.y, p.node.out[0]);
  p.call(p.k.elementwise->unary, &a, units(a), 20e3, 0);
  return TERN_OK;
}

tern_status prepare_elementwise(Prepare& p) {
  if (p.node.in.size() == 1) return prepare_unary(p);
  BinaryArgs& a = p.args<BinaryArgs>();
  const Shape &x = p.in(0).shape, &z = p.in(1).shape, &y = p.out(0).shape;
  a.op = step_of(p.node).kind;
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

// The plan's values that a chain reads and writes, besides y.
struct ChainValues {
  ValueId tensors[kChainTensors], scales[kChainTensors], zeros[kChainTensors];  // scales: of tensors of codes
  ValueId y_scale = kNoValue, y_zero = kNoValue;
  ChainValues() {
    for (int i = 0; i < kChainTensors; ++i) tensors[i] = scales[i] = zeros[i] = kNoValue;
  }
};

// The operand `v` of a chain's sub-graph as the kernel sees it; false if it has none of the forms.
bool chain_operand(const Graph& plan_graph, const Node& fused, ValueId v, ChainArgs& a, ChainValues& values,
                   const std::vector<int>& made_by, ChainOperand* out) {
  const Graph& sub = fused.subgraphs[0];
  if (made_by[(size_t)v] >= 0) {
    *out = {ChainSource::step, made_by[(size_t)v], 0};
    return true;
  }
  const auto in_plan = [&](ValueId inner) {
    for (size_t i = 0; i < sub.inputs.size(); ++i)
      if (sub.inputs[i] == inner) return fused.in[i];
    return kNoValue;
  };
  // A tensor's place among the operands; -1: there is none left.
  const auto place = [&](ValueId tensor, ValueId scale, ValueId zero) {
    for (int i = 0; i < kChainTensors; ++i) {
      if (values.tensors[i] == kNoValue) values.tensors[i] = tensor, values.scales[i] = scale, values.zeros[i] = zero;
      if (values.tensors[i] == tensor && values.scales[i] == scale && values.zeros[i] == zero) return i;
    }
    return -1;
  };
  if (sub.value(v).producer >= 0) {  // dequantize_linear
    const Node& n = sub.nodes[(size_t)sub.value(v).producer];
    const ValueId zero = n.in.size() > 2 ? n.in[2] : kNoValue;
    const int index = place(in_plan(n.in[0]), in_plan(n.in[1]), zero == kNoValue ? kNoValue : in_plan(zero));
    if (index < 0) return false;
    a.codes[index].dtype = sub.value(n.in[0]).dtype;
    *out = {ChainSource::tensor, index, 0};
    return true;
  }
  const ValueId outer = in_plan(v);
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
  const int index = place(outer, kNoValue, kNoValue);
  if (index < 0) return false;
  if (source == ChainSource::channel && a.group_rows < 0) a.group_rows = 0;
  *out = {source, index, 0};
  return true;
}

// Writes the chain into `a` (pointers aside) and the plan's values of its operands into `values`.
bool read_chain(const Graph& g, const Node& fused, ChainArgs& a, ChainValues& values) {
  const Graph& sub = fused.subgraphs[0];
  if (sub.nodes.size() > (size_t)kChainSteps) return false;
  const Shape& y = sub.value(sub.outputs[0]).shape;
  a.channels = y.rank ? y[y.rank - 1] : 1;
  a.rows = a.channels ? y.elements() / a.channels : 0;
  a.group_rows = -1;  // not known yet
  std::vector<int> made_by(sub.values.size(), -1);
  for (const Node& n : sub.nodes) {
    if (n.op == &op_dequantize_linear) continue;
    if (n.op == &op_quantize_linear) {
      const auto outer = [&](size_t i) {
        if (i >= n.in.size() || n.in[i] == kNoValue) return kNoValue;
        return fused.in[(size_t)(std::find(sub.inputs.begin(), sub.inputs.end(), n.in[i]) - sub.inputs.begin())];
      };
      a.y_codes.dtype = sub.value(n.out[0]).dtype;
      values.y_scale = outer(1), values.y_zero = outer(2);
      continue;
    }
    ChainStep& s = a.step[a.steps];
    s.op = step_of(n);
    s.is_binary = n.in.size() == 2;
    if (!kernels().elementwise->takes(s.op.kind, (int)n.in.size(), TERN_DTYPE_F32)) return false;
    if (s.is_binary && !chain_operand(g, fused, n.in[1], a, values, made_by, &s.b)) return false;
    if (!chain_operand(g, fused, n.in[0], a, values, made_by, &s.a)) return false;
    // Steps work on whole rows: an intermediate result of another shape cannot be one.
    if (!(sub.value(n.out[0]).shape == y) || sub.value(n.out[0]).dtype != TERN_DTYPE_F32) return false;
    made_by[(size_t)n.out[0]] = a.steps++;
  }
  if (a.group_rows < 0) a.group_rows = 0;
  return true;
}

constexpr CpuOp kOps[] = {
    {&op_where, refuse_where, prepare_where},
    {&op_cast, refuse_cast, prepare_cast},
};

}  // namespace

const char* refuse_fused_chain(const Graph& g, const Node& n) {
  ChainArgs a;
  ChainValues values;
  return read_chain(g, n, a, values) ? nullptr : "a chain that the kernel does not know";
}

tern_status prepare_fused_chain(Prepare& p) {
  ChainArgs& a = p.args<ChainArgs>();
  ChainValues values;
  if (!read_chain(p.g, p.node, a, values)) return TERN_FAIL(TERN_ERR_INTERNAL, "chain: unknown form");
  static const float present = 0;
  const auto point_at_codes = [&](ChainCodes& c, ValueId codes, ValueId scale, ValueId zero) -> tern_status {
    p.pointer(c.codes, codes);
    p.pointer(c.scale, scale);
    return zero == kNoValue ? TERN_OK : point_at_integers(p, zero, 1, c.zero);
  };
  for (int i = 0; i < kChainTensors; ++i) {
    if (values.scales[i] != kNoValue) {
      TERN_TRY(point_at_codes(a.codes[i], values.tensors[i], values.scales[i], values.zeros[i]));
    } else if (values.tensors[i] != kNoValue) {
      a.tensors[i] = &present;  // plan() wants to see which operands there are
      p.pointer(a.tensors[i], values.tensors[i]);
    }
  }
  if (!plan(a)) return TERN_FAIL(TERN_ERR_INTERNAL, "chain: not a valid program");
  if (values.y_scale == kNoValue) p.pointer(a.y, p.node.out[0]);
  else TERN_TRY(point_at_codes(a.y_codes, p.node.out[0], values.y_scale, values.y_zero));
  p.call(p.k.chain->chain, &a, a.units, 10e3 * (a.steps + 1), chain_scratch(a));
  return TERN_OK;
}

const CpuOp elementwise_op = {nullptr, refuse_elementwise, prepare_elementwise};

std::span<const CpuOp> cpu_ops_elementwise() { return kOps; }

}  // namespace tern::cpu
