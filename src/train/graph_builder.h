// SPDX-License-Identifier: Apache-2.0
// Composes models: what stands behind tern_graph.
//
// The first error stays: its status and message are kept, calls after it do nothing.
#pragma once
#include <functional>

#include "runtime/parameters.h"

namespace tern {

struct CallOptions {
  bool train = false, keep_statistics = false;
  std::string_view set;                    // of parameters; "": the one without a name
  const Parameters* parameters = nullptr;  // what a new set begins with; NULL: the model's own
  std::span<const char* const> names;      // of parameters or values inside, and what stands in their place
  std::span<const ValueId> values;         // as many
  double statistics_momentum = 0.1;
};

class GraphBuilder {
 public:
  explicit GraphBuilder(Context& context) : context_(Ref<Context>::share(&context)) {}

  Context& context() { return *context_; }
  tern_status status() const { return status_; }
  // Keeps the error that this thread just recorded, unless there is one already.
  tern_status fail_with(tern_status status);
  // The kept error is this thread's last again.
  tern_status report() const;

  tern_status begin(std::string_view signature);
  ValueId input(std::string_view name, DType dtype, const Shape& shape);
  ValueId scalar(std::string_view name);
  ValueId parameter(std::string_view name, const Tensor* content);
  ValueId state(std::string_view name, DType dtype, const Shape& shape);
  ValueId state_like(std::string_view name, ValueId like);
  ValueId constant(const Tensor& content);
  ValueId number(double value);
  ValueId op(std::string_view name, std::string_view attributes, std::span<const ValueId> inputs);
  ValueId result(ValueId first, int32_t index);
  ValueId call(std::string_view name, const Model& model, std::string_view signature, std::span<const ValueId> inputs,
               const CallOptions& options);
  ValueId find(std::string_view name);
  std::vector<ValueId> list(std::string_view pattern);
  // NULL after an error, or if there is no such value.
  const Value* value(ValueId v);
  tern_status gradient(ValueId scalar, std::span<const ValueId> values, ValueId* gradients);
  tern_status write(ValueId target, ValueId value);
  tern_status output(std::string_view name, ValueId value);
  tern_status finish(Ref<Model>* model);

 private:
  // Parameters and states of one model under one name.
  struct Set {
    std::string name;
    Ref<const Model> model;
    std::vector<int32_t> parameters, states;  // by number there: number here, -1 while unused
  };
  // A name inside the signature, and what it stands for.
  struct Named {
    std::string name;
    ValueId value;
  };
  struct Results {
    ValueId first;
    std::vector<ValueId> all;
  };
  // One call while it is made (graph_call.cpp).
  struct Call;

  Graph& g() { return def_.signatures.back().graph; }
  // Runs a body that gives a value, unless there is an error already; keeps its own.
  ValueId make(const std::function<tern_status(ValueId*)>& body);
  tern_status ready();
  tern_status check(std::span<const ValueId> values, const char* what);
  tern_status check_free(std::string_view name);
  ValueId named(std::string_view name, ValueId v);
  ValueId add_state(std::string_view name, DType dtype, const Shape& shape, Encoding encoding);
  ValueId use_parameter(int32_t index);
  ValueId use_state(int32_t index);
  int32_t add_parameter(Parameter p);
  ValueId plain(ValueId v);
  tern_status append(Node node, int32_t num_out, std::vector<ValueId>* outs);
  tern_status take_targets(Node& node);
  tern_status end_signature();
  Set* find_set(std::string_view name, const Model& model);

  Ref<Context> context_;
  ModelDef def_;
  std::vector<Set> sets_;
  std::vector<char> statistics_;  // per parameter: of a batch norm
  std::shared_ptr<std::vector<Ref<const Model>>> sources_ = std::make_shared<std::vector<Ref<const Model>>>();
  // Of the signature that was begun last:
  std::vector<Named> names_;
  std::vector<Results> results_;
  std::vector<ValueId> parameters_, states_;  // values here, by number, or kNoValue
  std::vector<ValueId> written_, losses_;     // losses: what was differentiated

  bool finished_ = false;
  tern_status status_ = TERN_OK;
  tern_error error_ = TERN_ERROR_INIT;
};

}  // namespace tern
