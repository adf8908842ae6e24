// SPDX-License-Identifier: Apache-2.0
#include "passes/eliminate.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <string>

#include "ops/ops_generated.h"
#include "ops/reshape.h"
#include "ops/transpose.h"

namespace tern {

std::vector<int32_t> count_readers(const Graph& g) {
  std::vector<int32_t> readers(g.values.size(), 0);
  for (const Node& n : g.nodes)
    for (const ValueId v : n.in)
      if (v != kNoValue) ++readers[(size_t)v];
  for (const ValueId v : g.outputs) ++readers[(size_t)v];
  return readers;
}

void replace_value(Graph& g, ValueId from, ValueId to) {
  for (Node& n : g.nodes)
    for (ValueId& v : n.in)
      if (v == from) v = to;
  for (ValueId& v : g.outputs)
    if (v == from) v = to;
}

void eliminate_dead(Graph& g, std::vector<int32_t>* kept) {
  std::vector<char> alive(g.values.size(), 0);
  for (const ValueId v : g.outputs) alive[(size_t)v] = 1;
  for (const ValueId v : g.inputs) alive[(size_t)v] = 1;
  std::vector<char> keep(g.nodes.size(), 0);
  for (size_t i = g.nodes.size(); i-- > 0;) {
    const Node& n = g.nodes[i];
    bool needed = (n.op->flags & (kWritesState | kControl | kChecks)) != 0;  // sub-graphs may write states
    bool known = !needed;
    for (const ValueId v : n.out) {
      if (alive[(size_t)v] && g.value(v).kind == ValueKind::node) needed = true;
      if (g.value(v).kind == ValueKind::node) known = false;
    }
    if (known && !n.out.empty()) continue;  // all outputs became constants
    if (!needed) continue;
    keep[i] = 1;
    for (const ValueId v : n.in)
      if (v != kNoValue) alive[(size_t)v] = 1;
    for (const ValueId v : n.out) alive[(size_t)v] = 1;  // an unread output still needs its place
  }
  if (kept) {
    kept->clear();
    for (size_t i = 0; i < keep.size(); ++i)
      if (keep[i]) kept->push_back((int32_t)i);
  }
  const auto is_set = [](char c) { return c != 0; };
  if (std::all_of(alive.begin(), alive.end(), is_set) && std::all_of(keep.begin(), keep.end(), is_set)) return;

  Graph out;
  out.status = g.status;
  out.values.reserve(g.values.size());
  out.nodes.reserve(g.nodes.size());
  out.budget = g.budget;
  std::vector<ValueId> map(g.values.size(), kNoValue);
  for (size_t i = 0; i < g.values.size(); ++i)
    if (alive[i]) {
      map[i] = (ValueId)out.values.size();
      out.values.push_back(std::move(g.values[i]));
    }
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (!keep[i]) continue;
    Node& n = g.nodes[i];
    for (ValueId& v : n.in)
      if (v != kNoValue) v = map[(size_t)v];
    for (ValueId& v : n.out) {
      v = map[(size_t)v];
      if (out.value(v).kind == ValueKind::node) out.value(v).producer = (int32_t)out.nodes.size();
    }
    out.nodes.push_back(std::move(n));
  }
  for (const ValueId v : g.inputs) out.inputs.push_back(map[(size_t)v]);
  for (const ValueId v : g.outputs) out.outputs.push_back(map[(size_t)v]);
  g = std::move(out);
}

// Small constants of equal type, shape and content stand for one another.
static void merge_constants(const Graph& g, std::vector<ValueId>* same) {
  constexpr uint64_t kMost = 64;
  std::map<std::string, ValueId> seen;
  for (size_t i = 0; i < g.values.size(); ++i) {
    const Value& v = g.values[i];
    const uint64_t bytes = value_bytes(v);
    if (v.kind != ValueKind::constant || !v.data || bytes > kMost) continue;
    std::string key((const char*)v.data.bytes, (size_t)bytes);
    key.append((const char*)v.shape.dims, (size_t)v.shape.rank * sizeof v.shape.dims[0]);
    key += {(char)v.dtype, (char)v.encoding, (char)v.shape.rank};  // without it bytes could pass for dims
    (*same)[i] = seen.try_emplace(std::move(key), (ValueId)i).first->second;
  }
}

void merge_common(Graph& g, std::vector<int32_t>* kept) {
  std::vector<ValueId> same(g.values.size());
  for (size_t i = 0; i < same.size(); ++i) same[i] = (ValueId)i;
  merge_constants(g, &same);
  const auto hash = [&](const Node& n) {
    uint64_t h = (uint64_t)(uintptr_t)n.op;
    for (const ValueId v : n.in) h = h * 1099511628211u + (uint64_t)(uint32_t)v;
    return h;
  };
  std::vector<std::pair<uint64_t, size_t>> seen;  // sorted by hash
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    Node& n = g.nodes[i];
    for (ValueId& v : n.in)
      if (v != kNoValue) v = same[(size_t)v];
    if (n.op->flags & (kWritesState | kControl) || !n.subgraphs.empty()) continue;
    const uint64_t h = hash(n);
    auto it = std::lower_bound(seen.begin(), seen.end(), std::pair<uint64_t, size_t>(h, 0));
    bool merged = false;
    for (; it != seen.end() && it->first == h && !merged; ++it) {
      const Node& o = g.nodes[it->second];
      // Shapes that are known already stand in no operand.
      const auto lies_alike = [&](ValueId a, ValueId b) {
        const Value &u = g.value(a), &v = g.value(b);
        return u.shape == v.shape && u.dtype == v.dtype && u.encoding == v.encoding;
      };
      if (o.op != n.op || o.in != n.in ||
          !std::equal(o.out.begin(), o.out.end(), n.out.begin(), n.out.end(), lies_alike) ||
          std::memcmp(o.attributes.bytes, n.attributes.bytes, n.op->attributes.size) != 0)
        continue;
      for (size_t k = 0; k < n.out.size(); ++k) same[(size_t)n.out[k]] = o.out[k];
      merged = true;
    }
    if (!merged) seen.insert(std::upper_bound(seen.begin(), seen.end(), std::pair<uint64_t, size_t>(h, i)), {h, i});
  }
  for (ValueId& v : g.outputs) v = same[(size_t)v];
  eliminate_dead(g, kept);
}

namespace {

// All axes, from the front: given ones may count from the end, none at all are the reverse order.
IntList from_front(IntList permutation, int rank) {
  if (permutation.count == 0)
    for (int k = 1; k <= rank; ++k) permutation.items[permutation.count++] = -k;
  for (int64_t k = 0; k < permutation.count; ++k)
    if (permutation[k] < 0) permutation[k] += permutation.count;
  return permutation;
}

bool keeps_order(const Shape& in, const IntList& permutation) {
  int64_t last = -1;
  for (const int64_t p : permutation) {
    if (in[(int)p] == 1) continue;
    if (p < last) return false;
    last = p;
  }
  return true;
}

}  // namespace

void remove_identities(Graph& g) {
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    Node& n = g.nodes[i];
    if (n.out.size() != 1 || n.in.empty() || n.in[0] == kNoValue) continue;
    const Value &x = g.value(n.in[0]), &y = g.value(n.out[0]);
    bool same = false;
    if (n.op == &op_reshape) {
      n.in.resize(1);  // the shape is known; a shape computed at run time is no longer needed
      if (x.producer >= 0 && g.nodes[(size_t)x.producer].op == &op_reshape) n.in[0] = g.nodes[(size_t)x.producer].in[0];
      same = g.value(n.in[0]).shape == y.shape;
    } else if (n.op == &op_transpose) {
      IntList p = from_front(n.attrs<TransposeAttrs>().permutation, x.shape.rank);
      const ValueId source = n.in[0];
      if (g.value(source).producer >= 0 && g.nodes[(size_t)g.value(source).producer].op == &op_transpose) {
        const Node& first = g.nodes[(size_t)g.value(source).producer];
        const IntList q = from_front(first.attrs<TransposeAttrs>().permutation, x.shape.rank);
        if (q.count == p.count) {
          IntList joined;
          joined.count = p.count;
          for (int64_t k = 0; k < p.count; ++k) joined[k] = q[p[k]];
          n.attrs<TransposeAttrs>().permutation = p = joined;
          n.in[0] = first.in[0];
        }
      }
      const Value& from = g.value(n.in[0]);
      if (p.count == from.shape.rank && keeps_order(from.shape, p)) {
        if (from.shape == y.shape) {
          same = true;
        } else {
          n.op = &op_reshape;
          set_default_attributes(op_reshape, &n.attributes);
          IntList dims;
          dims.count = y.shape.rank;
          for (int k = 0; k < y.shape.rank; ++k) dims[k] = y.shape[k];
          n.attrs<ReshapeAttrs>().shape = dims;
          n.attrs<ReshapeAttrs>().allow_zero = 1;
        }
      }
    } else if (n.op == &op_cast) {
      same = x.dtype == y.dtype;
    } else if (n.op == &op_concat) {
      same = n.in.size() == 1;
    }
    if (same && is_plain(g.value(n.in[0]).encoding)) replace_value(g, n.out[0], n.in[0]);
  }
  eliminate_dead(g);
}

static void visit_parameters(Graph& g, const std::function<void(Value&)>& f) {
  for (Value& v : g.values)
    if (v.kind == ValueKind::parameter) f(v);
  for (Node& n : g.nodes)
    for (Graph& sub : n.subgraphs) visit_parameters(sub, f);
}

void for_each_parameter(ModelDef& model, const std::function<void(Value&)>& f) {
  for (Signature& s : model.signatures) visit_parameters(s.graph, f);
}

void eliminate_parameters(ModelDef& model) {
  std::vector<int32_t> number(model.parameters.size(), -1);
  for_each_parameter(model, [&](Value& v) { number[(size_t)v.index] = 0; });
  std::vector<Parameter> kept;
  for (size_t i = 0; i < number.size(); ++i) {
    if (number[i] < 0) continue;
    number[i] = (int32_t)kept.size();
    kept.push_back(std::move(model.parameters[i]));
  }
  model.parameters = std::move(kept);
  for_each_parameter(model, [&](Value& v) { v.index = number[(size_t)v.index]; });
}

}  // namespace tern
