// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "capi/handle.h"
#include "format/reader.h"

using namespace tern;
using namespace tern::capi;

namespace {

struct Load {
  LoadMode mode = LoadMode::map;
  bool check_weights = false;
  tern_limits limits;
};

tern_status read_load_options(const tern_load_options* given, Load* out) {
  tern_load_options o = TERN_LOAD_OPTIONS_INIT;
  TERN_TRY(read_options(given, &o, "tern_load_options"));
  TERN_TRY(check_flags(o.flags, TERN_LOAD_COPY | TERN_LOAD_CHECK_WEIGHTS, "tern_load_options"));
  tern_limits limits = TERN_LIMITS_INIT;
  TERN_TRY(read_options(o.limits, &limits, "tern_limits"));
  out->mode = o.flags & TERN_LOAD_COPY ? LoadMode::copy : LoadMode::map;
  out->check_weights = o.flags & TERN_LOAD_CHECK_WEIGHTS;
  out->limits = resolve_limits(&limits);
  return TERN_OK;
}

tern_status make_model(tern_context* context, const Bytes& file, const Load& load, const char* from,
                       tern_model** model) {
  const uint64_t begin_ns = monotonic_ns();
  ModelDef def;
  TERN_TRY(read_model(file, load.limits, &def));
  if (load.check_weights) TERN_TRY(check_weights(file));
  Model* const m = new Model(*to_object(context), std::move(def), file.owner, load.limits.max_planned_bytes);
  *model = to_handle(m);
  m->context().log(2, "model loaded from %s in %.1f ms: %zu signatures, %zu parameters, %zu bytes", from,
                   (double)(monotonic_ns() - begin_ns) * 1e-6, m->def().signatures.size(), m->def().parameters.size(),
                   file.size);
  return TERN_OK;
}

// Runs the body of an entry that loads a model; what fails is logged.
template <class Body>
tern_status guard_logged(tern_context* context, Body&& body) noexcept {
  const tern_status status = guard(body);
  return status != TERN_OK && context ? log_error(*to_object(context), status) : status;
}

const Signature* find(const tern_model* model, int32_t signature) {
  if (!model) return nullptr;
  const auto& list = to_object(model)->def().signatures;
  return signature >= 0 && (size_t)signature < list.size() ? &list[(size_t)signature] : nullptr;
}

tern_status get_signature(const tern_model* model, int32_t signature, const Signature** out) {
  TERN_CHECK_NOT_NULL(model);
  *out = find(model, signature);
  return *out ? TERN_OK
              : TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "signature %d: the model has %zu", signature,
                          to_object(model)->def().signatures.size());
}

// Dims of an output that change with the sizes of inputs or with data.
void mark_varying(const Model& model, size_t signature, size_t output, tern_tensor_info* info) {
  const OutputSizes& sizes = model.output_sizes(signature)[output];
  if (sizes.text.empty()) return;
  info->sizes = sizes.text.c_str();
  for (int a = 0; a < info->rank; ++a) {
    if (!sizes.varies[a]) continue;
    info->dims[a] = -1;
    info->min_dims[a] = 0;
    info->max_dims[a] = INT64_MAX;
  }
}

void fill_input(const Signature& sig, size_t index, tern_tensor_info* info) {
  const Value& v = sig.graph.value(sig.graph.inputs[index]);
  fill_tensor_info(v.name.c_str(), v.dtype, v.shape, v.encoding, info);
  const bool own = (int32_t)index == sig.position_input || (int32_t)index == sig.sequence_input;
  info->is_scalar = own ? 2 : v.kind == ValueKind::scalar ? 1 : 0;
  for (const SymbolicDim& d : sig.symbolic_dims) {
    if ((size_t)d.input != index) continue;
    const Symbol& s = sig.symbols[(size_t)d.symbol];
    info->dims[d.axis] = -1;
    info->min_dims[d.axis] = s.min;
    info->max_dims[d.axis] = s.max;
    info->step_dims[d.axis] = s.multiple;
  }
}

int64_t count_tensors(const tern_model* model, int32_t signature, int32_t role) {
  if (!model) return -1;
  const Signature* sig = find(model, signature);
  switch (role) {
    case TERN_ROLE_INPUT: return sig ? (int64_t)sig->graph.inputs.size() : -1;
    case TERN_ROLE_OUTPUT: return sig ? (int64_t)sig->graph.outputs.size() : -1;
    case TERN_ROLE_PARAMETER: return (int64_t)to_object(model)->def().parameters.size();
    case TERN_ROLE_STATE: return (int64_t)to_object(model)->def().states.size();
    default: return -1;
  }
}

const std::string& tensor_name(const tern_model* model, int32_t signature, int32_t role, size_t i) {
  const ModelDef& def = to_object(model)->def();
  switch (role) {
    case TERN_ROLE_INPUT: {
      const Graph& g = def.signatures[(size_t)signature].graph;
      return g.value(g.inputs[i]).name;
    }
    case TERN_ROLE_OUTPUT: return def.signatures[(size_t)signature].output_names[i];
    case TERN_ROLE_PARAMETER: return def.parameters[i].name;
    default: return def.states[i].name;
  }
}

tern_status check_role(const tern_model* model, int32_t signature, int32_t role, int64_t* count) {
  TERN_CHECK_NOT_NULL(model);
  *count = count_tensors(model, signature, role);
  if (*count >= 0) return TERN_OK;
  if (role < TERN_ROLE_INPUT || role > TERN_ROLE_STATE)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "role is %d, which is no tern_tensor_role", role);
  const Signature* unused;
  return get_signature(model, signature, &unused);
}

// "'a', 'b' and 5 more"
template <class Name>
std::string list_names(size_t count, Name&& name) {
  constexpr size_t kMost = 8;
  std::string s;
  for (size_t i = 0; i < count && i < kMost; ++i) s += (i ? ", '" : "'") + std::string(name(i)).substr(0, 40) + "'";
  if (count > kMost) s += " and " + std::to_string(count - kMost) + " more";
  return count ? s : "none";
}

}  // namespace

void tern::capi::fill_tensor_info(const char* name, DType dtype, const Shape& shape, Encoding encoding,
                                  tern_tensor_info* info) {
  info->dtype = dtype;
  info->rank = shape.rank;
  info->name = name;
  info->encoding = encoding_name(encoding);
  for (int a = 0; a < shape.rank; ++a)
    info->dims[a] = info->min_dims[a] = info->max_dims[a] = shape[a], info->step_dims[a] = 1;
}

extern "C" {

tern_status tern_limits_init(tern_limits* limits, size_t size) noexcept {
  const tern_limits defaults = TERN_LIMITS_INIT;
  return init_struct(limits, size, &defaults, sizeof defaults, sizeof defaults, "tern_limits");
}

tern_status tern_load_options_init(tern_load_options* options, size_t size) noexcept {
  const tern_load_options defaults = TERN_LOAD_OPTIONS_INIT;
  return init_struct(options, size, &defaults, sizeof defaults, sizeof defaults, "tern_load_options");
}

tern_status tern_model_load_file(tern_context* context, const char* path, const tern_load_options* options,
                                 tern_model** model) noexcept {
  return guard_logged(context, [&]() -> tern_status {
    TERN_CHECK_NOT_NULL(context);
    TERN_CHECK_NOT_NULL(path);
    TERN_CHECK_NOT_NULL(model);
    Load load;
    TERN_TRY(read_load_options(options, &load));
    Bytes file;
    TERN_TRY(load_file(path, load.mode, load.limits.max_file_bytes, &file));
    return make_model(context, file, load, path, model);
  });
}

tern_status tern_model_load_memory(tern_context* context, const void* data, size_t bytes,
                                   const tern_load_options* options, tern_model** model) noexcept {
  return guard_logged(context, [&]() -> tern_status {
    TERN_CHECK_NOT_NULL(context);
    TERN_CHECK_NOT_NULL(data);
    TERN_CHECK_NOT_NULL(model);
    Load load;
    TERN_TRY(read_load_options(options, &load));
    if (bytes > load.limits.max_file_bytes)
      return TERN_FAIL(TERN_ERR_LIMIT, "%zu bytes, at most %" PRIu64 " are allowed (max_file_bytes)", bytes,
                       load.limits.max_file_bytes);
    Bytes file{static_cast<const uint8_t*>(data), bytes, nullptr};
    if (load.mode == LoadMode::copy) TERN_TRY(copy_bytes(data, bytes, &file));
    return make_model(context, file, load, "memory", model);
  });
}

tern_status tern_model_load_descriptor(tern_context* context, int32_t descriptor, uint64_t offset, uint64_t bytes,
                                       const tern_load_options* options, tern_model** model) noexcept {
  return guard_logged(context, [&]() -> tern_status {
    TERN_CHECK_NOT_NULL(context);
    TERN_CHECK_NOT_NULL(model);
    if (descriptor < 0) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "descriptor is %d", descriptor);
    Load load;
    TERN_TRY(read_load_options(options, &load));
    if (load.mode == LoadMode::map && offset % 64)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                       "offset %" PRIu64 " is no multiple of 64: store the model aligned, or use TERN_LOAD_COPY",
                       offset);
    Bytes file;
    TERN_TRY(load_descriptor(descriptor, offset, bytes, load.mode, load.limits.max_file_bytes, &file));
    return make_model(context, file, load, "a descriptor", model);
  });
}

void tern_model_retain(const tern_model* model) noexcept {
  if (model) to_object(model)->retain();
}

void tern_model_release(const tern_model* model) noexcept {
  if (model) to_object(model)->release();
}

int32_t tern_model_num_signatures(const tern_model* model) noexcept {
  return model ? (int32_t)to_object(model)->def().signatures.size() : 0;
}

const char* tern_model_signature_name(const tern_model* model, int32_t signature) noexcept {
  const Signature* sig = find(model, signature);
  return sig ? sig->name.c_str() : nullptr;
}

tern_status tern_model_find_signature(const tern_model* model, const char* name, int32_t* signature) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(model);
    TERN_CHECK_NOT_NULL(name);
    TERN_CHECK_NOT_NULL(signature);
    const auto& list = to_object(model)->def().signatures;
    for (size_t i = 0; i < list.size(); ++i)
      if (list[i].name == name) return *signature = (int32_t)i, TERN_OK;
    return TERN_FAIL(TERN_ERR_NOT_FOUND, "no signature '%.60s'; there are: %s", name,
                     list_names(list.size(), [&](size_t i) { return list[i].name; }).c_str());
  });
}

int32_t tern_model_num_tensors(const tern_model* model, int32_t signature, int32_t role) noexcept {
  return (int32_t)count_tensors(model, signature, role);
}

tern_status tern_model_get_tensor(const tern_model* model, int32_t signature, int32_t role, int32_t index,
                                  tern_tensor_info* info) noexcept {
  return guard([&]() -> tern_status {
    int64_t count;
    TERN_TRY(check_role(model, signature, role, &count));
    TERN_TRY(check_output_struct(info, sizeof *info, "tern_tensor_info"));
    if (index < 0 || index >= count)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "tensor %d: there are %" PRId64 " of this role", index, count);
    const ModelDef& def = to_object(model)->def();
    const size_t i = (size_t)index;
    tern_tensor_info result = TERN_TENSOR_INFO_INIT;
    if (role == TERN_ROLE_INPUT) {
      fill_input(def.signatures[(size_t)signature], i, &result);
    } else if (role == TERN_ROLE_OUTPUT) {
      const Signature& sig = def.signatures[(size_t)signature];
      const Value& v = sig.graph.value(sig.graph.outputs[i]);
      fill_tensor_info(sig.output_names[i].c_str(), v.dtype, v.shape, v.encoding, &result);
      mark_varying(*to_object(model), (size_t)signature, i, &result);
    } else if (role == TERN_ROLE_PARAMETER) {
      const Parameter& p = def.parameters[i];
      fill_tensor_info(p.name.c_str(), p.dtype, p.shape, p.encoding, &result);
      result.bytes = p.bytes;
    } else {
      const StateDecl& s = def.states[i];
      fill_tensor_info(s.name.c_str(), s.dtype, s.shape, s.encoding, &result);
      TERN_TRY(encoded_bytes(s.encoding, s.dtype, s.shape, &result.bytes));
    }
    return write_struct(result, info, "tern_tensor_info", offsetof(tern_tensor_info, step_dims));
  });
}

tern_status tern_model_find_tensor(const tern_model* model, int32_t signature, int32_t role, const char* name,
                                   int32_t* index) noexcept {
  return guard([&]() -> tern_status {
    int64_t count;
    TERN_TRY(check_role(model, signature, role, &count));
    TERN_CHECK_NOT_NULL(name);
    TERN_CHECK_NOT_NULL(index);
    for (size_t i = 0; i < (size_t)count; ++i)
      if (tensor_name(model, signature, role, i) == name) return *index = (int32_t)i, TERN_OK;
    static constexpr const char* kRoles[] = {"input", "output", "parameter", "state"};
    return TERN_FAIL(
        TERN_ERR_NOT_FOUND, "no %s '%.60s'; there are: %s", kRoles[role], name,
        list_names((size_t)count, [&](size_t i) { return tensor_name(model, signature, role, i); }).c_str());
  });
}

int32_t tern_model_num_metadata(const tern_model* model) noexcept {
  return model ? (int32_t)to_object(model)->def().metadata.size() : 0;
}

tern_status tern_model_get_metadata(const tern_model* model, int32_t index, const char** key,
                                    const char** value) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(model);
    TERN_CHECK_NOT_NULL(key);
    TERN_CHECK_NOT_NULL(value);
    const auto& list = to_object(model)->def().metadata;
    if (index < 0 || (size_t)index >= list.size())
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "metadata %d: there are %zu", index, list.size());
    *key = list[(size_t)index].first.c_str();
    *value = list[(size_t)index].second.c_str();
    return TERN_OK;
  });
}

const char* tern_model_find_metadata(const tern_model* model, const char* key) noexcept {
  if (!model || !key) return nullptr;
  const std::string* value = find_metadata(to_object(model)->def(), key);
  return value ? value->c_str() : nullptr;
}

tern_status tern_model_check_weights(const tern_model* model) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(model);
    return check_weights(to_object(model)->def());
  });
}

tern_status tern_model_count_nodes(const tern_model* model, int32_t signature, int64_t* nodes,
                                   int64_t* operators) noexcept {
  return guard([&]() -> tern_status {
    const Signature* sig;
    TERN_TRY(get_signature(model, signature, &sig));
    TERN_CHECK_NOT_NULL(nodes);
    TERN_CHECK_NOT_NULL(operators);
    int64_t count = 0;
    std::vector<const Op*> ops;
    for_each_graph(sig->graph, [&](const Graph& g) {
      count += (int64_t)g.nodes.size();
      for (const Node& n : g.nodes)
        if (std::find(ops.begin(), ops.end(), n.op) == ops.end()) ops.push_back(n.op);
    });
    *nodes = count;
    *operators = (int64_t)ops.size();
    return TERN_OK;
  });
}
}
