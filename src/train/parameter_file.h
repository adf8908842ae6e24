// SPDX-License-Identifier: Apache-2.0
// Parameters and states as a .tern file without signatures: adapters, and checkpoints (train/trainer.h). What makes it
// which stands in the metadata.
#pragma once
#include <functional>

#include "runtime/parameters.h"
#include "runtime/state.h"

namespace tern {

// Adds the parameters that were changed, and that `wanted` takes, to a file.
tern_status add_changed(const Parameters& parameters, const std::function<bool(const std::string&)>& wanted,
                        ModelDef* file);
// Reads a file of this kind: `kind` is the key of its metadata entry, `what` names it in messages. The weights were
// compared with their checksums.
tern_status read_parameter_file(const char* path, const char* kind, const char* what, ModelDef* out);
// Takes one entry, which fits if type, encoding and shape do.
tern_status take_parameter(const Parameter& entry, const char* path, Parameters& parameters);

tern_status save_parameters(const Parameters& parameters, std::string_view pattern, const char* path);
tern_status load_parameters(const char* path, Parameters& parameters);

}  // namespace tern
