// SPDX-License-Identifier: Apache-2.0
// Bytes as a GGUF file: the importer gives a model or a status.
#include <new>

#include "import/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tern::ImportOptions options;
  tern::ModelDef model;
  try {
    (void)tern::import_gguf({data, size}, options, &model);
  } catch (const std::bad_alloc&) {
    // As the C call does.
  }
  return 0;
}
