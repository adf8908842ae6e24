// SPDX-License-Identifier: Apache-2.0
// A loaded model: immutable, shared by any number of threads.
#pragma once
#include "graph/model_def.h"
#include "runtime/context.h"

namespace tern {

class Model : public RefCounted<Model> {
 public:
  // `owner` keeps the bytes alive that def's Data points into.
  Model(Context& context, ModelDef def, std::shared_ptr<const void> owner)
      : context_(Ref<Context>::share(&context)), owner_(std::move(owner)), def_(std::move(def)) {}

  Context& context() const { return *context_; }
  const ModelDef& def() const { return def_; }

 private:
  Ref<Context> context_;
  std::shared_ptr<const void> owner_;
  ModelDef def_;
};

}  // namespace tern
