// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/mutate.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "base/file.h"
#include "format/checksum.h"
#include "format/container.h"
#include "format/reader.h"
#include "format/writer.h"
#include "graph/task_metadata.h"
#include "ops/control.h"
#include "ops/state_write.h"
#include "tern_object_generated.h"
#include "tests/ops/case.h"

namespace tern::fuzz {
namespace {

constexpr int64_t kExtremes[] = {0,         1,         -1,        2,         3,         7,        31,      32,
                                 33,        64,        127,       255,       1000,      65536,    1 << 20, INT32_MAX,
                                 INT32_MIN, 1LL << 32, 1LL << 40, 1LL << 62, INT64_MAX, INT64_MIN};
constexpr double kNumbers[] = {0, 1, -1, 0.5, 1e-9, 1e9, -1e9, 1e18, -1e18, 1e300, INFINITY, -INFINITY, NAN};
// Small enough that a sanitized run takes milliseconds.
constexpr uint64_t kMostBytes = 16 << 10;
constexpr size_t kMostNodes = 40;

template <class List>
auto& any(List& list, Random& r) {
  return list[(size_t)r.below((int64_t)list.size())];
}

int64_t extreme(Random& r) { return r.one_in(3) ? r.below(9) : kExtremes[r.below(std::size(kExtremes))]; }

DType any_dtype(Random& r) { return (DType)(TERN_DTYPE_F32 + r.below(TERN_DTYPE_BOOL)); }

Shape any_shape(Random& r) {
  Shape s;
  for (int64_t k = r.one_of<int64_t>({0, 1, 1, 2, 2, 2, 3, 4, 4, 5, 8}); k > 0; --k)
    s.push(r.one_of<int64_t>({0, 1, 1, 2, 2, 3, 4, 5, 7, 8, 33}));
  return s;
}

bool is_small(DType dtype, const Shape& s) {
  return check_shape(s, "value") == TERN_OK && (uint64_t)s.elements() * dtype_size(dtype) <= kMostBytes;
}

// Content of all kinds: what is usual, what is special, and any bits.
void fill(DType dtype, const Shape& s, void* data, Random& r) {
  const int64_t kind = r.below(4);
  for (int64_t i = 0, n = s.elements(); i < n; ++i) {
    if (kind == 3 && dtype != TERN_DTYPE_BOOL) {
      const uint64_t bits = r.next();
      std::memcpy((char*)data + i * (int64_t)dtype_size(dtype), &bits, dtype_size(dtype));
    } else if (is_float(dtype)) {
      store_element(
          dtype, data, i,
          kind == 2 && r.one_in(4) ? kNumbers[r.below(std::size(kNumbers))] : (double)r.below(2001) / 500 - 2);
    } else {
      store_integer(dtype, data, i,
                    dtype == TERN_DTYPE_BOOL ? r.below(2)
                    : kind == 2              ? extreme(r)
                    : kind == 1              ? r.below(20) - 5
                                             : r.below(5));
    }
  }
}

// ---- parts of a model ----

ValueId constant(Graph& g, DType dtype, const Shape& s, Random& r) {
  std::vector<char> data((size_t)(s.elements() * (int64_t)dtype_size(dtype)) + 8);
  fill(dtype, s, data.data(), r);
  return add_constant(g, dtype, s, data.data());
}

ValueId input(Graph& g, DType dtype, const Shape& s) {
  return add_input(g, "in" + std::to_string(g.values.size()), dtype, s);
}

void set_content(Parameter& p, Random& r) {
  void* data = nullptr;
  p.data = make_data(p.bytes, &data);
  if (p.encoding == Encoding::plain || r.one_in(3)) {
    for (uint64_t i = 0; i < p.bytes; ++i) ((uint8_t*)data)[i] = (uint8_t)r.next();
    if (p.encoding == Encoding::plain) fill(p.dtype, p.shape, data, r);
  } else {
    std::vector<float> plain((size_t)p.shape.elements());
    fill(TERN_DTYPE_F32, p.shape, plain.data(), r);
    encode(p.encoding, p.dtype, p.shape, plain.data(), data);
  }
  p.checksum = checksum64(data, p.bytes);
}

ValueId parameter(ModelDef& m, Graph& g, DType dtype, const Shape& s, Encoding e, Random& r) {
  Parameter p;
  p.name = "p" + std::to_string(m.parameters.size());
  p.dtype = dtype, p.encoding = e, p.shape = s;
  if (encoded_bytes(e, dtype, s, &p.bytes) != TERN_OK || p.bytes > kMostBytes) return kNoValue;
  set_content(p, r);
  m.parameters.push_back(p);
  Value v;
  v.name = p.name, v.dtype = dtype, v.encoding = e, v.kind = ValueKind::parameter, v.shape = s,
  v.index = (int32_t)m.parameters.size() - 1;
  return add_value(g, std::move(v));
}

// In pages, if it may be and has as many positions as others in pages.
ValueId state(ModelDef& m, Graph& g, DType dtype, const Shape& s, bool paged = false, Encoding e = Encoding::plain) {
  paged = paged && s.rank == 3;
  for (const StateDecl& o : m.states) paged = paged && (!o.paged || o.shape[0] == s[0]);
  uint64_t bytes;
  if (encoded_bytes(e, dtype, s, &bytes) != TERN_OK) e = Encoding::plain;
  StateDecl d;
  d.name = "s" + std::to_string(m.states.size());
  d.dtype = dtype, d.shape = s, d.encoding = e, d.paged = paged;
  m.states.push_back(d);
  Value v;
  v.name = d.name, v.dtype = dtype, v.encoding = e, v.kind = ValueKind::state, v.shape = s,
  v.index = (int32_t)m.states.size() - 1, v.paged = paged;
  return add_value(g, std::move(v));
}

// A new value of this type, from outside.
ValueId given(ModelDef& m, Graph& g, DType dtype, const Shape& s, bool top, Random& r) {
  switch (r.below(top ? 6 : 3)) {
    case 0:
    case 1: return constant(g, dtype, s, r);
    case 2: return parameter(m, g, dtype, s, Encoding::plain, r);
    case 3: return state(m, g, dtype, s);
    default: return input(g, dtype, s);
  }
}

// A present value of this type or one that is made to fit, or a new one.
ValueId fitting(ModelDef& m, Graph& g, DType dtype, const Shape& s, bool top, Random& r) {
  std::vector<ValueId> same, reshaped;
  for (size_t v = 0; v < g.values.size(); ++v) {
    const Value& value = g.values[v];
    if (value.encoding != Encoding::plain || value.shape.elements() != s.elements()) continue;
    (value.dtype == dtype && value.shape == s ? same : reshaped).push_back((ValueId)v);
  }
  if (!same.empty() && !r.one_in(4)) return any(same, r);
  if (!reshaped.empty() && !r.one_in(3)) {
    ValueId v = any(reshaped, r);
    if (!(g.value(v).shape == s)) v = reshape(g, v, s);
    if (v != kNoValue && g.value(v).dtype != dtype) v = cast(g, v, dtype);
    if (v != kNoValue) return v;
    g.status = TERN_OK;
  }
  return given(m, g, dtype, s, top, r);
}

// A result of this type: what a sub-graph must give.
ValueId result(Graph& g, DType dtype, const Shape& s, Random& r) {
  return emit(g, "stop_gradient", {constant(g, dtype, s, r)});
}

// ---- the cases of operators ----

// What each operator is known to take: its own lines, and changes of them.
const std::vector<test::ParsedCase>& cases_of(const Op& op) {
  static std::map<const Op*, std::vector<test::ParsedCase>> known;
  const auto [it, fresh] = known.try_emplace(&op);
  if (!fresh) return it->second;
  for (const test::ParsedCase& c : test::variants(op, 40)) it->second.push_back(c);
  for (int32_t i = 0; i < op.cases.count; ++i) {
    test::ParsedCase c;
    std::string why;
    if (test::parse_case(op, op.cases.items[i], &c, &why) && c.refused == TERN_OK) it->second.push_back(std::move(c));
  }
  return it->second;
}

const Op& any_op(Random& r) {
  for (;;) {
    const Op* op = all_ops()[(size_t)r.below((int64_t)all_ops().size())];
    if (op->num_subgraphs == 0) return *op;
  }
}

// Appends a node of any operator as one of its cases has it, fed with what is there where that fits.
void graft(ModelDef& m, Graph& g, bool top, Random& r) {
  const Op& op = any_op(r);
  const std::vector<test::ParsedCase>& cases = cases_of(op);
  if (cases.empty()) return;
  const test::ParsedCase& c = any(cases, r);
  Node n;
  n.op = &op;
  n.attributes = c.attributes;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const test::Tensor& t = c.inputs[i];
    ValueId v = kNoValue;
    if (t.present && t.bytes() > kMostBytes) return;
    const bool encoded = t.present && (op.encoded_in >> std::min<size_t>(i, 31) & 1) && r.one_in(2);
    const Encoding e = encoded ? (Encoding)r.below(kNumEncodings) : Encoding::plain;
    if (t.present && (op.flags & kWritesState) && (int)i < op.num_out)
      v = top ? state(m, g, t.dtype, t.shape, op.paged_in & 1, e) : kNoValue;
    else if (t.present && t.encoding != Encoding::plain) v = parameter(m, g, t.dtype, t.shape, t.encoding, r);
    else if (t.present && t.given && !r.one_in(6)) v = add_constant(g, t.dtype, t.shape, t.data());
    else if (encoded) v = parameter(m, g, t.dtype, t.shape, e, r);
    else if (t.present) v = fitting(m, g, t.dtype, t.shape, top, r);
    if (t.present && v == kNoValue) return;
    n.in.push_back(v);
  }
  const ValueId y = emit_node(g, std::move(n), c.num_out);
  if (g.status != TERN_OK) g.status = TERN_OK;
  else if (y != kNoValue && top && r.one_in(2)) g.outputs.push_back(y);
}

// ---- making a graph sound again ----

// Some node inputs may be of values that are gone or come later, and all types and shapes of results are open.
class Repair {
 public:
  Repair(Graph& g, Random& r) : g_(g), r_(r) {}

  // outputs: as many as there are now, of the types that they have (for sub-graphs).
  void run(bool keep_outputs) {
    std::vector<std::pair<DType, Shape>> wanted;
    for (const ValueId v : g_.outputs) wanted.push_back({g_.value(v).dtype, g_.value(v).shape});
    ready_.assign(g_.values.size(), 0);
    for (size_t v = 0; v < g_.values.size(); ++v) ready_[v] = g_.values[v].kind != ValueKind::node;
    std::vector<Node> nodes = std::move(g_.nodes);
    g_.nodes.clear();
    if (nodes.size() > kMostNodes) nodes.resize(kMostNodes);
    for (Node& n : nodes) place(n);
    std::vector<ValueId> outputs;
    std::vector<char> taken(g_.values.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      ValueId v = g_.outputs[i];
      const bool own = ready_[(size_t)v] && g_.value(v).kind == ValueKind::node && !taken[(size_t)v];
      if (!own && !keep_outputs) continue;
      if (!own && is_ready_plain(v)) v = emit(g_, "stop_gradient", {v});
      else if (!own)
        v = is_small(wanted[i].first, wanted[i].second) ? result(g_, wanted[i].first, wanted[i].second, r_) : kNoValue;
      if (v == kNoValue) v = result(g_, TERN_DTYPE_F32, {}, r_);
      taken.resize(g_.values.size());
      taken[(size_t)v] = 1;
      outputs.push_back(v);
    }
    if (outputs.empty() && !keep_outputs)
      outputs.push_back(g_.nodes.empty() ? result(g_, TERN_DTYPE_F32, {2}, r_) : g_.nodes.back().out[0]);
    g_.outputs = std::move(outputs);
    g_.status = TERN_OK;
    drop_unused();
  }

 private:
  bool is_ready_plain(ValueId v) const {
    return (size_t)v < ready_.size() && ready_[(size_t)v] && g_.value(v).encoding == Encoding::plain;
  }

  ValueId any_ready() {
    for (int i = 0; i < 20 && !g_.values.empty(); ++i) {
      const ValueId v = (ValueId)r_.below((int64_t)ready_.size());
      if (ready_[(size_t)v]) return v;
    }
    return kNoValue;
  }

  // The sub-graphs take what stands outside, and give what the operator needs.
  void repair_subgraphs(Node& n) {
    const bool loop = n.subgraphs.size() == 1;
    const size_t first = loop ? 0 : 1;
    for (Graph& sub : n.subgraphs) {
      for (size_t i = loop ? 2 : 0; i < sub.inputs.size() && i + first < n.in.size(); ++i) {
        if (n.in[i + first] == kNoValue) continue;
        const Value& outside = g_.value(n.in[i + first]);
        sub.value(sub.inputs[i]).dtype = outside.dtype;
        sub.value(sub.inputs[i]).shape = outside.shape;
      }
      Repair(sub, r_).run(true);
    }
    const auto make_like = [&](Graph& sub, size_t i, const Value& like) {
      const Value& now = sub.value(sub.outputs[i]);
      if (now.dtype != like.dtype || !(now.shape == like.shape))
        sub.outputs[i] = result(sub, like.dtype, like.shape, r_);
    };
    if (loop) {
      const size_t carried = (size_t)std::clamp<int64_t>(n.attrs<LoopAttrs>().num_carried, 0, (int64_t)n.in.size());
      for (size_t i = 0; i < carried && 1 + i < n.subgraphs[0].outputs.size() && 2 + i < n.subgraphs[0].inputs.size();
           ++i)
        make_like(n.subgraphs[0], 1 + i, Value(n.subgraphs[0].value(n.subgraphs[0].inputs[2 + i])));
    } else if (!r_.one_in(6)) {  // branches may differ
      for (size_t i = 0; i < std::min(n.subgraphs[0].outputs.size(), n.subgraphs[1].outputs.size()); ++i)
        make_like(n.subgraphs[1], i, Value(n.subgraphs[0].value(n.subgraphs[0].outputs[i])));
    }
  }

  // Keeps the node if its shape rule takes it, after some tries.
  void place(Node n) {
    if (!n.op) return;
    for (int attempt = 0; attempt < 4; ++attempt) {
      for (ValueId& v : n.in)
        if (v != kNoValue && !ready_[(size_t)v]) v = any_ready();
      if (!n.subgraphs.empty()) repair_subgraphs(n);
      std::vector<Value> outs;
      if (infer_node(g_, n, &outs) == TERN_OK && std::all_of(outs.begin(), outs.end(), [](const Value& v) {
            return is_small(v.dtype, v.shape) && v.encoding == Encoding::plain;
          })) {
        fold_node(g_, n, g_.budget, outs);
        for (size_t i = 0; i < outs.size(); ++i) {
          Value& v = g_.value(n.out[i]);
          v.dtype = outs[i].dtype, v.shape = outs[i].shape, v.data = outs[i].data;
          v.producer = (int32_t)g_.nodes.size();
          ready_[(size_t)n.out[i]] = 1;
        }
        g_.nodes.push_back(std::move(n));
        return;
      }
      if (attempt == 0 && !n.in.empty() && n.in[0] != kNoValue && r_.one_in(2)) {
        for (size_t i = 1; i < n.in.size(); ++i) n.in[i] = n.in[0];
      } else if (r_.one_in(2)) {
        set_default_attributes(*n.op, &n.attributes);
      } else if (!n.in.empty()) {
        any(n.in, r_) = any_ready();
      }
    }
  }

  // Files hold no value that nobody makes; some that nobody reads stay.
  void drop_unused() {
    std::vector<char> used(g_.values.size());
    for (size_t v = 0; v < g_.values.size(); ++v)
      used[v] = g_.values[v].kind == ValueKind::input || g_.values[v].kind == ValueKind::scalar;
    for (const Node& n : g_.nodes) {
      for (const ValueId v : n.in)
        if (v != kNoValue) used[(size_t)v] = 1;
      for (const ValueId v : n.out) used[(size_t)v] = 1;
    }
    std::vector<ValueId> map(g_.values.size(), kNoValue);
    std::vector<Value> values;
    for (size_t v = 0; v < used.size(); ++v) {
      if (!used[v]) continue;
      map[v] = (ValueId)values.size();
      values.push_back(std::move(g_.values[v]));
    }
    g_.values = std::move(values);
    const auto follow = [&](std::vector<ValueId>& list) {
      for (ValueId& v : list)
        if (v != kNoValue) v = map[(size_t)v];
    };
    follow(g_.inputs);
    follow(g_.outputs);
    for (Node& n : g_.nodes) follow(n.in), follow(n.out);
  }

  Graph& g_;
  Random& r_;
  std::vector<char> ready_;
};

// ---- changes ----

void change_attribute(Graph& g, Random& r) {
  if (g.nodes.empty()) return;
  Node& n = any(g.nodes, r);
  if (n.op->attributes.count == 0) return;
  const AttrField& f = n.op->attributes.fields[r.below(n.op->attributes.count)];
  unsigned char* field = n.attributes.bytes + f.offset;
  const auto integer = [&] {
    const int64_t v = extreme(r);
    const double lo = std::max(f.min, -9e18), hi = std::min(f.max, 9e18);
    return r.one_in(8) ? v : std::clamp(v, (int64_t)lo, (int64_t)hi);
  };
  if (f.type == AttrType::number) {
    const double v =
        r.one_in(3) ? std::clamp(kNumbers[r.below(std::size(kNumbers))], f.min, f.max) : (double)r.below(21) / 10 - 1;
    std::memcpy(field, &v, sizeof v);
  } else if (f.type == AttrType::integers) {
    IntList list;
    std::memcpy(&list, field, sizeof list);
    if (r.one_in(3)) list.count = r.below(kMaxRank + 1);
    if (list.count > 0) list[r.below(list.count)] = integer();
    std::memcpy(field, &list, sizeof list);
  } else {
    const int64_t v = f.type == AttrType::choice ? r.below((int64_t)f.max + 1) : integer();
    std::memcpy(field, &v, sizeof v);
  }
}

void change_operator(Graph& g, Random& r) {
  if (g.nodes.empty()) return;
  Node& n = any(g.nodes, r);
  if (!n.subgraphs.empty()) return;
  const Op& op = any_op(r);
  if (op.num_out >= 0 && (size_t)op.num_out != n.out.size()) return;
  n.op = &op;
  set_default_attributes(op, &n.attributes);
  while ((int)n.in.size() < op.min_in) n.in.push_back(n.in.empty() ? 0 : n.in[0]);
  if (op.max_in >= 0 && (int)n.in.size() > op.max_in) n.in.resize((size_t)op.max_in);
}

void change_operand(Graph& g, Random& r) {
  if (g.nodes.empty() || g.values.empty()) return;
  Node& n = any(g.nodes, r);
  const ValueId v = r.one_in(10) ? kNoValue : (ValueId)r.below((int64_t)g.values.size());
  if (n.in.empty() || r.one_in(12)) n.in.push_back(v);
  else if (r.one_in(12)) n.in.pop_back();
  else any(n.in, r) = v;
}

void change_input(Graph& g, Random& r) {
  if (g.inputs.empty()) return;
  Value& v = g.value(any(g.inputs, r));
  if (v.kind != ValueKind::input) return;
  if (r.one_in(4)) v.dtype = any_dtype(r);
  else if (r.one_in(4) || v.shape.rank == 0) v.shape = any_shape(r);
  else v.shape[(int)r.below(v.shape.rank)] = r.one_of<int64_t>({0, 1, 2, 3, 5, 8, 31, 32, 33, 64});
  if (!is_small(v.dtype, v.shape)) v.shape = {2};
}

void change_constant(Graph& g, Random& r) {
  std::vector<ValueId> list;
  for (size_t v = 0; v < g.values.size(); ++v)
    if (g.values[v].kind == ValueKind::constant) list.push_back((ValueId)v);
  if (list.empty()) return;
  Value& v = g.value(any(list, r));
  const Value old = v;
  if (r.one_in(4)) v.dtype = any_dtype(r);
  if (r.one_in(4)) v.shape = any_shape(r);
  if (!is_small(v.dtype, v.shape)) v.shape = {1};
  void* data = nullptr;
  const bool keep = old.data && r.one_in(3);
  v.data = make_data(value_bytes(v), &data);
  fill(v.dtype, v.shape, data, r);
  if (keep && old.dtype == v.dtype && old.shape == v.shape && v.shape.elements() > 0) {  // one element
    const int64_t i = r.below(v.shape.elements());
    std::memcpy(data, old.data.bytes, (size_t)value_bytes(v));
    if (is_float(v.dtype)) store_element(v.dtype, data, i, kNumbers[r.below(std::size(kNumbers))]);
    else store_integer(v.dtype, data, i, extreme(r));
  }
}

void change_parameter(ModelDef& m, Random& r) {
  if (m.parameters.empty()) return;
  const size_t i = (size_t)r.below((int64_t)m.parameters.size());
  Parameter p = m.parameters[i];
  if (r.one_in(3)) p.encoding = (Encoding)r.below(kNumEncodings);
  if (r.one_in(4)) p.dtype = any_dtype(r);
  if (r.one_in(8)) p.shape = any_shape(r);
  else if (r.one_in(2) && p.shape.rank > 0)
    p.shape[(int)r.below(p.shape.rank)] = r.one_of<int64_t>({0, 1, 2, 3, 5, 8, 31, 32, 33, 40});
  if (encoded_bytes(p.encoding, p.dtype, p.shape, &p.bytes) != TERN_OK || p.bytes > kMostBytes ||
      !is_small(p.dtype, p.shape))
    return;
  set_content(p, r);
  m.parameters[i] = p;
  for (Signature& s : m.signatures)
    for_each_graph(s.graph, [&](const Graph& g) {
      for (Value& v : const_cast<Graph&>(g).values)
        if (v.kind == ValueKind::parameter && v.index == (int32_t)i)
          v.dtype = p.dtype, v.encoding = p.encoding, v.shape = p.shape;
    });
}

// Puts a node into a branch or a loop: what it reads is captured.
void wrap(Graph& g, Random& r) {
  if (g.nodes.empty()) return;
  const size_t at = (size_t)r.below((int64_t)g.nodes.size());
  Node inner = g.nodes[at];
  if (inner.op->flags & kWritesState || inner.in.empty()) return;
  for (const ValueId v : inner.in)
    if (v == kNoValue || g.value(v).encoding != Encoding::plain) return;
  Node outer;
  const bool loop = r.one_in(2);
  outer.op = find_op(loop ? "loop" : "if");
  if (!outer.op) return;
  set_default_attributes(*outer.op, &outer.attributes);
  outer.out = inner.out;
  const uint8_t yes = (uint8_t)r.below(2);
  const auto condition = [&] {
    return r.one_in(3) ? add_constant(g, TERN_DTYPE_BOOL, {}, &yes) : input(g, TERN_DTYPE_BOOL, {});
  };
  const auto body = [&](size_t carried) {
    Graph sub;
    if (loop) add_input(sub, "i", TERN_DTYPE_I64, {}), add_input(sub, "go", TERN_DTYPE_BOOL, {});
    Node n = inner;
    for (size_t i = 0; i < n.in.size(); ++i)
      n.in[i] = add_input(sub, "c" + std::to_string(i), g.value(inner.in[i]).dtype, g.value(inner.in[i]).shape);
    n.out.clear();
    for (const ValueId v : inner.out) {
      Value copy;
      copy.dtype = g.value(v).dtype, copy.shape = g.value(v).shape;
      n.out.push_back(add_value(sub, copy));
    }
    sub.nodes.push_back(n);
    if (loop)
      sub.outputs.push_back(r.one_in(2) ? emit(sub, "stop_gradient", {sub.inputs[1]})
                                        : result(sub, TERN_DTYPE_BOOL, {}, r));
    for (size_t i = 0; i < carried; ++i)
      sub.outputs.push_back(i < n.out.size() && r.one_in(2) ? n.out[i]
                                                            : emit(sub, "stop_gradient", {sub.inputs[2 + i]}));
    for (const ValueId v : n.out) sub.outputs.push_back(v);
    return sub;
  };
  if (!loop) {
    outer.in = {condition()};
    outer.in.insert(outer.in.end(), inner.in.begin(), inner.in.end());
    outer.subgraphs = {body(0), body(0)};
  } else {
    const size_t carried = (size_t)r.below((int64_t)std::min<size_t>(3, inner.in.size() + 1));
    const int64_t trips = r.one_in(8) ? extreme(r) : r.below(5);
    outer.attrs<LoopAttrs>().num_carried = (int64_t)carried;
    outer.in = {r.one_in(6) ? input(g, TERN_DTYPE_I64, {}) : add_constant(g, TERN_DTYPE_I64, {}, &trips), condition()};
    outer.in.insert(outer.in.end(), inner.in.begin(), inner.in.end());
    Graph sub = body(carried);
    // Carried values first; those of the node itself are scanned.
    for (size_t i = 0; i < carried; ++i) {
      Value v;
      v.dtype = g.value(inner.in[i]).dtype, v.shape = g.value(inner.in[i]).shape;
      outer.out.insert(outer.out.begin() + (ptrdiff_t)i, add_value(g, v));
    }
    outer.subgraphs = {std::move(sub)};
  }
  g.nodes[at] = std::move(outer);
}

void change_outputs(Graph& g, bool top, Random& r) {
  if (g.values.empty()) return;
  const ValueId v = (ValueId)r.below((int64_t)g.values.size());
  if (top && (g.outputs.empty() || r.one_in(2))) g.outputs.push_back(v);
  else if (top && g.outputs.size() > 1 && r.one_in(3)) g.outputs.pop_back();
  else if (!g.outputs.empty()) any(g.outputs, r) = v;
}

void change_nodes(Graph& g, Random& r) {
  if (g.nodes.empty()) return;
  const size_t i = (size_t)r.below((int64_t)g.nodes.size()), k = (size_t)r.below((int64_t)g.nodes.size());
  if (r.one_in(3)) {
    g.nodes.erase(g.nodes.begin() + (ptrdiff_t)i);
  } else if (r.one_in(2)) {
    std::swap(g.nodes[i], g.nodes[k]);
  } else {  // once more, with results of its own
    Node n = g.nodes[i];
    for (ValueId& v : n.out) v = add_value(g, Value(g.value(v)));
    g.nodes.push_back(std::move(n));
  }
}

void change_symbols(Signature& s, Random& r) {
  if (r.one_in(3) && !s.symbols.empty()) {
    Symbol& y = any(s.symbols, r);
    if (r.one_in(2)) y.min = r.below(3);
    else if (r.one_in(2)) y.max = r.one_in(3) ? INT64_MAX : y.hint + r.below(40);
    else y.multiple = r.one_of<int64_t>({1, 1, 2, 3, 4, 8, 32});
    return;
  }
  if (r.one_in(4) && !s.symbolic_dims.empty()) {
    s.symbolic_dims.erase(s.symbolic_dims.begin() + r.below((int64_t)s.symbolic_dims.size()));
    return;
  }
  if (s.graph.inputs.empty()) return;
  const int32_t i = (int32_t)r.below((int64_t)s.graph.inputs.size());
  const Value& v = s.graph.value(s.graph.inputs[(size_t)i]);
  if (v.kind != ValueKind::input || v.shape.rank == 0) return;
  const int32_t axis = (int32_t)r.below(v.shape.rank);
  int32_t symbol = -1;
  for (size_t k = 0; k < s.symbols.size(); ++k)
    if (s.symbols[k].hint == v.shape[axis] && r.one_in(2)) symbol = (int32_t)k;
  if (symbol < 0) {
    symbol = (int32_t)s.symbols.size();
    s.symbols.push_back(
        {"n" + std::to_string(symbol), 0, r.one_in(2) ? INT64_MAX : v.shape[axis] + 40, v.shape[axis], 1});
  }
  s.symbolic_dims.push_back({i, axis, symbol});
}

void change_position(ModelDef& m, Signature& s, Random& r) {
  Graph& g = s.graph;
  const Shape shape{8, 4};
  const ValueId cache = state(m, g, TERN_DTYPE_F32, shape),
                position = add_scalar(g, "position" + std::to_string(g.values.size()));
  s.position_input = (int32_t)g.inputs.size() - 1;
  s.advance = r.below(5);
  s.capacity = s.advance + r.below(20);
  const int64_t rows = r.below(5);
  const ValueId update = fitting(m, g, TERN_DTYPE_F32, {rows, 4}, true, r);
  if (update != kNoValue) g.outputs.push_back(emit(g, "state_write", {cache, update, position}, StateWriteAttrs{}));
  if (g.outputs.back() == kNoValue) g.outputs.pop_back();
  g.status = TERN_OK;
}

// The words and numbers by which tasks read a model, and others in their place.
void change_metadata(ModelDef& m, Random& r) {
  static const char* const kValues[] = {"0",     "1",       "-1",      "0.5", "2",      "4", "8",
                                        "1e9",   "1e300",   "-1e300",  "inf", "nan",    "",  ",",
                                        "1,2,3", "1,1,1,1", "0,0,0,0", "255", "1e-320", "x"};
  static const char* const kGrids[] = {"2x2: 0.5x0.5",   "1x5: 1x1\n3x1: 0.5x1 1x0.5",
                                       "/4: 8x8",        "/2: 1x1\n/4: 2x2",
                                       "4096x4096: 1x1", "0x1: 1x1",
                                       "/0: 1x1",        "1x1:",
                                       "1x1: 1e9x1",     "x"};
  std::string key, value;
  if (!m.metadata.empty() && r.one_in(6)) {
    m.metadata.erase(m.metadata.begin() + r.below((int64_t)m.metadata.size()));
    return;
  }
  const Signature& s = any(m.signatures, r);
  // Any key of the schema; now and then one that is none.
  const std::span<const TaskKey> keys = task_keys();
  const TaskKey& known = keys[(size_t)r.below((int64_t)keys.size())];
  key = r.one_in(40) ? "input.none" : known.name;
  value = kValues[r.below(std::size(kValues))];
  switch (known.kind) {
    case TaskKeyKind::choice: {
      std::vector<std::string> words(1);
      for (const char* c = known.words; *c; ++c)
        if (*c == '|') words.emplace_back();
        else words.back() += *c;
      value = any(words, r);
      break;
    }
    case TaskKeyKind::output:
      value = s.output_names.empty() ? "y" : any(s.output_names, r);
      if (r.one_in(2)) value += "[" + std::to_string(r.below(6)) + ":" + std::to_string(r.below(10)) + "]";
      else if (r.one_in(4)) value += "[" + std::to_string(r.below(6)) + "]";
      if (r.one_in(8)) value += "\n" + value;
      break;
    case TaskKeyKind::anchors: value = kGrids[r.below(std::size(kGrids))]; break;
    case TaskKeyKind::lines: value = r.one_in(2) ? "a\nb" : "\n\n\r\n"; break;
    default: break;
  }
  for (auto& [k, v] : m.metadata)
    if (k == key) return (void)(v = value);
  m.metadata.emplace_back(key, value);
}

// A model as a recipe of the importer leaves it: what its outputs are is said by the metadata.
ModelDef task_model(Random& r) {
  ModelDef m;
  m.signatures.resize(1);
  Signature& s = m.signatures[0];
  s.name = "forward";
  Graph& g = s.graph;
  const bool planar = r.one_in(3);
  const ValueId x = add_input(g, "picture", TERN_DTYPE_F32, planar ? Shape{1, 3, 6, 8} : Shape{1, 6, 8, 3});
  const ValueId mean = emit(g, "reduce_mean", {x});
  const auto output = [&](const char* key, const Shape& shape) {
    s.output_names.push_back("y" + std::to_string(s.output_names.size()));
    m.metadata.emplace_back(key, s.output_names.back());
    g.outputs.push_back(add(g, constant(g, TERN_DTYPE_F32, shape, r), reshape(g, mean, Shape{})));
  };
  if (planar) m.metadata.emplace_back("input.layout", "nchw");
  const int64_t n = 1 + r.below(20);
  const auto say = [&](const char* key, std::string value) { m.metadata.emplace_back(key, std::move(value)); };
  const auto columns = [&](const char* key, const char* of, const char* range) {
    for (const auto& [k, v] : std::vector(m.metadata))
      if (k == of) say(key, v + range);
  };
  switch (r.below(7)) {
    case 0: {
      say("task", "detector");
      output("output.boxes", {1, n, 4});
      output("output.scores", {1, n, 1 + r.below(3)});
      if (r.one_in(2)) output("output.points", {1, n, 4});
      std::string shapes = "1x1:";
      for (int64_t i = 0; i < n; ++i) shapes += " 0.5x1";
      say("anchors", shapes);
      say("boxes.unit", "anchors");
      break;
    }
    case 1: {  // columns of one output, and masks
      say("task", "detector");
      output("output.masks", {1, 12, n});
      m.metadata.back().first = "rows";  // the name of the output, for what follows
      columns("output.boxes", "rows", "[0:4]");
      columns("output.scores", "rows", "[4:7]");
      columns("output.coefficients", "rows", "[7:11]");
      columns("output.angle", "rows", "[11]");
      if (r.one_in(2)) m.metadata.pop_back();
      std::erase_if(m.metadata, [](const auto& e) { return e.first == "rows"; });
      output("output.prototypes", {1, 4, 3, 4});
      say("rows.order", "columns_first");
      say("mask.activation", "sigmoid");
      break;
    }
    case 2:
      say("task", "detector");
      output("output.heatmap", {1, 1 + r.below(3), 3, 4});
      output("output.sizes", {1, 2, 3, 4});
      if (r.one_in(2)) output("output.offsets", {1, 2, 3, 4});
      if (r.one_in(2)) output("output.points", {1, 10, 3, 4});
      break;
    case 3:
      say("task", "classifier");
      output("output.scores", {1, n});
      break;
    case 4:
      say("task", "segmenter");
      if (r.one_in(2)) output("output.mask", r.one_in(2) ? Shape{1, 1, 3, 4} : Shape{1, 3, 4, 1});
      else output("output.class_map", r.one_in(2) ? Shape{1, 3, 4, 5} : Shape{1, 4, 5, 3});
      break;
    case 5:
      say("task", "embedder");
      output("output.embedding", {1, n});
      break;
    default:
      say("task", "keypoints");
      say("keypoints.rows", std::to_string(n));
      say("keypoints.depth", "2");
      say("region.from", "points");
      say("region.edge", std::to_string(n - 1));
      output("output.points", {1, n * 5});
      output("output.presence", {1, 1});
      if (r.one_in(2)) output("output.heatmap", {1, 3, 4, n});
  }
  return m;
}

Graph& any_graph(Graph& g, bool* top, Random& r) {
  for (Node& n : g.nodes)
    if (!n.subgraphs.empty() && r.one_in(3)) {
      *top = false;
      return any_graph(any(n.subgraphs, r), top, r);
    }
  return g;
}

// What hangs on the order and number of inputs and outputs.
void settle(ModelDef& m, Random& r) {
  for (Signature& s : m.signatures) {
    Repair(s.graph, r).run(false);
    std::vector<std::string> names;
    for (size_t i = 0; i < s.graph.inputs.size(); ++i) {
      std::string& name = s.graph.value(s.graph.inputs[i]).name;
      if (name.empty() || std::find(names.begin(), names.end(), name) != names.end())
        name = "input" + std::to_string(i);
      names.push_back(name);
    }
    s.output_names.resize(s.graph.outputs.size());
    for (size_t i = 0; i < s.output_names.size(); ++i)
      if (s.output_names[i].empty() || std::find(s.output_names.begin(), s.output_names.begin() + (ptrdiff_t)i,
                                                 s.output_names[i]) != s.output_names.begin() + (ptrdiff_t)i)
        s.output_names[i] = "y" + std::to_string(i);
    std::vector<SymbolicDim> dims;
    for (const SymbolicDim& d : s.symbolic_dims) {
      if ((size_t)d.input >= s.graph.inputs.size()) continue;
      const Value& v = s.graph.value(s.graph.inputs[(size_t)d.input]);
      const bool twice = std::any_of(dims.begin(), dims.end(),
                                     [&](const SymbolicDim& o) { return o.input == d.input && o.axis == d.axis; });
      if (v.kind == ValueKind::input && d.axis < v.shape.rank && v.shape[d.axis] == s.symbols[(size_t)d.symbol].hint &&
          !twice)
        dims.push_back(d);
    }
    s.symbolic_dims = std::move(dims);
    for (Symbol& y : s.symbols) {
      y.min = std::min(y.min, y.hint), y.max = std::max(y.max, y.hint);
      if (y.multiple < 1 || y.hint % y.multiple) y.multiple = 1;
    }
  }
}

void change(ModelDef& m, Random& r) {
  Signature& s = any(m.signatures, r);
  bool top = true;
  Graph& g = any_graph(s.graph, &top, r);
  switch (r.below(16)) {
    case 0:
    case 1:
    case 2: graft(m, g, top, r); break;
    case 3:
    case 4: change_attribute(g, r); break;
    case 5: change_operator(g, r); break;
    case 6: change_operand(g, r); break;
    case 7: change_input(s.graph, r); break;
    case 8: change_constant(g, r); break;
    case 9: change_parameter(m, r); break;
    case 10: wrap(g, r); break;
    case 11: change_outputs(g, top, r); break;
    case 12: change_nodes(g, r); break;
    case 13: change_symbols(s, r); break;
    case 14: r.one_in(3) ? change_position(m, s, r) : change_metadata(m, r); break;
    default: change_metadata(m, r);
  }
}

}  // namespace

void mutate_model(ModelDef& m, Random& r) {
  if (m.signatures.empty()) {
    m.signatures.resize(1);
    m.signatures[0].name = "forward";
  }
  if (m.signatures.size() > 4) m.signatures.resize(4);
  if (m.parameters.size() > 40 || m.states.size() > 20 || m.metadata.size() > 60) {  // grown too far: begin anew
    m = {};
    m.signatures.resize(1);
    m.signatures[0].name = "forward";
  }
  for (int64_t n = 1 + r.below(4); n > 0; --n) change(m, r);
  settle(m, r);
}

// ---- fields ----

namespace {

// Every number, text and list of a file's tables.
struct Fields {
  struct Number {
    void* at;
    size_t bytes;
  };
  std::vector<Number> numbers;
  std::vector<std::string*> texts;
  std::vector<std::vector<int32_t>*> indices;
  std::vector<std::vector<int64_t>*> dims;

  template <class T>
  void number(T& v) {
    numbers.push_back({&v, sizeof v});
  }
  void collect(fbs::ModelT& m) {
    texts.push_back(&m.producer);
    for (auto& o : m.operators) texts.push_back(&o->name), number(o->version);
    for (auto* list : {&m.parameters, &m.constants})
      for (auto& t : *list)
        texts.push_back(&t->name), texts.push_back(&t->encoding), number(t->dtype), dims.push_back(&t->shape),
            number(t->offset), number(t->bytes), number(t->checksum);
    for (auto& s : m.states)
      texts.push_back(&s->name), texts.push_back(&s->encoding), number(s->dtype), dims.push_back(&s->shape),
          number(s->page_positions);
    for (auto& g : m.graphs) {
      for (auto& v : g->values)
        texts.push_back(&v->name), number(v->kind), number(v->dtype), dims.push_back(&v->shape), number(v->index);
      for (auto& n : g->nodes) {
        texts.push_back(&n->name), number(n->op), indices.push_back(&n->inputs), indices.push_back(&n->outputs);
        for (uint32_t& sub : n->subgraphs) number(sub);
        for (auto& a : n->attributes)
          texts.push_back(&a->name), number(a->type), number(a->integer), number(a->number),
              dims.push_back(&a->integers), texts.push_back(&a->choice);
      }
      indices.push_back(&g->inputs), indices.push_back(&g->outputs);
    }
    for (auto& s : m.signatures) {
      texts.push_back(&s->name), number(s->graph), number(s->position_input), number(s->advance), number(s->capacity);
      number(s->sequence_input);
      for (auto& n : s->output_names) texts.push_back(&n->name);
      for (auto& y : s->symbols)
        texts.push_back(&y->name), number(y->min), number(y->max), number(y->hint), number(y->multiple);
      for (auto& d : s->symbolic_dims) number(d);  // three numbers: any of them
    }
    for (auto& e : m.metadata) texts.push_back(&e->key), texts.push_back(&e->value);
  }
};

template <class T>
void change_list(std::vector<T>& list, Random& r) {
  const T v = r.one_in(2) ? (T)extreme(r) : (T)r.below(20);
  if (list.empty() || r.one_in(6)) list.insert(list.begin() + r.below((int64_t)list.size() + 1), v);
  else if (r.one_in(6)) list.erase(list.begin() + r.below((int64_t)list.size()));
  else if (r.one_in(4)) any(list, r) = any(list, r);
  else any(list, r) = v;
}

template <class T>
void change_tables(std::vector<std::unique_ptr<T>>& list, Random& r) {
  if (list.empty()) return;
  const size_t i = (size_t)r.below((int64_t)list.size()), k = (size_t)r.below((int64_t)list.size());
  switch (r.below(3)) {
    case 0: std::swap(list[i], list[k]); break;
    case 1: list.push_back(std::make_unique<T>(*list[i])); break;
    default: list.erase(list.begin() + (ptrdiff_t)i);
  }
}

std::vector<uint8_t> assemble(const fbs::ModelT& model, const std::vector<uint8_t>& weights, Random& r) {
  flatbuffers::FlatBufferBuilder b;
  fbs::FinishModelBuffer(b, fbs::CreateModel(b, &model));
  Header h;
  h.metadata_bytes = b.GetSize();
  h.metadata_checksum = checksum64(b.GetBufferPointer(), b.GetSize());
  h.weights_offset = (kHeaderBytes + h.metadata_bytes + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment;
  h.weights_bytes = weights.size();
  h.file_bytes = h.weights_offset + weights.size();
  const uint64_t size = h.file_bytes;
  if (r.one_in(40))
    *r.one_of({&h.metadata_bytes, &h.weights_offset, &h.weights_bytes, &h.file_bytes}) = (uint64_t)extreme(r);
  std::vector<uint8_t> file(size);
  write_header(h, file.data());
  std::memcpy(file.data() + kHeaderBytes, b.GetBufferPointer(), b.GetSize());
  if (!weights.empty()) std::memcpy(file.data() + size - weights.size(), weights.data(), weights.size());
  return file;
}

}  // namespace

void mutate_fields(std::vector<uint8_t>& file, Random& r) {
  Header h;
  if (read_header({file.data(), file.size(), nullptr}, UINT64_MAX, &h) != TERN_OK) return;
  const uint8_t* metadata = file.data() + kHeaderBytes;
  flatbuffers::Verifier verifier(metadata, h.metadata_bytes);
  if (h.metadata_bytes == 0 || !fbs::VerifyModelBuffer(verifier)) return;
  fbs::ModelT m;
  fbs::GetModel(metadata)->UnPackTo(&m);
  std::vector<uint8_t> weights(file.begin() + (ptrdiff_t)h.weights_offset, file.end());
  for (int64_t n = 1 + r.below(3); n > 0; --n) {
    Fields fields;
    fields.collect(m);
    switch (r.below(8)) {
      case 0:
      case 1: {
        if (fields.numbers.empty()) break;
        const Fields::Number& number = any(fields.numbers, r);
        const size_t width = std::min<size_t>(number.bytes, number.bytes > 8 ? 4 : 8);
        const size_t at = number.bytes > 8 ? (size_t)r.below(3) * 4 : 0;
        const int64_t v = r.one_in(2) ? r.below(20) : extreme(r);
        std::memcpy((char*)number.at + at, &v, width);
        break;
      }
      case 2:
      case 3:
        if (!fields.indices.empty()) change_list(*any(fields.indices, r), r);
        break;
      case 4:
        if (!fields.dims.empty()) change_list(*any(fields.dims, r), r);
        break;
      case 5:
        if (!fields.texts.empty())
          *any(fields.texts, r) =
              r.one_in(2) ? *any(fields.texts, r) : std::string((size_t)r.below(70), (char)r.next());
        break;
      case 6: {
        if (m.graphs.empty()) break;
        fbs::GraphT& g = *any(m.graphs, r);
        r.one_in(2) ? change_tables(g.values, r) : change_tables(g.nodes, r);
        break;
      }
      default:
        switch (r.below(7)) {
          case 0: change_tables(m.operators, r); break;
          case 1: change_tables(m.parameters, r); break;
          case 2: change_tables(m.constants, r); break;
          case 3: change_tables(m.states, r); break;
          case 4: change_tables(m.graphs, r); break;
          case 5: change_tables(m.signatures, r); break;
          default:
            if (!weights.empty()) any(weights, r) = (uint8_t)r.next();
        }
    }
  }
  // Most of the time the sum of a tensor's bytes is not what is to be tried.
  if (!r.one_in(10))
    for (auto* list : {&m.parameters, &m.constants})
      for (auto& t : *list)
        if (t && t->offset <= weights.size() && t->bytes <= weights.size() - t->offset)
          t->checksum = checksum64(weights.data() + t->offset, t->bytes);
  file = assemble(m, weights, r);
}

std::vector<uint8_t> mutate_file(const uint8_t* data, size_t size, uint64_t seed) {
  Random r{seed};
  Bytes bytes;
  ModelDef model;
  tern_limits limits = resolve_limits(nullptr);
  limits.max_planned_bytes = limits.max_tensor_bytes = 1 << 20;
  const bool sound =
      size > 0 && copy_bytes(data, size, &bytes) == TERN_OK && read_model(bytes, limits, &model) == TERN_OK;
  std::vector<uint8_t> file(data, data + size);
  if (sound && r.one_in(4)) {
    mutate_fields(file, r);
    return file;
  }
  if (!sound || r.one_in(100)) model = r.one_in(3) ? task_model(r) : ModelDef{};
  for (int attempt = 0; attempt < 4; ++attempt) {
    ModelDef changed = model;
    mutate_model(changed, r);
    std::vector<uint8_t> out;
    if (write_model_to_memory(changed, &out) != TERN_OK) continue;
    if (r.one_in(6)) mutate_fields(out, r);
    return out;
  }
  mutate_fields(file, r);
  return file;
}

}  // namespace tern::fuzz
