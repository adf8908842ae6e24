// SPDX-License-Identifier: Apache-2.0
#include "format/reader.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "format/checksum.h"
#include "format/graph_reader.h"
#include "graph/page_layout.h"

namespace tern {
namespace {

// Constants are copied up to this sum; no model comes near it.
constexpr uint64_t kCopiedConstants = 32u << 20;

class Reader {
 public:
  Reader(const Metadata& meta, const tern_limits& limits)
      : meta_(meta), model_(*meta.model), c_{meta, limits, {}, {}, {}, {}, {}} {}

  tern_status run(ModelDef* out) {
    TERN_TRY(check_features());
    TERN_TRY(read_operators());
    TERN_TRY(read_states());
    TERN_TRY(read_tensors());
    TERN_TRY(check_overlap());
    TERN_TRY(check_graph_tree());
    TERN_TRY(check_signatures());
    TERN_TRY(check_metadata());
    TERN_TRY(copy_constants());

    std::vector<Graph> graphs(depth_.size());
    for (size_t i = graphs.size(); i-- > 0;) TERN_TRY(build_graph(c_, (uint32_t)i, depth_[i] == 1, graphs));
    ModelDef def;
    def.signatures.resize(count(model_.signatures()));
    for (uint32_t i = 0; i < count(model_.signatures()); ++i) {
      const fbs::Signature& s = *model_.signatures()->Get(i);
      def.signatures[i].graph = std::move(graphs[s.graph()]);
      TERN_TRY(at(&s, read_signature(s, def.signatures[i])));
    }
    TERN_TRY(check_pages());
    for (const fbs::Entry* e : entries()) def.metadata.emplace_back(text(e->key()), text(e->value()));
    if (model_.tokenizer())
      def.tokenizer.bytes = model_.tokenizer()->data(), def.tokenizer_bytes = count(model_.tokenizer());
    for (uint32_t i = 0; i < count(model_.parameters()); ++i)
      c_.parameters[i].data = data_of(*model_.parameters()->Get(i));
    def.parameters = std::move(c_.parameters);
    def.states = std::move(c_.states);
    *out = std::move(def);
    return TERN_OK;
  }

 private:
  tern_status at(const void* part, tern_status s) { return file_error(meta_, part, s); }

  // Sorted, so that equal ones are neighbours. Needs the names' parts for the place of an error.
  struct Named {
    std::string_view name;
    const void* part;
  };
  tern_status check_names(std::vector<Named> names, const char* what) {
    for (const Named& n : names)
      if (n.name.empty()) return at(n.part, TERN_FAIL(TERN_ERR_CORRUPT, "%s has no name", what));
    std::sort(names.begin(), names.end(), [](const Named& a, const Named& b) { return a.name < b.name; });
    for (size_t i = 1; i < names.size(); ++i)
      if (names[i].name == names[i - 1].name)
        return at(names[i].part, TERN_FAIL(TERN_ERR_CORRUPT, "%s '%.*s' exists twice", what,
                                           (int)std::min<size_t>(names[i].name.size(), 200), names[i].name.data()));
    return TERN_OK;
  }

  std::vector<const fbs::Entry*> entries() const {
    std::vector<const fbs::Entry*> list;
    if (model_.metadata())
      for (const fbs::Entry* e : *model_.metadata()) list.push_back(e);
    return list;
  }

  // ---- what the file needs ----

  std::string written_by() const {
    const std::string_view p = text(model_.producer());
    std::string s;
    if (!p.empty()) s.append(" (the file was written by ").append(p.substr(0, 80)).append(")");
    return s;
  }

  // This version has no features that a file may require.
  tern_status check_features() {
    if (count(model_.required_features()) == 0) return TERN_OK;
    std::string list;
    for (const flatbuffers::String* s : *model_.required_features())
      if (list.size() < 200) list.append(list.empty() ? "'" : ", '").append(text(s).substr(0, 80)).append("'");
    return at(model_.required_features(),
              TERN_FAIL(TERN_ERR_UNSUPPORTED_VERSION,
                        "the file requires %s, which this version of Tern does not have%s: a newer version is needed",
                        list.c_str(), written_by().c_str()));
  }

  // Looks up every operator that a node uses and names all that are missing.
  tern_status read_operators() {
    const uint32_t n = count(model_.operators());
    std::vector<Named> names;
    for (uint32_t i = 0; i < n; ++i)
      names.push_back({text(model_.operators()->Get(i)->name()), model_.operators()->Get(i)});
    TERN_TRY(check_names(names, "an operator"));
    std::vector<uint64_t> uses(n);
    for (uint32_t g = 0; g < count(model_.graphs()); ++g) {
      const auto* nodes = model_.graphs()->Get(g)->nodes();
      for (uint32_t i = 0; i < count(nodes); ++i) {
        const fbs::Node& node = *nodes->Get(i);
        if (node.op() >= n)
          return at(&node, TERN_FAIL(TERN_ERR_CORRUPT, "node %u has operator %u of %u", i, node.op(), n));
        ++uses[node.op()];
      }
    }
    std::string missing, left_out, other_version;
    const fbs::Operator* first = nullptr;
    c_.ops.assign(n, nullptr);
    for (uint32_t i = 0; i < n; ++i) {
      if (uses[i] == 0) continue;
      const fbs::Operator& o = *model_.operators()->Get(i);
      const std::string name(text(o.name()).substr(0, 60));
      if (name == "fused")
        return at(&o, TERN_FAIL(TERN_ERR_CORRUPT,
                                "operator 'fused' is made when a plan is made and must not stand in a file"));
      const Op* op = find_op(text(o.name()));
      c_.ops[i] = op;
      if (op && (uint32_t)op->version == o.version()) continue;
      if (!first) first = &o;
      const char* option = option_for_op(text(o.name()));
      std::string& list = op ? other_version : option ? left_out : missing;
      list.append(list.empty() ? "" : ", ").append(name);
      if (op)
        list.append(" version ")
            .append(std::to_string(o.version()))
            .append(" instead of ")
            .append(std::to_string(op->version));
      list.append(" (")
          .append(std::to_string(uses[i]))
          .append(option ? ", " : "")
          .append(option ? option : "")
          .append(")");
      if (missing.size() + left_out.size() + other_version.size() > 4096) break;  // longer than a message
    }
    if (!missing.empty())
      return at(first, TERN_FAIL(TERN_ERR_UNSUPPORTED_OP,
                                 "operators that this version of Tern does not have, with their number of uses: "
                                 "%s%s%s%s: a newer version is needed",
                                 missing.c_str(), other_version.empty() ? "" : ", ", other_version.c_str(),
                                 written_by().c_str()));
    if (!left_out.empty())
      return at(first,
                TERN_FAIL(TERN_ERR_UNSUPPORTED_OP,
                          "operators that were left out of this build of Tern, with their number of uses and the "
                          "CMake option that brings them: %s",
                          left_out.c_str()));
    if (!other_version.empty())
      return at(
          first,
          TERN_FAIL(TERN_ERR_UNSUPPORTED_VERSION,
                    "operators of versions that this version of Tern does not have: %s%s: another version is needed",
                    other_version.c_str(), written_by().c_str()));
    return TERN_OK;
  }

  // ---- tensors ----

  tern_status read_states() {
    std::vector<Named> names;
    uint64_t bytes, total = 0;
    for (uint32_t i = 0; i < count(model_.states()); ++i) {
      const fbs::State& s = *model_.states()->Get(i);
      names.push_back({text(s.name()), &s});
      StateDecl d;
      d.name = text(s.name());
      if (!is_dtype(s.dtype()))
        return at(&s, TERN_FAIL(TERN_ERR_CORRUPT, "state '%s' has element type %u, which is none", d.name.c_str(),
                                s.dtype()));
      d.dtype = s.dtype();
      TERN_TRY(at(&s, read_shape(c_, s.shape(), d.dtype, d.name, &d.shape)));
      TERN_TRY(at(&s, read_encoding(s.encoding(), d.name, &d.encoding)));
      TERN_TRY(at(&s, encoded_bytes(d.encoding, d.dtype, d.shape, &bytes)));
      if (s.page_positions() != 0 && s.page_positions() != kPagePositions)
        return at(&s, TERN_FAIL(TERN_ERR_CORRUPT, "state '%s' has pages of %d positions; they have %d", d.name.c_str(),
                                s.page_positions(), (int)kPagePositions));
      d.paged = s.page_positions() != 0;
      if (d.paged) bytes = 0;  // as many as are in use
      if (!checked_add(total, bytes, &total) || total > c_.limits.max_planned_bytes)
        return at(&s, TERN_FAIL(TERN_ERR_LIMIT, "the states up to '%s' need more than max_planned_bytes (%" PRIu64 ")",
                                d.name.c_str(), c_.limits.max_planned_bytes));
      c_.states.push_back(std::move(d));
    }
    return check_names(std::move(names), "a state");
  }

  tern_status check_pages() {
    ModelDef states;
    states.states = c_.states;
    PageLayout layout;
    TERN_TRY(lay_out_pages(states, &layout));
    if (layout.bytes <= c_.limits.max_planned_bytes) return TERN_OK;
    return TERN_FAIL(TERN_ERR_LIMIT, "a page of the states needs more than max_planned_bytes (%" PRIu64 ")",
                     c_.limits.max_planned_bytes);
  }

  tern_status read_tensors() {
    std::vector<Named> names;
    for (uint32_t i = 0; i < count(model_.parameters()); ++i) {
      const fbs::Tensor& t = *model_.parameters()->Get(i);
      names.push_back({text(t.name()), &t});
      Parameter p;
      p.name = text(t.name());
      TERN_TRY(at(&t, read_tensor(t, p.name, &p.dtype, &p.encoding, &p.shape)));
      p.bytes = t.bytes();
      p.checksum = t.checksum();
      c_.parameters.push_back(std::move(p));
    }
    TERN_TRY(check_names(std::move(names), "a parameter"));
    for (uint32_t i = 0; i < count(model_.constants()); ++i) {
      const fbs::Tensor& t = *model_.constants()->Get(i);
      Constant k;
      Encoding encoding = Encoding::plain;
      TERN_TRY(at(&t, read_tensor(t, "constant " + std::to_string(i), &k.dtype, &encoding, &k.shape)));
      if (!is_plain(encoding))
        return at(&t, TERN_FAIL(TERN_ERR_CORRUPT, "constant %u is encoded as %s; only parameters are", i,
                                encoding_name(encoding)));
      k.data = data_of(t);
      c_.constants.push_back(std::move(k));
    }
    return TERN_OK;
  }

  tern_status read_encoding(const flatbuffers::String* stored, const std::string& name, Encoding* encoding) {
    const std::string_view wanted = stored ? text(stored) : "plain";
    if (find_encoding(wanted, encoding)) return TERN_OK;
    return TERN_FAIL(TERN_ERR_UNSUPPORTED_VERSION,
                     "'%s' is in encoding '%.*s', which this version of Tern does not have%s", name.c_str(),
                     (int)std::min<size_t>(wanted.size(), 80), wanted.data(), written_by().c_str());
  }

  tern_status read_tensor(const fbs::Tensor& t, const std::string& name, DType* dtype, Encoding* encoding,
                          Shape* shape) {
    if (!is_dtype(t.dtype()))
      return TERN_FAIL(TERN_ERR_CORRUPT, "'%s' has element type %u, which is none", name.c_str(), t.dtype());
    *dtype = t.dtype();
    TERN_TRY(read_encoding(t.encoding(), name, encoding));
    TERN_TRY(read_shape(c_, t.shape(), *dtype, name, shape));
    uint64_t bytes;
    TERN_TRY(encoded_bytes(*encoding, *dtype, *shape, &bytes));
    if (bytes != t.bytes())
      return TERN_FAIL(TERN_ERR_CORRUPT, "'%s' %s%s in encoding %s takes %" PRIu64 " bytes, the file holds %" PRIu64,
                       name.c_str(), dtype_name(*dtype), to_string(*shape).c_str(), encoding_name(*encoding), bytes,
                       t.bytes());
    if (bytes > c_.limits.max_tensor_bytes)
      return TERN_FAIL(TERN_ERR_LIMIT, "'%s' has %" PRIu64 " bytes, max_tensor_bytes is %" PRIu64, name.c_str(), bytes,
                       c_.limits.max_tensor_bytes);
    if (t.offset() % kTensorAlignment != 0)
      return TERN_FAIL(TERN_ERR_CORRUPT, "'%s' begins at %" PRIu64 " of the weight section, which is no multiple of 64",
                       name.c_str(), t.offset());
    if (!range_within(t.offset(), bytes, meta_.header.weights_bytes))
      return TERN_FAIL(TERN_ERR_CORRUPT,
                       "'%s' (%" PRIu64 " bytes from %" PRIu64 ") ends outside the weight section (%" PRIu64 " bytes)",
                       name.c_str(), bytes, t.offset(), meta_.header.weights_bytes);
    return TERN_OK;
  }

  // Two tensors that share bytes would change together.
  tern_status check_overlap() {
    struct Range {
      uint64_t begin, end;
      const fbs::Tensor* tensor;
    };
    std::vector<Range> ranges;
    for (const auto* list : {model_.parameters(), model_.constants()})
      for (uint32_t i = 0; i < count(list); ++i) {
        const fbs::Tensor* t = list->Get(i);
        uint64_t end;
        if (t->bytes() > 0 && checked_add(t->offset(), t->bytes(), &end)) ranges.push_back({t->offset(), end, t});
      }
    std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });
    for (size_t i = 1; i < ranges.size(); ++i)
      if (ranges[i].begin < ranges[i - 1].end)
        return at(ranges[i].tensor,
                  TERN_FAIL(TERN_ERR_CORRUPT, "two tensors share bytes of the weight section from %" PRIu64,
                            ranges[i].begin));
    return TERN_OK;
  }

  // In place. The range was proven to lie within the weight section, and that within the file.
  Data data_of(const fbs::Tensor& t) const {
    Data d;
    d.bytes = meta_.file.data + meta_.header.weights_offset + t.offset();
    d.owner = meta_.file.owner;
    return d;
  }

  tern_status copy_constants() {
    uint64_t left = kCopiedConstants;
    for (size_t i = 0; i < c_.constants.size(); ++i) {
      Constant& k = c_.constants[i];
      const fbs::Tensor& t = *model_.constants()->Get((uint32_t)i);
      if (t.bytes() > kCopiedConstant || !checked_sub(left, t.bytes(), &left)) continue;
      void* p = nullptr;
      Data copy = make_data(t.bytes(), &p);
      std::memcpy(p, k.data.bytes, (size_t)t.bytes());
      if (checksum64(p, t.bytes()) != t.checksum())
        return at(&t, TERN_FAIL(TERN_ERR_CHECKSUM, "constant %zu is damaged: fetch or make the file again", i));
      k.data = std::move(copy);
      k.known = true;
    }
    return TERN_OK;
  }

  // ---- graphs and signatures ----

  // Each graph belongs to one signature or to one node of an earlier graph: so there are no cycles, and the depth of
  // each is that of its owner plus one.
  tern_status check_graph_tree() {
    depth_.assign(count(model_.graphs()), 0);
    for (uint32_t i = 0; i < count(model_.signatures()); ++i) {
      const fbs::Signature& s = *model_.signatures()->Get(i);
      if (s.graph() >= depth_.size())
        return at(&s, TERN_FAIL(TERN_ERR_CORRUPT, "signature %u has graph %u of %zu", i, s.graph(), depth_.size()));
      if (depth_[s.graph()] != 0) return at(&s, TERN_FAIL(TERN_ERR_CORRUPT, "graph %u is used twice", s.graph()));
      depth_[s.graph()] = 1;
    }
    for (uint32_t g = 0; g < depth_.size(); ++g) {
      const fbs::Graph& graph = *model_.graphs()->Get(g);
      // Its owner, were there one, stands before it.
      if (depth_[g] == 0)
        return at(&graph, TERN_FAIL(TERN_ERR_CORRUPT,
                                    "graph %u is used by no signature and by no node of an earlier graph", g));
      for (uint32_t i = 0; i < count(graph.nodes()); ++i) {
        const fbs::Node& node = *graph.nodes()->Get(i);
        for (uint32_t k = 0; k < count(node.subgraphs()); ++k) {
          const uint32_t sub = node.subgraphs()->Get(k);
          if (sub >= depth_.size() || sub <= g)
            return at(&node, TERN_FAIL(TERN_ERR_CORRUPT, "sub-graph %u of a node of graph %u does not stand behind it",
                                       sub, g));
          if (depth_[sub] != 0) return at(&node, TERN_FAIL(TERN_ERR_CORRUPT, "graph %u is used twice", sub));
          depth_[sub] = depth_[g] + 1;
          if (depth_[sub] > c_.limits.max_depth)
            return at(&node, TERN_FAIL(TERN_ERR_LIMIT, "sub-graphs are nested deeper than max_depth (%" PRIu64 ")",
                                       c_.limits.max_depth));
        }
      }
    }
    return TERN_OK;
  }

  tern_status check_signatures() {
    std::vector<Named> names;
    for (uint32_t i = 0; i < count(model_.signatures()); ++i)
      names.push_back({text(model_.signatures()->Get(i)->name()), model_.signatures()->Get(i)});
    return check_names(std::move(names), "a signature");
  }

  tern_status check_metadata() {
    std::vector<Named> names;
    for (const fbs::Entry* e : entries()) names.push_back({text(e->key()), e});
    return check_names(std::move(names), "a metadata key");
  }

  // The graph is there already.
  tern_status read_signature(const fbs::Signature& from, Signature& s) {
    s.name = text(from.name());
    std::vector<Named> inputs, outputs, symbols;
    for (const ValueId v : s.graph.inputs) inputs.push_back({s.graph.value(v).name, &from});
    TERN_TRY(check_names(std::move(inputs), "an input"));
    if (count(from.output_names()) != s.graph.outputs.size())
      return TERN_FAIL(TERN_ERR_CORRUPT, "signature '%s' names %u outputs, its graph has %zu", s.name.c_str(),
                       count(from.output_names()), s.graph.outputs.size());
    for (uint32_t i = 0; i < count(from.output_names()); ++i) {
      const fbs::Name& n = *from.output_names()->Get(i);
      outputs.push_back({text(n.name()), &n});
      s.output_names.emplace_back(text(n.name()));
    }
    TERN_TRY(check_names(std::move(outputs), "an output"));
    for (uint32_t i = 0; i < count(from.symbols()); ++i) {
      const fbs::Symbol& y = *from.symbols()->Get(i);
      symbols.push_back({text(y.name()), &y});
      if (y.min() < 0 || y.min() > y.hint() || y.hint() > y.max() || y.multiple() < 1 || y.hint() % y.multiple() != 0)
        return at(
            &y,
            TERN_FAIL(
                TERN_ERR_CORRUPT,
                "symbol %u of signature '%s': 0 <= min <= hint <= max must hold, and hint be a multiple of the step", i,
                s.name.c_str()));
      s.symbols.push_back({std::string(text(y.name())), y.min(), y.max(), y.hint(), y.multiple()});
    }
    TERN_TRY(check_names(std::move(symbols), "a symbol"));
    TERN_TRY(read_symbolic_dims(from, s));
    return read_position(from, s);
  }

  tern_status read_symbolic_dims(const fbs::Signature& from, Signature& s) {
    std::vector<uint8_t> seen(s.graph.inputs.size());  // bit per axis
    for (uint32_t i = 0; i < count(from.symbolic_dims()); ++i) {
      const fbs::SymbolicDim& d = *from.symbolic_dims()->Get(i);
      if (d.input() < 0 || (size_t)d.input() >= s.graph.inputs.size())
        return TERN_FAIL(TERN_ERR_CORRUPT, "symbolic dim %u of signature '%s' is of input %d of %zu", i, s.name.c_str(),
                         d.input(), s.graph.inputs.size());
      const Value& v = s.graph.value(s.graph.inputs[(size_t)d.input()]);
      if (d.axis() < 0 || d.axis() >= v.shape.rank)
        return TERN_FAIL(TERN_ERR_CORRUPT, "symbolic dim %u of signature '%s': input '%s' has no axis %d", i,
                         s.name.c_str(), v.name.c_str(), d.axis());
      if (d.symbol() < 0 || (size_t)d.symbol() >= s.symbols.size())
        return TERN_FAIL(TERN_ERR_CORRUPT, "symbolic dim %u of signature '%s' is symbol %d of %zu", i, s.name.c_str(),
                         d.symbol(), s.symbols.size());
      if (seen[(size_t)d.input()] >> d.axis() & 1)
        return TERN_FAIL(TERN_ERR_CORRUPT, "symbolic dim %u of signature '%s': axis %d of input '%s' is a symbol twice",
                         i, s.name.c_str(), d.axis(), v.name.c_str());
      seen[(size_t)d.input()] |= (uint8_t)(1 << d.axis());
      const Symbol& y = s.symbols[(size_t)d.symbol()];
      if (v.shape[d.axis()] != y.hint)
        return TERN_FAIL(TERN_ERR_CORRUPT,
                         "symbolic dim %u of signature '%s': input '%s' has %" PRId64
                         " there, the hint of '%s' is %" PRId64,
                         i, s.name.c_str(), v.name.c_str(), v.shape[d.axis()], y.name.c_str(), y.hint);
      s.symbolic_dims.push_back({d.input(), d.axis(), d.symbol()});
    }
    return TERN_OK;
  }

  tern_status read_position(const fbs::Signature& from, Signature& s) {
    s.position_input = from.position_input();
    s.advance = from.advance();
    s.capacity = from.capacity();
    if (s.position_input < -1 || (int64_t)s.position_input >= (int64_t)s.graph.inputs.size())
      return TERN_FAIL(TERN_ERR_CORRUPT, "signature '%s' takes its position from input %d of %zu", s.name.c_str(),
                       s.position_input, s.graph.inputs.size());
    s.sequence_input = from.sequence_input();
    if (s.sequence_input != -1) TERN_TRY(check_rows(s));
    else if (s.position_input >= 0 && s.graph.value(s.graph.inputs[(size_t)s.position_input]).kind != ValueKind::scalar)
      return TERN_FAIL(TERN_ERR_CORRUPT, "signature '%s' takes its position from input %d, which is no run-time scalar",
                       s.name.c_str(), s.position_input);
    if (s.advance < 0 || s.capacity < s.advance)
      return TERN_FAIL(TERN_ERR_CORRUPT, "signature '%s' moves on by %" PRId64 " within a capacity of %" PRId64,
                       s.name.c_str(), s.advance, s.capacity);
    return TERN_OK;
  }

  // The inputs that receive the sequence and the position of each row.
  tern_status check_rows(const Signature& s) {
    int32_t symbols[2] = {-1, -1};
    const int32_t inputs[2] = {s.sequence_input, s.position_input};
    for (int k = 0; k < 2; ++k) {
      if (inputs[k] < 0 || (int64_t)inputs[k] >= (int64_t)s.graph.inputs.size()) continue;
      const Value& v = s.graph.value(s.graph.inputs[(size_t)inputs[k]]);
      const DType dtype = k == 0 ? TERN_DTYPE_I32 : TERN_DTYPE_I64;
      if (v.kind != ValueKind::input || v.dtype != dtype || v.shape.rank != 1) continue;
      for (const SymbolicDim& d : s.symbolic_dims)
        if (d.input == inputs[k]) symbols[k] = d.symbol;
    }
    if (symbols[0] >= 0 && symbols[0] == symbols[1] && s.advance == 0) return TERN_OK;
    return TERN_FAIL(TERN_ERR_CORRUPT,
                     "signature '%s': its inputs %d and %d do not take the sequence and the position of each row",
                     s.name.c_str(), s.sequence_input, s.position_input);
  }

  const Metadata& meta_;
  const fbs::Model& model_;
  FileContext c_;
  std::vector<uint32_t> depth_;  // of each graph; 1 for those of signatures
};

tern_status check_bytes(const char* kind, const char* name, const void* data, uint64_t bytes, uint64_t expected) {
  if (checksum64(data, bytes) == expected) return TERN_OK;
  const tern_status s = TERN_FAIL(TERN_ERR_CHECKSUM, "%s '%s' is damaged: fetch or make the file again", kind, name);
  error_at_node(name);
  return s;
}

}  // namespace

tern_limits resolve_limits(const tern_limits* limits) {
  tern_limits r = TERN_LIMITS_INIT;
  if (limits) r = *limits;
  const auto fill = [](auto& field, uint64_t value) {
    if (field == 0) field = (std::remove_reference_t<decltype(field)>)value;
  };
  fill(r.max_rank, TERN_MAX_RANK);
  fill(r.max_file_bytes, uint64_t(1) << 40);
  fill(r.max_metadata_bytes, uint64_t(256) << 20);
  fill(r.max_tensors, 1'000'000);
  fill(r.max_nodes, 1'000'000);
  fill(r.max_graphs, 10'000);
  fill(r.max_depth, 16);
  fill(r.max_name_bytes, 65'536);
  fill(r.max_tensor_bytes, uint64_t(1) << 40);
  fill(r.max_planned_bytes, uint64_t(1) << 40);
  return r;
}

tern_status read_model(const Bytes& file, const tern_limits& limits, ModelDef* out) {
  if (reinterpret_cast<uintptr_t>(file.data) % kTensorAlignment != 0)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                     "the memory of a model must begin at a multiple of 64 bytes; copy it (TERN_LOAD_COPY)");
  Metadata meta;
  TERN_TRY(open_metadata(file, limits, &meta));
  return Reader(meta, limits).run(out);
}

tern_status verify_model(const Bytes& file, const tern_limits& limits) {
  ModelDef model;
  Metadata meta;
  TERN_TRY(open_metadata(file, limits, &meta));
  return Reader(meta, limits).run(&model);
}

tern_status check_weights(const ModelDef& model) {
  for (const Parameter& p : model.parameters)
    TERN_TRY(check_bytes("parameter", p.name.c_str(), p.data.bytes, p.bytes, p.checksum));
  return TERN_OK;
}

tern_status check_weights(const Bytes& file) {
  const tern_limits limits = resolve_limits(nullptr);
  Metadata meta;
  TERN_TRY(open_metadata(file, limits, &meta));
  for (const auto* list : {meta.model->parameters(), meta.model->constants()})
    for (uint32_t i = 0; i < count(list); ++i) {
      const fbs::Tensor& t = *list->Get(i);
      if (!range_within(t.offset(), t.bytes(), meta.header.weights_bytes))
        return file_error(meta, &t, TERN_FAIL(TERN_ERR_CORRUPT, "a tensor ends outside the weight section"));
      const bool parameter = list == meta.model->parameters();
      const std::string name = parameter ? std::string(text(t.name())) : "constant " + std::to_string(i);
      TERN_TRY(check_bytes(parameter ? "parameter" : "constant", name.c_str(),
                           file.data + meta.header.weights_offset + t.offset(), t.bytes(), t.checksum()));
    }
  return TERN_OK;
}

}  // namespace tern
