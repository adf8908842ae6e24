// SPDX-License-Identifier: Apache-2.0
// What fuzz targets and tests do with files of the format and with models that were read.
#pragma once
#include <cstdint>

#include "base/file.h"
#include "graph/model_def.h"

namespace tern::fuzz {

// Corrects both checksums of a file, as far as its header makes sense, so that a changed file gets past them.
void reseal(uint8_t* file, uint64_t size);

// Touches all that a reader promised: every index leads somewhere, nodes are in order, each value has one producer,
// parameters lie within `file` and at a multiple of 64, names are unique. False, with a line on stderr, if not.
bool walk(const ModelDef& model, const Bytes& file);

}  // namespace tern::fuzz
