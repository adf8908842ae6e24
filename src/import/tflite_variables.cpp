// SPDX-License-Identifier: Apache-2.0
// TFLite's resource variables become states of the model. A new state is zeros, but a variable begins with what
// CALL_ONCE gives it: so one more state tells whether there was a run, and until then the initial values are read.
#include <algorithm>

#include "import/tflite.h"

namespace tern {
namespace {

constexpr int8_t kResource = 13;  // Tensor.type of a handle

// A state's value.
ValueId state_value(Builder& b, int32_t index) {
  const StateDecl& s = b.model.states[(size_t)index];
  Value v;
  v.name = s.name;
  v.dtype = s.dtype;
  v.kind = ValueKind::state;
  v.shape = s.shape;
  v.index = index;
  return add_value(*b.g, std::move(v));
}

ValueId add_state(Builder& b, std::string name, DType dtype, const Shape& shape) {
  std::vector<StateDecl>& states = b.model.states;
  while (std::any_of(states.begin(), states.end(), [&](const StateDecl& s) { return s.name == name; })) name += "_";
  states.push_back({std::move(name), dtype, shape});
  return state_value(b, (int32_t)states.size() - 1);
}

tern_status handle_of(TfliteNode& n, TfliteVariable** out) {
  const int32_t index = n.tensor(0).variable;
  if (index < 0) return TERN_FAIL(TERN_ERR_CORRUPT, "%s: input 0 is no handle of a variable", n.type());
  *out = &n.importer.variables[(size_t)index];
  return TERN_OK;
}

tern_status check_type(const TfliteNode& n, const TfliteVariable& variable, DType dtype, const Shape* shape) {
  const TensorData& initial = *variable.initial;
  if (dtype != initial.dtype)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: variable '%s' is %s, not %s", n.type(), variable.name.c_str(),
                     dtype_name(initial.dtype), dtype_name(dtype));
  if (shape && !(*shape == initial.shape))
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "%s: variable '%s' of shape %s gets shape %s; variables keep their shapes",
                     n.type(), variable.name.c_str(), to_string(initial.shape).c_str(), to_string(*shape).c_str());
  return TERN_OK;
}

tern_status var_handle(TfliteNode& n) {
  const tfl::VarHandleOptions* o = nullptr;
  TERN_TRY(n.need_options(&o));
  if (n.out_tensor(0).file->type() != kResource)
    return TERN_FAIL(TERN_ERR_CORRUPT, "VAR_HANDLE gives a tensor of type %d", n.out_tensor(0).file->type());
  const auto text = [](const flatbuffers::String* s) { return s ? s->str() : std::string(); };
  const std::pair key(text(o->container()), text(o->shared_name()));
  std::vector<TfliteVariable>& list = n.importer.variables;
  auto found = std::find_if(list.begin(), list.end(), [&](const TfliteVariable& v) { return v.key == key; });
  if (found == list.end())
    found = list.insert(list.end(), {key, clean_name(o->shared_name(), "variable ", list.size())});
  n.out_tensor(0).variable = (int32_t)(found - list.begin());
  return TERN_OK;
}

tern_status read_variable(TfliteNode& n) {
  TfliteVariable* variable = nullptr;
  TERN_TRY(handle_of(n, &variable));
  Builder& b = n.b;
  if (b.g != n.importer.main || n.importer.initializing) return n.unsupported("in a branch, a loop or an initialiser");
  if (variable->current == kNoValue) {
    if (!variable->initial)
      return TERN_FAIL(TERN_ERR_CORRUPT, "READ_VARIABLE: nothing gives variable '%s' a value before",
                       variable->name.c_str());
    const TensorData& initial = *variable->initial;
    if (n.importer.ran == kNoValue) n.importer.ran = add_state(b, "tflite.ran", TERN_DTYPE_BOOL, {});
    variable->state = add_state(b, variable->name, initial.dtype, initial.shape);
    variable->current = b.op("where", {n.importer.ran, variable->state, b.constant(initial)});
    TERN_TRY(b.status());
  }
  if (variable->initial) TERN_TRY(check_type(n, *variable, n.out_tensor(0).dtype, nullptr));
  n.raw = true;
  n.set(0, variable->current);
  return TERN_OK;
}

tern_status assign_variable(TfliteNode& n) {
  TfliteVariable* variable = nullptr;
  TERN_TRY(handle_of(n, &variable));
  Builder& b = n.b;
  if (b.g != n.importer.main) return n.unsupported("in a branch or a loop");
  const TfliteTensor& given = n.tensor(1);
  if (n.importer.initializing) {
    if (!given.content || given.content->dtype != given.dtype)
      return n.unsupported("an initial value that is computed");
    if (variable->initial) TERN_TRY(check_type(n, *variable, given.dtype, &given.content->shape));
    variable->initial = given.content;
    return TERN_OK;
  }
  n.raw = true;
  const ValueId v = n.in(1);
  TERN_TRY(b.status());
  if (variable->initial) TERN_TRY(check_type(n, *variable, b.dtype(v), &b.value(v).shape));
  variable->current = v;
  return TERN_OK;
}

tern_status call_once(TfliteNode& n) {
  const tfl::CallOnceOptions* o = nullptr;
  TERN_TRY(n.need_options(&o));
  if (n.b.g != n.importer.main || n.importer.initializing)
    return n.unsupported("in a branch, a loop or an initialiser");
  std::vector<ValueId> out;
  n.importer.initializing = true;
  const tern_status s = n.importer.inline_graph((uint32_t)o->init_subgraph_index(), {}, n.b, &out);
  n.importer.initializing = false;
  return s;
}

constexpr TfliteOp kOps[] = {
    {129, "CALL_ONCE", 0, 0, 0, 0, call_once},
    {142, "VAR_HANDLE", 0, 0, 1, 0, var_handle},
    {143, "READ_VARIABLE", 1, 1, 1, 0, read_variable},
    {144, "ASSIGN_VARIABLE", 2, 2, 0, 0, assign_variable},
};

}  // namespace

std::span<const TfliteOp> tflite_variable_ops() { return kOps; }

void TfliteImporter::open_variable(TfliteTensor& t, const std::string& name, const Shape& shape, Builder& b) {
  t.id = add_state(b, name, t.dtype, shape);
  t.kept = (int32_t)variables.size();
  // No handle has such a name: each variable tensor is another one.
  variables.push_back({{"variable tensor", std::to_string(t.kept)}, name, nullptr, t.id, t.id});
}

tern_status TfliteImporter::write_variables(Builder& b) {
  for (const TfliteVariable& v : variables)
    if (v.state != kNoValue) b.op("state_write", {v.state, v.current});
  if (ran != kNoValue) b.op("state_write", {ran, b.cast(b.integer(1), TERN_DTYPE_BOOL)});
  return b.status();
}

}  // namespace tern
