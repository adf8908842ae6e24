// SPDX-License-Identifier: Apache-2.0
// What models, sessions and tasks share: allocator, threads, log, backends.
#pragma once
#include <mutex>

#include "base/ref.h"
#include "runtime/backend.h"

namespace tern {

class Context : public RefCounted<Context> {
 public:
  struct Options {
    ThreadPool::Options threads;
    tern_allocator allocator = default_allocator();
    tern_log_fn log = nullptr;
    void* log_user = nullptr;
    int32_t log_level = 0;
  };
  // backends: tables that sessions may open; the first must be the CPU's. They live as long as the program.
  Context(const Options& options, std::span<const BackendApi* const> backends);
  ~Context();

  const tern_allocator& allocator() const { return options_.allocator; }
  ThreadPool& pool() { return pool_; }
  std::span<const BackendApi* const> backend_tables() const { return tables_; }
  // Opens a device of a backend once; later calls share it. name: "vulkan" for the first one, "vulkan:1" for the
  // second.
  // Errors: TERN_ERR_NOT_FOUND lists the names.
  tern_status open_backend(std::string_view name, const Backend** backend);
  bool logs(int32_t level) const { return options_.log && level <= options_.log_level; }
  // One line for the app; levels: tern_log_fn. Not with a lock held: the app may call the library.
  void log(int32_t level, const char* format, ...) __attribute__((format(printf, 3, 4)));

 private:
  tern_status find_or_open(std::string_view name, const Backend** backend, bool* fresh);

  Options options_;
  ThreadPool pool_;
  std::vector<const BackendApi*> tables_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Backend>> opened_;
};

}  // namespace tern
