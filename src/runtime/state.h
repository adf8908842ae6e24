// SPDX-License-Identifier: Apache-2.0
// The states of a model: tensors of fixed capacity that live across runs, and the number of valid positions.
#pragma once
#include "base/in_use.h"
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
  uint64_t bytes() const;

  const Ref<Resident>& item(int32_t i) const { return items_[(size_t)i]; }

  tern_status get(int32_t i, Ref<Tensor>* tensor) const;
  tern_status set(int32_t i, const Tensor& tensor);
  tern_status save(const char* path) const;
  tern_status load(const char* path);

 private:
  explicit State(const Model& model) : model_(Ref<const Model>::share(&model)) {}

  Ref<const Model> model_;
  std::vector<Ref<Resident>> items_;
  int64_t length_ = 0;
  bool torn_ = false;
};

tern_status find_state(const ModelDef& model, std::string_view name, int32_t* index);

}  // namespace tern
