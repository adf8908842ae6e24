// SPDX-License-Identifier: Apache-2.0
#include "import/gguf.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstring>

#include "base/checked.h"

namespace tern {
namespace {

enum Type : uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kText, kList, kU64, kI64, kF64, kNumTypes };
constexpr int kTypeBytes[kNumTypes] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

class Cursor {
 public:
  explicit Cursor(std::span<const uint8_t> file) : file_(file) {}

  uint64_t at() const { return at_; }
  tern_status take(uint64_t bytes, const char* what, const uint8_t** out) {
    if (bytes > file_.size() - at_)
      return TERN_FAIL(TERN_ERR_CORRUPT, "GGUF: the file ends within %s at byte %" PRIu64, what, at_);
    *out = file_.data() + at_;
    at_ += bytes;
    return TERN_OK;
  }
  template <class T>
  tern_status number(const char* what, T* out) {
    const uint8_t* p = nullptr;
    TERN_TRY(take(sizeof(T), what, &p));
    std::memcpy(out, p, sizeof(T));
    return TERN_OK;
  }
  tern_status text(const char* what, std::string_view* out) {
    uint64_t length = 0;
    const uint8_t* p = nullptr;
    TERN_TRY(number(what, &length));
    TERN_TRY(take(length, what, &p));
    *out = {(const char*)p, (size_t)length};
    return TERN_OK;
  }

 private:
  std::span<const uint8_t> file_;
  uint64_t at_ = 0;
};

// The bytes of one value, or of the elements of a list.
tern_status skip(Cursor& c, uint32_t type, uint64_t count, const char* what) {
  const uint8_t* p = nullptr;
  if (type >= kNumTypes || type == kList)
    return TERN_FAIL(TERN_ERR_CORRUPT, "GGUF: a value of the type %u at byte %" PRIu64, type, c.at());
  if (type == kText) {
    std::string_view text;
    for (uint64_t i = 0; i < count; ++i) TERN_TRY(c.text(what, &text));
    return TERN_OK;
  }
  uint64_t bytes = 0;
  if (!checked_mul(count, (uint64_t)kTypeBytes[type], &bytes)) bytes = UINT64_MAX;
  return c.take(bytes, what, &p);
}

template <class T>
T read_as(const uint8_t* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

bool is_integer_type(uint32_t type) { return type < kNumTypes && type != kF32 && type != kF64 && kTypeBytes[type]; }
int64_t load_integer_of(uint32_t type, const uint8_t* p) {
  switch (type) {
    case kU8:
    case kBool: return *p;
    case kI8: return (int8_t)*p;
    case kU16: return read_as<uint16_t>(p);
    case kI16: return read_as<int16_t>(p);
    case kU32: return read_as<uint32_t>(p);
    case kI32: return read_as<int32_t>(p);
    case kU64: return (int64_t)std::min<uint64_t>(read_as<uint64_t>(p), INT64_MAX);
    default: return read_as<int64_t>(p);
  }
}

tern_status wrong_kind(std::string_view key, const char* wanted) {
  return TERN_FAIL(TERN_ERR_CORRUPT, "GGUF: the value of '%.*s' is no %s", (int)std::min<size_t>(key.size(), 100),
                   key.data(), wanted);
}

}  // namespace

tern_status Gguf::read(std::span<const uint8_t> file, Gguf* out) {
  Cursor c(file);
  uint32_t magic = 0, version = 0;
  uint64_t num_tensors = 0, num_entries = 0;
  TERN_TRY(c.number("the header", &magic));
  TERN_TRY(c.number("the header", &version));
  if (magic != 0x46554747) return TERN_FAIL(TERN_ERR_CORRUPT, "this is no GGUF file");
  if (version != 2 && version != 3)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "GGUF: version %u; versions 2 and 3 are read", version);
  TERN_TRY(c.number("the header", &num_tensors));
  TERN_TRY(c.number("the header", &num_entries));
  Gguf g;
  for (uint64_t i = 0; i < num_entries; ++i) {
    Entry e;
    TERN_TRY(c.text("a key", &e.key));
    TERN_TRY(c.number("the type of a value", &e.type));
    e.element = e.type;
    if (e.type == kList) {
      TERN_TRY(c.number("the type of a list", &e.element));
      TERN_TRY(c.number("the length of a list", &e.count));
    }
    const uint64_t begin = c.at();
    TERN_TRY(skip(c, e.element, e.count, "a value"));
    e.bytes = file.subspan((size_t)begin, (size_t)(c.at() - begin));
    g.entries_.push_back(e);
  }
  std::sort(g.entries_.begin(), g.entries_.end(), [](const Entry& a, const Entry& b) { return a.key < b.key; });
  const auto twice = std::adjacent_find(g.entries_.begin(), g.entries_.end(),
                                        [](const Entry& a, const Entry& b) { return a.key == b.key; });
  if (twice != g.entries_.end())
    return TERN_FAIL(TERN_ERR_CORRUPT, "GGUF: the key '%.*s' is there twice",
                     (int)std::min<size_t>(twice->key.size(), 100), twice->key.data());
  int64_t alignment = 32;
  TERN_TRY(g.integer("general.alignment", &alignment));
  if (alignment < 1 || alignment > 65536 || (alignment & (alignment - 1)))
    return TERN_FAIL(TERN_ERR_CORRUPT, "GGUF: an alignment of %" PRId64, alignment);
  std::vector<uint64_t> offsets;
  Missing missing;
  for (uint64_t i = 0; i < num_tensors; ++i) {
    GgufTensor t;
    uint32_t rank = 0, type = 0;
    uint64_t offset = 0;
    TERN_TRY(c.text("the name of a tensor", &t.name));
    const int length = (int)std::min<size_t>(t.name.size(), 100);
    TERN_TRY(c.number("a tensor", &rank));
    if (rank < 1 || rank > 4)
      return TERN_FAIL(TERN_ERR_CORRUPT, "GGUF: the tensor '%.*s' has %u dims", length, t.name.data(), rank);
    t.shape.rank = (int32_t)rank;
    for (uint32_t d = 0; d < rank; ++d) {
      int64_t size = 0;
      TERN_TRY(c.number("a tensor", &size));
      t.shape[(int)(rank - 1 - d)] = size;
    }
    TERN_TRY(c.number("a tensor", &type));
    TERN_TRY(c.number("a tensor", &offset));
    if (check_shape(t.shape, "a tensor") != TERN_OK)
      return TERN_FAIL(TERN_ERR_CORRUPT, "GGUF: the tensor '%.*s' has impossible dims", length, t.name.data());
    t.type = find_gguf_type(type);
    if (!t.type) missing.add("tensors of GGUF type " + std::to_string(type));
    else if (t.shape[(int)rank - 1] % t.type->numbers != 0)
      return TERN_FAIL(TERN_ERR_CORRUPT, "GGUF: rows of '%.*s' have %" PRId64 " numbers, no multiple of %d", length,
                       t.name.data(), t.shape[(int)rank - 1], t.type->numbers);
    offsets.push_back(offset);
    g.tensors_.push_back(t);
  }
  std::vector<std::string_view> names;
  for (const GgufTensor& t : g.tensors_) names.push_back(t.name);
  std::sort(names.begin(), names.end());
  if (const auto same = std::adjacent_find(names.begin(), names.end()); same != names.end())
    return TERN_FAIL(TERN_ERR_CORRUPT, "GGUF: the tensor '%.*s' is there twice",
                     (int)std::min<size_t>(same->size(), 100), same->data());
  if (missing.any()) {
    std::string list;
    for (const auto& [what, count] : missing.counts)
      list += (list.empty() ? "" : ", ") + std::to_string(count) + " " + what;
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "the file has %.500s", list.c_str());
  }
  uint64_t begin = 0;
  if (!checked_align(c.at(), (uint64_t)alignment, &begin) || begin > file.size()) begin = file.size();
  for (size_t i = 0; i < g.tensors_.size(); ++i) {
    GgufTensor& t = g.tensors_[i];
    const uint64_t bytes =
        (uint64_t)t.shape.elements() / (uint64_t)t.type->numbers * (uint64_t)t.type->bytes + (uint64_t)t.type->tail;
    if (offsets[i] > file.size() - begin || bytes > file.size() - begin - offsets[i])
      return TERN_FAIL(TERN_ERR_CORRUPT, "GGUF: the tensor '%.*s' lies beyond the end of the file",
                       (int)std::min<size_t>(t.name.size(), 100), t.name.data());
    t.data = file.data() + begin + offsets[i];
  }
  *out = std::move(g);
  return TERN_OK;
}

const Gguf::Entry* Gguf::find(std::string_view key) const {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), key,
                                   [](const Entry& e, std::string_view k) { return e.key < k; });
  return at != entries_.end() && at->key == key ? &*at : nullptr;
}

tern_status Gguf::integer(std::string_view key, int64_t* out) const {
  const Entry* e = find(key);
  if (!e) return TERN_OK;
  if (e->type == kList || !is_integer_type(e->type)) return wrong_kind(key, "integer");
  *out = load_integer_of(e->type, e->bytes.data());
  return TERN_OK;
}

tern_status Gguf::number(std::string_view key, double* out) const {
  const Entry* e = find(key);
  if (!e) return TERN_OK;
  if (e->type == kF32) *out = (double)read_as<float>(e->bytes.data());
  else if (e->type == kF64) *out = read_as<double>(e->bytes.data());
  else if (is_integer_type(e->type)) *out = (double)load_integer_of(e->type, e->bytes.data());
  else return wrong_kind(key, "number");
  return TERN_OK;
}

tern_status Gguf::text(std::string_view key, std::string_view* out) const {
  const Entry* e = find(key);
  if (!e) return TERN_OK;
  if (e->type != kText) return wrong_kind(key, "text");
  Cursor c(e->bytes);
  return c.text("a text", out);
}

tern_status Gguf::texts(std::string_view key, std::vector<std::string_view>* out) const {
  const Entry* e = find(key);
  if (!e) return TERN_OK;
  if (e->type != kList || e->element != kText) return wrong_kind(key, "list of texts");
  Cursor c(e->bytes);
  out->resize((size_t)e->count);
  for (std::string_view& text : *out) TERN_TRY(c.text("a list", &text));
  return TERN_OK;
}

tern_status Gguf::integers(std::string_view key, std::vector<int64_t>* out) const {
  const Entry* e = find(key);
  if (!e) return TERN_OK;
  if (e->type != kList || !is_integer_type(e->element)) return wrong_kind(key, "list of integers");
  out->clear();
  for (uint64_t i = 0; i < e->count; ++i)
    out->push_back(load_integer_of(e->element, e->bytes.data() + i * (uint64_t)kTypeBytes[e->element]));
  return TERN_OK;
}

tern_status Gguf::numbers(std::string_view key, std::vector<float>* out) const {
  const Entry* e = find(key);
  if (!e) return TERN_OK;
  if (e->type != kList || e->element != kF32) return wrong_kind(key, "list of numbers");
  out->clear();
  for (uint64_t i = 0; i < e->count; ++i) out->push_back(read_as<float>(e->bytes.data() + 4 * i));
  return TERN_OK;
}

}  // namespace tern
