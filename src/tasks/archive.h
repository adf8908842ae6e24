// SPDX-License-Identifier: Apache-2.0
// The state of a task as bytes, little-endian, each number 8 of them: one description of a structure writes it and
// reads it. What is read is checked; the first thing that is wrong is told, and all that follows is left alone.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"

namespace tern {

class Archive {
 public:
  explicit Archive(std::vector<uint8_t>* out) : out_(out) {}
  explicit Archive(std::span<const uint8_t> in) : in_(in) {}

  bool reading() const { return !out_; }
  tern_status status() const { return status_; }
  // TERN_ERR_CORRUPT, unless something was wrong before.
  void refuse(const char* name, const char* why);
  // Another error; the first counts.
  void fail(tern_status status) { status_ = status_ == TERN_OK ? status : status_; }

  void integer(const char* name, int64_t& value, int64_t least, int64_t most);
  void flag(const char* name, bool& value);
  void number(const char* name, double& value);  // finite
  void numbers(const char* name, std::span<double> values);
  void floats(const char* name, std::vector<float>& values, int64_t most);
  void numbers(const char* name, std::vector<double>& values);
  // How many items follow, each of at least item_bytes: never more than the bytes that are left have room for.
  int64_t count(const char* name, size_t now, size_t item_bytes);
  // Reading: nothing is left.
  void end();

 private:
  bool raw(const char* name, void* value, size_t bytes);

  std::vector<uint8_t>* out_ = nullptr;
  std::span<const uint8_t> in_;
  tern_status status_ = TERN_OK;
};

// Writes all that somebody knows; or reads it, and what is wrong changes nothing.
template <class Known>
tern_status archive_whole(Archive& a, Known* known) {
  if (!a.reading()) return known->archive(a), a.status();
  Known read;
  read.archive(a);
  a.end();
  if (a.status() == TERN_OK) *known = std::move(read);
  return a.status();
}

}  // namespace tern
