// SPDX-License-Identifier: Apache-2.0
// What the tests of the file format share: small models, files taken apart and put together again, bounded loading.
#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "format/container.h"
#include "format/reader.h"
#include "format/writer.h"
#include "ops/op.h"
#include "tern_object_generated.h"

namespace tern::test {

using File = std::vector<uint8_t>;

// x [batch, 3] -> linear -> relu -> reshape by a shape computed from x's dims; parameters plain, panel32 and
// panel_int8; constants; a state that is read and written; a symbolic batch; a position; metadata.
ModelDef small_model();
// A model whose node has sub-graphs: `depth` of them, one within the other (depth 1: a signature alone).
// Uses `if`, if the library has it; has_control() says so.
bool has_control();
ModelDef nested_model(int depth);
File write(const ModelDef& model);

// ---- files taken apart ----

struct Parts {
  Header header;
  fbs::ModelT model;
  std::vector<uint8_t> weights;
};
Parts take_apart(const File& file);
// Computes sizes, offsets and checksums of the header anew.
File put_together(const Parts& parts);
File put_together(const std::vector<uint8_t>& metadata, const std::vector<uint8_t>& weights);
// Corrects the checksums of a file that was changed in place, as far as its header makes sense.
void reseal(File& file);
void set_u64(File& file, size_t offset, uint64_t value);
uint64_t get_u64(const File& file, size_t offset);

// ---- loading within bounds ----

// Loads from memory that is exactly as large as the file. Fails the test if it takes more than a second or 64 MiB, or
// if a refusal changes the result or has no message.
struct Loaded {
  tern_status status = TERN_OK;
  std::string message;
  uint64_t offset = UINT64_MAX;
  ModelDef model;
  Bytes bytes;
};
Loaded load(const File& file, const tern_limits* limits = nullptr);

// Expects a refusal with this code whose message contains `text`.
void expect_refused(const File& file, tern_status code, const char* text, const tern_limits* limits = nullptr);
// The small model, changed by `change`, must be refused.
void expect_refused(const std::function<void(Parts&)>& change, tern_status code, const char* text);

// Fails the test where two models differ.
void expect_equal(const ModelDef& a, const ModelDef& b);

// A folder for this test, empty.
std::string temporary_folder();

}  // namespace tern::test
