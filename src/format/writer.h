// SPDX-License-Identifier: Apache-2.0
// Writes .tern files.
#pragma once
#include <vector>

#include "base/file.h"
#include "graph/model_def.h"

namespace tern {

// Writes a model into a new file beside `path`, reads it back (metadata only) to prove that it can be loaded, and
// renames it over `path`: an interrupted or failed save leaves the old file. Weights go straight from where they lie
// into the file; checksums are computed anew. The Data of the model may be mapped from the file that is replaced.
// Errors: TERN_ERR_IO, TERN_ERR_LIMIT, TERN_ERR_MEMORY, TERN_ERR_INVALID_ARGUMENT (the model cannot be stored; says
// why).
tern_status write_model(const ModelDef& model, const char* path);
// Likewise into memory.
tern_status write_model_to_memory(const ModelDef& model, std::vector<uint8_t>* out);

}  // namespace tern
