// SPDX-License-Identifier: Apache-2.0
// One model of a task: its metadata, its picture input and a session.
#pragma once
#include "tasks/picture_input.h"

namespace tern {

class TaskNetwork {
 public:
  static tern_status create(const Model& model, const std::string& backends, TaskNetwork* out);

  const Model& model() const { return session_->model(); }
  const ModelDef& def() const { return model().def(); }
  const TaskMetadata& metadata() const { return metadata_; }
  const Signature& signature() const { return def().signatures[(size_t)metadata_.signature()]; }
  // Of an output as the file declares it.
  const Value& declared(const OutputColumns& c) const {
    return signature().graph.value(signature().graph.outputs[(size_t)c.output]);
  }
  // Of the classes alone: names of the background are left out.
  const std::vector<std::string>& labels() const { return labels_; }
  void drop_background(int64_t classes);
  PictureInput& input() { return input_; }

  // Runs it on what input() holds. Outputs have the type and rank that the file declares; they are kept until the next
  // run.
  tern_status run(const RunControl& control);
  int64_t runs() const { return runs_; }  // so far
  std::span<const Ref<const Tensor>> outputs() const { return outputs_; }
  const Tensor& output(const OutputColumns& c) const { return *outputs_[(size_t)c.output]; }

 private:
  TaskMetadata metadata_;
  std::vector<std::string> labels_;
  PictureInput input_;
  std::unique_ptr<Session> session_;
  std::vector<Ref<const Tensor>> outputs_;
  int64_t runs_ = 0;
};

// The labels are as many as the classes, where both are known.
tern_status check_labels(const TaskNetwork& network, int64_t classes);
// How many numbers of an output belong to the first picture of a batch that is fixed.
int64_t elements_of_one(const TaskNetwork& network, const OutputColumns& c);
// An output of a task must be f32 and have this many numbers, where its sizes are fixed (elements < 0: any).
tern_status check_output(const TaskNetwork& network, const char* key, const OutputColumns& c, int64_t elements);

}  // namespace tern
