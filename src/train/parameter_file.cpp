// SPDX-License-Identifier: Apache-2.0
#include "train/parameter_file.h"

#include <cstring>

#include "base/file.h"
#include "format/reader.h"
#include "format/writer.h"
#include "train/names.h"

namespace tern {
namespace {

constexpr char kAdapter[] = "tern.adapter";

}  // namespace

tern_status add_changed(const Parameters& parameters, const std::function<bool(const std::string&)>& wanted,
                        ModelDef* file) {
  TERN_TRY(parameters.intact());
  const std::vector<Parameter>& all = parameters.model().def().parameters;
  for (size_t i = 0; i < all.size(); ++i) {
    if (!parameters.changed((int32_t)i) || !wanted(all[i].name)) continue;
    Parameter p = all[i];
    TERN_TRY(parameters.item((int32_t)i)->read(&p.data.bytes));
    p.data.owner = nullptr;
    file->parameters.push_back(std::move(p));
  }
  return TERN_OK;
}

tern_status read_parameter_file(const char* path, const char* kind, const char* what, ModelDef* out) {
  Bytes file;
  tern_limits limits = TERN_LIMITS_INIT;
  limits = resolve_limits(&limits);
  TERN_TRY(load_file(path, LoadMode::copy, limits.max_file_bytes, &file));
  ModelDef def;
  TERN_TRY(read_model(file, limits, &def));
  if (!find_metadata(def, kind)) return TERN_FAIL(TERN_ERR_CORRUPT, "%s: a .tern file, but no %s", path, what);
  TERN_TRY(check_weights(def));
  for (Parameter& p : def.parameters)
    if (!p.data.owner) p.data.owner = file.owner;
  *out = std::move(def);
  return TERN_OK;
}

tern_status take_parameter(const Parameter& entry, const char* path, Parameters& parameters) {
  int32_t i = -1;
  if (find_parameter(parameters.model().def(), entry.name, &i) != TERN_OK)
    return TERN_FAIL(TERN_ERR_SHAPE, "%s belongs to another model: this one has no parameter '%s'", path,
                     entry.name.c_str());
  const Parameter& own = parameters.model().def().parameters[(size_t)i];
  if (own.dtype != entry.dtype || own.encoding != entry.encoding || !(own.shape == entry.shape))
    return TERN_FAIL(TERN_ERR_SHAPE, "%s belongs to another model: '%s' is %s%s (%s), in this one %s%s (%s)", path,
                     entry.name.c_str(), dtype_name(entry.dtype), to_string(entry.shape).c_str(),
                     encoding_name(entry.encoding), dtype_name(own.dtype), to_string(own.shape).c_str(),
                     encoding_name(own.encoding));
  TERN_TRY(parameters.make_writable(i));
  TERN_TRY(parameters.item(i)->reserve());
  if (entry.bytes) std::memcpy(parameters.item(i)->overwrite(), entry.data.bytes, (size_t)entry.bytes);
  return TERN_OK;
}

tern_status save_parameters(const Parameters& parameters, std::string_view pattern, const char* path) {
  ModelDef file;
  TERN_TRY(add_changed(
      parameters, [&](const std::string& name) { return matches_name(pattern, name); }, &file));
  if (file.parameters.empty())
    return TERN_FAIL(TERN_ERR_NOT_FOUND, "no parameter that matches '%.*s' was changed", (int)pattern.size(),
                     pattern.data());
  file.metadata = {{kAdapter, "1"}};
  return write_model(file, path);
}

tern_status load_parameters(const char* path, Parameters& parameters) {
  ModelDef file;
  TERN_TRY(read_parameter_file(path, kAdapter, "adapter", &file));
  // All of it fits, or nothing is taken.
  Parameters trial(parameters.model());
  for (const Parameter& p : file.parameters) TERN_TRY(take_parameter(p, path, trial));
  for (const Parameter& p : file.parameters) TERN_TRY(take_parameter(p, path, parameters));
  parameters.touch();
  return TERN_OK;
}

}  // namespace tern
