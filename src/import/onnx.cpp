// SPDX-License-Identifier: Apache-2.0
// Reads an ONNX file: limits, tensors, names, and the walk over the nodes. What each operator becomes: onnx_*.cpp.
#include "import/onnx.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/text.h"
#include "import/onnx_files.h"
#include "import/onnx_prepare.h"
#include "import/onnx_scan.h"
#include "import/recipes.h"
#include "passes/eliminate.h"
#include "passes/follow_sizes.h"

namespace tern {

constexpr int kOldestOpset = 1, kNewestOpset = 28;
constexpr int kMaxSubgraphDepth = 8;

// ---- tensors ----

DType onnx_dtype(int64_t t) {
  using P = onnx::TensorProto;
  switch (t) {
    case P::FLOAT: return TERN_DTYPE_F32;
    case P::UINT8: return TERN_DTYPE_U8;
    case P::INT8: return TERN_DTYPE_I8;
    case P::UINT16: return TERN_DTYPE_U16;
    case P::INT16: return TERN_DTYPE_I16;
    case P::INT32: return TERN_DTYPE_I32;
    case P::INT64: return TERN_DTYPE_I64;
    case P::BOOL: return TERN_DTYPE_BOOL;
    case P::FLOAT16: return TERN_DTYPE_F16;
    case P::DOUBLE: return TERN_DTYPE_F64;
    case P::UINT32: return TERN_DTYPE_U32;
    case P::UINT64: return TERN_DTYPE_U64;
    case P::BFLOAT16: return TERN_DTYPE_BF16;
    default: return TERN_DTYPE_NONE;
  }
}

namespace {

tern_status wrong_count(const onnx::TensorProto& t, const Shape& shape, int64_t have) {
  return TERN_FAIL(TERN_ERR_CORRUPT, "tensor '%.80s' of shape %s has %" PRId64 " elements of data", t.name().c_str(),
                   to_string(shape).c_str(), have);
}

// The field for typed data that a data type uses. Elements narrower than 32 bits lie one in each int32.
tern_status read_typed_data(const onnx::TensorProto& t, DType dtype, const Shape& shape, void* to) {
  const int64_t n = shape.elements();
  switch (dtype) {
    case TERN_DTYPE_F32:
      if (t.float_data_size() != n) return wrong_count(t, shape, t.float_data_size());
      if (n) std::memcpy(to, t.float_data().data(), (size_t)n * 4);
      return TERN_OK;
    case TERN_DTYPE_F64:
      if (t.double_data_size() != n) return wrong_count(t, shape, t.double_data_size());
      if (n) std::memcpy(to, t.double_data().data(), (size_t)n * 8);
      return TERN_OK;
    case TERN_DTYPE_I64:
      if (t.int64_data_size() != n) return wrong_count(t, shape, t.int64_data_size());
      if (n) std::memcpy(to, t.int64_data().data(), (size_t)n * 8);
      return TERN_OK;
    case TERN_DTYPE_U32:
    case TERN_DTYPE_U64:
      if (t.uint64_data_size() != n) return wrong_count(t, shape, t.uint64_data_size());
      for (int64_t i = 0; i < n; ++i) store_integer(dtype, to, i, (int64_t)t.uint64_data((int)i));
      return TERN_OK;
    default:
      if (t.int32_data_size() != n) return wrong_count(t, shape, t.int32_data_size());
      if (dtype == TERN_DTYPE_F16 || dtype == TERN_DTYPE_BF16)
        for (int64_t i = 0; i < n; ++i) store_integer(TERN_DTYPE_U16, to, i, t.int32_data((int)i));
      else
        for (int64_t i = 0; i < n; ++i) store_integer(dtype, to, i, t.int32_data((int)i));
      return TERN_OK;
  }
}

// Each 0 or 1.
Data tidy_bools(const Data& from, uint64_t bytes) {
  void* p = nullptr;
  const Data to = make_data(bytes, &p);
  for (uint64_t i = 0; i < bytes; ++i) ((uint8_t*)p)[i] = ((const uint8_t*)from.bytes)[i] != 0;
  return to;
}

// Integers of 4 bits lie two in a byte, the first in its low half; here each has a byte.
constexpr int kUint4 = 21, kInt4 = 22;  // newer than the schema at hand
Data unpack_nibbles(const Data& from, DType dtype, int64_t elements) {
  void* p = nullptr;
  const Data to = make_data((uint64_t)elements, &p);
  for (int64_t i = 0; i < elements; ++i) {
    const int code = ((const uint8_t*)from.bytes)[i / 2] >> (i % 2 * 4) & 15;
    store_integer(dtype, p, i, dtype == TERN_DTYPE_I8 && code > 7 ? code - 16 : code);
  }
  return to;
}

}  // namespace

tern_status read_onnx_tensor(const onnx::TensorProto& t, TensorData* out, OnnxFiles* files) {
  if (t.has_segment()) return TERN_FAIL(TERN_ERR_UNSUPPORTED, "tensor '%.80s' is stored in segments", t.name().c_str());
  const bool nibbles = t.data_type() == kUint4 || t.data_type() == kInt4;
  const DType dtype = !nibbles ? onnx_dtype(t.data_type()) : t.data_type() == kInt4 ? TERN_DTYPE_I8 : TERN_DTYPE_U8;
  if (dtype == TERN_DTYPE_NONE)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "tensor '%.80s' has element type %d, which is not supported",
                     t.name().c_str(), t.data_type());
  if (t.dims_size() > kMaxRank)
    return TERN_FAIL(TERN_ERR_LIMIT, "tensor '%.80s' has %d dims, at most %d are supported", t.name().c_str(),
                     t.dims_size(), kMaxRank);
  TensorData r;
  for (int64_t d : t.dims()) r.shape.push(d);
  if (check_shape(r.shape, t.name().c_str()) != TERN_OK) {
    const std::string why = thread_error().message;
    return TERN_FAIL(TERN_ERR_CORRUPT, "tensor %s", why.c_str());
  }
  r.name = t.name();
  r.dtype = dtype;
  r.nibbles = nibbles;
  const Shape stored = nibbles ? Shape{r.shape.elements() / 2 + r.shape.elements() % 2} : r.shape;
  const uint64_t bytes = (uint64_t)stored.elements() * dtype_size(dtype);
  // Before any allocation: the data must be in the file.
  if (t.data_location() == onnx::TensorProto::EXTERNAL) {
    OnnxFiles none("", 0);
    TERN_TRY((files ? *files : none).read(t, bytes, dtype_size(dtype), &r.data));
  } else if (t.has_raw_data()) {
    if (t.raw_data().size() != bytes)
      return TERN_FAIL(TERN_ERR_CORRUPT, "tensor '%.80s' of shape %s needs %" PRIu64 " bytes, but has %zu",
                       t.name().c_str(), to_string(r.shape).c_str(), bytes, t.raw_data().size());
    void* p = nullptr;
    r.data = make_data(bytes, &p);
    if (bytes) std::memcpy(p, t.raw_data().data(), (size_t)bytes);
  } else {
    const int64_t have = (int64_t)t.float_data_size() + t.double_data_size() + t.int64_data_size() +
                         t.uint64_data_size() + t.int32_data_size();
    if (have != stored.elements()) return wrong_count(t, r.shape, have);
    void* p = nullptr;
    r.data = make_data(bytes, &p);
    TERN_TRY(read_typed_data(t, dtype, stored, p));
  }
  if (nibbles) r.data = unpack_nibbles(r.data, dtype, r.shape.elements());
  if (dtype == TERN_DTYPE_BOOL) r.data = tidy_bools(r.data, bytes);
  *out = std::move(r);
  return TERN_OK;
}

// ---- the walk ----

struct OnnxImporter {
  const ImportOptions& options;
  int opset = 0;
  const NodeVersions& versions;
  OnnxFiles& files;
  Missing missing{};
  ModelDef model{};
  OnnxScope* scope = nullptr;
  int depth = 0;
  bool sizes_decide = false;  // what is refused reads sizes that vary

  tern_status read_graph(const onnx::GraphProto& graph, Builder& b);
  tern_status lower_node(const onnx::NodeProto& node, Builder& b);
  tern_status define(const std::string& name, Operand o);
  Operand* find(const std::string& name, OnnxScope** where);
  bool varies(const std::string& name);
  ValueId materialise(Operand& o, Builder& b, bool constant);
  ValueId value_of(const std::string& name, Builder& b, bool constant);
};

namespace {

const OnnxOp* find_onnx_op(const std::string& type) {
  static const std::unordered_map<std::string_view, const OnnxOp*> table = [] {
    std::unordered_map<std::string_view, const OnnxOp*> t;
    for (auto family : {onnx_math_ops(), onnx_nn_ops(), onnx_spatial_ops(), onnx_sampling_ops(), onnx_resize_ops(),
                        onnx_shape_ops(), onnx_quant_ops(), onnx_control_ops(), onnx_loss_ops(), onnx_transformer_ops(),
                        onnx_iterate_ops(), onnx_signal_ops(), onnx_geometry_ops(), onnx_sequence_ops()})
      for (const OnnxOp& op : family) t[op.type] = &op;
    return t;
  }();
  const auto it = table.find(type);
  return it == table.end() ? nullptr : it->second;
}

bool own_domain(const std::string& domain) { return domain.empty() || domain == "ai.onnx"; }

std::string full_name(const onnx::NodeProto& node) {
  return own_domain(node.domain()) ? node.op_type().substr(0, 64)
                                   : node.domain().substr(0, 64) + ":" + node.op_type().substr(0, 64);
}

bool is_known(const onnx::NodeProto& node) {
  return (own_domain(node.domain()) && node.op_type() == "Constant") || find_onnx_op(full_name(node));
}

// Counts the unknown operators of a graph and its sub-graphs (the parser has limited the depth).
void count_unknown(const onnx::GraphProto& graph, Missing* missing) {
  for (const onnx::NodeProto& node : graph.node()) {
    if (!is_known(node)) missing->add(full_name(node));
    for (const onnx::AttributeProto& a : node.attribute())
      if (a.has_g()) count_unknown(a.g(), missing);
  }
}

std::string shown(const std::string& name) { return name.substr(0, 80); }

tern_status read_value_info(const onnx::ValueInfoProto& v, DType* dtype, const onnx::TensorShapeProto** shape) {
  if (!v.type().has_tensor_type())
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "'%s' is not a tensor (sequences, maps and optional values are not supported)",
                     shown(v.name()).c_str());
  *dtype = onnx_dtype(v.type().tensor_type().elem_type());
  if (*dtype == TERN_DTYPE_NONE)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "'%s' has element type %d, which is not supported", shown(v.name()).c_str(),
                     v.type().tensor_type().elem_type());
  *shape = v.type().tensor_type().has_shape() ? &v.type().tensor_type().shape() : nullptr;
  return TERN_OK;
}

// Content of a Constant node in any of its forms.
tern_status read_constant(const onnx::NodeProto& node, OnnxFiles& files, TensorData* out) {
  if (node.attribute_size() != 1)
    return TERN_FAIL(TERN_ERR_CORRUPT, "Constant '%s' has %d attributes instead of one", shown(node.name()).c_str(),
                     node.attribute_size());
  const onnx::AttributeProto& a = node.attribute(0);
  const auto fill = [&](DType dtype, const Shape& shape, const void* from) {
    void* p = nullptr;
    out->dtype = dtype;
    out->shape = shape;
    out->data = make_data(out->bytes(), &p);
    if (out->bytes()) std::memcpy(p, from, (size_t)out->bytes());
    return TERN_OK;
  };
  if (a.name() == "value" && a.has_t()) return read_onnx_tensor(a.t(), out, &files);
  if (a.name() == "value_float" && a.has_f()) {
    const float v = a.f();
    return fill(TERN_DTYPE_F32, Shape{}, &v);
  }
  if (a.name() == "value_int" && a.has_i()) {
    const int64_t v = a.i();
    return fill(TERN_DTYPE_I64, Shape{}, &v);
  }
  if (a.name() == "value_floats") return fill(TERN_DTYPE_F32, Shape{a.floats_size()}, a.floats().data());
  if (a.name() == "value_ints") return fill(TERN_DTYPE_I64, Shape{a.ints_size()}, a.ints().data());
  return TERN_FAIL(TERN_ERR_UNSUPPORTED, "Constant '%s' has attribute '%s', which is not supported",
                   shown(node.name()).c_str(), shown(a.name()).c_str());
}

}  // namespace

tern_status OnnxImporter::define(const std::string& name, Operand o) {
  if (name.empty()) return TERN_OK;
  if (!scope->names.emplace(name, std::move(o)).second)
    return TERN_FAIL(TERN_ERR_CORRUPT, "the name '%s' is given twice", shown(name).c_str());
  return TERN_OK;
}

Operand* OnnxImporter::find(const std::string& name, OnnxScope** where) {
  for (OnnxScope* s = scope; s; s = s->outer) {
    const auto it = s->names.find(name);
    if (it == s->names.end()) continue;
    if (where) *where = s;
    return &it->second;
  }
  return nullptr;
}

bool OnnxImporter::varies(const std::string& name) {
  OnnxScope* where = nullptr;
  const Operand* o = find(name, &where);
  return o && o->id != kNoValue && where->g->value(o->id).sizes;
}

// Floats of more than one element are weights; the rest is part of the computation.
ValueId OnnxImporter::materialise(Operand& o, Builder& b, bool constant) {
  if (o.quantized) {
    const QuantizedWeight& q = *o.quantized;
    std::vector<ValueId> in{b.constant(q.codes), b.constant(q.scale)};
    if (q.zero.data) in.push_back(b.constant(q.zero));
    return b.op("dequantize_linear", in, {{"axis", q.axis}});
  }
  const TensorData& t = *o.tensor;
  const bool weight = is_float(t.dtype) && t.elements() > 1 && !constant;
  const ValueId v = weight ? b.parameter(t) : b.constant(t);
  return o.as != TERN_DTYPE_NONE ? b.cast(v, o.as) : v;
}

// An input of a sub-graph that stands for a value of the graph around it.
static Value captured(const Value& v) {
  Value copy;
  copy.name = v.name;
  copy.dtype = v.dtype;
  copy.kind = ValueKind::input;
  copy.shape = v.shape;
  if (!has_fixed_shape(v)) copy.sizes = dims_alone(*v.sizes);
  return copy;
}

// A value of the graph that `s` describes; values of enclosing graphs become inputs of the sub-graph.
static ValueId capture(OnnxScope* s, OnnxScope* where, ValueId id) {
  if (s == where) return id;
  const ValueId outer = capture(s->outer, where, id);
  if (s->g == s->outer->g) return outer;
  const auto it = s->inner.find(outer);
  if (it != s->inner.end()) return it->second;
  const Value& v = s->outer->g->value(outer);
  ValueId inner;
  if (v.kind == ValueKind::constant) {
    inner = add_constant(*s->g, v.dtype, v.shape, v.data.bytes);
  } else {
    if (std::find(s->captures->begin(), s->captures->end(), outer) == s->captures->end()) s->captures->push_back(outer);
    // Kind and position among the inputs are settled when the branch is closed.
    Value copy = captured(v);
    inner = add_value(*s->g, std::move(copy));
  }
  s->inner[outer] = inner;
  return inner;
}

ValueId OnnxImporter::value_of(const std::string& name, Builder& b, bool constant) {
  OnnxScope* where = nullptr;
  Operand* o = find(name, &where);
  if (!o || o->absent) return kNoValue;
  if (o->sequence) {
    b.g->status = TERN_FAIL(TERN_ERR_UNSUPPORTED, "'%s' is a sequence, a tensor is needed", shown(name).c_str());
    return kNoValue;
  }
  if (o->id != kNoValue) {
    const Value& v = where->g->value(o->id);
    return where->g != scope->g && v.kind == ValueKind::parameter ? b.parameter_value(v.index)
                                                                  : capture(scope, where, o->id);
  }
  const ValueId v = materialise(*o, b, constant);
  // The same content may be wanted as a constant and as a parameter.
  if (where->g == scope->g && !constant) o->id = v;
  return v;
}

tern_status OnnxImporter::lower_node(const onnx::NodeProto& node, Builder& b) {
  for (const std::string& name : node.input()) {
    if (name.empty()) continue;
    const Operand* o = find(name, nullptr);
    if (!o)
      return TERN_FAIL(TERN_ERR_CORRUPT, "%s '%s' reads '%s', which nothing produces", full_name(node).c_str(),
                       shown(node.name()).c_str(), shown(name).c_str());
  }
  const auto give_up = [&]() {
    for (const std::string& name : node.output()) {
      if (name.empty()) continue;
      Operand o;
      o.absent = true;
      scope->names[name] = o;
    }
    return TERN_OK;
  };
  for (const std::string& name : node.input())
    if (!name.empty() && find(name, nullptr)->absent) return give_up();
  if (!is_known(node)) return give_up();
  if (node.op_type() == "Constant") {
    if (node.output_size() != 1) return TERN_FAIL(TERN_ERR_CORRUPT, "a Constant has %d outputs", node.output_size());
    auto t = std::make_shared<TensorData>();
    TERN_TRY(read_constant(node, files, t.get()));
    t->name = node.output(0);
    Operand o;
    o.tensor = std::move(t);
    return define(node.output(0), std::move(o));
  }
  b.node_name = !node.name().empty() ? node.name() : node.output_size() ? node.output(0) : "";
  if (b.node_name.size() > 256) b.node_name.resize(256);
  const auto own = versions.find(&node);
  OnnxNode n{*this, b, node, own == versions.end() ? opset : (int)own->second, {}};
  std::set<std::string> names;
  for (const onnx::AttributeProto& a : node.attribute()) {
    if (!names.insert(a.name()).second)
      return TERN_FAIL(TERN_ERR_CORRUPT, "%s '%s' has the attribute '%s' twice", full_name(node).c_str(),
                       shown(node.name()).c_str(), shown(a.name()).c_str());
    if (!a.ref_attr_name().empty())
      return TERN_FAIL(TERN_ERR_CORRUPT, "%s '%s': attribute '%s' refers to a function's attribute",
                       full_name(node).c_str(), shown(node.name()).c_str(), shown(a.name()).c_str());
  }
  if (node.output_size() == 0)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s '%s' has no output", full_name(node).c_str(), shown(node.name()).c_str());
  const bool may_lack = node.op_type() == "Loop" || node.op_type() == "Scan" ||
                        node.op_type() == "OptionalHasElement" || node.op_type() == "SequenceEmpty";
  if (!n.has(0) && !may_lack)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s '%s' lacks its first input", full_name(node).c_str(),
                     shown(node.name()).c_str());
  if (node.op_type() == "QuantizeLinear" || node.op_type() == "CastLike")  // would take them for integers of 8 bits
    for (const std::string& name : node.input())
      if (const Operand* o = find(name, nullptr); o && o->tensor && o->tensor->nibbles)
        return n.unsupported("to integers of 4 bits"), give_up();
  const int counted = missing.total;
  tern_status s = find_onnx_op(full_name(node))->lower(n);
  if (s == TERN_OK) s = b.status();
  if (s == TERN_OK) {
    for (const std::string& name : names)
      if (!n.read_attributes.count(name)) return n.unsupported("attribute '" + shown(name) + "'"), give_up();
    for (const std::string& name : node.output())
      if (!name.empty() && !scope->names.count(name)) return n.unsupported("output '" + shown(name) + "'"), give_up();
    return TERN_OK;
  }
  // What an operator's rule does not support is counted like an unknown operator; the graph goes on without it.
  if (s == TERN_ERR_UNSUPPORTED || s == TERN_ERR_UNSUPPORTED_OP) {
    if (b.g->status != TERN_OK || missing.total == counted) n.unsupported(thread_error().message);
    b.g->status = TERN_OK;
    return give_up();
  }
  error_at_op(node.op_type().c_str());
  error_at_node(b.node_name.c_str());
  // Operators see pictures with their channels last: the shapes that stand in the file are not these.
  if (s == TERN_ERR_SHAPE && !std::strstr(thread_error().message, "in the file: ")) {
    std::string shapes;
    for (const std::string& name : node.input()) {
      OnnxScope* where = nullptr;
      const Operand* o = name.empty() ? nullptr : find(name, &where);
      if (o && where == scope && (o->tensor || o->id != kNoValue))
        shapes += (shapes.empty() ? "" : ", ") + to_string(o->tensor ? o->tensor->shape : b.value(o->id).shape);
    }
    add_to_error("; %s in the file: %s", node.op_type().c_str(), shapes.c_str());
  }
  return s;
}

tern_status OnnxImporter::read_graph(const onnx::GraphProto& graph, Builder& b) {
  for (const onnx::TensorProto& t : graph.initializer()) {
    auto data = std::make_shared<TensorData>();
    TERN_TRY(read_onnx_tensor(t, data.get(), &files));
    Operand o;
    o.tensor = std::move(data);
    if (t.name().empty()) return TERN_FAIL(TERN_ERR_CORRUPT, "an initializer has no name");
    TERN_TRY(define(t.name(), std::move(o)));
  }
  if (graph.sparse_initializer_size())
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "sparse initializers ('%s') are not supported",
                     shown(graph.sparse_initializer(0).values().name()).c_str());
  for (const onnx::NodeProto& node : graph.node()) TERN_TRY(lower_node(node, b));
  return TERN_OK;
}

// ---- one node ----

ValueId OnnxNode::in(int i) { return has(i) ? importer.value_of(proto.input(i), b, false) : kNoValue; }
ValueId OnnxNode::constant_in(int i) { return has(i) ? importer.value_of(proto.input(i), b, true) : kNoValue; }

std::vector<ValueId> OnnxNode::ins() {
  std::vector<ValueId> r;
  for (int i = 0; i < num_in(); ++i) r.push_back(in(i));
  return r;
}

const Operand* OnnxNode::operand(int i) { return has(i) ? importer.find(proto.input(i), nullptr) : nullptr; }

const TensorData* OnnxNode::weight(int i, DType* as) {
  OnnxScope* where = nullptr;
  Operand* o = has(i) ? importer.find(proto.input(i), &where) : nullptr;
  if (!o) return nullptr;
  if (!o->tensor && o->id != kNoValue && where->g == importer.scope->g && b.known(o->id)) {
    // A small result that follows from constants.
    const Value& v = b.value(o->id);
    auto t = std::make_shared<TensorData>();
    t->name = proto.input(i);
    t->dtype = v.dtype;
    t->shape = v.shape;
    t->data = v.data;
    o->tensor = std::move(t);
    o->as = TERN_DTYPE_NONE;
  }
  if (!o->tensor) return nullptr;
  if (as) *as = o->as != TERN_DTYPE_NONE ? o->as : o->tensor->dtype;
  else if (o->as != TERN_DTYPE_NONE) return nullptr;
  return o->tensor.get();
}

void OnnxNode::set_operand(int i, Operand o) {
  if (!wants(i)) return;
  if (importer.define(proto.output(i), std::move(o)) != TERN_OK && b.g->status == TERN_OK)
    b.g->status = TERN_ERR_CORRUPT;
}

Operand OnnxNode::passed(int i) {
  Operand o = *operand(i);
  if (o.id != kNoValue) o.tensor = nullptr, o.id = in(i);
  return o;
}

void OnnxNode::pass() {
  if (operand(0)) set_operand(0, passed(0));
}

void OnnxNode::set(int i, ValueId v) {
  if (!wants(i) || b.status() != TERN_OK || v == kNoValue) return;
  Operand o;
  o.id = v;
  Value& value = b.g->value(v);
  if (value.name.empty()) value.name = proto.output(i).substr(0, 256);
  set_operand(i, std::move(o));
}

const onnx::AttributeProto* OnnxNode::attribute(const char* name) {
  for (const onnx::AttributeProto& a : proto.attribute())
    if (a.name() == name) return read_attributes.insert(name), &a;
  return nullptr;
}

// The type tag may be missing in old files: what counts is that the field is there, which is checked at each use.
int64_t OnnxNode::integer(const char* name, int64_t otherwise) {
  const onnx::AttributeProto* a = attribute(name);
  if (!a) return otherwise;
  if (a->has_i()) return a->i();
  b.g->status = TERN_FAIL(TERN_ERR_CORRUPT, "%s: attribute '%s' is no integer", type().c_str(), name);
  return otherwise;
}

double OnnxNode::number(const char* name, double otherwise) {
  const onnx::AttributeProto* a = attribute(name);
  if (!a) return (float)otherwise;  // the format's defaults are f32, as the numbers in files are
  if (a->has_f()) return a->f();
  b.g->status = TERN_FAIL(TERN_ERR_CORRUPT, "%s: attribute '%s' is no number", type().c_str(), name);
  return otherwise;
}

std::string OnnxNode::text(const char* name, const char* otherwise) {
  const onnx::AttributeProto* a = attribute(name);
  if (!a) return otherwise;
  if (a->has_s()) return a->s();
  b.g->status = TERN_FAIL(TERN_ERR_CORRUPT, "%s: attribute '%s' is no text", type().c_str(), name);
  return otherwise;
}

std::vector<int64_t> OnnxNode::integers(const char* name) {
  const onnx::AttributeProto* a = attribute(name);
  return a ? std::vector<int64_t>(a->ints().begin(), a->ints().end()) : std::vector<int64_t>();
}

std::vector<float> OnnxNode::numbers(const char* name) {
  const onnx::AttributeProto* a = attribute(name);
  return a ? std::vector<float>(a->floats().begin(), a->floats().end()) : std::vector<float>();
}

tern_status OnnxNode::integers_in(int i, const char* name, std::vector<int64_t>* out, bool* given) {
  *given = true;
  if (i >= 0 && has(i)) {
    const ValueId v = constant_in(i);
    if (auto known = b.known_integers(v)) {
      *out = *known;
      return TERN_OK;
    }
    return unsupported("input " + std::to_string(i) +
                       (b.known_in_plan(v) ? " follows from sizes that vary" : " depends on data"));
  }
  *given = name && has_attribute(name);
  if (*given) *out = integers(name);
  return TERN_OK;
}

tern_status OnnxNode::axis(int64_t value, int rank, int* out) {
  const tern_status s = normalize_axis(value, rank, out);
  return s;
}

tern_status OnnxNode::unsupported(const std::string& why) {
  for (int i = 0; i < num_in(); ++i)
    importer.sizes_decide = importer.sizes_decide || (has(i) && importer.varies(proto.input(i)));
  importer.missing.add(type() + " (" + why + ")");
  return TERN_ERR_UNSUPPORTED_OP;
}

tern_status OnnxNode::branch(const onnx::GraphProto& graph, const std::vector<ValueId>& like,
                             std::vector<ValueId>* captures, Branch* out, std::span<const uint32_t> open) {
  if (importer.depth >= kMaxSubgraphDepth)
    return TERN_FAIL(TERN_ERR_LIMIT, "%s: sub-graphs more than %d deep", type().c_str(), kMaxSubgraphDepth);
  if ((int)like.size() != graph.input_size())
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: its sub-graph has %d inputs instead of %zu", type().c_str(),
                     graph.input_size(), like.size());
  OnnxScope inner;
  inner.outer = importer.scope;
  inner.g = &out->g;
  inner.captures = captures;
  Graph* const g = b.g;
  const std::string name = b.node_name;
  b.g = inner.g;
  b.g->budget = g->budget;  // one for the graph with all that is within it
  importer.scope = &inner;
  ++importer.depth;
  tern_status s = TERN_OK;
  for (int i = 0; i < graph.input_size() && s == TERN_OK; ++i) {
    Operand o;
    o.id = b.input_like(graph.input(i).name(), g->value(like[(size_t)i]));
    if (!open.empty()) b.open_axes(o.id, open[(size_t)i]);
    s = importer.define(graph.input(i).name(), std::move(o));
  }
  if (s == TERN_OK) s = importer.read_graph(graph, b);
  for (int i = 0; i < graph.output_size() && s == TERN_OK; ++i) {
    const std::string& wanted = graph.output(i).name();
    const Operand* o = importer.find(wanted, nullptr);
    if (!o) {
      s = TERN_FAIL(TERN_ERR_CORRUPT, "%s: nothing produces the output '%s' of its sub-graph", type().c_str(),
                    shown(wanted).c_str());
    } else if (o->absent) {
      s = TERN_ERR_UNSUPPORTED_OP;
    } else {
      const ValueId v = importer.value_of(wanted, b, false);
      // An output is always produced inside, so that no value is both input and output.
      std::vector<int64_t> dims;
      for (int k = 0; k < b.rank(v); ++k) dims.push_back(Builder::same(k));
      const bool produced = v >= 0 && b.value(v).kind == ValueKind::node &&
                            std::find(out->g.outputs.begin(), out->g.outputs.end(), v) == out->g.outputs.end();
      const ValueId own = produced ? v : b.reshape(v, dims);
      out->g.outputs.push_back(own);
      s = b.status();
    }
  }
  out->inner = std::move(inner.inner);
  --importer.depth;
  importer.scope = inner.outer;
  g->budget = b.g->budget;
  b.g = g;
  b.node_name = name;
  if (s == TERN_ERR_UNSUPPORTED || s == TERN_ERR_UNSUPPORTED_OP) return TERN_ERR_UNSUPPORTED_OP;
  return s;
}

tern_status OnnxNode::lower(const onnx::NodeProto& node, int64_t version) {
  const int before = importer.opset;
  const std::string name = b.node_name;
  importer.opset = version ? (int)version : opset;
  const tern_status s = importer.lower_node(node, b);
  importer.opset = before;
  b.node_name = name;
  return s;
}

OnnxNode::Counted OnnxNode::counted() const { return {importer.missing, importer.sizes_decide}; }

void OnnxNode::set_counted(const Counted& before) {
  importer.missing = before.missing;
  importer.sizes_decide = before.sizes_decide;
}

tern_status OnnxNode::in_place(const onnx::GraphProto& graph, ValueId choice) {
  if (graph.input_size())
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: its sub-graph has %d inputs instead of 0", type().c_str(),
                     graph.input_size());
  if (importer.depth >= kMaxSubgraphDepth)
    return TERN_FAIL(TERN_ERR_LIMIT, "%s: sub-graphs more than %d deep", type().c_str(), kMaxSubgraphDepth);
  OnnxScope inner;
  inner.outer = importer.scope;
  inner.g = b.g;
  inner.captures = importer.scope->captures;
  const std::string name = b.node_name;
  importer.scope = &inner;
  ++importer.depth;
  tern_status s = importer.read_graph(graph, b);
  std::vector<Operand> results;
  for (int i = 0; i < graph.output_size() && s == TERN_OK; ++i) {
    const std::string& wanted = graph.output(i).name();
    OnnxScope* where = nullptr;
    const Operand* o = importer.find(wanted, &where);
    if (!o) {
      s = TERN_FAIL(TERN_ERR_CORRUPT, "%s: nothing produces the output '%s' of its sub-graph", type().c_str(),
                    shown(wanted).c_str());
    } else if (o->absent) {
      s = TERN_ERR_UNSUPPORTED_OP;
    } else if (o->id != kNoValue && where->g != b.g) {
      Operand captured;
      captured.id = importer.value_of(wanted, b, false);
      results.push_back(std::move(captured));
      s = b.status();
    } else {
      results.push_back(*o);
    }
  }
  --importer.depth;
  importer.scope = inner.outer;
  b.node_name = name;
  for (size_t i = 0; i < results.size() && s == TERN_OK; ++i) {
    if (choice == kNoValue) {
      set_operand((int)i, std::move(results[i]));
      continue;
    }
    const ValueId v = results[i].id != kNoValue ? results[i].id : importer.materialise(results[i], b, false);
    TERN_TRY(b.status());
    set((int)i,
        b.op("assume", {v, choice, b.constant(b.dtype(choice), b.value(choice).shape, b.value(choice).data.bytes)}));
  }
  return s == TERN_ERR_UNSUPPORTED ? TERN_ERR_UNSUPPORTED_OP : s;
}

void OnnxNode::close_branches(std::vector<Branch*> branches, const std::vector<ValueId>& captures) {
  for (Branch* branch : branches) {
    for (ValueId outer : captures) {
      auto it = branch->inner.find(outer);
      if (it == branch->inner.end()) {
        it = branch->inner.emplace(outer, add_value(branch->g, captured(b.value(outer)))).first;
      }
      branch->g.inputs.push_back(it->second);
    }
  }
}

std::vector<int64_t> channels_last(int rank) {
  std::vector<int64_t> p{0};
  for (int i = 2; i < rank; ++i) p.push_back(i);
  if (rank > 1) p.push_back(1);
  return p;
}
std::vector<int64_t> channels_second(int rank) {
  std::vector<int64_t> p{0};
  if (rank > 1) p.push_back(rank - 1);
  for (int i = 1; i < rank - 1; ++i) p.push_back(i);
  return p;
}

ValueId to_nhwc(Builder& b, ValueId x) {
  if (b.status() != TERN_OK) return kNoValue;
  if (b.rank(x) == 4) return b.transpose(x, {0, 2, 3, 1});
  const ValueId t = b.transpose(x, {0, 2, 1});
  return b.reshape(t, {Builder::same(0), 1, Builder::same(1), Builder::same(2)});
}

ValueId from_nhwc(Builder& b, ValueId y, int rank) {
  if (b.status() != TERN_OK) return kNoValue;
  if (rank == 4) return b.transpose(y, {0, 3, 1, 2});
  const ValueId t = b.reshape(y, {Builder::same(0), Builder::same(2), Builder::same(3)});
  return b.transpose(t, {0, 2, 1});
}

// ---- the model ----

namespace {

tern_status read_inputs(const onnx::GraphProto& graph, const ImportOptions& options, InputSizes* sizes) {
  std::vector<ShapeOverride> overrides;
  TERN_TRY(parse_input_shapes(options.input_shapes, &overrides));
  std::set<std::string_view> weights;
  for (const onnx::TensorProto& t : graph.initializer()) weights.insert(t.name());
  std::map<std::string, int> symbols;
  std::string names;
  for (const onnx::ValueInfoProto& v : graph.input()) {
    if (weights.count(v.name()) || options.bound.count(v.name())) continue;
    InputSpec spec;
    spec.name = v.name();
    if (spec.name.empty() || spec.name.size() > 1024)
      return TERN_FAIL(TERN_ERR_CORRUPT, "an input has a name of %zu bytes", spec.name.size());
    names += (names.empty() ? "'" : ", '") + shown(spec.name) + "'";
    const onnx::TensorShapeProto* shape = nullptr;
    TERN_TRY(read_value_info(v, &spec.dtype, &shape));
    ShapeOverride* given = nullptr;
    for (ShapeOverride& o : overrides)
      if (o.name == spec.name) given = &o;
    if (given) {
      given->used = true;
      if (shape && shape->dim_size() != given->shape.rank)
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "input '%s' has %d dims, the given shape %s has %d",
                         shown(spec.name).c_str(), shape->dim_size(), to_string(given->shape).c_str(),
                         given->shape.rank);
      spec.dims = given->shape;
    } else {
      if (!shape)
        return TERN_FAIL(TERN_ERR_UNSUPPORTED, "input '%s' has no shape; give one with an input shape option",
                         shown(spec.name).c_str());
      if (shape->dim_size() > kMaxRank)
        return TERN_FAIL(TERN_ERR_LIMIT, "input '%s' has %d dims, at most %d are supported", shown(spec.name).c_str(),
                         shape->dim_size(), kMaxRank);
      for (const auto& d : shape->dim()) {
        if (d.has_dim_value() && d.dim_value() > 0) {
          spec.dims.push(d.dim_value());
          continue;
        }
        if (d.has_dim_value() && d.dim_value() < -1)
          return TERN_FAIL(TERN_ERR_CORRUPT, "input '%s' has a dim of %" PRId64, shown(spec.name).c_str(),
                           (int64_t)d.dim_value());
        if (d.has_dim_value() && d.dim_value() == 0) {
          spec.dims.push(0);
          continue;
        }
        std::string name = d.dim_param();
        if (name.empty() || name == "?") name = shown(spec.name) + "." + std::to_string(spec.dims.rank);
        const auto [it, is_new] = symbols.emplace(name, (int)sizes->symbols.size());
        if (is_new) sizes->symbols.push_back(name);
        spec.dims.push(-1 - it->second);
      }
    }
    sizes->inputs.push_back(std::move(spec));
  }
  return check_all_used(overrides, names);
}

// Inputs that have one number become constants.
tern_status bind_values(const onnx::GraphProto& graph, ImportOptions* options) {
  std::vector<InputValue> values;
  TERN_TRY(parse_input_values(options->input_values, &values));
  for (const InputValue& given : values) {
    const onnx::ValueInfoProto* input = nullptr;
    std::string names;
    for (const onnx::ValueInfoProto& v : graph.input()) {
      names += (names.empty() ? "'" : ", '") + shown(v.name()) + "'";
      if (v.name() == given.name) input = &v;
    }
    if (!input)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "a value is given for '%s', but the inputs are %.300s",
                       shown(given.name).c_str(), names.c_str());
    const onnx::TensorShapeProto* shape = nullptr;
    TensorData t;
    t.name = given.name;
    TERN_TRY(read_value_info(*input, &t.dtype, &shape));
    const int dims = shape ? shape->dim_size() : 0;
    if (dims > kMaxRank)
      return TERN_FAIL(TERN_ERR_LIMIT, "input '%s' has %d dims, at most %d are supported", shown(given.name).c_str(),
                       dims, kMaxRank);
    for (int i = 0; i < dims; ++i) {
      if (!shape->dim(i).has_dim_value() || shape->dim(i).dim_value() < 0)
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "a value is given for '%s', whose shape is not fixed",
                         shown(given.name).c_str());
      t.shape.push(shape->dim(i).dim_value());
    }
    TERN_TRY(check_shape(t.shape, given.name.c_str()));
    constexpr int64_t kMost = 1 << 16;
    if (t.elements() > kMost)
      return TERN_FAIL(TERN_ERR_LIMIT, "a value is given for '%s' of shape %s, at most %" PRId64 " elements are filled",
                       shown(given.name).c_str(), to_string(t.shape).c_str(), kMost);
    void* p = nullptr;
    t.data = make_data(t.bytes(), &p);
    for (int64_t i = 0; i < t.elements(); ++i) {
      store_element(t.dtype, p, i, given.number);
      if (!is_float(t.dtype) && t.load(i) != given.number)
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "input '%s' is %s, which cannot hold %g", shown(given.name).c_str(),
                         dtype_name(t.dtype), given.number);
    }
    if (!options->bound.emplace(given.name, std::move(t)).second)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "two values are given for '%s'", shown(given.name).c_str());
  }
  return TERN_OK;
}

// An output must be produced by a node, and each value is an output once.
ValueId own_output(Builder& b, ValueId v) {
  const bool taken = std::find(b.g->outputs.begin(), b.g->outputs.end(), v) != b.g->outputs.end();
  if (b.value(v).kind == ValueKind::node && !taken) return v;
  std::vector<int64_t> dims;
  for (int i = 0; i < b.rank(v); ++i) dims.push_back(Builder::same(i));
  return b.reshape(v, dims);
}

tern_status build_model(const onnx::ModelProto& proto, const ImportOptions& options, int opset,
                        const NodeVersions& versions, OnnxFiles& files, const InputSizes& sizes, bool* sizes_decide,
                        ModelDef* out) {
  files.start();
  OnnxImporter importer{options, opset, versions, files};
  importer.model.signatures.emplace_back();
  Signature& signature = importer.model.signatures[0];
  signature.name = "forward";
  Sizes expressions(sizes.hints);
  Builder b(importer.model, &signature.graph, expressions);
  OnnxScope scope;
  scope.g = b.g;
  importer.scope = &scope;
  const onnx::GraphProto& graph = proto.graph();
  const auto run = [&]() -> tern_status {
    for (size_t i = 0; i < sizes.inputs.size(); ++i) {
      const InputSpec& spec = sizes.inputs[i];
      Operand o;
      o.id = b.input(spec, sizes);
      TERN_TRY(check_shape(b.value(o.id).shape, spec.name.c_str()));
      TERN_TRY(importer.define(spec.name, std::move(o)));
    }
    for (const auto& [name, tensor] : options.bound) {
      Operand o;
      o.tensor = std::make_shared<TensorData>(tensor);
      TERN_TRY(importer.define(name, std::move(o)));
    }
    count_unknown(graph, &importer.missing);
    const tern_status s = importer.read_graph(graph, b);
    if (importer.missing.any()) return importer.missing.report();
    TERN_TRY(s);
    if (graph.output_size() == 0) return TERN_FAIL(TERN_ERR_CORRUPT, "the model has no outputs");
    for (const onnx::ValueInfoProto& v : graph.output()) {
      if (!importer.find(v.name(), nullptr))
        return TERN_FAIL(TERN_ERR_CORRUPT, "nothing produces the output '%s'", shown(v.name()).c_str());
      const ValueId id = own_output(b, importer.value_of(v.name(), b, true));
      TERN_TRY(b.status());
      if (id == kNoValue)
        return TERN_FAIL(TERN_ERR_CORRUPT, "nothing produces the output '%s'", shown(v.name()).c_str());
      signature.graph.outputs.push_back(id);
      if (std::find(signature.output_names.begin(), signature.output_names.end(), v.name()) !=
          signature.output_names.end())
        return TERN_FAIL(TERN_ERR_CORRUPT, "two outputs have the name '%s'", shown(v.name()).c_str());
      signature.output_names.push_back(v.name());
    }
    return TERN_OK;
  };
  const tern_status s = run();
  if (s != TERN_OK) {
    *sizes_decide = importer.sizes_decide;
    return s;
  }
  TERN_TRY(simplify_layout(importer.model, signature.graph, expressions));
  eliminate_dead(signature.graph);
  drop_unused_parameters(importer.model);
  *out = std::move(importer.model);
  return TERN_OK;
}

tern_status read_opset(const onnx::ModelProto& proto, int* opset) {
  bool found = false;
  const auto read = [](const auto& imports, auto&& take) -> tern_status {
    for (const onnx::OperatorSetIdProto& o : imports) {
      if (!own_domain(o.domain())) continue;
      if (o.version() < kOldestOpset)
        return TERN_FAIL(TERN_ERR_CORRUPT, "the model asks for operator set %" PRId64, (int64_t)o.version());
      if (o.version() > kNewestOpset)
        return TERN_FAIL(TERN_ERR_UNSUPPORTED_VERSION,
                         "the model asks for ONNX operator set %" PRId64 ", the newest that is read is %d",
                         (int64_t)o.version(), kNewestOpset);
      take((int)o.version());
    }
    return TERN_OK;
  };
  TERN_TRY(read(proto.opset_import(), [&](int version) { *opset = version, found = true; }));
  for (const onnx::FunctionProto& f : proto.functions()) TERN_TRY(read(f.opset_import(), [](int) {}));
  if (proto.opset_import_size() == 0 && proto.ir_version() >= 3)
    return TERN_FAIL(TERN_ERR_CORRUPT, "the model names no operator set: not an ONNX model, or cut off");
  if (!found) *opset = proto.opset_import_size() ? kNewestOpset : 1;  // 1: as the format says for the oldest files
  return TERN_OK;
}

}  // namespace

tern_status import_onnx(std::span<const uint8_t> file, const ImportOptions& given, ModelDef* out) {
  if (file.size() > (size_t)INT32_MAX)
    return TERN_FAIL(TERN_ERR_LIMIT, "the ONNX file has %zu bytes, the format allows less than 2 GiB", file.size());
  TERN_TRY(scan_onnx(file));
  onnx::ModelProto proto;
  google::protobuf::io::ArrayInputStream stream(file.data(), (int)file.size());
  google::protobuf::io::CodedInputStream coded(&stream);
  coded.SetRecursionLimit(64);
  if (!proto.ParseFromCodedStream(&coded) || !coded.ConsumedEntireMessage())
    return TERN_FAIL(TERN_ERR_CORRUPT, "not an ONNX model, or damaged");
  if (!proto.has_graph()) return TERN_FAIL(TERN_ERR_CORRUPT, "the file has no graph: not an ONNX model");
  int opset = 0;
  TERN_TRY(read_opset(proto, &opset));
  NodeVersions versions;
  TERN_TRY(inline_functions(&proto, &versions));
  TERN_TRY(sort_nodes(proto.mutable_graph()));
  OnnxFiles files(given.folder, given.max_file_bytes > file.size() ? given.max_file_bytes - file.size() : 0);
  ImportOptions options = given;
  TERN_TRY(bind_values(proto.graph(), &options));
  InputSizes sizes;
  TERN_TRY(read_inputs(proto.graph(), options, &sizes));
  ModelDef model;
  TERN_TRY(build_for_sizes(
      &sizes,
      [&](const InputSizes& s, bool* decide, ModelDef* m) {
        return build_model(proto, options, opset, versions, files, s, decide, m);
      },
      &model));
  model.metadata.emplace_back("source.format", "onnx");
  if (!proto.producer_name().empty())
    model.metadata.emplace_back("source.producer", proto.producer_name().substr(0, 256));
  for (const onnx::StringStringEntryProto& e : proto.metadata_props())
    if (!e.key().empty() && !find_metadata(model, "onnx." + e.key()))
      model.metadata.emplace_back("onnx." + e.key(), e.value());
  TERN_TRY(apply_recipe(options, &model));
  *out = std::move(model);
  return TERN_OK;
}

}  // namespace tern
