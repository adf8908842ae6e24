// SPDX-License-Identifier: Apache-2.0
#include "format/writer.h"

#include <cstring>
#include <unordered_map>

#include "base/checked.h"
#include "format/checksum.h"
#include "format/container.h"
#include "format/reader.h"
#include "format/tern_generated.h"
#include "graph/page_layout.h"
#include "ops/op.h"

namespace tern {
namespace {

using flatbuffers::Offset;
template <class T>
using Offsets = std::vector<Offset<T>>;

// FlatBuffers end at 2 GiB; the reader's limit is lower.
constexpr uint64_t kMaxMetadata = 1u << 30;

// Bytes for the weight section.
struct Blob {
  const void* data;
  uint64_t bytes, offset;
};

class Writer {
 public:
  explicit Writer(const ModelDef& model) : model_(model) {}

  tern_status build() {
    // Constants first: small ones are read at load, and then lie on few pages.
    TERN_TRY(write_graphs());
    Offsets<fbs::Tensor> parameters;
    for (const Parameter& p : model_.parameters) {
      Offset<fbs::Tensor> t;
      TERN_TRY(write_tensor(p.name, p.dtype, p.encoding, p.shape, p.data, p.name.c_str(), &t));
      parameters.push_back(t);
    }
    Offsets<fbs::State> states;
    for (const StateDecl& s : model_.states) {
      const auto name = string(s.name);
      const auto dims = shape(s.shape);
      const int32_t page = s.paged ? (int32_t)kPagePositions : 0;
      states.push_back(fbs::CreateState(b_, name, (uint8_t)s.dtype, dims, page, encoding_text(s.encoding)));
    }
    Offsets<fbs::Entry> entries;
    for (const auto& [key, value] : model_.metadata) {
      const auto k = string(key), v = string(value);
      entries.push_back(fbs::CreateEntry(b_, k, v));
    }
    Offsets<fbs::Operator> operators;
    for (const Op* op : ops_)
      operators.push_back(fbs::CreateOperator(b_, b_.CreateString(op->name), (uint32_t)op->version));
    const auto producer =
        b_.CreateString("Tern " + std::to_string(TERN_VERSION_MAJOR) + "." + std::to_string(TERN_VERSION_MINOR) + "." +
                        std::to_string(TERN_VERSION_PATCH));
    const auto o = vector(operators);
    const auto p = vector(parameters), c = vector(constants_);
    const auto s = vector(states);
    const auto g = vector(graphs_);
    const auto sig = vector(signatures_);
    const auto e = vector(entries);
    Offset<flatbuffers::Vector<uint8_t>> tokenizer;
    if (model_.tokenizer_bytes > kMaxMetadata) too_large_ = true;
    else if (model_.tokenizer_bytes > 0)
      tokenizer = b_.CreateVector(static_cast<const uint8_t*>(model_.tokenizer.bytes), (size_t)model_.tokenizer_bytes);
    TERN_TRY(check_size());
    fbs::FinishModelBuffer(b_, fbs::CreateModel(b_, producer, 0, o, p, c, s, g, sig, e, tokenizer));
    return finish();
  }

  // Hands over the file from its first byte to its last: sink(data, bytes) and pad(alignment).
  template <class Sink, class Pad>
  tern_status emit(Sink&& sink, Pad&& pad) const {
    uint8_t header[kHeaderBytes];
    write_header(header_, header);
    TERN_TRY(sink(header, sizeof header));
    TERN_TRY(sink(b_.GetBufferPointer(), b_.GetSize()));
    TERN_TRY(pad(kSectionAlignment));
    for (const Blob& blob : blobs_) {
      TERN_TRY(pad(kTensorAlignment));
      TERN_TRY(sink(blob.data, blob.bytes));
    }
    return TERN_OK;
  }

  uint64_t file_bytes() const { return header_.file_bytes; }

 private:
  // ---- parts ----

  Offset<flatbuffers::String> string(const std::string& s) {
    if (s.empty()) return 0;
    if (s.size() > kMaxMetadata || b_.GetSize() > kMaxMetadata) {
      too_large_ = true;
      return 0;
    }
    return b_.CreateString(s);
  }
  Offset<flatbuffers::String> encoding_text(Encoding e) {
    return is_plain(e) ? Offset<flatbuffers::String>() : b_.CreateSharedString(encoding_name(e));
  }
  Offset<flatbuffers::Vector<int64_t>> shape(const Shape& s) {
    return s.rank > 0 ? b_.CreateVector(s.dims, (size_t)s.rank) : 0;
  }
  template <class T>
  Offset<flatbuffers::Vector<T>> vector(const std::vector<T>& v) {
    if (v.empty()) return 0;
    if (v.size() > kMaxMetadata / 64 || b_.GetSize() > kMaxMetadata) {
      too_large_ = true;
      return 0;
    }
    return b_.CreateVector(v);
  }
  tern_status check_size() const {
    if (!too_large_ && b_.GetSize() <= kMaxMetadata) return TERN_OK;
    return TERN_FAIL(TERN_ERR_LIMIT, "the model without its weights exceeds 1 GiB and cannot be stored");
  }

  tern_status write_tensor(const std::string& name, DType dtype, Encoding encoding, const Shape& s, const Data& data,
                           const char* what, Offset<fbs::Tensor>* out) {
    if (s.rank < 0 || s.rank > kMaxRank || !is_dtype(dtype))
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "'%s' has no element type or more than 8 dims and cannot be stored",
                       what);
    TERN_TRY(check_shape(s, what));
    uint64_t bytes;
    TERN_TRY(encoded_bytes(encoding, dtype, s, &bytes));
    if (!data && bytes > 0)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "'%s' has no content and cannot be stored", what);
    uint64_t end;
    if (!checked_align(weights_, kTensorAlignment, &weights_) || !checked_add(weights_, bytes, &end))
      return TERN_FAIL(TERN_ERR_LIMIT, "the weights exceed 2^64 bytes");
    const auto n = string(name);
    const auto e = encoding_text(encoding);
    *out = fbs::CreateTensor(b_, n, (uint8_t)dtype, e, shape(s), weights_, bytes, checksum64(data.bytes, bytes));
    blobs_.push_back({data.bytes, bytes, weights_});
    weights_ = end;
    return check_size();
  }

  // ---- graphs ----

  // All graphs in the order of the file, each sub-graph behind the graph whose node has it.
  tern_status write_graphs() {
    struct Item {
      const Graph* graph;
      uint32_t first_subgraph = 0;  // number in the file; those of all nodes follow one another
    };
    std::vector<Item> items;
    for (const Signature& s : model_.signatures) items.push_back({&s.graph});
    for (size_t i = 0; i < items.size(); ++i) {
      items[i].first_subgraph = (uint32_t)items.size();
      const Graph* g = items[i].graph;
      for (const Node& n : g->nodes)
        for (const Graph& sub : n.subgraphs) items.push_back({&sub});
      if (items.size() > kMaxMetadata / 64) return TERN_FAIL(TERN_ERR_LIMIT, "too many sub-graphs");
    }
    for (const Item& item : items) TERN_TRY(write_graph(*item.graph, item.first_subgraph));
    for (size_t i = 0; i < model_.signatures.size(); ++i) TERN_TRY(write_signature(model_.signatures[i], (uint32_t)i));
    return TERN_OK;
  }

  tern_status write_graph(const Graph& g, uint32_t subgraph) {
    if (g.status != TERN_OK)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                       "a graph that was not built to its end cannot be stored (its status is %d)", g.status);
    Offsets<fbs::Value> values;
    for (const Value& v : g.values) {
      Offset<fbs::Value> offset;
      TERN_TRY(write_value(v, &offset));
      values.push_back(offset);
    }
    Offsets<fbs::Node> nodes;
    for (const Node& n : g.nodes) {
      if (!n.op) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "node '%s' has no operator", n.name.c_str());
      std::vector<uint32_t> subgraphs;
      for (size_t i = 0; i < n.subgraphs.size(); ++i) subgraphs.push_back(subgraph++);
      const auto name = string(n.name);
      const auto in = vector(n.in), out = vector(n.out);
      Offset<flatbuffers::Vector<Offset<fbs::Attribute>>> attributes;
      TERN_TRY(write_attributes(n, &attributes));
      nodes.push_back(fbs::CreateNode(b_, name, op_index(n.op), in, out, attributes, vector(subgraphs)));
      TERN_TRY(check_size());
    }
    const auto v = vector(values);
    const auto n = vector(nodes);
    const auto in = vector(g.inputs), out = vector(g.outputs);
    graphs_.push_back(fbs::CreateGraph(b_, v, n, in, out));
    return check_size();
  }

  tern_status write_value(const Value& v, Offset<fbs::Value>* out) {
    const auto name = string(v.name);
    int32_t index = -1;
    switch (v.kind) {
      case ValueKind::constant: {
        Offset<fbs::Tensor> t;
        TERN_TRY(
            write_tensor({}, v.dtype, v.encoding, v.shape, v.data, v.name.empty() ? "a constant" : v.name.c_str(), &t));
        index = (int32_t)constants_.size();
        constants_.push_back(t);
        break;
      }
      case ValueKind::parameter:
      case ValueKind::state: {
        index = v.index;
        const bool parameter = v.kind == ValueKind::parameter;
        const size_t n = parameter ? model_.parameters.size() : model_.states.size();
        if (index < 0 || (size_t)index >= n)
          return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "value '%s' refers to tensor %d of %zu", v.name.c_str(), index,
                           n);
        const auto same = [&](const auto& t) {
          return t.shape == v.shape && t.dtype == v.dtype && t.encoding == v.encoding;
        };
        if (!(parameter ? same(model_.parameters[(size_t)index])
                        : same(model_.states[(size_t)index]) && v.paged == model_.states[(size_t)index].paged))
          return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                           "value '%s' has another type or shape, or is stored otherwise, than the tensor it refers to",
                           v.name.c_str());
        break;
      }
      default:
        *out = fbs::CreateValue(b_, name, (uint8_t)v.kind, (uint8_t)v.dtype, shape(v.shape), -1);
        return check_size();
    }
    *out = fbs::CreateValue(b_, name, (uint8_t)v.kind, 0, 0, index);
    return check_size();
  }

  tern_status write_attributes(const Node& n, Offset<flatbuffers::Vector<Offset<fbs::Attribute>>>* out) {
    TERN_TRY(check_attributes(*n.op, n.attributes));
    Attributes defaults;
    set_default_attributes(*n.op, &defaults);
    Offsets<fbs::Attribute> list;
    for (int32_t i = 0; i < n.op->attributes.count; ++i) {
      const AttrField& f = n.op->attributes.fields[i];
      if (same_attribute(f, n.attributes.bytes + f.offset, defaults.bytes + f.offset)) continue;
      list.push_back(write_attribute(f, n.attributes.bytes + f.offset));
    }
    *out = vector(list);
    return TERN_OK;
  }

  static bool same_attribute(const AttrField& f, const unsigned char* a, const unsigned char* b) {
    if (f.type != AttrType::integers) return std::memcmp(a, b, 8) == 0;
    IntList x, y;
    std::memcpy(&x, a, sizeof x);
    std::memcpy(&y, b, sizeof y);
    return x.count == y.count && std::memcmp(x.items, y.items, (size_t)x.count * sizeof(int64_t)) == 0;
  }

  Offset<fbs::Attribute> write_attribute(const AttrField& f, const unsigned char* field) {
    const auto name = b_.CreateSharedString(f.name);
    const uint8_t type = (uint8_t)f.type;
    int64_t v = 0;
    std::memcpy(&v, field, sizeof v);
    if (f.type == AttrType::integer) return fbs::CreateAttribute(b_, name, type, v);
    if (f.type == AttrType::choice)
      return fbs::CreateAttribute(b_, name, type, 0, 0, 0, b_.CreateSharedString(f.choices[v]));
    if (f.type == AttrType::number) {
      double d;
      std::memcpy(&d, field, sizeof d);
      return fbs::CreateAttribute(b_, name, type, 0, d);
    }
    IntList list;
    std::memcpy(&list, field, sizeof list);
    return fbs::CreateAttribute(b_, name, type, 0, 0, b_.CreateVector(list.items, (size_t)list.count));
  }

  uint32_t op_index(const Op* op) {
    const auto [it, added] = op_numbers_.try_emplace(op, (uint32_t)ops_.size());
    if (added) ops_.push_back(op);
    return it->second;
  }

  tern_status write_signature(const Signature& s, uint32_t graph) {
    Offsets<fbs::Name> outputs;
    for (const std::string& n : s.output_names) outputs.push_back(fbs::CreateName(b_, string(n)));
    Offsets<fbs::Symbol> symbols;
    for (const Symbol& y : s.symbols)
      symbols.push_back(fbs::CreateSymbol(b_, string(y.name), y.min, y.max, y.hint, y.multiple));
    std::vector<fbs::SymbolicDim> dims;
    for (const SymbolicDim& d : s.symbolic_dims) dims.emplace_back(d.input, d.axis, d.symbol);
    const auto name = string(s.name);
    const auto o = vector(outputs);
    const auto y = vector(symbols);
    const auto d =
        dims.empty() ? Offset<flatbuffers::Vector<const fbs::SymbolicDim*>>() : b_.CreateVectorOfStructs(dims);
    signatures_.push_back(
        fbs::CreateSignature(b_, name, graph, o, y, d, s.position_input, s.advance, s.capacity, s.sequence_input));
    return check_size();
  }

  // ---- header ----

  tern_status finish() {
    header_.metadata_bytes = b_.GetSize();
    header_.metadata_checksum = checksum64(b_.GetBufferPointer(), b_.GetSize());
    header_.weights_bytes = weights_;
    uint64_t end;
    if (!checked_add(kHeaderBytes, header_.metadata_bytes, &end) ||
        !checked_align(end, kSectionAlignment, &header_.weights_offset) ||
        !checked_add(header_.weights_offset, weights_, &header_.file_bytes))
      return TERN_FAIL(TERN_ERR_LIMIT, "the file exceeds 2^64 bytes");
    return TERN_OK;
  }

  const ModelDef& model_;
  flatbuffers::FlatBufferBuilder b_;
  bool too_large_ = false;
  std::vector<const Op*> ops_;
  std::unordered_map<const Op*, uint32_t> op_numbers_;
  Offsets<fbs::Tensor> constants_;
  Offsets<fbs::Graph> graphs_;
  Offsets<fbs::Signature> signatures_;
  std::vector<Blob> blobs_;
  uint64_t weights_ = 0;
  Header header_;
};

// What a reader would refuse must not be written.
tern_status prove(const Bytes& file) {
  const tern_status s = verify_model(file, resolve_limits(nullptr));
  if (s == TERN_OK || s == TERN_ERR_MEMORY || s == TERN_ERR_LIMIT) return s;
  return thread_error().code = TERN_ERR_INVALID_ARGUMENT;
}

}  // namespace

tern_status write_model(const ModelDef& model, const char* path) {
  Writer w(model);
  TERN_TRY(w.build());
  FileWriter file;
  TERN_TRY(file.open(path));
  TERN_TRY(w.emit([&](const void* data, uint64_t bytes) { return file.write(data, bytes); },
                  [&](uint64_t alignment) { return file.pad(alignment); }));
  {
    Bytes written;
    TERN_TRY(file.reread(&written));
    TERN_TRY(prove(written));
  }
  return file.commit();
}

tern_status write_model_to_memory(const ModelDef& model, std::vector<uint8_t>* out) {
  Writer w(model);
  TERN_TRY(w.build());
  std::vector<uint8_t> bytes;
  if (w.file_bytes() > bytes.max_size())
    return TERN_FAIL(TERN_ERR_MEMORY, "no memory for a file of %" PRIu64 " bytes", w.file_bytes());
  bytes.reserve((size_t)w.file_bytes());
  const auto sink = [&](const void* data, uint64_t n) {
    const uint8_t* p = static_cast<const uint8_t*>(data);
    if (n) bytes.insert(bytes.end(), p, p + n);
    return TERN_OK;
  };
  const auto pad = [&](uint64_t alignment) {
    bytes.resize((size_t)align_up(bytes.size(), alignment));  // below file_bytes
    return TERN_OK;
  };
  TERN_TRY(w.emit(sink, pad));
  TERN_TRY(prove({bytes.data(), bytes.size(), nullptr}));
  *out = std::move(bytes);
  return TERN_OK;
}

}  // namespace tern
