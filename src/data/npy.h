// SPDX-License-Identifier: Apache-2.0
// NumPy's .npy files, format versions 1 to 3.
#pragma once
#include <memory>

#include "base/dtype.h"
#include "base/file.h"
#include "base/shape.h"

namespace tern::data {

// Row-major, in the byte order of this machine; bool is 0 or 1.
struct NpyArray {
  DType dtype = TERN_DTYPE_NONE;
  Shape shape;
  const uint8_t* data = nullptr;  // aligned to an element
  uint64_t bytes = 0;
  std::shared_ptr<const void> owner;  // of the data
};

// Takes the array where it lies in the file if it lies as it is needed; else (columns first, another byte order) a copy
// is made. `name` is the file's, for messages.
// Errors  TERN_ERR_CORRUPT (no such file, one that contradicts itself, an element type that tensors do not have)
tern_status read_npy(const Bytes& file, const char* name, NpyArray* out);

}  // namespace tern::data
