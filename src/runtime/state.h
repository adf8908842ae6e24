// SPDX-License-Identifier: Apache-2.0
// The states of a model: tensors of fixed capacity that live across runs, positions in pages, and the number of valid
// positions.
//
// A page holds 64 positions of all paged states. States that were forked share their pages; whoever is about to write a
// shared one takes a copy (reserve).
#pragma once
#include "base/in_use.h"
#include "graph/page_layout.h"
#include "runtime/model.h"
#include "runtime/tensor.h"

namespace tern {

class State : public RefCounted<State> {
 public:
  // Zeros, length 0.
  static tern_status create(const Model& model, Ref<State>* out);

  mutable InUse in_use;  // by a call of the C ABI

  const Model& model() const { return *model_; }
  int64_t length() const { return length_; }
  void set_length(int64_t length) { length_ = length; }
  // A run failed while it replaced states, so that some are new and some old: until load(), no run takes them.
  void tear() { torn_ = true; }
  tern_status intact() const;
  tern_status fork(Ref<State>* out) const;
  tern_status truncate(int64_t length);
  // Of tensors and of the pages that it uses, shared or not.
  uint64_t bytes() const;

  // Of a state that is not paged.
  const Ref<Resident>& item(int32_t i) const { return items_[(size_t)i]; }
  // In the order of positions; more than the valid ones need after a reserve.
  std::span<const Ref<Resident>> pages() const { return pages_; }
  const PageLayout& page_layout() const { return *layout_; }
  // Makes the positions from the present length up to `end` ones that a run may write. end: within the capacity.
  tern_status reserve(int64_t end);
  // Was this page reserved?
  bool may_write(size_t page) const { return page >= first_written() && pages_[page]->unique(); }
  // A run has written what was reserved, there.
  void wrote_pages(const Backend& backend);

  tern_status get(int32_t i, Ref<Tensor>* tensor) const;
  tern_status set(int32_t i, const Tensor& tensor);
  // more: bytes of somebody whose state this is, behind it; a file with and one without are not taken for each other.
  // They may be anything where the file comes from anybody.
  tern_status save(const char* path, std::string_view more = {}) const;
  tern_status load(const char* path, std::string* more = nullptr);

 private:
  State(const Model& model, std::shared_ptr<const PageLayout> layout)
      : model_(Ref<const Model>::share(&model)), layout_(std::move(layout)) {}
  size_t first_written() const { return (size_t)(length_ / kPagePositions); }
  tern_status new_page(const void* content, Ref<Resident>* page) const;
  tern_status get_positions(int32_t i, Ref<Tensor>* tensor) const;
  tern_status set_positions(int32_t i, const Tensor& tensor);

  Ref<const Model> model_;
  std::shared_ptr<const PageLayout> layout_;
  std::vector<Ref<Resident>> items_;  // empty for paged ones
  std::vector<Ref<Resident>> pages_;
  int64_t length_ = 0;
  bool torn_ = false;
};

tern_status find_state(const ModelDef& model, std::string_view name, int32_t* index);

// The states that one run advances, sequence by sequence. States that are not paged are those of the first.
class Sequences {
 public:
  Sequences(State& one) : one_(&one) {}
  explicit Sequences(std::span<State* const> list) : one_(list.empty() ? nullptr : list[0]), list_(list) {}
  std::span<State* const> all() const { return list_.empty() ? std::span<State* const>(&one_, 1) : list_; }

  const Ref<Resident>& item(int32_t i) const { return one_->item(i); }
  tern_status intact() const {
    for (const State* s : all()) TERN_TRY(s->intact());
    return TERN_OK;
  }
  void tear() const { one_->tear(); }

 private:
  State* one_;
  std::span<State* const> list_;
};

}  // namespace tern
