// SPDX-License-Identifier: Apache-2.0
#include "graph/graph.h"

#include <cstring>
#include <new>

#include "graph/model_def.h"

namespace tern {

Data make_data(uint64_t bytes, void** writable) {
  void* p = ::operator new(bytes ? bytes : 1, std::align_val_t(64));
  std::memset(p, 0, bytes);
  Data d;
  d.owner = std::shared_ptr<const void>(
      p, [](const void* q) { ::operator delete(const_cast<void*>(q), std::align_val_t(64)); });
  d.bytes = p;
  *writable = p;
  return d;
}

uint64_t value_bytes(const Value& v) {
  if (v.paged) return 0;
  if (is_plain(v.encoding)) return (uint64_t)v.shape.elements() * dtype_size(v.dtype);
  uint64_t bytes = 0;
  (void)encoded_bytes(v.encoding, v.dtype, v.shape, &bytes);
  return bytes;
}

ValueId add_value(Graph& g, Value value) {
  g.values.push_back(std::move(value));
  return (ValueId)g.values.size() - 1;
}

ValueId add_input(Graph& g, std::string name, DType dtype, const Shape& shape) {
  Value v;
  v.name = std::move(name);
  v.dtype = dtype;
  v.kind = ValueKind::input;
  v.shape = shape;
  const ValueId id = add_value(g, std::move(v));
  g.inputs.push_back(id);
  return id;
}

ValueId add_scalar(Graph& g, std::string name) {
  Value v;
  v.name = std::move(name);
  v.dtype = TERN_DTYPE_I64;
  v.kind = ValueKind::scalar;
  const ValueId id = add_value(g, std::move(v));
  g.inputs.push_back(id);
  return id;
}

ValueId add_constant(Graph& g, DType dtype, const Shape& shape, const void* data) {
  Value v;
  v.dtype = dtype;
  v.kind = ValueKind::constant;
  v.shape = shape;
  void* p = nullptr;
  const uint64_t bytes = value_bytes(v);
  v.data = make_data(bytes, &p);
  if (bytes) std::memcpy(p, data, bytes);
  return add_value(g, std::move(v));
}

ValueId add_constant(Graph& g, float value) { return add_constant(g, TERN_DTYPE_F32, Shape{}, &value); }

ValueId add_constant(Graph& g, std::span<const int64_t> values) {
  return add_constant(g, TERN_DTYPE_I64, Shape{(int64_t)values.size()}, values.data());
}

const std::string* find_metadata(const ModelDef& model, std::string_view key) {
  for (const auto& [k, v] : model.metadata)
    if (k == key) return &v;
  return nullptr;
}

}  // namespace tern
