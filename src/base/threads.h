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
    int32_t num_threads = 0;  // including the caller; 0 = CPUs that this process may use
    uint64_t affinity_mask = 0;
    int32_t wait = TERN_WAIT_SPIN_THEN_SLEEP;
    tern_parallel_fn parallel = nullptr;  // the host's pool, used instead of own threads
    void* parallel_user = nullptr;
    bool keep_denormals = false;
    bool tiles = true;  // kernels may use matrix tiles
  };

  explicit ThreadPool(const Options& options);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int32_t num_threads() const { return num_threads_; }
  // All threads work in the mode FloatMode(keep_denormals).
  bool keep_denormals() const { return options_.keep_denormals; }
  bool tiles() const { return options_.tiles; }

  // While one lives, workers that wait by TERN_WAIT_SPIN do not sleep.
  class Awake {
   public:
    explicit Awake(ThreadPool& pool) : awake_(pool.options_.wait == TERN_WAIT_SPIN ? &pool.awake_ : nullptr) {
      if (awake_) awake_->fetch_add(1, std::memory_order_relaxed);
    }
    ~Awake() {
      if (awake_) awake_->fetch_sub(1, std::memory_order_relaxed);
    }
    Awake(const Awake&) = delete;
    Awake& operator=(const Awake&) = delete;

   private:
    std::atomic<int32_t>* awake_;
  };

  // Calls task(user, i) for every i in [0, count), count <= num_threads(), and returns when all have returned. The
  // caller runs i = 0, and then whatever no other thread has begun: it never waits for a thread that the system does
  // not let run.
  // When the pool is in use by another thread, or threads cannot be started, the caller runs them all.
  void run(int32_t count, void (*task)(void* user, int32_t i), void* user);

 private:
  void start();
  void work(int32_t index);
  bool claim(int32_t i, uint32_t job);

  Options options_;
  int32_t num_threads_;
  std::mutex busy_;  // held by the caller whose job runs
  std::vector<std::thread> workers_;
  int32_t started_ = 1;
  alignas(64) std::atomic<uint32_t> job_{0};  // grows with every job; workers wait for it
  std::atomic<bool> stop_{false};
  alignas(64) std::atomic<int32_t> awake_{0};  // runs in progress that keep the workers awake
  // Read only by who has claimed a share of the job, so they stand still until it is finished.
  void (*task_)(void*, int32_t) = nullptr;
  void* user_ = nullptr;
  static constexpr int32_t kMaxThreads = 256;
  std::atomic<uint64_t> shares_[kMaxThreads] = {};  // 2 * job: share i is open; 2 * job + 1: it is claimed
  alignas(64) std::atomic<int32_t> finished_{0};    // shares that workers have run
};

// CPUs that this process may use, at least 1.
int32_t available_cpus();

}  // namespace tern
