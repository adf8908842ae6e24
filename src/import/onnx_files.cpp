// SPDX-License-Identifier: Apache-2.0
#include "import/onnx_files.h"

#include <charconv>
#include <cstring>

#include "base/checked.h"

namespace tern {
namespace {

constexpr uint64_t kMaxUses = 8;  // of a byte: heads and embeddings share their weights

struct Place {
  std::string file;
  uint64_t offset = 0, length = 0;
  bool has_length = false;
};

tern_status read_number(const onnx::TensorProto& t, const onnx::StringStringEntryProto& e, uint64_t* out) {
  const char* const end = e.value().data() + e.value().size();
  const auto r = std::from_chars(e.value().data(), end, *out);
  if (r.ec == std::errc() && r.ptr == end) return TERN_OK;
  return TERN_FAIL(TERN_ERR_CORRUPT, "tensor '%.80s' lies in another file at %s '%.40s', which is no number",
                   t.name().c_str(), e.key().c_str(), e.value().c_str());
}

tern_status read_place(const onnx::TensorProto& t, Place* out) {
  bool has_offset = false;
  for (const onnx::StringStringEntryProto& e : t.external_data()) {
    const bool again = (e.key() == "location" && !out->file.empty()) || (e.key() == "offset" && has_offset) ||
                       (e.key() == "length" && out->has_length);
    if (again)
      return TERN_FAIL(TERN_ERR_CORRUPT, "tensor '%.80s' lies in another file and gives its %s twice", t.name().c_str(),
                       e.key().c_str());
    if (e.key() == "location") out->file = e.value();
    if (e.key() == "offset") {
      has_offset = true;
      TERN_TRY(read_number(t, e, &out->offset));
    }
    if (e.key() == "length") {
      out->has_length = true;
      TERN_TRY(read_number(t, e, &out->length));
    }
  }
  if (out->file.empty())
    return TERN_FAIL(TERN_ERR_CORRUPT, "tensor '%.80s' lies in another file, but says not in which", t.name().c_str());
  return TERN_OK;
}

}  // namespace

tern_status OnnxFiles::open(const std::string& name, const Bytes** out) {
  const auto it = files_.find(name);
  if (it != files_.end()) return *out = &it->second, TERN_OK;
  if (!folder_.is_open()) TERN_TRY(folder_.open(path_.c_str()));
  Bytes file;
  TERN_TRY(folder_.map(name, left_, &file));
  left_ -= file.size;
  total_ += file.size;
  *out = &files_.emplace(name, std::move(file)).first->second;
  return TERN_OK;
}

tern_status OnnxFiles::read(const onnx::TensorProto& t, uint64_t bytes, uint64_t align, Data* out) {
  Place place;
  TERN_TRY(read_place(t, &place));
  if (path_.empty())
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "tensor '%.80s' lies in the file '%.80s' beside the model, but the model was given as bytes: "
                     "import it by its path",
                     t.name().c_str(), place.file.c_str());
  const Bytes* file = nullptr;
  if (const tern_status s = open(place.file, &file); s != TERN_OK) {
    const std::string why = thread_error().message;
    return TERN_FAIL(s, "tensor '%.80s' lies in another file: %s", t.name().c_str(), why.c_str());
  }
  if (place.has_length && place.length != bytes)
    return TERN_FAIL(TERN_ERR_CORRUPT, "tensor '%.80s' needs %" PRIu64 " bytes, but has %" PRIu64 " in '%.80s'",
                     t.name().c_str(), bytes, place.length, place.file.c_str());
  if (!range_within(place.offset, bytes, file->size))
    return TERN_FAIL(TERN_ERR_CORRUPT,
                     "tensor '%.80s' needs %" PRIu64 " bytes from byte %" PRIu64 " of '%.80s', which has %" PRIu64,
                     t.name().c_str(), bytes, place.offset, place.file.c_str(), file->size);
  uint64_t most;
  if (!checked_add(given_, bytes, &given_) || (checked_mul(total_, kMaxUses, &most) && given_ > most))
    return TERN_FAIL(TERN_ERR_LIMIT,
                     "the weights in other files overlap: they have %" PRIu64 " bytes, the files %" PRIu64, given_,
                     total_);
  if (bytes == 0 || (uintptr_t)(file->data + place.offset) % align == 0) {
    *out = {file->data + place.offset, file->owner};
    return TERN_OK;
  }
  void* p = nullptr;
  *out = make_data(bytes, &p);
  std::memcpy(p, file->data + place.offset, (size_t)bytes);
  return TERN_OK;
}

}  // namespace tern
