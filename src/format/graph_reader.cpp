// SPDX-License-Identifier: Apache-2.0
#include "format/graph_reader.h"

#include <cstring>
#include <unordered_map>

#include "base/checked.h"

namespace tern {
namespace {

class GraphReader {
 public:
  GraphReader(FileContext& c, uint32_t index, bool top_level, std::vector<Graph>& graphs)
      : c_(c), file_(*c.meta.model->graphs()->Get(index)), top_level_(top_level), graphs_(graphs), self_(index) {}

  tern_status run() {
    TERN_TRY(read_values());
    TERN_TRY(read_inputs());
    if (file_.nodes()) {
      g_.nodes.reserve(file_.nodes()->size());
      for (const fbs::Node* n : *file_.nodes()) {
        const tern_status s = read_node(*n);
        if (s != TERN_OK) return at(n, s);
      }
    }
    TERN_TRY(read_outputs());
    for (size_t v = 0; v < g_.values.size(); ++v) {
      const Value& value = g_.values[v];
      if (value.kind == ValueKind::node && value.producer < 0)
        return at(&file_,
                  TERN_FAIL(TERN_ERR_CORRUPT, "value %zu ('%s') is produced by no node", v, value.name.c_str()));
    }
    for (uint32_t v = 0; v < count(file_.values()); ++v)
      if (g_.values[v].kind == ValueKind::constant)
        g_.values[v].data = c_.constants[(size_t)file_.values()->Get(v)->index()].data;
    graphs_[self_] = std::move(g_);
    return TERN_OK;
  }

 private:
  tern_status at(const void* part, tern_status s) { return file_error(c_.meta, part, s); }
  size_t num_values() const { return g_.values.size(); }

  // ---- values ----

  tern_status read_values() {
    const uint32_t n = count(file_.values());
    g_.values.resize(n);
    root_.resize(n);
    state_of_.assign(n, -1);
    stale_.assign(n, 0);
    is_output_.assign(n, 0);
    std::vector<uint8_t> state_used(top_level_ ? c_.states.size() : 0);
    for (uint32_t i = 0; i < n; ++i) {
      const fbs::Value& v = *file_.values()->Get(i);
      root_[i] = (int32_t)i;
      const tern_status s = read_value(v, i, state_used);
      if (s != TERN_OK) return at(&v, s);
    }
    return TERN_OK;
  }

  tern_status read_value(const fbs::Value& from, uint32_t i, std::vector<uint8_t>& state_used) {
    Value& v = g_.values[i];
    v.name = text(from.name());
    if (from.kind() > (uint8_t)ValueKind::node)
      return TERN_FAIL(TERN_ERR_CORRUPT, "value %u ('%s') is of kind %u, which is none", i, v.name.c_str(),
                       from.kind());
    v.kind = (ValueKind)from.kind();
    const bool refers = v.kind == ValueKind::parameter || v.kind == ValueKind::state || v.kind == ValueKind::constant;
    if (!refers) {
      if (from.index() != -1)
        return TERN_FAIL(TERN_ERR_CORRUPT, "value %u ('%s') refers to tensor %d, but its kind has none", i,
                         v.name.c_str(), from.index());
      if (!is_dtype(from.dtype()))
        return TERN_FAIL(TERN_ERR_CORRUPT, "value %u ('%s') has element type %u, which is none", i, v.name.c_str(),
                         from.dtype());
      v.dtype = from.dtype();
      TERN_TRY(read_shape(c_, from.shape(), v.dtype, v.name, &v.shape));
      if (v.kind == ValueKind::scalar && (v.dtype != TERN_DTYPE_I64 || v.shape.rank != 0))
        return TERN_FAIL(TERN_ERR_CORRUPT, "run-time scalar %u ('%s') is %s%s; scalars are i64 of rank 0", i,
                         v.name.c_str(), dtype_name(v.dtype), to_string(v.shape).c_str());
      return TERN_OK;
    }
    if (from.dtype() != TERN_DTYPE_NONE || from.shape())
      return TERN_FAIL(TERN_ERR_CORRUPT, "value %u ('%s') has a type or shape besides that of the tensor it refers to",
                       i, v.name.c_str());
    const size_t num = v.kind == ValueKind::parameter ? c_.parameters.size()
                       : v.kind == ValueKind::state   ? c_.states.size()
                                                      : c_.constants.size();
    if (from.index() < 0 || (size_t)from.index() >= num)
      return TERN_FAIL(TERN_ERR_CORRUPT, "value %u ('%s') refers to tensor %d of %zu", i, v.name.c_str(), from.index(),
                       num);
    const size_t index = (size_t)from.index();
    if (v.kind == ValueKind::parameter) {
      const Parameter& p = c_.parameters[index];
      v.dtype = p.dtype, v.encoding = p.encoding, v.shape = p.shape, v.index = from.index();
      if (!top_level_) return TERN_OK;  // a signature may write it, under whatever name
      state_of_[i] = (int32_t)c_.states.size() + from.index();
      root_[i] = parameter_values_.try_emplace(from.index(), (int32_t)i).first->second;
    } else if (v.kind == ValueKind::constant) {
      const Constant& k = c_.constants[index];
      v.dtype = k.dtype, v.shape = k.shape;
      if (k.known) v.data = k.data;  // the others get theirs at the end, so that nothing reads them here
    } else {
      if (!top_level_)
        return TERN_FAIL(TERN_ERR_CORRUPT, "value %u: state '%s' is used in a sub-graph; pass its value as an input", i,
                         c_.states[index].name.c_str());
      if (state_used[index])
        return TERN_FAIL(TERN_ERR_CORRUPT, "value %u: state '%s' appears twice in one signature", i,
                         c_.states[index].name.c_str());
      state_used[index] = 1;
      const StateDecl& s = c_.states[index];
      v.dtype = s.dtype, v.encoding = s.encoding, v.shape = s.shape, v.index = state_of_[i] = from.index();
      v.paged = s.paged;
    }
    return TERN_OK;
  }

  // ---- inputs and outputs ----

  tern_status read_inputs() {
    std::vector<uint8_t> given(num_values());
    for (uint32_t i = 0; i < count(file_.inputs()); ++i) {
      const int32_t v = file_.inputs()->Get(i);
      if (v < 0 || (size_t)v >= num_values())
        return at(file_.inputs(), TERN_FAIL(TERN_ERR_CORRUPT, "input %u is value %d of %zu", i, v, num_values()));
      const ValueKind kind = g_.value(v).kind;
      if (kind != ValueKind::input && kind != ValueKind::scalar)
        return at(file_.inputs(), TERN_FAIL(TERN_ERR_CORRUPT, "input %u ('%s') is a value of another kind", i,
                                            g_.value(v).name.c_str()));
      if (given[(size_t)v]) return at(file_.inputs(), TERN_FAIL(TERN_ERR_CORRUPT, "value %d is input twice", v));
      given[(size_t)v] = 1;
      g_.inputs.push_back(v);
    }
    for (size_t v = 0; v < num_values(); ++v) {
      const ValueKind kind = g_.values[v].kind;
      if ((kind == ValueKind::input || kind == ValueKind::scalar) && !given[v])
        return at(&file_, TERN_FAIL(TERN_ERR_CORRUPT, "value %zu ('%s') is an input that the graph does not list", v,
                                    g_.values[v].name.c_str()));
    }
    return TERN_OK;
  }

  tern_status read_outputs() {
    for (uint32_t i = 0; i < count(file_.outputs()); ++i) {
      const int32_t v = file_.outputs()->Get(i);
      if (v < 0 || (size_t)v >= num_values())
        return at(file_.outputs(), TERN_FAIL(TERN_ERR_CORRUPT, "output %u is value %d of %zu", i, v, num_values()));
      tern_status s = check_readable(v, "output", i);
      if (s == TERN_OK) s = check_own_output(v, i);
      if (s != TERN_OK) return at(file_.outputs(), s);
      g_.outputs.push_back(v);
    }
    return TERN_OK;
  }

  // Produced inside, and an output once: so a result never is a weight in the order of its encoding, an input that the
  // caller owns, or the memory of another result.
  tern_status check_own_output(ValueId v, uint32_t i) {
    constexpr const char* kKinds[] = {"an input", "a run-time scalar", "a parameter", "a state", "a constant"};
    const Value& value = g_.value(v);
    if (value.kind != ValueKind::node)
      return TERN_FAIL(TERN_ERR_CORRUPT, "output %u ('%s') is %s; outputs are results of nodes", i, value.name.c_str(),
                       kKinds[(size_t)value.kind]);
    if (value.paged)
      return TERN_FAIL(TERN_ERR_CORRUPT, "output %u ('%s') is a state in pages; outputs are plain tensors", i,
                       value.name.c_str());
    if (!is_plain(value.encoding))
      return TERN_FAIL(TERN_ERR_CORRUPT, "output %u ('%s') is encoded as %s; outputs are plain tensors", i,
                       value.name.c_str(), encoding_name(value.encoding));
    if (is_output_[(size_t)v])
      return TERN_FAIL(TERN_ERR_CORRUPT, "output %u is value %d ('%s'), which is an output already", i, v,
                       value.name.c_str());
    is_output_[(size_t)v] = 1;
    return TERN_OK;
  }

  // There, and not overwritten yet.
  tern_status check_readable(ValueId v, const char* role, uint32_t i) {
    const Value& value = g_.value(v);
    if (value.kind == ValueKind::node && value.producer < 0)
      return TERN_FAIL(TERN_ERR_CORRUPT, "%s %u is value %d ('%s'), which no earlier node produces", role, i, v,
                       value.name.c_str());
    if (stale_[(size_t)root_[(size_t)v]])
      return TERN_FAIL(TERN_ERR_CORRUPT,
                       "%s %u is value %d ('%s'), content of a state or parameter that an earlier node overwrites",
                       role, i, v, value.name.c_str());
    return TERN_OK;
  }

  // ---- nodes ----

  tern_status read_node(const fbs::Node& from) {
    Node node;
    node.op = c_.ops[from.op()];
    node.name = text(from.name());
    const tern_status s = read_node_parts(from, node);
    if (s == TERN_OK) return TERN_OK;
    error_at_op(node.op->name);
    error_at_node(node.name.c_str());
    return s;
  }

  tern_status read_node_parts(const fbs::Node& from, Node& node) {
    const Op& op = *node.op;
    TERN_TRY(read_node_inputs(from, node));
    TERN_TRY(read_node_outputs(from, node));
    set_default_attributes(op, &node.attributes);
    TERN_TRY(read_attributes(from, node));
    TERN_TRY(check_attributes(op, node.attributes));
    for (uint32_t i = 0; i < count(from.subgraphs()); ++i)
      node.subgraphs.push_back(std::move(graphs_[from.subgraphs()->Get(i)]));

    std::vector<Value> outs;
    TERN_TRY(infer_node(g_, node, &outs));
    for (size_t i = 0; i < outs.size(); ++i) TERN_TRY(compare_claim(node, outs[i], i));
    for (size_t k = 0; k < num_written(node); ++k) TERN_TRY(write_state(node, k));
    if (op.flags & kView) root_[(size_t)node.out[0]] = root_[(size_t)node.in[0]];
    fold_node(g_, node, c_.budget, outs);
    const int32_t index = (int32_t)g_.nodes.size();
    for (size_t i = 0; i < outs.size(); ++i) {
      Value& v = g_.value(node.out[i]);
      v.producer = index;
      v.paged = outs[i].paged;
      v.data = std::move(outs[i].data);
    }
    g_.nodes.push_back(std::move(node));
    return TERN_OK;
  }

  tern_status read_node_inputs(const fbs::Node& from, Node& node) {
    const Op& op = *node.op;
    const uint32_t n = count(from.inputs());
    // Where any number of inputs is taken, none is optional; control operators check theirs themselves.
    const bool optional = op.max_in >= 0 || (op.flags & kControl);
    for (uint32_t i = 0; i < n; ++i) {
      const int32_t v = from.inputs()->Get(i);
      if (v == kNoValue && optional && (int64_t)i >= op.min_in) {
        node.in.push_back(v);
        continue;
      }
      if (v < 0 || (size_t)v >= num_values())
        return TERN_FAIL(TERN_ERR_CORRUPT, "%s: input %u is value %d of %zu", op.name, i, v, num_values());
      TERN_TRY(check_readable(v, "input", i));
      node.in.push_back(v);
    }
    return TERN_OK;
  }

  tern_status read_node_outputs(const fbs::Node& from, Node& node) {
    const Op& op = *node.op;
    const uint32_t n = count(from.outputs());
    if (op.num_out >= 0 ? n != (uint32_t)op.num_out : n == 0)
      return TERN_FAIL(TERN_ERR_CORRUPT, "%s: has %u outputs, %d are needed", op.name, n,
                       op.num_out < 0 ? 1 : op.num_out);
    for (uint32_t i = 0; i < n; ++i) {
      const int32_t v = from.outputs()->Get(i);
      if (v < 0 || (size_t)v >= num_values())
        return TERN_FAIL(TERN_ERR_CORRUPT, "%s: output %u is value %d of %zu", op.name, i, v, num_values());
      Value& value = g_.value(v);
      if (value.kind != ValueKind::node)
        return TERN_FAIL(TERN_ERR_CORRUPT, "%s: output %u ('%s') is a value that no node may write", op.name, i,
                         value.name.c_str());
      if (value.producer >= 0)
        return TERN_FAIL(TERN_ERR_CORRUPT, "%s: output %u is value %d ('%s'), which has a producer already", op.name, i,
                         v, value.name.c_str());
      value.producer = (int32_t)g_.nodes.size();
      node.out.push_back(v);
    }
    return TERN_OK;
  }

  tern_status compare_claim(const Node& node, const Value& inferred, size_t i) {
    Value& claim = g_.value(node.out[i]);
    const bool is_state = i < num_written(node) && state_of_[(size_t)node.in[i]] >= 0;
    if (!is_plain(inferred.encoding) && !is_state)
      return TERN_FAIL(TERN_ERR_CORRUPT, "output %zu would be encoded as %s; only parameters and states are", i,
                       encoding_name(inferred.encoding));
    claim.encoding = inferred.encoding;
    if (claim.dtype == inferred.dtype && claim.shape == inferred.shape) return TERN_OK;
    return TERN_FAIL(TERN_ERR_CORRUPT, "output %zu is %s%s in the file, but %s%s follows from the inputs", i,
                     dtype_name(claim.dtype), to_string(claim.shape).c_str(), dtype_name(inferred.dtype),
                     to_string(inferred.shape).c_str());
  }

  // The node's output k is the state's new content, its input k is gone.
  tern_status write_state(const Node& node, size_t k) {
    const ValueId from = node.in[k], to = node.out[k];
    if (state_of_[(size_t)from] < 0)
      return TERN_FAIL(TERN_ERR_CORRUPT, "%s: input %zu ('%s') is no state and no parameter", node.op->name, k,
                       g_.value(from).name.c_str());
    const Value &old = g_.value(from), &fresh = g_.value(to);
    if (old.dtype != fresh.dtype || old.encoding != fresh.encoding || !(old.shape == fresh.shape))
      return TERN_FAIL(TERN_ERR_CORRUPT, "%s: the new content of the state has another type, encoding or shape",
                       node.op->name);
    for (size_t i = 0; i < node.in.size(); ++i)
      if (i != k && node.in[i] != kNoValue && root_[(size_t)node.in[i]] == root_[(size_t)from])
        return TERN_FAIL(TERN_ERR_CORRUPT, "%s: input %zu is the state itself", node.op->name, i);
    stale_[(size_t)root_[(size_t)from]] = 1;
    state_of_[(size_t)to] = state_of_[(size_t)from];
    return TERN_OK;
  }

  // ---- attributes ----

  tern_status read_attributes(const fbs::Node& from, Node& node) {
    const AttrSchema& schema = node.op->attributes;
    uint64_t seen[4] = {};  // bit per field; an operator has at most 256 / 8 of them
    for (uint32_t i = 0; i < count(from.attributes()); ++i) {
      const fbs::Attribute& a = *from.attributes()->Get(i);
      const std::string_view name = text(a.name());
      int32_t k = 0;
      while (k < schema.count && name != schema.fields[k].name) ++k;
      if (k == schema.count)
        return at(&a, TERN_FAIL(TERN_ERR_CORRUPT, "%s has no attribute '%.*s'", node.op->name, (int)name.size(),
                                name.data()));
      if (seen[k / 64] >> (k % 64) & 1)
        return at(
            &a, TERN_FAIL(TERN_ERR_CORRUPT, "%s: attribute '%s' is given twice", node.op->name, schema.fields[k].name));
      seen[k / 64] |= uint64_t(1) << (k % 64);
      const tern_status s =
          read_attribute(a, *node.op, schema.fields[k], node.attributes.bytes + schema.fields[k].offset);
      if (s != TERN_OK) return at(&a, s);
    }
    return TERN_OK;
  }

  static tern_status read_attribute(const fbs::Attribute& a, const Op& op, const AttrField& f, unsigned char* field) {
    if (a.type() != (uint8_t)f.type)
      return TERN_FAIL(TERN_ERR_CORRUPT, "%s: attribute '%s' has another type than the operator's", op.name, f.name);
    if (f.type == AttrType::integer) {
      const int64_t v = a.integer();
      std::memcpy(field, &v, sizeof v);
    } else if (f.type == AttrType::number) {
      const double v = a.number();
      std::memcpy(field, &v, sizeof v);
    } else if (f.type == AttrType::integers) {
      IntList list;
      list.count = count(a.integers());
      if (list.count > kMaxRank)
        return TERN_FAIL(TERN_ERR_CORRUPT, "%s: attribute '%s' has %" PRId64 " entries, at most 8 are allowed", op.name,
                         f.name, list.count);
      if (list.count > 0) std::memcpy(list.items, a.integers()->Data(), (size_t)list.count * sizeof(int64_t));
      std::memcpy(field, &list, sizeof list);
    } else {
      const std::string_view choice = text(a.choice());
      int64_t v = 0;
      while (v <= (int64_t)f.max && choice != f.choices[v]) ++v;
      if (v > (int64_t)f.max)
        return TERN_FAIL(TERN_ERR_CORRUPT, "%s: attribute '%s' cannot be '%.*s'", op.name, f.name, (int)choice.size(),
                         choice.data());
      std::memcpy(field, &v, sizeof v);
    }
    return TERN_OK;
  }

  FileContext& c_;
  const fbs::Graph& file_;
  const bool top_level_;
  std::vector<Graph>& graphs_;
  const uint32_t self_;
  Graph g_;
  std::vector<int32_t> root_;                              // of a view: the value whose bytes it is
  std::unordered_map<int32_t, int32_t> parameter_values_;  // the first value of each
  std::vector<int32_t> state_of_;  // the state or, behind those, the parameter that a value is content of, or -1
  std::vector<uint8_t> stale_;     // by root: overwritten
  std::vector<uint8_t> is_output_;
};

}  // namespace

tern_status file_error(const Metadata& meta, const void* part, tern_status s) {
  if (s == TERN_OK) return s;
  error_at_offset(meta.offset(part));
  if (s == TERN_ERR_MEMORY || s == TERN_ERR_LIMIT || s == TERN_ERR_CHECKSUM ||
      (s >= 16 && s < 32 && s != TERN_ERR_UNSUPPORTED))
    return s;
  return thread_error().code = TERN_ERR_CORRUPT;
}

tern_status read_shape(const FileContext& c, const flatbuffers::Vector<int64_t>* dims, DType dtype,
                       std::string_view what, Shape* out) {
  const uint32_t rank = count(dims);
  if (rank > c.limits.max_rank || rank > (uint32_t)kMaxRank)
    return TERN_FAIL(TERN_ERR_LIMIT, "'%.*s' has %u dims, max_rank is %u", (int)what.size(), what.data(), rank,
                     c.limits.max_rank);
  Shape s;
  s.rank = (int32_t)rank;
  // Copied as bytes: nothing proves that the list is aligned for 64-bit numbers.
  if (rank > 0) std::memcpy(s.dims, dims->Data(), rank * sizeof(int64_t));
  TERN_TRY(check_shape(s, std::string(what).c_str()));
  uint64_t bytes;
  if (!checked_mul<uint64_t>((uint64_t)s.elements(), dtype_size(dtype), &bytes) || bytes > c.limits.max_tensor_bytes)
    return TERN_FAIL(TERN_ERR_LIMIT, "'%.*s' %s%s takes more than max_tensor_bytes (%" PRIu64 ")", (int)what.size(),
                     what.data(), dtype_name(dtype), to_string(s).c_str(), c.limits.max_tensor_bytes);
  *out = s;
  return TERN_OK;
}

tern_status build_graph(FileContext& c, uint32_t index, bool top_level, std::vector<Graph>& graphs) {
  return GraphReader(c, index, top_level, graphs).run();
}

}  // namespace tern
