// SPDX-License-Identifier: Apache-2.0
#include "tern/graph.h"

#include <algorithm>
#include <cstddef>

#include "capi/handle.h"
#include "format/writer.h"
#include "train/edit.h"
#include "train/graph_builder.h"
#include "train/parameter_file.h"

using namespace tern;
using namespace tern::capi;

struct tern_graph {
  GraphBuilder builder;
  InUse in_use;
  explicit tern_graph(Context& context) : builder(context) {}
};

namespace {

// Without the capability nobody has a graph: what would use one refers to no code of it.
constexpr bool kHere = has_capability(Capability::training);

// Runs the body of an entry; its error becomes the graph's first.
template <class Body>
tern_status use(tern_graph* graph, const char* entry, Body&& body) noexcept {
  if constexpr (!kHere) return left_out(Capability::training, entry);
  else
    return guard([&]() -> tern_status {
      TERN_TRY(check_not_null(graph, "graph"));
      Hold hold;
      TERN_TRY(hold.alone(graph->in_use, "this graph"));
      TERN_TRY(graph->builder.report());
      const tern_status status = guard([&] { return body(graph->builder); });
      return graph->builder.fail_with(status);
    });
}

template <class Body>
tern_value make(tern_graph* graph, const char* entry, Body&& body) noexcept {
  tern_value value = TERN_NO_VALUE;
  const tern_status status = use(graph, entry, [&](GraphBuilder& b) -> tern_status {
    TERN_TRY(body(b, &value));
    return b.status();
  });
  return status == TERN_OK ? value : TERN_NO_VALUE;
}

tern_status read_values(const tern_value* values, int32_t count, const char* name, std::span<const ValueId>* out) {
  if (count < 0) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the number of %s is %d", name, count);
  if (count > 0) TERN_TRY(check_not_null(values, name));
  *out = {values, (size_t)count};
  return TERN_OK;
}

tern_status check_dtype(int32_t dtype) {
  return is_dtype(dtype) ? TERN_OK
                         : TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "dtype is %d, which is no element type", dtype);
}

tern_status read_call_options(const tern_call_options* given, CallOptions* out) {
  tern_call_options o = TERN_CALL_OPTIONS_INIT;
  TERN_TRY(read_options(given, &o, "tern_call_options"));
  TERN_TRY(check_flags(o.flags, TERN_CALL_TRAIN | TERN_CALL_KEEP_STATISTICS, "tern_call_options"));
  TERN_TRY(read_values(o.values, o.num_values, "values", &out->values));
  if (o.num_values > 0) TERN_TRY(check_not_null(o.names, "names"));
  for (int32_t i = 0; i < o.num_values; ++i) TERN_TRY(check_not_null(o.names[i], "a name"));
  out->names = {o.names, (size_t)o.num_values};
  if (!(o.statistics_momentum >= 0 && o.statistics_momentum <= 1))
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "statistics_momentum is %g, allowed is 0 (the default) to 1",
                     (double)o.statistics_momentum);
  if (o.statistics_momentum > 0) out->statistics_momentum = o.statistics_momentum;
  out->train = o.flags & TERN_CALL_TRAIN;
  out->keep_statistics = o.flags & TERN_CALL_KEEP_STATISTICS;
  if (o.set) out->set = o.set;
  if (o.parameters) out->parameters = to_object(o.parameters);
  return TERN_OK;
}

}  // namespace

extern "C" {

tern_status tern_call_options_init(tern_call_options* options, size_t size) noexcept {
  const tern_call_options defaults = TERN_CALL_OPTIONS_INIT;
  return init_struct(options, size, &defaults, sizeof defaults, sizeof defaults, "tern_call_options");
}

tern_status tern_graph_create(tern_context* context, tern_graph** graph) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::training, "tern_graph_create");
    TERN_CHECK_NOT_NULL(context);
    TERN_CHECK_NOT_NULL(graph);
    *graph = new tern_graph(*to_object(context));
    return TERN_OK;
  });
}

void tern_graph_release(tern_graph* graph) noexcept {
  if (kHere) delete graph;
}

tern_status tern_graph_begin(tern_graph* graph, const char* signature) noexcept {
  return use(graph, "tern_graph_begin", [&](GraphBuilder& b) -> tern_status {
    TERN_CHECK_NOT_NULL(signature);
    return b.begin(signature);
  });
}

tern_value tern_graph_input(tern_graph* graph, const char* name, int32_t dtype, const int64_t* dims,
                            int32_t rank) noexcept {
  return make(graph, "tern_graph_input", [&](GraphBuilder& b, tern_value* value) -> tern_status {
    TERN_CHECK_NOT_NULL(name);
    TERN_TRY(check_dtype(dtype));
    Shape shape;
    TERN_TRY(read_shape(dims, rank, &shape));
    *value = b.input(name, (DType)dtype, shape);
    return TERN_OK;
  });
}

tern_value tern_graph_scalar(tern_graph* graph, const char* name) noexcept {
  return make(graph, "tern_graph_scalar", [&](GraphBuilder& b, tern_value* value) -> tern_status {
    TERN_CHECK_NOT_NULL(name);
    *value = b.scalar(name);
    return TERN_OK;
  });
}

tern_value tern_graph_parameter(tern_graph* graph, const char* name, const tern_tensor* tensor) noexcept {
  return make(graph, "tern_graph_parameter", [&](GraphBuilder& b, tern_value* value) -> tern_status {
    TERN_CHECK_NOT_NULL(name);
    *value = b.parameter(name, to_object(tensor));
    return TERN_OK;
  });
}

tern_value tern_graph_state(tern_graph* graph, const char* name, int32_t dtype, const int64_t* dims,
                            int32_t rank) noexcept {
  return make(graph, "tern_graph_state", [&](GraphBuilder& b, tern_value* value) -> tern_status {
    TERN_CHECK_NOT_NULL(name);
    TERN_TRY(check_dtype(dtype));
    Shape shape;
    TERN_TRY(read_shape(dims, rank, &shape));
    *value = b.state(name, (DType)dtype, shape);
    return TERN_OK;
  });
}

tern_value tern_graph_state_like(tern_graph* graph, const char* name, tern_value like) noexcept {
  return make(graph, "tern_graph_state_like", [&](GraphBuilder& b, tern_value* value) -> tern_status {
    TERN_CHECK_NOT_NULL(name);
    *value = b.state_like(name, like);
    return TERN_OK;
  });
}

tern_value tern_graph_constant(tern_graph* graph, const tern_tensor* tensor) noexcept {
  return make(graph, "tern_graph_constant", [&](GraphBuilder& b, tern_value* value) -> tern_status {
    TERN_CHECK_NOT_NULL(tensor);
    *value = b.constant(*to_object(tensor));
    return TERN_OK;
  });
}

tern_value tern_graph_number(tern_graph* graph, double number) noexcept {
  return make(graph, "tern_graph_number", [&](GraphBuilder& b, tern_value* value) -> tern_status {
    *value = b.number(number);
    return TERN_OK;
  });
}

tern_value tern_graph_op(tern_graph* graph, const char* op, const char* attributes, const tern_value* inputs,
                         int32_t num_inputs) noexcept {
  return make(graph, "tern_graph_op", [&](GraphBuilder& b, tern_value* value) -> tern_status {
    TERN_CHECK_NOT_NULL(op);
    std::span<const ValueId> in;
    TERN_TRY(read_values(inputs, num_inputs, "inputs", &in));
    *value = b.op(op, attributes ? attributes : "", in);
    return TERN_OK;
  });
}

tern_value tern_graph_result(tern_graph* graph, tern_value value, int32_t index) noexcept {
  return make(graph, "tern_graph_result", [&](GraphBuilder& b, tern_value* out) -> tern_status {
    *out = b.result(value, index);
    return TERN_OK;
  });
}

tern_value tern_graph_call(tern_graph* graph, const char* name, const tern_model* model, const char* signature,
                           const tern_value* inputs, int32_t num_inputs, const tern_call_options* options) noexcept {
  return make(graph, "tern_graph_call", [&](GraphBuilder& b, tern_value* value) -> tern_status {
    TERN_CHECK_NOT_NULL(model);
    TERN_CHECK_NOT_NULL(signature);
    std::span<const ValueId> in;
    TERN_TRY(read_values(inputs, num_inputs, "inputs", &in));
    CallOptions own;
    TERN_TRY(read_call_options(options, &own));
    Hold hold;
    if (own.parameters) TERN_TRY(hold.shared(own.parameters->in_use, "the parameters"));
    *value = b.call(name ? name : "", *to_object(model), signature, in, own);
    return TERN_OK;
  });
}

tern_value tern_graph_find(tern_graph* graph, const char* name) noexcept {
  return make(graph, "tern_graph_find", [&](GraphBuilder& b, tern_value* value) -> tern_status {
    TERN_CHECK_NOT_NULL(name);
    *value = b.find(name);
    return TERN_OK;
  });
}

int32_t tern_graph_list(tern_graph* graph, const char* pattern, tern_value* values, int32_t capacity) noexcept {
  int32_t count = -1;
  const tern_status status = use(graph, "tern_graph_list", [&](GraphBuilder& b) -> tern_status {
    TERN_CHECK_NOT_NULL(pattern);
    std::span<const ValueId> room;
    TERN_TRY(read_values(values, capacity, "values", &room));
    const std::vector<ValueId> all = b.list(pattern);
    std::copy_n(all.begin(), std::min(all.size(), room.size()), values);
    count = (int32_t)all.size();
    return b.status();
  });
  return status == TERN_OK ? count : -1;
}

tern_status tern_graph_get(tern_graph* graph, tern_value value, tern_tensor_info* info) noexcept {
  return use(graph, "tern_graph_get", [&](GraphBuilder& b) -> tern_status {
    constexpr size_t kFirst = offsetof(tern_tensor_info, step_dims);
    TERN_TRY(check_output_struct(info, kFirst, "tern_tensor_info"));
    const Value* v = b.value(value);
    if (!v) return b.status();
    tern_tensor_info result = TERN_TENSOR_INFO_INIT;
    fill_tensor_info(v->name.c_str(), v->dtype, v->shape, v->encoding, &result);
    result.is_scalar = v->kind == ValueKind::scalar;
    return write_struct(result, info, "tern_tensor_info", kFirst);
  });
}

tern_status tern_graph_gradient(tern_graph* graph, tern_value scalar, const tern_value* values, int32_t num_values,
                                tern_value* gradients) noexcept {
  const tern_status status = use(graph, "tern_graph_gradient", [&](GraphBuilder& b) -> tern_status {
    std::span<const ValueId> wrt;
    TERN_TRY(read_values(values, num_values, "values", &wrt));
    if (num_values > 0) TERN_CHECK_NOT_NULL(gradients);
    std::vector<ValueId> found(wrt.size());
    TERN_TRY(b.gradient(scalar, wrt, found.data()));
    std::copy(found.begin(), found.end(), gradients);
    return TERN_OK;
  });
  // As all calls after an error; what follows reads them.
  if (status != TERN_OK && gradients && num_values > 0) std::fill_n(gradients, num_values, TERN_NO_VALUE);
  return status;
}

tern_status tern_graph_write(tern_graph* graph, tern_value target, tern_value value) noexcept {
  return use(graph, "tern_graph_write", [&](GraphBuilder& b) { return b.write(target, value); });
}

tern_status tern_graph_output(tern_graph* graph, const char* name, tern_value value) noexcept {
  return use(graph, "tern_graph_output", [&](GraphBuilder& b) -> tern_status {
    TERN_CHECK_NOT_NULL(name);
    return b.output(name, value);
  });
}

tern_status tern_graph_finish(tern_graph* graph, tern_model** model) noexcept {
  return use(graph, "tern_graph_finish", [&](GraphBuilder& b) -> tern_status {
    TERN_CHECK_NOT_NULL(model);
    Ref<Model> made;
    TERN_TRY(b.finish(&made));
    *model = to_handle(made.detach());
    return TERN_OK;
  });
}

tern_status tern_model_edit(const tern_model* model, const char* edit, const char* pattern, const char* attributes,
                            tern_model** edited) noexcept {
  return guard([&]() -> tern_status {
    if constexpr (!kHere) return left_out(Capability::training, "tern_model_edit");
    else {
      TERN_CHECK_NOT_NULL(model);
      TERN_CHECK_NOT_NULL(edit);
      TERN_CHECK_NOT_NULL(pattern);
      TERN_CHECK_NOT_NULL(edited);
      Ref<Model> made;
      TERN_TRY(edit_model(*to_object(model), edit, pattern, attributes ? attributes : "", &made));
      *edited = to_handle(made.detach());
      return TERN_OK;
    }
  });
}

tern_status tern_model_save(const tern_model* model, const char* path) noexcept {
  return guard([&]() -> tern_status {
    if constexpr (!kHere) return left_out(Capability::training, "tern_model_save");
    else {
      TERN_CHECK_NOT_NULL(model);
      TERN_CHECK_NOT_NULL(path);
      return write_model(to_object(model)->def(), path);
    }
  });
}

tern_status tern_parameters_save(const tern_parameters* parameters, const char* pattern, const char* path) noexcept {
  return guard([&]() -> tern_status {
    if constexpr (!kHere) return left_out(Capability::training, "tern_parameters_save");
    else {
      TERN_CHECK_NOT_NULL(parameters);
      TERN_CHECK_NOT_NULL(pattern);
      TERN_CHECK_NOT_NULL(path);
      Hold hold;
      TERN_TRY(hold.shared(to_object(parameters)->in_use, "these parameters"));
      return save_parameters(*to_object(parameters), pattern, path);
    }
  });
}

tern_status tern_parameters_load(tern_parameters* parameters, const char* path) noexcept {
  return guard([&]() -> tern_status {
    if constexpr (!kHere) return left_out(Capability::training, "tern_parameters_load");
    else {
      TERN_CHECK_NOT_NULL(parameters);
      TERN_CHECK_NOT_NULL(path);
      Hold hold;
      TERN_TRY(hold.alone(to_object(parameters)->in_use, "these parameters"));
      return load_parameters(path, *to_object(parameters));
    }
  });
}

const char* tern_graph_ops(int32_t index) noexcept {
  const std::span<const Op* const> all = all_ops();
  return index >= 0 && (size_t)index < all.size() ? all[(size_t)index]->name : nullptr;
}
}
