// SPDX-License-Identifier: Apache-2.0
// Reads safetensors files: 8 bytes length of the header, a header in JSON, and the tensors' bytes without holes.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace tern {

struct SafeTensor {
  std::string name;
  DType dtype = TERN_DTYPE_NONE;  // F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL
  Shape shape;                    // row-major
  const uint8_t* data = nullptr;  // at any address
};

// Refers to the bytes of the file.
class Safetensors {
 public:
  // Proves every length, offset and shape.
  // Errors  TERN_ERR_CORRUPT      the message names the file as `called`, and the tensor
  //         TERN_ERR_UNSUPPORTED  a tensor of a type that is not read
  //         TERN_ERR_LIMIT        a header of more than 100 MB or of too many values
  static tern_status read(std::span<const uint8_t> file, const std::string& called, Safetensors* out);

  std::span<const SafeTensor> tensors() const { return tensors_; }  // sorted by name
  const SafeTensor* find(std::string_view name) const;              // NULL: there is none

 private:
  std::vector<SafeTensor> tensors_;
};

// Numbers first to first + count - 1 of a tensor.
void load_numbers(const SafeTensor& t, int64_t first, int64_t count, float* out);

}  // namespace tern
