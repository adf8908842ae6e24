// SPDX-License-Identifier: Apache-2.0
// Weights that an ONNX file keeps in other files of its folder.
#pragma once
#include <map>
#include <string>

#include "base/file.h"
#include "graph/graph.h"
#include "onnx/onnx.pb.h"

namespace tern {

class OnnxFiles {
 public:
  // folder: where the model's file lies; "" = the model came from memory, so that nothing is beside it.
  // max_bytes: of all files together.
  OnnxFiles(std::string folder, uint64_t max_bytes) : path_(std::move(folder)), left_(max_bytes) {}

  // The `bytes` of a tensor whose data_location is EXTERNAL, at an address for elements of `align` bytes. Files are
  // mapped.
  tern_status read(const onnx::TensorProto& t, uint64_t bytes, uint64_t align, Data* out);
  // What read() hands out is counted from here on: a small file cannot stand for many large weights.
  void start() { given_ = 0; }

 private:
  tern_status open(const std::string& name, const Bytes** out);

  std::string path_;
  Folder folder_;
  uint64_t left_, total_ = 0, given_ = 0;
  std::map<std::string, Bytes> files_;
};

}  // namespace tern
