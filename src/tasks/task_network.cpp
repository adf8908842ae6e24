// SPDX-License-Identifier: Apache-2.0
#include "tasks/task_network.h"

#include <algorithm>

namespace tern {

tern_status TaskNetwork::create(const Model& model, const std::string& backends, TaskNetwork* out) {
  TaskNetwork n;
  TERN_TRY(TaskMetadata::read(model.def(), &n.metadata_));
  n.labels_ = n.metadata_.lines("labels");
  TERN_TRY(PictureInput::create(model, n.metadata_, &n.input_));
  Session::Options options;
  options.backends = backends;
  // Lines have many widths.
  if (n.metadata_.task() == Task::text_recognizer) options.max_plans = 16;
  TERN_TRY(Session::create(model, options, &n.session_));
  n.outputs_.resize(model.def().signatures[(size_t)n.metadata_.signature()].graph.outputs.size());
  *out = std::move(n);
  return TERN_OK;
}

tern_status TaskNetwork::run(const RunControl& control) {
  ++runs_;
  const Tensor* inputs[] = {&input_.tensor()};
  std::vector<const Tensor*> results(outputs_.size());
  for (auto& o : outputs_) o = {};
  TERN_TRY(session_->run(metadata_.signature(), inputs, results, control));
  for (size_t i = 0; i < results.size(); ++i) outputs_[i] = Ref<const Tensor>::adopt(results[i]);
  for (size_t i = 0; i < results.size(); ++i) {
    const Value& v = signature().graph.value(signature().graph.outputs[i]);
    if (results[i]->dtype() != v.dtype || results[i]->shape().rank != v.shape.rank)
      return TERN_FAIL(TERN_ERR_SHAPE, "output '%s' is %s%s, the file says %s%s", signature().output_names[i].c_str(),
                       dtype_name(results[i]->dtype()), to_string(results[i]->shape()).c_str(), dtype_name(v.dtype),
                       to_string(v.shape).c_str());
  }
  return TERN_OK;
}

void TaskNetwork::drop_background(int64_t classes) {
  const int64_t first = std::max<int64_t>(0, metadata_.integer("labels.first")),
                after = metadata_.integer("labels.after");
  if (classes <= 0 || first + after == 0) return;
  const int64_t n = (int64_t)labels_.size();
  if (n == classes + first || n == classes + first + after) {
    labels_.erase(labels_.begin(), labels_.begin() + first);
    labels_.resize((size_t)classes);
  } else if (n == classes + after) {
    labels_.resize((size_t)classes);
  }
}

tern_status check_labels(const TaskNetwork& network, int64_t classes) {
  const std::vector<std::string>& labels = network.labels();
  if (classes <= 0 || labels.empty() || (int64_t)labels.size() == classes) return TERN_OK;
  return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'labels' has %zu names, the model has %" PRId64 " classes",
                   labels.size(), classes);
}

int64_t elements_of_one(const TaskNetwork& network, const OutputColumns& c) {
  const Graph& g = network.signature().graph;
  const Shape &in = g.value(g.inputs[0]).shape, &s = network.declared(c).shape;
  const bool batch = in.rank == 4 && in[0] > 1 && s.rank >= 2 && s[0] == in[0];
  return batch ? s.elements() / in[0] : s.elements();
}

tern_status check_output(const TaskNetwork& network, const char* key, const OutputColumns& c, int64_t elements) {
  if (c.output < 0) return TERN_FAIL(TERN_ERR_CORRUPT, "the task needs the metadata '%s', which is missing", key);
  const Value& v = network.declared(c);
  if (v.dtype != TERN_DTYPE_F32 || (elements >= 0 && v.shape.elements() != elements))
    return TERN_FAIL(TERN_ERR_CORRUPT, "metadata '%s' names an output of %s%s; f32 and %" PRId64 " numbers are needed",
                     key, dtype_name(v.dtype), to_string(v.shape).c_str(), elements);
  return TERN_OK;
}

}  // namespace tern
