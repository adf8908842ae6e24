// SPDX-License-Identifier: Apache-2.0
#include "data/source.h"

#include <algorithm>
#include <cstring>

namespace tern::data {

tern_status add_array(Source& source, std::string_view name, DType dtype, const Shape& shape, const void* memory,
                      std::shared_ptr<const void> owner) {
  const std::string shown(name.substr(0, 100));
  if (shape.rank == 0 || shape.elements() == 0)
    return TERN_FAIL(TERN_ERR_SHAPE,
                     "array '%s' %s has no samples: its first dim is their number, the others are not 0", shown.c_str(),
                     to_string(shape).c_str());
  if (!source.fields.empty() && shape[0] != source.count)
    return TERN_FAIL(TERN_ERR_SHAPE, "array '%s' has %" PRId64 " samples, '%s' has %" PRId64, shown.c_str(), shape[0],
                     source.fields[0].name.c_str(), source.count);
  Field f;
  f.name = name;
  f.dtype = dtype;
  f.shape = Shape(std::span<const int64_t>(shape.dims + 1, (size_t)shape.rank - 1));
  f.bytes = (uint64_t)f.shape.elements() * dtype_size(dtype);
  f.memory = static_cast<const uint8_t*>(memory);
  f.owner = std::move(owner);
  source.count = shape[0];
  source.fields.push_back(std::move(f));
  return TERN_OK;
}

void add_tokens(Source& source, const char* name, Content content) {
  Field f;
  f.name = name;
  f.shape = Shape{source.length};
  f.bytes = (uint64_t)source.length * sizeof(int64_t);
  f.content = content;
  source.fields.push_back(std::move(f));
}

void write_field(const Source& s, const Field& field, int64_t index, void* out) {
  if (field.content == Content::array) {
    std::memcpy(out, field.memory + (uint64_t)index * field.bytes, (size_t)field.bytes);
    return;
  }
  const uint64_t begin = s.begins.empty() ? (uint64_t)(index * s.length) : s.begins[(size_t)index];
  const uint64_t end =
      s.begins.empty() ? std::min<uint64_t>(s.ids.size(), begin + (uint64_t)s.length + 1) : s.begins[(size_t)index + 1];
  const uint32_t* ids = s.ids.data() + begin;
  const int64_t n = std::min((int64_t)(end - begin), s.length);
  int64_t* const to = static_cast<int64_t*>(out);
  int64_t t = 0, rest = 0;
  switch (field.content) {
    case Content::array: return;
    case Content::tokens:
      for (; t < n; ++t) to[t] = (int64_t)(ids[t] & ~kLearnt);
      rest = s.padding;
      break;
    case Content::next:
      for (const int64_t last = std::min((int64_t)(end - begin) - 1, s.length); t < last; ++t)
        to[t] = ids[t + 1] & kLearnt ? (int64_t)(ids[t + 1] & ~kLearnt) : kNoLabel;
      rest = kNoLabel;
      break;
    case Content::mask:
      for (; t < n; ++t) to[t] = 1;
      break;
  }
  std::fill(to + t, to + s.length, rest);
}

}  // namespace tern::data
