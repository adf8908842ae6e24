// SPDX-License-Identifier: Apache-2.0
// TFLite files: checks, tensors, sub-graphs, and the model as a whole. Operators are lowered in tflite_*.cpp.
#include "import/tflite.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <unordered_map>

#include "base/checked.h"
#include "import/recipes.h"
#include "passes/eliminate.h"

namespace tern {
namespace {

constexpr uint64_t kMaxLowered = 1'000'000;  // operators and tensors over all calls of sub-graphs
constexpr size_t kMaxCalls = 16;             // depth of sub-graphs that call others
// Decoded weights may be this many times larger than the file, plus a little.
constexpr uint64_t kMaxGrowth = 64, kMinGrowth = 64 << 20;

size_t count(const auto* vector) { return vector ? vector->size() : 0; }

const TfliteOp* find_tflite_op(const tfl::OperatorCode& code) {
  static const std::unordered_map<int, const TfliteOp*>* const builtin = [] {
    auto* t = new std::unordered_map<int, const TfliteOp*>;
    for (auto family : {tflite_math_ops(), tflite_nn_ops(), tflite_volume_ops(), tflite_shape_ops(),
                        tflite_control_ops(), tflite_variable_ops(), tflite_recurrent_ops(), tflite_detection_ops()})
      for (const TfliteOp& op : family)
        if (op.code >= 0) (*t)[op.code] = &op;
    return t;
  }();
  const int number = tflite_operator_code(code);
  constexpr int kCustom = 32;
  if (number != kCustom) {
    const auto it = builtin->find(number);
    return it == builtin->end() ? nullptr : it->second;
  }
  for (auto family : {tflite_math_ops(), tflite_nn_ops(), tflite_volume_ops(), tflite_shape_ops(), tflite_control_ops(),
                      tflite_variable_ops(), tflite_recurrent_ops(), tflite_detection_ops()})
    for (const TfliteOp& op : family)
      if (op.code < 0 && code.custom_code() && code.custom_code()->string_view() == op.name) return &op;
  return nullptr;
}

std::string shown_operator(const tfl::OperatorCode& code) {
  const int number = tflite_operator_code(code);
  const char* name = tflite_operator_name(number);
  if (number == 32) return "custom:" + clean_name(code.custom_code(), "?", 0);
  return name ? name : "operator " + std::to_string(number);
}

// A table must hold the code that the operator names, and the sub-graph's tensors what it reads and writes.
tern_status check_indices(const flatbuffers::Vector<int32_t>* list, size_t num_tensors, const char* what,
                          bool optional) {
  for (size_t i = 0; i < count(list); ++i) {
    const int32_t v = (*list)[(unsigned)i];
    if ((v < 0 && !(optional && v == -1)) || (v >= 0 && (size_t)v >= num_tensors))
      return TERN_FAIL(TERN_ERR_CORRUPT, "%s %zu is tensor %d, the sub-graph has %zu", what, i, v, num_tensors);
  }
  return TERN_OK;
}

// Copied as bytes: nothing proves that the list is aligned for 64-bit numbers.
int64_t zero_point(const tfl::QuantizationParameters& q, size_t i) {
  int64_t z;
  std::memcpy(&z, q.zero_point()->Data() + i * sizeof z, sizeof z);
  return z;
}

tern_status check_quantization(const tfl::Tensor& t, const Shape& shape, DType dtype, const std::string& name,
                               bool* quantized) {
  *quantized = false;
  const tfl::QuantizationParameters* q = t.quantization();
  if (!q || !is_integer(dtype) || count(q->scale()) == 0) return TERN_OK;
  if (q->details_type())
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "tensor '%s': custom or blockwise quantisation", name.c_str());
  const size_t n = q->scale()->size(), zeros = count(q->zero_point());
  if (n > 1) {
    const int axis = q->quantized_dimension();
    if (axis < 0 || axis >= shape.rank || (uint64_t)shape[axis] != n)
      return TERN_FAIL(TERN_ERR_CORRUPT, "tensor '%s' of shape %s has %zu scales for axis %d", name.c_str(),
                       to_string(shape).c_str(), n, axis);
  }
  if (zeros != 0 && zeros != 1 && zeros != n)
    return TERN_FAIL(TERN_ERR_CORRUPT, "tensor '%s' has %zu scales and %zu zero points", name.c_str(), n, zeros);
  for (float s : *q->scale())
    if (!(s >= 0) || !std::isfinite(s))
      return TERN_FAIL(TERN_ERR_CORRUPT, "tensor '%s' has a scale of %g", name.c_str(), (double)s);
  for (size_t i = 0; i < zeros; ++i) {
    const int64_t z = zero_point(*q, i);
    unsigned char bytes[8] = {};
    store_integer(dtype, bytes, 0, z);
    if (load_integer(dtype, bytes, 0) != z)
      return TERN_FAIL(TERN_ERR_CORRUPT, "tensor '%s' has a zero point of %" PRId64, name.c_str(), z);
  }
  *quantized = true;
  return TERN_OK;
}

tern_status read_shape(const flatbuffers::Vector<int32_t>* dims, const std::string& name, bool may_vary, Shape* out) {
  Shape s;
  if (count(dims) > (size_t)kMaxRank)
    return TERN_FAIL(TERN_ERR_LIMIT, "tensor '%s' has %zu dims, at most %d are supported", name.c_str(), count(dims),
                     kMaxRank);
  for (size_t i = 0; i < count(dims); ++i) {
    const int32_t d = (*dims)[(unsigned)i];
    if (d < (may_vary ? -1 : 0)) return TERN_FAIL(TERN_ERR_CORRUPT, "tensor '%s' has a dim of %d", name.c_str(), d);
    s.push(d);
  }
  *out = s;
  return TERN_OK;
}

bool same_quantization(const TfliteTensor& a, const TfliteTensor& b) {
  if (a.dtype != b.dtype || a.quantized != b.quantized) return false;
  if (!a.quantized) return true;
  const auto &p = *a.file->quantization(), &q = *b.file->quantization();
  if (count(p.scale()) != 1 || count(q.scale()) != 1 || (*p.scale())[0] != (*q.scale())[0]) return false;
  const int64_t zp = count(p.zero_point()) ? zero_point(p, 0) : 0, zq = count(q.zero_point()) ? zero_point(q, 0) : 0;
  return zp == zq;
}

// Scales as a constant; zero points likewise, in the tensor's type.
ValueId scale_constant(const TfliteTensor& t, Builder& b) {
  const auto& scale = *t.file->quantization()->scale();
  std::vector<float> values(scale.begin(), scale.end());
  return b.constant(TERN_DTYPE_F32, values.size() == 1 ? Shape{} : Shape{(int64_t)values.size()}, values.data());
}

ValueId zero_constant(const TfliteTensor& t, Builder& b, DType dtype) {
  const auto& q = *t.file->quantization();
  const size_t n = q.scale()->size(), zeros = count(q.zero_point());
  std::vector<unsigned char> bytes(n * 8);
  for (size_t i = 0; i < n; ++i)
    store_integer(dtype, bytes.data(), (int64_t)i, zeros == 0 ? 0 : zero_point(q, zeros == 1 ? 0 : i));
  return b.constant(dtype, n == 1 ? Shape{} : Shape{(int64_t)n}, bytes.data());
}

}  // namespace

DType tflite_dtype(int8_t type) {
  switch ((TfliteType)type) {
    case TfliteType::f32: return TERN_DTYPE_F32;
    case TfliteType::f16: return TERN_DTYPE_F16;
    case TfliteType::bf16: return TERN_DTYPE_BF16;
    case TfliteType::f64: return TERN_DTYPE_F64;
    case TfliteType::i4:
    case TfliteType::i8: return TERN_DTYPE_I8;
    case TfliteType::u8: return TERN_DTYPE_U8;
    case TfliteType::i16: return TERN_DTYPE_I16;
    case TfliteType::u16: return TERN_DTYPE_U16;
    case TfliteType::i32: return TERN_DTYPE_I32;
    case TfliteType::u32: return TERN_DTYPE_U32;
    case TfliteType::i64: return TERN_DTYPE_I64;
    case TfliteType::u64: return TERN_DTYPE_U64;
    case TfliteType::boolean: return TERN_DTYPE_BOOL;
    default: return TERN_DTYPE_NONE;
  }
}

int tflite_operator_code(const tfl::OperatorCode& code) {
  return std::max<int>(code.deprecated_builtin_code(), code.builtin_code());
}

std::string clean_name(const flatbuffers::String* name, const char* otherwise, size_t index) {
  constexpr size_t kLongest = 200;
  std::string s = name ? name->str().substr(0, kLongest) : std::string();
  if (s.empty()) return otherwise + std::to_string(index);
  for (size_t i = 0; i < s.size();) {
    const unsigned char c = (unsigned char)s[i];
    const size_t length = c < 0x80                ? 1
                          : c >= 0xc2 && c < 0xe0 ? 2
                          : c >= 0xe0 && c < 0xf0 ? 3
                          : c >= 0xf0 && c < 0xf5 ? 4
                                                  : 0;
    bool good = length > 0 && i + length <= s.size() && (c >= 0x20 && c != 0x7f);
    for (size_t k = 1; good && k < length; ++k) good = ((unsigned char)s[i + k] & 0xc0) == 0x80;
    if (good && length == 3 &&
        ((c == 0xe0 && (unsigned char)s[i + 1] < 0xa0) || (c == 0xed && (unsigned char)s[i + 1] >= 0xa0)))
      good = false;
    if (good && length == 4 &&
        ((c == 0xf0 && (unsigned char)s[i + 1] < 0x90) || (c == 0xf4 && (unsigned char)s[i + 1] >= 0x90)))
      good = false;
    if (!good) s[i] = '_';
    i += good ? length : 1;
  }
  return s;
}

// ---- tensors ----

tern_status TfliteImporter::account(uint64_t bytes) {
  uint64_t limit = 0;
  if (!checked_mul_add<uint64_t>(file.size(), kMaxGrowth, kMinGrowth, &limit)) limit = UINT64_MAX;
  if (!checked_add(content_bytes, bytes, &content_bytes) || content_bytes > limit)
    return TERN_FAIL(TERN_ERR_LIMIT, "the weights take more than %" PRIu64 " bytes, the file has %zu", limit,
                     file.size());
  return TERN_OK;
}

tern_status TfliteImporter::open_scope(uint32_t index, TfliteScope* out) {
  const tfl::SubGraph& graph = *(*proto.subgraphs())[index];
  out->graph = &graph;
  const size_t n = count(graph.tensors());
  if (n > kMaxLowered || (lowered += n) > kMaxLowered)
    return TERN_FAIL(TERN_ERR_LIMIT, "more than %" PRIu64 " tensors and operators", kMaxLowered);
  TERN_TRY(check_indices(graph.inputs(), n, "input", false));
  TERN_TRY(check_indices(graph.outputs(), n, "output", false));
  out->tensors.resize(n);
  for (size_t i = 0; i < n; ++i) {
    TfliteTensor& t = out->tensors[i];
    t.file = (*graph.tensors())[(unsigned)i];
    t.dtype = tflite_dtype(t.file->type());
    const std::string name = clean_name(t.file->name(), "tensor ", i);
    Shape shape;
    TERN_TRY(read_shape(t.file->shape(), name, false, &shape));
    TERN_TRY(check_shape(shape, name.c_str()));
    if (t.file->buffer() >= count(proto.buffers()) && t.file->buffer() != 0)
      return TERN_FAIL(TERN_ERR_CORRUPT, "tensor '%s' has buffer %u, the file has %zu", name.c_str(), t.file->buffer(),
                       count(proto.buffers()));
    TERN_TRY(check_quantization(*t.file, shape, t.dtype, name, &t.quantized));
  }
  return TERN_OK;
}

tern_status TfliteImporter::read_content(const tfl::Tensor& t, std::shared_ptr<const TensorData>* out) {
  if (t.external_buffer())
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "tensor '%s' lies in another file", clean_name(t.name(), "?", 0).c_str());
  if (t.buffer() == 0 || t.buffer() >= count(proto.buffers())) return TERN_OK;
  const tfl::Buffer& buffer = *(*proto.buffers())[t.buffer()];
  std::span<const uint8_t> bytes;
  if (count(buffer.data())) {
    bytes = {buffer.data()->data(), buffer.data()->size()};
  } else if (buffer.offset() > 1) {
    if (!range_within(buffer.offset(), buffer.size(), file.size()))
      return TERN_FAIL(TERN_ERR_CORRUPT, "buffer %u: %" PRIu64 " bytes at %" PRIu64 ", the file has %zu", t.buffer(),
                       buffer.size(), buffer.offset(), file.size());
    bytes = file.subspan((size_t)buffer.offset(), (size_t)buffer.size());
  }
  if (bytes.empty() && !t.sparsity()) return TERN_OK;
  auto data = std::make_shared<TensorData>();
  data->name = clean_name(t.name(), "weight", t.buffer());
  data->dtype = tflite_dtype(t.type());
  if (data->dtype == TERN_DTYPE_NONE)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "tensor '%s' has element type %d, which is not supported",
                     data->name.c_str(), t.type());
  TERN_TRY(read_shape(t.shape(), data->name, false, &data->shape));
  const uint64_t elements = (uint64_t)data->shape.elements();
  const bool packed = t.type() == (int8_t)TfliteType::i4;
  TERN_TRY(account(data->bytes()));
  void* p = nullptr;
  if (t.sparsity()) {
    if (packed) return TERN_FAIL(TERN_ERR_UNSUPPORTED, "tensor '%s': sparse i4", data->name.c_str());
    data->data = make_data(data->bytes(), &p);
    if (const tern_status s = decode_sparse(*t.sparsity(), data->shape, bytes, dtype_size(data->dtype), (uint8_t*)p)) {
      error_at_node(data->name.c_str());
      return s;
    }
  } else {
    const uint64_t expected = packed ? elements / 2 + elements % 2 : data->bytes();
    if (bytes.size() != expected)
      return TERN_FAIL(TERN_ERR_CORRUPT, "tensor '%s' of shape %s has %zu bytes instead of %" PRIu64,
                       data->name.c_str(), to_string(data->shape).c_str(), bytes.size(), expected);
    data->data = make_data(data->bytes(), &p);
    if (packed) {
      for (uint64_t i = 0; i < elements; ++i)
        ((int8_t*)p)[i] = (int8_t)((int8_t)(bytes[(size_t)(i / 2)] << (i % 2 ? 0 : 4)) >> 4);
    } else {
      std::memcpy(p, bytes.data(), bytes.size());
    }
  }
  if (data->dtype == TERN_DTYPE_BOOL)
    for (uint64_t i = 0; i < elements; ++i) ((uint8_t*)p)[i] = ((uint8_t*)p)[i] != 0;
  *out = std::move(data);
  return TERN_OK;
}

// Floats of more than one element are weights; the rest is part of the computation.
ValueId TfliteImporter::value_of(TfliteTensor& t, Builder& b) {
  if (t.variable >= 0 && b.status() == TERN_OK)
    b.g->status = TERN_FAIL(TERN_ERR_UNSUPPORTED, "the handle of variable '%s' is passed on as a value",
                            variables[(size_t)t.variable].name.c_str());
  if (t.id != kNoValue || !t.content || b.status() != TERN_OK) return t.id;
  TensorData data = *t.content;
  if (data.dtype != t.dtype) {
    const TensorData from = data;
    void* p = nullptr;
    data.dtype = t.dtype;
    if ((b.g->status = account(data.bytes())) != TERN_OK) return kNoValue;
    data.data = make_data(data.bytes(), &p);
    for (int64_t i = 0, n = data.elements(); i < n; ++i) store_element(data.dtype, p, i, from.load(i));
  }
  return t.id = is_float(data.dtype) && data.elements() > 1 ? b.parameter(data) : b.constant(data);
}

ValueId TfliteImporter::real_of(TfliteTensor& t, Builder& b) {
  if (t.real != kNoValue) return t.real;
  const ValueId codes = value_of(t, b);
  if (b.status() != TERN_OK || codes == kNoValue) return kNoValue;
  const int axis = t.file->quantization()->scale()->size() > 1 ? t.file->quantization()->quantized_dimension() : 0;
  return t.real =
             b.op("dequantize_linear", {codes, scale_constant(t, b), zero_constant(t, b, t.dtype)}, {{"axis", axis}});
}

// ---- one operator ----

const char* TfliteNode::type() const { return kind.name; }

ValueId TfliteNode::in(int i) {
  if (!has(i) || b.status() != TERN_OK) return kNoValue;
  TfliteTensor& t = tensor(i);
  return t.quantized && !raw ? importer.real_of(t, b) : importer.value_of(t, b);
}

std::vector<ValueId> TfliteNode::ins() {
  std::vector<ValueId> r;
  for (int i = 0; i < num_in(); ++i) r.push_back(in(i));
  return r;
}

ValueId TfliteNode::integers_value(int i) {
  if (!has(i)) return kNoValue;
  const ValueId v = importer.value_of(tensor(i), b);
  if (b.status() != TERN_OK) return kNoValue;
  if (!is_integer(b.dtype(v))) {
    b.g->status =
        TERN_FAIL(TERN_ERR_CORRUPT, "%s: input %d is %s, integers are needed", type(), i, dtype_name(b.dtype(v)));
    return kNoValue;
  }
  return b.cast(v, TERN_DTYPE_I64);
}

const TensorData* TfliteNode::weight(int i) {
  if (!has(i)) return nullptr;
  const TensorData* t = tensor(i).content.get();
  return t && is_float(t->dtype) ? t : nullptr;
}

ValueId TfliteNode::parameter(const TensorData& t, bool panel, std::span<const int64_t> permutation) {
  if (b.status() != TERN_OK) return kNoValue;
  panel = panel && t.elements() > 0 && (t.dtype == TERN_DTYPE_F32 || t.dtype == TERN_DTYPE_F16);
  int form = panel;
  for (int64_t axis : permutation) form = form * 8 + 2 + (int)axis;
  const auto [it, is_new] = importer.scope->weights.try_emplace({&t, form}, kNoValue);
  if (!is_new) return it->second;
  TensorData data = permutation.empty() ? t : permute(t, permutation);
  data.name = t.name;
  return it->second = panel ? b.panel_parameter(data) : b.parameter(data);
}

tern_status TfliteNode::integers_in(int i, std::vector<int64_t>* out) {
  if (!has(i)) return TERN_FAIL(TERN_ERR_CORRUPT, "%s: input %d is missing", type(), i);
  const TfliteTensor& t = tensor(i);
  if (!is_integer(t.dtype))
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: input %d is %s, integers are needed", type(), i, dtype_name(t.dtype));
  if (t.content && t.id == kNoValue) {
    out->clear();
    for (int64_t k = 0, n = t.content->elements(); k < n; ++k) out->push_back(t.content->load_int(k));
    return TERN_OK;
  }
  const auto known = b.known_integers(t.id);
  if (!known) return unsupported("input " + std::to_string(i) + " depends on data");
  *out = *known;
  return TERN_OK;
}

tern_status TfliteNode::integer_in(int i, int64_t* out) {
  std::vector<int64_t> list;
  TERN_TRY(integers_in(i, &list));
  if (list.size() != 1)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: input %d has %zu elements instead of one", type(), i, list.size());
  *out = list[0];
  return TERN_OK;
}

tern_status TfliteNode::number_in(int i, double* out) {
  const ValueId v = in(i);
  TERN_TRY(b.status());
  const auto known = b.known_number(v);
  if (!known) return unsupported("input " + std::to_string(i) + " depends on data");
  *out = *known;
  return TERN_OK;
}

void TfliteNode::set(int i, ValueId v) {
  if (i >= num_out() || b.status() != TERN_OK || v == kNoValue) return;
  TfliteTensor& t = out_tensor(i);
  const auto fail_with = [&](tern_status s) { b.g->status = s; };
  if (t.dtype == TERN_DTYPE_NONE)
    return fail_with(TERN_FAIL(TERN_ERR_UNSUPPORTED, "%s: output %d has element type %d, which is not supported",
                               type(), i, t.file->type()));
  if (t.quantized && is_float(b.dtype(v))) {
    for (float s : *t.file->quantization()->scale())
      if (s == 0) return fail_with(TERN_FAIL(TERN_ERR_CORRUPT, "%s: output %d has a scale of 0", type(), i));
    const size_t n = t.file->quantization()->scale()->size();
    const int axis = n > 1 ? t.file->quantization()->quantized_dimension() : 0;
    const ValueId f = b.cast(v, TERN_DTYPE_F32), scale = scale_constant(t, b);
    if (t.dtype == TERN_DTYPE_I8 || t.dtype == TERN_DTYPE_U8) {
      v = b.op("quantize_linear", {f, scale, zero_constant(t, b, t.dtype)},
               {{"axis", axis}, {"dtype", (int64_t)t.dtype}});
    } else {
      if (n > 1) {
        b.g->status = unsupported("16-bit result with scales per channel");
        return;
      }
      const ValueId code =
          b.add(b.op("round", {b.div(f, scale)}), b.cast(zero_constant(t, b, TERN_DTYPE_I64), TERN_DTYPE_F32));
      v = b.cast(code, t.dtype);  // saturates
    }
  } else if (b.status() == TERN_OK) {
    v = b.cast(v, t.dtype);
  }
  if (b.status() != TERN_OK) return;
  t.id = v;
  Value& value = b.g->value(v);
  if (value.name.empty()) value.name = clean_name(t.file->name(), "tensor ", (size_t)(*op.outputs())[(unsigned)i]);
}

void TfliteNode::moves(std::initializer_list<int> data) {
  const TfliteTensor& y = out_tensor(0);
  raw = true;
  for (int i = 1; i < num_out(); ++i) raw = raw && same_quantization(out_tensor(i), y);
  for (int i : data) raw = raw && has(i) && same_quantization(tensor(i), y);
  if (data.size() == 0)
    for (int i = 0; i < num_in(); ++i) raw = raw && same_quantization(tensor(i), y);
}

tern_status TfliteNode::activate(int code, ValueId* v) {
  if (b.status() != TERN_OK) return b.status();
  switch (code) {
    case 0: return TERN_OK;
    case 1: *v = b.op("relu", {*v}); return TERN_OK;
    case 2: *v = b.op("clip", {*v}, {{"min", -1.0}, {"max", 1.0}}); return TERN_OK;
    case 3: *v = b.op("clip", {*v}, {{"min", 0.0}, {"max", 6.0}}); return TERN_OK;
    case 4: *v = b.op("tanh", {*v}); return TERN_OK;
    case 5: return unsupported("activation SIGN_BIT");
    default: return TERN_FAIL(TERN_ERR_CORRUPT, "%s has activation %d", type(), code);
  }
}

tern_status TfliteNode::unsupported(const std::string& why) {
  for (int i = 0; i < num_in(); ++i)
    if (has(i) && tensor(i).id != kNoValue && b.value(tensor(i).id).sizes) importer.sizes_decide = true;
  importer.missing.add(std::string(type()) + " (" + why + ")");
  return TERN_ERR_UNSUPPORTED_OP;
}

// ---- sub-graphs ----

namespace {

tern_status check_arity(const TfliteOp& kind, const tfl::Operator& op) {
  const int in = (int)count(op.inputs()), out = (int)count(op.outputs());
  if (in < kind.min_in || (kind.max_in >= 0 && in > kind.max_in))
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s has %d inputs, takes %d to %d", kind.name, in, kind.min_in, kind.max_in);
  if (kind.num_out >= 0 ? out != kind.num_out : out < 1)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s has %d outputs", kind.name, out);
  for (int i = 0; i < in; ++i)
    if ((*op.inputs())[(unsigned)i] < 0 && (i >= 32 || !(kind.optional >> i & 1)))
      return TERN_FAIL(TERN_ERR_CORRUPT, "%s: input %d must not be absent", kind.name, i);
  return TERN_OK;
}

}  // namespace

tern_status TfliteImporter::lower_operators(Builder& b) {
  const tfl::SubGraph& graph = *scope->graph;
  const size_t num_tensors = scope->tensors.size();
  if (count(graph.operators()) > kMaxLowered || (lowered += count(graph.operators())) > kMaxLowered)
    return TERN_FAIL(TERN_ERR_LIMIT, "more than %" PRIu64 " tensors and operators", kMaxLowered);
  for (size_t k = 0; k < count(graph.operators()); ++k) {
    const tfl::Operator& op = *(*graph.operators())[(unsigned)k];
    if (op.opcode_index() >= count(proto.operator_codes()))
      return TERN_FAIL(TERN_ERR_CORRUPT, "operator %zu has code %u, the file has %zu", k, op.opcode_index(),
                       count(proto.operator_codes()));
    const tfl::OperatorCode& code = *(*proto.operator_codes())[op.opcode_index()];
    const std::string shown = shown_operator(code);
    TERN_TRY(check_indices(op.inputs(), num_tensors, (shown + ": input").c_str(), true));
    TERN_TRY(check_indices(op.outputs(), num_tensors, (shown + ": output").c_str(), false));
    bool absent = false;
    for (size_t i = 0; i < count(op.inputs()); ++i) {
      const int32_t index = (*op.inputs())[(unsigned)i];
      if (index < 0) continue;
      TfliteTensor& t = scope->tensors[(size_t)index];
      if (!t.defined()) {
        TERN_TRY(read_content(*t.file, &t.content));
        // A tensor without elements needs no content.
        if (!t.content && t.file->shape() && t.dtype != TERN_DTYPE_NONE) {
          auto empty = std::make_shared<TensorData>();
          TERN_TRY(read_shape(t.file->shape(), shown, false, &empty->shape));
          empty->dtype = t.dtype;
          void* p = nullptr;
          if (empty->elements() == 0) empty->data = make_data(0, &p), t.content = std::move(empty);
        }
      }
      if (!t.defined() && t.file->is_variable()) {
        if (b.g == main && !initializing && t.dtype == TERN_DTYPE_F32 && !t.quantized && t.file->shape()) {
          Shape shape;
          TERN_TRY(read_shape(t.file->shape(), shown, false, &shape));
          open_variable(t, clean_name(t.file->name(), "variable ", (size_t)index), shape, b);
        } else {
          missing.add(shown + " (a variable tensor)");
          t.absent = true;
        }
      }
      if (!t.defined())
        return TERN_FAIL(TERN_ERR_CORRUPT, "%s reads tensor '%s', which nothing before it produces", shown.c_str(),
                         clean_name(t.file->name(), "tensor ", (size_t)index).c_str());
      absent = absent || t.absent;
    }
    for (size_t i = 0; i < count(op.outputs()); ++i) {
      TfliteTensor& t = scope->tensors[(size_t)(*op.outputs())[(unsigned)i]];
      if (t.defined() || t.produced)
        return TERN_FAIL(TERN_ERR_CORRUPT, "%s writes tensor '%s', which has its content already", shown.c_str(),
                         clean_name(t.file->name(), "tensor ", i).c_str());
      if (t.file->buffer() != 0 && t.file->buffer() < count(proto.buffers()) &&
          count((*proto.buffers())[t.file->buffer()]->data()))
        return TERN_FAIL(TERN_ERR_CORRUPT, "%s writes tensor '%s', which is a constant", shown.c_str(),
                         clean_name(t.file->name(), "tensor ", i).c_str());
      t.produced = true;
    }
    const auto give_up = [&] {
      for (size_t i = 0; i < count(op.outputs()); ++i)
        scope->tensors[(size_t)(*op.outputs())[(unsigned)i]].absent = true;
    };
    const TfliteOp* kind = find_tflite_op(code);
    if (!kind) missing.add(shown);
    if (!kind || absent) {
      give_up();
      continue;
    }
    TERN_TRY(check_arity(*kind, op));
    b.node_name = count(op.outputs())
                      ? clean_name((*graph.tensors())[(unsigned)(*op.outputs())[0]]->name(), "operator ", k)
                      : shown;
    TfliteNode n{*this, b, op, *kind};
    tern_status s = kind->lower(n);
    if (s == TERN_OK) s = b.status();
    if (s == TERN_ERR_UNSUPPORTED_OP && missing.any()) {
      if (b.status() != TERN_OK) return s;
      give_up();
      continue;
    }
    if (s != TERN_OK) {
      error_at_op(shown.c_str());
      error_at_node(b.node_name.c_str());
      return s;
    }
    for (size_t i = 0; i < count(op.outputs()); ++i)
      if (!scope->tensors[(size_t)(*op.outputs())[(unsigned)i]].defined())
        return TERN_FAIL(TERN_ERR_CORRUPT, "%s has an output %zu that it does not produce", shown.c_str(), i);
  }
  return TERN_OK;
}

tern_status TfliteImporter::inline_graph(uint32_t index, const std::vector<ValueId>& in, Builder& b,
                                         std::vector<ValueId>* out) {
  if (index >= count(proto.subgraphs()))
    return TERN_FAIL(TERN_ERR_CORRUPT, "sub-graph %u is called, the file has %zu", index, count(proto.subgraphs()));
  if (std::find(calls.begin(), calls.end(), index) != calls.end())
    return TERN_FAIL(TERN_ERR_CORRUPT, "sub-graph %u calls itself", index);
  if (calls.size() >= kMaxCalls) return TERN_FAIL(TERN_ERR_LIMIT, "sub-graphs more than %zu deep", kMaxCalls);
  TfliteScope inner;
  TfliteScope* const outer = scope;
  TERN_TRY(open_scope(index, &inner));
  const tfl::SubGraph& graph = *inner.graph;
  if (count(graph.inputs()) != in.size())
    return TERN_FAIL(TERN_ERR_CORRUPT, "sub-graph %u has %zu inputs and is called with %zu", index,
                     count(graph.inputs()), in.size());
  const std::string name = b.node_name;
  for (size_t i = 0; i < in.size(); ++i) {
    TfliteTensor& t = inner.tensors[(size_t)(*graph.inputs())[(unsigned)i]];
    if (t.defined()) return TERN_FAIL(TERN_ERR_CORRUPT, "sub-graph %u has the same tensor as two inputs", index);
    if (t.dtype != b.dtype(in[i]))
      return TERN_FAIL(TERN_ERR_CORRUPT, "sub-graph %u: input %zu is %s, the caller gives %s", index, i,
                       dtype_name(t.dtype), dtype_name(b.dtype(in[i])));
    t.id = in[i];
  }
  calls.push_back(index);
  scope = &inner;
  tern_status s = lower_operators(b);
  out->clear();
  for (size_t i = 0; i < count(graph.outputs()) && s == TERN_OK; ++i) {
    TfliteTensor& t = inner.tensors[(size_t)(*graph.outputs())[(unsigned)i]];
    if (!t.defined()) s = read_content(*t.file, &t.content);
    if (s != TERN_OK) break;
    if (t.absent) s = TERN_ERR_UNSUPPORTED_OP;
    else if (!t.defined())
      s = TERN_FAIL(TERN_ERR_CORRUPT, "nothing produces the output '%s'",
                    clean_name(t.file->name(), "output ", i).c_str());
    else out->push_back(value_of(t, b)), s = b.status();
  }
  scope = outer;
  calls.pop_back();
  b.node_name = name;
  return s;
}

// ---- the model ----

namespace {

// Names of the main graph's inputs or outputs: the signature's, or else the tensors'; each once.
std::vector<std::string> read_names(const tfl::Model& proto, bool outputs) {
  const tfl::SubGraph& graph = *(*proto.subgraphs())[0];
  const auto* list = outputs ? graph.outputs() : graph.inputs();
  const flatbuffers::Vector<flatbuffers::Offset<tfl::TensorMap>>* map = nullptr;
  for (size_t i = 0; i < count(proto.signature_defs()) && !map; ++i) {
    const tfl::SignatureDef& s = *(*proto.signature_defs())[(unsigned)i];
    if (s.subgraph_index() == 0) map = outputs ? s.outputs() : s.inputs();
  }
  std::vector<std::string> names;
  std::map<std::string, int> seen;
  for (size_t i = 0; i < count(list); ++i) {
    const int32_t index = (*list)[(unsigned)i];
    std::string name = clean_name((*graph.tensors())[(unsigned)index]->name(), outputs ? "output" : "input", i);
    for (size_t k = 0; k < count(map); ++k) {
      const tfl::TensorMap& m = *(*map)[(unsigned)k];
      if (m.tensor_index() == (uint32_t)index && count(m.name())) name = clean_name(m.name(), "", 0);
    }
    while (seen[name]++) name += "." + std::to_string(i);
    names.push_back(std::move(name));
  }
  return names;
}

tern_status read_inputs(const tfl::Model& proto, const ImportOptions& options, InputSizes* sizes) {
  if (!options.input_values.empty())
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "input values are for ONNX files, this is a TFLite file");
  std::vector<ShapeOverride> overrides;
  TERN_TRY(parse_input_shapes(options.input_shapes, &overrides));
  const tfl::SubGraph& graph = *(*proto.subgraphs())[0];
  const std::vector<std::string> names = read_names(proto, false);
  std::string all;
  for (size_t i = 0; i < names.size(); ++i) {
    const tfl::Tensor& t = *(*graph.tensors())[(unsigned)(*graph.inputs())[(unsigned)i]];
    InputSpec spec;
    spec.name = names[i];
    spec.dtype = tflite_dtype(t.type());
    all += (i ? ", '" : "'") + spec.name + "'";
    if (spec.dtype == TERN_DTYPE_NONE || t.type() == (int8_t)TfliteType::i4)
      return TERN_FAIL(TERN_ERR_UNSUPPORTED, "input '%s' has element type %d, which is not supported",
                       spec.name.c_str(), t.type());
    const bool has_signature = count(t.shape_signature()) == count(t.shape()) && count(t.shape());
    TERN_TRY(read_shape(has_signature ? t.shape_signature() : t.shape(), spec.name, true, &spec.dims));
    for (ShapeOverride& o : overrides) {
      if (o.name != spec.name) continue;
      o.used = true;
      if (o.shape.rank != spec.dims.rank)
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "input '%s' has %d dims, the given shape %s has %d",
                         spec.name.c_str(), spec.dims.rank, to_string(o.shape).c_str(), o.shape.rank);
      spec.dims = o.shape;
    }
    for (int axis = 0; axis < spec.dims.rank; ++axis) {
      if (spec.dims[axis] >= 0) continue;
      const std::string symbol = axis == 0 ? "batch" : spec.name + "." + std::to_string(axis);
      const auto found = std::find(sizes->symbols.begin(), sizes->symbols.end(), symbol);
      spec.dims[axis] = -1 - (int64_t)(found - sizes->symbols.begin());
      if (found == sizes->symbols.end()) sizes->symbols.push_back(symbol);
    }
    sizes->inputs.push_back(std::move(spec));
  }
  return check_all_used(overrides, all);
}

// An output must be produced by a node, and each value is an output once.
ValueId own_output(Builder& b, ValueId v) {
  const bool taken = std::find(b.g->outputs.begin(), b.g->outputs.end(), v) != b.g->outputs.end();
  if (b.value(v).kind == ValueKind::node && !taken) return v;
  std::vector<int64_t> dims;
  for (int i = 0; i < b.rank(v); ++i) dims.push_back(Builder::same(i));
  return b.reshape(v, dims);
}

tern_status build_model(std::span<const uint8_t> file, const tfl::Model& proto, const ImportOptions& options,
                        const InputSizes& sizes, bool* sizes_decide, ModelDef* out) {
  TfliteImporter importer{options, file, proto};
  importer.model.signatures.emplace_back();
  Signature& signature = importer.model.signatures[0];
  signature.name = "forward";
  Sizes expressions(sizes.hints);
  Builder b(importer.model, &signature.graph, expressions);
  importer.main = b.g;
  const auto run = [&]() -> tern_status {
    std::vector<ValueId> in, outputs;
    for (size_t i = 0; i < sizes.inputs.size(); ++i) {
      const InputSpec& spec = sizes.inputs[i];
      in.push_back(b.input(spec, sizes));
      TERN_TRY(check_shape(b.value(in.back()).shape, spec.name.c_str()));
    }
    const tern_status s = importer.inline_graph(0, in, b, &outputs);
    if (importer.missing.any()) return importer.missing.report();
    TERN_TRY(s);
    TERN_TRY(importer.write_variables(b));
    if (outputs.empty()) return TERN_FAIL(TERN_ERR_CORRUPT, "the model has no outputs");
    signature.output_names = read_names(proto, true);
    constexpr const char* kDetection[] = {"tflite.boxes", "tflite.classes", "tflite.scores", "tflite.count"};
    for (size_t i = 0; i < 4; ++i)
      if (const auto at = std::find(outputs.begin(), outputs.end(), importer.detection[i]);
          importer.detection[i] != kNoValue && at != outputs.end())
        importer.model.metadata.emplace_back(kDetection[i],
                                             "'" + signature.output_names[(size_t)(at - outputs.begin())] + "'");
    for (ValueId v : outputs) {
      const ValueId own = own_output(b, v);
      TERN_TRY(b.status());
      signature.graph.outputs.push_back(own);
    }
    return TERN_OK;
  };
  if (const tern_status s = run()) {
    *sizes_decide = importer.sizes_decide;
    return s;
  }
  eliminate_dead(signature.graph);
  drop_unused_parameters(importer.model);
  *out = std::move(importer.model);
  return TERN_OK;
}

}  // namespace

tern_status import_tflite(std::span<const uint8_t> file, const ImportOptions& options, ModelDef* out) {
  // The reader of the outer form takes 32-bit sizes and aligned memory.
  if (file.size() >= FLATBUFFERS_MAX_BUFFER_SIZE)
    return TERN_FAIL(TERN_ERR_LIMIT, "the TFLite file has %zu bytes, files below 2 GiB are read", file.size());
  std::vector<uint64_t> aligned;
  if ((uintptr_t)file.data() % 16) {
    aligned.resize(file.size() / 8 + 1);
    if (!file.empty()) std::memcpy(aligned.data(), file.data(), file.size());
    file = {(const uint8_t*)aligned.data(), file.size()};
  }
  flatbuffers::Verifier verifier(file.data(), file.size(), 64, 1'000'000);
  if (file.size() < 8 || !tfl::ModelBufferHasIdentifier(file.data()))
    return TERN_FAIL(TERN_ERR_CORRUPT, "not a TFLite model");
  if (!tfl::VerifyModelBuffer(verifier)) return TERN_FAIL(TERN_ERR_CORRUPT, "not a TFLite model, or damaged");
  const tfl::Model& proto = *tfl::GetModel(file.data());
  constexpr uint32_t kVersion = 3;
  if (proto.version() != kVersion)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED_VERSION, "a TFLite file of version %u, version %u is read", proto.version(),
                     kVersion);
  if (count(proto.subgraphs()) == 0) return TERN_FAIL(TERN_ERR_CORRUPT, "the file has no graph");
  const tfl::SubGraph& graph = *(*proto.subgraphs())[0];
  TERN_TRY(check_indices(graph.inputs(), count(graph.tensors()), "input", false));
  TERN_TRY(check_indices(graph.outputs(), count(graph.tensors()), "output", false));
  InputSizes sizes;
  TERN_TRY(read_inputs(proto, options, &sizes));
  ModelDef model;
  TERN_TRY(build_for_sizes(
      &sizes,
      [&](const InputSizes& s, bool* decide, ModelDef* m) { return build_model(file, proto, options, s, decide, m); },
      &model));
  model.metadata.emplace_back("source.format", "tflite");
  if (count(proto.description()))
    model.metadata.emplace_back("source.description", clean_name(proto.description(), "", 0));
  read_task_of_source(file, proto, &model);
  TERN_TRY(apply_recipe(options, &model));
  *out = std::move(model);
  return TERN_OK;
}

}  // namespace tern
