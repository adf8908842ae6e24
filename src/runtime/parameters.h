// SPDX-License-Identifier: Apache-2.0
// One set of a model's parameters: the file's own bytes and a copy-on-write overlay of those that changed.
#pragma once
#include "base/in_use.h"
#include "runtime/model.h"
#include "runtime/tensor.h"

namespace tern {

class Parameters : public RefCounted<Parameters> {
 public:
  explicit Parameters(const Model& model)
      : model_(Ref<const Model>::share(&model)), items_(model.parameters().begin(), model.parameters().end()) {}

  mutable InUse in_use;  // by calls of the C ABI

  const Model& model() const { return *model_; }
  uint64_t version() const { return version_; }
  // Grows whenever an item is another or has another content.
  uint64_t changes() const { return changes_; }
  // Parameter i, in its own dtype and encoding.
  const Ref<Resident>& item(int32_t i) const { return items_[(size_t)i]; }
  bool changed(int32_t i) const { return items_[(size_t)i].get() != model_->parameters()[(size_t)i].get(); }
  // Gives parameter i a copy of its own that may be written. Same content as before.
  tern_status make_writable(int32_t i);
  // A run failed while it wrote parameters, so that some are new and some old: no run, and nobody else, takes them
  // again.
  void tear() { torn_ = true; }
  tern_status intact() const;
  // To be called after the content changed.
  void touch() { ++version_, ++changes_; }
  uint64_t overlay_bytes() const;

  // A plain copy (f32 where the parameter is encoded).
  tern_status get(int32_t i, Ref<Tensor>* tensor) const;
  // From a plain tensor of the parameter's shape, f32 or the parameter's own dtype.
  tern_status set(int32_t i, const Tensor& tensor);

 private:
  Ref<const Model> model_;  // before the items, whose allocator it keeps
  std::vector<Ref<Resident>> items_;
  uint64_t version_ = 1, changes_ = 1;
  bool torn_ = false;
};

// Index by name, or TERN_ERR_NOT_FOUND.
tern_status find_parameter(const ModelDef& model, std::string_view name, int32_t* index);

}  // namespace tern
