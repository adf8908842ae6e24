// SPDX-License-Identifier: Apache-2.0
// A pool of threads for fork and join. What runs where never changes a result: callers split work by units whose
// results do not depend on the split.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/status.h"
#include "tern/context.h"

namespace tern {

class ThreadPool {
 public:
  struct Options {
    int32_t num_threads = 0;      // including the caller; 0 = CPUs that this process may use
    uint64_t affinity_mask = 0;
    int32_t wait = TERN_WAIT_SPIN_THEN_SLEEP;
    tern_parallel_fn parallel = nullptr;  // the host's pool, used instead of own threads
    void* parallel_user = nullptr;
  };

  explicit ThreadPool(const Options& options);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int32_t num_threads() const { return num_threads_; }

  // Calls task(user, thread, share) once for every share in [0, shares), shares <= kMaxShares, and returns when all have
  // returned. At most `threads` <= num_threads() threads take part, each with a number of its own in [0, threads); the
  // caller is 0. Each begins with its part of the shares in order, the same part whenever a job of so many shares runs, so
  // that what one job left in a core's cache is where the next job wants it; then it takes over shares of those who are
  // late. A thread that the system does not let run holds up one share and no more. When the pool is in use by another
  // thread, or threads cannot be started, the caller runs them all.
  using Task = void (*)(void* user, int32_t thread, int32_t share);
  void run(int32_t threads, int32_t shares, Task task, void* user);
  static constexpr int32_t kMaxShares = 65535;

 private:
  void start();
  void work(int32_t index);
  bool claim(int32_t owner, uint32_t job, bool first, int32_t* share);
  int32_t drain(int32_t thread, uint32_t job);

  Options options_;
  int32_t num_threads_;
  std::mutex busy_;               // held by the caller whose job runs
  std::vector<std::thread> workers_;
  int32_t started_ = 1;
  alignas(64) std::atomic<uint32_t> job_{0};  // grows with every job; workers wait for it
  std::atomic<bool> stop_{false};
  // Read only by who has claimed a share of the job, so they stand still until it is finished.
  Task task_ = nullptr;
  void* user_ = nullptr;
  std::atomic<int32_t> threads_{0};  // of the job
  static constexpr int32_t kMaxThreads = 256;
  struct alignas(64) Part {
    std::atomic<uint64_t> open{0};  // job << 32 | end << 16 | begin: the shares of this thread that nobody has begun
  };
  std::unique_ptr<Part[]> parts_;
  alignas(64) std::atomic<int32_t> finished_{0};  // shares that workers have run
};

// CPUs that this process may use, at least 1.
int32_t available_cpus();

}  // namespace tern
