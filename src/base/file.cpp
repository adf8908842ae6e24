// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <string_view>

#include "base/checked.h"
#include "base/status.h"

namespace tern {
namespace {

// Most bytes of one system call: Linux moves at most 2^31 - 4096.
constexpr uint64_t kChunk = 1u << 30;

tern_status fail_io(const char* what, const char* path, int error) {
  const bool missing = error == ENOENT || error == ENOTDIR;
  if (error == ENOMEM) return TERN_FAIL(TERN_ERR_MEMORY, "%s: no memory to %s", path, what);
  return TERN_FAIL(missing ? TERN_ERR_NOT_FOUND : TERN_ERR_IO, "%s: cannot %s: %s", path, what, std::strerror(error));
}

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

struct Mapping {
  void* base = nullptr;
  size_t size = 0;
  ~Mapping() {
    if (size) ::munmap(base, size);
  }
};

tern_status allocate(uint64_t bytes, uint8_t** data, Bytes* out) {
  void* p =
      bytes <= SIZE_MAX / 2 ? ::operator new(bytes ? (size_t)bytes : 1, std::align_val_t(64), std::nothrow) : nullptr;
  if (!p) return TERN_FAIL(TERN_ERR_MEMORY, "no memory for %" PRIu64 " bytes", bytes);
  out->owner = std::shared_ptr<const void>(
      p, [](const void* q) { ::operator delete(const_cast<void*>(q), std::align_val_t(64)); });
  out->data = *data = static_cast<uint8_t*>(p);
  out->size = bytes;
  return TERN_OK;
}

tern_status file_size(int fd, const char* name, uint64_t* size) {
  struct stat info;
  if (::fstat(fd, &info) != 0) return fail_io("read the size", name, errno);
  if (!S_ISREG(info.st_mode)) return TERN_FAIL(TERN_ERR_IO, "%s: this is no regular file", name);
  *size = (uint64_t)info.st_size;
  return TERN_OK;
}

tern_status read_all(int fd, const char* name, uint64_t offset, uint8_t* data, uint64_t bytes) {
  while (bytes > 0) {
    const ssize_t n = ::pread(fd, data, (size_t)(bytes < kChunk ? bytes : kChunk), (off_t)offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_io("read", name, errno);
    if (n == 0) return TERN_FAIL(TERN_ERR_IO, "%s: the file became shorter while it was read", name);
    data += n, offset += (uint64_t)n, bytes -= (uint64_t)n;
  }
  return TERN_OK;
}

tern_status load(int fd, const char* name, uint64_t offset, uint64_t bytes, LoadMode mode, uint64_t max_bytes,
                 Bytes* out) {
  uint64_t size;
  TERN_TRY(file_size(fd, name, &size));
  if (offset > size || bytes > size - offset)
    return TERN_FAIL(TERN_ERR_IO, "%s: %" PRIu64 " bytes from %" PRIu64 " were asked for, the file has %" PRIu64, name,
                     bytes, offset, size);
  if (bytes == 0) bytes = size - offset;
  if (bytes > max_bytes)
    return TERN_FAIL(TERN_ERR_LIMIT, "%s: %" PRIu64 " bytes, at most %" PRIu64 " are allowed (max_file_bytes)", name,
                     bytes, max_bytes);

  Bytes result;
  uint8_t* data = nullptr;
  if (mode == LoadMode::copy || bytes == 0) {  // nothing cannot be mapped
    TERN_TRY(allocate(bytes, &data, &result));
    TERN_TRY(read_all(fd, name, offset, data, bytes));
    *out = std::move(result);
    return TERN_OK;
  }
  const uint64_t page = (uint64_t)::sysconf(_SC_PAGESIZE), before = offset % page;
  uint64_t length;
  if (!checked_add(bytes, before, &length) || length > SIZE_MAX)
    return TERN_FAIL(TERN_ERR_LIMIT, "%s: too large to be mapped", name);
  auto mapping = std::make_shared<Mapping>();
  mapping->base = ::mmap(nullptr, (size_t)length, PROT_READ, MAP_PRIVATE, fd, (off_t)(offset - before));
  if (mapping->base == MAP_FAILED) return fail_io("map", name, errno);
  mapping->size = (size_t)length;
  uint64_t size_now;  // a file cut between the first look and the mapping would end the process at the first touch
  TERN_TRY(file_size(fd, name, &size_now));
  if (!range_within(offset, bytes, size_now))
    return TERN_FAIL(TERN_ERR_IO, "%s: the file became shorter while it was opened", name);
  result.data = static_cast<const uint8_t*>(mapping->base) + before;
  result.size = bytes;
  result.owner = std::move(mapping);
  *out = std::move(result);
  return TERN_OK;
}

}  // namespace

tern_status load_file(const char* path, LoadMode mode, uint64_t max_bytes, Bytes* out) {
  // Non-blocking, so that a named pipe is refused below and not waited for.
  const Descriptor file{::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) return fail_io("open", path, errno);
  return load(file.fd, path, 0, 0, mode, max_bytes, out);
}

tern_status load_descriptor(int descriptor, uint64_t offset, uint64_t bytes, LoadMode mode, uint64_t max_bytes,
                            Bytes* out) {
  char name[32];
  std::snprintf(name, sizeof name, "descriptor %d", descriptor);
  return load(descriptor, name, offset, bytes, mode, max_bytes, out);
}

Folder::~Folder() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

tern_status Folder::open(const char* path) {
  descriptor_ = ::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return descriptor_ >= 0 ? TERN_OK : fail_io("open the folder", path, errno);
}

tern_status Folder::map(const std::string& name, uint64_t max_bytes, Bytes* out) const {
  const std::string shown = name.substr(0, 120);
  // Backslash and colon lead elsewhere on other systems: a model that has them would not be the same everywhere.
  const bool plain = !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
                     name.find_first_of(std::string_view("/\\:\0", 4)) == std::string::npos;
  if (!plain)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "'%s' is no plain file name: only files of the model's own folder are read; put it there and name "
                     "it without a path",
                     shown.c_str());
  const Descriptor file{::openat(descriptor_, name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY)};
  if (file.fd < 0 && errno == ELOOP)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "'%s' is a symbolic link, which is not followed: put a copy of the file there", shown.c_str());
  if (file.fd < 0) return fail_io("open", shown.c_str(), errno);
  struct stat info;
  if (::fstat(file.fd, &info) != 0) return fail_io("read the size", shown.c_str(), errno);
  if (S_ISREG(info.st_mode) && info.st_nlink > 1)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "'%s' has %ju names (hard links), one of which may be elsewhere: put a copy of the file there",
                     shown.c_str(), (uintmax_t)info.st_nlink);
  return load(file.fd, shown.c_str(), 0, 0, LoadMode::map, max_bytes, out);
}

tern_status copy_bytes(const void* from, uint64_t bytes, Bytes* out) {
  Bytes result;
  uint8_t* data = nullptr;
  TERN_TRY(allocate(bytes, &data, &result));
  if (bytes) std::memcpy(data, from, (size_t)bytes);
  *out = std::move(result);
  return TERN_OK;
}

// ---- writing ----

FileWriter::~FileWriter() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

tern_status FileWriter::open(const char* path) {
  path_ = path;
  struct stat there;
  if (::stat(path, &there) == 0 && !S_ISREG(there.st_mode))
    return TERN_FAIL(TERN_ERR_IO, "%s: what stands there is no regular file", path);
  // A name that no other process and no other writer of this one uses; O_EXCL makes sure.
  for (unsigned attempt = 0; attempt < 1000; ++attempt) {
    std::string name = path_ + ".tmp" + std::to_string(::getpid()) + "." + std::to_string(attempt);
    descriptor_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ >= 0) {
      temporary_ = std::move(name);
      return TERN_OK;
    }
    if (errno != EEXIST) break;
  }
  return fail_io("create a file beside it", path, errno);
}

tern_status FileWriter::write(const void* data, uint64_t bytes) {
  const uint8_t* p = static_cast<const uint8_t*>(data);
  while (bytes > 0) {
    const ssize_t n = ::write(descriptor_, p, (size_t)(bytes < kChunk ? bytes : kChunk));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail_io("write", path_.c_str(), n < 0 ? errno : EIO);
    p += n, bytes -= (uint64_t)n, position_ += (uint64_t)n;
  }
  return TERN_OK;
}

tern_status FileWriter::pad(uint64_t alignment) {
  static constexpr uint8_t kZeros[4096] = {};
  uint64_t end;
  if (!checked_align(position_, alignment, &end)) return TERN_FAIL(TERN_ERR_LIMIT, "%s: too large", path_.c_str());
  return write(kZeros, end - position_);
}

tern_status FileWriter::reread(Bytes* out) {
  return load(descriptor_, path_.c_str(), 0, 0, LoadMode::map, UINT64_MAX, out);
}

tern_status FileWriter::commit() {
  if (::fsync(descriptor_) != 0) return fail_io("write", path_.c_str(), errno);
  const int fd = descriptor_;
  descriptor_ = -1;
  if (::close(fd) != 0) return fail_io("write", path_.c_str(), errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return fail_io("replace the file", path_.c_str(), errno);
  temporary_.clear();
  // The new name survives a power cut once the folder is synced. The file is whole either way, so a folder that cannot
  // be opened or synced (some file systems refuse) is no failure of the save.
  const size_t slash = path_.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
  const Descriptor dir{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (dir.fd >= 0) (void)::fsync(dir.fd);
  return TERN_OK;
}

}  // namespace tern
