// SPDX-License-Identifier: Apache-2.0
// The first look at the metadata of a file: proves that it is a well-formed FlatBuffer, that reading it takes work and
// memory in proportion to its size, that nothing exceeds the limits, and that its texts are texts.
#pragma once
#include <string_view>

#include "format/container.h"
#include "format/tern_generated.h"
#include "tern/model.h"

namespace tern {

// A file of which header and metadata have the right form. Nothing is known yet about meaning.
struct Metadata {
  Bytes file;
  Header header;
  const fbs::Model* model = nullptr;

  // Where in the file a table, vector or text lies.
  uint64_t offset(const void* p) const { return (uint64_t)(static_cast<const uint8_t*>(p) - file.data); }
};

// Header, checksum of the metadata, FlatBuffer, counts, limits, texts: in this order.
tern_status open_metadata(const Bytes& file, const tern_limits& limits, Metadata* out);

// A text of the file; "" if absent.
inline std::string_view text(const flatbuffers::String* s) {
  return s ? std::string_view(s->c_str(), s->size()) : std::string_view();
}

// Entries of a vector, 0 if absent.
template <class T>
uint32_t count(const flatbuffers::Vector<T>* v) {
  return v ? v->size() : 0;
}

// Names of attributes and choices are shorter than this in every version.
constexpr size_t kMaxAttributeText = 64;

}  // namespace tern
