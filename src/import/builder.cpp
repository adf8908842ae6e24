// SPDX-License-Identifier: Apache-2.0
#include "import/builder.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/panel.h"
#include "passes/follow_sizes.h"

namespace tern {

// ---- attributes ----

IntList int_list(std::span<const int64_t> values) {
  IntList list;
  for (int64_t v : values)
    if (list.count < kMaxRank) list.items[list.count++] = v;
  return list;
}

static const AttrField* find_field(const Op& op, const char* name) {
  for (int32_t i = 0; i < op.attributes.count; ++i)
    if (std::strcmp(op.attributes.fields[i].name, name) == 0) return &op.attributes.fields[i];
  return nullptr;
}

tern_status set_attr(const Op& op, Attributes* attributes, const Attr& attr) {
  const AttrField* f = find_field(op, attr.name);
  if (!f) return TERN_FAIL(TERN_ERR_INTERNAL, "%s has no attribute '%s'", op.name, attr.name);
  unsigned char* at = attributes->bytes + f->offset;
  if (attr.kind == Attr::Kind::text) return set_attribute(op, attributes, attr.name, attr.text);
  if (f->type == AttrType::number && attr.kind != Attr::Kind::list) {
    const double v = attr.kind == Attr::Kind::number ? attr.number : (double)attr.integer;
    std::memcpy(at, &v, sizeof v);
  } else if ((f->type == AttrType::integer || f->type == AttrType::choice) && attr.kind == Attr::Kind::integer) {
    std::memcpy(at, &attr.integer, sizeof attr.integer);
  } else if (f->type == AttrType::integers && attr.kind == Attr::Kind::list) {
    std::memcpy(at, &attr.list, sizeof attr.list);
  } else {
    return TERN_FAIL(TERN_ERR_INTERNAL, "%s: attribute '%s' has another type", op.name, attr.name);
  }
  return TERN_OK;
}

bool get_attr(const Node& node, const char* name, int64_t* out) {
  const AttrField* f = find_field(*node.op, name);
  if (!f || (f->type != AttrType::integer && f->type != AttrType::choice)) return false;
  std::memcpy(out, node.attributes.bytes + f->offset, sizeof *out);
  return true;
}

bool get_attr(const Node& node, const char* name, IntList* out) {
  const AttrField* f = find_field(*node.op, name);
  if (!f || f->type != AttrType::integers) return false;
  std::memcpy(out, node.attributes.bytes + f->offset, sizeof *out);
  return true;
}

// ---- nodes ----

std::vector<ValueId> Builder::control(std::string_view name, const std::vector<ValueId>& in, const Attrs& attrs,
                                      int num_out, std::vector<Graph> subgraphs) {
  std::vector<ValueId> out((size_t)std::max(num_out, 1), kNoValue);
  if (status() != TERN_OK) return out;
  Node n;
  n.op = find_op(name);
  if (!n.op) {
    const char* option = option_for_op(name);
    g->status =
        TERN_FAIL(TERN_ERR_UNSUPPORTED_OP, "operator '%.*s'%s%s", (int)name.size(), name.data(),
                  option ? ", left out of this build of Tern without the CMake option " : "", option ? option : "");
    return out;
  }
  set_default_attributes(*n.op, &n.attributes);
  for (const Attr& a : attrs)
    if ((g->status = set_attr(*n.op, &n.attributes, a)) != TERN_OK) return out;
  n.in = in;
  n.name = node_name;
  n.subgraphs = std::move(subgraphs);
  return append(std::move(n), num_out);
}

std::vector<ValueId> Builder::append(Node node, int num_out) {
  std::vector<ValueId> out((size_t)std::max(num_out, 1), kNoValue);
  emit_node(*g, std::move(node), num_out, &out);
  if (status() == TERN_OK) g->status = follow_sizes(sizes, *g, g->nodes.back());
  if (status() != TERN_OK) std::fill(out.begin(), out.end(), kNoValue);
  return out;
}

std::vector<ValueId> Builder::ops(std::string_view name, const std::vector<ValueId>& in, const Attrs& attrs,
                                  int num_out) {
  return control(name, in, attrs, num_out, {});
}

ValueId Builder::op(std::string_view name, const std::vector<ValueId>& in, const Attrs& attrs) {
  return control(name, in, attrs, -1, {})[0];
}

ValueId Builder::input(const InputSpec& spec, const InputSizes& given) {
  const ValueId v = add_input(*g, spec.name, spec.dtype, given.shape(spec, given.hints));
  auto own = std::make_shared<ValueSizes>();
  for (int axis = 0; axis < spec.dims.rank; ++axis) {
    const bool open = given.is_open(spec.dims[axis]);
    own->dims[axis] = open ? sizes.symbol((int)(-1 - spec.dims[axis])) : sizes.constant(g->value(v).shape[axis]);
    own->dims_vary = own->dims_vary || open;
  }
  if (own->dims_vary) g->value(v).sizes = std::move(own);
  return v;
}

ValueId Builder::input_like(const std::string& name, const Value& outer) {
  const ValueId v = add_input(*g, name, outer.dtype, outer.shape);
  if (!has_fixed_shape(outer)) g->value(v).sizes = dims_alone(*outer.sizes);
  return v;
}

ValueId Builder::constant(DType dtype, const Shape& shape, const void* data) {
  return add_constant(*g, dtype, shape, data);
}

ValueId Builder::integers(const std::vector<int64_t>& values) {
  return constant(TERN_DTYPE_I64, Shape{(int64_t)values.size()}, values.data());
}

ValueId Builder::integer(int64_t value) { return constant(TERN_DTYPE_I64, Shape{}, &value); }
ValueId Builder::number(float value) { return constant(TERN_DTYPE_F32, Shape{}, &value); }

ValueId Builder::scalar(DType dtype, double value) {
  unsigned char bytes[8] = {};
  store_element(dtype, bytes, 0, value);
  return constant(dtype, Shape{}, bytes);
}

static ValueId add_parameter(Builder& b, const TensorData& t, Encoding encoding, Data data, uint64_t bytes) {
  Parameter p;
  p.name = t.name;
  p.dtype = t.dtype;
  p.encoding = encoding;
  p.shape = t.shape;
  p.data = std::move(data);
  p.bytes = bytes;
  Value v;
  v.name = t.name;
  v.dtype = t.dtype;
  v.encoding = encoding;
  v.kind = ValueKind::parameter;
  v.shape = t.shape;
  v.index = (int32_t)b.model.parameters.size();
  b.model.parameters.push_back(std::move(p));
  return add_value(*b.g, std::move(v));
}

ValueId Builder::parameter(const TensorData& t) {
  return parameter_once(t.data, to_string(t.shape),
                        [&] { return add_parameter(*this, t, Encoding::plain, t.data, t.bytes()); });
}

ValueId Builder::parameter_value(int32_t index) {
  for (size_t i = 0; i < g->values.size(); ++i)
    if (g->values[i].kind == ValueKind::parameter && g->values[i].index == index) return (ValueId)i;
  const Parameter& p = model.parameters[(size_t)index];
  Value v;
  v.name = p.name;
  v.dtype = p.dtype;
  v.encoding = p.encoding;
  v.kind = ValueKind::parameter;
  v.shape = p.shape;
  v.index = index;
  return add_value(*g, std::move(v));
}

ValueId Builder::panel_parameter(const TensorData& t) {
  uint64_t bytes = 0;
  if ((g->status = encoded_bytes(Encoding::panel32, t.dtype, t.shape, &bytes)) != TERN_OK) return kNoValue;
  const int64_t n = t.shape[0], k = n > 0 ? t.elements() / n : 0;
  void* p = nullptr;
  Data data = make_data(bytes, &p);
  if (t.dtype == TERN_DTYPE_F16) pack_panels((const uint16_t*)t.data.bytes, n, k, (uint16_t*)p);
  else pack_panels((const float*)t.data.bytes, n, k, (float*)p);
  return add_parameter(*this, t, Encoding::panel32, std::move(data), bytes);
}

ValueId Builder::channel_parameter(const TensorData& t) {
  return parameter_once(t.data, "channels", [&] {
    TensorData wide;
    wide.name = t.name;
    wide.dtype = TERN_DTYPE_F32;
    wide.shape = Shape{t.elements()};
    void* p = nullptr;
    wide.data = make_data(wide.bytes(), &p);
    for (int64_t i = 0; i < t.elements(); ++i) store_element(TERN_DTYPE_F32, p, i, t.load(i));
    return add_parameter(*this, wide, Encoding::plain, wide.data, wide.bytes());
  });
}

ValueId Builder::scale_channels(ValueId x, const TensorData& weight, ValueId bias) {
  const ValueId y = mul(x, channel_parameter(weight));
  if (bias == kNoValue || status() != TERN_OK) return y;
  if (!(value(bias).shape == Shape{weight.elements()})) {
    g->status = TERN_FAIL(TERN_ERR_SHAPE, "a bias of shape %s for %" PRId64 " channels",
                          to_string(value(bias).shape).c_str(), weight.elements());
    return kNoValue;
  }
  return add(y, cast(bias, TERN_DTYPE_F32));
}

// ---- what is known ----

int64_t Builder::dim(ValueId v, int axis) const {
  const Value& x = value(v);
  return !x.sizes || sizes.fixed(x.sizes->dims[axis]) ? x.shape[axis] : -1;
}

bool Builder::fixed_shape(ValueId v) const { return has_fixed_shape(value(v)); }

bool Builder::known(ValueId v) const { return has_fixed_content(value(v)); }

std::optional<std::vector<int64_t>> Builder::known_integers(ValueId v) const {
  if (status() != TERN_OK || !known(v)) return std::nullopt;
  const Value& a = g->value(v);
  std::vector<int64_t> r((size_t)a.shape.elements());
  for (size_t i = 0; i < r.size(); ++i) r[i] = load_integer(a.dtype, a.data.bytes, (int64_t)i);
  return r;
}

std::optional<double> Builder::known_number(ValueId v) const {
  if (status() != TERN_OK || !known(v) || g->value(v).shape.elements() != 1) return std::nullopt;
  return load_element(g->value(v).dtype, g->value(v).data.bytes, 0);
}

// ---- short forms ----

ValueId Builder::transpose(ValueId x, const std::vector<int64_t>& permutation) {
  bool same = true;
  for (size_t i = 0; i < permutation.size(); ++i) same = same && permutation[i] == (int64_t)i;
  return same ? x : op("transpose", {x}, {{"permutation", int_list(permutation)}});
}

ValueId Builder::shape_of(ValueId x) {
  if (status() != TERN_OK) return kNoValue;
  if (fixed_shape(x)) return integers(std::vector<int64_t>(value(x).shape.begin(), value(x).shape.end()));
  return op("shape", {x});
}

ValueId Builder::size_of_axes(ValueId x, int from, int to) {
  if (status() != TERN_OK) return kNoValue;
  int64_t n = 1;
  bool fixed = true;
  for (int i = from; i < to; ++i) {
    const int64_t d = dim(x, i);
    if (d < 0 || !checked_mul(n, d, &n)) fixed = false;
  }
  if (fixed) return integers({n});
  return op("reduce_prod", {op("shape", {x}, {{"start", from}, {"end", to}})},
            {{"axes", IntList{0}}, {"keep_dims", 1}});
}

ValueId Builder::reshape(ValueId x, const std::vector<int64_t>& dims) {
  if (status() != TERN_OK) return kNoValue;
  if ((int)dims.size() > kMaxRank) {
    g->status = TERN_FAIL(TERN_ERR_LIMIT, "reshape to %zu dims, at most %d are supported", dims.size(), kMaxRank);
    return kNoValue;
  }
  IntList list;
  list.count = (int64_t)dims.size();
  int open = 0;
  for (size_t i = 0; i < dims.size(); ++i) {
    int64_t d = dims[i];
    if (d <= kSame) {
      const int axis = (int)(kSame - d);
      const int64_t fixed = dim(x, axis);
      if (fixed > 0) d = fixed;
      else if (axis == (int)i) d = 0;  // copied; a zero dim as well
      else d = -1;
    } else if (d == 0) {
      open = 2;  // a zero that is not copied: by the shape input
    }
    if (d == -1) ++open;
    list[(int64_t)i] = d;
  }
  if (value(x).shape.elements() == 0 && open) open = 2;
  if (open <= 1) return op("reshape", {x}, {{"shape", list}});
  // More dims vary than -1 can stand for: put the shape together when the plan is made.
  std::vector<ValueId> parts;
  for (int64_t d : dims) {
    if (d <= kSame) {
      const int axis = (int)(kSame - d);
      parts.push_back(dim(x, axis) >= 0 ? integers({dim(x, axis)})
                                        : op("shape", {x}, {{"start", axis}, {"end", axis + 1}}));
    } else {
      parts.push_back(d == -1 ? integers({-1}) : integers({d}));
    }
  }
  const ValueId shape = parts.size() == 1 ? parts[0] : op("concat", parts, {{"axis", 0}});
  return op("reshape", {x, shape}, {{"allow_zero", 1}});
}

// ---- tensors ----

TensorData permute(const TensorData& t, std::span<const int64_t> permutation) {
  TensorData r;
  r.name = t.name;
  r.dtype = t.dtype;
  r.nibbles = t.nibbles;
  const int rank = t.shape.rank;
  int64_t strides[kMaxRank], step[kMaxRank] = {}, index[kMaxRank] = {};
  row_major_strides(t.shape, strides);
  for (int i = 0; i < rank; ++i) {
    r.shape.push(t.shape[(int)permutation[(size_t)i]]);
    step[i] = strides[permutation[(size_t)i]];
  }
  const size_t size = dtype_size(t.dtype);
  void* p = nullptr;
  r.data = make_data(t.bytes(), &p);
  const char* from = (const char*)t.data.bytes;
  char* to = (char*)p;
  int64_t offset = 0;
  for (int64_t k = 0, n = t.elements(); k < n; ++k, to += size) {
    std::memcpy(to, from + (size_t)offset * size, size);
    for (int axis = rank - 1; axis >= 0; --axis) {
      offset += step[axis];
      if (++index[axis] < r.shape[axis]) break;
      offset -= step[axis] * r.shape[axis];
      index[axis] = 0;
    }
  }
  return r;
}

TensorData with_shape(TensorData t, const Shape& shape) {
  t.shape = shape;
  return t;
}

}  // namespace tern
