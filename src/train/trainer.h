// SPDX-License-Identifier: Apache-2.0
// Runs the step of a model again and again: what stands behind tern_trainer.
//
// A checkpoint is a .tern file without signatures: the parameters that the step writes, the states as parameters
// "state/NAME", and metadata: the number of steps, the seed, and whatever the caller adds. Files are replaced as a
// whole.
#pragma once
#include "runtime/session.h"

namespace tern {

class Trainer {
 public:
  struct Options {
    std::string step = "step";  // name of the signature
    std::string backends = "cpu";
    int64_t seed = 0;
    bool skip_not_finite = false;  // such a step changes nothing and is no error
    uint64_t budget = UINT64_MAX;  // bytes beside the model's own: what is learnt, states, activations, outputs
  };
  // What the step takes, before the first one.
  struct Memory {
    uint64_t parameters = 0, states = 0, activations = 0, work = 0;
    uint64_t without_budget = 0;  // activations, if nothing were computed again
    int64_t again = 0;            // nodes that are
    uint64_t peak() const { return parameters + states + activations + work; }
  };
  static tern_status create(const Model& model, const Options& options, std::unique_ptr<Trainer>* out);

  const Model& model() const { return *model_; }
  Session& session() { return *session_; }
  int64_t steps() const { return steps_; }  // done, skipped ones included
  int64_t skipped() const { return skipped_; }
  const Memory& memory() const { return memory_; }

  // Inputs of the step that a caller gives: all but the scalars "step" and "seed".
  size_t num_inputs() const { return given_.size(); }
  // One step. Errors: as Session::run; TERN_ERR_NOT_FINITE names the step. Whatever fails before the update changes
  // nothing, and the same step may be tried again.
  tern_status step(std::span<const Tensor* const> inputs, const RunControl& control);
  // Outputs of the latest step that are one number.
  struct Metric {
    const char* name;
    double value;
  };
  std::span<const Metric> metrics() const { return metrics_; }
  // Another signature, with the parameters and states as they are now. inputs, outputs: as Session::run, with the
  // scalars "step" and "seed" left out.
  tern_status run(int32_t signature, std::span<const Tensor* const> inputs, std::span<const Tensor*> outputs,
                  const RunControl& control);

  // more: what a caller wants to find again, as the position in its data.
  tern_status save(const char* path, std::string_view more = {}) const;
  // What is wrong with a file changes nothing. more: may be NULL.
  tern_status load(const char* path, std::string* more);
  // `model` with the parameters of a set (train/graph_builder.h) as they are now, in a new file.
  tern_status export_model(const Model& model, std::string_view set, const char* path) const;

 private:
  explicit Trainer(const Model& model, const Options& options)
      : model_(Ref<const Model>::share(&model)), options_(options) {}
  tern_status open(const Ref<Parameters>& parameters, const Ref<State>& state);
  tern_status plan();
  tern_status gather(int32_t signature, std::span<const Tensor* const> inputs, std::vector<const Tensor*>* all) const;

  Ref<const Model> model_;
  Options options_;
  std::unique_ptr<Session> session_;
  Ref<Tensor> step_scalar_, seed_scalar_;
  int32_t signature_ = -1;
  std::vector<int32_t> given_;
  std::vector<Metric> metrics_;
  Memory memory_;
  int64_t steps_ = 0, skipped_ = 0;
};

}  // namespace tern
