// SPDX-License-Identifier: Apache-2.0
// Bytes of files: mapped or read, and files that are replaced as a whole.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "tern/status.h"

namespace tern {

// A block of bytes, and what keeps it alive.
struct Bytes {
  const uint8_t* data = nullptr;
  uint64_t size = 0;
  std::shared_ptr<const void> owner;  // empty: the caller keeps the memory alive
};

enum class LoadMode : uint8_t {
  map,   // read-only; pages come when they are touched. The file must not be cut while it is mapped
  copy,  // into memory of our own: for storage that others may change
};

// Opens a regular file. `max_bytes` is checked before anything is allocated.
// Errors: TERN_ERR_NOT_FOUND, TERN_ERR_IO, TERN_ERR_LIMIT, TERN_ERR_MEMORY. On error *out is untouched.
tern_status load_file(const char* path, LoadMode mode, uint64_t max_bytes, Bytes* out);
// `bytes` from `offset` of an open descriptor, which stays the caller's; bytes 0 = to the end of the file. The data
// begin at an address that has the same remainder by 64 as `offset` (map), or at a multiple of 64 (copy).
tern_status load_descriptor(int descriptor, uint64_t offset, uint64_t bytes, LoadMode mode, uint64_t max_bytes,
                            Bytes* out);
// A folder, opened once, whose files are named by somebody who is not trusted.
class Folder {
 public:
  Folder() = default;
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  bool is_open() const { return descriptor_ >= 0; }
  tern_status open(const char* path);
  // Maps a regular file that lies in the folder itself. `name` is a plain one: no path, no link of either kind.
  tern_status map(const std::string& name, uint64_t max_bytes, Bytes* out) const;

 private:
  int descriptor_ = -1;
};

// A copy of memory, aligned to 64 bytes.
tern_status copy_bytes(const void* data, uint64_t bytes, Bytes* out);

// Writes a file that appears under its name only when it is whole: into a temporary file of the same folder, which is
// synced and renamed by commit(). Without commit, or when anything fails, the temporary file is removed and an existing
// file stays as it was.
class FileWriter {
 public:
  FileWriter() = default;
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  tern_status open(const char* path);
  tern_status write(const void* data, uint64_t bytes);
  // Zeros up to a multiple of `alignment` (a power of two, at most 4096).
  tern_status pad(uint64_t alignment);
  // What was written so far, synced and read-only: to check it before the commit.
  tern_status reread(Bytes* out);
  tern_status commit();

  uint64_t position() const { return position_; }

 private:
  std::string path_, temporary_;
  int descriptor_ = -1;
  uint64_t position_ = 0;
};

}  // namespace tern
