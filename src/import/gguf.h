// SPDX-License-Identifier: Apache-2.0
// Reads GGUF files (versions 2 and 3): metadata, and tensors whose weights may be quantised.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "import/importer.h"
#include "text/tokenizer.h"

namespace tern {

// How the numbers of a tensor type lie: blocks of `numbers` in `bytes`.
struct GgufType {
  uint32_t id;
  const char* name;
  int numbers, bytes;
  void (*decode)(const uint8_t* block, float* out);  // one block
  bool ternary = false;                              // numbers are -d, 0 and d
  const char* form = nullptr;  // of own_form: how its numbers are kept where the caller asks for no other
  int tail = 0;  // bytes behind all blocks: they begin with an f32 that all numbers are to be multiplied by
};
const GgufType* find_gguf_type(uint32_t id);  // NULL: not known

struct GgufTensor {
  std::string_view name;
  Shape shape;  // the last dim is contiguous
  const GgufType* type = nullptr;
  const uint8_t* data = nullptr;
};

// Refers to the bytes of the file.
class Gguf {
 public:
  // Errors: TERN_ERR_CORRUPT says where, TERN_ERR_UNSUPPORTED a version or the types of tensors that are not known.
  static tern_status read(std::span<const uint8_t> file, Gguf* out);

  bool has(std::string_view key) const { return find(key) != nullptr; }
  // *out stays as it is without the key. Errors: TERN_ERR_CORRUPT where it is of another kind.
  tern_status integer(std::string_view key, int64_t* out) const;
  tern_status number(std::string_view key, double* out) const;
  tern_status text(std::string_view key, std::string_view* out) const;
  tern_status texts(std::string_view key, std::vector<std::string_view>* out) const;
  tern_status integers(std::string_view key, std::vector<int64_t>* out) const;
  tern_status numbers(std::string_view key, std::vector<float>* out) const;
  std::span<const GgufTensor> tensors() const { return tensors_; }

 private:
  struct Entry {
    std::string_view key;
    uint32_t type = 0, element = 0;
    uint64_t count = 1;
    std::span<const uint8_t> bytes;
  };
  const Entry* find(std::string_view key) const;

  std::vector<Entry> entries_;  // sorted by key
  std::vector<GgufTensor> tensors_;
};

// Of the keys tokenizer.ggml.*. Errors name what is not known.
tern_status read_gguf_tokenizer(const Gguf& file, tokens::TokenizerDef* out);

// Makes a language model of it (models/transformer.h).
tern_status import_gguf(std::span<const uint8_t> file, const ImportOptions& options, ModelDef* out);

}  // namespace tern
