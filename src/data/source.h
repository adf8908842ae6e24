// SPDX-License-Identifier: Apache-2.0
// What samples are made of: arrays in memory, or one sequence of token ids of which each sample is a part.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"

namespace tern::data {

constexpr int64_t kNoLabel = -100;      // where a label is not to be learnt, as PyTorch and ONNX have it
constexpr uint32_t kLearnt = 1u << 31;  // with an id: it is to be predicted

enum class Content : uint8_t {
  array,   // the bytes of an array
  tokens,  // the ids of the sample, then padding
  next,    // behind each token the next one if it is learnt, else kNoLabel
  mask,    // 1 for each token, then 0
};

// One of the tensors of a sample.
struct Field {
  std::string name;
  DType dtype = TERN_DTYPE_I64;
  Shape shape;                       // of one sample
  uint64_t bytes = 0;                // of one sample
  Content content = Content::array;  // what follows is for arrays
  const uint8_t* memory = nullptr;   // [samples, shape]
  std::shared_ptr<const void> owner;
};

// Does not change any more once it has been made; any number of threads.
struct Source {
  std::vector<Field> fields;
  int64_t count = 0;  // samples, at least 1
  // Token ids. Sample i has those from begins[i] on up to begins[i + 1]; without `begins` it has length + 1 of them
  // from i * length on, so that each token but the first is a label once.
  std::vector<uint32_t> ids;  // | kLearnt
  std::vector<uint64_t> begins;
  int64_t length = 0;  // of a sample's fields
  int64_t padding = 0;
  std::vector<std::string> classes;  // by label; empty where labels are numbers
  int64_t num_classes = 0;           // of labels; 0: there are none
  int64_t skipped = 0;               // documents or records that were of no use
};

// Adds an array [samples, ...]. Errors: TERN_ERR_SHAPE (no sample, another number of them, empty samples).
tern_status add_array(Source& source, std::string_view name, DType dtype, const Shape& shape, const void* memory,
                      std::shared_ptr<const void> owner);
// Adds an i64 field [length] that is made of the ids.
void add_tokens(Source& source, const char* name, Content content);

// Writes one field of sample `index` < count. `out` is aligned to 8 bytes where the field's size is a multiple of 8.
void write_field(const Source& source, const Field& field, int64_t index, void* out);

}  // namespace tern::data
