// SPDX-License-Identifier: Apache-2.0
#include "import/safetensors.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/float16.h"
#include "text/json.h"

namespace tern {
namespace {

constexpr uint64_t kMaxHeader = 100'000'000;  // as the format says
constexpr JsonLimits kLimits = {.depth = 4, .values = 2u << 20, .bytes = kMaxHeader};

constexpr struct {
  std::string_view name;
  DType dtype;
} kTypes[] = {{"BF16", TERN_DTYPE_BF16}, {"F16", TERN_DTYPE_F16},  {"F32", TERN_DTYPE_F32}, {"F64", TERN_DTYPE_F64},
              {"U8", TERN_DTYPE_U8},     {"I8", TERN_DTYPE_I8},    {"I16", TERN_DTYPE_I16}, {"I32", TERN_DTYPE_I32},
              {"I64", TERN_DTYPE_I64},   {"BOOL", TERN_DTYPE_BOOL}};

struct Range {
  uint64_t begin = 0, end = 0;
  size_t tensor = 0;
};

// One entry of the header: its type, shape and range, which is one of `data` bytes.
tern_status read_tensor(JsonValue v, const char* file, uint64_t data, SafeTensor* t, Range* range) {
  t->name = v.key();
  const std::string shown = t->name.substr(0, 100);
  const auto wrong = [&](const char* what) {
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: the tensor '%s' %s", file, shown.c_str(), what);
  };
  const JsonValue type = v["dtype"], shape = v["shape"], offsets = v["data_offsets"];
  if (!v.is(JsonKind::object) || v.size() != 3 || !type.is(JsonKind::string) || !shape.is(JsonKind::list) ||
      !offsets.is(JsonKind::list) || offsets.size() != 2)
    return wrong("is not described by dtype, shape and two data_offsets");
  for (const auto& k : kTypes)
    if (k.name == type.string()) t->dtype = k.dtype;
  if (t->dtype == TERN_DTYPE_NONE)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "%s: the tensor '%s' has the type '%.20s'; save it as BF16, F16 or F32",
                     file, shown.c_str(), std::string(type.string()).c_str());
  if (shape.size() > (uint32_t)kMaxRank) return wrong("has too many dims");
  for (JsonValue d = shape.first(); d; d = d.next()) {
    int64_t size = 0;
    if (!d.integer(0, INT64_MAX, &size)) return wrong("has an impossible dim");
    t->shape.push(size);
  }
  if (check_shape(t->shape, "a tensor") != TERN_OK) return wrong("has impossible dims");
  int64_t begin = 0, end = 0;
  if (!offsets.first().integer(0, INT64_MAX, &begin) || !offsets.first().next().integer(begin, INT64_MAX, &end))
    return wrong("has impossible data_offsets");
  range->begin = (uint64_t)begin, range->end = (uint64_t)end;
  if (range->end > data) return wrong("lies beyond the end of the file");
  if (range->end - range->begin != (uint64_t)t->shape.elements() * dtype_size(t->dtype))
    return wrong("has another number of bytes than its shape and type say");
  return TERN_OK;
}

}  // namespace

tern_status Safetensors::read(std::span<const uint8_t> file, const std::string& called, Safetensors* out) {
  const char* const name = called.c_str();
  uint64_t length = 0;
  if (file.size() < 8) return TERN_FAIL(TERN_ERR_CORRUPT, "%s: %zu bytes are no safetensors file", name, file.size());
  std::memcpy(&length, file.data(), 8);
  if (length > kMaxHeader)
    return TERN_FAIL(TERN_ERR_LIMIT, "%s: a header of %" PRIu64 " bytes; at most 100 MB are read", name, length);
  if (length > file.size() - 8) return TERN_FAIL(TERN_ERR_CORRUPT, "%s: the file ends within its header", name);
  const std::string_view header((const char*)file.data() + 8, (size_t)length);
  if (!header.starts_with('{')) return TERN_FAIL(TERN_ERR_CORRUPT, "%s: this is no safetensors file", name);
  Json json;
  if (const tern_status s = json.parse(header, kLimits); s != TERN_OK) {
    const std::string why = thread_error().message;
    return TERN_FAIL(s, "%s: its header: %s", name, why.c_str());
  }
  const uint8_t* const data = file.data() + 8 + length;
  const uint64_t bytes = file.size() - 8 - length;
  Safetensors made;
  std::vector<Range> ranges;
  for (JsonValue v = json.root().first(); v; v = v.next()) {
    if (v.key() == "__metadata__") continue;
    SafeTensor t;
    Range r;
    TERN_TRY(read_tensor(v, name, bytes, &t, &r));
    t.data = data + r.begin;
    r.tensor = ranges.size();
    ranges.push_back(r);
    made.tensors_.push_back(std::move(t));
  }
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  uint64_t at = 0;
  for (const Range& r : ranges) {
    if (r.begin != at)
      return TERN_FAIL(TERN_ERR_CORRUPT, "%s: the tensor '%.100s' %s", name, made.tensors_[r.tensor].name.c_str(),
                       r.begin < at ? "lies on another one" : "follows a hole");
    at = r.end;
  }
  if (at != bytes)
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: %" PRIu64 " bytes at its end belong to no tensor", name, bytes - at);
  std::sort(made.tensors_.begin(), made.tensors_.end(),
            [](const SafeTensor& a, const SafeTensor& b) { return a.name < b.name; });
  const auto twice = std::adjacent_find(made.tensors_.begin(), made.tensors_.end(),
                                        [](const SafeTensor& a, const SafeTensor& b) { return a.name == b.name; });
  if (twice != made.tensors_.end())
    return TERN_FAIL(TERN_ERR_CORRUPT, "%s: the tensor '%.100s' is there twice", name, twice->name.c_str());
  *out = std::move(made);
  return TERN_OK;
}

const SafeTensor* Safetensors::find(std::string_view name) const {
  const auto at = std::lower_bound(tensors_.begin(), tensors_.end(), name,
                                   [](const SafeTensor& t, std::string_view n) { return t.name < n; });
  return at != tensors_.end() && at->name == name ? &*at : nullptr;
}

void load_numbers(const SafeTensor& t, int64_t first, int64_t count, float* out) {
  const size_t size = dtype_size(t.dtype);
  const uint8_t* from = t.data + (uint64_t)first * size;
  if (t.dtype == TERN_DTYPE_F32) {
    if (count > 0) std::memcpy(out, from, (size_t)count * sizeof(float));
    return;
  }
  const bool half = t.dtype == TERN_DTYPE_F16, brain = t.dtype == TERN_DTYPE_BF16;
  for (int64_t i = 0; i < count; ++i, from += size) {
    uint64_t bits = 0;  // an address of its own, since that of the file may be odd
    std::memcpy(&bits, from, size);
    if (brain) out[i] = bf16_to_f32((uint16_t)bits);
    else if (half) out[i] = f16_to_f32((uint16_t)bits);
    else out[i] = (float)load_element(t.dtype, &bits, 0);
  }
}

}  // namespace tern
