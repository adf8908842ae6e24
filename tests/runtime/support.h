// SPDX-License-Identifier: Apache-2.0
// What the tests of the runtime share: contexts with all backends, models built by hand, tensors, arrays from files.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "backends/cpu/backend.h"
#include "backends/onednn/backend.h"
#include "ops/op.h"
#include "passes/optimize.h"
#include "runtime/session.h"
#include "tests/runtime/deferred_backend.h"
#include "tests/runtime/reference_backend.h"

#define TERN_OKAY(expression) ASSERT_EQ((expression), TERN_OK) << ::tern::thread_error().message

namespace tern::test {

inline Ref<Context> make_context(int32_t threads = 1, const tern_allocator& allocator = default_allocator()) {
  static const BackendApi* const tables[] = {&cpu::backend(), &reference_backend(), &halting_backend(),
                                             &deferred_backend(), &onednn::backend()};
  Context::Options options;
  options.threads.num_threads = threads;
  options.allocator = allocator;
  return Ref<Context>::adopt(new Context(options, tables));
}

// Bytes that live, as an allocator of the caller sees them.
struct AllocationCounter {
  uint64_t bytes = 0, most = 0, allocations = 0;
  tern_allocator allocator() {
    return {(uint32_t)sizeof(tern_allocator), this,
            [](void* user, size_t bytes, size_t alignment) {
              auto& c = *(AllocationCounter*)user;
              c.bytes += bytes, c.most = std::max(c.most, c.bytes), ++c.allocations;
              return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
            },
            [](void* user, void* memory, size_t bytes) {
              ((AllocationCounter*)user)->bytes -= bytes;
              std::free(memory);
            }};
  }
};

// Can oneDNN be opened? Its library is the system's, or the one that tests/setup put beside the models. Tells why not.
inline bool has_onednn() {
  static const bool found = [] {
    const char *cache = std::getenv("TERN_CACHE"), *home = std::getenv("HOME");
    const std::string file =
        (cache ? std::string(cache) : std::string(home ? home : ".") + "/.cache/tern") + "/onednn/lib/libdnnl.so.3";
    if (std::FILE* f = std::fopen(file.c_str(), "rb")) {
      std::fclose(f);
      setenv("TERN_ONEDNN_LIBRARY", file.c_str(), 0);
    }
    int32_t count = 0;
    if (onednn::backend().probe(nullptr, 0, &count) == TERN_OK) return true;
    std::printf("SKIPPED: the oneDNN backend: %s\n", thread_error().message);
    return false;
  }();
  return found;
}

// What a plan for the CPU does to a graph before it is placed.
inline tern_status optimize_for_cpu(Graph& g) {
  TERN_TRY(optimize(g));
  return cpu::backend().fuse(nullptr, g);
}

inline Ref<Model> make_model(Context& context, ModelDef def, std::shared_ptr<const void> owner = {}) {
  return Ref<Model>::adopt(new Model(context, std::move(def), std::move(owner)));
}

inline Ref<tern::Tensor> make_tensor(Context& context, DType dtype, const Shape& shape, const void* data = nullptr) {
  Ref<tern::Tensor> t;
  EXPECT_EQ(tern::Tensor::create(context, dtype, shape, &t), TERN_OK) << thread_error().message;
  if (data) std::memcpy(t->data(), data, t->bytes());
  else std::memset(t->data(), 0, t->bytes());
  return t;
}

// Numbers in (-1, 1), the same on every machine.
inline std::vector<float> random_floats(size_t n, uint32_t seed) {
  std::vector<float> v(n);
  uint64_t s = seed * 2654435761u + 1;
  for (float& x : v) {
    s = s * 6364136223846793005u + 1442695040888963407u;
    x = (float)((double)(s >> 33) / (double)(1u << 30) - 1.0);
  }
  return v;
}

// A parameter with a copy of plain f32 content. Returns its index.
inline int32_t add_parameter(ModelDef& def, const std::string& name, const Shape& shape, const float* values,
                             Encoding encoding = Encoding::plain) {
  Parameter p;
  p.name = name;
  p.dtype = TERN_DTYPE_F32;
  p.encoding = encoding;
  p.shape = shape;
  EXPECT_EQ(encoded_bytes(encoding, p.dtype, shape, &p.bytes), TERN_OK);
  void* to = nullptr;
  p.data = make_data(p.bytes, &to);
  encode(encoding, p.dtype, shape, values, to);
  def.parameters.push_back(std::move(p));
  return (int32_t)def.parameters.size() - 1;
}

inline const void* parameter_bytes(const Parameters& parameters, int32_t i) {
  const void* bytes = nullptr;
  EXPECT_EQ(parameters.item(i)->read(&bytes), TERN_OK) << thread_error().message;
  return bytes;
}

// The parameter or state of this name as a value of the graph.
inline ValueId use_parameter(Graph& g, const ModelDef& def, std::string_view name) {
  int32_t i = -1;
  EXPECT_EQ(find_parameter(def, name, &i), TERN_OK) << name;
  if (i < 0) return kNoValue;
  Value v;
  v.name = name;
  v.kind = ValueKind::parameter;
  v.index = i;
  v.dtype = def.parameters[(size_t)i].dtype;
  v.encoding = def.parameters[(size_t)i].encoding;
  v.shape = def.parameters[(size_t)i].shape;
  return add_value(g, std::move(v));
}
inline ValueId use_state(Graph& g, const ModelDef& def, std::string_view name) {
  int32_t i = -1;
  EXPECT_EQ(find_state(def, name, &i), TERN_OK) << name;
  if (i < 0) return kNoValue;
  Value v;
  v.name = name;
  v.kind = ValueKind::state;
  v.index = i;
  v.paged = def.states[(size_t)i].paged;
  v.dtype = def.states[(size_t)i].dtype;
  v.encoding = def.states[(size_t)i].encoding;
  v.shape = def.states[(size_t)i].shape;
  return add_value(g, std::move(v));
}

inline int32_t add_signature(ModelDef& def, const std::string& name, Graph g) {
  EXPECT_EQ(g.status, TERN_OK) << thread_error().message;
  Signature s;
  s.name = name;
  for (size_t k = 0; k < g.outputs.size(); ++k) s.output_names.push_back("y" + std::to_string(k));
  s.graph = std::move(g);
  def.signatures.push_back(std::move(s));
  return (int32_t)def.signatures.size() - 1;
}

// Outputs of a run; released with it.
struct Outputs {
  std::vector<Ref<const tern::Tensor>> tensors;
  const float* f32(size_t k) const { return (const float*)tensors[k]->data(); }
};
inline tern_status run(Session& s, int32_t signature, std::vector<const tern::Tensor*> inputs, Outputs* out,
                       const RunControl& control = {}) {
  std::vector<const tern::Tensor*> results(s.model().def().signatures[(size_t)signature].graph.outputs.size());
  out->tensors.clear();
  out->tensors.reserve(results.size());  // so that no allocation comes behind the run
  TERN_TRY(s.run(signature, inputs, results, control));
  for (const tern::Tensor* t : results) out->tensors.push_back(Ref<const tern::Tensor>::adopt(t));
  return TERN_OK;
}

inline std::string source_folder() { return TERN_SOURCE_DIR "/"; }

struct Array {
  DType dtype = TERN_DTYPE_NONE;
  Shape shape;
  std::vector<char> bytes;
  const float* f32() const { return (const float*)bytes.data(); }
  const int32_t* i32() const { return (const int32_t*)bytes.data(); }
};
inline std::vector<char> read_file(const std::string& path) {
  std::vector<char> all;
  std::FILE* f = std::fopen(path.c_str(), "rb");
  EXPECT_NE(f, nullptr) << path;
  if (!f) return all;
  char block[65536];
  for (size_t n; (n = std::fread(block, 1, sizeof block, f)) > 0;) all.insert(all.end(), block, block + n);
  std::fclose(f);
  return all;
}
// .npy version 1.0, C order, f4 or i4.
inline Array read_npy(const std::string& path) {
  Array a;
  const std::vector<char> all = read_file(path);
  if (all.size() < 10) return a;
  const size_t start = 10 + ((unsigned char)all[8] | (size_t)(unsigned char)all[9] << 8);
  const std::string header(all.data() + 10, start - 10);
  a.dtype = header.find("<f4") != std::string::npos ? TERN_DTYPE_F32 : TERN_DTYPE_I32;
  const char* c = header.c_str() + header.find("'shape': (") + 10;
  while (*c && *c != ')') {
    char* end = nullptr;
    const long d = std::strtol(c, &end, 10);
    if (end == c) break;
    a.shape.push(d);
    c = end;
    while (*c == ',' || *c == ' ') ++c;
  }
  a.bytes.assign(all.begin() + (ptrdiff_t)start, all.end());
  return a;
}

// max |a - b| / max |b|
inline double relative_error(const float* a, const float* b, int64_t n) {
  double worst = 0, largest = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double d = std::abs((double)a[i] - b[i]);
    worst = d == d ? std::max(worst, d) : HUGE_VAL;
    largest = std::max(largest, (double)std::abs(b[i]));
  }
  return largest > 0 ? worst / largest : worst;
}

}  // namespace tern::test
