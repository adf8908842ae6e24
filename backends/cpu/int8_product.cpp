// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/int8_product.h"

#include <algorithm>
#include <limits>

#include "backends/cpu/prepare.h"
#include "ops/conv2d.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/quantize.h"
#include "passes/eliminate.h"
#include "passes/join.h"

namespace tern::cpu {
namespace {

bool is_codes(DType d) { return d == TERN_DTYPE_U8 || d == TERN_DTYPE_I8; }
bool multiplies_codes(const Op* op) { return op == &op_matmul_integer || op == &op_conv2d_integer; }
bool multiplies_values(const Op* op) { return op == &op_conv2d || op == &op_linear || op == &op_matmul; }

ValueId input(const Node& n, size_t i) { return i < n.in.size() ? n.in[i] : kNoValue; }

// One number or one for each channel of `shape`'s last axis, of a type.
bool is_per_channel(const Graph& g, ValueId v, const Shape& shape, DType dtype) {
  if (v == kNoValue || shape.rank == 0) return false;
  const Value& value = g.value(v);
  const int64_t n = value.shape.elements(), channels = shape[shape.rank - 1];
  if (value.dtype != dtype || !is_plain(value.encoding) || value.shape.rank > shape.rank) return false;
  return n == 1 || (n == channels && value.shape[value.shape.rank - 1] == channels);
}

const Node* producer(const Graph& g, ValueId v, const Op& op) {
  if (v == kNoValue || g.value(v).producer < 0) return nullptr;
  const Node& n = g.nodes[(size_t)g.value(v).producer];
  return n.op == &op && !n.out.empty() ? &n : nullptr;
}

// A dequantize_linear of codes with one scale, or one for each index of `axis`.
bool is_decoded(const Graph& g, ValueId v, DType codes, int axis) {
  const Node* n = producer(g, v, op_dequantize_linear);
  if (!n || g.value(v).dtype != TERN_DTYPE_F32) return false;
  const Value &q = g.value(n->in[0]), &scale = g.value(n->in[1]);
  if ((codes == TERN_DTYPE_I32 ? q.dtype != codes : !is_codes(q.dtype)) || !is_plain(q.encoding)) return false;
  if (!is_per_axis(scale.shape)) return true;
  const int64_t at = n->attrs<DequantizeLinearAttrs>().axis;
  return (at < 0 ? at + q.shape.rank : at) == axis;
}

// The axis of a weight that counts the results; -1: not such a product.
int result_axis(const Graph& g, const Node& n) {
  if (n.op != &op_matmul) return 0;
  const MatmulAttrs& a = n.attrs<MatmulAttrs>();
  const Shape &x = g.value(n.in[0]).shape, &w = g.value(n.in[1]).shape;
  return a.transpose_a || x.rank < 2 || w.rank != 2 ? -1 : a.transpose_b ? 0 : 1;
}

// Walks down from a product and takes what fits, as far as the kernel can go.
struct Tail {
  const Graph& g;
  const Shape& shape;
  bool codes;  // of a product of codes
  bool biased = false, cast = false, scaled = false, shifted = false, clipped = false, done = false;
  size_t taken = 0;  // of the nodes that were tried, how many the kernel can end behind

  // Does `n`, which reads `value`, fit behind the nodes before it?
  bool extend(const Node& n, ValueId value, size_t count) {
    if (done || n.out.size() != 1 || n.in.empty()) return false;
    const Value& y = g.value(n.out[0]);
    if (!(y.shape == shape)) return false;
    const ValueId other = n.in.size() == 2 ? n.in[0] == value ? n.in[1] : n.in[0] : kNoValue;
    if (codes && !cast) {
      if (n.op == &op_add && !biased && other != value && is_per_channel(g, other, shape, TERN_DTYPE_I32))
        return biased = true, taken = count, true;
      return cast = n.op == &op_cast && y.dtype == TERN_DTYPE_F32;
    }
    if (n.op == &op_quantize_linear) {
      if (n.in[0] != value || is_per_axis(g.value(n.in[1]).shape) || g.value(n.in[1]).dtype != TERN_DTYPE_F32 ||
          !is_codes(y.dtype) || !(scaled || !codes))
        return false;
      return taken = count, done = true;
    }
    if (y.dtype != TERN_DTYPE_F32 || clipped) return false;
    const bool per_channel = other != value && is_per_channel(g, other, shape, TERN_DTYPE_F32);
    if (n.op == &op_mul && codes && !scaled && per_channel) return scaled = true, taken = count, true;
    if (n.op == &op_add && (scaled || !codes) && !shifted && per_channel) return shifted = true, taken = count, true;
    if (n.in[0] != value) return false;
    return clipped = n.op == &op_relu || n.op == &op_clip;  // in steps of what quantises
  }
};

// What only moves dequantised values moves their codes.
void move_codes(Graph& g) {
  const std::vector<int32_t> count = count_readers(g);
  std::vector<Node> nodes;
  for (Node& n : g.nodes) {
    const ValueId x = n.in.empty() ? kNoValue : n.in[0];
    const int32_t from =
        (n.op == &op_transpose || n.op == &op_reshape) && count[(size_t)x] == 1 ? g.value(x).producer : -1;
    if (from >= 0 && nodes[(size_t)from].op == &op_dequantize_linear &&
        !is_per_axis(g.value(nodes[(size_t)from].in[1]).shape)) {
      Node decode = nodes[(size_t)from];
      Value codes;
      codes.kind = ValueKind::node;
      codes.dtype = g.value(decode.in[0]).dtype, codes.shape = g.value(n.out[0]).shape;
      codes.producer = (int32_t)nodes.size();
      const ValueId moved = add_value(g, std::move(codes));
      decode.out = n.out;
      n.in[0] = decode.in[0], n.out = {moved};
      decode.in[0] = moved;
      nodes.push_back(std::move(n));
      g.value(decode.out[0]).producer = (int32_t)nodes.size();
      nodes.push_back(std::move(decode));
      continue;
    }
    for (const ValueId v : n.out) g.value(v).producer = (int32_t)nodes.size();
    nodes.push_back(std::move(n));
  }
  g.nodes = std::move(nodes);
}

// A node of its own for each reader of a dequantize_linear: what is left over becomes one again.
void split_decoded(Graph& g) {
  const std::vector<int32_t> count = count_readers(g);
  std::vector<Node> nodes;
  for (Node& n : g.nodes) {
    if (multiplies_values(n.op))
      for (ValueId& v : n.in) {
        if (v == kNoValue || count[(size_t)v] < 2 || g.value(v).producer < 0) continue;
        const Node& from = nodes[(size_t)g.value(v).producer];
        if (from.op != &op_dequantize_linear) continue;
        Node copy = from;
        Value value = g.value(v);
        value.producer = (int32_t)nodes.size();
        v = add_value(g, std::move(value));
        copy.out = {v};
        nodes.push_back(std::move(copy));
      }
    for (const ValueId v : n.out) g.value(v).producer = (int32_t)nodes.size();
    nodes.push_back(std::move(n));
  }
  g.nodes = std::move(nodes);
}

}  // namespace

Int8Product read_int8_product(const Graph& g, const Node& n) {
  Int8Product p;
  p.graph = n.subgraphs.empty() ? &g : &n.subgraphs[0];
  p.outer.assign(p.graph->values.size(), kNoValue);
  if (n.subgraphs.empty())
    for (size_t i = 0; i < p.outer.size(); ++i) p.outer[i] = (ValueId)i;
  else
    for (size_t i = 0; i < p.graph->inputs.size(); ++i) p.outer[(size_t)p.graph->inputs[i]] = n.in[i];
  const std::vector<Node>& nodes = p.graph->nodes;
  size_t i = 0;
  if (n.subgraphs.empty()) p.node = &n;
  else
    while (nodes[i].op == &op_dequantize_linear) ++i;
  if (!p.node) p.node = &nodes[i];
  if (multiplies_codes(p.node->op)) {
    p.x = p.at(p.node->in[0]), p.w = p.at(p.node->in[1]);
    p.x_zero = p.at(input(*p.node, 2)), p.w_zero = p.at(input(*p.node, 3));
  } else {
    p.x_codes = producer(*p.graph, p.node->in[0], op_dequantize_linear);
    p.w_codes = producer(*p.graph, p.node->in[1], op_dequantize_linear);
    p.x = p.at(p.x_codes->in[0]), p.scale = p.at(p.x_codes->in[1]), p.x_zero = p.at(input(*p.x_codes, 2));
    p.w = p.at(p.w_codes->in[0]), p.w_scale = p.at(p.w_codes->in[1]), p.w_zero = p.at(input(*p.w_codes, 2));
    p.scales = true;
    if (const ValueId bias = input(*p.node, 2); bias != kNoValue) p.shift = bias;
  }
  ValueId value = p.node->out[0];
  const auto set_shift = [&](ValueId v) {
    p.bias_codes = producer(*p.graph, v, op_dequantize_linear);
    p.shift = p.at(p.bias_codes ? p.bias_codes->in[0] : v);
    if (p.bias_codes) p.bias_scale = p.at(p.bias_codes->in[1]);
  };
  if (p.shift != kNoValue) set_shift(p.shift);
  if (n.subgraphs.empty()) return p;
  for (++i; i < nodes.size(); ++i) {
    const Node& step = nodes[i];
    const ValueId other = step.in.size() == 2 ? step.in[0] == value ? step.in[1] : step.in[0] : kNoValue;
    value = step.out[0];
    if (step.op == &op_quantize_linear) {
      p.quantizes = true, p.y_scale = p.at(step.in[1]), p.y_zero = p.at(input(step, 2));
    } else if (step.op == &op_cast) {
      p.scales = true;
    } else if (step.op == &op_mul) {
      p.scale = p.at(other);
    } else if (step.op == &op_add) {
      if (p.scales) set_shift(other);
      else p.sum_bias = p.at(other);
    } else {
      constexpr float kInf = std::numeric_limits<float>::infinity();
      p.clips = true, p.low = 0, p.high = kInf;
      if (step.op == &op_clip) p.low = (float)step.attrs<ClipAttrs>().min, p.high = (float)step.attrs<ClipAttrs>().max;
    }
  }
  return p;
}

namespace {

void join_products(Graph& g) {
  const auto is_product = [](const Node& n) { return multiplies_codes(n.op) || multiplies_values(n.op); };
  move_codes(g);
  split_decoded(g);
  eliminate_dead(g);
  const std::vector<int32_t> count = count_readers(g);
  std::vector<int32_t> reader(g.values.size(), -1);
  for (size_t i = 0; i < g.nodes.size(); ++i)
    for (const ValueId v : g.nodes[i].in)
      if (v != kNoValue) reader[(size_t)v] = (int32_t)i;
  const auto only_here = [&](ValueId v) { return count[(size_t)v] == 1; };
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const Node& n = g.nodes[i];
    if (n.out.empty() || !is_product(n) || (multiplies_codes(n.op) && find_cpu_op(n.op)->refuses(g, n))) continue;
    std::vector<int32_t> members;
    const Shape shape = g.value(n.out[0]).shape;
    Tail tail{g, shape, multiplies_codes(n.op)};
    if (!tail.codes) {
      const int axis = result_axis(g, n);
      if (axis < 0 || !is_decoded(g, n.in[0], TERN_DTYPE_U8, -1) || !is_decoded(g, n.in[1], TERN_DTYPE_U8, axis) ||
          n.in[0] == n.in[1] || !only_here(n.in[0]) || !only_here(n.in[1]))
        continue;
      const ValueId bias = input(n, 2);
      if (bias != kNoValue && !is_per_channel(g, bias, shape, TERN_DTYPE_F32)) continue;
      tail.shifted = bias != kNoValue;
      for (const ValueId v : {n.in[0], n.in[1]}) members.push_back(g.value(v).producer);
      if (tail.shifted && only_here(bias) && is_decoded(g, bias, TERN_DTYPE_I32, 0))
        members.push_back(g.value(bias).producer);
    }
    const size_t before = members.size();
    members.push_back((int32_t)i);
    ValueId value = n.out[0];
    while (only_here(value) && reader[(size_t)value] >= 0) {
      const int32_t next = reader[(size_t)value];
      if (g.nodes[(size_t)next].out.empty() || !tail.extend(g.nodes[(size_t)next], value, members.size() - before))
        break;
      members.push_back(next);
      value = g.nodes[(size_t)next].out[0];
    }
    members.resize(before + 1 + tail.taken);
    if (members.size() == 1) continue;
    std::sort(members.begin(), members.end());
    join(g, members, FusedPattern::int8_product);
  }
  eliminate_dead(g);
}

// Constants of a bias or a table that no product of codes took.
void fold_decoded(Graph& g) {
  for (Node& n : g.nodes) {
    if (n.op != &op_dequantize_linear) continue;
    std::vector<Value> made;
    if ((g.status = infer_node(g, n, &made)) != TERN_OK) return;
    fold_decoding(g, n, g.budget, made);
    if (!made[0].data) continue;
    Value& y = g.value(n.out[0]);
    y.kind = ValueKind::constant, y.data = std::move(made[0].data), y.producer = -1;
    n.out.clear();
  }
  eliminate_dead(g);
}

}  // namespace

void fuse_int8_products(Graph& g) {
  if (std::any_of(g.nodes.begin(), g.nodes.end(),
                  [](const Node& n) { return multiplies_codes(n.op) || n.op == &op_dequantize_linear; })) {
    join_products(g);
    fold_decoded(g);
  }
}

}  // namespace tern::cpu
