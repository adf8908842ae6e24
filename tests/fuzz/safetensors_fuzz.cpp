// SPDX-License-Identifier: Apache-2.0
// Bytes as a safetensors file, whose numbers are all read, and as a config.json: each gives something or a status.
#include <cstdlib>
#include <new>

#include "import/hf_model.h"
#include "import/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    tern::Safetensors file;
    if (tern::Safetensors::read({data, size}, "fuzz", &file) == TERN_OK)
      for (const tern::SafeTensor& t : file.tensors()) {
        float number = 0;
        for (int64_t i = 0; i < t.shape.elements(); ++i) tern::load_numbers(t, i, 1, &number);
        if (file.find(t.name) != &t) std::abort();
      }
    tern::HfConfig config;
    (void)tern::read_hf_config({(const char*)data, size}, &config);
  } catch (const std::bad_alloc&) {
    // As the C call does.
  }
  return 0;
}
