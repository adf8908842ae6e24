// SPDX-License-Identifier: Apache-2.0
// ONNX models written by hand, for the tests of the importer.
#pragma once
#include <initializer_list>
#include <string>

#include "onnx/onnx.pb.h"

namespace tern::test {

inline std::string bytes_of(const onnx::ModelProto& m) { return m.SerializeAsString(); }

inline onnx::ValueInfoProto* value(onnx::ValueInfoProto* v, const char* name, std::initializer_list<int64_t> dims,
                                   int type = 1) {
  v->set_name(name);
  auto* t = v->mutable_type()->mutable_tensor_type();
  t->set_elem_type(type);
  auto* s = t->mutable_shape();
  for (int64_t d : dims) s->add_dim()->set_dim_value(d);
  return v;
}

inline onnx::NodeProto* node(onnx::GraphProto* g, const char* type, std::initializer_list<const char*> in,
                             std::initializer_list<const char*> out) {
  auto* n = g->add_node();
  n->set_op_type(type);
  for (const char* s : in) n->add_input(s);
  for (const char* s : out) n->add_output(s);
  return n;
}

inline void ints(onnx::NodeProto* n, const char* name, std::initializer_list<int64_t> values) {
  auto* a = n->add_attribute();
  a->set_name(name);
  a->set_type(onnx::AttributeProto::INTS);
  for (int64_t v : values) a->add_ints(v);
}

inline void integer(onnx::NodeProto* n, const char* name, int64_t value) {
  auto* a = n->add_attribute();
  a->set_name(name);
  a->set_type(onnx::AttributeProto::INT);
  a->set_i(value);
}

inline onnx::TensorProto* tensor(onnx::GraphProto* g, const char* name, std::initializer_list<int64_t> dims,
                                 float value = 0.5f) {
  auto* t = g->add_initializer();
  t->set_name(name);
  t->set_data_type(1);
  int64_t n = 1;
  for (int64_t d : dims) t->add_dims(d), n *= d;
  std::string raw;
  for (int64_t i = 0; i < n; ++i) raw.append((const char*)&value, 4);
  t->set_raw_data(raw);
  return t;
}

inline onnx::ModelProto empty_model(int opset = 13) {
  onnx::ModelProto m;
  m.set_ir_version(8);
  m.add_opset_import()->set_version(opset);
  m.mutable_graph()->set_name("g");
  return m;
}

}  // namespace tern::test
