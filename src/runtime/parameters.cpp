// SPDX-License-Identifier: Apache-2.0
#include "runtime/parameters.h"

#include <cstring>

namespace tern {

tern_status find_parameter(const ModelDef& model, std::string_view name, int32_t* index) {
  for (size_t i = 0; i < model.parameters.size(); ++i)
    if (model.parameters[i].name == name) return *index = (int32_t)i, TERN_OK;
  return TERN_FAIL(TERN_ERR_NOT_FOUND, "the model has no parameter '%.*s'", (int)name.size(), name.data());
}

tern_status Parameters::intact() const {
  return torn_ ? TERN_FAIL(TERN_ERR_STATE, "a run failed while it wrote these parameters: create new ones") : TERN_OK;
}

tern_status Parameters::make_writable(int32_t i) {
  if (changed(i)) return TERN_OK;
  const void* content = nullptr;
  TERN_TRY(item(i)->read(&content));
  TERN_TRY(Resident::create(model_->context().allocator(), item(i)->bytes(), content, &items_[(size_t)i]));
  ++changes_;
  return TERN_OK;
}

uint64_t Parameters::overlay_bytes() const {
  uint64_t sum = 0;
  for (size_t i = 0; i < items_.size(); ++i)
    if (changed((int32_t)i)) sum += items_[i]->bytes();
  return sum;
}

tern_status Parameters::get(int32_t i, Ref<Tensor>* tensor) const {
  TERN_TRY(intact());
  const Parameter& p = model_->def().parameters[(size_t)i];
  const void* from = nullptr;
  TERN_TRY(item(i)->read(&from));
  Ref<Tensor> t;
  TERN_TRY(Tensor::create(model_->context(), is_plain(p.encoding) ? p.dtype : TERN_DTYPE_F32, p.shape, &t));
  if (is_plain(p.encoding)) TERN_TRY(copy_whole(t->data(), t->bytes(), from, item(i)->bytes(), p.name.c_str()));
  else decode(p.encoding, p.dtype, p.shape, from, (float*)t->data());
  *tensor = std::move(t);
  return TERN_OK;
}

tern_status Parameters::set(int32_t i, const Tensor& tensor) {
  const Parameter& p = model_->def().parameters[(size_t)i];
  if (!(tensor.shape() == p.shape))
    return TERN_FAIL(TERN_ERR_SHAPE, "parameter '%s' has shape %s, the tensor %s", p.name.c_str(),
                     to_string(p.shape).c_str(), to_string(tensor.shape()).c_str());
  if (tensor.dtype() != p.dtype && tensor.dtype() != TERN_DTYPE_F32)
    return TERN_FAIL(TERN_ERR_TYPE, "parameter '%s' is %s, the tensor %s", p.name.c_str(), dtype_name(p.dtype),
                     dtype_name(tensor.dtype()));
  if (!is_plain(p.encoding) && tensor.dtype() != TERN_DTYPE_F32)
    return TERN_FAIL(TERN_ERR_TYPE, "parameter '%s' is stored as %s: give it as f32", p.name.c_str(),
                     encoding_name(p.encoding));
  TERN_TRY(make_writable(i));
  TERN_TRY(item(i)->reserve());
  void* to = item(i)->overwrite();
  if (!is_plain(p.encoding)) encode(p.encoding, p.dtype, p.shape, (const float*)tensor.data(), to);
  else if (tensor.dtype() == p.dtype) TERN_TRY(copy_whole(to, p.bytes, tensor.data(), tensor.bytes(), p.name.c_str()));
  else
    for (int64_t k = 0, n = p.shape.elements(); k < n; ++k)
      store_element(p.dtype, to, k, load_element(tensor.dtype(), tensor.data(), k));
  touch();
  return TERN_OK;
}

}  // namespace tern
