// SPDX-License-Identifier: Apache-2.0
// Moves transposes through a graph until they cancel.
//
// The graph is built anew, node by node. Each old value is known in one or more arrangements: new values whose axis i
// is the old value's axis perm[i]. A transpose makes no node, only another view of the same value. Operators that do
// not care in which order the axes lie work in the arrangement their inputs already have, with their own axes
// renumbered; the others ask for the order they need, and only then a transpose is made, once for all readers.
// Constants and weights are permuted here and now.
#include <algorithm>
#include <cstring>
#include <set>

#include "import/builder.h"
#include "passes/follow_sizes.h"

namespace tern {
namespace {

using Perm = std::vector<int64_t>;

Perm identity(int rank) {
  Perm p((size_t)rank);
  for (int i = 0; i < rank; ++i) p[(size_t)i] = i;
  return p;
}

// r[i] = a[b[i]]
Perm compose(const Perm& a, const Perm& b) {
  Perm r(b.size());
  for (size_t i = 0; i < b.size(); ++i) r[i] = a[(size_t)b[i]];
  return r;
}

int64_t position(const Perm& p, int64_t axis) { return std::find(p.begin(), p.end(), axis) - p.begin(); }

struct Layout {
  ModelDef& model;
  const Graph& old;
  Graph out;
  Builder b;

  struct View {
    ValueId root = kNoValue;
    Perm perm;  // axis i of the value is axis perm[i] of the root
  };
  struct Stored {
    Perm perm;  // axis i of the new value is axis perm[i] of the root
    ValueId id = kNoValue;
  };
  std::vector<View> view;
  std::vector<std::vector<Stored>> stored;                      // by root
  std::map<std::pair<ValueId, std::string>, ValueId> stripped;  // weights in broadcast form
  std::vector<std::vector<int32_t>> readers;                    // nodes by old value
  std::map<ValueId, std::vector<int64_t>> columns;              // flattened values: old column of each new column

  Layout(ModelDef& m, const Graph& g, Sizes& sizes) : model(m), old(g), b(m, &out, sizes) {
    view.resize(g.values.size());
    stored.resize(g.values.size());
    readers.resize(g.values.size());
    for (size_t i = 0; i < g.nodes.size(); ++i)
      for (ValueId v : g.nodes[i].in)
        if (v != kNoValue) readers[(size_t)v].push_back((int32_t)i);
    for (ValueId v : g.outputs) readers[(size_t)v].push_back(-1);
  }

  int rank(ValueId v) const { return old.value(v).shape.rank; }
  bool fixed(ValueId v, int axis) const { return !old.value(v).sizes || b.sizes.fixed(old.value(v).sizes->dims[axis]); }
  bool unit(ValueId v, int axis) const { return fixed(v, axis) && old.value(v).shape[axis] == 1; }
  bool is_free(ValueId v) const {
    const Value& x = old.value(view[(size_t)v].root);
    return (x.kind == ValueKind::constant || x.kind == ValueKind::parameter) && is_plain(x.encoding);
  }

  void define(ValueId v, const Perm& perm, ValueId id) {
    view[(size_t)v] = {v, identity(rank(v))};
    stored[(size_t)v] = {{perm, id}};
    if (id == kNoValue) return;
    if (out.value(id).name.empty()) out.value(id).name = old.value(v).name;
  }

  const Stored* find(ValueId v, const Perm& q) const {
    const Perm r = compose(view[(size_t)v].perm, q);
    for (const Stored& s : stored[(size_t)view[(size_t)v].root])
      if (s.perm == r) return &s;
    return nullptr;
  }

  // The arrangement in which a value was made.
  Perm natural(ValueId v) const {
    const Perm& s = stored[(size_t)view[(size_t)v].root][0].perm;
    Perm q(s.size());
    for (size_t i = 0; i < s.size(); ++i) q[i] = position(view[(size_t)v].perm, s[i]);
    return q;
  }

  // From one arrangement of v to another only axes of size 1 move: no bytes do.
  bool same_bytes(ValueId v, const Perm& from, const Perm& to) const {
    Perm a, c;
    for (int64_t x : from)
      if (!unit(v, (int)x)) a.push_back(x);
    for (int64_t x : to)
      if (!unit(v, (int)x)) c.push_back(x);
    return a == c;
  }

  // Content of a free value (of the root), for all its axes.
  TensorData content(const Value& v) const {
    TensorData t;
    t.name = v.name;
    t.dtype = v.dtype;
    t.shape = v.shape;
    t.data = v.kind == ValueKind::parameter ? model.parameters[(size_t)v.index].data : v.data;
    return t;
  }
  ValueId add_free(const Value& like, const TensorData& t) {
    return like.kind == ValueKind::parameter ? b.parameter(t) : b.constant(t);
  }

  // v in arrangement q.
  ValueId get(ValueId v, const Perm& q) {
    if (v == kNoValue || b.status() != TERN_OK) return kNoValue;
    if (const Stored* s = find(v, q)) return s->id;
    const ValueId root = view[(size_t)v].root;
    const Perm want = compose(view[(size_t)v].perm, q);
    ValueId id;
    if (is_free(v)) {
      id = add_free(old.value(root), permute(content(old.value(root)), want));
    } else {
      const Stored source = stored[(size_t)root][0];
      Perm t(want.size());
      for (size_t i = 0; i < want.size(); ++i) t[i] = position(source.perm, want[i]);
      if (same_bytes(root, source.perm, want)) {
        std::vector<int64_t> dims;
        for (size_t i = 0; i < want.size(); ++i)
          dims.push_back(unit(root, (int)want[i]) ? 1 : Builder::same((int)t[i]));
        id = b.reshape(source.id, dims);
      } else {
        id = b.transpose(source.id, t);
      }
      if (id != kNoValue && out.value(id).name.empty()) out.value(id).name = old.value(v).name;
    }
    stored[(size_t)root].push_back({want, id});
    return id;
  }
  ValueId plain(ValueId v) { return v == kNoValue ? v : get(v, identity(rank(v))); }

  // Appends a copy of an old node with new inputs and, through `change`, other attributes.
  template <class F>
  std::vector<ValueId> copy(int32_t index, const std::vector<ValueId>& in, F&& change) {
    std::vector<ValueId> outs(old.nodes[(size_t)index].out.size(), kNoValue);
    if (b.status() != TERN_OK) return outs;
    Node n = old.nodes[(size_t)index];
    n.in = in;
    if ((out.status = change(n)) != TERN_OK) return outs;
    return b.append(std::move(n), (int)outs.size());
  }
  std::vector<ValueId> copy(int32_t index, const std::vector<ValueId>& in) {
    return copy(index, in, [](Node&) { return (tern_status)TERN_OK; });
  }

  void keep(int32_t index);
  bool elementwise(int32_t index);
  bool along_axis(int32_t index);
  bool last_axis(int32_t index);
  bool reduce(int32_t index);
  bool concat(int32_t index);
  bool slice(int32_t index);
  bool pad(int32_t index);
  bool tile(int32_t index);
  bool shape(int32_t index);
  bool matmul(int32_t index);
  bool reshape(int32_t index);
  bool flattened_linear(int32_t index);
  ValueId broadcast_operand(ValueId v, int out_rank, const Perm& q, bool may_strip);
  Perm cheapest(const std::vector<ValueId>& in, int out_rank);
  tern_status run();
};

// As it is: all inputs in the order that the operator means.
void Layout::keep(int32_t index) {
  std::vector<ValueId> in;
  for (ValueId v : old.nodes[(size_t)index].in) in.push_back(plain(v));
  const std::vector<ValueId> outs = copy(index, in);
  for (size_t i = 0; i < outs.size(); ++i)
    define(old.nodes[(size_t)index].out[i], identity(rank(old.nodes[(size_t)index].out[i])), outs[i]);
}

// The arrangement of the inputs of full rank that moves the fewest elements.
Perm Layout::cheapest(const std::vector<ValueId>& in, int out_rank) {
  std::vector<Perm> candidates;
  for (ValueId v : in)
    if (v != kNoValue && rank(v) == out_rank && !is_free(v)) candidates.push_back(natural(v));
  Perm best = identity(out_rank);
  double best_cost = 1e300;
  for (const Perm& q : candidates) {
    double cost = q == identity(out_rank) ? 0.5 : 0;  // of equals, the one that a picture operator made
    for (ValueId v : in) {
      if (v == kNoValue || is_free(v)) continue;
      const bool there =
          rank(v) == out_rank ? find(v, q) || same_bytes(v, natural(v), q) : rank(v) == 0 || q == identity(out_rank);
      if (!there) cost += (double)old.value(v).shape.elements();
    }
    if (cost < best_cost) best_cost = cost, best = q;
  }
  return best;
}

// An operand that broadcasts to arrangement q of the output. Leading ones may go where another operand has the rank.
ValueId Layout::broadcast_operand(ValueId v, int out_rank, const Perm& q, bool may_strip) {
  if (v == kNoValue || b.status() != TERN_OK) return kNoValue;
  const int r = rank(v);
  if (r == 0 || (q == identity(out_rank) && !is_free(v))) return plain(v);
  if (is_free(v)) {
    const ValueId root = view[(size_t)v].root;
    TensorData t = permute(content(old.value(root)), view[(size_t)v].perm);
    Shape full;
    for (int i = 0; i < out_rank - r; ++i) full.push(1);
    for (int64_t d : t.shape) full.push(d);
    int64_t last = -1;
    bool moves = false;  // axes of more than one element trade places
    for (const int64_t axis : q) {
      if (full[(int)axis] == 1) continue;
      moves = moves || axis < last;
      last = axis;
    }
    t = permute(with_shape(std::move(t), full), q);
    int first = 0;
    while (may_strip && first < t.shape.rank - 1 && t.shape[first] == 1) ++first;
    t.shape = Shape(std::span<const int64_t>(t.shape.dims + first, (size_t)(t.shape.rank - first)));
    const bool as_is = view[(size_t)v].perm == identity(r) && t.shape == old.value(v).shape && !moves;
    std::string key = std::to_string(out_rank) + (may_strip ? "s" : "f");
    for (int64_t x : compose(view[(size_t)v].perm, identity(r))) key += (char)('0' + x);
    key += '|';
    for (int64_t x : q) key += (char)('0' + x);
    const auto [it, is_new] = stripped.try_emplace({root, key}, kNoValue);
    if (is_new) it->second = as_is ? plain(v) : add_free(old.value(root), t);
    return it->second;
  }
  if (r == out_rank) return get(v, q);
  std::vector<int64_t> dims((size_t)(out_rank - r), 1);
  for (int i = 0; i < r; ++i) dims.push_back(Builder::same(i));
  const ValueId full = b.reshape(plain(v), dims);
  return b.status() == TERN_OK ? b.transpose(full, q) : kNoValue;
}

bool Layout::elementwise(int32_t index) {
  const Node& n = old.nodes[(size_t)index];
  if (!(n.op->flags & kElementwise) || n.out.size() != 1) return false;
  const int out_rank = rank(n.out[0]);
  const Perm q = cheapest(n.in, out_rank);
  int full = 0;
  for (ValueId v : n.in) full += v != kNoValue && rank(v) == out_rank && !is_free(v);
  // Prelu's result has the shape of its first operand, which then keeps its ones.
  const bool first_decides = std::string_view(n.op->name) == "prelu";
  std::vector<ValueId> in;
  for (size_t i = 0; i < n.in.size(); ++i)
    in.push_back(broadcast_operand(n.in[i], out_rank, q, full > 0 && !(first_decides && i == 0)));
  define(n.out[0], q, copy(index, in)[0]);
  return true;
}

// Operators with one axis, and outputs of the input's rank or (arg_max without keep_dims) one less.
bool Layout::along_axis(int32_t index) {
  static const std::set<std::string_view> names = {"softmax",      "log_softmax",     "cumsum",
                                                   "arg_max",      "arg_min",         "split",
                                                   "l2_normalize", "quantize_linear", "dequantize_linear"};
  const Node& n = old.nodes[(size_t)index];
  if (!names.count(n.op->name)) return false;
  const Perm q = natural(n.in[0]);
  const int r = rank(n.in[0]);
  int64_t axis = 0, keep_dims = 1;
  if (!get_attr(n, "axis", &axis)) return false;
  const bool quantize = n.op->num_out == 1 && n.in.size() > 1 && n.in[1] != kNoValue;
  if (quantize && old.value(n.in[1]).shape.elements() == 1) axis = 0;
  if (axis < 0) axis += r;
  if (r == 0 || axis < 0 || axis >= r) return false;
  std::vector<ValueId> in{get(n.in[0], q)};
  for (size_t i = 1; i < n.in.size(); ++i) in.push_back(plain(n.in[i]));
  const std::vector<ValueId> outs = copy(index, in, [&](Node& c) {
    return set_attr(*c.op, &c.attributes, {"axis", position(q, axis)});
  });
  Perm p = q;
  if (get_attr(n, "keep_dims", &keep_dims) && !keep_dims) {
    p.clear();
    for (int64_t x : q)
      if (x != axis) p.push_back(x > axis ? x - 1 : x);
  }
  for (size_t i = 0; i < outs.size(); ++i) define(n.out[i], p, outs[i]);
  return true;
}

// Operators that work along the last axis: the others may lie in any order.
bool Layout::last_axis(int32_t index) {
  static const std::set<std::string_view> names = {"linear", "layer_norm", "rms_norm", "batch_norm", "lrn"};
  const Node& n = old.nodes[(size_t)index];
  if (!names.count(n.op->name)) return false;
  const int r = rank(n.in[0]);
  const Perm q = natural(n.in[0]);
  int64_t axis = -1;
  get_attr(n, "axis", &axis);
  if (r == 0 || q[(size_t)r - 1] != r - 1 || (axis != -1 && axis != r - 1)) return false;
  std::vector<ValueId> in{get(n.in[0], q)};
  for (size_t i = 1; i < n.in.size(); ++i) in.push_back(plain(n.in[i]));
  define(n.out[0], q, copy(index, in)[0]);
  return true;
}

bool Layout::reduce(int32_t index) {
  const Node& n = old.nodes[(size_t)index];
  if (std::strncmp(n.op->name, "reduce_", 7) != 0) return false;
  IntList axes;
  int64_t keep_dims = 0;
  if (!get_attr(n, "axes", &axes) || !get_attr(n, "keep_dims", &keep_dims)) return false;
  const Perm q = natural(n.in[0]);
  const int r = rank(n.in[0]);
  uint32_t mask = 0;
  IntList moved;
  for (int64_t a : axes) mask |= 1u << (a < 0 ? a + r : a);
  for (int i = 0; i < r; ++i)
    if (mask & (1u << q[(size_t)i])) moved.items[moved.count++] = i;
  const std::vector<ValueId> outs = copy(index, {get(n.in[0], q)}, [&](Node& c) {
    return set_attr(*c.op, &c.attributes, {"axes", moved});
  });
  if (axes.count == 0) mask = (1u << r) - 1;
  Perm p;
  for (int64_t x : q) {
    if (keep_dims) {
      p.push_back(x);
    } else if (!(mask & (1u << x))) {
      int64_t less = 0;
      for (int i = 0; i < x; ++i) less += (mask >> i) & 1;
      p.push_back(x - less);
    }
  }
  define(n.out[0], p, outs[0]);
  return true;
}

bool Layout::concat(int32_t index) {
  const Node& n = old.nodes[(size_t)index];
  if (std::strcmp(n.op->name, "concat") != 0) return false;
  int64_t axis = 0;
  const int r = rank(n.out[0]);
  if (!get_attr(n, "axis", &axis)) return false;
  if (axis < 0) axis += r;
  const Perm q = cheapest(n.in, r);
  std::vector<ValueId> in;
  for (ValueId v : n.in) in.push_back(get(v, q));
  define(n.out[0], q, copy(index, in, [&](Node& c) {
           return set_attr(*c.op, &c.attributes, {"axis", position(q, axis)});
         })[0]);
  return true;
}

IntList permuted(const IntList& list, const Perm& q, int64_t otherwise) {
  IntList r;
  for (int64_t x : q) r.items[r.count++] = x < list.count ? list[x] : otherwise;
  return r;
}

bool Layout::slice(int32_t index) {
  const Node& n = old.nodes[(size_t)index];
  if (std::strcmp(n.op->name, "slice") != 0) return false;
  const Perm q = natural(n.in[0]);
  if (n.in.size() > 1) {
    // Bounds by inputs: only the numbers of the axes change.
    if (n.in.size() < 4 || n.in[3] == kNoValue || !old.value(n.in[3]).data) return false;
    const Value& axes = old.value(n.in[3]);
    std::vector<int64_t> moved;
    for (int64_t i = 0; i < axes.shape.elements(); ++i) {
      const int64_t a = load_integer(axes.dtype, axes.data.bytes, i);
      moved.push_back(position(q, a < 0 ? a + rank(n.in[0]) : a));
    }
    std::vector<ValueId> in{get(n.in[0], q), plain(n.in[1]), plain(n.in[2]), b.integers(moved)};
    if (n.in.size() > 4) in.push_back(plain(n.in[4]));
    define(n.out[0], q, copy(index, in)[0]);
    return true;
  }
  IntList starts, ends, steps;
  if (!get_attr(n, "starts", &starts) || !get_attr(n, "ends", &ends) || !get_attr(n, "steps", &steps)) return false;
  define(n.out[0], q, copy(index, {get(n.in[0], q)}, [&](Node& c) {
           TERN_TRY(set_attr(*c.op, &c.attributes, {"starts", permuted(starts, q, 0)}));
           TERN_TRY(set_attr(*c.op, &c.attributes, {"ends", permuted(ends, q, INT64_MAX)}));
           return set_attr(*c.op, &c.attributes, {"steps", permuted(steps, q, 1)});
         })[0]);
  return true;
}

bool Layout::pad(int32_t index) {
  const Node& n = old.nodes[(size_t)index];
  IntList before, after;
  if (std::strcmp(n.op->name, "pad") != 0 || (n.in.size() > 1 && n.in[1] != kNoValue)) return false;
  if (!get_attr(n, "before", &before) || !get_attr(n, "after", &after)) return false;
  const Perm q = natural(n.in[0]);
  std::vector<ValueId> in{get(n.in[0], q)};
  for (size_t i = 1; i < n.in.size(); ++i) in.push_back(plain(n.in[i]));
  define(n.out[0], q, copy(index, in, [&](Node& c) {
           TERN_TRY(set_attr(*c.op, &c.attributes, {"before", permuted(before, q, 0)}));
           return set_attr(*c.op, &c.attributes, {"after", permuted(after, q, 0)});
         })[0]);
  return true;
}

bool Layout::tile(int32_t index) {
  const Node& n = old.nodes[(size_t)index];
  IntList repeats;
  if (std::strcmp(n.op->name, "tile") != 0 || n.in.size() != 1 || !get_attr(n, "repeats", &repeats) ||
      repeats.count != rank(n.in[0]))
    return false;
  const Perm q = natural(n.in[0]);
  define(n.out[0], q, copy(index, {get(n.in[0], q)}, [&](Node& c) {
           return set_attr(*c.op, &c.attributes, {"repeats", permuted(repeats, q, 1)});
         })[0]);
  return true;
}

// Sizes in the order of the old axes, read from whatever arrangement there is.
bool Layout::shape(int32_t index) {
  const Node& n = old.nodes[(size_t)index];
  int64_t start = 0, end = 0;
  if (std::strcmp(n.op->name, "shape") != 0 || !get_attr(n, "start", &start) || !get_attr(n, "end", &end)) return false;
  const int64_t r = rank(n.in[0]);
  start = std::clamp<int64_t>(start < 0 ? start + r : start, 0, r);
  end = std::clamp<int64_t>(end < 0 ? end + r : end, start, r);
  const Perm q = natural(n.in[0]);
  if (q == identity((int)r) || start == end) return false;
  ValueId y;
  if (end - start == 1) {
    const int64_t at = position(q, start);
    y = b.op("shape", {get(n.in[0], q)}, {{"start", at}, {"end", at + 1}});
  } else {
    std::vector<int64_t> order;
    for (int64_t i = start; i < end; ++i) order.push_back(position(q, i));
    y = b.op("gather", {b.op("shape", {get(n.in[0], q)}), b.integers(order)}, {{"axis", 0}});
  }
  define(n.out[0], {0}, y);
  return true;
}

// A transpose of the last two axes is an attribute of the product.
bool Layout::matmul(int32_t index) {
  const Node& n = old.nodes[(size_t)index];
  if (std::strcmp(n.op->name, "matmul") != 0) return false;
  bool turned[2] = {};
  for (int i = 0; i < 2; ++i) {
    const int r = rank(n.in[(size_t)i]);
    if (r < 2 || is_free(n.in[(size_t)i]) || !is_plain(old.value(n.in[(size_t)i]).encoding)) continue;
    Perm swap = identity(r);
    std::swap(swap[(size_t)r - 1], swap[(size_t)r - 2]);
    turned[i] = !find(n.in[(size_t)i], identity(r)) && find(n.in[(size_t)i], swap);
  }
  if (!turned[0] && !turned[1]) return false;
  std::vector<ValueId> in;
  for (int i = 0; i < 2; ++i) {
    Perm p = identity(rank(n.in[(size_t)i]));
    if (turned[i]) std::swap(p[p.size() - 1], p[p.size() - 2]);
    in.push_back(get(n.in[(size_t)i], p));
  }
  define(n.out[0], identity(rank(n.out[0])), copy(index, in, [&](Node& c) -> tern_status {
           for (int i = 0; i < 2; ++i) {
             const char* name = i == 0 ? "transpose_a" : "transpose_b";
             int64_t was = 0;
             if (!turned[i] || !get_attr(c, name, &was)) continue;
             TERN_TRY(set_attr(*c.op, &c.attributes, {name, was ? 0 : 1}));
           }
           return TERN_OK;
         })[0]);
  return true;
}

// Groups of old axes [i0, i1) that hold the same elements as the new axes [j0, j1).
struct Group {
  int i0, i1, j0, j1;
};

// false where the two shapes cannot be cut into such groups for all sizes of the varying dims.
bool find_groups(Sizes& sizes, const Value& from, const Value& to, std::vector<Group>* groups) {
  const Shape &a = from.shape, &c = to.shape;
  if (a.elements() == 0) return false;
  const SizeId unit = sizes.constant(1);
  const auto one = [&](const Value& v, int i) { return i < v.shape.rank && size_of(sizes, v, i) == unit; };
  int i = 0, j = 0;
  while (i < a.rank || j < c.rank) {
    Group u{i, i, j, j};
    const bool one_a = one(from, i), one_c = one(to, j);
    if (one_a || one_c) {
      u.i1 = i += one_a;
      u.j1 = j += one_c;
      groups->push_back(u);
      continue;
    }
    if (i == a.rank || j == c.rank) return false;
    SizeId pa = size_of(sizes, from, i++), pc = size_of(sizes, to, j++);
    while (pa != pc) {
      // The one that is a part of the other grows; where neither shows, the smaller.
      const bool grow_a = sizes.divide_exactly(pc, pa)   ? true
                          : sizes.divide_exactly(pa, pc) ? false
                                                         : sizes.hint(pa) < sizes.hint(pc);
      if (grow_a ? i == a.rank : j == c.rank) return false;
      if (grow_a) pa = sizes.mul(pa, size_of(sizes, from, i++));
      else pc = sizes.mul(pc, size_of(sizes, to, j++));
    }
    u.i1 = i;
    u.j1 = j;
    groups->push_back(u);
  }
  return true;
}

// Axes that are only split, merged with their neighbours, dropped or inserted keep the arrangement.
bool Layout::reshape(int32_t index) {
  const Node& n = old.nodes[(size_t)index];
  if (std::strcmp(n.op->name, "reshape") != 0) return false;
  const ValueId x = n.in[0], y = n.out[0];
  if (is_free(x)) return false;
  const Perm q = natural(x);
  if (q == identity(rank(x))) return false;
  std::vector<Group> groups;
  if (!find_groups(b.sizes, old.value(x), old.value(y), &groups)) return false;
  Perm solid;  // q without the axes of size 1
  for (int64_t a : q)
    if (!unit(x, (int)a)) solid.push_back(a);
  bool to_linear = !readers[(size_t)y].empty();
  for (int32_t r : readers[(size_t)y]) {
    if (r < 0 || std::strcmp(old.nodes[(size_t)r].op->name, "linear") != 0 || old.nodes[(size_t)r].in[0] != y)
      to_linear = false;
    else if (old.value(old.nodes[(size_t)r].in[1]).kind != ValueKind::parameter ||
             !is_permutation(old.value(old.nodes[(size_t)r].in[1]).encoding))
      to_linear = false;
  }
  std::map<int64_t, const Group*> starts;  // axis of x at which a group's new axes are put
  const Group* shuffled = nullptr;
  for (const Group& u : groups) {
    Perm axes;
    for (int i = u.i0; i < u.i1; ++i)
      if (!unit(x, i)) axes.push_back(i);
    if (axes.empty()) {
      if (u.i1 > u.i0) starts[u.i0] = &u;
      continue;
    }
    int64_t at = position(solid, axes[0]);
    bool in_order = true;
    for (size_t k = 0; k < axes.size(); ++k)
      in_order = in_order && (size_t)at + k < solid.size() && solid[(size_t)at + k] == axes[k];
    if (!in_order) {
      // Merged in another order: fine where only weights read it, whose columns can be moved.
      if (!to_linear || shuffled || u.j1 - u.j0 != 1 || u.j1 != rank(y)) return false;
      int64_t lowest = (int64_t)solid.size();
      for (int64_t a : axes) lowest = std::min(lowest, position(solid, a));
      for (size_t k = 0; k < axes.size(); ++k)
        if ((size_t)lowest + k >= solid.size() ||
            std::find(axes.begin(), axes.end(), solid[(size_t)lowest + k]) == axes.end())
          return false;
      for (int64_t a : axes)
        if (!fixed(x, (int)a)) return false;
      shuffled = &u;
      at = lowest;
    }
    starts[solid[(size_t)at]] = &u;
  }
  // The new axes in the order of their groups; inserted ones behind the group before them.
  Perm p;
  std::vector<int64_t> dims;
  int open = 0;
  const auto put = [&](const Group& u, int64_t from) {
    for (int j = u.j0; j < u.j1; ++j) {
      p.push_back(j);
      if (fixed(y, j)) dims.push_back(old.value(y).shape[j]);
      else if (u.j1 - u.j0 == 1 && u.i1 - u.i0 == 1) dims.push_back(Builder::same((int)position(q, from)));
      else dims.push_back(-1), ++open;
    }
  };
  const auto put_inserted = [&](size_t after) {
    for (size_t k = after; k < groups.size() && groups[k].i0 == groups[k].i1; ++k) put(groups[k], -1);
  };
  put_inserted(0);
  for (int64_t axis : q) {
    const auto it = starts.find(axis);
    if (it == starts.end()) continue;
    put(*it->second, axis);
    put_inserted((size_t)(it->second - groups.data()) + 1);
  }
  if (open > 1 || (int)p.size() != rank(y)) return false;
  if (shuffled && p.back() != rank(y) - 1) return false;
  const ValueId id = b.reshape(get(x, q), dims);
  define(y, p, id);
  if (shuffled) {
    // New column k holds the element of x whose old column is columns[k].
    Perm axes;
    for (int64_t a : solid)
      if (a >= shuffled->i0 && a < shuffled->i1) axes.push_back(a);
    int64_t strides[kMaxRank] = {}, stride = 1;
    for (int i = shuffled->i1; i-- > shuffled->i0;) strides[i] = stride, stride *= old.value(x).shape[i];
    std::vector<int64_t>& order = columns[y];
    order.resize((size_t)stride);
    for (int64_t k = 0; k < stride; ++k) {
      int64_t rest = k, from = 0;
      for (size_t a = axes.size(); a-- > 0;) {
        const int64_t d = old.value(x).shape[(int)axes[a]];
        from += rest % d * strides[axes[a]];
        rest /= d;
      }
      order[(size_t)k] = from;
    }
  }
  return true;
}

// A linear behind a flattening in another order: the columns of its weight move instead.
bool Layout::flattened_linear(int32_t index) {
  const Node& n = old.nodes[(size_t)index];
  const auto it = std::strcmp(n.op->name, "linear") == 0 ? columns.find(n.in[0]) : columns.end();
  if (it == columns.end()) return false;
  const Value& w = old.value(n.in[1]);
  const Parameter& p = model.parameters[(size_t)w.index];
  const int64_t rows = w.shape[0], k = w.shape[1];
  const size_t size = dtype_size(w.dtype);
  TensorData t;
  t.name = p.name;
  t.dtype = p.dtype;
  t.shape = p.shape;
  void* to = nullptr;
  t.data = make_data(t.bytes(), &to);
  const char* from = (const char*)p.data.bytes;
  const auto position = encoding_info(w.encoding).position;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < k; ++c) {
      const int64_t column = it->second[(size_t)c];
      const int64_t at = is_plain(w.encoding) ? r * k + column : position({rows, k}, r, column);
      std::memcpy((char*)to + (size_t)(r * k + c) * size, from + (size_t)at * size, size);
    }
  const Perm q = natural(n.in[0]);
  std::vector<ValueId> in{get(n.in[0], q), is_plain(w.encoding) ? b.parameter(t) : b.panel_parameter(t)};
  for (size_t i = 2; i < n.in.size(); ++i) in.push_back(plain(n.in[i]));
  define(n.out[0], q, copy(index, in)[0]);
  return true;
}

tern_status Layout::run() {
  for (size_t v = 0; v < old.values.size(); ++v) {
    const Value& value = old.values[v];
    view[v] = {(ValueId)v, identity(value.shape.rank)};
    if (value.kind == ValueKind::node) continue;
    Value copy = value;
    stored[v] = {{identity(value.shape.rank), add_value(out, std::move(copy))}};
  }
  for (ValueId v : old.inputs) out.inputs.push_back(stored[(size_t)v][0].id);
  for (int32_t i = 0; i < (int32_t)old.nodes.size(); ++i) {
    const Node& n = old.nodes[(size_t)i];
    b.node_name = n.name;
    if (std::strcmp(n.op->name, "transpose") == 0) {
      IntList p;
      get_attr(n, "permutation", &p);
      const View& from = view[(size_t)n.in[0]];
      Perm perm(p.begin(), p.end());
      if (perm.empty())
        for (int k = rank(n.in[0]); k-- > 0;) perm.push_back(k);
      view[(size_t)n.out[0]] = {from.root, compose(from.perm, perm)};
      continue;
    }
    const bool done = flattened_linear(i) || elementwise(i) || along_axis(i) || last_axis(i) || reduce(i) ||
                      concat(i) || slice(i) || pad(i) || tile(i) || shape(i) || matmul(i) || reshape(i);
    if (!done) keep(i);
    TERN_TRY(b.status());
  }
  for (ValueId v : old.outputs) {
    ValueId id = plain(v);
    TERN_TRY(b.status());
    const bool taken = std::find(out.outputs.begin(), out.outputs.end(), id) != out.outputs.end();
    if (out.value(id).kind != ValueKind::node || taken) {
      std::vector<int64_t> dims;
      for (int k = 0; k < b.rank(id); ++k) dims.push_back(Builder::same(k));
      id = b.reshape(id, dims);
      TERN_TRY(b.status());
    }
    out.outputs.push_back(id);
  }
  return TERN_OK;
}

}  // namespace

tern_status simplify_layout(ModelDef& model, Graph& g, Sizes& sizes) {
  for (Node& n : g.nodes)
    for (Graph& sub : n.subgraphs) TERN_TRY(simplify_layout(model, sub, sizes));
  Layout layout(model, g, sizes);
  TERN_TRY(layout.run());
  g = std::move(layout.out);
  return TERN_OK;
}

}  // namespace tern
