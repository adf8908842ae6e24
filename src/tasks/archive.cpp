// SPDX-License-Identifier: Apache-2.0
#include "tasks/archive.h"

#include <bit>
#include <cinttypes>
#include <cmath>
#include <cstring>

namespace tern {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they are");

void Archive::refuse(const char* name, const char* why) {
  if (status_ == TERN_OK) status_ = TERN_FAIL(TERN_ERR_CORRUPT, "saved state: %s %s", name, why);
}

bool Archive::raw(const char* name, void* value, size_t bytes) {
  if (status_ != TERN_OK) return false;
  if (out_) {
    const uint8_t* p = static_cast<const uint8_t*>(value);
    out_->insert(out_->end(), p, p + bytes);
    return true;
  }
  if (in_.size() < bytes) return refuse(name, "is cut off"), false;
  if (bytes > 0) std::memcpy(value, in_.data(), bytes);
  in_ = in_.subspan(bytes);
  return true;
}

void Archive::integer(const char* name, int64_t& value, int64_t least, int64_t most) {
  int64_t v = value;
  if (!raw(name, &v, sizeof v)) return;
  if (reading() && (v < least || v > most)) {
    status_ = TERN_FAIL(TERN_ERR_CORRUPT, "saved state: %s is %" PRId64 ", allowed is %" PRId64 " to %" PRId64, name, v,
                        least, most);
    return;
  }
  if (reading()) value = v;
}

void Archive::flag(const char* name, bool& value) {
  int64_t v = value;
  integer(name, v, 0, 1);
  if (reading()) value = v != 0;
}

void Archive::number(const char* name, double& value) { numbers(name, std::span<double>(&value, 1)); }

void Archive::numbers(const char* name, std::span<double> values) {
  for (double& value : values) {
    double v = value;
    if (!raw(name, &v, sizeof v)) return;
    if (reading() && !std::isfinite(v)) return refuse(name, "is no number");
    if (reading()) value = v;
  }
}

void Archive::floats(const char* name, std::vector<float>& values, int64_t most) {
  int64_t n = count(name, values.size(), sizeof(float));
  if (n > most) return refuse(name, "are too many");
  values.resize((size_t)n);
  if (!raw(name, values.data(), (size_t)n * sizeof(float))) return;
  for (const float v : values)
    if (reading() && !std::isfinite(v)) return refuse(name, "are no numbers");
}

void Archive::numbers(const char* name, std::vector<double>& values) {
  values.resize((size_t)count(name, values.size(), sizeof(double)));
  numbers(name, std::span<double>(values));
}

int64_t Archive::count(const char* name, size_t now, size_t item_bytes) {
  int64_t n = (int64_t)now;
  integer(name, n, 0, reading() ? (int64_t)(in_.size() / item_bytes) : INT64_MAX);
  return status_ == TERN_OK ? n : 0;
}

void Archive::end() {
  if (reading() && !in_.empty()) refuse("its end", "is followed by more");
}

}  // namespace tern
