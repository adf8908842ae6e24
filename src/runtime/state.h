// SPDX-License-Identifier: Apache-2.0
// The states of a model: tensors of fixed capacity that live across runs, on the backend that used them last, and the
// number of valid positions.
#pragma once
#include "base/in_use.h"
#include "runtime/model.h"
#include "runtime/tensor.h"

namespace tern {

class State : public RefCounted<State> {
 public:
  // Zeros, length 0.
  static tern_status create(const Model& model, Ref<State>* out);
  ~State();

  mutable InUse in_use;  // by a call of the C ABI

  const Model& model() const { return *model_; }
  int64_t length() const { return length_; }
  void set_length(int64_t length) { length_ = length; }
  // A run failed while it replaced states, so that some are new and some old: until load(), no run takes them.
  void tear() { torn_ = true; }
  tern_status intact() const;
  tern_status fork(Ref<State>* out) const;
  tern_status truncate(int64_t length);
  uint64_t bytes() const;

  // Host memory of state i, moved there first if a device has it.
  tern_status host(int32_t i, void** data) const;
  // A buffer of `backend` that holds state i from now on.
  tern_status acquire(int32_t i, const Backend& backend, Buffer* buffer);

  tern_status get(int32_t i, Ref<Tensor>* tensor) const;
  tern_status set(int32_t i, const Tensor& tensor);
  tern_status save(const char* path) const;
  tern_status load(const char* path);

 private:
  struct Item {
    uint64_t bytes = 0;
    Block host;                       // the content, unless a device has it
    const Backend* device = nullptr;  // holds the content if not NULL
    Buffer buffer;
  };
  explicit State(const Model& model) : model_(Ref<const Model>::share(&model)) {}
  tern_status to_host(Item& item) const;

  Ref<const Model> model_;
  mutable std::vector<Item> items_;
  int64_t length_ = 0;
  bool torn_ = false;
};

tern_status find_state(const ModelDef& model, std::string_view name, int32_t* index);

}  // namespace tern
