// SPDX-License-Identifier: Apache-2.0
// A loaded model: immutable, shared by any number of threads.
#pragma once
#include "graph/model_def.h"
#include "runtime/context.h"

namespace tern {

class Model : public RefCounted<Model> {
 public:
  // `owner` keeps the bytes alive that def's Data points into. No plan may need more than max_planned_bytes.
  Model(Context& context, ModelDef def, std::shared_ptr<const void> owner, uint64_t max_planned_bytes = UINT64_MAX)
      : context_(Ref<Context>::share(&context)), owner_(std::move(owner)), def_(std::move(def)), max_planned_bytes_(max_planned_bytes) {}

  Context& context() const { return *context_; }
  const ModelDef& def() const { return def_; }
  uint64_t max_planned_bytes() const { return max_planned_bytes_; }

 private:
  Ref<Context> context_;
  std::shared_ptr<const void> owner_;
  ModelDef def_;
  uint64_t max_planned_bytes_;
};

}  // namespace tern
