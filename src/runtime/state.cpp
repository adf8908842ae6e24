// SPDX-License-Identifier: Apache-2.0
#include "runtime/state.h"

#include <algorithm>
#include <cstring>

#include "base/encoding.h"

namespace tern {

// Of the tensor that a caller gets and gives: what is encoded is decoded for them.
static DType tensor_dtype(const StateDecl& s) { return is_plain(s.encoding) ? s.dtype : TERN_DTYPE_F32; }

tern_status find_state(const ModelDef& model, std::string_view name, int32_t* index) {
  for (size_t i = 0; i < model.states.size(); ++i)
    if (model.states[i].name == name) return *index = (int32_t)i, TERN_OK;
  return TERN_FAIL(TERN_ERR_NOT_FOUND, "the model has no state '%.*s'", (int)name.size(), name.data());
}

tern_status State::create(const Model& model, Ref<State>* out) {
  auto layout = std::make_shared<PageLayout>();
  TERN_TRY(lay_out_pages(model.def(), layout.get()));
  Ref<State> s = Ref<State>::adopt(new State(model, std::move(layout)));
  for (const StateDecl& decl : model.def().states) {
    if (decl.paged) {
      s->items_.push_back({});
      continue;
    }
    uint64_t bytes = 0;
    TERN_TRY(encoded_bytes(decl.encoding, decl.dtype, decl.shape, &bytes));
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
  Ref<State> copy = Ref<State>::adopt(new State(*model_, layout_));
  copy->pages_.assign(pages_.begin(), pages_.begin() + (ptrdiff_t)std::min(pages_.size(), num_pages(length_)));
  for (const Ref<Resident>& item : items_) {
    if (!item) {
      copy->items_.push_back({});
      continue;
    }
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
  if (pages_.size() > num_pages(length)) pages_.resize(num_pages(length));
  return TERN_OK;
}

uint64_t State::bytes() const {
  uint64_t sum = pages_.size() * layout_->bytes;
  for (const Ref<Resident>& item : items_)
    if (item) sum += item->bytes();
  return sum;
}

// ---- pages ----

tern_status State::new_page(const void* content, Ref<Resident>* page) const {
  return Resident::create(model_->context().allocator(), layout_->bytes, content, page);
}

tern_status State::reserve(int64_t end) {
  if (layout_->bytes == 0) return TERN_OK;
  for (size_t p = first_written(); p < num_pages(end); ++p) {
    if (p < pages_.size() && pages_[p]->unique()) continue;
    const void* content = nullptr;
    if (p < pages_.size()) TERN_TRY(pages_[p]->read(&content));
    Ref<Resident> page;
    TERN_TRY(new_page(content, &page));
    if (p < pages_.size()) pages_[p] = std::move(page);
    else pages_.push_back(std::move(page));
  }
  return TERN_OK;
}

void State::wrote_pages(const Backend& backend) {
  for (size_t p = first_written(); p < pages_.size(); ++p) pages_[p]->wrote(backend);
}

tern_status State::get_positions(int32_t i, Ref<Tensor>* tensor) const {
  const StateDecl& decl = model_->def().states[(size_t)i];
  const DType dtype = tensor_dtype(decl);
  Ref<Tensor> t;
  TERN_TRY(Tensor::create(model_->context(), dtype, {length_, decl.shape[1], decl.shape[2]}, &t));
  const Shape matrix = page_matrix(decl.shape);
  const size_t row = (size_t)decl.shape[2] * dtype_size(dtype);
  std::vector<float> decoded(is_plain(decl.encoding) ? 0 : (size_t)matrix.elements());
  for (size_t p = 0; row > 0 && p < num_pages(length_); ++p) {
    const void* page = nullptr;
    TERN_TRY(pages_[p]->read(&page));
    const char* from = (const char*)page + layout_->offsets[(size_t)i];
    if (!is_plain(decl.encoding)) {
      decode(decl.encoding, decl.dtype, matrix, from, decoded.data());
      from = (const char*)decoded.data();
    }
    const int64_t first = (int64_t)p * kPagePositions, n = std::min(kPagePositions, length_ - first);
    for (int64_t j = 0; j < n; ++j)
      for (int64_t h = 0; h < decl.shape[1]; ++h)
        std::memcpy((char*)t->data() + (size_t)((first + j) * decl.shape[1] + h) * row,
                    from + (size_t)(h * kPagePositions + j) * row, row);
  }
  *tensor = std::move(t);
  return TERN_OK;
}

tern_status State::set_positions(int32_t i, const Tensor& tensor) {
  const StateDecl& decl = model_->def().states[(size_t)i];
  const Shape matrix = page_matrix(decl.shape);
  const size_t row = (size_t)decl.shape[2] * dtype_size(tensor.dtype());
  std::vector<Ref<Resident>> pages;
  for (size_t p = 0; p < num_pages(length_); ++p) {
    const void* content = nullptr;
    TERN_TRY(pages_[p]->read(&content));
    Ref<Resident> page;
    TERN_TRY(new_page(content, &page));
    char* const to = (char*)page->overwrite() + layout_->offsets[(size_t)i];
    const int64_t first = (int64_t)p * kPagePositions, n = std::min(kPagePositions, length_ - first);
    for (int64_t j = 0; j < n; ++j)
      for (int64_t h = 0; h < decl.shape[1]; ++h) {
        const char* const from = (const char*)tensor.data() + (size_t)((first + j) * decl.shape[1] + h) * row;
        const int64_t at = h * kPagePositions + j;
        if (is_plain(decl.encoding)) std::memcpy(to + (size_t)at * row, from, row);
        else encode_rows(decl.encoding, decl.dtype, matrix, (const float*)from, at, 1, to);
      }
    pages.push_back(std::move(page));
  }
  pages_ = std::move(pages);
  return TERN_OK;
}

tern_status State::get(int32_t i, Ref<Tensor>* tensor) const {
  TERN_TRY(intact());
  const StateDecl& decl = model_->def().states[(size_t)i];
  if (decl.paged) return get_positions(i, tensor);
  const void* from = nullptr;
  TERN_TRY(item(i)->read(&from));
  Ref<Tensor> t;
  TERN_TRY(Tensor::create(model_->context(), tensor_dtype(decl), decl.shape, &t));
  if (is_plain(decl.encoding)) TERN_TRY(copy_whole(t->data(), t->bytes(), from, item(i)->bytes(), decl.name.c_str()));
  else decode(decl.encoding, decl.dtype, decl.shape, from, (float*)t->data());
  *tensor = std::move(t);
  return TERN_OK;
}

tern_status State::set(int32_t i, const Tensor& tensor) {
  const StateDecl& decl = model_->def().states[(size_t)i];
  Shape shape = decl.shape;
  if (decl.paged) shape[0] = length_;
  const DType dtype = tensor_dtype(decl);
  if (!(tensor.shape() == shape) || tensor.dtype() != dtype)
    return TERN_FAIL(TERN_ERR_SHAPE, "state '%s' is %s%s, the tensor %s%s", decl.name.c_str(), dtype_name(dtype),
                     to_string(shape).c_str(), dtype_name(tensor.dtype()), to_string(tensor.shape()).c_str());
  if (decl.paged) return set_positions(i, tensor);
  TERN_TRY(item(i)->reserve());
  if (is_plain(decl.encoding))
    return copy_whole(item(i)->overwrite(), item(i)->bytes(), tensor.data(), tensor.bytes(), decl.name.c_str());
  encode(decl.encoding, decl.dtype, decl.shape, (const float*)tensor.data(), item(i)->overwrite());
  return TERN_OK;
}

}  // namespace tern
