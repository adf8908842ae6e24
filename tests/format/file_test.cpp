// SPDX-License-Identifier: Apache-2.0
// Files: loading by path, descriptor and memory; saving that fails or is killed at any point.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "tests/format/support.h"

// ---- system calls that fail when asked ----
// These take the place of the C library's in this program. They count the calls while `countdown` is not negative; the
// call that brings it to zero fails, is cut short or ends the process.

namespace {
enum class Trouble { none, fail, shorten, kill };
Trouble trouble = Trouble::none;
int countdown = -1, calls = 0;

// True: the call is to fail, with errno set.
bool troubled(int error, bool* shorten = nullptr) {
  if (countdown < 0) return false;
  ++calls;
  if (countdown-- != 0) return false;
  countdown = -1;
  if (trouble == Trouble::kill) _exit(42);
  if (trouble == Trouble::shorten) {
    if (shorten) *shorten = true;
    return false;
  }
  errno = error;
  return true;
}
}  // namespace

extern "C" {
ssize_t write(int fd, const void* p, size_t n) {
  bool shorten = false;
  if (fd > 2 && troubled(ENOSPC, &shorten)) return -1;
  return syscall(SYS_write, fd, p, shorten && n > 1 ? n / 2 : n);
}
ssize_t pread(int fd, void* p, size_t n, off_t offset) {
  bool shorten = false;
  if (troubled(EIO, &shorten)) return -1;
  const iovec part{p, shorten && n > 1 ? n / 2 : n};
  return preadv(fd, &part, 1, offset);
}
#if __SIZEOF_LONG__ == 8  // elsewhere pread is this name already
ssize_t pread64(int fd, void* p, size_t n, off_t offset) { return pread(fd, p, n, offset); }
#endif
int fsync(int fd) { return troubled(EIO) ? -1 : (int)syscall(SYS_fsync, fd); }
int rename(const char* from, const char* to) {
  return troubled(EACCES) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
}

namespace tern::test {
namespace {

// `action` with trouble at its n-th call; the number of calls that it made.
template <class F>
int with_trouble(Trouble t, int n, F&& action) {
  trouble = t;
  calls = 0;
  countdown = n;
  action();
  countdown = -1;
  return calls;
}

File read_whole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return File(std::istreambuf_iterator<char>(in), {});
}
void write_whole(const std::string& path, const File& content) {
  std::ofstream(path, std::ios::binary).write((const char*)content.data(), (std::streamsize)content.size());
}
std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& e : std::filesystem::directory_iterator(folder)) names.push_back(e.path().filename().string());
  return names;
}

// ---- loading ----

TEST(LoadFile, MapAndCopy) {
  const std::string path = temporary_folder() + "/m.tern";
  ASSERT_EQ(write_model(small_model(), path.c_str()), TERN_OK) << thread_error().message;
  EXPECT_EQ(read_whole(path), write(small_model()));
  for (const LoadMode mode : {LoadMode::map, LoadMode::copy}) {
    Bytes b;
    ASSERT_EQ(load_file(path.c_str(), mode, 1 << 20, &b), TERN_OK);
    ModelDef m;
    ASSERT_EQ(read_model(b, resolve_limits(nullptr), &m), TERN_OK) << thread_error().message;
    expect_equal(small_model(), m);
  }
}

TEST(LoadFile, Failures) {
  const std::string folder = temporary_folder();
  Bytes b;
  b.size = 77;
  const auto expect = [&](const std::string& path, tern_status code, uint64_t max = 1 << 20) {
    for (const LoadMode mode : {LoadMode::map, LoadMode::copy}) {
      EXPECT_EQ(load_file(path.c_str(), mode, max, &b), code) << path;
      EXPECT_NE(std::string(thread_error().message).find(path), std::string::npos) << thread_error().message;
      EXPECT_EQ(b.size, 77u);
    }
  };
  expect(folder + "/none.tern", TERN_ERR_NOT_FOUND);
  expect(folder + "/none/none.tern", TERN_ERR_NOT_FOUND);
  expect(folder, TERN_ERR_IO);
  expect("/dev/zero", TERN_ERR_IO);
  write_whole(folder + "/file", File(1000));
  expect(folder + "/file/x", TERN_ERR_NOT_FOUND);
  expect(folder + "/file", TERN_ERR_LIMIT, 999);
  ASSERT_EQ(mkfifo((folder + "/pipe").c_str(), 0600), 0);
  expect(folder + "/pipe", TERN_ERR_IO);
  // 16 TiB of nothing.
  write_whole(folder + "/sparse", File{});
  if (truncate((folder + "/sparse").c_str(), 15LL << 40) == 0)
    expect(folder + "/sparse", TERN_ERR_LIMIT, uint64_t(1) << 40);
}

TEST(LoadFile, Empty) {
  const std::string path = temporary_folder() + "/empty";
  write_whole(path, {});
  for (const LoadMode mode : {LoadMode::map, LoadMode::copy}) {
    Bytes b;
    ASSERT_EQ(load_file(path.c_str(), mode, 100, &b), TERN_OK);
    EXPECT_EQ(b.size, 0u);
    ModelDef m;
    EXPECT_EQ(read_model(b, resolve_limits(nullptr), &m), TERN_ERR_CORRUPT);
  }
}

TEST(LoadFile, Descriptor) {
  const std::string path = temporary_folder() + "/package";
  const File model = write(small_model());
  for (const size_t before : {0, 64, 4096, 6400}) {
    File package(before, 0xaa);
    package.insert(package.end(), model.begin(), model.end());
    package.insert(package.end(), 100, 0xbb);
    write_whole(path, package);
    const int fd = open(path.c_str(), O_RDONLY);
    for (const LoadMode mode : {LoadMode::map, LoadMode::copy}) {
      Bytes b;
      ASSERT_EQ(load_descriptor(fd, before, model.size(), mode, 1 << 20, &b), TERN_OK) << thread_error().message;
      ModelDef m;
      EXPECT_EQ(read_model(b, resolve_limits(nullptr), &m), TERN_OK) << thread_error().message;
      ASSERT_EQ(load_descriptor(fd, before, 0, mode, 1 << 20, &b), TERN_OK);
      EXPECT_EQ(b.size, model.size() + 100);
      b = {};
      EXPECT_EQ(load_descriptor(fd, before, package.size() + 1, mode, 1 << 20, &b), TERN_ERR_IO);
      EXPECT_EQ(load_descriptor(fd, package.size() + 1, 0, mode, 1 << 20, &b), TERN_ERR_IO);
      EXPECT_EQ(load_descriptor(fd, UINT64_MAX, UINT64_MAX, mode, 1 << 20, &b), TERN_ERR_IO);
      EXPECT_EQ(b.data, nullptr);
    }
    close(fd);
    Bytes b;
    EXPECT_EQ(load_descriptor(fd, 0, 0, LoadMode::map, 1 << 20, &b), TERN_ERR_IO);
  }
}

// A copy does not care what happens to the file afterwards.
TEST(LoadFile, TruncatedAfterCopy) {
  const std::string path = temporary_folder() + "/m.tern";
  ASSERT_EQ(write_model(small_model(), path.c_str()), TERN_OK);
  Bytes b;
  ASSERT_EQ(load_file(path.c_str(), LoadMode::copy, 1 << 20, &b), TERN_OK);
  ModelDef m;
  ASSERT_EQ(read_model(b, resolve_limits(nullptr), &m), TERN_OK);
  ASSERT_EQ(truncate(path.c_str(), 10), 0);
  EXPECT_EQ(check_weights(m), TERN_OK);
}

// Another thread cuts the file and makes it long again while it is copied: an error, or bytes that are then verified.
TEST(LoadFile, TruncatedWhileCopied) {
  const std::string path = temporary_folder() + "/m";
  const File content(1 << 20, 7);
  std::atomic<bool> stop{false};
  write_whole(path, content);
  std::thread other([&] {
    while (!stop) {
      if (truncate(path.c_str(), 5000) != 0 || truncate(path.c_str(), 1 << 20) != 0) break;
    }
  });
  for (int i = 0; i < 300; ++i) {
    Bytes b;
    const tern_status s = load_file(path.c_str(), LoadMode::copy, 1 << 20, &b);
    EXPECT_TRUE(s == TERN_OK || s == TERN_ERR_IO) << thread_error().message;
  }
  stop = true;
  other.join();
}

TEST(LoadFile, FailingReads) {
  const std::string path = temporary_folder() + "/m";
  write_whole(path, File(10000, 7));
  Bytes b;
  tern_status s;
  EXPECT_GE(with_trouble(Trouble::fail, 0, [&] { s = load_file(path.c_str(), LoadMode::copy, 1 << 20, &b); }), 1);
  EXPECT_EQ(s, TERN_ERR_IO);
  EXPECT_EQ(b.data, nullptr);
  with_trouble(Trouble::shorten, 0, [&] { s = load_file(path.c_str(), LoadMode::copy, 1 << 20, &b); });
  EXPECT_EQ(s, TERN_OK);
  EXPECT_EQ(b.data[9999], 7);
}

TEST(LoadFile, NoMemory) {
  const std::string path = temporary_folder() + "/huge";
  write_whole(path, {});
  if (truncate(path.c_str(), 1LL << 43) != 0) GTEST_SKIP() << "SKIPPED: this file system has no sparse files of 8 TiB";
  if (std::getenv("TERN_TEST_EMULATED")) GTEST_SKIP() << "SKIPPED: QEMU does not keep to a limit of memory";
#ifndef __has_feature  // Clang's
#define __has_feature(x) 0
#endif
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !__has_feature(address_sanitizer)
  rlimit old;
  getrlimit(RLIMIT_AS, &old);
  const rlimit small{1u << 30, old.rlim_max};
  setrlimit(RLIMIT_AS, &small);
  Bytes b;
  EXPECT_EQ(load_file(path.c_str(), LoadMode::copy, UINT64_MAX, &b), TERN_ERR_MEMORY);
  EXPECT_EQ(load_file(path.c_str(), LoadMode::map, UINT64_MAX, &b),
            sizeof(void*) == 4 ? TERN_ERR_LIMIT : TERN_ERR_MEMORY);
  EXPECT_EQ(b.data, nullptr);
  setrlimit(RLIMIT_AS, &old);
#endif
}

// Loading maps and verifies without reading weights: the same memory and nearly the same time for 1 MB as for 8 GB.
TEST(LoadFile, WeightsAreNotTouched) {
  const std::string path = temporary_folder() + "/large.tern";
  Parts p = take_apart(write(small_model()));
  const uint64_t bytes = uint64_t(8) << 30;
  auto big = std::make_unique<fbs::TensorT>();
  big->name = "big", big->dtype = TERN_DTYPE_U8, big->shape = {(int64_t)bytes}, big->bytes = bytes;
  big->offset = (p.weights.size() + 63) / 64 * 64;
  p.model.parameters.push_back(std::move(big));
  File file = put_together(p);
  const uint64_t weights_offset = get_u64(file, 32), total = weights_offset + p.model.parameters.back()->offset + bytes;
  set_u64(file, 40, total - weights_offset);
  set_u64(file, 48, total);
  reseal(file);
  write_whole(path, file);
  if (truncate(path.c_str(), (off_t)total) != 0)
    GTEST_SKIP() << "SKIPPED: this file system has no sparse files of 8 GiB";
  Bytes b;
  if (load_file(path.c_str(), LoadMode::map, UINT64_MAX, &b) != TERN_OK)
    GTEST_SKIP() << "SKIPPED: cannot map 8 GiB: " << thread_error().message;
  rusage before, after;
  getrusage(RUSAGE_SELF, &before);
  ModelDef m;
  ASSERT_EQ(read_model(b, resolve_limits(nullptr), &m), TERN_OK) << thread_error().message;
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT((after.ru_minflt + after.ru_majflt) - (before.ru_minflt + before.ru_majflt), 500);
  EXPECT_EQ(m.parameters.back().bytes, bytes);
}

// ---- saving ----

TEST(SaveFile, ReplacesAndLeavesNothingBehind) {
  const std::string folder = temporary_folder(), path = folder + "/m.tern";
  write_whole(path, File(100, 1));
  ASSERT_EQ(write_model(small_model(), path.c_str()), TERN_OK);
  EXPECT_EQ(read_whole(path), write(small_model()));
  EXPECT_EQ(files_in(folder).size(), 1u);
}

TEST(SaveFile, RelativeName) {
  const std::string folder = temporary_folder();
  const auto old = std::filesystem::current_path();
  std::filesystem::current_path(folder);
  EXPECT_EQ(write_model(small_model(), "m.tern"), TERN_OK) << thread_error().message;
  std::filesystem::current_path(old);
  EXPECT_EQ(files_in(folder), std::vector<std::string>{"m.tern"});
}

TEST(SaveFile, TemporaryNamesAreTaken) {
  const std::string folder = temporary_folder(), path = folder + "/m.tern";
  for (int i = 0; i < 3; ++i)
    write_whole(path + ".tmp" + std::to_string(getpid()) + "." + std::to_string(i), File(3, 9));
  EXPECT_EQ(write_model(small_model(), path.c_str()), TERN_OK);
  EXPECT_EQ(files_in(folder).size(), 4u);
}

// The model is mapped from the file that it replaces.
TEST(SaveFile, OverItself) {
  const std::string path = temporary_folder() + "/m.tern";
  ASSERT_EQ(write_model(small_model(), path.c_str()), TERN_OK);
  Bytes b;
  ASSERT_EQ(load_file(path.c_str(), LoadMode::map, 1 << 20, &b), TERN_OK);
  ModelDef m;
  ASSERT_EQ(read_model(b, resolve_limits(nullptr), &m), TERN_OK);
  m.metadata.push_back({"new", "1"});
  ASSERT_EQ(write_model(m, path.c_str()), TERN_OK);
  EXPECT_EQ(check_weights(m), TERN_OK);
  EXPECT_EQ(load(read_whole(path)).status, TERN_OK);
}

TEST(SaveFile, EveryCallFails) {
  const std::string folder = temporary_folder(), path = folder + "/m.tern";
  const ModelDef m = small_model();
  const File old(100, 1);
  tern_status s = TERN_OK;
  const int all = with_trouble(Trouble::fail, 1000000, [&] { s = write_model(m, path.c_str()); });
  ASSERT_EQ(s, TERN_OK);
  ASSERT_GT(all, 5);
  for (int n = 0; n < all; ++n) {
    write_whole(path, old);
    with_trouble(Trouble::fail, n, [&] { s = write_model(m, path.c_str()); });
    EXPECT_EQ(files_in(folder).size(), 1u);
    if (n == all - 1) {  // the folder's sync: the file is there
      EXPECT_EQ(s, TERN_OK);
      EXPECT_EQ(read_whole(path), write(m));
      continue;
    }
    EXPECT_EQ(s, TERN_ERR_IO) << n;
    EXPECT_NE(std::string(thread_error().message).find(path), std::string::npos);
    EXPECT_EQ(read_whole(path), old) << n;
  }
}

TEST(SaveFile, ShortWrites) {
  const std::string folder = temporary_folder(), path = folder + "/m.tern";
  const ModelDef m = small_model();
  for (int n = 0; n < 20; ++n) {
    tern_status s = TERN_OK;
    with_trouble(Trouble::shorten, n, [&] { s = write_model(m, path.c_str()); });
    ASSERT_EQ(s, TERN_OK);
    EXPECT_EQ(read_whole(path), write(m)) << n;
  }
}

// The process ends at any of its system calls: the old file or the new one is there.
TEST(SaveFile, Killed) {
  const std::string folder = temporary_folder(), path = folder + "/m.tern";
  const ModelDef m = small_model();
  const File old(100, 1), now = write(m);
  for (int n = 0;; ++n) {
    write_whole(path, old);
    const pid_t child = fork();
    if (child == 0) {
      with_trouble(Trouble::kill, n, [&] { (void)write_model(m, path.c_str()); });
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    const File left = read_whole(path);
    ASSERT_TRUE(left == old || left == now) << n;
    if (WEXITSTATUS(status) == 0) {
      EXPECT_EQ(left, now);
      EXPECT_GT(n, 5);
      break;
    }
  }
}

TEST(SaveFile, FullDisk) {
  rlimit old;
  getrlimit(RLIMIT_FSIZE, &old);
  signal(SIGXFSZ, SIG_IGN);
  const std::string folder = temporary_folder(), path = folder + "/m.tern";
  write_whole(path, File(100, 1));
  for (const rlim_t bytes : {rlim_t(0), rlim_t(1), rlim_t(63), rlim_t(64), rlim_t(1000), rlim_t(4096), rlim_t(4200),
                             rlim_t(write(small_model()).size() - 1)}) {
    const rlimit small{bytes, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    const tern_status s = write_model(small_model(), path.c_str());
    setrlimit(RLIMIT_FSIZE, &old);
    EXPECT_EQ(s, TERN_ERR_IO);
    EXPECT_EQ(read_whole(path), File(100, 1));
    EXPECT_EQ(files_in(folder).size(), 1u);
  }
}

TEST(SaveFile, Unwritable) {
  const std::string folder = temporary_folder();
  EXPECT_EQ(write_model(small_model(), (folder + "/none/m.tern").c_str()), TERN_ERR_NOT_FOUND);
  std::filesystem::create_directories(folder + "/folder/x");
  EXPECT_EQ(write_model(small_model(), (folder + "/folder").c_str()), TERN_ERR_IO);
  EXPECT_EQ(write_model(small_model(), "/proc/m.tern"), TERN_ERR_NOT_FOUND);
  EXPECT_EQ(files_in(folder).size(), 1u);
  // Neither replaced nor written to, also where this user could.
  ASSERT_EQ(mkfifo((folder + "/pipe").c_str(), 0600), 0);
  for (const std::string& path : {folder + "/pipe", std::string("/dev/full"), std::string("/dev/null")}) {
    EXPECT_EQ(write_model(small_model(), path.c_str()), TERN_ERR_IO) << path;
    EXPECT_NE(std::string(thread_error().message).find("no regular file"), std::string::npos) << thread_error().message;
  }
  EXPECT_EQ(files_in(folder).size(), 2u);
}

// ---- models that cannot be stored ----

TEST(Write, RefusesWhatCannotBeRead) {
  const auto refused = [](const std::function<void(ModelDef&)>& change, tern_status code, const char* text) {
    ModelDef m = small_model();
    m.parameters.push_back(m.parameters[0]);
    m.parameters.back().name = "unused";
    change(m);
    File out{1, 2, 3};
    EXPECT_EQ(write_model_to_memory(m, &out), code) << text;
    EXPECT_NE(std::string(thread_error().message).find(text), std::string::npos) << thread_error().message;
    EXPECT_EQ(out, (File{1, 2, 3}));
    const std::string folder = temporary_folder();
    EXPECT_EQ(write_model(m, (folder + "/m.tern").c_str()), code);
    EXPECT_TRUE(files_in(folder).empty());
  };
  constexpr tern_status kBad = TERN_ERR_INVALID_ARGUMENT;
  refused([](ModelDef& m) { m.parameters.back().data = {}; }, kBad, "no content");
  refused([](ModelDef& m) { m.parameters.back().dtype = 99; }, kBad, "cannot be stored");
  refused([](ModelDef& m) { m.parameters.back().shape.rank = 9; }, kBad, "cannot be stored");
  refused([](ModelDef& m) { m.parameters.back().shape[0] = -1; }, TERN_ERR_SHAPE, "dim 0 is -1");
  refused(
      [](ModelDef& m) {
        m.parameters.back().encoding = Encoding::panel_int8, m.parameters.back().dtype = TERN_DTYPE_I64;
      },
      TERN_ERR_TYPE, "");
  refused([](ModelDef& m) { m.parameters[1].name = m.parameters[0].name; }, kBad, "exists twice");
  refused([](ModelDef& m) { m.metadata.push_back(m.metadata[0]); }, kBad, "exists twice");
  refused([](ModelDef& m) { m.metadata[0].second = "\xff"; }, kBad, "UTF-8");
  refused([](ModelDef& m) { m.signatures[0].output_names.pop_back(); }, kBad, "names 1 outputs");
  refused([](ModelDef& m) { m.signatures[0].graph.status = TERN_ERR_SHAPE; }, kBad, "not built to its end");
  refused([](ModelDef& m) { m.signatures[0].graph.nodes[0].op = nullptr; }, kBad, "has no operator");
  refused([](ModelDef& m) { m.signatures[0].graph.nodes[0].in[0] = 1000; }, kBad, "value 1000");
  refused([](ModelDef& m) { m.signatures[0].graph.outputs[0] = -5; }, kBad, "value -5");
  const auto value = [](ModelDef& m, ValueKind kind) -> Value& {
    for (Value& v : m.signatures[0].graph.values)
      if (v.kind == kind) return v;
    return m.signatures[0].graph.values[0];
  };
  refused([&](ModelDef& m) { value(m, ValueKind::parameter).index = 17; }, kBad, "refers to tensor 17");
  refused([&](ModelDef& m) { value(m, ValueKind::state).index = -1; }, kBad, "refers to tensor -1");
  refused([&](ModelDef& m) { value(m, ValueKind::state).shape = {1}; }, kBad, "another type or shape");
  refused([&](ModelDef& m) { value(m, ValueKind::constant).data = {}; }, kBad, "no content");
  refused(
      [&](ModelDef& m) {
        for (Node& n : m.signatures[0].graph.nodes)
          if (std::string_view(n.op->name) == "shape") n.attributes.bytes[3] = 0x7f;
      },
      kBad, "allowed is");
}

}  // namespace
}  // namespace tern::test
