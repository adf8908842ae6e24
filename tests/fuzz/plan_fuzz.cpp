// SPDX-License-Identifier: Apache-2.0
// Fuzz target: a model file that is read is planned too, and run where that is small.
#include <cstring>
#include <vector>

#include "backends/cpu/backend.h"
#include "format/reader.h"
#include "runtime/session.h"
#include "tests/fuzz/walk.h"

namespace {

using namespace tern;

void run(Session& session, const ModelDef& def, int32_t signature) {
  const Graph& g = def.signatures[(size_t)signature].graph;
  std::vector<Ref<Tensor>> tensors;
  std::vector<const Tensor*> inputs, outputs(g.outputs.size());
  uint64_t bytes = 0;
  for (const ValueId v : g.outputs) bytes += value_bytes(g.value(v));
  for (const ValueId v : g.inputs) {
    Ref<Tensor> t;
    if ((bytes += value_bytes(g.value(v))) > 1 << 20 ||
        Tensor::create(session.model().context(), g.value(v).dtype, g.value(v).shape, &t) != TERN_OK)
      return;
    inputs.push_back(t.get());
    tensors.push_back(std::move(t));
  }
  RunControl control;
  control.deadline_ns = monotonic_ns() + 50'000'000;
  if (session.run(signature, inputs, outputs, control) != TERN_OK) return;
  for (const Tensor* t : outputs) t->release();
}

void plan(const uint8_t* data, size_t size) {
  Bytes file;
  if (copy_bytes(data, size, &file) != TERN_OK) return;
  fuzz::reseal(const_cast<uint8_t*>(file.data), file.size);
  tern_limits limits = resolve_limits(nullptr);
  limits.max_tensor_bytes = 1 << 20;
  limits.max_planned_bytes = 1 << 20;
  ModelDef def;
  if (read_model(file, limits, &def) != TERN_OK) return;
  static const BackendApi* const tables[] = {&cpu::backend()};
  Context::Options one;
  one.threads.num_threads = 1;
  const auto context = Ref<Context>::adopt(new Context(one, tables));
  const auto model = Ref<Model>::adopt(new Model(*context, std::move(def), file.owner, limits.max_planned_bytes));
  std::unique_ptr<Session> session;
  if (Session::create(*model, {}, &session) != TERN_OK) return;
  for (size_t i = 0; i < model->def().signatures.size(); ++i) run(*session, model->def(), (int32_t)i);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  plan(data, size);
  return 0;
}
