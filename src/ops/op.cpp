// SPDX-License-Identifier: Apache-2.0
#include "ops/op.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "base/checked.h"
#include "base/decimal.h"
#include "ops/left_out_generated.h"

namespace tern {

// ---- registry ----

const Op* find_op(std::string_view name) {
  const auto ops = all_ops();
  const auto it =
      std::lower_bound(ops.begin(), ops.end(), name, [](const Op* op, std::string_view n) { return op->name < n; });
  return it != ops.end() && (*it)->name == name ? *it : nullptr;
}

const char* option_for_op(std::string_view name) {
  for (const LeftOutOp& op : kLeftOutOps)
    if (op.name == name) return option_of(op.capability);
  return nullptr;
}

// ---- attributes ----

void set_default_attributes(const Op& op, Attributes* attributes) {
  *attributes = Attributes{};
  if (op.attributes.set_defaults) op.attributes.set_defaults(attributes->bytes);
}

namespace {

tern_status out_of_range(const Op& op, const AttrField& f, double v) {
  return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s: attribute '%s' is %g, allowed is %g to %g", op.name, f.name, v,
                   f.min, f.max);
}

tern_status check_field(const Op& op, const AttrField& f, const unsigned char* field) {
  if (f.type == AttrType::number) {
    double v;
    std::memcpy(&v, field, sizeof v);
    return v >= f.min && v <= f.max ? TERN_OK : out_of_range(op, f, v);
  }
  if (f.type == AttrType::integers) {
    IntList list;
    std::memcpy(&list, field, sizeof list);
    if (list.count < 0 || list.count > kMaxRank)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s: attribute '%s' has %" PRId64 " entries, at most 8 are allowed",
                       op.name, f.name, list.count);
    for (int64_t v : list)
      if ((double)v < f.min || (double)v > f.max) return out_of_range(op, f, (double)v);
    return TERN_OK;
  }
  int64_t v;
  std::memcpy(&v, field, sizeof v);
  return (double)v >= f.min && (double)v <= f.max ? TERN_OK : out_of_range(op, f, (double)v);
}

bool parse(std::string_view text, int64_t* v) {
  const auto r = std::from_chars(text.data(), text.data() + text.size(), *v);
  return r.ec == std::errc() && r.ptr == text.data() + text.size();
}

bool parse(std::string_view text, double* v) { return parse_decimal(text, v); }

}  // namespace

tern_status check_attributes(const Op& op, const Attributes& attributes) {
  for (int32_t i = 0; i < op.attributes.count; ++i)
    TERN_TRY(check_field(op, op.attributes.fields[i], attributes.bytes + op.attributes.fields[i].offset));
  return TERN_OK;
}

tern_status set_attribute(const Op& op, Attributes* attributes, std::string_view name, std::string_view text) {
  for (int32_t i = 0; i < op.attributes.count; ++i) {
    const AttrField& f = op.attributes.fields[i];
    if (f.name != name) continue;
    unsigned char* field = attributes->bytes + f.offset;
    bool good = false;
    if (f.type == AttrType::integer) {
      int64_t v;
      if ((good = parse(text, &v))) std::memcpy(field, &v, sizeof v);
    } else if (f.type == AttrType::number) {
      double v;
      if ((good = parse(text, &v))) std::memcpy(field, &v, sizeof v);
    } else if (f.type == AttrType::choice) {
      for (int64_t c = 0; c <= (int64_t)f.max; ++c)
        if (text == f.choices[c]) std::memcpy(field, &c, sizeof c), good = true;
    } else {
      IntList list;
      good = true;
      while (!text.empty() && good) {
        const size_t comma = text.find(',');
        int64_t v = 0;
        good = parse(text.substr(0, comma), &v) && list.count < kMaxRank;
        if (good) list[list.count++] = v;
        text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
      }
      if (good) std::memcpy(field, &list, sizeof list);
    }
    if (!good)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s: attribute '%s' does not take '%.*s'", op.name, f.name,
                       (int)text.size(), text.data());
    return check_field(op, f, field);
  }
  return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s has no attribute '%.*s'", op.name, (int)name.size(), name.data());
}

// ---- shape rules ----

tern_status require_float(const InferArgs& a, int i) {
  if (is_float(a.in(i).dtype)) return TERN_OK;
  return TERN_FAIL(TERN_ERR_TYPE, "%s: input %d is %s, a float type is needed", a.node.op->name, i,
                   dtype_name(a.in(i).dtype));
}

tern_status require_integer(const InferArgs& a, int i) {
  if (is_integer(a.in(i).dtype)) return TERN_OK;
  return TERN_FAIL(TERN_ERR_TYPE, "%s: input %d is %s, an integer type is needed", a.node.op->name, i,
                   dtype_name(a.in(i).dtype));
}

tern_status require_same_dtype(const InferArgs& a, int i, int j) {
  if (a.in(i).dtype == a.in(j).dtype) return TERN_OK;
  return TERN_FAIL(TERN_ERR_TYPE, "%s: input %d is %s and input %d is %s; they must agree", a.node.op->name, i,
                   dtype_name(a.in(i).dtype), j, dtype_name(a.in(j).dtype));
}

tern_status require_rank(const InferArgs& a, int i, int rank) {
  if (a.in(i).shape.rank == rank) return TERN_OK;
  return TERN_FAIL(TERN_ERR_SHAPE, "%s: input %d has shape %s, rank %d is needed", a.node.op->name, i,
                   to_string(a.in(i).shape).c_str(), rank);
}

tern_status require_integers(const InferArgs& a, int i, IntList* out) {
  const Value& v = a.in(i);
  if (!v.data)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "%s: input %d ('%s') must follow from constants and dims, but depends on data", a.node.op->name, i,
                     v.name.c_str());
  if (v.shape.rank > 1 || v.shape.elements() > kMaxRank || !(is_integer(v.dtype) || v.dtype == TERN_DTYPE_BOOL))
    return TERN_FAIL(TERN_ERR_SHAPE, "%s: input %d has type %s%s; up to 8 integers are needed", a.node.op->name, i,
                     dtype_name(v.dtype), to_string(v.shape).c_str());
  IntList list;
  list.count = v.shape.elements();
  for (int64_t k = 0; k < list.count; ++k) list[k] = load_integer(v.dtype, v.data.bytes, k);
  *out = list;
  return TERN_OK;
}

tern_status infer_binary(InferArgs& a) {
  TERN_TRY(require_same_dtype(a, 0, 1));
  Shape s;
  TERN_TRY(broadcast_shapes(a.in(0).shape, a.in(1).shape, &s));
  a.set(0, a.in(0).dtype, s);
  return TERN_OK;
}

tern_status infer_unary(InferArgs& a) {
  a.set(0, a.in(0).dtype, a.in(0).shape);
  return TERN_OK;
}

tern_status infer_unary_float(InferArgs& a) {
  TERN_TRY(require_float(a, 0));
  return infer_unary(a);
}

void clear_padding(const RefTensor& t) {
  uint64_t bytes = 0;
  if (!is_plain(t.encoding) && encoded_bytes(t.encoding, t.dtype, t.shape, &bytes) == TERN_OK)
    std::memset(t.data, 0, (size_t)bytes);
}

int64_t broadcast_offset(const Shape& out, const Shape& in, int64_t i) {
  int64_t offset = 0, stride = 1;
  for (int axis = out.rank - 1, k = in.rank - 1; k >= 0; --axis, --k) {
    const int64_t index = i % out[axis];
    i /= out[axis];
    if (in[k] != 1) offset += index * stride;
    stride *= in[k];
  }
  return offset;
}

// ---- nodes ----

namespace {

tern_status check_inputs(const Graph& g, const Node& n) {
  const Op& op = *n.op;
  const int count = (int)n.in.size();
  if (count < op.min_in || (op.max_in >= 0 && count > op.max_in))
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s: has %d inputs, takes %d to %d", op.name, count, op.min_in,
                     op.max_in);
  for (int i = 0; i < op.min_in; ++i)
    if (n.in[(size_t)i] == kNoValue)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s: input %d must not be absent", op.name, i);
  if (op.num_subgraphs != (int)n.subgraphs.size())
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%s: has %zu sub-graphs, takes %d", op.name, n.subgraphs.size(),
                     op.num_subgraphs);
  for (int i = 0; i < count; ++i) {
    if (n.in[(size_t)i] == kNoValue) continue;
    const Value& v = g.value(n.in[(size_t)i]);
    if (v.paged && !(op.paged_in >> std::min(i, 31) & 1))
      return TERN_FAIL(TERN_ERR_TYPE, "%s: input %d ('%s') is a state in pages, a tensor is needed", op.name, i,
                       v.name.c_str());
    if (!is_plain(v.encoding) && !(op.encoded_in >> std::min(i, 31) & 1))
      return TERN_FAIL(TERN_ERR_TYPE, "%s: input %d ('%s') is encoded as %s, a plain tensor is needed", op.name, i,
                       v.name.c_str(), encoding_name(v.encoding));
  }
  return TERN_OK;
}

}  // namespace

tern_status infer_node(const Graph& g, const Node& node, std::vector<Value>* outs) {
  outs->assign(node.out.size(), Value{});
  InferArgs args{g, node, outs->data()};
  const auto where = [&](tern_status s) {
    error_at_op(node.op->name);
    error_at_node(node.name.c_str());
    return s;
  };
  if (const tern_status s = check_inputs(g, node)) return where(s);
  if (const tern_status s = check_attributes(*node.op, node.attributes)) return where(s);
  if (const tern_status s = node.op->infer(args)) return where(s);
  for (const Value& v : *outs)
    if (const tern_status s = check_shape(v.shape, node.op->name)) return where(s);
  return TERN_OK;
}

namespace {

// Enough for shapes and tables of indices.
constexpr int64_t kFoldIn = 65536, kFoldOut = 4096;
// A decomposition may hold a product of its operands between its steps.
constexpr int64_t kFoldComposite = 1 << 20;

// At worst each element of a result needs each of the operands; not so where elements meet one another or only move.
int64_t fold_work(const Node& node, int64_t in_elements, int64_t out_elements) {
  constexpr std::string_view kMoves[] = {"concat",  "expand", "gather", "pad",  "reshape",
                                         "reverse", "slice",  "split",  "tile", "transpose"};
  constexpr int64_t kMove = 16;  // steps, for its coordinates
  if (node.op->flags & (kElementwise | kDecodes)) return out_elements * (int64_t)(node.in.size() + 1);
  return std::find(std::begin(kMoves), std::end(kMoves), node.op->name) != std::end(kMoves)
             ? out_elements * kMove
             : in_elements * out_elements;
}

}  // namespace

void fold_node(const Graph& g, const Node& node, FoldBudget& budget, std::vector<Value>& outs) {
  if (!(node.op->flags & kDecodes)) fold_decoding(g, node, budget, outs);
}

void fold_decoding(const Graph& g, const Node& node, FoldBudget& budget, std::vector<Value>& outs) {
  constexpr size_t kIns = 64, kOuts = 8;
  if (node.op->flags & (kControl | kWritesState) || !node.subgraphs.empty() || node.in.size() > kIns ||
      outs.size() > kOuts)
    return;
  RefTensor ins[kIns], refs[kOuts];
  int64_t in_elements = 1, out_elements = 1, bytes = 0;  // sums of small numbers
  for (size_t i = 0; i < node.in.size(); ++i) {
    if (node.in[i] == kNoValue) continue;
    const Value& v = g.value(node.in[i]);
    const int64_t n = v.shape.elements();
    if (!v.data || n > kFoldIn) return;
    in_elements += n;
    ins[i] = {v.dtype, v.encoding, v.shape, const_cast<void*>(v.data.bytes)};
  }
  for (const Value& o : outs) {
    const int64_t n = o.shape.elements();
    if (o.data || !is_plain(o.encoding) || n > kFoldOut) return;
    out_elements += n;
    bytes += 64 + n * (int64_t)dtype_size(o.dtype);
  }
  const int64_t work = fold_work(node, in_elements, out_elements);
  if (work > budget.work || bytes > budget.bytes || (!node.op->reference && work > kFoldComposite)) return;
  budget.work -= work;
  budget.bytes -= bytes;
  Data data[kOuts];
  for (size_t i = 0; i < outs.size(); ++i) {
    void* p = nullptr;
    data[i] = make_data(value_bytes(outs[i]), &p);
    refs[i] = {outs[i].dtype, Encoding::plain, outs[i].shape, p};
  }
  const tern_error before = thread_error();
  if (evaluate(node, ins, refs) != TERN_OK) {
    thread_error() = before;
    return;
  }
  for (size_t i = 0; i < outs.size(); ++i) outs[i].data = std::move(data[i]);
}

ValueId emit_node(Graph& g, Node node, int num_out, std::vector<ValueId>* outs) {
  if (g.status != TERN_OK) return kNoValue;
  if (!node.op) {
    g.status = TERN_FAIL(TERN_ERR_INTERNAL, "emit: unknown operator");
    return kNoValue;
  }
  while (!node.in.empty() && node.in.back() == kNoValue && (int)node.in.size() > node.op->min_in) node.in.pop_back();
  if (num_out < 0) num_out = node.op->num_out < 0 ? 1 : node.op->num_out;
  node.out.assign((size_t)num_out, kNoValue);
  std::vector<Value> inferred;
  if ((g.status = infer_node(g, node, &inferred)) != TERN_OK) return kNoValue;
  fold_node(g, node, g.budget, inferred);
  const int32_t index = (int32_t)g.nodes.size();
  for (int i = 0; i < num_out; ++i) {
    inferred[(size_t)i].kind = ValueKind::node;
    inferred[(size_t)i].producer = index;
    node.out[(size_t)i] = add_value(g, std::move(inferred[(size_t)i]));
  }
  if (outs) *outs = node.out;
  const ValueId first = num_out > 0 ? node.out[0] : kNoValue;
  g.nodes.push_back(std::move(node));
  return first;
}

ValueId emit_with(Graph& g, std::string_view name, std::initializer_list<ValueId> in, const void* attrs, size_t size) {
  Node n;
  n.op = find_op(name);
  n.in = in;
  if (n.op && n.op->attributes.size == size) std::memcpy(n.attributes.bytes, attrs, size);
  else if (g.status == TERN_OK)
    g.status =
        TERN_FAIL(TERN_ERR_INTERNAL, "emit: no operator '%.*s' with these attributes", (int)name.size(), name.data());
  return emit_node(g, std::move(n));
}

ValueId emit(Graph& g, std::string_view name, std::initializer_list<ValueId> in) {
  Node n;
  n.op = find_op(name);
  if (!n.op) {
    if (g.status == TERN_OK)
      g.status = TERN_FAIL(TERN_ERR_INTERNAL, "emit: unknown operator '%.*s'", (int)name.size(), name.data());
    return kNoValue;
  }
  set_default_attributes(*n.op, &n.attributes);
  n.in = in;
  return emit_node(g, std::move(n));
}

tern_status evaluate(const Node& node, const RefTensor* ins, const RefTensor* outs) {
  // Loops over the other dims of an empty result may take for ever. Indices are checked all the same.
  bool idle = !node.out.empty();
  for (size_t i = 0; i < node.out.size(); ++i) idle = idle && outs[i].elements() == 0;
  for (size_t i = 0; i < node.in.size(); ++i) idle = idle && !(is_integer(ins[i].dtype) && ins[i].elements() > 0);
  if (idle) return TERN_OK;
  if (node.op->reference) {
    RefArgs args{node, ins, outs};
    const tern_status s = node.op->reference(args);
    if (s != TERN_OK) {
      error_at_op(node.op->name);
      error_at_node(node.name.c_str());
    }
    return s;
  }
  if (!node.op->decompose) return TERN_FAIL(TERN_ERR_INTERNAL, "%s cannot be evaluated alone", node.op->name);
  // Build the decomposition over inputs of the same shapes and run it node by node.
  Graph g;
  Node n = node;
  for (size_t i = 0; i < node.in.size(); ++i) {
    if (node.in[i] == kNoValue) continue;
    Value v;
    v.kind = ValueKind::input;
    v.dtype = ins[i].dtype;
    v.encoding = ins[i].encoding;
    v.shape = ins[i].shape;
    v.data.bytes = ins[i].data;
    n.in[i] = add_value(g, std::move(v));
  }
  std::vector<ValueId> results(node.out.size(), kNoValue);
  DecomposeArgs d{g, n, results.data()};
  node.op->decompose(d);
  TERN_TRY(g.status);
  for (Node& step : g.nodes) {
    // computed by emit
    if (std::all_of(step.out.begin(), step.out.end(), [&](ValueId v) { return (bool)g.value(v).data; })) continue;
    std::vector<RefTensor> si(step.in.size()), so(step.out.size());
    for (size_t i = 0; i < step.in.size(); ++i) {
      if (step.in[i] == kNoValue) continue;
      const Value& v = g.value(step.in[i]);
      si[i] = {v.dtype, v.encoding, v.shape, const_cast<void*>(v.data.bytes)};
    }
    for (size_t i = 0; i < step.out.size(); ++i) {
      Value& v = g.value(step.out[i]);
      void* p = nullptr;
      if (!v.data) v.data = make_data(value_bytes(v), &p);
      so[i] = {v.dtype, v.encoding, v.shape, const_cast<void*>(v.data.bytes)};
    }
    TERN_TRY(evaluate(step, si.data(), so.data()));
  }
  for (size_t i = 0; i < results.size(); ++i) {
    if (results[i] == kNoValue)
      return TERN_FAIL(TERN_ERR_INTERNAL, "%s: its decomposition lacks output %zu", node.op->name, i);
    const Value& v = g.value(results[i]);
    if (v.dtype != outs[i].dtype || !(v.shape == outs[i].shape) || v.encoding != outs[i].encoding)
      return TERN_FAIL(TERN_ERR_INTERNAL, "%s: its decomposition gives %s%s for output %zu", node.op->name,
                       dtype_name(v.dtype), to_string(v.shape).c_str(), i);
    std::memcpy(outs[i].data, v.data.bytes, (size_t)value_bytes(v));
  }
  return TERN_OK;
}

}  // namespace tern
