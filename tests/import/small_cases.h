// SPDX-License-Identifier: Apache-2.0
// Small models of one operator each, with inputs and another runtime's outputs, as make_tflite_cases.py and
// make_onnx_cases.py write them.
#pragma once
#include <cstring>
#include <string>
#include <vector>

#include "evaluate.h"
#include "models/golden.h"

namespace tern::test {

struct SmallCase {
  std::string name;
  std::vector<uint8_t> model;
  std::vector<TensorData> inputs, outputs;
};

struct CaseReader {
  const uint8_t* p;
  const uint8_t* end;

  template <class T>
  T get() {
    T v{};
    if (end - p >= (ptrdiff_t)sizeof v) std::memcpy(&v, p, sizeof v), p += sizeof v;
    else p = end;
    return v;
  }
  std::vector<uint8_t> bytes() {
    const size_t n = std::min<size_t>(get<uint32_t>(), (size_t)(end - p));
    p += n;
    return {p - n, p};
  }
  TensorData tensor() {
    const DType dtype = (DType)get<uint32_t>();
    Shape shape;
    for (uint32_t rank = get<uint32_t>(); rank > 0 && rank <= 8; --rank) shape.push(get<int64_t>());
    TensorData t = make_tensor(dtype, shape);
    const std::vector<uint8_t> content = bytes();
    if (!content.empty() && content.size() == t.bytes())
      std::memcpy(const_cast<void*>(t.data.bytes), content.data(), content.size());
    return t;
  }
};

inline std::vector<SmallCase> read_cases(const char* path) {
  std::vector<uint8_t> file;
  read_bytes(path, &file);
  CaseReader r{file.data(), file.data() + file.size()};
  std::vector<SmallCase> cases(r.get<uint32_t>() % 100000);
  for (SmallCase& c : cases) {
    const std::vector<uint8_t> name = r.bytes();
    c.name.assign(name.begin(), name.end());
    c.model = r.bytes();
    for (uint32_t n = r.get<uint32_t>(); n > 0 && r.p < r.end; --n) c.inputs.push_back(r.tensor());
    for (uint32_t n = r.get<uint32_t>(); n > 0 && r.p < r.end; --n) c.outputs.push_back(r.tensor());
  }
  return cases;
}

}  // namespace tern::test
