// SPDX-License-Identifier: Apache-2.0
// Reads .tern files. A file is verified completely before any of it is used: a hostile file gives a status.
#pragma once
#include "base/file.h"
#include "graph/model_def.h"
#include "tern/model.h"

namespace tern {

// The limits of include/tern/model.h with every 0 replaced by its default; NULL gives the defaults.
tern_limits resolve_limits(const tern_limits* limits);

// Reads a model from the bytes of a whole file, which begin at an address that is a multiple of 64. Parameters are used
// in place, without touching their pages; their Data keep file.owner alive. Constants of up to kCopiedConstant bytes,
// from which shapes may follow, are checked against their checksum and copied.
// limits   as resolve_limits gives them
// Errors   TERN_ERR_CORRUPT, TERN_ERR_CHECKSUM, TERN_ERR_LIMIT, TERN_ERR_UNSUPPORTED (a required feature),
//          TERN_ERR_UNSUPPORTED_OP, TERN_ERR_UNSUPPORTED_VERSION, TERN_ERR_INVALID_ARGUMENT (address). The error's
//          file_offset is where in the file it was found. On error *out is untouched.
tern_status read_model(const Bytes& file, const tern_limits& limits, ModelDef* out);

// The same without a result. An address that is a multiple of 8 suffices.
tern_status verify_model(const Bytes& file, const tern_limits& limits);

constexpr uint64_t kCopiedConstant = 32768;

// Compares the bytes of every parameter with its checksum. Reads all of them. Error: TERN_ERR_CHECKSUM names the first.
tern_status check_weights(const ModelDef& model);
// Likewise of a whole file that read_model took: parameters and constants.
tern_status check_weights(const Bytes& file);

}  // namespace tern
