// SPDX-License-Identifier: Apache-2.0
#include "passes/fuse.h"

#include <algorithm>

#include "ops/conv2d.h"
#include "ops/pad.h"
#include "passes/eliminate.h"
#include "passes/epilogue.h"

namespace tern {
namespace {

// Per value: how many read it, and the node that reads it last.
struct Readers {
  std::vector<int32_t> count, node;
  explicit Readers(const Graph& g) : count(count_readers(g)), node(g.values.size(), -1) {
    for (size_t i = 0; i < g.nodes.size(); ++i)
      for (const ValueId v : g.nodes[i].in)
        if (v != kNoValue) node[(size_t)v] = (int32_t)i;
  }
};

bool is_product(const Graph& g, const Node& n) {
  const std::string_view op = n.op->name;
  if (op != "conv2d" && op != "linear" && op != "conv_transpose2d") return false;
  return g.value(n.out[0]).dtype == TERN_DTYPE_F32;
}

// The convolution of a node: itself, or the first of a fused one.
const Node* conv_of(const Node& n) {
  const Node* c = &n;
  if (n.subgraphs.size() == 1 && n.attrs<FusedAttrs>().pattern == (int64_t)FusedPattern::conv2d)
    c = &n.subgraphs[0].nodes[0];
  return std::string_view(c->op->name) == "conv2d" ? c : nullptr;
}

// Shapes of the convolution's operands, wherever its values live.
const Graph& graph_of(const Graph& g, const Node& n) { return n.subgraphs.size() == 1 ? n.subgraphs[0] : g; }

bool is_pointwise(const Graph& g, const Node& n) {
  const Node* c = conv_of(n);
  if (!c) return false;
  const Conv2dAttrs& a = c->attrs<Conv2dAttrs>();
  const Shape& w = graph_of(g, n).value(c->in[1]).shape;
  return w[1] == 1 && w[2] == 1 && a.groups == 1 && a.strides[0] == 1 && a.strides[1] == 1 && a.pads[0] == 0 &&
         a.pads[1] == 0 && a.pads[2] == 0 && a.pads[3] == 0;
}

bool is_depthwise(const Graph& g, const Node& n) {
  const Node* c = conv_of(n);
  if (!c) return false;
  const Shape& w = graph_of(g, n).value(c->in[1]).shape;
  const int64_t channels = graph_of(g, n).value(c->in[0]).shape[3];
  return c->attrs<Conv2dAttrs>().groups == channels && channels > 1 && w[0] == channels;
}

// Operands of a fused convolution that are whole tensors beside its input: the residual.
bool has_residual(const Graph& g, const Node& n, const Shape& shape) {
  for (size_t i = 1; i < n.in.size(); ++i)
    if (n.in[i] != kNoValue && g.value(n.in[i]).shape == shape && g.value(n.in[i]).kind == ValueKind::node) return true;
  return false;
}

}  // namespace

void join(Graph& g, std::span<const int32_t> members, FusedPattern pattern) {
  Node fused;
  fused.op = find_op("fused");
  set_default_attributes(*fused.op, &fused.attributes);
  fused.attrs<FusedAttrs>().pattern = (int64_t)pattern;
  Graph sub;
  sub.nodes.reserve(members.size());
  sub.values.reserve(4 * members.size());
  std::vector<ValueId> outside;  // per value of the sub-graph
  for (const int32_t i : members) {
    Node n = std::move(g.nodes[(size_t)i]);
    for (ValueId& v : n.in) {
      if (v == kNoValue) continue;
      const auto known = std::find(outside.begin(), outside.end(), v);
      if (known != outside.end()) {
        v = (ValueId)(known - outside.begin());
        continue;
      }
      Value input;  // nameless: its name stands in the graph
      input.kind = ValueKind::input;
      input.dtype = g.value(v).dtype, input.encoding = g.value(v).encoding, input.shape = g.value(v).shape;
      outside.push_back(v);
      fused.in.push_back(v);
      v = add_value(sub, std::move(input));
      sub.inputs.push_back(v);
    }
    for (ValueId& v : n.out) {
      Value out = g.value(v);
      out.producer = (int32_t)sub.nodes.size();
      outside.push_back(v);
      if (i == members.back()) fused.out.push_back(v);
      v = add_value(sub, std::move(out));
      if (i == members.back()) sub.outputs.push_back(v);
    }
    if (fused.name.empty()) fused.name = n.name;
    sub.nodes.push_back(std::move(n));
  }
  fused.subgraphs.push_back(std::move(sub));
  // What was moved away must stay a valid node until the graph is compacted: a reshape of nothing, with no outputs.
  for (const int32_t i : members) {
    Node& n = g.nodes[(size_t)i];
    n = Node{};
    n.op = fused.op;
  }
  for (const ValueId v : fused.out) g.value(v).producer = members.back();
  g.nodes[(size_t)members.back()] = std::move(fused);
}

void absorb_padding(Graph& g) {
  const Readers readers(g);
  for (Node& n : g.nodes) {
    if (std::string_view(n.op->name) != "conv2d") continue;
    const Value& x = g.value(n.in[0]);
    if (x.producer < 0 || readers.count[(size_t)n.in[0]] != 1) continue;
    const Node& p = g.nodes[(size_t)x.producer];
    if (std::string_view(p.op->name) != "pad" || g.value(p.in[0]).shape.rank != 4) continue;
    int64_t before[kMaxRank], after[kMaxRank];
    if (p.attrs<PadAttrs>().mode != (int64_t)PadMode::constant ||
        pad_amounts(InferArgs{g, p, nullptr}, before, after) != TERN_OK)
      continue;
    double fill = p.attrs<PadAttrs>().value;
    if (p.in.size() > 2 && p.in[2] != kNoValue) {
      const Value& v = g.value(p.in[2]);
      if (!v.data) continue;
      fill = load_element(v.dtype, v.data.bytes, 0);
    }
    if (fill != 0 || before[0] || after[0] || before[3] || after[3]) continue;
    if (before[1] < 0 || before[2] < 0 || after[1] < 0 || after[2] < 0) continue;
    IntList& pads = n.attrs<Conv2dAttrs>().pads;
    pads[0] += before[1];
    pads[1] += before[2];
    pads[2] += after[1];
    pads[3] += after[2];
    n.in[0] = p.in[0];
  }
  eliminate_dead(g);
}

void fuse_epilogues(Graph& g) {
  const Readers readers(g);
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (g.nodes[i].out.empty() || !is_product(g, g.nodes[i])) continue;
    std::vector<int32_t> members = {(int32_t)i};
    ValueId value = g.nodes[i].out[0];
    EpilogueMatch match(g.value(value).shape);
    while (readers.count[(size_t)value] == 1 && readers.node[(size_t)value] >= 0) {
      const int32_t next = readers.node[(size_t)value];
      if (g.nodes[(size_t)next].out.empty() || !match.extend(g, g.nodes[(size_t)next], value)) break;
      members.push_back(next);
      value = g.nodes[(size_t)next].out[0];
    }
    if (members.size() > 1)
      join(g, members, std::string_view(g.nodes[i].op->name) == "linear" ? FusedPattern::linear : FusedPattern::conv2d);
  }
  eliminate_dead(g);
}

void fuse_inverted_residuals(Graph& g, uint64_t cache_bytes) {
  const Readers readers(g);
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (g.nodes[i].out.empty() || !is_depthwise(g, g.nodes[i])) continue;
    const ValueId x = g.nodes[i].in[0], y = g.nodes[i].out[0];
    const Value& wide = g.value(x);
    if ((uint64_t)wide.shape.elements() * 4 <= cache_bytes || has_residual(g, g.nodes[i], g.value(y).shape)) continue;
    if (wide.producer < 0 || readers.count[(size_t)x] != 1 || readers.count[(size_t)y] != 1 ||
        readers.node[(size_t)y] < 0)
      continue;
    const int32_t expand = wide.producer, project = readers.node[(size_t)y];
    if (g.nodes[(size_t)expand].out.empty() || !is_pointwise(g, g.nodes[(size_t)expand]) ||
        has_residual(g, g.nodes[(size_t)expand], wide.shape))
      continue;
    if (g.nodes[(size_t)project].out.empty() || !is_pointwise(g, g.nodes[(size_t)project]) ||
        g.nodes[(size_t)project].in[0] != y)
      continue;
    const int32_t members[] = {expand, (int32_t)i, project};
    join(g, members, FusedPattern::inverted_residual);
  }
  eliminate_dead(g);
}

void fuse_chains(Graph& g) {
  constexpr size_t kMostNodes = 16, kMostOperands = 6;
  std::vector<std::vector<int32_t>> readers(g.values.size());
  std::vector<char> is_output(g.values.size(), 0);
  for (size_t i = 0; i < g.nodes.size(); ++i)
    for (const ValueId v : g.nodes[i].in)
      if (v != kNoValue) readers[(size_t)v].push_back((int32_t)i);
  for (const ValueId v : g.outputs) is_output[(size_t)v] = 1;
  const auto fits = [&](const Node& n, const Shape& shape) {
    return (n.op->flags & kElementwise) && n.out.size() == 1 && n.subgraphs.empty() &&
           g.value(n.out[0]).dtype == TERN_DTYPE_F32 && g.value(n.out[0]).shape == shape &&
           std::all_of(n.in.begin(), n.in.end(), [&](ValueId v) {
             return v != kNoValue && g.value(v).dtype == TERN_DTYPE_F32 && is_plain(g.value(v).encoding);
           });
  };
  // From the last node of a group backwards: a producer joins when all its readers are members.
  for (size_t last = g.nodes.size(); last-- > 0;) {
    if (g.nodes[last].out.empty() || !fits(g.nodes[last], g.value(g.nodes[last].out[0]).shape)) continue;
    const Shape shape = g.value(g.nodes[last].out[0]).shape;
    std::vector<int32_t> members = {(int32_t)last};
    const auto is_member = [&](int32_t i) { return std::find(members.begin(), members.end(), i) != members.end(); };
    const auto operands = [&] {
      std::vector<ValueId> seen;
      for (const int32_t m : members)
        for (const ValueId v : g.nodes[(size_t)m].in) {
          const Value& value = g.value(v);
          if ((value.producer >= 0 && is_member(value.producer)) ||
              std::find(seen.begin(), seen.end(), v) != seen.end())
            continue;
          if (value.kind == ValueKind::constant && value.shape.elements() == 1) continue;
          seen.push_back(v);
        }
      return seen.size();
    };
    for (bool grew = true; grew && members.size() < kMostNodes;) {
      grew = false;
      for (size_t k = 0; k < members.size() && !grew; ++k)
        for (const ValueId v : g.nodes[(size_t)members[k]].in) {
          const int32_t p = g.value(v).producer;
          if (p < 0 || is_member(p) || is_output[(size_t)v] || g.nodes[(size_t)p].out.empty() ||
              !fits(g.nodes[(size_t)p], shape))
            continue;
          if (!std::all_of(readers[(size_t)v].begin(), readers[(size_t)v].end(), is_member)) continue;
          members.push_back(p);
          if (operands() > kMostOperands) {
            members.pop_back();
            continue;
          }
          grew = true;
          break;
        }
    }
    if (members.size() < 2) continue;
    std::sort(members.begin(), members.end());
    join(g, members, FusedPattern::chain);
  }
  eliminate_dead(g);
}

}  // namespace tern
