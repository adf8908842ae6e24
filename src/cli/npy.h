// SPDX-License-Identifier: Apache-2.0
// NumPy's .npy files, format versions 1 to 3.
#pragma once
#include "cli/tool.h"

namespace tern::cli {

// Reads an array as a tensor: any byte order, rows or columns first. Prints what is wrong with the file.
bool read_npy(tern_context* context, const std::string& path, Handle<tern_tensor>* tensor);

// Writes a tensor; bf16, which NumPy does not have, as float32. An existing file is replaced when all is written.
bool write_npy(const std::string& path, const tern_tensor* tensor);

}  // namespace tern::cli
