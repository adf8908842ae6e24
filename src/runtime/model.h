// SPDX-License-Identifier: Apache-2.0
// A loaded model: immutable, shared by any number of threads.
#pragma once
#include <mutex>

#include "passes/follow_sizes.h"
#include "runtime/context.h"
#include "runtime/residency.h"

namespace tern {

class Model : public RefCounted<Model> {
 public:
  // `owner` keeps the bytes alive that def's Data points into. No plan may need more than max_planned_bytes.
  Model(Context& context, ModelDef def, std::shared_ptr<const void> owner, uint64_t max_planned_bytes = UINT64_MAX)
      : context_(Ref<Context>::share(&context)),
        owner_(std::move(owner)),
        def_(std::move(def)),
        max_planned_bytes_(max_planned_bytes) {
    for (const Parameter& p : def_.parameters)
      parameters_.push_back(Ref<Resident>::adopt(new Resident(context.allocator(), p.data, p.bytes)));
  }

  Context& context() const { return *context_; }
  const ModelDef& def() const { return def_; }
  uint64_t max_planned_bytes() const { return max_planned_bytes_; }
  // The file's own parameters, one each.
  std::span<const Ref<Resident>> parameters() const { return parameters_; }
  Residency& residency() const { return residency_; }
  // Of the outputs of a signature; found when they are first asked for.
  const std::vector<OutputSizes>& output_sizes(size_t signature) const {
    const std::lock_guard lock(sizes_lock_);
    if (output_sizes_.empty()) {
      std::vector<std::vector<OutputSizes>> found;
      for (const Signature& s : def_.signatures) found.push_back(sizes_of_outputs(s));
      output_sizes_ = std::move(found);
    }
    return output_sizes_[signature];
  }

 private:
  Ref<Context> context_;
  std::shared_ptr<const void> owner_;
  ModelDef def_;
  uint64_t max_planned_bytes_;
  std::vector<Ref<Resident>> parameters_;
  mutable Residency residency_;
  mutable std::mutex sizes_lock_;  // (an error of memory may not leave std::call_once)
  mutable std::vector<std::vector<OutputSizes>> output_sizes_;
};

}  // namespace tern
