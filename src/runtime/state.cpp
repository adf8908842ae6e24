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
  for (const StateDecl& decl : model.def().states) {
    uint64_t bytes = 0;
    TERN_TRY(tensor_bytes(decl.dtype, decl.shape, &bytes));
    Ref<Resident> item;
    TERN_TRY(Resident::create(model.context().allocator(), bytes, nullptr, &item));
    s->items_.push_back(std::move(item));
  }
  *out = std::move(s);
  return TERN_OK;
}

tern_status State::intact() const {
  return torn_ ? TERN_FAIL(TERN_ERR_STATE,
                           "a run failed while it wrote this state: load a saved one, or create a new one")
               : TERN_OK;
}

tern_status State::fork(Ref<State>* out) const {
  TERN_TRY(intact());
  Ref<State> copy = Ref<State>::adopt(new State(*model_));
  for (const Ref<Resident>& item : items_) {
    const void* from = nullptr;
    TERN_TRY(item->read(&from));
    Ref<Resident> fresh;
    TERN_TRY(Resident::create(model_->context().allocator(), item->bytes(), from, &fresh));
    copy->items_.push_back(std::move(fresh));
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
  for (const Ref<Resident>& item : items_) sum += item->bytes();
  return sum;
}

tern_status State::get(int32_t i, Ref<Tensor>* tensor) const {
  TERN_TRY(intact());
  const StateDecl& decl = model_->def().states[(size_t)i];
  const void* from = nullptr;
  TERN_TRY(item(i)->read(&from));
  Ref<Tensor> t;
  TERN_TRY(Tensor::create(model_->context(), decl.dtype, decl.shape, &t));
  TERN_TRY(copy_whole(t->data(), t->bytes(), from, item(i)->bytes(), decl.name.c_str()));
  *tensor = std::move(t);
  return TERN_OK;
}

tern_status State::set(int32_t i, const Tensor& tensor) {
  const StateDecl& decl = model_->def().states[(size_t)i];
  if (!(tensor.shape() == decl.shape) || tensor.dtype() != decl.dtype)
    return TERN_FAIL(TERN_ERR_SHAPE, "state '%s' is %s%s, the tensor %s%s", decl.name.c_str(), dtype_name(decl.dtype),
                     to_string(decl.shape).c_str(), dtype_name(tensor.dtype()), to_string(tensor.shape()).c_str());
  TERN_TRY(item(i)->reserve());
  return copy_whole(item(i)->overwrite(), item(i)->bytes(), tensor.data(), tensor.bytes(), decl.name.c_str());
}

}  // namespace tern
