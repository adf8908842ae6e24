// SPDX-License-Identifier: Apache-2.0
// Fuzz target: any bytes as a model file. They are read as they are, and once more with checksums that fit.
#include <cstdlib>
#include <vector>

#include "format/reader.h"
#include "format/writer.h"
#include "tests/fuzz/walk.h"

namespace {

void read(const uint8_t* data, size_t size, bool reseal) {
  using namespace tern;
  Bytes file;
  if (copy_bytes(data, size, &file) != TERN_OK) return;
  if (reseal) fuzz::reseal(const_cast<uint8_t*>(file.data), file.size);
  ModelDef model;
  if (read_model(file, resolve_limits(nullptr), &model) != TERN_OK) return;
  if (!fuzz::walk(model, file)) std::abort();
  (void)check_weights(model);
  // What can be read can be written.
  std::vector<uint8_t> again;
  if (write_model_to_memory(model, &again) != TERN_OK) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  read(data, size, false);
  read(data, size, true);
  return 0;
}
