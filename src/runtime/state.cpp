// SPDX-License-Identifier: Apache-2.0
#include "runtime/state.h"

#include <cstring>

#include "base/encoding.h"

namespace tern {

tern_status find_state(const ModelDef& model, std::string_view name, int32_t* index) {
  for (size_t i = 0; i < model.states.size(); ++i)
    if (model.states[i].name == name) return *index = (int32_t)i, TERN_OK;
  return TERN_FAIL(TERN_ERR_NOT_FOUND, "the model has no state '%.*s'", (int)name.size(), name.data());
}

tern_status State::create(const Model& model, Ref<State>* out) {
  Ref<State> s = Ref<State>::adopt(new State(model));
  s->items_.resize(model.def().states.size());
  for (size_t i = 0; i < s->items_.size(); ++i) {
    const StateDecl& decl = model.def().states[i];
    TERN_TRY(tensor_bytes(decl.dtype, decl.shape, &s->items_[i].bytes));
    TERN_TRY(s->items_[i].host.allocate_zeroed(model.context().allocator(), s->items_[i].bytes));
  }
  *out = std::move(s);
  return TERN_OK;
}

State::~State() {
  for (Item& item : items_)
    if (item.device) item.device->api->free(item.device->self, &item.buffer);
}

tern_status State::to_host(Item& item) const {
  if (!item.device) return TERN_OK;
  Block block;
  TERN_TRY(block.allocate(model_->context().allocator(), item.bytes));
  TERN_TRY(item.device->api->copy(item.device->self, {Copy::to_host, item.buffer, 0, {}, 0, block.data(), item.bytes}));
  item.device->api->free(item.device->self, &item.buffer);
  item.device = nullptr;
  item.host = std::move(block);
  return TERN_OK;
}

tern_status State::host(int32_t i, void** data) const {
  Item& item = items_[(size_t)i];
  TERN_TRY(to_host(item));
  *data = item.host.data();
  return TERN_OK;
}

tern_status State::acquire(int32_t i, const Backend& backend, Buffer* buffer) {
  Item& item = items_[(size_t)i];
  if (item.device == &backend) return *buffer = item.buffer, TERN_OK;
  TERN_TRY(to_host(item));
  if (backend.limits.host_memory) {
    *buffer = {item.host.data(), item.bytes};
    return TERN_OK;
  }
  Buffer b;
  TERN_TRY(backend.api->alloc(backend.self, item.bytes, &b));
  const tern_status s = backend.api->copy(backend.self, {Copy::to_device, b, 0, {}, 0, item.host.data(), item.bytes});
  if (s != TERN_OK) {
    backend.api->free(backend.self, &b);
    return s;
  }
  item.buffer = b;
  item.device = &backend;
  item.host.reset();
  *buffer = b;
  return TERN_OK;
}

tern_status State::intact() const {
  return torn_ ? TERN_FAIL(TERN_ERR_STATE,
                           "a run failed while it wrote this state: load a saved one, or create a new one")
               : TERN_OK;
}

tern_status State::fork(Ref<State>* out) const {
  TERN_TRY(intact());
  Ref<State> copy;
  TERN_TRY(create(*model_, &copy));
  for (size_t i = 0; i < items_.size(); ++i) {
    void* from = nullptr;
    TERN_TRY(host((int32_t)i, &from));
    TERN_TRY(copy_whole(copy->items_[i].host.data(), copy->items_[i].bytes, from, items_[i].bytes,
                        model_->def().states[i].name.c_str()));
  }
  copy->length_ = length_;
  *out = std::move(copy);
  return TERN_OK;
}

tern_status State::truncate(int64_t length) {
  if (length < 0 || length > length_)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "cannot truncate a state of length %" PRId64 " to %" PRId64, length_,
                     length);
  length_ = length;
  return TERN_OK;
}

uint64_t State::bytes() const {
  uint64_t sum = 0;
  for (const Item& item : items_) sum += item.bytes;
  return sum;
}

tern_status State::get(int32_t i, Ref<Tensor>* tensor) const {
  TERN_TRY(intact());
  const StateDecl& decl = model_->def().states[(size_t)i];
  void* from = nullptr;
  TERN_TRY(host(i, &from));
  Ref<Tensor> t;
  TERN_TRY(Tensor::create(model_->context(), decl.dtype, decl.shape, &t));
  TERN_TRY(copy_whole(t->data(), t->bytes(), from, items_[(size_t)i].bytes, decl.name.c_str()));
  *tensor = std::move(t);
  return TERN_OK;
}

tern_status State::set(int32_t i, const Tensor& tensor) {
  const StateDecl& decl = model_->def().states[(size_t)i];
  if (!(tensor.shape() == decl.shape) || tensor.dtype() != decl.dtype)
    return TERN_FAIL(TERN_ERR_SHAPE, "state '%s' is %s%s, the tensor %s%s", decl.name.c_str(), dtype_name(decl.dtype),
                     to_string(decl.shape).c_str(), dtype_name(tensor.dtype()), to_string(tensor.shape()).c_str());
  void* to = nullptr;
  TERN_TRY(host(i, &to));
  return copy_whole(to, items_[(size_t)i].bytes, tensor.data(), tensor.bytes(), decl.name.c_str());
}

}  // namespace tern
