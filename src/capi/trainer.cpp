// SPDX-License-Identifier: Apache-2.0
#include "tern/trainer.h"

#include "capi/handle.h"
#include "train/trainer.h"

using namespace tern;
using namespace tern::capi;

struct tern_trainer {
  std::unique_ptr<Trainer> trainer;
  std::string more;
  mutable InUse in_use;
};

namespace {

constexpr bool kHere = has_capability(Capability::training);

// Runs the body of an entry; what fails is logged.
template <class Handle, class Body>
tern_status use(Handle* trainer, const char* entry, Body&& body) noexcept {
  if constexpr (!kHere) return left_out(Capability::training, entry);
  else {
    const tern_status status = guard([&]() -> tern_status {
      TERN_TRY(check_not_null(trainer, "trainer"));
      Hold hold;
      TERN_TRY(hold.alone(trainer->in_use, "this trainer"));
      return body(*trainer->trainer, hold);
    });
    return trainer ? log_error(trainer->trainer->model().context(), status) : status;
  }
}

tern_status read_tensors(const tern_tensor* const* list, int32_t count, const char* name,
                         std::vector<const Tensor*>* out) {
  if (count < 0) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the number of %s is %d", name, count);
  if (count > 0) TERN_TRY(check_not_null(list, name));
  for (int32_t i = 0; i < count; ++i) {
    if (!list[i]) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "input %d is NULL", i);
    out->push_back(to_object(list[i]));
  }
  return TERN_OK;
}

}  // namespace

extern "C" {

tern_status tern_trainer_options_init(tern_trainer_options* options, size_t size) noexcept {
  const tern_trainer_options defaults = TERN_TRAINER_OPTIONS_INIT;
  return init_struct(options, size, &defaults, sizeof defaults, sizeof defaults, "tern_trainer_options");
}

tern_status tern_trainer_create(const tern_model* model, const tern_trainer_options* options,
                                tern_trainer** trainer) noexcept {
  return guard([&]() -> tern_status {
    if constexpr (!kHere) return left_out(Capability::training, "tern_trainer_create");
    else {
      TERN_CHECK_NOT_NULL(model);
      TERN_CHECK_NOT_NULL(trainer);
      tern_trainer_options o = TERN_TRAINER_OPTIONS_INIT;
      TERN_TRY(read_options(options, &o, "tern_trainer_options"));
      TERN_TRY(check_flags(o.flags, TERN_TRAINER_SKIP_NOT_FINITE, "tern_trainer_options"));
      Trainer::Options own;
      if (o.step) own.step = o.step;
      if (o.backends) own.backends = o.backends;
      own.seed = (int64_t)o.seed;
      if (o.budget) own.budget = o.budget;
      own.skip_not_finite = o.flags & TERN_TRAINER_SKIP_NOT_FINITE;
      auto t = std::make_unique<tern_trainer>();
      TERN_TRY(Trainer::create(*to_object(model), own, &t->trainer));
      *trainer = t.release();
      return TERN_OK;
    }
  });
}

void tern_trainer_release(tern_trainer* trainer) noexcept {
  if constexpr (kHere) delete trainer;
}

tern_status tern_trainer_step(tern_trainer* trainer, const tern_tensor* const* inputs, int32_t num_inputs,
                              const tern_run_options* options) noexcept {
  return use(trainer, "tern_trainer_step", [&](Trainer& t, Hold& hold) -> tern_status {
    std::vector<const Tensor*> in;
    TERN_TRY(read_tensors(inputs, num_inputs, "inputs", &in));
    RunControl control;
    TERN_TRY(read_run_options(options, &control));
    TERN_TRY(hold.alone(t.session().parameters().in_use, "the trainer's parameters"));
    return t.step(in, control);
  });
}

int64_t tern_trainer_steps(const tern_trainer* trainer) noexcept {
  if constexpr (!kHere) return 0;
  else return trainer ? trainer->trainer->steps() : 0;
}

int64_t tern_trainer_skipped(const tern_trainer* trainer) noexcept {
  if constexpr (!kHere) return 0;
  else return trainer ? trainer->trainer->skipped() : 0;
}

tern_status tern_trainer_get_metric(const tern_trainer* trainer, int32_t index, const char** name,
                                    double* value) noexcept {
  if constexpr (!kHere) return left_out(Capability::training, "tern_trainer_get_metric");
  else
    return guard([&]() -> tern_status {
      TERN_CHECK_NOT_NULL(trainer);
      TERN_CHECK_NOT_NULL(name);
      TERN_CHECK_NOT_NULL(value);
      const std::span<const Trainer::Metric> all = trainer->trainer->metrics();
      if (index < 0 || (size_t)index >= all.size())
        return TERN_FAIL(TERN_ERR_NOT_FOUND, "metric %d: there are %zu", index, all.size());
      *name = all[(size_t)index].name, *value = all[(size_t)index].value;
      return TERN_OK;
    });
}

tern_status tern_trainer_get_memory(const tern_trainer* trainer, tern_trainer_memory* memory) noexcept {
  if constexpr (!kHere) return left_out(Capability::training, "tern_trainer_get_memory");
  else
    return guard([&]() -> tern_status {
      TERN_CHECK_NOT_NULL(trainer);
      const Trainer::Memory& m = trainer->trainer->memory();
      tern_trainer_memory result = TERN_TRAINER_MEMORY_INIT;
      result.again = (int32_t)m.again;
      result.parameter_bytes = m.parameters, result.state_bytes = m.states;
      result.activation_bytes = m.activations, result.work_bytes = m.work, result.unlimited_bytes = m.without_budget;
      return write_struct(result, memory, "tern_trainer_memory");
    });
}

tern_status tern_trainer_run(tern_trainer* trainer, int32_t signature, const tern_tensor* const* inputs,
                             int32_t num_inputs, const tern_tensor** outputs, int32_t num_outputs,
                             const tern_run_options* options) noexcept {
  return use(trainer, "tern_trainer_run", [&](Trainer& t, Hold& hold) -> tern_status {
    std::vector<const Tensor*> in;
    TERN_TRY(read_tensors(inputs, num_inputs, "inputs", &in));
    RunControl control;
    TERN_TRY(read_run_options(options, &control));
    const std::vector<Signature>& all = t.model().def().signatures;
    const int32_t expected =
        signature >= 0 && (size_t)signature < all.size() ? (int32_t)all[(size_t)signature].graph.outputs.size() : 0;
    if (num_outputs != expected)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "signature %d has %d outputs, there is room for %d", signature,
                       expected, num_outputs);
    if (num_outputs > 0) TERN_CHECK_NOT_NULL(outputs);
    TERN_TRY(hold.alone(t.session().parameters().in_use, "the trainer's parameters"));
    std::vector<const Tensor*> made((size_t)num_outputs, nullptr);
    TERN_TRY(t.run(signature, in, made, control));
    for (int32_t k = 0; k < num_outputs; ++k) outputs[k] = to_handle(made[(size_t)k]);
    return TERN_OK;
  });
}

tern_parameters* tern_trainer_parameters(tern_trainer* trainer) noexcept {
  if constexpr (!kHere) return nullptr;
  else return trainer ? to_handle(&trainer->trainer->session().parameters()) : nullptr;
}

tern_status tern_trainer_save(const tern_trainer* trainer, const char* path, const char* more) noexcept {
  return use(trainer, "tern_trainer_save", [&](const Trainer& t, Hold&) -> tern_status {
    TERN_CHECK_NOT_NULL(path);
    return t.save(path, more ? more : "");
  });
}

tern_status tern_trainer_load(tern_trainer* trainer, const char* path, const char** more) noexcept {
  return use(trainer, "tern_trainer_load", [&](Trainer& t, Hold&) -> tern_status {
    TERN_CHECK_NOT_NULL(path);
    std::string text;
    TERN_TRY(t.load(path, &text));
    trainer->more = std::move(text);
    if (more) *more = trainer->more.c_str();
    return TERN_OK;
  });
}

tern_status tern_trainer_export(const tern_trainer* trainer, const tern_model* model, const char* set,
                                const char* path) noexcept {
  return use(trainer, "tern_trainer_export", [&](const Trainer& t, Hold&) -> tern_status {
    TERN_CHECK_NOT_NULL(model);
    TERN_CHECK_NOT_NULL(path);
    return t.export_model(*to_object(model), set ? set : "", path);
  });
}
}
