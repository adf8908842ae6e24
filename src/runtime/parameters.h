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
      : model_(Ref<const Model>::share(&model)), overlay_(model.def().parameters.size()) {}

  mutable InUse in_use;  // by calls of the C ABI

  const Model& model() const { return *model_; }
  uint64_t version() const { return version_; }
  // Bytes of parameter i, in the parameter's own dtype and encoding.
  const void* bytes(int32_t i) const {
    return overlay_[(size_t)i].data() ? overlay_[(size_t)i].data() : model_->def().parameters[(size_t)i].data.bytes;
  }
  bool changed(int32_t i) const { return overlay_[(size_t)i].data() != nullptr; }
  // Gives parameter i a copy of its own that may be written. Same content as before.
  tern_status make_writable(int32_t i);
  // A run failed while it wrote parameters, so that some are new and some old: no run, and nobody else, takes them
  // again.
  void tear() { torn_ = true; }
  tern_status intact() const;
  // To be called after the content changed.
  void touch() { ++version_; }
  uint64_t overlay_bytes() const;

  // A plain copy (f32 where the parameter is encoded).
  tern_status get(int32_t i, Ref<Tensor>* tensor) const;
  // From a plain tensor of the parameter's shape, f32 or the parameter's own dtype.
  tern_status set(int32_t i, const Tensor& tensor);

 private:
  Ref<const Model> model_;  // before the blocks, whose allocator it keeps
  std::vector<Block> overlay_;
  uint64_t version_ = 1;
  bool torn_ = false;
};

// Index by name, or TERN_ERR_NOT_FOUND.
tern_status find_parameter(const ModelDef& model, std::string_view name, int32_t* index);

}  // namespace tern
